"""Plant faults in the core packages and count how many the tests notice.

``python scripts/mutation.py [NUMBER] [SEED] [PACKAGE ...]`` tries a seeded sample of that many
faults, each in a copy of the repository, and shows the change of each that went unnoticed. Some
change nothing that can be seen (equivalent ones); a person has to tell those apart. Texts are not
changed, nor is code that mutmut leaves alone, such as properties.

mutmut makes the faults. Its own runner chooses among them by an environment variable, which the
confined processes that parse and run programs do not have; here a fault is written into the file.
The tests of all packages run once with coverage, which shows the tests of each line and what they
take; a fault is tried with those of its lines, or of its file where a process without coverage
runs the line, the quickest first, up to three minutes of them, and with the examples in the file's
docstrings.
"""

import ast
import difflib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coverage import CoverageData
from libcst import FunctionDef
from mutmut.mutation.file_mutation import create_mutations

ROOT = Path(__file__).parent.parent
COPY = ROOT / "build" / "mutation"
TESTS = {
    "erm": (
        *("erm", "api", "invariants", "report_explained", "search_rivals", "ask"),
        *("notebook_html", "mcp", "telemetry"),
    ),
    "proposers": (
        *("proposers", "agent", "models_refusals"),
        *("search_learners", "search_options", "search_rivals"),
    ),
    "programs": ("programs", "sandbox_parser", "export", "models_lenient", "agent"),
    "runs": (
        *("runs", "executors", "faults_", "synthesis_run", "group_commit", "tracks_grid"),
        *(
            "report_records",
            "report_curves",
            "cli_show",
            "cli_icl",
            "cli_tracking",
            "baselines_run",
        ),
        *("ray_values", "ray_refusals", "ray_head", "ray_cluster", "ray_losses", "finetune_sweep"),
    ),
}
"""By package, how the names of the files of tests begin that should notice its faults; those of
other packages are tried too where they run the line."""

UNSEEN = ("programs",)
"""Packages that run in processes without coverage: all their tests are tried, other lines' last."""

LIBRARIES = ("hypothesis", "numpy", "pandas", "scipy.stats", "sklearn.base", "pydantic_ai")
"""Imported once, before the forks in which the tests run."""

OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
MOST_SECONDS = 180.0
OUTCOMES = {0: "unnoticed", 1: "failed", 2: "failed", -signal.SIGKILL: "too slow"}


class Times:
    """A plugin of pytest that notes what each test takes and which fail, parameters together."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a part of a test took."""
        test = report.nodeid.partition("[")[0]
        self.seconds[test] += report.duration
        self.failed |= {test} if report.failed else set()


class Suite:
    """The tests of all packages, as runs without a fault showed them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._own: dict[str, set[str]] = {}
        self._seen: list[CoverageData] = []
        for name in TESTS:
            data, times = COPY / f"{name}.coverage", COPY / f"{name}.json"
            if not times.exists() and in_fork(partial(_measure, name, data, times), 3_600):
                sys.exit(f"the tests of {name} cannot run without a fault; see {COPY / 'log'}")
            took: dict[str, float] = json.loads(times.read_text("utf-8"))
            self.seconds |= took
            self._own[name] = set(took) if name in UNSEEN else set()
            self._seen.append(CoverageData(str(data)))
            self._seen[-1].read()

    def tests(self, package: str, path: Path, line: int) -> list[str]:
        """Return the tests that run a line, the quickest first, up to `MOST_SECONDS`."""
        known: defaultdict[int, set[str]] = defaultdict(set)
        for data in self._seen:
            for number, contexts in data.contexts_by_lineno(str(path)).items():
                names = {context.partition("|")[0].partition("[")[0] for context in contexts}
                known[number] |= names & self.seconds.keys()
        statements = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line)
        ]
        seen = [known.get(number, set()) for number in range(max(statements), line)]
        found = known.get(line) or set().union(*seen) or set().union(*known.values())
        chosen: list[str] = []
        left = MOST_SECONDS
        for test in sorted(
            found | self._own[package], key=lambda test: (test not in found, self.seconds[test])
        ):
            left -= self.seconds[test]
            if left > 0 or not chosen:
                chosen.append(test)
        return chosen


def _measure(name: str, data: Path, times: Path) -> int:
    files = [
        str(path.relative_to(COPY))
        for start in TESTS[name]
        for path in sorted((COPY / "tests").glob(f"test_{start}*.py"))
    ]
    os.environ["COVERAGE_FILE"] = str(data)
    plugin = Times()
    status = pytest.main(
        [*OPTIONS, "--cov=llm_pv", "--cov-context=test", "--cov-report=", *files], [plugin]
    )
    if status > 1:  # else some failed: a test that fails on a busy machine is not tried
        return int(status)
    kept = {test: took for test, took in plugin.seconds.items() if test not in plugin.failed}
    times.write_text(json.dumps(kept), "utf-8")
    return 0


def in_fork(task: Callable[[], int], seconds: float) -> int:
    """Return the status of a task in a fork in the copy; minus SIGKILL if it takes too long."""
    child = os.fork()
    if not child:
        os.setsid()
        log = os.open(COPY / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.chdir(COPY)
        os._exit(task())
    deadline = time.monotonic() + seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what a test has left running
    return os.waitstatus_to_exitcode(ended[1])


class Fault(NamedTuple):
    """A change of one function of a file."""

    package: str
    path: Path
    module: Any
    mutation: Any

    def source(self) -> str:
        """Return the file's source with the fault."""
        old, new = self.mutation.original_node, self.mutation.mutated_node
        return str(self.module.deep_replace(old, new).code)


def faults(package: str) -> list[Fault]:
    """Return every fault that can be planted in a package."""
    found = []
    for path in sorted((COPY / "src" / "llm_pv" / package).rglob("*.py")):
        module, mutations, *_ = create_mutations(str(path), path.read_text("utf-8"))
        found += [
            Fault(package, path, module, mutation)
            for mutation in mutations
            if isinstance(mutation.contained_by_top_level_function, FunctionDef)
            and type(mutation.original_node).__name__ not in ("SimpleString", "FormattedString")
        ]
    return found


def tried(suite: Suite, fault: Fault) -> str:
    """Try a fault; return the outcome, and print its change if no test noticed it."""
    path, source = fault.path, fault.source()
    original = path.read_text("utf-8")
    pairs = zip(original.splitlines(), source.splitlines(), strict=False)
    line = next((number for number, (old, new) in enumerate(pairs, 1) if old != new), 1)
    tests = suite.tests(fault.package, path, line)
    allowed = 60 + 10 * sum(suite.seconds[test] for test in tests)
    path.write_text(source, "utf-8")
    try:
        outcome = "no test"
        if tests:
            args = [*OPTIONS, "--doctest-modules", "-x", *tests, str(path)]
            status = in_fork(lambda: int(pytest.main(args)), allowed)
            outcome = OUTCOMES.get(status, f"status {status}")
    finally:
        path.write_text(original, "utf-8")
    print(f"{path.relative_to(COPY)}:{line}: {outcome}, tests tried: {len(tests)}", flush=True)
    if outcome not in ("failed", "too slow"):
        change = difflib.unified_diff(original.splitlines(), source.splitlines(), lineterm="", n=2)
        print("\n".join(list(change)[3:]), flush=True)
    return outcome


def main(number: int, seed: int, names: list[str]) -> None:
    """Try a sample and print the share of it that was noticed."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, COPY / name)
    sys.path[:0] = [str(COPY / "src")]
    os.environ["PYTHONPATH"] = str(COPY / "src")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for library in LIBRARIES:
        import_module(library)
    planted = [fault for name in names for fault in faults(name)]
    sample = random.Random(seed).sample(planted, min(number, len(planted)))
    suite = Suite()
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for fault in sample:
        counts[fault.package][tried(suite, fault)] += 1
    for name, outcomes in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        noticed = outcomes["failed"] + outcomes["too slow"]
        share = noticed / max(1, outcomes.total())
        print(f"{name}: {noticed} of {outcomes.total()} noticed, {share:.1%}; {dict(outcomes)}")
    print(f"{len(planted):,} faults in all; a sample of {len(sample)}, seed {seed}")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(int(given.get(1, "300")), int(given.get(2, "0")), sys.argv[3:] or list(TESTS))
