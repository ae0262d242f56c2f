"""Where results go: JSON, tables, the terminal, and folders for runs that are given none."""

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from llm_pv.errors import RunError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def free_folder(what: str) -> Path:
    """Return a folder under ``runs/`` that does not exist yet."""
    return next(path for path in _names(what) if not path.exists())


def new_folder(what: str) -> Path:
    """Make a folder under ``runs/`` that no other process has, and return it.

    Raise RunError if it cannot be made.
    """
    for path in _names(what):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"cannot make {path}: {error.strerror or error}; give --out") from error
        return path
    raise AssertionError("counting does not end")


def set_aside(run: Path, rows_digest: str) -> Path | None:
    """Rename a run of other rows, so that a new one can take its place; return its new path.

    Return None if the run is already one of these rows. Raise RunError if there is no run, or it
    cannot be renamed.
    """
    from llm_pv.runs.reading import read_run

    if read_run(run)["configuration"].get("rows_digest") == rows_digest:
        return None
    names = (run.with_name(f"{run.name}.before-{number}") for number in count(1))
    earlier = next(path for path in names if not path.exists())
    try:
        return run.rename(earlier)
    except OSError as error:
        raise RunError(f"cannot rename {run} to {earlier}: {error.strerror or error}") from error


def _names(what: str) -> Iterator[Path]:
    stem = f"{what}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    yield Path("runs") / stem
    yield from (Path("runs") / f"{stem}-{number}" for number in count(2))


class Terminal(Console):
    """Standard output; a reader that closes the pipe is no error."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError, on which the command line exits quietly."""
        raise BrokenPipeError


def places(run: Path | str) -> str:
    """Return where a run's page, if it has one, and its other files are."""
    page = Path(run) / "report.html"
    return (f"Page: {page}\n" if page.exists() else "") + f"Everything else: {run}"


def write_json(record: Any) -> None:
    """Write plain JSON values to standard output."""
    sys.stdout.write(json.dumps(record, indent=2) + "\n")


def make_table(
    columns: Sequence[str],
    *,
    title: "str | Text" = "",
    left: Collection[str] = (),
    italic: Collection[str] = (),
    boxed: bool = False,
) -> "Table":
    """Return an empty table.

    Parameters
    ----------
    columns
        Its headers. The first column is aligned to the left, the others to the right.
    title
        The text above it; not interpreted as markup.
    left, italic
        Other columns that are aligned to the left, and those in italics.
    boxed
        Whether lines surround it: for the few rows of one result, not for a list.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    named = Text(title) if title and isinstance(title, str) else title or None
    table = Table(title=named, title_justify="left")
    if not boxed:
        table.box, table.pad_edge = box.SIMPLE_HEAD, False
    for number, header in enumerate(columns):
        side = "left" if not number or header in left else "right"
        style = "italic" if header in italic else ""
        table.add_column(header, justify=side, style=style, overflow="fold")  # type: ignore[arg-type]
    return table


def write_table(table: "Table", *lines: "str | Text") -> None:
    """Write a table to standard output, and lines below it."""
    from rich.text import Text

    terminal = Terminal()
    terminal.print(table)
    for line in lines:
        terminal.print(Text(line) if isinstance(line, str) else line, soft_wrap=True)
