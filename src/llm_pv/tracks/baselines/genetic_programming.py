"""Genetic programming over AND, OR, XOR and NOT of bits of a row.

Bits are packed into whole numbers, one bit a row, so that one operation does all rows. A feature of
two values is one bit; a character is one bit for each symbol of its position, a quantity one bit
for each of a few thresholds, all derived from training rows. Constant features give no bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from llm_pv.tracks.baselines.base import (
    Baseline,
    Codes,
    Fitted,
    SearchName,
    Setting,
    Settings,
    missing_package,
)
from llm_pv.tracks.baselines.features import Features, Kind

if TYPE_CHECKING:
    from llm_pv.tracks.baselines.evolution import BitExpression


DEEPEST = 17
"""The deepest expression of the published grid: the usual limit, for the published one is not known
(Koza, Genetic Programming, 1992)."""

MOST_SYMBOLS = 16
"""Symbols of one position that get a bit: the most frequent ones."""

THRESHOLDS = 7
"""Thresholds of a quantity: the octiles of its training values, or fewer."""


@dataclass(frozen=True)
class Bit:
    """One bit of a row: whether a feature is above a threshold, or equal to a symbol."""

    feature: int
    value: float
    "The threshold, or the symbol."
    is_threshold: bool
    "Which of the two."


def fit_bits(features: Features) -> list[Bit]:
    """Choose the bits that tell training rows apart.

    Examples
    --------
    >>> rows = Features(np.array([[0.0, 5.0], [1.0, 5.0]]), ("symbol", "number"))
    >>> fit_bits(rows)
    [Bit(feature=0, value=0.5, is_threshold=True)]
    """
    return [
        bit
        for position, kind in enumerate(features.kinds)
        for bit in _column_bits(position, features.matrix[:, position], kind)
    ]


def pack(features: Features, bits: list[Bit]) -> list[int]:
    """Return one whole number for each bit of a row; its bit i, from the lowest, is row i's.

    Examples
    --------
    >>> pack(Features(np.array([[0.0], [2.0], [2.0]]), ("symbol",)), [Bit(0, 2.0, False)])
    [6]
    """
    columns = features.matrix.T
    return [
        pack_bits(
            columns[bit.feature] > bit.value
            if bit.is_threshold
            else columns[bit.feature] == bit.value
        )
        for bit in bits
    ]


def pack_bits(bits: npt.NDArray[np.bool_]) -> int:
    """Return some rows' bits as one whole number, the first row's the lowest."""
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def unpack(packed: int, rows: int) -> npt.NDArray[np.bool_]:
    """Return the bits of a whole number, one a row.

    Examples
    --------
    >>> unpack(6, 3).tolist()
    [False, True, True]
    """
    data = np.frombuffer(packed.to_bytes((rows + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(data, count=rows, bitorder="little").astype(bool)


def _column_bits(position: int, column: npt.NDArray[np.floating[Any]], kind: Kind) -> list[Bit]:
    values, counts = np.unique(column, return_counts=True)
    if len(values) == 1:
        return []
    if kind == "symbol" and len(values) > 2:
        frequent = values[np.argsort(-counts, kind="stable")[:MOST_SYMBOLS]]
        return [Bit(position, float(value), is_threshold=False) for value in np.sort(frequent)]
    middles = (values[1:] + values[:-1]) / 2
    if len(middles) > THRESHOLDS:
        shares = np.arange(1, THRESHOLDS + 1) / (THRESHOLDS + 1)
        octiles = np.quantile(column, shares, method="lower")
        middles = middles[np.unique(np.clip(np.searchsorted(values, octiles), 0, len(middles) - 1))]
    return [Bit(position, float(middle), is_threshold=True) for middle in middles]


class GeneticProgramming(Baseline):
    """Boolean expressions, evolved; of several classes, one against the rest."""

    name = "genetic_programming"
    modules = ("llm_pv.tracks.baselines.evolution",)
    grid_by_validation = True

    def grid(self, search: SearchName) -> Mapping[str, Sequence[Setting]]:
        """Return populations and depths; as published, it never stops before its time."""
        if search == "grid":
            return {
                "population": (300, 500),
                "initial_depth": (6, 10),
                "mutation_depth": (4, 6),
                "generations": (80,),
                "depth": (DEEPEST,),
                "elite": (0.05,),
                "size_penalty": (1e-4,),
                "stop_when_fit": (False,),
            }
        return {
            "population": (300, 500),
            "depth": (6, 10),
            "generations": (80,),
            "stop_when_fit": (True,),
        }

    def obstacle(self) -> str:
        """Return what to install."""
        return missing_package("deap", "run genetic programming")

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Evolve an expression for the second of two classes, or one for each of more."""
        from llm_pv.tracks.baselines.evolution import Evolution, evolve

        values: Any = settings
        how = Evolution(**values)
        bits = fit_bits(features)
        if not bits:  # rows that are all alike
            return Fitted(lambda rows, _: np.full(len(rows), np.bincount(codes).argmax()))
        columns, rows = pack(features, bits), len(features)
        counts = np.bincount(codes)
        wanted = [1] if len(counts) == 2 else list(range(len(counts)))
        seeds = np.random.SeedSequence(seed).generate_state(len(wanted))
        rules = [
            (code, evolve(columns, pack_bits(codes == code), rows, how, int(own_seed)))
            for code, own_seed in zip(wanted, seeds, strict=True)
        ]
        if len(counts) == 2:
            return Fitted(_Rules(bits, rules, otherwise=0).predict)

        def precision(rule: "tuple[int, BitExpression]") -> float:
            says = unpack(rule[1].run(columns, rows), rows)
            return float((says & (codes == rule[0])).sum() / max(1, says.sum()))

        rules.sort(key=precision, reverse=True)  # where several say yes, the surest of them
        return Fitted(_Rules(bits, rules, otherwise=int(counts.argmax())).predict)


@dataclass(frozen=True)
class _Rules:
    """Classes with their expressions, the first that says yes winning, and what holds else."""

    bits: list[Bit]
    rules: "list[tuple[int, BitExpression]]"
    otherwise: int

    def predict(self, features: Features, _: Settings) -> Codes:
        columns, rows = pack(features, self.bits), len(features)
        says = [unpack(expression.run(columns, rows), rows) for _, expression in self.rules]
        codes = [code for code, _ in self.rules]
        return np.asarray(np.select(says, codes, self.otherwise), dtype=np.intp)
