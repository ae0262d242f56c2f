"""What a finished grid looks like in a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_pv.grid.published import LLM_PV_METHODS, OTHER_METHODS, SOURCE
from llm_pv.grid.results import CellResult, GridResult, Spread


def print_grid(result: GridResult, console: Console) -> None:
    """Print a grid's results beside the published figures, and what could not be done."""
    console.print(grid_table(result))
    console.print(_footnotes(result))


def grid_table(result: GridResult) -> Table:
    """Lay out a line for each cell with at least one program, accuracies in percent."""
    table = Table(
        title=Text(f"Test accuracy in percent, {result.sampler} sampler"), title_justify="left"
    )
    table.add_column("task")
    for header in ("L", "test", "trials", "attempts", "hard data", "other lengths"):
        table.add_column(header, justify="right")
    has_published = any(cell.published for cell in result.cells)
    if has_published:
        for method in LLM_PV_METHODS:
            table.add_column(f"published: {method.removeprefix('LLM-PV-')}", justify="right")
        table.add_column("published: best other", justify="right")
    for cell in result.cells:
        row = [
            f"{cell.function} {cell.name}" if cell.function != cell.name else cell.name,
            str(cell.length),
            in_percent(cell.test),
            f"{cell.test.trials if cell.test else 0}/{sum(cell.statuses.values())}",
            _attempts(cell),
            in_percent(cell.hard),
            "\n".join(f"{length}: {in_percent(s)}" for length, s in cell.other_lengths.items()),
        ]
        if has_published:
            row += [_figure(cell.published.get(method)) for method in LLM_PV_METHODS]
            row.append(_best_other(cell.published))
        table.add_row(*row, style="" if cell.test else "dim")
    return table


def in_percent(spread: Spread | None) -> str:
    """Write a mean and its standard deviation in percent.

    Examples
    --------
    >>> in_percent(Spread(0.987, 0.0123, 5)), in_percent(Spread(1.0, None, 1)), in_percent(None)
    ('98.7 ± 1.2', '100.0', '')
    """
    if spread is None:
        return ""
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"


def _attempts(cell: CellResult) -> str:
    if not cell.attempts:
        return ""
    low, high = min(cell.attempts), max(cell.attempts)
    return str(low) if low == high else f"{low} to {high}"


def _figure(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _best_other(figures: dict[str, float]) -> str:
    others = {method: figures[method] for method in OTHER_METHODS if method in figures}
    if not others:
        return ""
    best = max(others, key=lambda method: others[method])
    return f"{100 * others[best]:.1f} {best}"


def _footnotes(result: GridResult) -> Text:
    text = Text()
    text.append(
        "± is the standard deviation over trials (ddof=1). Hard data and other lengths: the "
        "selected programs on 1,000 rows each.\n",
        style="dim",
    )
    if any(cell.published for cell in result.cells):
        text.append(f"Published figures: {SOURCE}.\n", style="dim")
    for cell in result.cells:
        for status, number in cell.statuses.items():
            if status != "done":
                label = f"{status} ({number}): {cell.function} at length {cell.length}: "
                text.append("\n" + label, style="yellow").append("; ".join(cell.reasons))
    text.append(f"\nEverything else: {result.path}")
    return text
