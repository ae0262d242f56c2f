"""Draw charts for the page, as SVG that fits any width and uses colours of the style sheet.

Horizontal places are percentages of the drawing's width, so that text keeps its size on a phone.
The drawings are built as a tree and serialised, so text in them cannot become markup.
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from llm_pv.programs.shown import visible
from llm_pv.report.charts import COLOURS, Bar, Panel, Point, Series, shape_of
from llm_pv.report.comparison import Estimate
from llm_pv.report.explained import Shape, plain
from llm_pv.report.text import percent

_HEIGHT = 150.0
_TOP = 8.0
_BAR = 12.0
_SHAPE_TOP, _SHAPE_HEIGHT = 16.0, 84.0
_MANY = 30
SHAPES = (
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0",
    "M-3.2-3.2h6.4v6.4h-6.4z",
    "M0-4.4L4.2 3.2H-4.2z",
    "M0-4.6L4.6 0L0 4.6L-4.6 0z",
)
"""Marks, so that series differ in shape as well as in colour."""


def draw_panel(panel: Panel) -> str:
    """Draw accuracy over something."""
    svg = _svg(_TOP + _HEIGHT + 38, _description(panel))
    for value, text in panel.heights:
        y = _y(panel, value)
        _line(svg, ("0%", y), ("100%", y), "axis" if value == panel.floor else "grid")
        _text(svg, "0%", y + 3.5, text, "tick end", dx=-6)
    if panel.baseline is not None:
        y = _y(panel, panel.baseline)
        line = _line(svg, ("0%", y), ("100%", y), "baseline")
        _tip(line, f"majority baseline: {percent(panel.baseline)}%")
    for tick in panel.ticks:
        _text(svg, _x(panel, tick), _TOP + _HEIGHT + 16, _tick_text(tick), "tick middle")
    _text(svg, "50%", _TOP + _HEIGHT + 33, panel.x_label, "label middle")
    for series in panel.series:
        _draw_series(svg, panel, series)
    return _finished(svg)


def draw_bar(bar: Bar, baseline: float | None) -> str:
    """Draw one accuracy with its limits and the majority baseline, without any text."""
    limits = "" if bar.low is None else f", 95% limits {percent(bar.low)} to {percent(bar.high)}"
    svg = _svg(_BAR + 8, f"{percent(bar.value)}%{limits}")
    whole = {"x": "0%", "y": "0", "width": "100%", "height": _n(_BAR + 8), "class": "track"}
    ET.SubElement(svg, "rect", whole)
    kind = "published" if bar.published else f"s{bar.colour % len(COLOURS)}"
    place = {"x": "0%", "y": "4", "width": _p(bar.value), "height": _n(_BAR)}
    ET.SubElement(svg, "rect", place | {"class": f"bar {kind}"})
    if bar.low is not None and bar.high is not None:
        middle = 4 + _BAR / 2
        _line(svg, (_p(bar.low), middle), (_p(bar.high), middle), "limits")
    if baseline is not None:
        line = _line(svg, (_p(baseline), 0), (_p(baseline), _BAR + 8), "baseline")
        _tip(line, f"majority baseline: {percent(baseline)}%")
    return _finished(svg)


def draw_shape(shape: Shape, classes: Sequence[str]) -> str:
    """Draw the training rows of a column as stacked bars, with the cuts as lines."""
    size = max(map(len, shape.bins.values()), default=1)
    totals = [sum(bins[place] for bins in shape.bins.values()) for place in range(size)]
    tallest = max(totals, default=0) or 1
    bottom = _SHAPE_TOP + _SHAPE_HEIGHT
    svg = _svg(bottom + 20, f"{shape.name}: {shape.words}")
    for place in range(size):
        top = bottom
        for number, name in enumerate(classes):
            rows = shape.bins[name][place] if name in shape.bins else 0
            height = _SHAPE_HEIGHT * rows / tallest
            if rows:
                top -= height
                where = {"x": _p(place / size), "y": _n(top)}
                extent = {"width": _p(0.94 / size), "height": _n(height)}
                kind = {"class": f"bar s{number % len(COLOURS)}"}
                ET.SubElement(svg, "rect", where | extent | kind)
    _line(svg, ("0%", bottom), ("100%", bottom), "axis")
    for cut in shape.cuts:
        share = (cut - shape.low) / (shape.high - shape.low)
        if 0 <= share <= 1:
            _line(svg, (_p(share), _SHAPE_TOP - 2), (_p(share), bottom), "cut")
            _label(svg, share, _SHAPE_TOP - 5, plain(cut), "small")
    _text(svg, "0%", bottom + 15, plain(shape.low), "tick")
    _text(svg, "100%", bottom + 15, plain(shape.high), "tick end")
    return _finished(svg)


def draw_strip(
    test: Estimate | None, *, validation: float | None, baseline: float | None, floor: float | None
) -> str:
    """Draw one accuracy with its limits, the baseline and the certified accuracy.

    Parameters
    ----------
    floor
        The certified accuracy, one less the error bound.
    """
    svg = _svg(94, _strip_description(test, validation, baseline, floor))
    ET.SubElement(
        svg, "rect", {"x": "0%", "y": "26", "width": "100%", "height": "14", "class": "track"}
    )
    if floor is not None:
        place = {"x": _p(floor), "y": "26", "width": _p(1 - floor), "height": "14"}
        ET.SubElement(svg, "rect", place | {"class": "sure"})
        _line(svg, (_p(floor), 22), (_p(floor), 74), "sure-edge")
        _label(svg, floor, 88, f"certified ≥ {percent(floor)}%", "small")
    if baseline is not None:
        _line(svg, (_p(baseline), 22), (_p(baseline), 50), "baseline strong")
        _label(svg, baseline, 64, f"baseline {percent(baseline)}%", "small")
    name, value = ("validation", validation) if test is None else ("test", test.mean)
    if test is not None and test.low is not None and test.high is not None:
        _line(svg, (_p(test.low), 33), (_p(test.high), 33), "range")
    if value is not None:
        ET.SubElement(svg, "circle", {"cx": _p(value), "cy": "33", "r": "6.5", "class": "mark s0"})
        _label(svg, value, 14, f"{name} {percent(value)}%", "strong")
    return _finished(svg)


def _strip_description(
    test: Estimate | None, validation: float | None, baseline: float | None, floor: float | None
) -> str:
    figures = {
        "test accuracy": test.mean if test else None,
        "validation accuracy": validation if test is None else None,
        "majority baseline": baseline,
        "certified accuracy at least": floor,
    }
    return ", ".join(f"{name} {percent(v)}%" for name, v in figures.items() if v is not None)


def _description(panel: Panel) -> str:
    """Return what a panel shows, with the last value of each series."""
    ends = [
        f"{series.label}{', best' if series.kind == 'steps' else ''} "
        f"{percent(series.points[-1].y)}% at {_tick_text(series.points[-1].x)}"
        for series in panel.series
        if panel.unit == "accuracy" and series.kind != "points"
    ]
    title = f"{panel.title}: " if panel.title else ""
    return f"{title}{panel.unit} by {panel.x_label}" + (f"; {', '.join(ends)}" if ends else "")


def _draw_series(svg: ET.Element, panel: Panel, series: Series) -> None:
    number = series.colour % len(COLOURS)
    many = " many" if len(series.points) > _MANY else ""
    many += " reference" if series.reference else ""
    group = ET.SubElement(svg, "g", {"class": f"series s{number}{many}"})
    previous: Point | None = None
    for point in series.points:
        x, y = _x(panel, point.x), _y(panel, point.y)
        if previous is not None and series.kind != "points":
            before = _y(panel, previous.y)
            if series.kind == "steps":
                _line(group, (_x(panel, previous.x), before), (x, before), "join")
                _line(group, (x, before), (x, y), "join")
            else:
                _line(group, (_x(panel, previous.x), before), (x, y), "join")
        previous = point
    if series.kind == "steps":
        return
    for point in series.points:
        x, y = _x(panel, point.x), _y(panel, point.y)
        if point.low is not None and point.high is not None and point.high > point.low:
            _line(group, (x, _y(panel, point.low)), (x, _y(panel, point.high)), "limits")
        place = ET.SubElement(group, "svg", {"x": x, "y": _n(y), "overflow": "visible"})
        shape = SHAPES[shape_of(series.colour)]
        mark = ET.SubElement(place, "path", {"d": shape, "class": "mark"})
        if point.note:
            _tip(mark, point.note)


def _x(panel: Panel, value: float) -> str:
    return _p(0.02 + 0.96 * panel.place(value))


def _y(panel: Panel, share: float) -> float:
    return _TOP + (panel.top - share) / (panel.top - panel.floor) * _HEIGHT


def _tick_text(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _svg(height: float, description: str) -> ET.Element:
    return ET.Element(
        "svg",
        {
            "class": "plot",
            "height": _n(height),
            "role": "img",
            "aria-label": visible(description),
        },
    )


def _line(
    parent: ET.Element, start: tuple[str, float], end: tuple[str, float], kind: str
) -> ET.Element:
    (x1, y1), (x2, y2) = start, end
    places = {"x1": x1, "y1": _n(y1), "x2": x2, "y2": _n(y2), "class": kind}
    return ET.SubElement(parent, "line", places)


def _text(parent: ET.Element, x: str, y: float, text: str, kind: str, *, dx: float = 0) -> None:
    element = ET.SubElement(parent, "text", {"x": x, "y": _n(y), "class": kind})
    if dx:
        element.set("dx", _n(dx))
    element.text = visible(text, 70)


def _label(parent: ET.Element, share: float, y: float, text: str, kind: str) -> None:
    """Write a text at a share of the width so that it does not leave the drawing."""
    side = "start" if share < 0.2 else ("end" if share > 0.8 else "middle")
    _text(parent, _p(share), y, text, f"{kind} {side}")


def _tip(element: ET.Element, text: str) -> None:
    ET.SubElement(element, "title").text = visible(text)


def _finished(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode")


def _p(share: float) -> str:
    return f"{_n(100 * share)}%"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
