"""Check whether a program's answer to each input depends on that input only."""

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from llm_pv.data.examples import Input
from llm_pv.programs.program import Program
from llm_pv.sandbox import Batch, Execution, Sandbox

ROW_DEPENDENT = "its answer for an input depends on the other inputs, their order, or chance"
NOT_COMPARED = "not compared: run again it reached a limit"
NOT_ANSWERED = "not compared: a limit came before any answer"

_SINGLES = 8
"""The number of inputs that are run alone."""

_LONGER = 2
"""The least ratio of the length of the longest pass to that of the first."""

_SAMPLE = 300
"""The number of test rows, and of other rows, that are run together."""


def row_dependence(
    program: Program,
    inputs: Sequence[Input],
    sandbox: Sandbox,
    *,
    judged: int | None = None,
    seed: int = 0,
    deadline: float = math.inf,
) -> str:
    """Return why a program's answers may depend on other inputs, or an empty string.

    The program runs on all inputs in order. Then the inputs that a limit did not cut off run again
    in fresh processes, most of which start with other random numbers and another hash seed: on
    random halves in another order, on single inputs, and on the judged inputs alone in a pass
    longer than the first. Every row that was answered both times must get the same answer; an error
    is an answer, and so is the end of a process that the program brought about. Rows that a limit
    cut off this time are run once more by themselves.

    This finds dependence on what these runs vary: the other inputs, their order and number, and
    randomness. A program designed to evade it, which behaves for longer than any run, is accepted.

    Parameters
    ----------
    judged
        The number of first inputs that count towards its score, all of which must be compared;
        None for all.
    deadline
        A time of `time.monotonic` at which a run is ended, and after which none is started.

    Returns
    -------
    str
        `ROW_DEPENDENT`, `NOT_COMPARED`, `NOT_ANSWERED` if a limit cut off every judged row of the
        first run, or an empty string for a row-independent program.
    """
    judged = len(inputs) if judged is None else judged
    draw = np.random.Generator(np.random.PCG64(seed))
    check = _Check(program, inputs, sandbox, deadline)
    answered, counted = check.answered(len(inputs)), check.answered(judged)
    if judged and not counted:
        return NOT_ANSWERED
    one, other = np.array_split(draw.permutation(answered), 2)
    repeats = _LONGER * -(-len(answered) // max(1, len(counted)))
    longer = draw.permutation(np.repeat(counted, repeats))
    singles = draw.permutation(counted)[:_SINGLES].reshape(-1, 1)
    # The scoring seed, 0, is among them, in case a program recognises it and behaves differently.
    runs = [(one, 0), (other, 1), (longer, 2), *((single, 0) for single in singles)]
    if any(check.differs(order.tolist(), chance) for order, chance in runs):
        return ROW_DEPENDENT
    left = check.not_compared(judged)
    if left and check.differs(left, chance=3):
        return ROW_DEPENDENT
    return NOT_COMPARED if check.not_compared(judged) else ""


def changed_answers(
    program: Program,
    inputs: Sequence[Input],
    first: Execution,
    company: Sequence[Input],
    sandbox: Sandbox,
    *,
    seed: int = 0,
) -> int:
    """Count inputs whose answer changes when they are run among others.

    Parameters
    ----------
    inputs, first
        The test inputs, and the program's execution on them; a sample of them is run again.

    Returns
    -------
    int
        How many answers changed; rows that a limit cut off are left out.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    sample = draw.permutation(len(inputs))[:_SAMPLE].tolist()
    others = draw.permutation(len(company))[:_SAMPLE].tolist()
    rows = [inputs[row] for row in sample] + [company[row] for row in others]
    order = draw.permutation(len(rows)).tolist()
    execution = sandbox.predict(program.source, [rows[place] for place in order], seed=1)
    known = dict(_answers(first, range(len(inputs))))
    return sum(
        sample[place] in known and answer != known[sample[place]]
        for place, answer in _answers(execution, order)
        if place < len(sample)
    )


class _Check:
    """The first answers of a program, and the rows that have been compared with them."""

    def __init__(
        self, program: Program, inputs: Sequence[Input], sandbox: Sandbox, deadline: float
    ) -> None:
        self._source = program.source
        self._inputs = Batch.of(inputs)
        self._sandbox = sandbox
        self._deadline = deadline
        execution = sandbox.predict(self._source, self._inputs, deadline=deadline)
        self._known = dict(_answers(execution, range(len(inputs))))
        self._compared: set[int] = set()

    def differs(self, rows: Sequence[int], chance: int) -> bool:
        """Run the program on these rows in this order; return whether an answer has changed."""
        if time.monotonic() >= self._deadline:
            return False
        execution = self._sandbox.predict(
            self._source, self._inputs.take(rows), seed=chance, deadline=self._deadline
        )
        for row, answer in _answers(execution, rows):
            if row in self._known:
                if answer != self._known[row]:
                    return True
                self._compared.add(row)
        return False

    def answered(self, first: int) -> list[int]:
        """Return the rows among the first ones that were answered in the first run."""
        return [row for row in self._known if row < first]

    def not_compared(self, judged: int) -> list[int]:
        """Return the judged rows that were answered at first and have not been compared."""
        return [row for row in self.answered(judged) if row not in self._compared]


def _answers(execution: Execution, rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
    """Yield each row that the program answered, with its answer; a row may occur twice."""
    cut = set(execution.unreached) if execution.cut_short else set()
    for position, (row, answer) in enumerate(zip(rows, execution.predictions, strict=True)):
        if position not in cut:
            yield row, answer
