"""``llm-pv prompt``: the prompt for any chat window, and how to verify the replies."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Group

from llm_pv.cli.learn import DEFAULT_ROW_OPTIONS, RowOptions
from llm_pv.cli.main import complain
from llm_pv.cli.model_options import AskingOptions
from llm_pv.cli.options import Rows, as_words, given, option_group
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.llm_settings import AnswerFormat

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits

_TASK = Group("Benchmark task", sort_key=2)
_PROMPT = Group(
    "Prompt",
    help="Paste it, save each reply as it comes as a file, several in one folder, and judge them: "
    "llm-pv learn DATA --proposer replay:FILE_OR_FOLDER, with the same row options and seed, so "
    "that the split is the same; llm-pv synthesize for a benchmark task. The exact command is "
    "written on standard error.",
    sort_key=3,
)

# The default seeds of `learn` and `synthesize`, which judge the replies.
_ROWS_SEED, _TASK_SEED = 0, 42


@option_group(_TASK)
@dataclass(frozen=True)
class PromptTaskOptions:
    """The data set of a benchmark task."""

    length: int | None = None
    "Length of the inputs; default the task's first."
    sampler: Literal["paper", "hard"] | None = None
    "As in the paper (the default), or with the classes alike in every cheap statistic."
    dataset_dir: Path | None = None
    "Where data sets are stored and found again; default datasets."


@option_group(_PROMPT, like=AskingOptions)
@dataclass(frozen=True)
class PromptOptions:
    """The wording of the problem."""

    prompt_variant: str = "1"
    "1 terse, 2 step by step, 3 the shortest description, 4 rivals put to the test; or a file."
    prompt_rows: int = 100
    "Training rows shown at most, drawn by the seed in proportion to the labels."
    answer_format: AnswerFormat = AskingOptions.answer_format
    about: str = ""
    "A description of the rows, for the prompt."
    noise: float = 0.0
    "Share of labels that may be wrong, such as 0.05."
    tool: Literal["none", "hosted"] = "none"
    "hosted says that the chat can run Python, and to test rules with it."
    out: Path | None = None
    "File to write; default standard output."


def prompt(
    data: Rows,
    /,
    *,
    rows: RowOptions = DEFAULT_ROW_OPTIONS,
    task: PromptTaskOptions = PromptTaskOptions(),
    wording: PromptOptions = PromptOptions(),
    seed: int | None = None,
) -> int:
    """Write the prompt for any chat window, with training rows alone in it.

    The same row options and seed give `llm-pv learn` the same split, a benchmark task's length and
    seed give it to the first trial of `llm-pv synthesize`: either judges the replies with
    `--proposer replay:FILE_OR_FOLDER`.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`; - for standard input; or the id
        or name of a benchmark task.
    seed
        Draws the split; default 0, as for learn, and 42 for a benchmark task, as for synthesize.
    """
    from llm_pv.proposers.llm import alphabet_of
    from llm_pv.proposers.llm.prompt.facts import facts
    from llm_pv.proposers.llm.prompt.messages import disclosure
    from llm_pv.proposers.llm.prompt.row_choice import subsample
    from llm_pv.proposers.llm.prompt.statement import problem_statement
    from llm_pv.proposers.llm.prompt.variants import parse_variant
    from llm_pv.runs.files import write_atomically

    variant = parse_variant(wording.prompt_variant)
    function = _task_name(data)
    if function is None:
        seed = _ROWS_SEED if seed is None else seed
        splits, judge = _from_rows(data, rows, task, seed)
    else:
        seed = _TASK_SEED if seed is None else seed
        splits, judge = _from_task(function, rows, task, seed)
    shown = subsample(splits.train, wording.prompt_rows, seed)
    text = problem_statement(
        shown,
        splits.classes,
        alphabet=alphabet_of(splits.train.inputs),
        variant=variant,
        tool=wording.tool,
        answer_format=wording.answer_format,
        facts=facts(splits.train, splits.classes, noise=wording.noise, about=wording.about),
    )
    for warning in splits.warnings:
        complain(warning)
    complain(disclosure(shown, splits.columns, "the recipient of this prompt"))
    complain(f"to judge replies: {judge}")
    if wording.out is None:
        sys.stdout.write(text)
    else:
        write_atomically(wording.out, text)
    return 0


def _task_name(data: str) -> str | None:
    """Return the name of the benchmark task, None for a file."""
    from llm_pv.tasks import task

    if data == "-" or Path(data).exists():
        return None
    try:
        return task(data).name
    except ConfigurationError:
        return None  # reading will report that there is no such file


def _from_rows(
    data: str, rows: RowOptions, task: PromptTaskOptions, seed: int
) -> tuple["Splits", str]:
    """Return the splits that `learn` draws, and the command that draws them."""
    from llm_pv.api import SplitSizes

    if misplaced := given(task):
        raise ConfigurationError(f"{misplaced[0]} is for a benchmark task, and {data} is none")
    sizes = SplitSizes(rows.train_size, rows.validation_size, rows.test_size)
    splits = rows.splits(data, sizes, seed, rows.validation, rows.add)
    return splits, _command("learn", data, *as_words(rows), "--seed", seed)


def _from_task(
    function: str, rows: RowOptions, task: PromptTaskOptions, seed: int
) -> tuple["Splits", str]:
    """Return the splits of a grid's first trial, and the command that runs it."""
    from llm_pv.tasks import task as find_task
    from llm_pv.tasks.loading import load_task

    sizes = {"--train-size": 100, "--validation-size": 100, "--test-size": 10_000}
    for name in given(rows):
        if name not in sizes:
            raise ConfigurationError(f"{name} is for a file, and {function} is a benchmark task")
        sizes[name] = getattr(rows, name.removeprefix("--").replace("-", "_"))
    found = find_task(function)
    length = found.lengths.default[0] if task.length is None else task.length
    sampler = task.sampler or "paper"
    splits = load_task(
        function,
        length=length,
        sampler=sampler,
        train_size=sizes["--train-size"],
        validation_size=sizes["--validation-size"],
        test_size=sizes["--test-size"],
        seed=seed,
        dataset_dir=task.dataset_dir or Path("datasets"),
    )
    options: list[object] = ["--functions", found.id or function]
    if found.alphabet != "table":
        options += ["--lengths", length]
    if task.dataset_dir is not None:
        options += ["--dataset-dir", task.dataset_dir]
    if task.sampler is not None:
        options += ["--sampler", sampler]
    for name in given(rows):
        options += [name, sizes[name]]
    return splits, _command("synthesize", *options, "--trials", 1, "--seed", seed)


def _command(*words: object) -> str:
    return shlex.join(["llm-pv", *map(str, words), "--proposer", "replay:FILE_OR_FOLDER"])
