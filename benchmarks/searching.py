"""One run of the built-in search as `llm_pv.learn` makes it, measured: shared by `search_*`.

CPU seconds are those of the search itself, without verification; peak memory is that of the process
so far, so a benchmark that reports it makes a run in a process of its own (`in_processes`).
"""

import argparse
import ast
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from llm_pv import Search, learn
from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.registry import BuiltIn, make_proposer
from llm_pv.sandbox import Sandbox

UNCAPPED = 600.0
"""Seconds of a search, so many that other work on the machine does not change what is found."""
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """How the search is run."""

    proposer: str = "length-first"
    seconds: float = UNCAPPED
    candidates: int | None = None
    megabytes: int | None = None
    noise: float = 0.0


@dataclass(frozen=True)
class Found:
    """What one run found, and what it took."""

    program: str
    accuracy: float
    test_predictions: tuple[str | None, ...]
    claimed: bool
    validation_errors: int
    rivals: int
    right_probes: int
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float

    @property
    def false_claim(self) -> bool:
        """Whether a rule is claimed that validation does not refute and that is not the rule."""
        return self.claimed and self.validation_errors == 0 and self.accuracy < 0.99

    @property
    def tests(self) -> int:
        """How many comparisons and membership tests the program makes."""
        return count_tests(self.program)


def proposer_of(settings: Settings) -> Proposer:
    """Return the proposer, in this process, where its seconds are measured."""
    built_in = BuiltIn(settings.candidates, settings.megabytes, settings.noise)
    if settings.proposer == "length-first":
        return LengthFirst(settings.seconds, built_in=built_in)
    return make_proposer(settings.proposer, budget_seconds=settings.seconds, built_in=built_in)


class Timed(Proposer):
    """A proposer that measures the search of another."""

    def __init__(self, inner: Proposer) -> None:
        self._inner = inner
        self.cpu_seconds = self.wall_seconds = 0.0

    @property
    def name(self) -> str:
        """The other's name."""
        return self._inner.name

    @property
    def default_attempts(self) -> int:
        """The other's number."""
        return self._inner.default_attempts

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield the other's proposals, counting only the time until each."""
        proposals = self._inner.propose(train, classes, seed=seed, start=start)
        while True:
            cpu, wall = time.process_time(), time.monotonic()
            proposal = next(proposals, None)
            self.cpu_seconds += time.process_time() - cpu
            self.wall_seconds += time.monotonic() - wall
            if proposal is None:
                return
            yield proposal


def search(
    train: Examples,
    validation: Examples,
    test: Examples,
    settings: Settings,
    *,
    seed: int = 0,
    probes: Sequence[tuple[Input, str]] = (),
) -> Found:
    """Search, select by validation, and score the selected program on test rows and probes."""
    classes = Classes.of([*train.labels, *validation.labels, *test.labels])
    splits = Splits(train, validation, Examples([], []), classes)
    timed = Timed(proposer_of(settings))
    with Sandbox() as sandbox:
        learned = learn(splits, search=Search(timed, seed=seed), sandbox=sandbox)
        source = learned.program.source if learned.program else ""
        inputs = [*test.inputs, *(given for given, _ in probes)]
        answers = sandbox.predict(source, inputs).predictions if source else [None] * len(inputs)
    right = sum(a == b for a, b in zip(answers, test.labels, strict=False))
    selected = learned.selection.selected
    errors = selected.validation.errors if selected and selected.validation else len(validation)
    return Found(
        program=source,
        accuracy=right / max(1, len(test)),
        test_predictions=tuple(answers[: len(test)]),
        claimed=learned.verdict.startswith("a rule was found"),
        validation_errors=errors,
        rivals=len(learned.rivals),
        right_probes=sum(a == b for a, (_, b) in zip(answers[len(test) :], probes, strict=True)),
        cpu_seconds=timed.cpu_seconds,
        wall_seconds=timed.wall_seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def count_tests(source: str) -> int:
    r"""Return the comparisons, memberships and bare truth tests that a program writes out.

    A term of a scorecard's points counts as one test, whatever it is.

    Examples
    --------
    >>> count_tests("def f(x):\n    return 'a' if x['n'] > 3 and 0 < x['m'] < 9 else 'b'")
    3
    >>> count_tests("points = 2 * x['n'] + (x['kind'] == 'a') - 3")
    2
    """
    return sum(_tests(node) for node in ast.parse(source).body)


def _tests(node: ast.AST) -> int:
    """Return the tests in a piece of a program."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        name = target.value if isinstance(target, ast.Subscript) else target
        if isinstance(name, ast.Name) and name.id == "points":
            return sum(not isinstance(term, ast.Constant | ast.Dict) for term in _terms(node.value))
    tests = sum(_tests(child) for child in ast.iter_child_nodes(node))
    if isinstance(node, ast.Compare):
        tests += len(node.ops)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        tests += not isinstance(node.test, ast.Compare | ast.BoolOp)
    elif isinstance(node, ast.BoolOp):
        tests += sum(not isinstance(value, ast.Compare | ast.BoolOp) for value in node.values)
    return tests


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what a sum adds and subtracts."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def in_processes(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, *, fresh: bool = True
) -> Iterator[tuple[Task, Result]]:
    """Do the tasks, ``jobs`` at a time and each in a fresh process, and yield results as they come.

    With ``fresh=False`` a process does many tasks: peak memory is not a task's own then.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, max_tasks_per_child=1 if fresh else None) as executor:
        futures = {executor.submit(work, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Settings` and ``--jobs`` to a command line."""
    parser.add_argument("--proposer", default=Settings.proposer)
    parser.add_argument("--budget-seconds", type=float, default=UNCAPPED)
    parser.add_argument("--budget-candidates", type=int)
    parser.add_argument("--budget-mb", type=int)
    parser.add_argument("--noise", type=float, default=0.0, help="as told to the search")
    parser.add_argument("--jobs", type=int, default=1)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that a command line asked for."""
    return Settings(
        arguments.proposer,
        arguments.budget_seconds,
        arguments.budget_candidates,
        arguments.budget_mb,
        arguments.noise,
    )
