"""Write tables as CSV and LaTeX, with all text escaped."""

import csv
import io

from llm_pv.report.tables import Column, Table, Value
from llm_pv.report.text import visible

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


def to_csv(table: Table) -> str:
    """Return a table as CSV: figures in full precision, shares between 0 and 1.

    Texts that a spreadsheet would evaluate as a formula get an apostrophe in front.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(csv_word(_heading(column)) for column in table.columns)
    for row in table.rows:
        writer.writerow(_csv_entry(value) for value in row)
    return buffer.getvalue()


def _csv_entry(value: Value) -> str:
    if value.number is not None:
        return _figure(value.number)
    return "" if value.text == "-" else csv_word(value.text)  # it means no figure


def to_latex(table: Table) -> str:
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


def _heading(column: Column) -> str:
    return f"{column.heading} (published)" if column.group == "published" else column.heading


def _figure(number: float) -> str:
    return str(number) if isinstance(number, int) else repr(float(number))


def _latex_entry(column: Column, value: Value) -> str:
    text = latex_text(value.text)
    if value.detail and value.number is not None:
        text += rf" {{\scriptsize {latex_text(value.detail.split(';')[0])}}}"
    if column.group == "published" and text:
        text = rf"\textit{{{text}}}"
    return rf"\textbf{{{text}}}" if value.best else text
