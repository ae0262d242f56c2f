"""The pieces of the built-in search, on values worked out by hand."""

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.proposers.length_first import LengthFirst, weights
from llm_pv.proposers.length_first.arithmetic import best_cuts
from llm_pv.proposers.length_first.budget import Budget
from llm_pv.proposers.length_first.conditions import digits_of, simplest_between
from llm_pv.proposers.length_first.derived import integer_lists_of_text, word_lists_of_text
from llm_pv.proposers.length_first.expressions import (
    Definition,
    Evaluator,
    calculated,
    constant,
)
from llm_pv.proposers.length_first.numbers import IS_PRIME
from llm_pv.proposers.length_first.problem import make_probes
from llm_pv.proposers.length_first.scoring import Target
from llm_pv.proposers.length_first.sequences import Part, Question, is_writable, literal
from llm_pv.proposers.length_first.weights import Primitive, mistake_bits

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = Budget(candidates=500_000)


def proposals(rows: list[Input], labels: list[str], seed: int = 0) -> list[tuple[str, str]]:
    found = LengthFirst(budget=SMALL).propose(Examples(rows, labels), Classes.of(labels), seed)
    return [(proposal.text, proposal.note) for proposal in found]


def random_words(number: int, length: int) -> list[Input]:
    chance = random.Random(3)
    return ["".join(chance.choices("01", k=length)) for _ in range(number)]


@pytest.mark.parametrize(
    ("low", "high", "cut"),
    [(3, 4, 4), (24, 25, 25), (57, 64, 60), (-7, -5, -6), (0.123, 0.131, 0.13), (99, 101, 100)],
)
def test_a_cut_is_the_simplest_number_between_two_values(
    low: float, high: float, cut: float
) -> None:
    assert simplest_between(low, high) == cut


@pytest.mark.parametrize(("value", "digits"), [(40, 1), (-0.25, 2), (0, 1), (1200, 2), (123.5, 4)])
def test_significant_digits_are_counted(value: float, digits: int) -> None:
    assert digits_of(value) == digits


def test_mistakes_never_become_cheaper_and_cost_more_with_more_classes() -> None:
    two, five = mistake_bits(50, 2), mistake_bits(50, 5)
    assert two == sorted(two)
    assert two[0] == five[0]
    assert all(a < b for a, b in zip(two[1:], five[1:], strict=True))


def test_is_prime_knows_the_primes_below_1000_and_strong_pseudoprimes() -> None:
    sieve = [n for n in range(2, 1000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    numbers = list(range(-5, 1000))
    assert Evaluator(5).run("is_prime({s})", {}, numbers, (IS_PRIME,)) == [
        n in sieve for n in numbers
    ]
    composite = [3215031751, 3825123056546413051, 2**61 + 1]
    assert Evaluator(5).run("is_prime({s})", {}, composite, (IS_PRIME,)) == [False] * 3
    assert Evaluator(5).run("is_prime({s})", {}, [2**61 - 1, 2**89 - 1], (IS_PRIME,)) == [True] * 2


def test_the_best_cut_is_found_on_unsorted_numbers_with_ties() -> None:
    target = Target.of(np.arange(5), np.array([True, False, True, False, False]))
    wrong, place = best_cuts(np.array([[5.0, 1.0, 4.0, 1.0, 4.0]]), target)
    # Sorted: 1 1 4 4 5. Cut below the first 4: the 4 that is no member is the only mistake.
    assert (wrong.tolist(), place.tolist()) == ([1], [2])


def test_an_expression_that_fails_on_a_training_row_is_dropped_but_not_on_a_probe() -> None:
    assert Evaluator(2).run("{s}[0]", {}, ["a", ""], ()) is None
    assert Evaluator(1).run("{s}[0]", {}, ["a", ""], ()) == ["a", "a"]
    nested = Definition("def twice(n):\n    return 2 * n", "helper")
    assert Evaluator(1).run("twice({s})", {}, [4], (nested,)) == [8]


def test_probes_are_like_the_rows_they_come_from() -> None:
    chance = random.Random(0)
    rows: list[Input] = [{"a": i, "b": None if i % 2 else "x"} for i in range(30)]
    for probe in make_probes(rows, chance):
        assert isinstance(probe, dict)
        assert set(probe) == {"a", "b"}
        assert probe["a"] in range(30)
    for probe in make_probes(["0110", "", "111"], chance):
        assert set(probe) <= {"0", "1"}


def test_the_same_seed_gives_the_same_proposals() -> None:
    rows = random_words(40, 12)
    labels = [str(str(row).count("11") % 2) for row in rows]
    assert proposals(rows, labels) == proposals(rows, labels)


def test_labels_without_a_rule_end_with_fallbacks_only() -> None:
    rows = random_words(60, 30)
    chance = random.Random(8)
    notes = [note for _, note in proposals(rows, [chance.choice("01") for _ in rows])]
    assert notes
    assert all(note.startswith("fallback") for note in notes)


def test_a_few_wrong_labels_do_not_hide_a_rule() -> None:
    rows = random_words(100, 20)
    labels = [str(str(row).count("1") % 2) for row in rows]
    for index in (5, 50, 77):
        labels[index] = "1" if labels[index] == "0" else "0"
    text, note = proposals(rows, labels)[0]
    assert text.splitlines()[-1] in (
        '    return x.count("0") % 2',
        '    return x.count("1") % 2',
    )
    assert note.endswith("3 training mistakes")


def test_a_tree_that_pays_is_a_rule_and_stands_where_its_length_puts_it() -> None:
    chance = random.Random(2)
    rows: list[Input] = [
        {name: chance.choice(["x", "y", "z"]) for name in "abc"} for _ in range(120)
    ]

    def label(row: Input) -> str:
        assert isinstance(row, dict)
        return "no" if row["a"] == "x" else ("yes" if row["b"] == "y" else str(row["c"]))

    labels = [label(row) for row in rows]
    search = LengthFirst(0.0, budget=SMALL)  # what is left without any time is the trees
    found = list(search.propose(Examples(rows, labels), Classes.of(labels), 0))
    fitting = [one for one in found if one.note.endswith(" 0 training mistakes")]
    assert fitting
    assert not fitting[0].fallback
    assert "A rule of" in fitting[0].text
    costs = [float(one.note.split(" bits")[0]) for one in fitting]
    assert costs == sorted(costs)
    assert found.index(fitting[0]) == 0, "before what is wrong on some rows"
    assert [one.text for one in found].count(found[-1].text) == 1, "the majority class once"


def test_three_short_conditions_are_joined_whatever_their_pairs_are_worth() -> None:
    chance = random.Random(4)
    alphabet = "abcdefgXYZ0123"
    rows: list[Input] = [
        "".join(chance.choices(alphabet, k=chance.randint(4, 16))) for _ in range(60)
    ]
    words = [str(row) for row in rows]
    rows += [word.lower() for word in words] + ["abcdefgh" + word[:4] for word in words]

    def strong(word: str) -> bool:
        has = any(c.isdigit() for c in word) and any(c.isupper() for c in word)
        return has and len(word) >= 10

    labels = ["strong" if strong(str(row)) else "weak" for row in rows]
    found = LengthFirst(3600.0).propose(Examples(rows, labels), Classes.of(labels), 0)
    program = next(iter(found)).text
    assert "len(x) < 10" in program or "len(x) >= 10" in program
    assert "isdigit()" in program
    assert "isupper()" in program


def test_a_count_is_no_answer_for_two_classes() -> None:
    rows: list[Input] = [f"{'a' if i % 2 else ''}{i % 7}{i % 5}" for i in range(60)]
    labels = [str(str(row).count("a")) for row in rows]
    for text, _ in proposals(rows, labels):
        assert 'return x.count("a")\n' not in text
    text, note = proposals(rows, labels)[0]
    assert note.endswith(" 0 training mistakes")
    namespace: dict[str, Callable[[str], int]] = {}
    exec(text, namespace)
    assert namespace["f"]("aaa") in (0, 1)


def test_shifts_over_midnight_are_told_from_clocks_and_the_break() -> None:
    chance = random.Random(5)
    rows: list[Input] = [
        {
            "in": f"{chance.randrange(24):02}:{chance.choice((0, 15, 30, 45)):02}",
            "out": f"{chance.randrange(24):02}:{chance.choice((0, 15, 30, 45)):02}",
            "break": chance.choice((0, 30, 60)),
        }
        for _ in range(400)
    ]

    def long(row: Input) -> str:
        assert isinstance(row, dict)
        hours, minutes = zip(
            *(map(int, str(row[name]).split(":")) for name in ("in", "out")), strict=True
        )
        worked = 60 * (hours[1] - hours[0]) + minutes[1] - minutes[0]
        return "yes" if worked % 1440 - int(str(row["break"])) > 480 else "no"

    labels = [long(row) for row in rows]
    train = Examples(rows[:200], labels[:200])
    best = next(iter(LengthFirst(3600.0).propose(train, Classes.of(labels), 0)))
    namespace: dict[str, Callable[[Input], str]] = {}
    exec(best.text, namespace)
    assert [namespace["f"](row) for row in rows[200:]] == labels[200:]


@pytest.mark.parametrize(
    ("train", "name", "rows", "values"),
    [
        (["9:05 to 10:30", "23:59"], "minutes", "at 0:10 or 12:00", [10, 720]),
        (["2 x 3.50", "1.15 and 7"], "hundredths", "0.29 4", [29, 400]),
    ],
)
def test_times_and_decimals_are_read_as_lists(
    train: list[str], name: str, rows: str, values: list[int]
) -> None:
    (source,) = [one for one in integer_lists_of_text(train) if one.name == name]
    assert Evaluator(1).run(source.template, {}, [rows], source.needs) == [values]


@pytest.mark.parametrize("sign", ["%", "*", "-"])
@pytest.mark.parametrize("primitive", weights.LIST_NUMBERS, ids=lambda one: one.template)
def test_what_is_read_off_a_list_keeps_its_value_inside_arithmetic(
    primitive: Primitive, sign: str
) -> None:
    rows = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8]]
    evaluator = Evaluator(3)
    read = Question(primitive, Part("s", 0.0, rows), None, 1.0).answer(evaluator)
    assert read is not None
    for left, right in ((read, constant(4, 3)), (constant(4, 3), read)):
        if sign == "%" and not right.values.all():
            continue
        made = calculated(left, sign, right, 1.0)
        assert evaluator.run(made.code, {}, rows, ()) == made.values.tolist(), made.code


def test_versions_and_addresses_are_no_decimals() -> None:
    assert "hundredths" not in {one.name for one in integer_lists_of_text(["1.2.3", "10.0.0.1"])}


def test_words_are_read_without_case_and_punctuation() -> None:
    (source,) = [one for one in word_lists_of_text(["No, no!", "Yes."]) if one.name == "lowered"]
    assert Evaluator(1).run(source.template, {}, ["The, the end."], source.needs) == [
        ["the", "the", "end"]
    ]


def test_one_class_gives_the_program_that_answers_it() -> None:
    text, note = proposals(["a", "b"], ["spam", "spam"])[0]
    assert text.endswith('    return "spam"\n')
    assert note.startswith("fallback")


def test_short_strings_of_one_length_are_searched() -> None:
    rows: list[Input] = ["00", "01", "10", "11"] * 10
    labels = [str(int(str(row)[1])) for row in rows]
    assert proposals(rows, labels)[0][1].endswith("0 training mistakes")


def test_the_time_cap_ends_the_search_and_is_told() -> None:
    rows = random_words(60, 30)
    labels = [str(str(row).count("1") % 2) for row in rows]
    search = LengthFirst(0.0, budget=SMALL)
    last = list(search.propose(Examples(rows, labels), Classes.of(labels), 0))[-1]
    assert search.hit_time_cap
    assert last.fallback
    assert last.text.splitlines()[-1] in ("    return 0", "    return 1")


def test_a_cut_between_the_largest_floats_is_one_of_them() -> None:
    assert simplest_between(1.6e308, 1.7e308) == 1.7e308
    assert simplest_between(-1.7e308, 1.7e308) == 1.7e308


def test_constants_that_have_no_plain_source_are_written_or_refused() -> None:
    assert literal(float("inf")) == 'float("inf")'
    assert literal(-0.5) == "-0.5"
    assert is_writable(-(10**4000))
    assert not is_writable(10**5000)


def test_a_prime_after_a_shift_is_found_among_numbers_with_small_factors() -> None:
    chance = random.Random(9)
    numbers = [chance.randrange(10**7, 10**8) for _ in range(900)]
    prime = [all((n - 4) % d for d in range(2, 10**4)) for n in numbers]
    rows: list[Input] = [str(n) for n, is_prime in zip(numbers, prime, strict=True) if is_prime]
    assert len(rows) > 25
    labels = ["1"] * len(rows) + ["0"] * len(rows)
    rows += [str(n) for n, is_prime in zip(numbers, prime, strict=True) if not is_prime][
        : len(rows)
    ]
    assert "return int(is_prime(int(x) - 4))" in proposals(rows, labels)[0][0]


def test_progress_names_stages_with_growing_counts() -> None:
    stages: list[tuple[str, int]] = []
    search = LengthFirst(budget=SMALL, progress=lambda stage, tried: stages.append((stage, tried)))
    rows = random_words(30, 8)
    labels = [str(row)[0] for row in rows]
    list(search.propose(Examples(rows, labels), Classes.of(labels), 0))
    assert stages[0] == ("reading rows", 0)
    assert [tried for _, tried in stages] == sorted(tried for _, tried in stages)
    assert stages[-1][1] > 1000
    assert not search.hit_time_cap


def test_a_column_is_named_and_a_round_threshold_is_found() -> None:
    chance = random.Random(5)
    rows: list[Input] = [
        {"age": chance.randint(18, 90), "city": chance.choice(["Rome", "Oslo", None])}
        for _ in range(120)
    ]
    labels = [
        "yes" if int(row["age"]) >= 40 and row["city"] == "Oslo" else "no"  # type: ignore[arg-type, index]
        for row in rows
    ]
    texts = [text for text, _ in proposals(rows, labels)[:5]]
    assert any('x["city"] == "Oslo" and x["age"] >= 40' in text for text in texts)


@pytest.mark.parametrize("missing", [True, False])
def test_a_column_is_guarded_only_where_training_rows_lack_a_value(missing: bool) -> None:
    rows: list[Input] = [
        {"age": None if missing and i % 9 == 0 else i, "note": "a" * (i % 7)} for i in range(80)
    ]
    labels = ["old" if i >= 40 and not (missing and i % 9 == 0) else "young" for i in range(80)]
    source = proposals(rows, labels)[0][0]
    namespace: dict[str, Callable[[Input], object]] = {}
    exec(source, namespace)
    assert namespace["f"]({"age": 60, "note": ""}) == "old"
    if missing:
        assert namespace["f"]({"age": None, "note": ""}) == "young"
    else:
        assert 'return "young" if x["age"] < 40 else "old"' in source or (
            'return "old" if x["age"] >= 40 else "young"' in source
        )
