"""Ten thousand candidates, a tenth of them hostile, through `learn`: what drifts, what leaks.

Run it as ``PYTHONPATH=src python -m benchmarks.soak [--candidates N] [--hostile FILE] [--out DIR]``
from the repository root; it needs Linux and psutil. Each candidate may take a second. Every tenth
is hostile, in turn one of `HOSTILE`, or of the programs in a JSON-lines file of your own. It prints
throughput, memory and file descriptors of each tenth of the run, then what was lost and which
processes are left, and ends with status 1 unless every candidate has its record, no process is
left and file descriptors are as many as at the start.
"""

import argparse
import ctypes
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from llm_pv.api import Search, learn
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.runs.reading import read_attempts, read_replies
from llm_pv.sandbox import Limits, Sandbox

# What programs may not import is reached through what they may.
_OS = "import random\nos = random._os\n"
_MODULES = "import collections\nmodules = collections._sys.modules\n"

HOSTILE = {
    "endless loop": "def f(x):\n    while True: pass",
    "endless import": "while True: pass\nf = len",
    "sleep": "import time\ndef f(x):\n    time.sleep(1000)",
    "memory bomb": "def f(x):\n    a = [0]\n    while True: a += a",
    "fork bomb": _OS + "def f(x):\n    while True: os.fork()",
    "thread bomb": _MODULES + "def f(x):\n    while True:\n"
    "        modules['threading'].Thread(target=f, args=(x,)).start()",
    "flood of output": "def f(x):\n    while True: print('flood' * 10_000)",
    "exit": _OS + "def f(x):\n    os._exit(0)",
    "raise SystemExit": "def f(x):\n    raise SystemExit('over')",
    "deep recursion": _MODULES
    + "modules['sys'].setrecursionlimit(10**9)\ndef f(x):\n    return f(x)",
    "kill oneself": _OS + "def f(x):\n    os.kill(os.getpid(), 9)",
    "kill everybody": _OS + "def f(x):\n    os.kill(-1, 9)",
    "deaf to signals": _MODULES + "signal = modules['_signal']\nfor n in range(1, 65):\n"
    "    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\n"
    "def f(x):\n    while True: pass",
    "slow pattern": "import re\ndef f(x):\n    return re.match('(a*)*b', 'a' * 60)",
    "huge power": "def f(x):\n    return 9 ** 9 ** 9 ** 9",
    "huge answer": "def f(x):\n    return 'x' * 10**8",
    "strange answer": "class A:\n    def __str__(self):\n        while True: pass\n"
    "def f(x):\n    return A()",
    "closes everything": _OS + "def f(x):\n    os.closerange(0, 10_000)\n    return 1",
    "fills the disk": "def f(x):\n    with open('/tmp/soak', 'wb') as file:\n"
    "        while True: file.write(bytes(10**6))",
    "deep parsing": "import json\ndef f(x):\n    x = '[' * 10**7\n    return json.loads(x)",
}

_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Sight:
    """What this process holds at a moment."""

    seconds: float
    megabytes: float
    descriptors: int
    threads: int
    processes: int


def sight(me: psutil.Process) -> Sight:
    """Look at this process and at what it has started."""
    return Sight(
        time.monotonic(),
        me.memory_info().rss / 2**20,
        me.num_fds(),
        me.num_threads(),
        len(me.children(recursive=True)),
    )


def rows() -> Splits:
    """Return strings of ten bits with the parity of their ones."""
    inputs = [f"{number:010b}" for number in range(200)]
    labels = [str(text.count("1") % 2) for text in inputs]
    return Splits(
        Examples(inputs[:40], labels[:40]),
        Examples(inputs[40:140], labels[40:140]),
        Examples(inputs[140:], labels[140:]),
        Classes(("0", "1"), (0, 1)),
    )


def honest(number: int) -> str:
    """Return a well-behaved program that no other number has."""
    return f"def f(x):\n    return (x.count('1') + {number}) % 2 if x else {number}\n"


def write_candidates(path: Path, count: int, hostile: Mapping[str, str]) -> list[str]:
    """Write so many distinct candidates as replies; return the name of each, empty if honest."""
    kinds = itertools.cycle(hostile)
    names = [next(kinds) if number % 10 == 9 else "" for number in range(count)]
    with path.open("w", encoding="utf-8") as file:
        for number, name in enumerate(names):
            # Another constant makes another digest: none is left out as seen before.
            text = f"{hostile[name]}\nnumber = {number}\n" if name else honest(number)
            file.write(json.dumps({"text": f"```python\n{text}\n```"}) + "\n")
    return names


class Watch:
    """Looks at the process after every tenth of the candidates, and prints what it sees."""

    def __init__(self, candidates: int) -> None:
        self._me = psutil.Process()
        self._step = max(1, candidates // 10)
        self._done = 0
        self.sights = [sight(self._me)]
        print("candidates  per second  memory MB  descriptors  threads  processes")

    def attempt(self, _: Attempt) -> None:
        """Count an attempt."""
        self._done += 1
        if self._done % self._step == 0:
            before, now = self.sights[-1], sight(self._me)
            self.sights.append(now)
            speed = self._step / (now.seconds - before.seconds)
            print(
                f"{self._done:10,}{speed:12.1f}{now.megabytes:11.1f}{now.descriptors:13}"
                f"{now.threads:9}{now.processes:11}",
                flush=True,
            )


def soak(count: int, hostile: Mapping[str, str], folder: Path) -> bool:
    """Run the candidates, print what is seen, and tell whether all is well."""
    me = psutil.Process()
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)  # what is orphaned shows among our children
    names = write_candidates(folder / "replies.jsonl", count, hostile)
    start = sight(me)
    watch = Watch(count)
    with Sandbox(Limits(wall_seconds=1)) as sandbox:
        learn(
            rows(),
            search=Search(f"replay:{folder / 'replies.jsonl'}", early_stop=False),
            sandbox=sandbox,
            out=folder / "run",
            on_attempt=watch.attempt,
        )
    end = sight(me)
    print(f"{end.seconds - start.seconds:.0f} s; {end.threads} threads, {start.threads} before")
    return all(
        [
            *whole(folder / "run", names),
            check(f"{end.processes} processes are left", end.processes <= start.processes),
            check(
                f"{end.descriptors} file descriptors, {start.descriptors} at the start",
                end.descriptors <= start.descriptors,
            ),
        ]
    )


def whole(run: Path, names: Sequence[str]) -> Iterator[bool]:
    """Print how each kind ended, and check that every candidate has its record."""
    records = [row for row in read_attempts(run) if row["kind"] == "attempt"]
    endings: dict[str, Counter[str]] = {}
    for name, row in zip(names, records, strict=False):
        # A program that raises for every row finishes, without a right answer.
        how = row["outcome"] or "no program"
        endings.setdefault(name or "honest", Counter())[how] += 1
    for name, counts in endings.items():
        print(f"  {name}: {', '.join(f'{count:,} {how}' for how, count in counts.items())}")
    replies, numbers = read_replies(run), [row["attempt"] for row in records]
    yield check(f"{len(replies):,} replies of {len(names):,}", len(replies) == len(names))
    yield check(f"{len(records):,} records", numbers == list(range(1, len(names) + 1)))
    yield check("every honest candidate finished", set(endings["honest"]) == {"finished"})


def check(line: str, good: bool) -> bool:
    """Print a line on whether all is well, and return that."""
    print(f"{'ok ' if good else 'BAD'} {line}")
    return good


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--hostile", type=Path, help="JSON lines, a program in each as a string")
    parser.add_argument("--out", type=Path, help="where the run is left; default a passing folder")
    asked = parser.parse_args()
    hostile = HOSTILE
    if asked.hostile is not None:
        lines = asked.hostile.read_text("utf-8").splitlines()
        hostile = {f"line {number}": json.loads(line) for number, line in enumerate(lines, 1)}
    with tempfile.TemporaryDirectory() as passing:
        folder = asked.out or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        return 0 if soak(asked.candidates, hostile, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
