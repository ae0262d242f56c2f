"""Whether a program answers each input by that input alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from llm_pv.data.examples import Input
from llm_pv.programs.program import Program
from llm_pv.sandbox import Execution, Outcome, Sandbox

ROW_DEPENDENT = "its answer for an input depends on the other inputs, their order, or chance"
NOT_COMPARED = (
    "run again it ran out of time, so whether it answers by its input alone could not be told"
)

_SINGLES = 8
"""Inputs that are run quite alone."""

_LONGER = 2
"""How much longer the longest pass is than the first, at least."""

_SAMPLE = 300
"""Test rows, and rows beside them, that are run among each other."""

_CUT_SHORT = (Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY)
"""Ways a run ends that say nothing of the rows it did not reach."""


def row_dependence(
    program: Program,
    inputs: Sequence[Input],
    sandbox: Sandbox,
    *,
    judged: int | None = None,
    seed: int = 0,
) -> str:
    """Return why a program may not answer each input by that input alone, or an empty string.

    The program runs on all inputs in order. Then it runs again in fresh processes, most of which
    start with other random numbers and another hash seed: on random halves in another order, on
    single inputs, and on the judged inputs alone in a pass longer than the first. Every row that
    was answered both times must get the same answer; an error is an answer, and so is the end of a
    process that the program brought about. Rows that a limit cut off are run once more by
    themselves.

    This finds dependence on what these runs vary: company, order, number of inputs and chance. A
    program made to evade them, which behaves for longer than any of them, passes.

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
        `ROW_DEPENDENT`, `NOT_COMPARED`, or an empty string for a row-independent program.
    """
    judged = len(inputs) if judged is None else judged
    draw = np.random.Generator(np.random.PCG64(seed))
    check = _Check(program, inputs, sandbox)
    one, other = np.array_split(draw.permutation(len(inputs)), 2)
    repeats = _LONGER * -(-len(inputs) // max(1, judged))
    longer = draw.permutation(np.repeat(np.arange(judged), repeats))
    singles = draw.permutation(judged)[:_SINGLES].reshape(-1, 1)
    # The scoring seed, 0, is among them: a program that recognises it is not left alone with it.
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
    """Count inputs that are answered otherwise when they are run among others.

    Parameters
    ----------
    program
        The selected program.
    inputs, first
        The test inputs, and how the program ran on them; a sample of them is tried.
    company
        Other inputs to run them among.
    sandbox
        Runs the program.
    seed
        Draws the sample and the order.

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
