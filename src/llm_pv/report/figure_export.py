"""Write figures as SVG and PDF files with matplotlib; equal figures give equal bytes."""

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llm_pv.errors import MissingExtraError
from llm_pv.programs.shown import visible
from llm_pv.report.charts import COLOURS, Bars, Figure, Panel, Series, shape_of
from llm_pv.report.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

_COLUMNS, _BAR_COLUMNS = 3, 2
_WIDTH, _BAR_WIDTH, _HEIGHT = 3.6, 6.0, 2.5
_MARKERS = ("o", "s", "^", "D")
_STYLE: Any = {
    "svg.hashsalt": "llm-pv",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 8,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f94",
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "text.color": "#1d2125",
    "text.usetex": False,
    "text.parse_math": False,
}


def draw_files(figure: Figure) -> Iterator[tuple[str, bytes]]:
    """Draw a figure and yield the file name endings with the contents.

    Raise MissingExtraError if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "write figures as files") from error
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style does not change what a report looks like
        mpl.rcParams.update(_STYLE)
        drawn = _matplotlib_figure(figure)
        for kind, metadata in (
            ("svg", {"Date": None, "Creator": "llm-pv"}),
            ("pdf", {"CreationDate": None, "Creator": "llm-pv", "Producer": "llm-pv"}),
        ):
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, metadata=metadata)
            yield kind, buffer.getvalue()


def _matplotlib_figure(figure: Figure) -> "MatplotlibFigure":
    from matplotlib.figure import Figure as MatplotlibFigure
    from matplotlib.lines import Line2D

    has_bars = any(isinstance(panel, Bars) for panel in figure.panels)
    rows = math.ceil(len(figure.panels) / (_BAR_COLUMNS if has_bars else _COLUMNS))
    columns = math.ceil(len(figure.panels) / rows)
    tall = max(_bars_height(panel) for panel in figure.panels)
    width = (_BAR_WIDTH if has_bars else _WIDTH) * columns
    drawn = MatplotlibFigure(figsize=(width, tall * rows), layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number < len(figure.panels):
            panel = figure.panels[number]
            if isinstance(panel, Bars):
                _draw_bars(axes, panel)
            else:
                _draw_panel(axes, panel)
        else:
            axes.set_axis_off()
    drawn.suptitle(visible(figure.title), x=0.01, ha="left", fontsize=10, fontweight="bold")
    handles = [
        Line2D([], [], color=_colour(number), marker=_marker(number), label=_label(label))
        for label, number in figure.legend
    ]
    if not has_bars:  # names are beside the bars
        drawn.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)
    drawn.draw_without_rendering()
    drawn.set_layout_engine("none")  # laid out once, for both files
    return drawn


def _bars_height(panel: Panel | Bars) -> float:
    if not isinstance(panel, Bars):
        return _HEIGHT
    return 0.8 + sum(0.3 + 0.16 * len(row.bars) for row in panel.rows)


def _draw_panel(axes: "Axes", panel: Panel) -> None:
    axes.set_title(visible(panel.title, 60))
    axes.set_xlabel(visible(panel.x_label))
    room = panel.top - panel.floor
    axes.set_ylim(panel.floor - 0.03 * room, panel.top + 0.03 * room)
    sign = "%" if panel.unit == "accuracy" else ""
    values, texts = zip(*panel.heights, strict=True)
    axes.set_yticks(values, [f"{text}{sign}" for text in texts])
    axes.grid(axis="y", color="#e3e3e0", linewidth=0.6)
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(panel.ticks, [f"{tick:,.4g}" for tick in panel.ticks])
    axes.minorticks_off()
    if panel.baseline is not None:
        axes.axhline(panel.baseline, color="#6b7178", linestyle="--", linewidth=0.8)
    for series in panel.series:
        xs, ys = [point.x for point in series.points], [point.y for point in series.points]
        colour = _colour(series.colour)
        if series.kind == "steps":
            axes.step(xs, ys, where="post", color=colour)
            continue
        axes.plot(
            xs,
            ys,
            color=colour,
            marker=_marker(series.colour),
            markersize=4,
            linestyle=_line_style(series),
        )
        for point in series.points:
            if point.low is not None and point.high is not None:
                axes.vlines(point.x, point.low, point.high, color=colour, linewidth=0.9)


def _line_style(series: Series) -> str:
    if series.kind != "line":
        return "none"
    return "--" if series.reference else "-"


def _draw_bars(axes: "Axes", bars: Bars) -> None:
    axes.set_title(visible(bars.title, 60))
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.spines["left"].set_visible(False)
    names: dict[float, str] = {}
    y = 0.0
    for row in bars.rows:
        axes.text(0, y, _label(row.label, 60), va="center", fontsize=7.5)
        top = y + 0.5
        y += 1
        for bar in row.bars:
            colour = "#4d5a66" if bar.published else _colour(bar.colour)
            face = "none" if bar.published else colour
            style = "--" if bar.published else "-"
            axes.barh(y, bar.value, 0.8, color=face, edgecolor=colour, linestyle=style)
            names[y] = _label(bar.label)
            if bar.low is not None and bar.high is not None:
                axes.hlines(y, bar.low, bar.high, color="#1d2125", linewidth=0.9)
            axes.text(1.02, y, percent(bar.value), va="center", fontsize=7)
            y += 1
        if row.baseline is not None:
            axes.vlines(row.baseline, top, y - 0.5, color="#6b7178", linestyle="--", linewidth=0.8)
        y += 0.5
    axes.set_yticks(list(names), list(names.values()), fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y, -0.8)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _marker(number: int) -> str:
    return _MARKERS[shape_of(number)]


def _label(text: str, longest: int = 50) -> str:
    """Return a text for a legend; matplotlib omits labels that start with an underscore."""
    shown = visible(text, longest)
    return f" {shown}" if shown.startswith("_") else shown
