"""How much one search may try: counted, not timed, so that the same rows give the same programs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What bounds the parts of a search that would grow without end.

    Within each, the shortest candidates come first. The defaults take 1 to 10 seconds on one core
    for up to 1,000 rows, and about 300 MB at most.

    Parameters
    ----------
    reading
        Steps to get numbers and answers off the rows: a character is one where a primitive loops
        over it in Python, a hundredth elsewhere. What would exceed the rest is skipped.
    condition_cells
        Conditions times rows kept in memory, a byte each.
    pair_cells
        Pairs of numbers times rows, for one class; with several classes they share it.
    joined
        Conditions that are joined with each other, all with all.
    """

    reading: float = 6e6
    condition_cells: int = 40_000_000
    pair_cells: int = 2_500_000
    joined: int = 2400
