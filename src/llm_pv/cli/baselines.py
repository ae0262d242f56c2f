"""``llm-pv baselines``: classical learners on the benchmark's data sets, or on a user's rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter
from rich.text import Text

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import (
    DEFAULT_BENCHMARK_OPTIONS,
    DEFAULT_SIZE_OPTIONS,
    DEFAULT_STRICT_DRAWING_OPTIONS,
    BenchmarkOptions,
    SizeOptions,
    StrictDrawingOptions,
    grid_request,
    refuse_options,
)
from llm_pv.cli.options import (
    DEFAULT_OUTPUT_OPTIONS,
    DEFAULT_VALIDATED_READING_OPTIONS,
    OutputOptions,
    Rows,
    ValidatedReadingOptions,
    given,
    option_group,
)
from llm_pv.cli.output import free_folder, make_table, places
from llm_pv.cli.progress import Details, describe, run_progress
from llm_pv.cli.report import show_results
from llm_pv.errors import ConfigurationError
from llm_pv.programs.shown import escaped
from llm_pv.report.text import percent, spread
from llm_pv.runs.cells import Cell
from llm_pv.tracks.published import SOURCE

if TYPE_CHECKING:
    from rich.table import Table

    from llm_pv.data.examples import Splits
    from llm_pv.tracks.baselines.results import BaselineResults, BaselinesCell, ModelResult
    from llm_pv.tracks.baselines.run import RowTrials
    from llm_pv.tracks.grid import GridRequest

_MODELS = Group("Baselines", sort_key=1)


@option_group(_MODELS)
@dataclass(frozen=True)
class BaselineOptions:
    """Which baselines, and how their settings are chosen."""

    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()
    "svm, random_forest, decision_tree, xgboost, tabpfn, genetic_programming; default all."
    search: Literal["halving", "grid"] = "halving"
    "Try settings on one fold and drop the worse half at each further one, or all on every fold."
    trials: int | None = None
    "Independent repetitions, each on its own rows; default 5 on the benchmark, 1 on rows."
    seed: int | None = None
    "Seed of all random choices; default 42 on the benchmark, 0 on rows."


class FitDetails(Details):
    """Shows the progress of a baseline's search for settings."""

    def __init__(self) -> None:
        super().__init__("data and search")
        self._jobs: Counter[Cell] = Counter()
        self._best: tuple[float, str] | None = None

    def of_event(self, cell: Cell, event: object) -> str:
        """Count the finished jobs of its search."""
        self._jobs[cell] += getattr(event, "jobs", 0)
        return f"{self._jobs[cell]} searches done"

    def of_end(self, cell: Cell, row: Mapping[str, str]) -> str:
        """Return the validation accuracy."""
        accuracy = float(row["validation_accuracy"])
        self._best = max(self._best or (0.0, ""), (accuracy, describe(cell)))
        return f"validation accuracy {percent(accuracy, '%')}"

    def best(self) -> str:
        """Return the best validation accuracy and whose it is."""
        if not self._best:
            return ""
        return f"best validation {percent(self._best[0], '%')}, {self._best[1]}"


def baselines(
    data: Rows | None = None,
    /,
    *,
    models: BaselineOptions = BaselineOptions(),
    sizes: SizeOptions = DEFAULT_SIZE_OPTIONS,
    benchmark: BenchmarkOptions = DEFAULT_BENCHMARK_OPTIONS,
    drawing: StrictDrawingOptions = DEFAULT_STRICT_DRAWING_OPTIONS,
    rows: ValidatedReadingOptions = DEFAULT_VALIDATED_READING_OPTIONS,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Fit classical learners on the benchmark's data sets, or on a file with rows.

    Settings are chosen by cross-validation on the training rows; validation and test rows are
    only predicted. Impossible cells are recorded with the reason. The same command with the same
    --out resumes a run that was interrupted, and other --models may be added to it.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`; - for standard input. Without it
        the benchmark's tasks are fitted.
    """
    from llm_pv.tracks.baselines.run import run_baselines

    request: GridRequest | RowTrials
    if data is None:
        refuse_options(
            given(rows), "with a file of rows alone: name the file, or leave the option out"
        )
        request = grid_request(benchmark, drawing, sizes, trials=models.trials, seed=models.seed)
    else:
        refuse_options(
            given(benchmark) + given(drawing),
            "with the benchmark alone: leave the option out, or the file",
        )
        request = _on_rows(data, models, sizes, rows)
    path = output.out or free_folder("baselines")
    with (
        cluster.connect() as connected,
        run_progress(FitDetails(), path, output) as (_, observer),
    ):
        result = run_baselines(
            request,
            models.models,
            search=models.search,
            out=path,
            dataset_dir=drawing.dataset_dir if data is None else None,
            observer=observer,
            cluster=connected,
        )
    return show_results(result, output, lambda: tables(result), "no baseline could be fitted")


def _on_rows(
    data: str, models: BaselineOptions, sizes: SizeOptions, rows: ValidatedReadingOptions
) -> "RowTrials":
    from llm_pv.tracks.baselines.run import RowTrials

    trials = 1 if models.trials is None else models.trials
    if data == "-" and trials > 1:
        raise ConfigurationError(
            f"--trials {trials} with standard input, which can be read once: save the rows to a "
            "file, or leave --trials out"
        )

    def split(seed: int) -> "Splits":
        return rows.splits(data, sizes.split, seed, rows.validation)

    return RowTrials(rows.name_of(data), split, trials, models.seed or 0)


def tables(result: "BaselineResults") -> "list[Table | Text]":
    """Return one table of a grid, or one with more about each baseline on a user's rows; notes."""
    on_grid = bool(result.cells[0].sampler)
    shown = [grid_table(result)] if on_grid else list(map(rows_table, result.cells))
    return [*shown, _footnotes(result)]


def grid_table(result: "BaselineResults") -> "Table":
    """Return a table with a line for each cell and a column for each baseline, the best in bold."""
    from llm_pv.tracks.baselines.results import PUBLISHED_METHODS

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


def rows_table(cell: "BaselinesCell") -> "Table":
    """Return a table with a line for each baseline and one for the most frequent class."""
    balanced = ["balanced\ntest"] if cell.unbalanced else []
    table = make_table(
        ["baseline", "test", "95% interval", "validation", "cross-\nvalidated", *balanced],
        title=escaped(f"Baselines on {cell.name}"),
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


def _mean(model: "ModelResult") -> float | None:
    return model.test_accuracy.mean if model.test_accuracy else None


def _best(cell: "BaselinesCell") -> float | None:
    return max((mean for mean in map(_mean, cell.models) if mean is not None), default=None)


def _interval(model: "ModelResult") -> str:
    if len(model.test_intervals) != 1:
        return ""
    low, high = model.test_intervals[0]
    return f"{percent(low)} to {percent(high)}"


def _occurs(result: "BaselineResults", name: str) -> bool:
    """Return whether a baseline was fitted, or failed, on any cell."""
    of_it = [model for cell in result.cells for model in cell.models if model.model == name]
    return any(status != "skipped" for model in of_it for status in model.statuses)


def _footnotes(result: "BaselineResults") -> Text:
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
        text.append(f"\n{status}: {what} on {escaped(place)}: ", style="yellow")
        text.append(escaped(reason), style="not dim")
    for warning in dict.fromkeys(text for cell in result.cells for text in cell.warnings):
        text.append("\nNote: ", style="yellow").append(escaped(warning), style="not dim")
    return text.append(f"\n{places(result.path)}", style="not dim")
