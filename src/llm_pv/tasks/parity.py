"""Parities of ones: of a string, its first half, a few coordinates, its next step, its digest.

``0110`` has an even number of ones and label 0, ``0111`` an odd number and label 1.
"""

from functools import cache, partial
from hashlib import sha256

import numpy as np

from llm_pv.tasks.task import Labels, Lengths, Symbols, binary_task
from llm_pv.tasks.words import Integers

_COORDINATE_SEED = 42


def odd_ones(symbols: Symbols) -> Labels:
    """Label strings by the parity of their ones."""
    # The codes of 0 and 1 differ in the last bit alone.
    labels: Labels = np.bitwise_xor.reduce(symbols, axis=1) & np.uint8(1)
    return labels


def odd_ones_of_first_half(symbols: Symbols) -> Labels:
    """Label strings by the parity of the ones in ``x[:len(x) // 2]``."""
    return odd_ones(symbols[:, : symbols.shape[1] // 2])


def odd_ones_of_coordinates(symbols: Symbols, count: int) -> Labels:
    """Label strings by the parity of the ones on a few fixed coordinates."""
    return odd_ones(symbols[:, coordinates(symbols.shape[1])[:count]])


@cache
def coordinates(length: int) -> Integers:
    """Return the fixed order of coordinates whose first 3 or 10 make the random parities.

    They are those of the published code, ``torch.randperm(length)`` after
    ``torch.manual_seed(42)``: a Fisher-Yates shuffle driven by MT19937, which numpy's legacy
    generator seeds as torch does, so that the targets stay the published ones without torch.

    Examples
    --------
    >>> coordinates(100)[:3].tolist()
    [42, 96, 62]
    """
    state = np.random.RandomState(_COORDINATE_SEED)  # its stream is frozen
    words = state.randint(0, 2**32, length, dtype=np.uint32)
    order = np.arange(length)
    for i in range(length - 1):
        j = i + int(words[i]) % (length - i)
        order[[i, j]] = order[[j, i]]
    return order


def odd_after_step(symbols: Symbols) -> Labels:
    """Label strings by the parity of the cells that are on after one step of an automaton.

    A cell turns on by the table [0, 1, 1, 1, 1, 0, 0, 0] at 4*left + 2*self + right, cells beyond
    the ends being 0: it is on when the left cell differs from "self or right" (Wolfram's rule 30).
    ``0001`` gives ``0011``, label 0; ``0100`` gives ``1110``, label 1.
    """
    left = np.zeros_like(symbols)
    left[:, 1:] = symbols[:, :-1] & 1
    right = np.zeros_like(symbols)
    right[:, :-1] = symbols[:, 1:] & 1
    after: Symbols = left ^ (symbols & np.uint8(1) | right)
    return odd_ones(after)


def odd_digest(symbols: Symbols) -> Labels:
    """Label strings by the parity of their SHA-256 digests: no learner is expected to find it.

    The digest of ``0000`` has an odd number of one bits, that of ``0011`` an even number.
    """
    digests = b"".join(sha256(row.tobytes()).digest() for row in symbols)
    octets = np.frombuffer(digests, dtype=np.uint8).reshape(len(symbols), 32)
    return odd_ones(np.unpackbits(octets, axis=1))


TASKS = (
    binary_task(
        id="fn_a",
        name="parity_all",
        description="the number of ones is odd",
        examples=("0110", "0111"),
        target_function=odd_ones,
    ),
    binary_task(
        id="fn_b",
        name="parity_first_half",
        description="the number of ones in the first half, x[:L//2], is odd",
        examples=("110001", "100011"),
        target_function=odd_ones_of_first_half,
    ),
    binary_task(
        id="fn_e",
        name="parity_rand_3",
        description="the number of ones on 3 fixed coordinates, which depend on L, is odd",
        examples=("0000", "1111"),
        target_function=partial(odd_ones_of_coordinates, count=3),
        length_generalising=False,
    ),
    binary_task(
        id="fn_f",
        name="parity_rand_10",
        description="the number of ones on 10 fixed coordinates, which depend on L, is odd",
        examples=("0000000000", "1000000000"),
        target_function=partial(odd_ones_of_coordinates, count=10),
        lengths=Lengths(smallest=10, reason="it has 10 coordinates"),
        length_generalising=False,
    ),
    binary_task(
        id="fn_j",
        name="automata_parity",
        description="one step of the automaton [0,1,1,1,1,0,0,0] leaves an odd number of cells on",
        examples=("0001", "0100"),
        target_function=odd_after_step,
    ),
    binary_task(
        id="fn_l",
        name="sha256_parity",
        description="the SHA-256 digest of the ASCII string has an odd number of one bits",
        examples=("0011", "0000"),
        target_function=odd_digest,
    ),
)
