"""The built-in search finds simple rules from 100 rows, whole, and says so when there is none."""

import random
from collections.abc import Callable

import pytest

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.length_first.budget import Budget

Rule = Callable[[str], object]
LENGTH = 40
MEDIUM = Budget(candidates=5_000_000)


def bits(chance: random.Random) -> str:
    return "".join(chance.choice("01") for _ in range(LENGTH))


def digits(chance: random.Random) -> str:
    return chance.choice("123456789") + "".join(chance.choice("0123456789") for _ in range(11))


def proposals(rows: list[Input], labels: list[str]) -> list[Proposal]:
    return list(
        LengthFirst(budget=MEDIUM).propose(Examples(rows, labels), Classes.of(labels), seed=0)
    )


def predictions(source: str, rows: list[Input]) -> list[str]:
    namespace: dict[str, Callable[[Input], object]] = {}
    exec(source, namespace)
    return [label_text(namespace["f"](row)) for row in rows]


def near_palindrome(chance: random.Random) -> str:
    half = [chance.choice("01") for _ in range(LENGTH // 2)]
    text = half + half[::-1]
    if chance.random() < 0.5:
        for place in chance.sample(range(LENGTH), 2):
            text[place] = "1" if text[place] == "0" else "0"
    return "".join(text)


def with_pattern(chance: random.Random) -> str:
    text = bits(chance)
    place = chance.randrange(LENGTH - 7)
    return text if chance.random() < 0.5 else text[:place] + "1101100" + text[place + 7 :]


@pytest.mark.parametrize(
    ("draw", "rule"),
    [
        (bits, lambda x: x.count("1") % 2),
        (bits, lambda x: x[: len(x) // 2].count("1") % 2),
        (bits, lambda x: (x[3] + x[17] + x[30]).count("1") % 2),
        (near_palindrome, lambda x: x == x[::-1]),
        (with_pattern, lambda x: "1101100" in x),
        (bits, lambda x: x.count("1") % 3 == 0),
        (bits, lambda x: "abc"[x.count("1") % 3]),
        (digits, lambda x: int(x) % 7 == 0),
        (digits, lambda x: x.count("3") > x.count("7")),
    ],
)
def test_a_simple_rule_over_strings_is_among_the_first_three(
    draw: Callable[[random.Random], str], rule: Rule
) -> None:
    chance = random.Random(7)
    rows: list[Input] = list(dict.fromkeys(draw(chance) for _ in range(1200)))
    labels = [label_text(rule(str(row))) for row in rows]
    first = proposals(rows[:100], labels[:100])[:3]
    assert labels in [predictions(proposal.text, rows) for proposal in first]
