"""``llm-pv show``: an attempt of a run, with the conversation that led to it."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.cli.options import Format
from llm_pv.cli.output import Terminal, make_table, write_json, write_table
from llm_pv.errors import ConfigurationError
from llm_pv.report.text import percent, price

if TYPE_CHECKING:
    from llm_pv.runs.cells import Key
    from llm_pv.runs.conversations import RecordedConversation

_MOST_NAMED = 8


def show(
    run: Path,
    attempt: int | None = None,
    /,
    *,
    cell: str | None = None,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show an attempt of a run: the conversation with the model, its program, its scores.

    Parameters
    ----------
    run
        The run directory, in use or finished.
    attempt
        Its number; without one, all attempts are listed.
    cell
        The cell of a grid, as its files are called in programs/, such as fn_a-L50-paper-t0.
    format
        How it is shown: as text, or as one JSON object.
    """
    from llm_pv.runs.conversations import place_of_origin, read_conversations

    key, records = _attempts(run, cell)
    if attempt is None:
        _list(records, format)
        return 0
    record = records.get(attempt)
    if record is None:
        raise ConfigurationError(
            f"{run} has no attempt {attempt}; give a number from 1 to {len(records)}, or none to "
            "list them"
        )
    place = place_of_origin(str(record.get("proposer", "")), str(record.get("origin", "")))
    held = read_conversations(run).get(key, {}) if place else {}
    conversation = held.get(place) if place else None
    if conversation is None:
        conversation = _reply_alone(run, key, record)
    if format == "json":
        said = asdict(conversation) if conversation else None
        write_json({"attempt": record, "conversation": said})
    else:
        _write(record, conversation)
    return 0


def _attempts(run: Path, name: str | None) -> "tuple[Key, dict[int, dict[str, Any]]]":
    """Return the key of a cell and its attempts by number."""
    from llm_pv.runs.cells import by_cell, cell_of
    from llm_pv.runs.reading import read_attempts, read_run

    read_run(run)  # report a folder that is no run
    made = [record for record in read_attempts(run) if record.get("kind") == "attempt"]
    cells = {}
    for key, records in by_cell(made).items():
        found = cell_of(key)
        cells[f"{found.slug}-t{found.trial}"] = key, records
    if name is None and len(cells) == 1:
        [name] = cells
    if name not in cells:
        names = ", ".join(list(cells)[:_MOST_NAMED]) + (", ..." if len(cells) > _MOST_NAMED else "")
        several = f"has several cells: give one as --cell: {names}"
        what = several if cells else "has no attempt yet"
        raise ConfigurationError(f"{run} {what}")
    key, records = cells[name]
    return key, {int(record["attempt"]): record for record in records}


def _reply_alone(run: Path, key: "Key", record: Mapping[str, Any]) -> "RecordedConversation | None":
    """Return the reply of a proposer without conversations, if it is more than a program."""
    from llm_pv.runs.cells import key_of
    from llm_pv.runs.conversations import Message, RecordedConversation
    from llm_pv.runs.reading import read_replies

    for reply in read_replies(run):
        if reply.get("attempt") == record["attempt"] and key_of(reply) == key:
            text = str(reply.get("text", ""))
            if text.strip() == str(record["program"]).strip():
                return None
            return RecordedConversation(
                str(record.get("proposer", "")), 0, messages=[Message("reply", text)]
            )
    return None


def _list(records: Mapping[int, Mapping[str, Any]], format: Format) -> None:  # noqa: A002
    from rich.text import Text

    if format == "json":
        write_json({"attempts": list(records.values())})
        return
    columns = ["attempt", "from", "validation", "train", "calls", "tokens", "cost", "by", "error"]
    rows = [_row(number, record) for number, record in records.items()]
    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    table = make_table([columns[place] for place in used], left=("by", "error"))
    for row in rows:
        table.add_row(*(Text(row[place]) for place in used))
    write_table(
        table, "from: the conversation, its refinement and the further program of a reply (3.1/2)"
    )


def _row(number: int, record: Mapping[str, Any]) -> list[str]:
    """Return the cells of an attempt in the list."""
    from llm_pv.programs.shown import escaped

    tokens = int(record.get("input_tokens") or 0) + int(record.get("output_tokens") or 0)
    return [
        str(number),
        str(record.get("origin", "")),
        percent(record["validation_accuracy"], "%"),
        percent(record["train_accuracy"], "%"),
        str(record.get("tool_calls") or ""),
        f"{tokens:,}" if tokens else "",
        "" if record.get("cost_usd") is None else price(record["cost_usd"]),
        escaped(str(record.get("proposer", ""))),
        escaped(" ".join(str(record["error"]).split()))[:120],
    ]


def _write(record: Mapping[str, Any], conversation: "RecordedConversation | None") -> None:
    """Write an attempt in the order of its making: headings in bold on a terminal."""
    from rich.rule import Rule
    from rich.syntax import Syntax
    from rich.text import Text

    from llm_pv.programs.shown import escaped

    terminal = Terminal()
    for heading, text, is_code in _parts(record, conversation):
        shown = escaped(text.rstrip("\n"))
        if not terminal.is_terminal:
            sys.stdout.write(f"=== {escaped(heading)}\n{shown}\n\n")
            continue
        terminal.print(Rule(Text(escaped(heading), style="bold"), align="left"))
        terminal.print(
            Syntax(shown, "python", word_wrap=True) if is_code else Text(shown), soft_wrap=True
        )


def _parts(
    record: Mapping[str, Any], conversation: "RecordedConversation | None"
) -> Iterator[tuple[str, str, bool]]:
    """Yield the headings and texts of an attempt, and whether a text is code."""
    from llm_pv.runs.conversations import TITLES

    if conversation and conversation.prompt:
        yield TITLES["prompt"], conversation.prompt, False
    for message in conversation.messages if conversation else ():
        took = "" if message.seconds is None else f", {message.seconds:.1f} s"
        yield TITLES[message.role] + took, message.text, message.role == "call"
    if record["program"]:
        yield f"program of attempt {record['attempt']}", record["program"], True
    yield f"attempt {record['attempt']}", "\n".join(_scores(record, conversation)), False


def _scores(
    record: Mapping[str, Any], conversation: "RecordedConversation | None"
) -> Iterator[str]:
    if record.get("proposer"):
        yield f"proposed by: {record['proposer']}"
    if record["error"]:
        yield f"error: {' '.join(str(record['error']).split())}"
    if record["validation_accuracy"] is not None:
        yield f"right on training rows: {percent(record['train_accuracy'], '%')}"
        yield f"right on validation rows: {percent(record['validation_accuracy'], '%')}"
    if record.get("note"):
        yield f"note: {record['note']}"
    if conversation and conversation.turns:
        one = conversation
        yield (
            f"conversation {one.number}: {one.turns} turns, {one.tool_calls} tool calls, "
            f"{one.input_tokens:,} tokens sent, {one.output_tokens:,} written; "
            f"{price(one.cost_usd)}"
        )
