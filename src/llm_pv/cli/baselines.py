"""``llm-pv baselines``: classical learners on the benchmark's data sets, or on a user's rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.cluster_options import ClusterOptions
from llm_pv.cli.grid_options import (
    BenchmarkOptions,
    SizeOptions,
    StrictDrawingOptions,
    grid_request,
    refuse_options,
)
from llm_pv.cli.options import (
    OutputOptions,
    Rows,
    ValidatedReadingOptions,
    given,
    option_group,
)
from llm_pv.cli.output import Terminal, free_folder
from llm_pv.cli.progress import Details, describe, run_progress
from llm_pv.cli.report import show_results
from llm_pv.errors import ConfigurationError
from llm_pv.report.text import percent
from llm_pv.runs.cells import Cell

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits
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
    sizes: SizeOptions = SizeOptions(),
    benchmark: BenchmarkOptions = BenchmarkOptions(),
    drawing: StrictDrawingOptions = StrictDrawingOptions(),
    rows: ValidatedReadingOptions = ValidatedReadingOptions(),
    output: OutputOptions = OutputOptions(),
    cluster: ClusterOptions = ClusterOptions(),
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
    from llm_pv.cli.baselines_tables import print_baselines
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
    show = partial(print_baselines, result, Terminal())
    return show_results(result, output, show, "no baseline could be fitted")


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
