"""The metrics of selection: accuracy, balanced accuracy, F1 or the cost of mistakes."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from llm_pv.errors import ConfigurationError

_NAME = r'(\s*"[^"]*"\s*|.*?)'
_COST = re.compile(f"{_NAME} as {_NAME}=([^=]*)")

MetricName = Literal["accuracy", "balanced-accuracy", "f1", "cost"]


@dataclass(frozen=True)
class Metric:
    """The loss of validation predictions; the program with the least loss is selected.

    Examples
    --------
    >>> metric = Metric("cost", {("ill", "well"): 5.0})
    >>> metric.loss(["well", "ill", "ill"], ["ill", "well", "ill"])
    2.0
    """

    name: MetricName = "accuracy"
    """``"accuracy"``: the weight of rows that are wrong. ``"balanced-accuracy"``: the mean over
    classes of the share that is missed. ``"f1"``: 1 less the mean of the classes' F1. ``"cost"``:
    the mean cost of a row."""
    costs: Mapping[tuple[str, str], float] = field(default_factory=lambda: MappingProxyType({}))
    """For ``"cost"``: what it costs to take a row of the first class for the second; 1 where it is
    not named. A row without an answer costs the dearest mistake of its class."""

    def __post_init__(self) -> None:
        if self.name not in get_args(MetricName):
            known = ", ".join(get_args(MetricName))
            raise ConfigurationError(f"metric {self.name!r}: give one of {known}")
        if self.costs and self.name != "cost":
            raise ConfigurationError(f"costs are for the metric 'cost', not for {self.name!r}")
        for (label, guess), cost in self.costs.items():
            if not 0 <= cost < math.inf or label == guess:
                raise ConfigurationError(
                    f"cost {label!r} as {guess!r} = {cost}: give two classes and a number from 0 on"
                )

    def check(self, classes: Sequence[str]) -> None:
        """Raise an error if a cost names an unknown class.

        Raise ConfigurationError if so.
        """
        for label in {name for pair in self.costs for name in pair}:
            if label not in classes:
                raise ConfigurationError(
                    f"--cost names the class {label!r}; the classes are {', '.join(classes[:12])}"
                )

    def loss(
        self,
        predictions: Sequence[str | None],
        labels: Sequence[str],
        weights: Sequence[float] | None = None,
    ) -> float:
        """Return the loss of predictions; each row has weight 1 if no weights are given."""
        if weights is None:
            weights = [1] * len(labels)
        counts: Counter[tuple[str, str | None]] = Counter()
        for guess, label, weight in zip(predictions, labels, weights, strict=True):
            counts[label, guess] += weight  # type: ignore[assignment]
        if self.name == "accuracy":
            return sum(weight for (label, guess), weight in counts.items() if label != guess)
        if self.name == "cost":
            total = sum(weight * self._cost(*pair) for pair, weight in counts.items())
            return total / (sum(counts.values()) or 1)
        return 1 - (_balanced if self.name == "balanced-accuracy" else _macro_f1)(counts)

    def _cost(self, label: str, guess: str | None) -> float:
        if guess == label:
            return 0.0
        if guess is None:
            return max([1.0, *(cost for (of, _), cost in self.costs.items() if of == label)])
        return self.costs.get((label, guess), 1.0)

    def row_weights(
        self, labels: Sequence[str], weights: Sequence[float] | None = None
    ) -> list[float] | None:
        """Return factors of row weights that make the weight of mistakes the loss; None for 1 each.

        Proposers that look for rules with few mistakes get them with the training rows. F1 is no
        sum over rows: its factors are those of balanced accuracy.

        Parameters
        ----------
        weights
            The weight of each row, 1 if not given. Under balanced accuracy those of a whole class
            cancel, as in the metric itself.
        """
        if self.name == "accuracy":
            return None
        if self.name == "cost":
            return [self._cost(label, None) for label in labels]
        of_class: defaultdict[str, float] = defaultdict(float)
        for label, weight in zip(labels, weights or [1.0] * len(labels), strict=True):
            of_class[label] += weight
        total = sum(of_class.values()) / len(of_class)
        return [total / (of_class[label] or 1.0) for label in labels]

    def share(self, loss: float, weight: float) -> float:
        """Return a loss as a score, of which 1 is the best."""
        if self.name == "accuracy":
            return 1 - loss / weight if weight else 0.0
        return 1 - loss

    def record(self) -> dict[str, Any]:
        """Return the metric as plain JSON values."""
        costs = {f"{label} as {guess}": cost for (label, guess), cost in self.costs.items()}
        return {"name": self.name} | ({"costs": costs} if costs else {})


ACCURACY = Metric()


def _balanced(counts: Mapping[tuple[str, str | None], float]) -> float:
    total: defaultdict[str, float] = defaultdict(float)
    for (label, _), weight in counts.items():
        total[label] += weight
    recalls = [counts.get((label, label), 0) / weight for label, weight in total.items() if weight]
    return sum(recalls) / len(recalls) if recalls else 0.0


def _macro_f1(counts: Mapping[tuple[str, str | None], float]) -> float:
    """Return the mean of the F1 of the classes that occur among labels or predictions."""
    known = {label for label, _ in counts} | {guess for _, guess in counts if guess is not None}
    figures = []
    for name in known:
        hits = counts.get((name, name), 0)
        said = sum(weight for (_, guess), weight in counts.items() if guess == name)
        there = sum(weight for (label, _), weight in counts.items() if label == name)
        figures.append(2 * hits / (said + there) if said + there else 0.0)
    return sum(figures) / len(figures) if figures else 0.0


def parse_costs(items: Sequence[str]) -> dict[tuple[str, str], float]:
    """Parse options such as ``"ill as well=5"``.

    A class may be in double quotes, and must be if its name holds `` as ``. Raise
    ConfigurationError if an option has another form.

    Examples
    --------
    >>> parse_costs(["ill as well=5", '"sick as a dog" as well=9'])
    {('ill', 'well'): 5.0, ('sick as a dog', 'well'): 9.0}
    """
    costs = {}
    for item in items:
        found = _COST.fullmatch(item)
        names = [part.strip() for part in found.groups()[:2]] if found else []
        try:
            if not found or any(" as " in name and not _quoted(name) for name in names):
                raise ValueError
            label, guess = (name[1:-1] if _quoted(name) else name for name in names)
            costs[label, guess] = float(found[3])
        except ValueError:
            raise ConfigurationError(
                f"--cost {item!r}: write 'A as B=NUMBER', what it costs to take an A for a B, with "
                "a name that holds ' as ' in double quotes"
            ) from None
    return costs


def _quoted(name: str) -> bool:
    return len(name) > 1 and name[0] == name[-1] == '"'
