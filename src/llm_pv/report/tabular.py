"""Tables as CSV and as LaTeX, in which foreign text stays text."""

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
    '"': r"\textquotedbl{}",
    "…": r"\ldots{}",
}

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(table: Table) -> str:
    """Write a table as CSV: figures in full precision, shares between 0 and 1.

    Words that a spreadsheet would take for a formula get an apostrophe in front.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(csv_word(_heading(column)) for column in table.columns)
    for row in table.rows:
        writer.writerow(csv_word(v.text) if v.number is None else _figure(v.number) for v in row)
    return buffer.getvalue()


def to_latex(table: Table) -> str:
    """Write a table as a LaTeX ``tabular`` that needs the package booktabs."""
    spec = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        f"% {latex_text(table.title)}. {latex_text(table.caption)}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
    ]
    if table.has_published:
        heads = (rf"\multicolumn{{{width}}}{{c}}{{{group}}}" for group, width in table.groups)
        lines.append(" & ".join(heads) + r" \\")
    lines.append(" & ".join(latex_text(column.heading) for column in table.columns) + r" \\")
    lines.append(r"\midrule")
    for row in table.rows:
        entries = map(_latex_entry, table.columns, row)
        lines.append(" & ".join(entries) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def latex_text(text: str) -> str:
    r"""Return text with everything that means something to LaTeX escaped.

    Examples
    --------
    >>> latex_text("50% of x_1 & \\input{x}")
    '50\\% of x\\_1 \\& \\textbackslash{}input\\{x\\}'
    """
    return "".join(_LATEX.get(letter, letter) for letter in visible(text, 2_000))


def csv_word(text: str) -> str:
    """Return a word as it may stand in CSV: never as a formula.

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
