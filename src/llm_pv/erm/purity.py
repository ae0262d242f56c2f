"""Whether a program answers each input by that input alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from llm_pv.data.examples import Input
from llm_pv.programs.program import Program
from llm_pv.sandbox import Execution, Outcome, Sandbox

IMPURE = "its answer for an input depends on the other inputs, their order, or chance"
UNTOLD = "run again it ran out of time, so whether it answers by its input alone could not be told"

_CUT_SHORT = (Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY)
"""Ways a run ends that say nothing of the rows it did not reach."""


def impurity(
    program: Program,
    inputs: Sequence[Input],
    sandbox: Sandbox,
    *,
    judged: int | None = None,
    seed: int = 0,
) -> str:
    """Say why a program cannot be trusted to answer by its input alone, or nothing.

    The program runs on all inputs in order. Then it runs again in fresh processes, which start
    with other random numbers and another hash seed: on random halves in another order, and on the
    judged inputs alone, each of them twice. Every row that was answered both times must get the
    same answer; an error is an answer, and so is the end of a process that the program brought
    about. Rows that a limit cut off are run once more by themselves.

    Parameters
    ----------
    program
        The program under suspicion.
    inputs
        The inputs to try it on; no labels are needed.
    sandbox
        Runs the program.
    judged
        How many of the first inputs count towards its score, and must all have been compared;
        None for all.
    seed
        Draws halves and orders.

    Returns
    -------
    str
        `IMPURE`, `UNTOLD`, or an empty string for a pure program.
    """
    judged = len(inputs) if judged is None else judged
    draw = np.random.Generator(np.random.PCG64(seed))
    check = _Check(program, inputs, sandbox)
    halves = np.array_split(draw.permutation(len(inputs)), 2)
    twice = draw.permutation(np.repeat(np.arange(judged), 2))
    for chance, order in enumerate((*halves, twice), start=1):
        if check.differs(order.tolist(), chance):
            return IMPURE
    left = check.not_compared(judged)
    if left and check.differs(left, chance=4):
        return IMPURE
    return UNTOLD if check.not_compared(judged) else ""


class _Check:
    """What a program answered at first, and which rows have been compared with that."""

    def __init__(self, program: Program, inputs: Sequence[Input], sandbox: Sandbox) -> None:
        self._source = program.source
        self._inputs = inputs
        self._sandbox = sandbox
        execution = sandbox.predict(self._source, inputs)
        self._known = dict(_answers(execution, range(len(inputs))))
        self._compared: set[int] = set()

    def differs(self, rows: Sequence[int], chance: int) -> bool:
        """Run the program on these rows in this order; tell whether an answer has changed."""
        inputs = [self._inputs[row] for row in rows]
        execution = self._sandbox.predict(self._source, inputs, seed=chance)
        for row, answer in _answers(execution, rows):
            if row in self._known:
                if answer != self._known[row]:
                    return True
                self._compared.add(row)
        return False

    def not_compared(self, judged: int) -> list[int]:
        """Return the judged rows that were answered at first and have not been compared."""
        return sorted(row for row in self._known if row < judged and row not in self._compared)


def _answers(execution: Execution, rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
    """Yield each row the program had its say on, with its answer; a row may come twice."""
    cut = set(execution.unreached) if execution.outcome in _CUT_SHORT else set()
    for position, (row, answer) in enumerate(zip(rows, execution.predictions, strict=True)):
        if position not in cut:
            yield row, answer
