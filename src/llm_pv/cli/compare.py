"""``llm-pv compare``: the differences between two runs, with significance tests."""

from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.cli.options import Format
from llm_pv.cli.output import make_table, write_json, write_table

if TYPE_CHECKING:
    from rich.table import Table

    from llm_pv.report.pairing import CellPair, RunPair


def compare(
    a: Path,
    b: Path,
    /,
    *,
    method_a: str | None = None,
    method_b: str | None = None,
    format: Format = "table",  # noqa: A002
) -> int:
    """Compare two runs on the test rows they share: every cell and every trial.

    Parameters
    ----------
    a
        A run directory.
    b
        Another; differences are B less A.
    method_a
        The method of A to compare, where it holds several.
    method_b
        The method of B.
    format
        How it is shown: table, or one JSON object.
    """
    from llm_pv.report.pairing import compare_runs

    pair = compare_runs(a, b, method_a, method_b)
    if format == "json":
        write_json(pair.record())
    else:
        write_table(comparison_table(pair), *conclusions(pair))
    return 0 if pair.compared else 1


def comparison_table(pair: "RunPair") -> "Table":
    """Return a table with a line for each cell: accuracies, differences, McNemar's test."""
    from rich.text import Text

    from llm_pv.programs.shown import escaped
    from llm_pv.report.text import percent

    table = make_table(
        ("cell", "a %", "b %", "b - a", "each trial", "only a /\nonly b right", "p", "p (Holm)"),
        title=escaped(f"a = {pair.a}\nb = {pair.b}"),
    )
    for cell in pair.cells:
        length = f" L={cell.cell.length}" if cell.cell.length != "" else ""
        table.add_row(
            Text(escaped(f"{cell.cell.function}{length} {cell.cell.sampler}".strip())),
            percent(cell.accuracy_a),
            percent(cell.accuracy_b),
            points(cell.difference),
            " ".join(points(trial.difference) or "-" for trial in cell.trials),
            f"{cell.only_a} / {cell.only_b}" if cell.paired else "",
            p_text(cell.p_value),
            p_text(cell.holm),
            style="" if cell.paired else "dim",
        )
    return table


def conclusions(pair: "RunPair") -> list[str]:
    """Return notes on the figures, on trials left out, and on multiple tests."""
    from llm_pv.report.pairing import ALPHA
    from llm_pv.report.text import count

    tests = len(pair.compared)
    lines = [
        "p is McNemar's exact test over the test rows of all trials of a cell. It takes the "
        "programs as they are: it says nothing of what another trial would have learned."
    ]
    if tests > 1:
        lines.append(
            f"{tests} cells are tested: at the {ALPHA:.0%} level about {ALPHA * tests:.1f} would "
            "seem to differ by chance alone. The column p (Holm) allows for that; read that one."
        )
    if pair.wilcoxon is not None:
        smallest = 2 / 2**pair.differing
        lines.append(
            f"Wilcoxon's signed-rank test across cells: p = {p_text(pair.wilcoxon)}, over "
            f"{count(pair.differing, 'cell that differs', 'cells that differ')} of {tests}"
            + (f" (so few cannot go below {smallest:.2g})." if smallest > ALPHA else ".")
        )
    elif tests:
        lines.append("Wilcoxon's test across cells: no cell differs.")
    lines += _left_out(pair.cells)
    if pair.unmatched:
        lines.append(
            f"{count(pair.unmatched, 'trial is', 'trials are')} in one run alone, and left out."
        )
    return lines


def points(share: float | None) -> str:
    """Write a difference in percentage points with its sign.

    Examples
    --------
    >>> points(0.125), points(-0.5), points(0.0), points(None)
    ('+12.5', '-50.0', '0.0', '')
    """
    if share is None:
        return ""
    return f"{100 * share:+.1f}" if share else "0.0"


def p_text(p_value: float | None) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_text(0.0421), p_text(1e-9), p_text(1.0), p_text(None)
    ('0.042', '<0.0001', '1', '')
    """
    if p_value is None:
        return ""
    return "<0.0001" if p_value < 0.0001 else f"{p_value:.2g}"


def _left_out(cells: "tuple[CellPair, ...]") -> list[str]:
    from llm_pv.programs.shown import escaped

    reasons: dict[str, list[str]] = {}
    for cell in cells:
        for trial in cell.trials:
            if trial.reason:
                reasons.setdefault(trial.reason, []).append(f"{cell.cell.slug} {trial.trial}")
    return [
        escaped(f"Not paired ({', '.join(which[:4])}{', ...' if len(which) > 4 else ''}): {why}.")
        for why, which in reasons.items()
    ]
