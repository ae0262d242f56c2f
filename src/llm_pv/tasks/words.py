"""The random source of every data set: raw words of PCG64 and integer code of our own.

numpy keeps the words of a bit generator and the mixing of `SeedSequence` fixed for good, but not
what its distributions make of them; so every draw here is made from words by the integer
arithmetic below, and the same key gives the same bytes on any machine and version.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class Words:
    """A stream of 64-bit words that depends on nothing but its key.

    Parameters
    ----------
    key
        What the stream is for, such as ``"palindrome|100|paper|42"``; hashed with SHA-256.
    spawn
        Which of the key's independent streams: `numpy.random.SeedSequence`'s ``spawn_key``.

    Examples
    --------
    >>> digits = Words("an example").below(10, 8)
    >>> len(digits), bool((digits < 10).all())
    (8, True)
    >>> bool((digits == Words("an example").below(10, 8)).all())
    True
    """

    def __init__(self, key: str, spawn: tuple[int, ...] = ()) -> None:
        entropy = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
        self._generator = np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=spawn))

    def raw(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next words."""
        return self._generator.random_raw(count)

    def bits(self, rows: int, columns: int) -> Bits:
        """Return a matrix of independent fair bits."""
        size = rows * columns
        octets = self.raw(-(-size // 64)).astype("<u8").view(np.uint8)
        return np.unpackbits(octets, bitorder="little")[:size].reshape(rows, columns)

    def below(self, bound: int | npt.NDArray[np.integer], *shape: int) -> Integers:
        """Return integers from 0 to the bound, which is left out, one word each.

        Parameters
        ----------
        bound
            One bound for all, or an array of bounds that broadcasts with the shape; each from 1
            to 2**32 - 1.
        shape
            The shape of the result; by default the bound's.

        Returns
        -------
        numpy.ndarray
            ``floor(word * bound / 2**64)``; no value is more likely than another by more than
            ``bound / 2**64``.
        """
        bounds = np.asarray(bound, dtype=np.uint64)
        wanted = shape or bounds.shape
        words = self.raw(int(np.prod(wanted))).reshape(wanted)
        high, low = words >> _HALF, words & _LOW
        return ((high * bounds + ((low * bounds) >> _HALF)) >> _HALF).astype(np.int64)

    def permutation(self, size: int) -> Integers:
        """Return ``range(size)`` in random order."""
        return np.argsort(self.raw(size), kind="stable").astype(np.int64)

    def distinct(self, rows: int, size: int, count: int) -> Integers:
        """Return ``count`` different members of ``range(size)`` a row, in random order."""
        # A Fisher-Yates shuffle of all rows at once, one column a row for its cheap swaps.
        table = np.repeat(np.arange(size, dtype=np.int16)[:, None], rows, axis=1)
        every = np.arange(rows)
        for i in range(count):
            other = self.below(size - i, rows) + i
            taken = table[other, every]
            table[other, every] = table[i]
            table[i] = taken
        return table[:count].T.astype(np.int64)

    def choose(self, allowed: npt.NDArray[np.bool_]) -> Integers:
        """Pick one allowed column of each row at random, each as likely as another.

        Parameters
        ----------
        allowed
            A matrix of booleans with at least one True in every row.
        """
        counts = np.cumsum(allowed, axis=1, dtype=np.int32)
        rank = self.below(counts[:, -1])
        picked: Integers = np.argmax(counts > rank[:, None], axis=1).astype(np.int64)
        return picked
