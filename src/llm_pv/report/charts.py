"""The content of figures, independent of the renderer: SVG in the page, or matplotlib files.

Every bar, and every vertical axis but that of a loss, is an accuracy. Bars start at 0; an axis of
accuracies starts at one half if no value is below it.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

COLOURS = (
    "#0f6a80",
    "#a84a10",
    "#5e4fa2",
    "#27703f",
    "#ad2f5f",
    "#8a6d1d",
    "#4d5a66",
    "#1f4e9c",
)
"""The colours of series, the same in files and on a light page; reused for further series."""

_SHAPES = 4

_TICKS_APART = 0.08
"""The least distance of two ticks that were measured, as a share of the axis."""

Unit: TypeAlias = Literal["accuracy", "loss"]


def shape_of(number: int) -> int:
    """Return which of four shapes a series has; shape and colour are unique among 32 series."""
    return (number + number // len(COLOURS)) % _SHAPES


@dataclass(frozen=True)
class Point:
    """One measured accuracy, with its 95% limits if known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one method in one colour."""

    label: str
    points: tuple[Point, ...]
    colour: int
    "Its number among the colours."
    kind: Literal["line", "points", "steps"] = "line"
    "Joined by a line, alone, or as steps without marks."
    reference: bool = False
    "Whether it was not measured here: drawn as a dashed line."


@dataclass(frozen=True)
class Panel:
    """Accuracy over something, for several series."""

    title: str
    x_label: str
    series: tuple[Series, ...]
    "The series, at least one with a point."
    logarithmic: bool = False
    "Whether x is on a logarithmic scale; every x is above 0 then."
    baseline: float | None = None
    "The majority baseline's accuracy, drawn as a dashed line; None for none."
    unit: Unit = "accuracy"

    @property
    def words(self) -> str:
        """Its points as a sentence where two at most were measured; else empty, and it is drawn."""
        if sum(len(series.points) for series in self.series if not series.reference) > 2:
            return ""
        points = [(series.label, point) for series in self.series for point in series.points]
        said = [p.note or f"{label}: {p.y:.3g} at {p.x:,.4g}" for label, p in points]
        return "; ".join(said)

    @property
    def top(self) -> float:
        """The end of the vertical axis: 1, or the largest loss."""
        if self.unit == "accuracy":
            return 1.0
        return max(p.high or p.y for s in self.series for p in s.points) or 1.0

    @property
    def heights(self) -> tuple[tuple[float, str], ...]:
        """The values of the vertical axis with their texts, from its start to its end."""
        values = [self.floor + (self.top - self.floor) * quarter / 4 for quarter in range(5)]
        scale = 100 if self.unit == "accuracy" else 1
        return tuple((value, f"{scale * value:.3g}") for value in values)

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and the largest x."""
        values = [point.x for series in self.series for point in series.points]
        return min(values), max(values)

    def place(self, x: float) -> float:
        """Return where x lies between the ends of the horizontal axis, from 0 to 1."""
        low, high = self.span
        if low == high:
            return 0.5
        if self.logarithmic:
            low, high, x = math.log(low), math.log(high), math.log(x)
        return (x - low) / (high - low)

    @property
    def floor(self) -> float:
        """The start of the vertical axis: 0, or one half if no value is less."""
        if self.unit == "loss":
            return 0.0
        drawn = [p.y if p.low is None else p.low for s in self.series for p in s.points]
        if self.baseline is not None:
            drawn.append(self.baseline)
        return 0.5 if min(drawn) >= 0.5 else 0.0

    @property
    def ticks(self) -> tuple[float, ...]:
        """The tick values of x: few, and values that occur if possible."""
        values = sorted({point.x for series in self.series for point in series.points})
        if len(values) <= 6:
            last = values.pop()
            apart: list[float] = []
            for value in values:
                before = self.place(apart[-1]) if apart else -1.0
                if min(self.place(value) - before, 1 - self.place(value)) >= _TICKS_APART:
                    apart.append(value)
            return (*apart, last)
        if self.logarithmic:
            return (values[0], values[len(values) // 2], values[-1])
        low, high = self.span
        steps = (low + (high - low) * part / 4 for part in range(5))
        whole = all(value == int(value) for value in values)
        return tuple(dict.fromkeys(round(step) if whole else step for step in steps))


@dataclass(frozen=True)
class Bar:
    """One method's accuracy in one setting; ``published`` ones were not measured here."""

    label: str
    value: float
    low: float | None
    high: float | None
    colour: int
    published: bool = False


@dataclass(frozen=True)
class BarRow:
    """The bars of one setting."""

    label: str
    bars: tuple[Bar, ...]
    baseline: float | None = None


@dataclass(frozen=True)
class Bars:
    """Accuracies by setting and method."""

    title: str
    rows: tuple[BarRow, ...]


@dataclass(frozen=True)
class Figure:
    """Panels that belong together."""

    name: str
    "The stem of its files' names."
    title: str
    caption: str
    panels: tuple[Panel | Bars, ...]

    @property
    def legend(self) -> tuple[tuple[str, int], ...]:
        """Each series' name and colour, what was measured before what was not."""
        drawn: dict[tuple[bool, int, str], None] = {}
        for panel in self.panels:
            if isinstance(panel, Bars):
                bars = (bar for row in panel.rows for bar in row.bars if not bar.published)
                drawn |= {(False, bar.colour, bar.label): None for bar in bars}
            else:
                drawn |= {(line.reference, line.colour, line.label): None for line in panel.series}
        ordered = sorted(drawn, key=lambda key: (key[0], 0 if key[0] else key[1]))
        return tuple((label, colour) for _, colour, label in ordered)
