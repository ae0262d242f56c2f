"""``llm-pv learn``: from labelled rows to a certified program in a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.main import complain, first_ctrl_c, resumable
from llm_pv.cli.model_options import (
    DEFAULT_ASKING_OPTIONS,
    DEFAULT_MODEL_CHOICES,
    AskingOptions,
    ModelChoices,
)
from llm_pv.cli.options import (
    DEFAULT_OUTPUT_OPTIONS,
    DEFAULT_SANDBOX_OPTIONS,
    FIRST,
    OUTPUT,
    ROWS,
    OutputOptions,
    Rows,
    SandboxOptions,
    ValidatedReadingOptions,
    option_group,
    read_pair,
)
from llm_pv.cli.output import Terminal, new_folder, set_aside, write_json
from llm_pv.cli.previews import disclose, preview_models
from llm_pv.cli.report import leave_page, prepare_while_waiting
from llm_pv.cli.search_options import SEARCH, SearchOptions
from llm_pv.erm.metrics import Metric, MetricName, parse_costs
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.api import Search
    from llm_pv.data.examples import Splits
    from llm_pv.data.reading import Reading
    from llm_pv.erm.attempts import Attempt
    from llm_pv.proposers.llm import LLM
    from llm_pv.sandbox import Sandbox


@option_group(ROWS)
@dataclass(frozen=True)
class RowOptions(ValidatedReadingOptions):
    """Which rows are learned from, and how they are split."""

    train_size: int | None = None
    "Training rows; default 40 percent, at most 10,000."
    validation_size: Annotated[int | None, Parameter(name=["--validation-size", "--val-size"])] = (
        None
    )
    "Validation rows; default 40 percent, at most 10,000."
    test_size: int | None = None
    "Test rows; default 20 percent, at most 10,000."
    add: tuple[Path, ...] = ()
    "File with further training rows, such as that of llm-pv ask, for a new run in place of --out."


DEFAULT_ROW_OPTIONS = RowOptions()


@option_group(SEARCH)
@dataclass(frozen=True)
class SeededSearchOptions(SearchOptions):
    """Where programs come from, how many are tried, and what the split is drawn with."""

    seed: Annotated[int, Parameter(group=FIRST)] = 0
    "Seed of the split."
    metric: MetricName = "accuracy"
    "The metric that selects among programs."
    cost: tuple[str, ...] = ()
    "'A as B=5', for --metric cost: the cost of predicting B for A; 1 if not given."
    class_weight: tuple[str, ...] = ()
    "balanced, or CLASS=NUMBER for each class: how much its rows count."
    warm_start: Path | None = None
    "Run directory whose programs are tried first, before --attempts others."
    stop_at: float = 1.0
    "Stop at the first program with this score of the metric on the validation rows, such as 0.98."

    def judging(self) -> "dict[str, Any]":
        """Return the metric of selection, as arguments of `Search`.

        Raise ConfigurationError if a cost or a weight cannot be read.
        """
        weights: dict[object, float] | str | None = None
        if self.class_weight == ("balanced",):
            weights = "balanced"
        elif self.class_weight:
            form = "CLASS=NUMBER, or balanced alone"
            weights = dict(
                read_pair("--class-weight", item, form, float) for item in self.class_weight
            )
        name = "cost" if self.cost and self.metric == "accuracy" else self.metric
        metric = Metric(name, parse_costs(self.cost))
        return {
            "metric": metric,
            "class_weight": weights,
            "stop_at": self.stop_at,
            "warm_start": self.warm_start,
        }


def learn(
    data: Rows,
    /,
    *,
    rows: RowOptions = RowOptions(),
    search: SeededSearchOptions = SeededSearchOptions(),
    model: ModelChoices = DEFAULT_MODEL_CHOICES,
    asking: AskingOptions = DEFAULT_ASKING_OPTIONS,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    explain: Annotated[bool, Parameter(group=OUTPUT)] = False,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Learn a program from labelled rows, certify it and write it as a Python file.

    Rows are split into training, validation and test rows. Programs are proposed from the
    training rows, run confined, and selected by their errors on the validation rows; the test
    rows are used once. The same command with the same --out resumes a run that was
    interrupted.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`; - for standard input;
        hf://OWNER/NAME; or a query, with --database.
    explain
        Show the certificate with all that it assumes.
    """
    from llm_pv.api import SplitSizes

    out = output.out
    search_for = replace(search.resolve(model, asking, seed=search.seed), **search.judging())
    name = rows.name_of(data)
    if model.batch and out is None and not asking.dry_run:
        out = new_folder(_slug(name))
    with search.models(model, asking, sandbox, thorough=True, out=out) as models:
        search_for = search.joined(search_for, models)
        if model.batch:  # only concurrent calls share a batch
            search_for = replace(search_for, concurrency=models[0].attempts)
        sizes = SplitSizes(rows.train_size, rows.validation_size, rows.test_size)
        splits = rows.splits(data, sizes, search.seed, rows.validation, rows.add)
        if rows.add and not asking.dry_run:
            _replace_run(out, search_for.weigh(splits).digest())
        if asking.dry_run:
            preview_models(models, splits, search.seed, name, output.format)
            return 0
        with cluster.candidates(sandbox) as (opened, _):
            return learn_and_show(
                splits,
                search_for,
                target=rows.target,
                reading=rows.reading(),
                sandbox=opened,
                name=name,
                out=out or new_folder(_slug(name)),
                output=output,
                explain=explain,
                on_start=partial(_begin, models, splits, search),
            )


def _replace_run(out: Path | None, rows_digest: str) -> None:
    """Set the run without the added rows aside; its certificate ends with it."""
    if out is None:
        raise ConfigurationError("--add takes the place of a run: name it with --out")
    if earlier := set_aside(out, rows_digest):
        complain(
            f"{earlier} is the run without the added rows; its certificate ends, quote that of "
            f"the new run in {out} alone"
        )


def _begin(models: "Sequence[LLM]", splits: "Splits", search: SeededSearchOptions) -> None:
    """Say what leaves this machine, and prepare for the end of the run while it waits."""
    disclose(models, splits, search.seed, after=search.stops_before)
    if models:
        prepare_while_waiting()


def learn_and_show(
    splits: "Splits",
    search: "Search",
    *,
    sandbox: "Sandbox",
    target: str | None,
    reading: "Reading",
    name: str,
    out: Path,
    output: OutputOptions,
    explain: bool = False,
    on_start: Callable[[], object] | None = None,
) -> int:
    """Learn, show what was learned, and return the exit status.

    Parameters
    ----------
    target, reading
        The column of the label, and what else is known of the rows; saved programs need both.
    on_start
        Called before the first proposal, once the run directory is open.
    """
    from llm_pv import api
    from llm_pv.cli.progress import learn_progress
    from llm_pv.proposers.own_process import stop_searches
    from llm_pv.report.trackers import tracking
    from llm_pv.runs.cells import Cell

    ends_search = stop_searches if search.proposer == "length-first" else lambda: False
    with (
        resumable(f"the same command with --out {out} continues from here"),
        first_ctrl_c(ends_search),
        learn_progress(watch=output.watch) as progress,
        tracking(output.track, out, complain) as observer,
    ):

        def on_attempt(attempt: "Attempt") -> None:
            progress.attempt(attempt)
            observer.on_event(Cell("learn"), attempt)

        learned = api.learn(
            splits,
            target=target,
            reading=reading,
            search=replace(search, progress=progress.search),
            sandbox=sandbox,
            out=out,
            name=name,
            on_start=on_start,
            on_attempt=on_attempt,
        )
    leave_page(out)
    if learned.already_finished:
        complain(f"{out} is a finished run; this is its result, give another --out to learn anew")
    record = learned.record()
    if output.format == "json":
        write_json(record)
    else:
        from llm_pv.cli.learned_tables import print_learned

        print_learned(record, Terminal(), explain=explain)
    return 0 if learned.program is not None else 1


def _slug(name: str) -> str:
    from llm_pv.runs.cells import Cell

    return Cell(Path(name).stem).slug
