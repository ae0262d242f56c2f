"""Unifiers recover rules planted in made-up rows, and stop when time is over."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llm_pv.data.examples import Examples, Input
from llm_pv.search.cuts import compared
from llm_pv.search.emit import source_of
from llm_pv.search.engine import ranked
from llm_pv.search.mining import substrings
from llm_pv.search.pool import Conditions, Pool, conditions_of
from llm_pv.search.predicates import equals
from llm_pv.search.problem import Expired, Guard, Problem
from llm_pv.search.program import Bands, Branch, Candidate, candidate, two_way
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Frame, Type
from llm_pv.search.unify.bands import bands
from llm_pv.search.unify.features import features_of
from llm_pv.search.unify.joins import joins
from llm_pv.search.unify.rule_set import decision_list, rule_set
from llm_pv.search.unify.scorecard import scorecard
from llm_pv.search.unify.tree import tree
from llm_pv.search.unify.votes import votes
from llm_pv.search.unify.word_set import word_set

Unify = Callable[[Pool], Iterator[Candidate]]
Rule = Callable[[Any], object]
ALL = [scorecard, tree, rule_set, decision_list, joins, bands, word_set, votes]
KINDS = ["red", "green", "blue", "grey"]
WORDS = (
    *("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"),
    *("ibis", "jay", "koi", "lark", "mole", "newt", "owl", "pig"),
)


def draw(chance: random.Random) -> dict[str, Any]:
    """Return a row of three numbers, four flags and a kind."""
    row: dict[str, Any] = {name: chance.randint(0, 99) for name in ("n", "m", "k")}
    row |= {flag: chance.random() < 0.5 for flag in ("a", "b", "c", "d")}
    return row | {"kind": chance.choice(KINDS)}


def draw_text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(4, 9)))


def make_problem(
    rule: Rule, rows: int = 300, make: Callable[[random.Random], Any] = draw, wrong: float = 0.0
) -> Problem:
    chance = random.Random(7)
    inputs: list[Input] = [make(chance) for _ in range(rows)]
    labels = [str(rule(row)) for row in inputs]
    classes = sorted(set(labels))
    labels = [chance.choice(classes) if chance.random() < wrong else text for text in labels]
    return Problem.of(Examples(inputs, labels), classes, probes=0)


def make_pool(problem: Problem) -> Pool:
    """Return raw columns, and as conditions all flags, kinds and cuts at tens."""
    frame = problem.frame
    if isinstance(frame.rows[0], str):
        return _text_pool(problem)
    columns = [_column(name, Type.NUMBER, frame) for name in ("n", "m", "k")]
    flags = [_column(name, Type.TRUTH, frame) for name in ("a", "b", "c", "d")]
    kind = _column("kind", Type.CATEGORY, frame)
    conditions = [*flags, *(equals(kind, value, 4.0) for value in KINDS)]
    conditions += [compared(n, ">=", cut, 6.0) for n in columns for cut in range(10, 100, 10)]
    matrix = conditions_of(conditions, problem)
    return Pool(problem, matrix, [*columns, *flags, kind], columns, [kind], truths=flags)


def _column(name: str, kind: Type, frame: Frame) -> Expression:
    def recipe(frame: Frame) -> Any:
        values = [row[name] for row in frame.rows if isinstance(row, dict)]
        dtype = {Type.NUMBER: np.float64, Type.TRUTH: np.bool_}.get(kind)
        return values if dtype is None else np.array(values, dtype=dtype)

    return Expression(f'x["{name}"]', kind, 1.5, recipe(frame), recipe=recipe)


def _text_pool(problem: Problem) -> Pool:
    def recipe(frame: Frame) -> Ragged:
        return Ragged.of([str(row).split() for row in frame.rows])

    words = Expression("x.split()", Type.TEXTS, 1.0, recipe(problem.frame), recipe=recipe)
    nothing = Conditions(np.zeros((0, problem.size), dtype=bool), np.zeros(0), lambda i: words)
    return Pool(problem, nothing, words=[words])


def accuracy(found: Candidate, problem: Problem, rule: Rule, make: Callable[..., Any]) -> float:
    """Run a program's source on fresh rows."""
    namespace: dict[str, Any] = {}
    exec(source_of(found.program, problem.classes), namespace)
    chance = random.Random(8)
    rows = [make(chance) for _ in range(2000)]
    return sum(str(namespace["f"](row)) == str(rule(row)) for row in rows) / len(rows)


def best(unify: Unify, rule: Rule, make: Callable[..., Any] = draw, **options: Any) -> float:
    """Return the accuracy, on fresh rows, of the cheapest program that a unifier yields."""
    problem = make_problem(rule, make=make, **options)
    found = min(unify(make_pool(problem)), key=lambda one: one.cost)
    return accuracy(found, problem, rule, make)


def checklist(x: dict[str, Any]) -> int:
    return int(3 * x["a"] + 2 * x["b"] + 2 * x["c"] - 2 * x["d"] >= 3)


def weighted(x: dict[str, Any]) -> int:
    return int(2 * x["n"] + x["m"] - x["k"] >= 100)


def nested(x: dict[str, Any]) -> int:
    if x["n"] >= 50:
        return int(x["m"] >= 30)
    return int(x["a"] and x["kind"] == "red")


def exceptions(x: dict[str, Any]) -> int:
    return int(
        (x["a"] and x["kind"] == "blue")
        or (x["b"] and x["c"] and x["n"] >= 70)
        or (x["d"] and x["kind"] == "grey" and not x["a"])
    )


def ordered(x: dict[str, Any]) -> str:
    if x["kind"] == "red":
        return "stop"
    if x["a"] and x["n"] >= 40:
        return "go"
    return "wait" if x["b"] else "go" if x["kind"] == "blue" else "stop"


def tiered(x: dict[str, Any]) -> str:
    if x["n"] >= 50 and x["a"]:
        return "gold"
    return "silver" if x["n"] >= 50 or x["kind"] == "red" else "basic"


def test_a_scorecard_recovers_points_of_a_checklist() -> None:
    assert best(scorecard, checklist) == 1.0


def test_a_scorecard_recovers_a_weighted_sum_of_numbers() -> None:
    assert best(scorecard, weighted, rows=600) >= 0.97


def test_a_scorecard_tells_many_classes_by_their_points() -> None:
    assert best(scorecard, lambda x: KINDS.index(x["kind"])) == 1.0


def test_a_scorecard_weighs_the_words_of_a_text() -> None:
    def make(chance: random.Random) -> str:
        return " ".join(chance.choices(vocabulary, k=12))

    def rule(text: str) -> int:
        kinds = [vocabulary.index(word) % 10 for word in set(text.split())]
        return int(kinds.count(0) >= kinds.count(1))

    vocabulary = [a + b for a in WORDS for b in ("ish", "er", "ly", "some", "less")]
    assert best(scorecard, rule, make, rows=800) >= 0.95


def test_a_tree_recovers_nested_questions() -> None:
    assert best(tree, nested, rows=600) >= 0.98


def test_numbers_beyond_single_precision_are_learned_from() -> None:
    def make(chance: random.Random) -> dict[str, Any]:
        row = draw(chance)
        return row | {"m": chance.choice([1e300, -1e300, math.nan, row["m"]])}

    problem = make_problem(lambda x: int(x["n"] >= 50), rows=200, make=make)
    for unify in (tree, scorecard):
        assert min(one.mistakes for one in unify(make_pool(problem))) == 0


def test_trees_of_every_size_are_offered_and_grow_deeper_than_four() -> None:
    """A staircase of ten steps needs more than 16 leaves, so more than four questions in a row."""
    problem = make_problem(lambda x: int(x["m"] >= 10 * (x["n"] // 10)), rows=800)
    found = list(tree(make_pool(problem)))
    first = found[: len(found) // 2]  # the path on raw columns; the other adds conditions
    bits = [one.bits for one in first]
    assert len(first) >= 8
    assert bits == sorted(bits)
    assert first[0].mistakes > 50
    assert first[-1].mistakes <= 8


def test_a_rule_set_recovers_three_rules_of_two_and_three_conditions() -> None:
    assert best(rule_set, exceptions, rows=600) >= 0.99


def test_a_rule_set_is_right_with_a_twentieth_of_the_labels_wrong() -> None:
    assert best(rule_set, exceptions, rows=800, wrong=0.05) >= 0.97


def test_a_decision_list_recovers_three_classes_in_order() -> None:
    assert best(decision_list, ordered, rows=600) >= 0.98


@pytest.mark.parametrize(
    "rule",
    [
        lambda x: int(x["a"] and x["n"] >= 60),
        lambda x: int(x["a"] or not x["b"]),
        lambda x: int(x["a"] != x["b"]),
        lambda x: int((x["a"] and x["b"]) or x["n"] >= 80),
        lambda x: int((x["a"] or x["kind"] == "red") and x["m"] >= 50),
        lambda x: int((x["a"] and x["b"]) or (x["c"] and x["n"] >= 50)),
        lambda x: int(x["m"] >= 50 and 20 <= x["n"] < 60),
    ],
    ids=["and", "or not", "one of two", "and or", "or and", "two pairs", "within"],
)
def test_joins_recover_two_to_four_conditions(rule: Rule) -> None:
    assert best(joins, rule) == 1.0


def test_joins_recover_three_classes_with_an_or() -> None:
    assert best(joins, tiered) >= 0.99


def test_votes_recover_two_of_three_conditions_one_of_them_turned() -> None:
    assert best(votes, lambda x: int(x["a"] + (x["n"] < 50) + (x["kind"] == "red") >= 2)) == 1.0


def test_votes_recover_the_class_of_each_count_of_four_conditions() -> None:
    def counted(x: Any) -> str:
        return ("none", "one", "many", "many", "many")[
            x["a"] + (x["n"] < 50) + (x["kind"] == "red") + x["d"]
        ]

    assert best(votes, counted) == 1.0


def test_votes_recover_exactly_one_of_three_conditions() -> None:
    assert best(votes, lambda x: int(x["a"] + x["b"] + (x["n"] < 50) == 1)) == 1.0


@pytest.mark.parametrize("conditions", [0, 1, 2, 3])
def test_votes_count_no_more_conditions_than_there_are(conditions: int) -> None:
    pool = make_pool(make_problem(lambda x: int(x["a"] + x["b"] + x["c"] >= 2)))
    flags = [one for one in pool.columns if one.code in {'x["a"]', 'x["b"]', 'x["c"]'}]
    few = replace(pool, conditions=conditions_of(flags[:conditions], pool.problem))
    assert [one.mistakes for one in votes(few)] == [0.0] * (conditions == 3)


def test_a_long_count_is_written_on_lines_of_its_own() -> None:
    terms = [f'(x["a column with a long name {place}"] > 3)' for place in range(3)]
    values = np.zeros(1)
    program = Bands(Expression(" + ".join(terms), Type.NUMBER, 1.0, values), (1.0, 2.0), (0, 1, 0))
    assert source_of(program, ("no", "yes")).splitlines()[1:6] == [
        "    value = (",
        f"        {terms[0]}",
        f"        + {terms[1]}",
        f"        + {terms[2]}",
        "    )",
    ]


def test_numbers_of_a_time_are_cut_by_trees_beside_columns() -> None:
    problem = make_problem(nested)
    pool = make_pool(problem)
    minutes = replace(pool.columns[0], code="minutes[0]", kind="minutes", values=np.arange(300.0))
    pool.numbers.append(minutes)
    assert minutes in features_of(pool).numbers


def test_bands_recover_three_bands_of_a_number_with_two_classes() -> None:
    assert best(bands, lambda x: int(30 <= x["n"] < 70)) >= 0.98


def test_bands_recover_four_classes_of_a_number() -> None:
    assert best(bands, lambda x: min(3, x["m"] // 20)) >= 0.97


def test_bands_depend_on_a_category() -> None:
    limits = {"red": 20, "green": 40, "blue": 60, "grey": 80}
    assert best(bands, lambda x: int(x["n"] >= limits[x["kind"]]), rows=600) >= 0.97


def test_bands_depend_on_a_truth_value() -> None:
    assert best(bands, lambda x: int(x["n"] >= (30 if x["b"] else 70)), rows=600) >= 0.97


def test_bands_have_an_exception_before_them_for_the_rows_of_a_condition() -> None:
    def opening(x: dict[str, Any]) -> int:
        return int(x["kind"] != "grey" and (20 <= x["n"] < 40 or 60 <= x["n"] < 80))

    problem = make_problem(opening, rows=400)
    pool = replace(make_pool(problem), categories=[], truths=[])  # no bands within their values
    found = min(bands(pool), key=lambda one: one.cost)
    assert accuracy(found, problem, opening, draw) >= 0.98
    assert isinstance(found.program, Branch)


def test_a_table_gives_each_value_of_a_category_its_class() -> None:
    assert best(bands, lambda x: {"red": "p", "green": "q"}.get(x["kind"], "r")) == 1.0


@pytest.mark.parametrize(
    "rule",
    [
        lambda x: int(any(word in ("ant", "cat", "owl") for word in x.split())),
        lambda x: int(sum(word in ("ant", "bee", "cat", "dog", "elk") for word in x.split()) >= 2),
        lambda x: int(
            sum(word in ("ant", "bee", "cat") for word in x.split())
            > sum(word in ("owl", "pig", "newt") for word in x.split())
        ),
    ],
    ids=["any", "two of five", "more of one set"],
)
def test_word_sets_are_learnt(rule: Rule) -> None:
    assert best(word_set, rule, draw_text, rows=600) >= 0.99


def test_a_set_of_values_is_learnt() -> None:
    def city(chance: random.Random) -> dict[str, Any]:
        return draw(chance) | {"kind": chance.choice(WORDS)}

    rule: Rule = lambda x: int(x["kind"] in ("ant", "dog", "fox", "owl", "pig"))  # noqa: E731
    assert best(word_set, rule, city, rows=400) == 1.0


def test_three_classes_of_words_are_told_apart() -> None:
    def rule(x: str) -> str:
        words = x.split()
        if "ant" in words or "bee" in words:
            return "insect"
        return "bird" if {"hen", "owl", "jay"} & set(words) else "other"

    assert best(word_set, rule, draw_text, rows=800) >= 0.97


def test_weak_conditions_leave_a_place_for_scorecards_and_trees() -> None:
    """Labels that no condition tells: 100 weak ones are cheaper than any scorecard."""
    problem = make_problem(lambda x: (x["n"] * 7 + x["m"] * 3) % 2)
    pool = make_pool(problem)
    cuts = [compared(pool.numbers[0], ">=", cut, 6.0) for cut in range(100)]
    weak = [candidate(two_way(cut, 1), problem, "single") for cut in cuts]
    fitted = [*scorecard(pool), *tree(pool)]
    proposed = ranked([*weak, *fitted], problem)
    stages = Counter(one.stage for one in proposed)
    assert stages["scorecard"] == len(
        {f.answers.tobytes() for f in fitted if f.stage == "scorecard"}
    )
    assert 0 < stages["single"] <= 10


@pytest.mark.parametrize("unify", ALL, ids=lambda unify: unify.__name__)
def test_an_expired_deadline_stops_a_unifier_at_once(unify: Unify) -> None:
    problem = make_problem(
        lambda x: len(x) % 2 if isinstance(x, str) else exceptions(x),
        rows=2000,
        make=draw_text if unify is word_set else draw,
    )
    pool = make_pool(problem)
    problem.guard = Guard(deadline=time.monotonic() - 1)
    started = time.process_time()
    with pytest.raises(Expired):
        list(unify(pool))
    assert time.process_time() - started < 0.5
    assert problem.guard.stopped


def test_an_expired_deadline_stops_the_mining_of_long_texts() -> None:
    texts = [" ".join(WORDS) * 50] * 20
    with pytest.raises(Expired):
        substrings(texts, check=Guard(deadline=time.monotonic() - 1).check)


@pytest.mark.parametrize("unify", ALL, ids=lambda unify: unify.__name__)
def test_a_unifier_has_nothing_to_say_of_an_empty_pool(unify: Unify) -> None:
    problem = make_problem(exceptions)
    nothing = Conditions(np.zeros((0, problem.size), dtype=bool), np.zeros(0), lambda i: None)  # type: ignore[arg-type, return-value]
    assert list(unify(Pool(problem, nothing))) == []


@pytest.mark.parametrize("unify", [scorecard, tree, rule_set, decision_list])
def test_mistakes_on_heavy_rows_count_more(unify: Unify) -> None:
    """Rows of class 1 weigh 20 times as much: where the two mix evenly, 1 is answered."""
    chance = random.Random(3)
    inputs = [draw(chance) for _ in range(400)]
    labels = [str(int(row["a"] and chance.random() < 0.3)) for row in inputs]
    weights = np.array([20.0 if label == "1" else 1.0 for label in labels])
    problem = Problem.of(Examples([*inputs], labels), ["0", "1"], probes=0, weights=weights)
    found = min(unify(make_pool(problem)), key=lambda one: one.mistakes)
    ones = problem.codes == 1
    assert (found.answers[: problem.size][ones] == 1).mean() >= 0.9


def test_a_short_tree_that_explains_all_rows_is_a_rule_and_one_with_mistakes_is_none() -> None:
    problem = make_problem(lambda row: row["a"], rows=100)
    columns = {name: _column(name, Type.TRUTH, problem.frame) for name in ("a", "b")}
    right, wrong = (
        candidate(two_way(columns[name].priced(5.0), 1), problem, "tree") for name in ("a", "b")
    )
    longer = candidate(two_way(columns["a"].priced(14.0), 1), problem, "joins")
    assert [one.is_rule for one in ranked([wrong, right], problem)] == [True, False, False]
    # What costs more than the best tree by more than luck allows is no rule either.
    other = replace(longer, answers=1 - longer.answers)
    assert [one.is_rule for one in ranked([right, other], problem)] == [True, False, False]


def test_with_noise_no_rule_follows_that_is_much_longer_than_the_first() -> None:
    problem = make_problem(lambda row: row["a"], rows=100)
    truth = _column("a", Type.TRUTH, problem.frame)
    first = candidate(two_way(truth.priced(5.0), 1), problem, "joins")
    others = []
    for place, bits in enumerate((12.0, 14.0)):
        # One training row, another each time, is answered otherwise.
        answers = first.answers.copy()
        answers[place] = 1 - answers[place]
        others.append(replace(first, answers=answers, cost=first.cost - first.bits + bits))
    assert [one.is_rule for one in ranked([first, *others], problem)] == [True] * 3 + [False]
    problem.noise = 0.05
    assert [one.is_rule for one in ranked([first, *others], problem)] == [True] * 2 + [False]
