"""Write reports: a page for one run in its own folder, or a folder for many runs."""

from collections.abc import Sequence
from pathlib import Path

from llm_pv.errors import RunError
from llm_pv.report.comparison import Comparison, compare_methods
from llm_pv.report.figures import figures
from llm_pv.report.page import build_page
from llm_pv.report.records import load_run, load_runs
from llm_pv.report.tables import comparison_table, measurements_table, methods_table, trials_table
from llm_pv.report.tabular import to_csv, to_latex
from llm_pv.report.transfer_tables import lengths_table, shortcuts_table
from llm_pv.runs.files import write_atomically, write_bytes_atomically
from llm_pv.runs.reading import write_report as write_into_run

_TABLES = (
    comparison_table,
    measurements_table,
    methods_table,
    shortcuts_table,
    lengths_table,
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
    for make in _TABLES:
        table = make(comparison)
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
