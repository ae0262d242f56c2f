"""Each exact learner recovers a planted rule of its own, and the engine proposes and stops."""

import datetime as dt
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.registry import BuiltIn
from llm_pv.search.bank import Bank
from llm_pv.search.emit import source_of
from llm_pv.search.enumerate import fill
from llm_pv.search.pool import Pool, conditions_of
from llm_pv.search.predicates import offers
from llm_pv.search.problem import Expired, Guard, Problem
from llm_pv.search.program import Candidate
from llm_pv.search.reading import read_leaves
from llm_pv.search.terminal import terminal_offers
from llm_pv.search.types import Expression, Type
from llm_pv.search.unify.automaton import automaton
from llm_pv.search.unify.modular import modular
from llm_pv.search.unify.parity import parity

Find = Callable[[Pool], Iterator[Candidate]]
CHOSEN = (3, 8, 17, 21, 30, 31)


def texts(alphabet: str, length: int, number: int = 120) -> list[Input]:
    """Return distinct random strings."""
    chance = random.Random(f"{alphabet} {length}")
    rows: dict[Input, None] = {
        "".join(chance.choices(alphabet, k=length)): None for _ in range(2 * number)
    }
    return [*rows][:number]


def pool_of_texts(rows: Sequence[Input], labels: Sequence[object], guard: Guard) -> Pool:
    """Return a pool of nothing but the text itself."""
    examples = Examples(rows, [label_text(label) for label in labels])
    problem = Problem.of(examples, sorted(set(examples.labels)), guard=guard)
    values = [str(row) for row in problem.frame.rows]
    text = Expression("x", Type.TEXT, 0.0, values, recipe=lambda frame: list(frame.rows))
    return Pool(problem, conditions_of([], problem), texts=[text])


def weighted(x: str) -> int:
    """Return whether a check digit of weights 3, 1, 7 and 9 is right."""
    return sum(w * int(c) for w, c in zip((3, 1, 7, 9, 2), x, strict=False)) % 11 == 0


def checked(number: int) -> list[Input]:
    """Return strings of five digits, half of them with a right check digit."""
    rows = texts("0123456789", 5, 4000)
    right = [row for row in rows if weighted(str(row))]
    return [*right[:number], *[row for row in rows if not weighted(str(row))][:number]]


def no_aa_twice(x: str) -> int:
    """Return the state of a machine that waits for a, then b, then a again."""
    state = 0
    for c in x:
        state = {"a": (1, 1, 0), "b": (0, 2, 2)}[c][state]
    return int(state == 2)


PLANTED: list[tuple[Find, list[Input], Callable[[Any], object]]] = [
    (parity, texts("01", 40), lambda x: sum(x[i] == "1" for i in CHOSEN) % 2),
    (parity, texts("01", 40), lambda x: (x[2] == "1") != (x[39] == "1")),
    (modular, checked(90), weighted),
    (automaton, texts("ab", 14), no_aa_twice),
]


@pytest.mark.parametrize(("find", "rows", "label"), PLANTED)
def test_an_exact_learner_recovers_its_planted_rule(
    find: Find, rows: list[Input], label: Callable[[Any], object]
) -> None:
    labels = [label(row) for row in rows]
    pool = pool_of_texts(rows, labels, Guard())
    best = min(find(pool), key=lambda one: one.cost)
    assert best.mistakes == 0
    namespace: dict[str, Callable[[Any], Any]] = {}
    exec(source_of(best.program, pool.problem.classes), namespace)
    others = texts("".join(sorted(set("".join(map(str, rows))))), len(str(rows[0])), 400)
    assert [namespace["f"](row) for row in others] == [int(label(row)) for row in others]  # type: ignore[call-overload]


@pytest.mark.parametrize(("find", "rows", "label"), PLANTED)
def test_an_expired_deadline_stops_an_exact_learner(
    find: Find, rows: list[Input], label: Callable[[Any], object]
) -> None:
    pool = pool_of_texts(rows, [label(row) for row in rows], Guard(deadline=0.0))
    with pytest.raises(Expired):
        list(find(pool))


def words(number: int) -> Examples:
    """Return words with whether they have a doubled letter."""
    rows = [str(row) for row in texts("abcdefgh", 8, number)]
    return Examples(rows, [str(int(any(a == b for a, b in itertools.pairwise(x)))) for x in rows])


@pytest.mark.parametrize("stage", ["enumeration", "conditions", "terminal tests"])
def test_an_expired_deadline_stops_a_stage(stage: str) -> None:
    bank = Bank(Problem.of(words(100), ("0", "1")))
    leaves, _ = read_leaves(bank)
    if stage != "enumeration":
        fill(bank, leaves)
    bank.problem.guard.deadline = 0.0
    run: Callable[[], object] = {
        "enumeration": lambda: fill(bank, leaves),
        "conditions": lambda: list(offers(bank)),
        "terminal tests": lambda: list(terminal_offers(bank)),
    }[stage]
    with pytest.raises(Expired):
        run()


def test_a_search_ends_when_its_seconds_are_over_with_what_it_has() -> None:
    started = time.process_time()
    rows = words(400)
    search = LengthFirst(0.4)
    proposals = list(search.propose(rows, Classes.of(rows.labels), seed=0))
    assert time.process_time() - started < 1.5
    assert proposals[-1].fallback
    assert search.hit_time_cap
    assert all(proposal.capped for proposal in proposals)


def test_a_search_finds_a_rule_and_says_what_it_did() -> None:
    rows = words(80)
    search = LengthFirst(600.0, built_in=BuiltIn(candidates=5_000_000))
    first = next(search.propose(rows, Classes.of(rows.labels), seed=0))
    namespace: dict[str, Callable[[str], Any]] = {}
    exec(first.text, namespace)
    others = words(300)
    assert [str(namespace["f"](str(row))) for row in others.inputs] == others.labels
    assert not first.fallback
    assert search.account.tried > 1000
    assert search.account.stages["done"] == search.account.tried
    tried, new = search.account.operators["len({0})"]
    assert (tried > 0, new >= 0) == (True, True)


def test_the_same_rows_give_the_same_programs() -> None:
    rows = words(60)
    budget = BuiltIn(candidates=2_000_000)

    def texts_of() -> list[str]:
        search = LengthFirst(600.0, built_in=budget)
        return [one.text for one in search.propose(rows, Classes.of(rows.labels), seed=3)]

    assert texts_of() == texts_of()


def test_labels_without_a_rule_give_no_rule() -> None:
    rows = texts("01", 14, 60)
    chance = random.Random(1)
    examples = Examples(rows, [str(chance.randrange(2)) for _ in rows])
    search = LengthFirst(600.0, built_in=BuiltIn(candidates=5_000_000))
    proposals = list(search.propose(examples, Classes.of(["0", "1"]), seed=0))
    assert all(proposal.fallback for proposal in proposals)


def test_one_class_gives_its_constant() -> None:
    examples = Examples(["a", "b", "c"], ["yes"] * 3)
    (only,) = LengthFirst().propose(examples, Classes.of(["yes", "no"]), seed=0)
    assert 'return "yes"' in only.text


def test_probes_have_no_class_and_do_not_count_as_training_rows() -> None:
    problem = Problem.of(words(50), ("0", "1"), probes=30)
    assert (problem.size, len(problem.frame.rows)) == (50, 80)
    assert np.bincount(problem.codes).sum() == 50


def test_of_classes_that_weigh_the_same_the_most_frequent_is_the_constant_answer() -> None:
    rows = Examples(tuple("abcdefghij"), ("rare",) * 3 + ("usual",) * 7)
    balanced = np.array([1 / 3] * 3 + [1 / 7] * 7)
    problem = Problem.of(rows, ("rare", "usual"), weights=balanced)
    assert problem.classes[problem.majority] == "usual"
    dearer = Problem.of(rows, ("rare", "usual"), weights=np.where(balanced > 0.2, 4.0, 1.0))
    assert dearer.classes[dearer.majority] == "rare"


def test_programs_guard_a_column_that_only_a_row_outside_the_sample_lacks() -> None:
    rows: list[Input] = [{"bp": 90 + n % 100} for n in range(400)]
    labels = ["ill" if n % 100 >= 70 else "well" for n in range(400)]
    rows[317] = {"bp": None}
    found = list(
        LengthFirst(600.0, built_in=BuiltIn(candidates=200_000)).propose(
            Examples(rows, labels), Classes.of(labels), seed=0
        )
    )
    assert 'bp = math.nan if x["bp"] is None else x["bp"]' in found[0].text
    for one in found:
        namespace: dict[str, Callable[[Input], str]] = {}
        exec(one.text, namespace)
        assert {namespace["f"](row) for row in rows} <= {"ill", "well"}


def test_primes_less_a_constant_of_two_digits_are_within_reach() -> None:
    odd = range(1001, 1400, 2)
    primes = [n for n in odd if all(n % d for d in range(3, 38, 2))][::3]
    composite = [n for n in odd if not all(n % d for d in range(3, 38, 2))][::8]
    rows: list[Input] = [str(n + 47) for n in primes + composite]
    examples = Examples(rows, ["1"] * len(primes) + ["0"] * len(composite))
    bank = Bank(Problem.of(examples, ["0", "1"], probes=0))
    fill(bank, read_leaves(bank)[0])
    codes = [bank.truths.expression(index).code for index in range(len(bank.truths))]
    assert "is_prime(int(x) - 47)" in codes


def answers(rows: list[Input], labels: list[str], new: Sequence[Input]) -> list[tuple[str, ...]]:
    """Return what the programs that a search proposes answer, but for those that divide by 0."""
    proposer = LengthFirst(600.0, built_in=BuiltIn(candidates=200_000))
    found = []
    for one in proposer.propose(Examples(rows, labels), Classes.of(labels), seed=0):
        namespace: dict[str, Callable[[Input], str]] = {}
        exec(one.text, namespace)
        with suppress(ZeroDivisionError):
            found.append(tuple(namespace["f"](row) for row in new))
    return found


def test_days_between_dates_of_which_some_are_missing_are_counted() -> None:
    chance = random.Random(1)
    start = dt.date(2024, 1, 1)
    rows: list[Input] = []
    labels: list[str] = []
    for _ in range(120):
        sent = start + dt.timedelta(chance.randint(0, 600))
        days = chance.choice([None, chance.randint(0, 9), chance.randint(10, 20)])
        back = None if days is None else str(sent + dt.timedelta(days))
        rows.append({"sent": str(sent), "back": back})
        labels.append("lost" if days is None else "late" if days > 9 else "soon")
    new: list[Input] = [
        {"sent": "2023-12-30", "back": "2024-01-08"},
        {"sent": "2023-12-30", "back": "2024-01-09"},
        {"sent": "2031-05-05", "back": None},
    ]
    assert ("soon", "late", "lost") in answers(rows, labels, new)
