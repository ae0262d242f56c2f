"""Write a results page for the documentation: Markdown, figures and tables, all from runs.

The page marks measured and published figures, and explains how to reproduce and check them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_pv.programs.shown import visible
from llm_pv.report.comparison import Comparison, compare_methods, method_name
from llm_pv.report.effort_tables import attempts_table, effort_table
from llm_pv.report.page import command_line, confinement_text
from llm_pv.report.records import RunRecord, load_runs
from llm_pv.report.tables import ReportTable, comparison_table, methods_table
from llm_pv.report.text import count
from llm_pv.report.transfer_tables import lengths_table, shortcuts_table
from llm_pv.report.write import write_report
from llm_pv.runs.files import csv_text, write_atomically, write_bytes_atomically
from llm_pv.runs.reading import SUMMARY_COLUMNS, read_summary
from llm_pv.tracks.published import LLM_PV_METHODS, OTHER_METHODS, ROWS

_SEARCH = "LLM-PV length-first"
_BESIDE = ("LLM-PV-GPT-5", "XGBoost", "TabPFN")
"""Published methods shown in the table of measured ones; the others have a separate table."""


@dataclass(frozen=True)
class Provenance:
    """Information about the creation of a page, besides the records of the runs."""

    cores: int
    "Usable cores of the machine on which the page is written."
    remake: str = ""
    "The command to reproduce it, if it is shorter than the runs' own commands."
    title: str = "Results"
    published: str = ""
    "Published figures that no table has, in words."
    folders_up: int = 1
    "How many folders the pages that it refers to are above it."


def write_results(runs: Sequence[Path], out: Path, occasion: Provenance) -> Path:
    """Write ``index.md``, ``summary.csv``, ``figures/`` and ``tables/`` into a folder.

    Raise RunError if a run cannot be read, holds nothing, or a file cannot be written. Raise
    MissingExtraError if matplotlib is not installed.

    Parameters
    ----------
    out
        The folder; files of an earlier page with the same names are replaced.
    """
    figures = []
    with TemporaryDirectory() as name:
        for path in write_report(runs, Path(name)):
            if path.suffix in (".svg", ".csv"):
                kept = path.relative_to(name)
                write_bytes_atomically(out / kept, path.read_bytes())
                figures += [kept] if path.suffix == ".svg" else []
    records = load_runs(runs)
    write_atomically(out / "summary.csv", _summary(records))
    page = out / "index.md"
    write_atomically(page, results_page(records, figures, occasion))
    return page


def results_page(runs: Sequence[RunRecord], figures: Sequence[Path], occasion: Provenance) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    figures
        Drawn figures, by their paths relative to the page.
    """
    comparison = compare_methods(runs)
    parts = [f"# {occasion.title}", *_opening(comparison)]
    if occasion.published:
        parts.append(f"*Published, not measured here: {occasion.published}*")
    for sampler in dict.fromkeys(setting.sampler for setting in comparison.settings):
        parts += _of_sampler(comparison, sampler)
    tables = [
        _of_programs(shortcuts_table(comparison)).without_constants(),
        lengths_table(comparison).without_constants(),
        _published_table(comparison),
    ]
    for table in tables:
        if table.rows:
            parts += [f"## {table.title}", table.caption, markdown(table)]
    methods = methods_table(replace(comparison, methods=comparison.measured))
    if methods.rows:
        caption = f"{methods.caption} Times are sums over trials, on a shared machine."
        parts += ["## Methods", caption, markdown(methods)]
    for table in (attempts_table(comparison), effort_table(comparison)):
        if table.rows:
            parts += [f"## {table.title}", table.caption, markdown(table.without_constants())]
    if figures:
        parts += ["## Figures", *(f"![{path.stem}]({path.as_posix()})" for path in figures)]
    parts += _not_measured(comparison)
    parts += _provenance(runs, occasion)
    text = "\n\n".join(parts) + "\n"
    return text.replace("](../", f"]({'../' * occasion.folders_up}")


def markdown(table: ReportTable) -> str:
    r"""Write a table in Markdown; published figures are in italics under headings that say so.

    Examples
    --------
    >>> from llm_pv.report.tables import Column, Entry
    >>> columns = (Column("task"), Column("svm", "measured"), Column("XGBoost", "published"))
    >>> row = (Entry("a|b"), Entry("51.0", 0.51, "[50.0, 52.0]", best=True), Entry("49.9", 0.499))
    >>> print(markdown(ReportTable("t", "", "", columns, (row,))))
    | task | svm | *XGBoost, published* |
    |---|---|---|
    | a\|b | **51.0** [50.0, 52.0] | *49.9* |
    """
    heads = [
        f"*{_cell(column.heading)}, published*" if column.group == "published"
        else _cell(column.heading)
        for column in table.columns
    ]  # fmt: skip
    lines = [_line(heads), "|" + "---|" * len(heads)]
    for row in table.rows:
        entries = []
        for column, value in zip(table.columns, row, strict=True):
            text = _cell(value.text)
            if text and column.group == "published":
                text = f"*{text}*"
            elif text and value.best:
                text = f"**{text}**"
            entries.append(f"{text} {_cell(value.detail)}".strip())
        lines.append(_line(entries))
    return "\n".join(lines)


def _line(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _cell(text: str) -> str:
    return visible(text, 1_000).replace("|", r"\|").replace("<", "&lt;")


def _opening(comparison: Comparison) -> list[str]:
    asked = {name for (_, name), cell in comparison.cells.items()
             if any(trial.asks_model for trial in cell.trials)}  # fmt: skip
    models = [name for name in comparison.measured if name in asked]
    said = (
        "Models were asked by whoever ran the command below: " + ", ".join(models) + "."
        if models
        else "**No figure of a commercial model was measured here**; every one is published."
    )
    search = [
        "**LLM-PV length-first** is the built-in search, no language model. It was written with "
        "these tasks known, so its figures here say less than those on rules it had not seen "
        "([search](../search.md))."
    ] * (_SEARCH in comparison.measured)
    return [
        "Written by `llm-pv paper` from its own runs, listed at the end; do not edit by hand. "
        "[The paper's table](../paper.md) says which tasks, samplers and columns these are.",
        "**Measured** figures are test accuracies in percent, the mean over trials with 95% limits "
        "in brackets, computed from [summary.csv](summary.csv), which has the raw row of every "
        "trial. *Published* figures, in italics, are those of arXiv 2510.14331 and its repository; "
        f"none of them was measured here. {said}",
        *search,
    ]


def _of_sampler(comparison: Comparison, sampler: str) -> list[str]:
    """Return the table of one sampler: measured figures and a few published ones."""
    settings = tuple(s for s in comparison.settings if s.sampler == sampler)
    chosen = replace(
        comparison,
        settings=settings,
        methods=comparison.measured,
        published={
            setting: {name: share for name, share in figures.items() if name in _BESIDE}
            for setting, figures in comparison.published.items()
            if setting in settings
        },
    )
    table = comparison_table(chosen).without_constants()
    return [f"## Tasks by methods, {sampler} sampler", table.caption, markdown(table)]


def _of_programs(table: ReportTable) -> ReportTable:
    """Return the lines of methods whose programs were also scored on hard data."""
    place = [column.heading for column in table.columns].index("same programs on hard data")
    return replace(table, rows=tuple(row for row in table.rows if row[place].number is not None))


def _published_table(comparison: Comparison) -> ReportTable:
    """Return the published figures of these settings only."""
    chosen = replace(
        comparison, settings=tuple(comparison.published), methods=(), cells={}, baselines={},
        published={
            setting: {m: figures[m] for m in (*LLM_PV_METHODS, *OTHER_METHODS) if m in figures}
            for setting, figures in comparison.published.items()
        },
    )  # fmt: skip
    return replace(
        comparison_table(chosen).without_constants(),
        title="Published figures",
        caption="Test accuracies in percent as published (arXiv 2510.14331 and its repository), on "
        f"the paper's sampler. None was measured here. {ROWS}",
    )


def _not_measured(comparison: Comparison) -> list[str]:
    """Return which trials have no figure, and why."""
    reasons: dict[tuple[str, str, str], int] = {}
    for trial in comparison.trials():
        if trial.accuracy is None:
            key = (method_name(trial), trial.status, trial.reason)
            reasons[key] = reasons.get(key, 0) + 1
    if not reasons:
        return []
    lines = [
        f"- {_cell(method)}: {count(number, 'trial')} {_cell(status)}: {_cell(reason)}"
        for (method, status, reason), number in reasons.items()
    ]
    return ["## Not measured", "\n".join(lines)]


def _provenance(runs: Sequence[RunRecord], occasion: Provenance) -> list[str]:
    created = sorted(str(run.header.get("created", "")) for run in runs)
    commands = dict.fromkeys(command_line(run.header.get("command", [])) for run in runs)
    versions = dict.fromkeys(
        ", ".join(f"{name} {v}" for name, v in run.header.get("versions", {}).items())
        for run in runs
    )
    platforms = dict.fromkeys(str(run.header.get("platform", "")) for run in runs)
    confined = dict.fromkeys(confinement_text(run.header.get("confinement", ())) for run in runs)
    seeds = dict.fromkeys(trial.seed for run in runs for trial in run.trials)
    rows = [
        ("command", "; ".join(f"`{_cell(command)}`" for command in commands)),
        *([("the same from a clone", f"`{_cell(occasion.remake)}`")] if occasion.remake else []),
        ("runs begun", " to ".join(dict.fromkeys((created[0], created[-1])))),
        ("machine", f"{'; '.join(map(_cell, platforms))}, {count(occasion.cores, 'core')}"),
        *(
            [("programs confined by", "; ".join(map(_cell, filter(None, confined))))]
            if any(confined)
            else []
        ),
        ("versions", "; ".join(map(_cell, versions))),
        ("seed", ", ".join(map(_cell, seeds))),
    ]
    lines = ["| | |", "|---|---|", *(_line(row) for row in rows)]
    return [
        "## How it was made",
        "\n".join(lines),
        "Settings of the baselines were chosen by cross-validation on the training rows alone "
        "([baselines](../baselines.md)). Limits, tests and shortcuts are explained under "
        "[reports](../report.md). The run directories hold the predictions on every test row, the "
        "programs and every attempt; `summary.csv` here is their `summary.csv` together, and "
        "`tables/` has the tables in full precision.",
    ]


def _summary(runs: Sequence[RunRecord]) -> str:
    """Return the unchanged rows of every run, in a fixed order."""
    rows = [
        {"run": run.label} | {name: row[name] for name in SUMMARY_COLUMNS}
        for run in runs
        for row in read_summary(run.path)
    ]
    names = ("track", "method", "model", "function", "length", "sampler", "trial", "run")
    rows.sort(key=lambda row: tuple(row[name].zfill(4) for name in names))
    return csv_text(("run", *SUMMARY_COLUMNS), rows)
