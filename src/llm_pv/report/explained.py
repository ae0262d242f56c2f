"""How a program for a table decides: its conditions, its mistakes, and the columns it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_pv.errors import RunError
from llm_pv.report.tables import Column, Entry, ReportTable
from llm_pv.report.text import percent

_DEEPEST = 8


@dataclass(frozen=True)
class Line:
    """A condition or an answer of a program, with the validation rows that reach it."""

    depth: int
    text: str
    is_answer: bool
    rows: int | None
    "None for a statement that decides nothing."
    right: int


@dataclass(frozen=True)
class Shape:
    """A column: the training rows of each class in bins of equal width, and the cuts."""

    name: str
    low: float
    high: float
    bins: Mapping[str, tuple[int, ...]]
    cuts: tuple[float, ...]

    @property
    def words(self) -> str:
        """The range and the cuts in words."""
        cuts = f", compared with {', '.join(map(plain, self.cuts))}" if self.cuts else ""
        return f"{plain(self.low)} to {plain(self.high)} in training{cuts}"


@dataclass(frozen=True)
class Explanation:
    """The recorded explanation of a selected program for a table."""

    lines: tuple[Line, ...]
    "Empty for a program that is no chain of conditions."
    conditions: ReportTable | None
    confusion: ReportTable | None
    mistakes: ReportTable | None
    shapes: tuple[Shape, ...]
    classes: tuple[str, ...]
    "In the order of their colours."


def read_explanation(found: Mapping[str, Any]) -> Explanation | None:
    """Return the explanation of a selected program; None if none was recorded.

    Raise RunError if the record is damaged.
    """
    try:
        return _read(found) if found else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RunError(
            f"the explanation in results_attempts.jsonl is damaged ({error!r}); restore the file"
        ) from error


def _read(found: Mapping[str, Any]) -> Explanation:
    shapes = tuple(
        Shape(
            name=str(shape["name"]),
            low=float(shape["low"]),
            high=float(shape["high"]),
            bins={str(label): tuple(map(int, bins)) for label, bins in shape["bins"].items()},
            cuts=tuple(map(float, shape["cuts"])),
        )
        for shape in found["columns"]
    )
    return Explanation(
        lines=_lines(found["lines"], found["leaves"]),
        conditions=_conditions(found.get("conditions")),
        confusion=_confusion(found["confusion"]) if found["confusion"] else None,
        mistakes=_mistakes(found["mistakes"]) if found["mistakes"] else None,
        shapes=shapes,
        classes=tuple(dict.fromkeys(label for shape in shapes for label in shape.bins)),
    )


def _lines(lines: Sequence[Sequence[Any]], leaves: Sequence[Mapping[str, int]]) -> tuple[Line, ...]:
    """Return lines with their rows; a condition has those of the leaves below it."""
    shown = []
    for place, (depth, text, leaf) in enumerate(lines):
        below = [leaf] if leaf is not None else []
        for deeper, _, other in lines[place + 1 :]:
            if leaf is not None or deeper <= depth:
                break
            below += [other] if other is not None else []
        rows = sum(leaves[number]["rows"] for number in below) if below else None
        right = sum(leaves[number]["right"] for number in below)
        shown.append(Line(min(int(depth), _DEEPEST), str(text), leaf is not None, rows, right))
    return tuple(shown)


def _conditions(found: Mapping[str, Any] | None) -> ReportTable | None:
    """Return what the program does without each condition; None in older runs, or with none."""
    if not found or not found["without"]:
        return None
    rows, right = int(found["rows"]), int(found["right"])
    columns = (
        Column("condition", numeric=False),
        Column("answers it changes"),
        Column("right without it, %"),
    )
    lines = []
    for one in found["without"]:
        changed, without = int(one["changed"]), int(one["right"])
        less = 100 * (without - right) / rows
        lines.append((
            Entry(str(one["text"])),
            Entry(f"{changed:,}", changed),
            Entry(percent(without / rows), without, detail=f"{less:+.1f} points" if less else ""),
        ))  # fmt: skip
    caption = (
        f"Each condition left out alone, on the {rows:,} validation rows: how many answers change, "
        f"and how many are right then; with all of them {percent(right / rows)}% are."
    )
    return ReportTable("conditions", "What each condition adds", caption, columns, tuple(lines))


def _confusion(found: Mapping[str, Any]) -> ReportTable:
    columns = (
        Column("label", numeric=False),
        *(
            Column("no answer" if answer is None else f"answered {answer}")
            for answer in found["answers"]
        ),
    )
    rows = tuple(
        (
            Entry(str(label)),
            *(
                Entry(f"{number:,}", number, alarm=bool(number) and answer != label)
                for answer, number in zip(found["answers"], numbers, strict=True)
            ),
        )
        for label, numbers in zip(found["labels"], found["counts"], strict=True)
    )
    caption = f"The {found['split']} rows of each class, by the program's answer."
    return ReportTable("confusion", "Answers by class", caption, columns, rows)


def _mistakes(found: Sequence[Mapping[str, Any]]) -> ReportTable:
    names = list(dict.fromkeys(name for one in found for name in one["input"]))
    columns = (
        Column("row", numeric=False),
        Column("label", numeric=False),
        Column("answer", numeric=False),
        *(Column(name, numeric=False) for name in names),
    )
    rows = tuple(
        (
            Entry(f"{one['split']} {one['row']}"),
            Entry(str(one["label"])),
            Entry("none" if one["prediction"] is None else str(one["prediction"]), alarm=True),
            *(_cell(one["input"].get(name)) for name in names),
        )
        for one in found
    )
    caption = (
        "Rows that the program answers wrongly, at most 20, numbered from 0 within validation or "
        "test; the columns that it reads come first."
    )
    return ReportTable("mistakes", "Mistakes", caption, columns, rows)


def _cell(value: object) -> Entry:
    text = "" if value is None else str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Entry(text, float(value))
    return Entry(text)


def plain(value: float) -> str:
    """Write a number of a column with four digits."""
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
