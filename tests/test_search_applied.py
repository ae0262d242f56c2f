"""No operator is there for nothing: each gives something new on rows that people have."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from llm_pv.search.bank import evaluate
from llm_pv.search.operators import Operator, load
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Type
from llm_pv.search.walks import WALKS, View, applied, view_of

CHANCE = random.Random(3)
ROWS = 30
DAY = [date(2020, 1, 1) + timedelta(CHANCE.randrange(3000)) for _ in range(2 * ROWS)]
WORDS = ["Ada", "noon", "level", "apple", "Orange", "tree", "ICE", "idea", "kayak", "rain"]
EDGES = ["A>B B>C C>A", "A>B B>A C>D", "A>B A>C A>D D>E", "A>B B>C B>C E>F", "A>C C>D D>B B>A"]
BRACKETS = ["([a] b) (c)", "(a) [b (c) d]", "[[a] (b)]", "(a (b (c)))", "[a] [b]", "(a) ) (b"]
FORMS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%d %b %Y", "%d %B %Y")


def drawn(alphabet: Sequence[str], least: int, most: int, between: str = "") -> list[str]:
    lengths = [CHANCE.randint(least, most) for _ in range(ROWS)]
    return [between.join(CHANCE.choices(alphabet, k=length)) for length in lengths]


def written(form: str, days: Sequence[date]) -> list[str]:
    return [day.strftime(form) for day in days]


def texts() -> list[list[str]]:
    """Return columns of texts of the kinds that operators are declared for."""
    clock = [f"{CHANCE.randint(0, 23):02}:{CHANCE.randint(0, 59):02}" for _ in range(2 * ROWS)]
    pairs = list(zip(clock[:ROWS], clock[ROWS:], strict=True))
    spans = [" to ".join(map(str, two)) for two in zip(DAY[:ROWS], DAY[ROWS:], strict=True)]
    return [
        drawn("01", 12, 12),
        drawn("ACGT", 9, 15),
        drawn("XO.", 9, 9),
        drawn("abcXYZ", 4, 6),
        drawn([*"abcdefgh", "1", "-"], 1, 2),
        drawn(WORDS, 3, 6, " "),
        [f"{text}." for text in drawn(WORDS, 3, 6, ", ")],
        drawn([*WORDS, "Rain", "12", "7"], 1, 1),
        drawn(["10", "192", "168", "7"], 4, 4, "."),
        [word.lower() for word in drawn(WORDS, 1, 1)],
        drawn("0123456789", 1, 5),
        [str(2**n) for n in range(8)] + [str(n) for n in (9, 12, 121, 49, 97, 50, 64)],
        [f"{n:06x}" for n in range(99_999, 9_999_999, 330_000)],
        drawn([str(n) for n in range(-9, 30)], 6, 8, ", "),
        [f"{CHANCE.random() * 9:.1f} {CHANCE.random():.2f}" for _ in range(ROWS)],
        [f"{CHANCE.random() - 0.5:.1f} {CHANCE.random():.2f}" for _ in range(ROWS)],
        [f"{CHANCE.random() * 9:.1f}" for _ in range(ROWS)],
        drawn("abc", 3, 3, "-"),
        [CHANCE.choice(BRACKETS) for _ in range(ROWS)],
        [CHANCE.choice(EDGES) for _ in range(ROWS)],
        drawn(["1-2", "2-3", "3-1", "1-4", "4-5", "5-6", "2-1"], 3, 5, " "),
        [f"paid ${CHANCE.randint(1, 300)} for {CHANCE.randint(1, 9)} items" for _ in range(ROWS)],
        [f"{hour % 12 + 1}:{hour:02} {'AP'[hour % 2]}M" for hour in range(ROWS)],
        [f"0{CHANCE.randint(100, 999)} {CHANCE.randint(1000, 9999)}" for _ in range(ROWS)],
        clock[:ROWS],
        [f"{start}-{end}" for start, end in pairs],
        [f"{time}:{CHANCE.randint(10, 59)}" for time in clock[:ROWS]],
        spans,
        [f"due {span}" for span in spans],
        *(written(form, DAY[:ROWS]) for form in (*FORMS, "%b %d, %Y", "%m/%y", "%m/%Y")),
        *(written(form + " 10h", DAY[:ROWS]) for form in FORMS[:2]),
        [str(day) for day in DAY[:ROWS]],
    ]


def is_new(values: Any) -> bool:
    """Tell whether values are there and not all alike."""
    if values is None:
        return False
    rows = values.rows if isinstance(values, Ragged) else list(values)
    return any(str(row) != str(rows[0]) for row in rows)


def results(operator: Operator, columns: Sequence[Any]) -> list[Any]:
    """Return the columns that an operator makes of others, none that fail or never vary."""
    size = len(columns[0].rows if isinstance(columns[0], Ragged) else columns[0])
    made = [
        evaluate(operator, columns, constant, size) for constant, _ in operator.choices(columns[0])
    ]
    return [column for column in made if is_new(column)]


@pytest.fixture(scope="module")
def values() -> dict[Type, list[Any]]:
    """Return columns of every type: texts, and what operators of one argument make of them."""
    found: dict[Type, list[Any]] = defaultdict(list)
    found[Type.TEXT] = list(texts())
    for source in (Type.TEXT, Type.WHOLE, Type.DATE, Type.EDGES):
        for operator in load():
            if operator.arguments == (source,) and not operator.over:
                for column in found[source][:60]:
                    if operator.result not in (Type.TEXT, source):
                        found[operator.result] += results(operator, [column])[:3]
    found[Type.NUMBERS].append(Ragged.of([[3, 1, 2], [5, 1, 5], [7], [2, 2]]))
    found[Type.NUMBER].append(np.array([0.5, 2.25, 3.5, 700.0] * 8)[:ROWS])
    found[Type.NUMBER].append(np.array([float(n * 97 % 1440) for n in range(ROWS)]))
    found[Type.NUMBER].append(np.array([float(n * 131 % 1440 - 20 * (n < 0)) for n in range(ROWS)]))
    return found


@pytest.mark.parametrize(
    "operator", [one for one in load() if not one.over], ids=lambda one: one.template
)
def test_an_operator_gives_something_new(operator: Operator, values: dict[Type, list[Any]]) -> None:
    first = values[operator.arguments[0]]
    if len(operator.arguments) == 1:
        assert any(results(operator, [column]) for column in first)
        return
    same = [c for c in values[operator.arguments[1]] if len(c) == ROWS]
    first = [c for c in first if len(c) == ROWS]
    assert any(results(operator, [one, two]) for one in first for two in same[-60:])


@pytest.fixture(scope="module")
def views(values: dict[Type, list[Any]]) -> dict[str, list[View]]:
    """Return walks over the lists, and over the texts as lists of characters."""
    lists = [*values[Type.NUMBERS][:60], *values[Type.TEXTS][:60], values[Type.NUMBERS][-1]]
    lists += [Ragged.of(column) for column in values[Type.TEXT][:12]]
    return {
        way.over: [v for one in lists if len((v := view_of(one, way.over)).variables[0])]
        for way in WALKS
    }


@pytest.mark.parametrize(
    "operator", [one for one in load() if one.over], ids=lambda one: f"{one.over} {one.template}"
)
def test_an_item_operator_gives_something_new(
    operator: Operator, views: dict[str, list[View]]
) -> None:
    assert any(_answers(operator, view) for view in views[operator.over])


def _answers(operator: Operator, view: View) -> bool:
    if (view.items is None) == (operator.arguments[-1] is Type.TEXT):
        return False
    known = view.variables[-1] if view.items is None else list(view.items)
    return any(
        is_new(applied(operator, view, view.variables, one)) for one, _ in operator.choices(known)
    )
