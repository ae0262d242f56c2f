"""Rules that the rows do not tell apart are named, and the user is told."""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.erm.pipeline import learn_splits
from llm_pv.erm.scoring import score_predictions
from llm_pv.erm.selection import Plan
from llm_pv.erm.verified_rivals import VerifiedRival
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Proposal, Proposer, Rival
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.own_process import OwnProcess
from llm_pv.proposers.registry import BuiltIn
from llm_pv.sandbox import Sandbox
from llm_pv.search.pool import Offer
from llm_pv.search.predicates import pool_of
from llm_pv.search.probes import make_probes
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Branch
from llm_pv.search.rivals import variants
from llm_pv.search.types import Expression, Type, joined

SMALL = BuiltIn(candidates=500_000)


def palindromes(number: int, seed: int) -> Examples:
    """Palindromes, and strings one change away from one: an odd count of ones tells them too."""
    chance = random.Random(seed)
    rows: list[Input] = []
    labels = []
    for index in range(number):
        half = chance.choices("01", k=8)
        whole = half + half[::-1]
        if index % 2:
            place = chance.randrange(16)
            whole[place] = "1" if whole[place] == "0" else "0"
        rows.append("".join(whole))
        labels.append(str(1 - index % 2))
    return Examples(rows, labels)


def test_two_rules_that_fit_are_each_others_rivals() -> None:
    train = palindromes(60, seed=0)
    found = list(LengthFirst(built_in=SMALL).propose(train, Classes.of(train.labels), seed=0))
    first = found[0]
    assert "return int(x == x[::-1])" in first.text
    rival = next(r for r in first.rivals if ".count(" in r.text and "% 2" in r.text)
    assert 0.02 <= rival.disagreement <= 1
    ones = str(rival.example).count("1")
    mirrored = str(rival.example) == str(rival.example)[::-1]
    assert (rival.answer, rival.rival_answer) == (str(int(mirrored)), str(int(ones % 2 == 0)))


def test_the_user_is_told_of_a_rival_that_validation_does_not_refute(sandbox: Sandbox) -> None:
    train, validation = palindromes(60, seed=0), palindromes(60, seed=1)
    splits = Splits(train, validation, palindromes(10, seed=2), Classes.of(train.labels))
    search = OwnProcess(LengthFirst(built_in=SMALL), seconds=60.0)  # as it runs everywhere
    learned = learn_splits(splits, search, sandbox, Plan(50))
    assert any("% 2" in standing.rival.text for standing in learned.rivals)
    assert any("another program fits the rows as well" in text for text in learned.warnings)
    record = learned.record()
    assert record["rivals"][0]["validation_accuracy"] == 1.0
    assert record["fallback"] is False


def test_a_rival_is_told_by_what_it_does_and_by_the_columns_that_either_program_reads() -> None:
    mine = 'def f(x):\n    if x["age"] > 30:\n        return "ill"\n    return "well"\n'
    text = 'def f(x):\n    n = x["size"]\n    return "ill" if n > 9 else "well"\n'
    row: Input = {"id": 3, "age": 31, "name": "Ada", "size": 2.5}
    rival = Rival(text, 3.0, 0.1, row, "ill", "well")
    sentence = VerifiedRival(rival, score_predictions(["ill"], ["ill"]), mine).sentence()
    assert "(n = size; if n > 9: ill; otherwise: well)" in sentence
    assert "for age = 31, size = 2.5 this one answers ill, the other well" in sentence
    assert "Ada" not in sentence


def test_a_long_rival_is_told_by_its_columns() -> None:
    mine = 'def f(x):\n    return "ill" if x["age"] > 30 else "well"\n'
    row: Input = {"age": 31, "size": 1, "weight": 2, "heart_rate": 60, "systolic": 1}
    points = " + ".join(f'{number}25 * x["{name}"]' for number, name in enumerate(row) if number)
    text = f'def f(x):\n    points = {points}\n    return "ill" if points >= 9 else "well"\n'
    rival = Rival(text, 3.0, 0.1, row, "ill", "well")
    sentence = VerifiedRival(rival, score_predictions(["ill"], ["ill"]), mine).sentence()
    assert "(one that reads size, weight, heart_rate, systolic): for" in sentence


def test_a_rival_like_the_program_is_told_as_one_and_long_examples_are_cut() -> None:
    mine = "def f(x):\n    return ['a', 'b'][x['n'] > x.get(\"m\", 0)]\n"
    row: Input = {"k": 1, "m": "y" * 200, "n": 3}
    score = score_predictions(["a"], ["a"])

    def told(text: str, example: Input = row) -> str:
        sentence = VerifiedRival(Rival(text, 3.0, 0.1, example, "a", "b"), score, mine).sentence()
        prefix, suffix = (
            "another program fits the rows as well (",
            (" this one answers a, the other b; label a row like this one to decide between them"),
        )
        assert sentence.startswith(prefix)
        assert sentence.endswith(suffix)
        return sentence.removeprefix(prefix).removesuffix(suffix)

    # A program that is no table of conditions is shown by its last line and the columns in it.
    assert told(mine) == f"one like it): for n = 3, m = '{'y' * 148}..."
    other = "def f(x):\n    return len(x['k'])\n"
    assert told(other, {"k": 1, "m": 2}) == "len(x['k'])): for m = 2, k = 1"
    assert told(other, "01" * 79).endswith(f"): for '{'01' * 79}'"), "160 characters are shown"
    assert told(other, "01" * 80).endswith(f"): for '{('01' * 80)[:159]}...")
    for digits, gist in ((100, "1" * 100), (101, "1" * 100 + "...")):
        assert told(f"def f(x):\n    return {'1' * digits}\n", "0") == f"{gist}): for '0'"
    long = "def f(x):\n    return x['k'] + " + "1" * 92 + "\n"
    assert told(long, "0") == "one that reads k): for '0'"


def test_conditions_that_differ_on_probes_alone_are_kept_as_alternatives() -> None:
    # Rows 0 to 3 are training rows, 4 to 6 probes; of the last two one is shorter.
    truths = ["1100 000", "1100 011", "0011 101", "1010 000", "1100 011"]
    offers = [
        offer(text, bits) for text, bits in zip(truths, [2.0, 5.0, 3.0, 1.0, 4.0], strict=True)
    ]
    problem = Problem.of(Examples(list("aabb"), list("aabb")), ["a", "b"], probes=0)
    conditions = pool_of(iter(offers), problem, 10)
    assert conditions.bits[:1].tolist() == [1.0]
    shortest = conditions.expression(1)
    assert shortest.code == 'x["1100 000"]'
    found = conditions.alternatives(shortest)
    # 0011 101 is turned round to hold where the other holds, and so differs on the middle probe.
    assert [one.code for one in found] == ['not x["0011 101"]', 'x["1100 011"]']
    whole = joined("and", [shortest, conditions.expression(0)], 6.0)
    programs = list(variants(Branch(whole, Answer(0), Answer(1)), conditions))
    assert len(programs) == 2
    for (program, edge), part in zip(programs, found, strict=True):
        assert edge == ""
        assert isinstance(program, Branch)
        assert program.condition.code == f'{part.code} and x["1010 000"]'
        assert program.condition.bits == 6.0 + part.bits - shortest.bits


def offer(text: str, bits: float) -> Offer:
    values = np.array([c == "1" for c in text.replace(" ", "")])
    made = Expression(f'x["{text}"]', Type.TRUTH, bits, values)
    return Offer(values, bits, lambda: made)


def test_an_imperfect_program_is_shown_with_another_that_does_as_well_once(
    sandbox: Sandbox,
) -> None:
    """Label: the majority of three bits; each proposal sees one end, two of them the same."""
    rows: list[Input] = [f"{number:06b}" for number in range(64)]
    labels = [str(int(sum(int(str(row)[place]) for place in (0, 2, -1)) > 1)) for row in rows]
    examples = Examples(rows, labels)
    splits = Splits(examples, examples, examples, Classes.of(["0", "1"]))
    ends = [f"def f(x):\n    return int(x[{place}] == '1')\n" for place in (0, -1)]
    learned = learn_splits(splits, Fixed([*ends, ends[1]]), sandbox, Plan(3))
    (standing,) = learned.rivals
    assert standing.validation.errors == 16
    assert standing.rival.text == ends[1]
    row = str(standing.rival.example)
    assert row[0] != row[-1]
    assert (standing.rival.answer, standing.rival.rival_answer) == (row[0], row[-1])
    # The shortest of the probes on which they differ, the first of those.
    probes = [str(one) for one in make_probes(rows, random.Random("rivals"), 80)]
    apart = [probe for probe in probes if probe[:1] != probe[-1:]]
    assert row == min(apart, key=len)
    assert standing.rival.disagreement == len(apart) / len(probes)
    assert standing.rival.bits == Program.parse(ends[1]).bits
    assert standing.record() == {
        "text": ends[1], "bits": standing.rival.bits, "disagreement": standing.rival.disagreement,
        "example": row, "answer": row[0], "rival_answer": row[-1], "validation_accuracy": 0.75,
    }  # fmt: skip
    assert standing.sentence() == (
        f"another program fits the rows as well (int(x[-1] == '1')): for {row!r} this one answers "
        f"{row[0]}, the other {row[-1]}; label a row like this one to decide between them"
    )


def test_a_program_no_better_than_a_constant_answer_has_no_rivals(sandbox: Sandbox) -> None:
    rows: list[Input] = [f"{number:06b}" for number in range(64)]
    examples = Examples(rows, [str(row)[3] for row in rows])  # either end is right on half of them
    splits = Splits(examples, examples, examples, Classes.of(["0", "1"]))
    ends = [f"def f(x):\n    return int(x[{place}] == '1')\n" for place in (0, -1)]
    learned = learn_splits(splits, Fixed(ends), sandbox, Plan(2))
    assert learned.rivals == ()
    assert not any("fits the rows" in text for text in learned.warnings)


class Fixed(Proposer):
    """Proposes given programs."""

    name = "fixed"
    default_attempts = 2

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def propose(
        self, train: Examples, classes: Classes, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        yield from (Proposal(text) for text in self.texts[start:])


def test_a_rule_without_rivals_has_none() -> None:
    chance = random.Random(4)
    rows: list[Input] = ["".join(chance.choices("01", k=20)) for _ in range(120)]
    labels = [str(str(row).count("1") % 2) for row in rows]
    first = next(LengthFirst(built_in=SMALL).propose(Examples(rows, labels), Classes.of(labels), 0))
    assert first.rivals == ()


def test_random_labels_end_with_a_marked_fallback(sandbox: Sandbox) -> None:
    chance = random.Random(5)

    def drawn(number: int) -> Examples:
        rows: list[Input] = ["".join(chance.choices("01", k=24)) for _ in range(number)]
        return Examples(rows, [chance.choice("01") for _ in rows])

    splits = Splits(drawn(80), drawn(80), drawn(20), Classes.of(["0", "1"]))
    search = OwnProcess(LengthFirst(built_in=SMALL), seconds=60.0)  # as it runs everywhere
    learned = learn_splits(splits, search, sandbox, Plan(50))
    assert all(attempt.proposal.fallback for attempt in learned.selection.attempts)
    assert learned.verdict.startswith("nothing found that beats a baseline")
    assert learned.record()["fallback"] is True


def test_with_noise_the_rule_comes_first() -> None:
    chance = random.Random(6)
    rows: list[Input] = ["".join(chance.choices("01", k=20)) for _ in range(100)]
    labels = [str(int(str(row).count("1") >= 10)) for row in rows]
    for index in (3, 30, 60, 90):
        labels[index] = str(1 - int(labels[index]))
    search = LengthFirst(built_in=replace(SMALL, noise=0.05))
    first = next(search.propose(Examples(rows, labels), Classes.of(labels), seed=0))
    assert ", 4 training mistakes; searched " in first.note
    assert 'x.count("1") >= 10' in first.text or 'x.count("0")' in first.text
