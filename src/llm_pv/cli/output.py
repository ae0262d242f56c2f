"""Write results as JSON or as a table."""

import json
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


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

    from llm_pv.cli.terminal import Terminal

    terminal = Terminal()
    terminal.print(table)
    for line in lines:
        terminal.print(Text(line) if isinstance(line, str) else line, soft_wrap=True)
