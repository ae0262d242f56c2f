"""``llm-pv report``: a page, figures and tables of runs."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.cli.main import complain, resumable
from llm_pv.cli.options import OutputOptions
from llm_pv.cli.output import Terminal, write_json
from llm_pv.errors import LLMPVError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.table import Table
    from rich.text import Text

    from llm_pv.tracks.baselines.results import BaselineResults
    from llm_pv.tracks.synthesis.results import GridResult


def report(
    runs: tuple[Path, ...],
    /,
    *,
    out: Path = Path("report"),
) -> int:
    """Write a report about runs: one HTML page, figures as SVG and PDF, tables as CSV and LaTeX.

    A folder of runs, such as a sweep's, is read with all runs below it. Runs of every track can be
    combined. A run in progress is shown as far as it has got. Nothing in a run directory is
    changed.

    Parameters
    ----------
    runs
        Run directories, and folders of them.
    out
        Folder for index.html, figures/ and tables/; files of an earlier report are replaced.
    """
    from llm_pv.report.spending import NOTHING_SPENT, total_spending
    from llm_pv.report.write import write_report
    from llm_pv.runs.reading import find_runs

    found = find_runs(runs)
    written = write_report(found, out)
    sys.stdout.write(f"{written[0]}\n")
    spent = total_spending(found)
    if spent != NOTHING_SPENT:
        sys.stdout.write(f"Spent: {spent}\n")
    return 0


def show_results(
    results: "GridResult | BaselineResults",
    output: OutputOptions,
    shown: "Callable[[], Iterable[Table | Text]]",
    none: str,
) -> int:
    """Leave the page of a run in its directory, show its results and return the exit status.

    Raise LLMPVError if no cell succeeded.

    Parameters
    ----------
    shown
        Returns the tables and notes.
    none
        The error if no cell succeeded; the reasons follow.
    """
    leave_page(results.path)
    if not results.count("done") + results.count("nothing found"):
        raise LLMPVError(f"{none}: {'; '.join(results.reasons()[:3])}")
    if output.format == "json":
        write_json(results.record())
    else:
        for part in shown():
            Terminal().print(part)
    return 1 if results.count("failed") else 0


def prepare_while_waiting() -> None:
    """Start in the background, while a run waits for models, what it needs after their replies."""

    def load() -> None:
        with suppress(Exception):  # whoever needs it meets the error again and reports it
            from llm_pv.programs.replies import read_programs
            from llm_pv.report.page import load_libraries

            read_programs(["f = len"])  # starts the confined parser
            load_libraries()

    threading.Thread(target=load, daemon=True).start()


def leave_page(run: Path) -> None:
    """Write a run's page into its directory; if that fails, only write one line about it."""
    try:
        from llm_pv.report.write import write_run_page

        with resumable(f"{run} keeps the result, and the same command with --out {run} shows it"):
            write_run_page(run)
    except LLMPVError as error:
        complain(f"no report.html: {error}")
    except Exception as error:  # noqa: BLE001 - the run is complete without its page
        complain(f"no report.html, because of an error: {type(error).__name__}: {error}")
