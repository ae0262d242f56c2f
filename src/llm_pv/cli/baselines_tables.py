"""Print the results of baselines in a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_pv.cli.learned_tables import printable
from llm_pv.cli.output import make_table, places
from llm_pv.report.text import percent, spread
from llm_pv.tracks.baselines.results import (
    PUBLISHED_METHODS,
    BaselineResults,
    BaselinesCell,
    ModelResult,
)
from llm_pv.tracks.published import SOURCE


def print_baselines(result: BaselineResults, console: Console) -> None:
    """Print one table for a grid, one with more about each baseline for a user's rows."""
    if result.cells[0].sampler:
        console.print(grid_table(result))
    else:
        for cell in result.cells:
            console.print(rows_table(cell))
    console.print(_footnotes(result))


def grid_table(result: BaselineResults) -> Table:
    """Return a table with a line for each cell and a column for each baseline, the best in bold."""
    shown = [model.model for model in result.cells[0].models if _occurs(result, model.model)]
    has_published = any(cell.published_test_accuracy for cell in result.cells)
    published = ["published:\n" + ",\n".join(PUBLISHED_METHODS)] if has_published else []
    table = make_table(
        ["task", *(name.replace("_", "\n") for name in shown), *published],
        title=f"Test accuracy in percent, {result.cells[0].sampler} sampler",
        left=published,
        italic=published,
    )
    for cell in result.cells:
        best = _best(cell)
        name = cell.name if cell.name != cell.function else ""
        row: list[str | Text] = [f"{cell.function} L={cell.length}\n{name}"]
        for model in cell.models:
            if model.model in shown:
                text, is_best = spread(model.test_accuracy), _mean(model) == best is not None
                row.append(Text(text, style="bold" if is_best else ""))
        if has_published:
            figures = (cell.published_test_accuracy.get(method) for method in PUBLISHED_METHODS)
            row.append("\n".join(percent(figure) or "-" for figure in figures))
        table.add_row(*row)
    return table


def rows_table(cell: BaselinesCell) -> Table:
    """Return a table with a line for each baseline and one for the most frequent class."""
    balanced = ["balanced\ntest"] if cell.unbalanced else []
    table = make_table(
        ["baseline", "test", "95% interval", "validation", "cross-\nvalidated", *balanced],
        title=printable(f"Baselines on {cell.name}"),
        boxed=True,
    )
    best = _best(cell)
    for model in (model for model in cell.models if model.validation_accuracy):
        row = [
            model.model.replace("_", " "),
            spread(model.test_accuracy),
            _interval(model),
            spread(model.validation_accuracy),
            spread(model.cross_validation_accuracy),
        ]
        if cell.unbalanced:
            row.append(spread(model.balanced_test_accuracy))
        table.add_row(*row, style="bold" if _mean(model) == best is not None else "")
    table.add_row("majority class", spread(cell.majority_test_accuracy), style="italic")
    return table


def _mean(model: ModelResult) -> float | None:
    return model.test_accuracy.mean if model.test_accuracy else None


def _best(cell: BaselinesCell) -> float | None:
    return max((mean for mean in map(_mean, cell.models) if mean is not None), default=None)


def _interval(model: ModelResult) -> str:
    if len(model.test_intervals) != 1:
        return ""
    low, high = model.test_intervals[0]
    return f"{percent(low)} to {percent(high)}"


def _occurs(result: BaselineResults, name: str) -> bool:
    """Return whether a baseline was fitted, or failed, on any cell."""
    of_it = [model for cell in result.cells for model in cell.models if model.model == name]
    return any(status != "skipped" for model in of_it for status in model.statuses)


def _footnotes(result: BaselineResults) -> Text:
    notes = "Settings are chosen by cross-validation on the training rows alone."
    figures = [model.test_accuracy for cell in result.cells for model in cell.models]
    if any(figure and figure.deviation for figure in figures):
        notes += " ± is the standard deviation over trials (ddof=1)."
    if any(cell.published_test_accuracy for cell in result.cells):
        notes += f"\nPublished: {SOURCE}."
    text = Text(notes + "\n", style="dim")
    missing: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    for cell in result.cells:
        place = f"{cell.function} L={cell.length}" if cell.length != "" else cell.name
        for model in cell.models:
            for status in model.statuses:
                if status != "done":
                    key = (status, "; ".join(model.reasons))
                    models, where = missing.setdefault(key, ([], []))
                    models.append(model.model)
                    where.append(place)
    for (status, reason), (models, cells) in missing.items():
        what, where = ", ".join(dict.fromkeys(models)), list(dict.fromkeys(cells))
        place = where[0] if len(where) == 1 else f"{len(where)} cells"
        text.append(f"\n{status}: {what} on {printable(place)}: ", style="yellow")
        text.append(printable(reason), style="not dim")
    for warning in dict.fromkeys(text for cell in result.cells for text in cell.warnings):
        text.append("\nNote: ", style="yellow").append(printable(warning), style="not dim")
    return text.append(f"\n{places(result.path)}", style="not dim")
