"""Draw charts for the page, as SVG that fits any width and uses colours of the style sheet.

Horizontal places are percentages of the drawing's width, so that text keeps its size on a phone.
The drawings are built as a tree and serialised, so text in them cannot become markup.
"""

import math
from xml.etree import ElementTree as ET

from llm_pv.programs.shown import visible
from llm_pv.report.charts import COLOURS, BarRow, Bars, Panel, Point, Series, shape_of
from llm_pv.report.comparison import Estimate
from llm_pv.report.text import percent

_HEIGHT = 150.0
_TOP = 8.0
_BAR = 11.0
_MANY = 30
SHAPES = (
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0",
    "M-3.2-3.2h6.4v6.4h-6.4z",
    "M0-4.4L4.2 3.2H-4.2z",
    "M0-4.6L4.6 0L0 4.6L-4.6 0z",
)
"""Marks, so that series differ in shape as well as in colour."""


def draw(chart: Panel | Bars) -> str:
    """Draw a chart of a page as one ``svg`` element."""
    return draw_bars(chart) if isinstance(chart, Bars) else draw_panel(chart)


def draw_panel(panel: Panel) -> str:
    """Draw accuracy over something."""
    svg = _svg(_TOP + _HEIGHT + 38, f"{panel.title}: {panel.unit} by {panel.x_label}")
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


def draw_bars(bars: Bars) -> str:
    """Draw accuracies by setting and method, a group of bars for each setting."""
    height = sum(_row_height(row) for row in bars.rows) + 18
    svg = _svg(height, f"{bars.title}: accuracy by task and method")
    top = 0.0
    for row in bars.rows:
        _text(svg, "0%", top + 12, row.label, "row")
        y = top + 19
        for bar in row.bars:
            kind = "published" if bar.published else f"s{bar.colour % len(COLOURS)}"
            shape = ET.SubElement(
                svg,
                "rect",
                {
                    "x": "0%",
                    "y": _n(y),
                    "width": _p(bar.value),
                    "height": _n(_BAR),
                    "class": f"bar {kind}",
                },
            )
            limits = "" if bar.low is None else f" [{percent(bar.low)}, {percent(bar.high)}]"
            _tip(shape, f"{bar.label}: {percent(bar.value)}%{limits}")
            if bar.low is not None and bar.high is not None:
                _line(svg, (_p(bar.low), y + _BAR / 2), (_p(bar.high), y + _BAR / 2), "limits")
            _text(svg, "100%", y + 9, percent(bar.value), "value", dx=6)
            kind = "inside" if bar.published else "inside own"
            _text(svg, "0%", y + 8.7, bar.label, kind, dx=5)
            y += _BAR + 3
        if row.baseline is not None:
            line = _line(svg, (_p(row.baseline), top + 17), (_p(row.baseline), y), "baseline")
            _tip(line, f"majority baseline: {percent(row.baseline)}%")
        top += _row_height(row)
    _line(svg, ("0%", top), ("100%", top), "axis")
    for share in (0.0, 0.5, 1.0):
        _text(svg, _p(share), top + 14, f"{100 * share:.0f}%", "tick middle")
    return _finished(svg)


def draw_strip(
    test: Estimate | None, *, validation: float | None, baseline: float | None, floor: float | None
) -> str:
    """Draw one accuracy with its limits, the baseline and the certified accuracy.

    Parameters
    ----------
    baseline
        The majority baseline's accuracy on the test rows.
    floor
        The certified accuracy, one less the error bound.
    """
    crowded = test is not None and baseline is not None and abs(test.mean - baseline) < 0.25
    svg = _svg(78, "test accuracy with its limits, the majority baseline, and what is certified")
    ET.SubElement(
        svg, "rect", {"x": "0%", "y": "30", "width": "100%", "height": "14", "class": "track"}
    )
    if floor is not None:
        certified = ET.SubElement(
            svg,
            "rect",
            {"x": _p(floor), "y": "30", "width": _p(1 - floor), "height": "14", "class": "sure"},
        )
        _tip(certified, f"certified: right on at least {percent(floor)}% of new inputs")
        _line(svg, (_p(floor), 26), (_p(floor), 56), "sure-edge")
        if (
            test is None or not crowded or abs(floor - test.mean) >= 0.3
        ):  # otherwise the texts would overlap
            _label(svg, floor, 70, f"certified ≥ {percent(floor)}%", "small")
    if baseline is not None:
        _line(svg, (_p(baseline), 22), (_p(baseline), 48), "baseline strong")
        _label(svg, baseline, 14, f"baseline {percent(baseline)}%", "small")
    if test is not None:
        if test.low is not None and test.high is not None:
            _line(svg, (_p(test.low), 37), (_p(test.high), 37), "range")
        mark = ET.SubElement(svg, "circle", {"cx": _p(test.mean), "cy": "37", "r": "6.5"})
        mark.set("class", "mark s0")
        _tip(mark, f"test: {percent(test.mean)}%")
        _label(svg, test.mean, 14 if not crowded else 70, f"test {percent(test.mean)}%", "strong")
    elif validation is not None:
        mark = ET.SubElement(svg, "circle", {"cx": _p(validation), "cy": "37", "r": "6.5"})
        mark.set("class", "mark s0")
        _label(svg, validation, 14, f"validation {percent(validation)}%", "strong")
    return _finished(svg)


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
    low, high = panel.span
    if panel.logarithmic:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return _p(0.5 if high == low else 0.02 + 0.96 * (value - low) / (high - low))


def _y(panel: Panel, share: float) -> float:
    return _TOP + (panel.top - share) / (panel.top - panel.floor) * _HEIGHT


def _row_height(row: BarRow) -> float:
    return 26 + len(row.bars) * (_BAR + 3)


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
