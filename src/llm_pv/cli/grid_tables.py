"""Print the results of a grid in a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_pv.cli.output import make_table, places
from llm_pv.report.text import count, percent, spread
from llm_pv.stats import MeanStd
from llm_pv.tracks.published import LLM_PV_METHODS, OTHER_METHODS, SOURCE
from llm_pv.tracks.synthesis.results import CellResult, GridResult

_MOST_WARNINGS = 2
"""The notes of a cell that are printed; the trials of a cell mostly say the same."""


def print_grid(result: GridResult, console: Console) -> None:
    """Print a grid's results beside the published figures, and the cells that failed."""
    console.print(grid_table(result))
    console.print(_footnotes(result))


def grid_table(result: GridResult) -> Table:
    """Return a table with a line for each cell, in percent, within 80 columns if names allow."""
    columns = ["task", "test", "attempts", "hard", "other\nlengths"]
    has_published = any(cell.published_test_accuracy for cell in result.cells)
    published = ["published: LLM-PV,\nand best other"] if has_published else []
    title = f"Test accuracy in percent, {result.sampler} sampler"
    table = make_table([*columns, *published], title=title, left=published, italic=published)
    for cell in result.cells:
        done = cell.test_accuracy.trials if cell.test_accuracy else 0
        row = [
            f"{cell.function} L={cell.length}\n{cell.name if cell.name != cell.function else ''}",
            f"{spread(cell.test_accuracy)}\n{done}/{sum(cell.statuses.values())} trials",
            _attempts(cell),
            spread(cell.hard_accuracy and MeanStd(cell.hard_accuracy.mean, None, 0)),
            "\n".join(
                f"{length}: {spread(MeanStd(figure.mean, None, 0))}"
                for length, figure in cell.other_lengths.items()
            ),
        ]
        if has_published:
            row.append(_published(cell.published_test_accuracy))
        table.add_row(*row, style="" if cell.test_accuracy else "dim")
    return table


def _attempts(cell: CellResult) -> str:
    if not cell.attempts:
        return ""
    low, high = min(cell.attempts), max(cell.attempts)
    return str(low) if low == high else f"{low} to {high}"


def _published(figures: dict[str, float]) -> str:
    """Name the best published LLM-PV figure and the best of the other methods."""
    lines = []
    for methods in (LLM_PV_METHODS, OTHER_METHODS):
        known = [method for method in methods if method in figures]
        if known:
            best = max(known, key=lambda method: figures[method])
            lines.append(f"{percent(figures[best])} {best.removeprefix('LLM-PV-')}")
    return "\n".join(lines)


def _footnotes(result: GridResult) -> Text:
    text = Text()
    text.append(
        "± is the standard deviation over trials (ddof=1). Hard and other lengths: the selected "
        "programs on 1,000 rows of the hard sampler, and at twice the length and so on.\n",
        style="dim",
    )
    if any(cell.published_test_accuracy for cell in result.cells):
        text.append(
            f"Published: the best LLM-PV figure and the best other one of {SOURCE}.\n", style="dim"
        )
    for cell in result.cells:
        for status, number in cell.statuses.items():
            if status != "done":
                label = f"{status} ({number}): {cell.function} at length {cell.length}: "
                text.append("\n" + label, style="yellow").append("; ".join(cell.reasons))
    notes: dict[str, list[str]] = {}
    for cell in result.cells:
        for warning in cell.warnings[:_MOST_WARNINGS]:
            notes.setdefault(warning, []).append(f"{cell.function} at length {cell.length}")
    for warning, settings in notes.items():
        where = settings[0] if len(settings) == 1 else f"{len(settings)} settings"
        text.append(f"\n{where}: ", style="yellow").append(warning)
    more = sum(max(0, len(cell.warnings) - _MOST_WARNINGS) for cell in result.cells)
    text.append(f"\n{count(more, 'more note')}, in results_attempts.jsonl" if more else "", "dim")
    return text.append(f"\n{places(result.path)}")
