"""Time reading candidates: ``PYTHONPATH=src python -m benchmarks.programs``.

Prints milliseconds of CPU time, the best of five: a short program, the longest sources that are
read, and the dearest replies of a million characters.
"""

import contextlib
import time
from collections.abc import Callable

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_program

SHORT = "def f(x):\n    n = x.count('1')\n    m = sum(int(c) for c in x)\n    return (n + m) % 2\n"
CASES: dict[str, tuple[Callable[[str], Program], str]] = {
    "a program of 4 lines": (Program.parse, SHORT),
    "50,000 characters, dense": (Program.parse, "f=" + "a<" * 24_990 + "a"),
    "50,000 characters, a table": (Program.parse, "f = {" + "'01101001': 1, " * 3_300 + "}.get"),
    "a reply of a megabyte of keys": (read_program, '"code":' * 142_857),
    "a reply of 71,000 objects": (read_program, '{"code": "f"},' * 71_428),
    "a reply of a million braces": (read_program, "{" * 1_000_000),
    "a reply of a million backticks": (read_program, "`" * 1_000_000),
    "a reply of 250,000 fences": (read_program, "```\n" * 250_000),
}


def milliseconds(read: Callable[[str], Program], text: str) -> float:
    """Return the CPU time one reading takes."""
    start = time.process_time()
    # Most of these replies hold no program, which takes the longest to find out.
    with contextlib.suppress(ProgramError):
        read(text)
    return 1000 * (time.process_time() - start)


def main() -> None:
    """Print the table."""
    for name, (read, text) in CASES.items():
        print(f"{name:32}{min(milliseconds(read, text) for _ in range(5)):10.1f}")


if __name__ == "__main__":
    main()
