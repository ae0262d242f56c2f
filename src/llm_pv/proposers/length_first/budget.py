"""How much one search may try: counted, not timed, so that the same rows give the same programs."""

import math
from dataclasses import dataclass

USUAL_CANDIDATES = 50_000_000
USUAL_MEGABYTES = 1000
CELLS_PER_MEGABYTE = 20_000
"""What is kept, all stages together, is a small multiple of the conditions' truth values."""
NUMBERS_PER_MEGABYTE = 30_000


@dataclass(frozen=True)
class Budget:
    """What bounds a search: the candidates it tries, and the memory it takes.

    Every stage gets its share of the candidates, and tries the shortest first. The default takes 1
    to 20 seconds on one core for up to 1,000 rows.

    Parameters
    ----------
    candidates
        About how many conditions are compared with the training rows.
    megabytes
        Memory for what is kept.

    Examples
    --------
    >>> Budget(candidates=500_000).joined
    240
    """

    candidates: int = USUAL_CANDIDATES
    megabytes: int = USUAL_MEGABYTES

    @property
    def _share(self) -> float:
        return self.candidates / USUAL_CANDIDATES

    @property
    def reading(self) -> float:
        """Steps to get numbers and answers off the rows by Python expressions.

        A character is one where a primitive loops over it in Python, a hundredth elsewhere. What
        would exceed the rest is skipped.
        """
        return 6e6 * self._share

    @property
    def folding(self) -> float:
        """Questions about single items of sequences times items."""
        return 4e8 * self._share

    @property
    def condition_cells(self) -> int:
        """Conditions times rows kept in memory, a byte each."""
        return int(min(12e6 * self._share, CELLS_PER_MEGABYTE * self.megabytes))

    @property
    def number_cells(self) -> int:
        """Numbers times rows kept in memory, eight bytes each."""
        return int(NUMBERS_PER_MEGABYTE * self.megabytes)

    @property
    def walked_items(self) -> int:
        """Items of all sequences that are walked over, held several times while they are."""
        return 4_000 * self.megabytes

    def held(self, conditions: int, rows: int) -> int:
        """Return how many of so many conditions are compared with each other on so many rows."""
        return max(20, min(conditions, 40_000 * self.megabytes // max(1, rows)))

    @property
    def pair_cells(self) -> int:
        """Pairs of numbers times rows, for one class; with several classes they share it."""
        return int(5e6 * self._share)

    @property
    def looked_up(self) -> int:
        """Numbers whose values, and whose remainders, are looked up in tables."""
        return max(50, int(4000 * self._share))

    @property
    def summed(self) -> int:
        """Counts of which sums of up to four are tried modulo two."""
        return max(12, int(70 * min(self._share, 1.0) ** 0.25))

    @property
    def differing(self) -> int:
        """The shortest conditions of which any two may differ."""
        return max(100, int(6000 * math.sqrt(min(self._share, 1.0))))

    @property
    def gates(self) -> int:
        """Conditions that are tried as gates before all others."""
        return max(10, int(250 * min(self._share, 1.0)))

    @property
    def listed(self) -> int:
        """Conditions for each class of which decision lists are made."""
        return max(60, int(1200 * min(self._share, 1.0)))

    @property
    def points(self) -> int:
        """Conditions for each class that points are given for."""
        return max(20, int(150 * math.sqrt(min(self._share, 1.0))))

    def joined_by_three(self, rows: int) -> int:
        """Return how many conditions are joined by three, any with any."""
        most = math.sqrt(20_000 * self.megabytes / max(1, rows))
        return max(10, int(min(most, 90 * min(self._share, 1.0) ** (1 / 3))))

    @property
    def joined(self) -> int:
        """Conditions that are joined with each other, all with all."""
        return max(20, int(2400 * math.sqrt(min(self._share, 4.0))))
