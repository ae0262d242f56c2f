"""Rules that the rows do not tell apart are named, and the user is told."""

import random

from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.erm.pipeline import learn_splits
from llm_pv.erm.selection import Plan
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.length_first import Budget, LengthFirst
from llm_pv.sandbox import Sandbox

SMALL = Budget(candidates=500_000)


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
    found = list(LengthFirst(budget=SMALL).propose(train, Classes.of(train.labels), seed=0))
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
    learned = learn_splits(splits, LengthFirst(budget=SMALL), sandbox, Plan(50))
    assert any("% 2" in standing.rival.text for standing in learned.rivals)
    assert any("do not tell this program from another" in text for text in learned.warnings)
    record = learned.record()
    assert record["rivals"][0]["validation_accuracy"] == 1.0
    assert record["fallback"] is False


def test_a_rule_without_rivals_has_none() -> None:
    chance = random.Random(4)
    rows: list[Input] = ["".join(chance.choices("01", k=20)) for _ in range(120)]
    labels = [str(str(row).count("1") % 2) for row in rows]
    first = next(LengthFirst(budget=SMALL).propose(Examples(rows, labels), Classes.of(labels), 0))
    assert first.rivals == ()


def test_random_labels_end_with_a_marked_fallback(sandbox: Sandbox) -> None:
    chance = random.Random(5)

    def drawn(number: int) -> Examples:
        rows: list[Input] = ["".join(chance.choices("01", k=24)) for _ in range(number)]
        return Examples(rows, [chance.choice("01") for _ in rows])

    splits = Splits(drawn(80), drawn(80), drawn(20), Classes.of(["0", "1"]))
    learned = learn_splits(splits, LengthFirst(budget=SMALL), sandbox, Plan(50))
    assert all(attempt.proposal.fallback for attempt in learned.selection.attempts)
    assert learned.verdict.startswith("nothing found that beats a baseline")
    assert learned.record()["fallback"] is True


def noisy_proposals(noise: float) -> list[Proposal]:
    chance = random.Random(6)
    rows: list[Input] = ["".join(chance.choices("01", k=20)) for _ in range(100)]
    labels = [str(int(str(row).count("1") >= 10)) for row in rows]
    for index in (3, 30, 60, 90):
        labels[index] = str(1 - int(labels[index]))
    search = LengthFirst(budget=SMALL, noise=noise)
    return list(search.propose(Examples(rows, labels), Classes.of(labels), seed=0))


def test_with_noise_the_rule_comes_first_and_few_longer_ones_follow() -> None:
    noisy, plain = noisy_proposals(0.05), noisy_proposals(0.0)
    assert noisy[0].note.endswith("4 training mistakes")
    assert 'x.count("1") >= 10' in noisy[0].text or 'x.count("0")' in noisy[0].text
    assert sum(not one.fallback for one in noisy) < sum(not one.fallback for one in plain)
