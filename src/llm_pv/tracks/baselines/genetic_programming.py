"""Genetic programming over AND, OR, XOR and NOT of bits of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llm_pv.tracks.baselines.base import (
    Baseline,
    Codes,
    Fitted,
    SearchName,
    Setting,
    Settings,
    missing_package,
)
from llm_pv.tracks.baselines.booleans import Bit, fit_bits, pack, pack_bits, unpack
from llm_pv.tracks.baselines.features import Features

if TYPE_CHECKING:
    from llm_pv.tracks.baselines.evolution import Expression


DEEPEST = 17
"""The deepest expression of the published grid: the usual limit, for the published one is not known
(Koza, Genetic Programming, 1992)."""


class GeneticProgramming(Baseline):
    """Boolean expressions, evolved; of several classes, one against the rest."""

    name = "genetic_programming"
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

        def precision(rule: "tuple[int, Expression]") -> float:
            says = unpack(rule[1].run(columns, rows), rows)
            return float((says & (codes == rule[0])).sum() / max(1, says.sum()))

        rules.sort(key=precision, reverse=True)  # where several say yes, the surest of them
        return Fitted(_Rules(bits, rules, otherwise=int(counts.argmax())).predict)


@dataclass(frozen=True)
class _Rules:
    """Classes with their expressions, the first that says yes winning, and what holds else."""

    bits: list[Bit]
    rules: "list[tuple[int, Expression]]"
    otherwise: int

    def predict(self, features: Features, _: Settings) -> Codes:
        columns, rows = pack(features, self.bits), len(features)
        says = [unpack(expression.run(columns, rows), rows) for _, expression in self.rules]
        codes = [code for code, _ in self.rules]
        return np.asarray(np.select(says, codes, self.otherwise), dtype=np.intp)
