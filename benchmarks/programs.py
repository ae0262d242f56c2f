"""Time reading candidates: ``PYTHONPATH=src python -m benchmarks.programs``.

Prints milliseconds by the clock, the best of five: a short program, alone and among a hundred, in
the confined process and (what that costs) in this one; the longest sources that are read, and the
dearest replies of a million characters. On a machine that does nothing else: the confined process
computes beside this one.
"""

import contextlib
import time
from collections.abc import Callable

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program, parse_here
from llm_pv.programs.replies import read_program

SHORT = "def f(x):\n    n = x.count('1')\n    m = sum(int(c) for c in x)\n    return (n + m) % 2\n"
CASES: dict[str, tuple[Callable[[str], object], str]] = {
    "a program of 4 lines, unconfined": (parse_here, SHORT),
    "a program of 4 lines": (Program.parse, SHORT),
    "a hundred of them": (lambda text: Program.parse_many([text] * 100), SHORT),
    "50,000 characters, dense": (Program.parse, "f=" + "a<" * 24_990 + "a"),
    "50,000 characters, a table": (Program.parse, "f = {" + "'01101001': 1, " * 3_300 + "}.get"),
    "a reply of a megabyte of keys": (read_program, '"code":' * 142_857),
    "a reply of 71,000 objects": (read_program, '{"code": "f"},' * 71_428),
    "a reply of a million braces": (read_program, "{" * 1_000_000),
    "a reply of a million backticks": (read_program, "`" * 1_000_000),
    "a reply of 250,000 fences": (read_program, "```\n" * 250_000),
}


def milliseconds(read: Callable[[str], object], text: str) -> float:
    """Return the time one reading takes."""
    start = time.perf_counter()
    # Most of these replies hold no program, which takes the longest to find out.
    with contextlib.suppress(ProgramError):
        read(text)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    for name, (read, text) in CASES.items():
        print(f"{name:36}{min(milliseconds(read, text) for _ in range(5)):10.1f}")


if __name__ == "__main__":
    main()
