"""Write reports: a page for one run in its own folder, or a folder for many runs.

Tables are also written as CSV and LaTeX, with all text escaped.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from llm_pv.errors import RunError
from llm_pv.programs.shown import visible
from llm_pv.report.comparison import Comparison, compare_methods
from llm_pv.report.effort_tables import attempts_table, effort_table
from llm_pv.report.figures import figures
from llm_pv.report.page import build_page
from llm_pv.report.records import load_run, load_runs
from llm_pv.report.spending import spending_table
from llm_pv.report.tables import (
    Column,
    Entry,
    ReportTable,
    comparison_table,
    measurements_table,
    methods_table,
    trials_table,
)
from llm_pv.report.transfer_tables import lengths_table, shortcuts_table
from llm_pv.runs.files import write_atomically, write_bytes_atomically
from llm_pv.runs.reading import write_report as write_into_run

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "…": r"\ldots{}",
}

_WIDEST = 10
"""The most columns that fit a page without shrinking."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(table: ReportTable) -> str:
    """Return a table as CSV: figures in full precision, shares between 0 and 1.

    Texts that a spreadsheet would evaluate as a formula get an apostrophe in front.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        csv_word(c.heading + " (published)" * (c.group == "published")) for c in table.columns
    )
    for row in table.rows:
        writer.writerow(_csv_entry(value) for value in row)
    return buffer.getvalue()


def _csv_entry(value: Entry) -> str:
    if value.number is not None:
        return str(value.number) if isinstance(value.number, int) else repr(float(value.number))
    return "" if value.text == "-" else csv_word(value.text)  # it means no figure


def to_latex(table: ReportTable) -> str:
    """Return a table as a LaTeX ``tabular`` that needs the package booktabs.

    A wide one is shrunk to the width of the text, which needs graphicx.
    """
    spec = "".join("r" if column.numeric else "l" for column in table.columns)
    is_wide = len(table.columns) > _WIDEST
    lines = [
        f"% {latex_text(table.title)}. {latex_text(table.caption)}",
        "% Needs booktabs, a wide table graphicx; letters beyond ASCII need LuaLaTeX or XeLaTeX.",
        *([r"\resizebox{\textwidth}{!}{%"] if is_wide else []),
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
    ]
    if table.has_published:
        heads = (rf"\multicolumn{{{width}}}{{c}}{{{group}}}" for group, width in table.groups)
        lines.append(" & ".join(heads) + r" \\")
    lines.append(_latex_row([latex_text(column.heading) for column in table.columns]))
    lines.append(r"\midrule")
    lines += [_latex_row(list(map(_latex_entry, table.columns, row))) for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}", *(["}"] if is_wide else []), ""]
    return "\n".join(lines)


def _latex_row(entries: list[str]) -> str:
    # LaTeX would read a bracket or a star after the end of a line as its option.
    guard = "{}" if entries[0].startswith(("[", "*")) else ""
    return guard + " & ".join(entries) + r" \\"


def latex_text(text: str) -> str:
    r"""Return text with LaTeX's special characters escaped.

    Examples
    --------
    >>> latex_text("50% of x_1 & \\input{x}")
    '50\\% of x\\_1 \\& \\textbackslash{}input\\{x\\}'
    """
    return "".join(_LATEX.get(letter, letter) for letter in visible(text, 2_000))


def csv_word(text: str) -> str:
    """Return a word for CSV that no spreadsheet evaluates as a formula.

    Examples
    --------
    >>> csv_word("=1+1"), csv_word("fn_a")
    ("'=1+1", 'fn_a')
    """
    text = visible(text, 2_000)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _latex_entry(column: Column, value: Entry) -> str:
    text = latex_text(value.text)
    if value.detail and value.number is not None:
        text += rf" {{\scriptsize {latex_text(value.detail.split(';')[0])}}}"
    if column.group == "published" and text:
        text = rf"\textit{{{text}}}"
    return rf"\textbf{{{text}}}" if value.best else text


_TABLES = (
    comparison_table,
    measurements_table,
    methods_table,
    shortcuts_table,
    lengths_table,
    attempts_table,
    effort_table,
    trials_table,
)


def write_run_page(run: Path) -> Path:
    """Write a run's own page into its directory and return its path.

    Raise RunError if the run cannot be read, or the page not be written.
    """
    return write_into_run(run, build_page(compare_methods([load_run(run)])))


def write_report(runs: Sequence[Path], out: Path) -> list[Path]:
    """Write the report of some runs into a folder.

    Raise RunError if a run cannot be read, is empty, or a file cannot be written. Raise
    MissingExtraError if matplotlib is not installed.

    Parameters
    ----------
    out
        The folder of ``index.html``, ``figures/`` (SVG, PDF) and ``tables/`` (CSV, LaTeX); files of
        an earlier report with the same names are replaced.

    Returns
    -------
    list of Path
        The files written, the page first.
    """
    comparison = compare_methods(load_runs(runs))
    for run in comparison.runs:
        if not run.trials:
            raise RunError(f"{run.path} holds no trial yet; wait for the first, or leave it out")
    page = build_page(comparison)
    drawn = list(_figure_files(comparison, out))
    written = [out / "index.html"]
    write_atomically(written[0], page)
    for path, data in drawn:
        write_bytes_atomically(path, data)
        written.append(path)
    tables = [*(make(comparison) for make in _TABLES), spending_table(comparison.runs)]
    for table in tables:
        if table.rows:
            for ending, text in (("csv", to_csv(table)), ("tex", to_latex(table))):
                path = out / "tables" / f"{table.name}.{ending}"
                write_atomically(path, text)
                written.append(path)
    return written


def _figure_files(comparison: Comparison, out: Path) -> list[tuple[Path, bytes]]:
    from llm_pv.report.figure_export import draw_files

    return [
        (out / "figures" / f"{figure.name}.{ending}", data)
        for figure in figures(comparison)
        for ending, data in draw_files(figure)
    ]
