"""One run that a client works on: its loop waits in a thread for the next program."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from llm_pv import api
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.result import LearnedProgram
from llm_pv.errors import ConfigurationError, LLMPVError, RunError
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.llm import alphabet_of
from llm_pv.proposers.llm.local_tool import LocalTool
from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.messages import mistake_lines
from llm_pv.proposers.llm.prompt.notation import Notation
from llm_pv.proposers.llm.turns import TOOL, tool_record
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.report.write import write_run_page
from llm_pv.runs.reading import read_run, read_summary
from llm_pv.sandbox import Sandbox

MOST_ROWS = 200
"""The most training rows on one page."""


@dataclass(frozen=True)
class RunProblem:
    """The rows of a run, and what else decides it."""

    name: str
    splits: Splits
    "The rows; a client sees training rows only, until the run is finished."
    programs: int
    "K, the most programs that can be submitted."
    seed: int
    target: str | None = None
    reading: Reading = DEFAULT_READING


@dataclass(frozen=True)
class SubmitResult:
    """The answer to a submitted program: how it does on the training rows, and nothing else."""

    number: int
    remaining: int
    "The program's number, and how many more can be submitted."
    training_rows: int
    wrong: int | None
    training_accuracy: float | None
    "How many training rows there are, and how it does on them; None without a program."
    mistakes: list[str]
    "Some of the rows it gets wrong, with the right label and its own answer."
    problem: str
    "Why the text holds no program; empty if it does."


@dataclass(frozen=True)
class Page:
    """A page of training rows; `next` is where the following page starts, None after the last."""

    rows: list[str]
    total: int
    next: int | None


class Submitted(Proposer):
    """Proposes what is submitted from another thread, in order, until the submissions end.

    A run blocks while it waits for the next one. The cost of a program is unknown: its author
    works outside this package.

    Attributes
    ----------
    opened
        Gets the run's context when the run waits for its first new program.
    """

    name = "mcp"
    free = False
    "Nothing can be requested ahead."

    def __init__(self, note: str = "") -> None:
        self.opened: Future[Context] = Future()
        self._note = note
        self._programs: SimpleQueue[str | StoppedError | None] = SimpleQueue()

    def submit(self, text: str) -> None:
        """Propose a reply with a program."""
        self._programs.put(text)

    def end(self) -> None:
        """End the submissions, so that the run selects one."""
        self._programs.put(None)

    def abandon(self) -> None:
        """End the run without a selection; it can be resumed."""
        self._programs.put(StoppedError())

    def propose_in(
        self,
        train: Examples,  # noqa: ARG002 - the client has seen them
        classes: Classes,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        context: Context,
    ) -> Iterator[Proposal]:
        """Yield what is submitted from now on, and make the run's services available."""
        self.opened.set_result(context)
        while (item := self._programs.get()) is not None:
            if isinstance(item, StoppedError):
                raise item
            yield Proposal(item, note=self._note)


class OpenRun:
    """A run in progress: its loop waits in a thread of its own for programs.

    Raise RunError if the directory holds another run, one with another K, or a finished one.

    Parameters
    ----------
    out
        The run directory; an unfinished run of the same rows and options there is resumed.

    Attributes
    ----------
    finished
        Whether the run takes no more programs.
    submitted
        The number of programs so far, those of an earlier part of the run included.
    """

    def __init__(
        self,
        problem: RunProblem,
        out: Path,
        *,
        sandbox: Sandbox,
        tool: LocalTool,
        python_calls: int,
        note: str = "",
    ) -> None:
        _check_resumable(out, problem.programs)
        self.problem, self.path, self.python_calls = problem, out, python_calls
        self._sandbox = sandbox
        self._proposer = Submitted(note)
        self._train, self._classes = problem.splits.train, problem.splits.classes
        self._run_code = tool.on(self._train, self._classes, seed=problem.seed)
        self.notation = Notation.of(self._train, alphabet_of(self._train.inputs))
        self._lock = threading.Lock()
        self._attempts: list[Attempt] = []
        self._waiting: deque[Future[Attempt]] = deque()
        self.submitted = 0
        self.finished = False
        self._result: Future[LearnedProgram] = Future()
        threading.Thread(target=self._learn, name=f"llm-pv-{out.name}", daemon=True).start()
        opened = self._proposer.opened
        _wait_for_first(opened, self._result)
        self._context = Context()
        if opened.done():
            self._context = opened.result()
        elif self._result.exception() is not None:
            self._result.result()
        self.submitted = self.resumed = len(self._attempts)
        calls = [turn for turn in self._context.turns if turn.get("kind") == TOOL]
        self._code = [str(turn["code"]) for turn in calls]

    def _learn(self) -> None:
        problem = self.problem
        search = api.Search(
            self._proposer,
            attempts=problem.programs,
            early_stop=False,  # the end of a search would reveal something about validation rows
            seed=problem.seed,
        )
        try:
            learned = api.learn(
                problem.splits,
                search=search,
                sandbox=self._sandbox,
                target=problem.target,
                reading=problem.reading,
                name=problem.name,
                out=self.path,
                on_attempt=self._verified,
            )
        except BaseException as error:  # noqa: BLE001 - raised where a client waits
            self._result.set_exception(error)
        else:
            self._result.set_result(learned)

    def _verified(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        if self._proposer.opened.done():
            self._waiting.popleft().set_result(attempt)

    @property
    def remaining(self) -> int:
        """How many more programs can be submitted."""
        return 0 if self.finished else self.problem.programs - self.submitted

    def facts(self) -> str:
        """Return what can be computed of the training rows."""
        return facts(self._train, self._classes)

    def labels(self) -> str:
        """Return the labels there are in the training rows."""
        seen = set(self._train.labels)
        known = [text for text in self._classes.texts if text in seen]
        return self.notation.about_labels(known, self._classes)

    def rows(self, start: int, count: int) -> Page:
        """Return a page of training rows.

        Raise ConfigurationError if there is no such row.
        """
        total = len(self._train)
        if not 0 <= start < total or not 1 <= count <= MOST_ROWS:
            raise ConfigurationError(
                f"rows {start} and the {count} from there: start is 0 to {total - 1}, count 1 to "
                f"{MOST_ROWS}"
            )
        end = min(start + count, total)
        rows = [
            self.notation.line(self._train.inputs[row], self._train.labels[row])
            for row in range(start, end)
        ]
        return Page(rows, total, end if end < total else None)

    def run_python(self, code: str) -> str:
        """Run the client's code on the training rows, confined, and return what it prints.

        Raise ConfigurationError if the run takes no more, or the calls are used up.
        """
        with self._lock:
            self._require_open()
            if len(self._code) >= self.python_calls:
                raise ConfigurationError(
                    f"all {self.python_calls} calls of Python are used up: submit what you have, "
                    "then finish"
                )
            earlier = tuple(self._code)
            self._code.append(code)
        call = len(earlier) + 1
        output, seconds = self._run_code(code, call, earlier)
        record = tool_record(1, call, 1, output, seconds) | {"code": code}
        self._context.write_turns([record])
        return output

    def submit(self, text: str) -> SubmitResult:
        """Verify a program, and return how it does on the training rows.

        Raise ConfigurationError if the run takes no more. Raise RunError if its files cannot be
        written.

        Parameters
        ----------
        text
            Source of a program, or text with one in a fenced block.
        """
        verified: Future[Attempt] = Future()
        with self._lock:
            self._require_open()
            if self.submitted >= self.problem.programs:
                raise ConfigurationError(
                    f"all {self.problem.programs} programs are submitted: call finish"
                )
            self.submitted += 1
            self._waiting.append(verified)
            self._proposer.submit(text)
        _wait_for_first(verified, self._result)
        if not verified.done():
            self._ended()
        return self._answer(verified.result())

    def _answer(self, attempt: Attempt) -> SubmitResult:
        """Run the program on the training rows alone: nothing else decides the answer."""
        total, remaining = len(self._train), self.problem.programs - attempt.number
        if attempt.program is None:
            return SubmitResult(attempt.number, remaining, total, None, None, [], attempt.error)
        assert self._context.mistakes is not None
        mistakes = self._context.mistakes(attempt.program.source)
        return SubmitResult(
            attempt.number,
            remaining,
            total,
            len(mistakes),
            1 - len(mistakes) / total,
            mistake_lines(mistakes, self.notation),
            "",
        )

    def finish(self) -> LearnedProgram:
        """End the submissions, and return what validation selects, scored on the test rows.

        Raise ConfigurationError if no program was submitted yet.
        """
        with self._lock:
            if not self.submitted:
                raise ConfigurationError("no program was submitted: submit one before you finish")
            first, self.finished = not self.finished, True
            if first:
                self._proposer.end()
        learned = self._ended()
        if first:
            write_run_page(self.path)
        return learned

    def close(self) -> None:
        """Leave an unfinished run as it is on disk, so that it can be resumed."""
        with self._lock:
            self.finished = True
        self._proposer.abandon()
        wait([self._result])

    def _require_open(self) -> None:
        if self._result.done() and self._result.exception() is not None:
            self._ended()
        if self.finished:
            raise ConfigurationError(
                f"run {self.path.name} is finished and takes no more: open another"
            )

    def _ended(self) -> LearnedProgram:
        """Return the result, or raise the error that ended the run, in one sentence."""
        try:
            return self._result.result()
        except LLMPVError:
            raise
        except Exception as error:
            raise RunError(
                f"run {self.path.name} ended with an error ({type(error).__name__}: {error}); open "
                "it again by its name to resume it"
            ) from error


def _check_resumable(out: Path, programs: int) -> None:
    """Raise if there is a run here that is finished, or was begun with another K."""
    if not (out / "run.json").exists():
        return
    planned = read_run(out)["configuration"].get("planned_attempts")
    if read_summary(out):
        raise RunError(f"{out.name} is a finished run, which takes no more: give another name")
    if planned != programs:
        raise RunError(f"run {out.name} was begun with programs={planned}, which is fixed: give it")


def _wait_for_first(*futures: Future[Any]) -> None:
    wait(futures, return_when=FIRST_COMPLETED)
