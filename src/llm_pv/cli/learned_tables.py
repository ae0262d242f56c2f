"""Print the result of a run in a terminal."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from llm_pv.cli.output import make_table, places
from llm_pv.errors import ProgramError
from llm_pv.programs.shown import escaped
from llm_pv.report.text import percent, price
from llm_pv.sandbox.parser import ask_one

_MOST_CANDIDATES = 12
_LONGEST_LINE = 2_000
_OTHER_COLUMNS = 52  # what the columns beside the program take, borders included


def print_learned(record: Mapping[str, Any], console: Console, *, explain: bool = False) -> None:
    """Print the record of a learned program: source, scores, certificate, candidates, files."""
    if record["program"] is not None:
        chosen: Mapping[str, Any] = next((row for row in record["candidates"] if row["pick"]), {})
        by = f", proposed by {escaped(chosen['proposer'])}" if chosen.get("proposer") else ""
        console.print(Text(f"The selected program{by}", style="bold"))
        console.print(Padding(shown_program(record["program"], console.width), 1))
        console.print(scores_table(record))
        console.print(Text(_words(record), style="dim"))
    console.print(_closing(record, explain=explain))
    console.print(candidates_table(record, console.width))
    if record["usage"]["input_tokens"] or record["doubtful_tokens"]:
        console.print(Text(f"Spent: {spending(record)}"), soft_wrap=True)
    if record["program_file"]:
        console.print(Text(f"Program: {record['program_file']}"), soft_wrap=True)
    if record["run"]:
        console.print(Text(places(record["run"])), soft_wrap=True)


def spending(record: Mapping[str, Any]) -> str:
    """Return the spending on a model as text; calls without an answer count at their worst case.

    Examples
    --------
    >>> usage = {"input_tokens": 5000, "output_tokens": 600, "cached_tokens": 0}
    >>> spending({"usage": usage, "cost_usd": None, "doubtful_tokens": 0})
    '5,000 tokens sent, 600 written; price unknown'
    >>> lost = {"doubtful_tokens": 22_160, "doubtful_usd": 0.25}
    >>> print(spending({"usage": usage, "cost_usd": 0.01} | lost))
    5,000 tokens sent, 600 written; $0.01; unanswered calls: up to 22,160 tokens, $0.25
    """
    usage, cost = record["usage"], record["cost_usd"]
    cached = f" ({usage['cached_tokens']:,} of them cached)" if usage["cached_tokens"] else ""
    sent, written = f"{usage['input_tokens']:,}", f"{usage['output_tokens']:,}"
    text = f"{sent} tokens sent{cached}, {written} written; {price(cost)}"
    if not record["doubtful_tokens"]:
        return text
    most = price(record["doubtful_usd"])
    return f"{text}; unanswered calls: up to {record['doubtful_tokens']:,} tokens, {most}"


def candidates_table(record: Mapping[str, Any], width: int) -> RenderableType:
    """Return a table of the candidates, best first, the pick marked ``>>>>``, at most this wide."""
    rows = record["candidates"]
    proposers = dict.fromkeys(filter(None, (row.get("proposer") for row in rows)))
    letters = dict(zip(proposers, ascii_uppercase, strict=False))
    table = make_table(
        ["", "attempt", "validation", "train", "bits", *(["by"] if letters else []), "program"],
        title=escaped(f"Candidates for {record['name']}"),
        left=("by", "program"),
        boxed=True,
    )
    table.columns[0].style = "bold green"
    room = max(10, width - _OTHER_COLUMNS - (5 if letters else 0))
    for row in rows[:_MOST_CANDIDATES]:
        line = Text(" ".join(escaped(_program_line(row)).split()))
        line.truncate(room, overflow="ellipsis")
        table.add_row(
            row["pick"],
            str(row["attempt"]),
            percent(row["validation_accuracy"], "%"),
            percent(row["train_accuracy"], "%"),
            "" if row["bits"] is None else f"{row['bits']:.0f}",
            *([letters.get(row["proposer"], "")] if letters else []),
            line,
            style="bold" if row["pick"] else ("dim" if row["program"] is None else ""),
        )
    below = ["bits: the size of a program; of equally good ones the smallest is chosen"]
    below += [f"{letter}: {escaped(proposer)}" for proposer, letter in letters.items()]
    hidden = len(rows) - _MOST_CANDIDATES
    if hidden > 0:
        below.append(f"and {hidden} more, in results_attempts.csv")
    return Group(table, *(Text(line, style="dim") for line in below))


def scores_table(record: Mapping[str, Any]) -> Table:
    """Return a table of the selected program's accuracy and the majority baseline's."""
    balanced = ["balanced"] if record["unbalanced"] else []
    table = make_table(["rows", "number", "right", "majority baseline", *balanced], boxed=True)
    baseline = record["baseline"]
    for split in ("train", "validation", "test"):
        score = record[split]
        if score is None or not score["rows"]:
            continue
        cells = [
            split,
            f"{score['rows']:,}",
            percent(score["accuracy"], "%"),
            percent(baseline.get(f"{split}_accuracy"), "%"),
        ]
        if split == "test" and record["test_interval"]:
            low, high = record["test_interval"]
            cells[2] += f" [{percent(low, '%')}, {percent(high, '%')}]"
        if record["unbalanced"]:
            cells.append(percent(score["balanced_accuracy"], "%"))
        table.add_row(*cells)
    return table


def _words(record: Mapping[str, Any]) -> str:
    """Return what the words of the table of scores mean."""
    words = (
        "Programs are made from the train rows and chosen by the validation rows; the test rows "
        f"are used once. The majority baseline always answers {record['baseline']['label']!r}."
    )
    return escaped(words) + (" Balanced: mean over classes." if record["unbalanced"] else "")


def shown_program(program: str, width: int) -> RenderableType:
    """Return a program for the terminal: its conditions as a tree where its lines are too wide.

    A program that is no such tree stays as it is, with a line of data shortened.
    """
    lines = escaped(program.rstrip("\n")).split("\n")
    if max(map(len, lines)) > width - 2:
        try:
            found = ask_one("leaves", program, 1)
        except ProgramError:
            found = {"whole": False}
        if found["whole"]:
            tree = [
                Padding(
                    Text(escaped(f"→ {text}" if leaf is not None else text)), (0, 0, 0, 3 * depth)
                )
                for depth, text, leaf in found["lines"]
            ]
            return Group(
                *tree, Text("(in words, as its lines are long; the file has the code)", "dim")
            )
    shown = "\n".join(
        line if len(line) <= _LONGEST_LINE
        else f"{line[:100]}... # {len(line):,} characters, whole in the file"
        for line in lines
    )  # fmt: skip
    return Syntax(shown, "python", word_wrap=True)


def _program_line(row: Mapping[str, Any]) -> str:
    """Return what a program does in a line, or why there is none."""
    if row["program"] is None or row["remark"]:
        return str(row["remark"])
    mark = "fallback: " if row.get("fallback") else ""
    return mark + _decision_line(row["program"])


def _decision_line(program: str) -> str:
    try:
        return str(ask_one("body_summary", program))
    except ProgramError:
        return next((line.strip() for line in program.splitlines()), "")


def _closing(record: Mapping[str, Any], *, explain: bool) -> Text:
    text = Text("\n")
    verdict = escaped(record["verdict"])
    text.append(verdict[:1].upper() + verdict[1:] + ".\n", style="bold")
    if record["certificate_text"]:
        text.append("\nCertificate: ", style="bold")
        if explain:
            text.append(record["certificate_text"] + "\n")
        else:
            text.append(record["certificate_sentence"])
            text.append(" --explain prints what it assumes.\n", style="dim")
    for warning in record["warnings"]:
        text.append("\nNote: ", style="yellow").append(escaped(warning) + ".")
    if record["warnings"]:
        text.append("\n")
    return text
