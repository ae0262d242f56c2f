"""``llm-pv tasks``: every task of the benchmark."""

from typing import TYPE_CHECKING, Any

from llm_pv.cli.options import Format
from llm_pv.cli.output import make_table, write_json, write_table

if TYPE_CHECKING:
    from llm_pv.tasks import Task


def tasks(*, format: Format = "table") -> int:  # noqa: A002
    """List the benchmark's tasks: what each is, its lengths, an example of each class.

    Parameters
    ----------
    format
        How they are shown: table, or a JSON array.
    """
    from llm_pv.tasks import TASKS

    records = [describe(task) for task in TASKS.values()]
    if format == "json":
        write_json(records)
    else:
        _print(records)
    return 0


def describe(task: "Task") -> dict[str, Any]:
    """Return the description of a task as plain JSON values."""
    is_table = task.alphabet == "table"
    return {
        "id": task.id,
        "name": task.name,
        "label_1_when": task.description,
        "inputs": task.alphabet,
        "samplers": sorted(task.samplers, reverse=True) or ["paper"],
        "default_lengths": list(task.lengths.default),
        "lengths": f"{task.lengths.default[0]} features" if is_table else task.lengths.describe(),
        "length_generalising": task.length_generalising,
        "example_of_0": task.examples[0],
        "example_of_1": task.examples[1],
    }


def _print(records: list[dict[str, Any]]) -> None:
    from rich.text import Text

    columns = ("id", "name", "label 1 when, lengths, an input of label 0 and one of label 1")
    table = make_table(columns, left=columns, boxed=True)
    table.box, table.padding = None, (0, 1, 1, 0)
    for column in table.columns[:2]:
        column.no_wrap = True
    table.columns[1].style = "bold"
    for record in records:
        default = ", ".join(map(str, record["default_lengths"]))
        text = Text(record["label_1_when"])
        text.append(f"\n{record['lengths']}", style="dim")
        if "features" not in record["lengths"]:
            text.append(f"; by default {default}", style="dim")
        text.append(f"\n0: {record['example_of_0']}\n1: {record['example_of_1']}", style="cyan")
        table.add_row(record["id"] or "by name", record["name"], text)
    write_table(table)
