"""A sparse polynomial over GF(2): exclusive-or of three products of at most three coordinates.

At length 100 the polynomial is fixed, and so it is at every other length: it is drawn from a
stream named after the length. The published code draws it from Python's ``hash`` of a string,
which differs from process to process, so there is no published polynomial to agree with.
"""

from functools import cache
from itertools import combinations

import numpy as np

from llm_pv.tasks.task import Labels, Lengths, Symbols, binary_task
from llm_pv.tasks.words import Words

_MONOMIALS = 3
_DEGREE = 3


@cache
def monomials(length: int) -> tuple[tuple[int, ...], ...]:
    """Return the coordinates of each monomial at this length, sorted.

    They are drawn without repetition from all the monomials of degree 1 to 3 on the relevant
    coordinates, of which there are ``min(10, max(5, length // 10))``.
    """
    words = Words(f"poly_f2_deg3|{length}")
    relevant = sorted(words.permutation(length)[: min(10, max(5, length // 10))].tolist())
    possible = [
        product for degree in range(1, _DEGREE + 1) for product in combinations(relevant, degree)
    ]
    chosen = words.permutation(len(possible))[:_MONOMIALS]
    return tuple(sorted(possible[i] for i in chosen))


def polynomial(symbols: Symbols) -> Labels:
    """Label strings by the polynomial of their length."""
    labels = np.zeros(len(symbols), dtype=np.uint8)
    for product in monomials(symbols.shape[1]):
        labels ^= np.bitwise_and.reduce(symbols[:, list(product)], axis=1) & np.uint8(1)
    return labels


TASKS = (
    binary_task(
        id="",
        name="poly_f2_deg3",
        description="a fixed polynomial over GF(2), 3 monomials of degree at most 3, is 1",
        examples=("00000", "11000"),
        target_function=polynomial,
        lengths=Lengths(smallest=5, reason="it has 5 relevant coordinates or more"),
        length_generalising=False,
    ),
)
