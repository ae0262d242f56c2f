"""The parity of one step of a three-cell automaton.

A cell turns on by the table [0, 1, 1, 1, 1, 0, 0, 0] at 4*left + 2*self + right, cells beyond the
ends being 0: it is on when the left cell differs from "self or right" (Wolfram's rule 30).
``0000`` stays off and has label 0; ``0001`` gives ``0011``, label 0; ``0100`` gives ``1110``,
label 1.
"""

import numpy as np

from llm_pv.tasks.task import UNIFORM_BINARY, Labels, Symbols, Task


def odd_after_step(symbols: Symbols) -> Labels:
    """Return the parity of the cells that are on after one step, for each string."""
    left = np.zeros_like(symbols)
    left[:, 1:] = symbols[:, :-1] & 1
    right = np.zeros_like(symbols)
    right[:, :-1] = symbols[:, 1:] & 1
    after = left ^ ((symbols & 1) | right)
    labels: Labels = np.bitwise_xor.reduce(after, axis=1)
    return labels


TASKS = (
    Task(
        id="fn_j",
        name="automata_parity",
        description="one step of the automaton [0,1,1,1,1,0,0,0] leaves an odd number of cells on",
        alphabet="binary",
        examples=("0001", "0100"),
        target_function=odd_after_step,
        samplers=UNIFORM_BINARY,
    ),
)
"""The automaton task."""
