"""Loops over sequences: what they count, sum and find, worked out by hand."""

import numpy as np
import pytest

from llm_pv.proposers.length_first.folds import folds_of
from llm_pv.proposers.length_first.sequences import Part
from llm_pv.proposers.length_first.terms import terms_of
from llm_pv.proposers.length_first.terms import tests_of as questions_of
from llm_pv.proposers.length_first.views import View, views_of

LISTS = Part("numbers", 0.0, [[3, 1, 4, 1, 5], [2], [], [-2, 7, 7]])
TEXTS = Part("x", 0.0, ["abca", "", "ZZ9"])
WORDS = Part("words", 0.0, [["Anna", "otto"], ["kayak", "ice"]])  # type: ignore[arg-type]


def views(part: Part) -> dict[str, View]:
    return {view.loop: view for view in views_of(part)}


def folds(part: Part, longest: float = 9.0) -> dict[str, list[float]]:
    found = folds_of([part], longest, 1e7, 10**6, lambda: False)
    return {fold.code: fold.values.tolist() for fold in found}


def test_what_would_take_too_much_memory_is_not_walked_over() -> None:
    long = Part("whole", 5.0, ["ab" * 500, "ba" * 500])

    def walked(most_items: int) -> set[str]:
        found = folds_of([long, TEXTS], 12.0, 1e7, most_items, lambda: False)
        return {"whole" if "whole" in fold.code else "x" for fold in found}

    assert walked(8_000) == {"whole", "x"}
    assert walked(4_000) == {"x"}


def test_neighbours_are_paired_within_rows_only() -> None:
    view = views(LISTS)["for a, b in pairwise(numbers)"]
    pairs = list(zip(*(column.tolist() for column in view.items), strict=True))
    assert pairs == [(3, 1), (1, 4), (4, 1), (1, 5), (-2, 7), (7, 7)]
    assert view.counts.tolist() == [4, 0, 0, 2]


def test_mirrored_items_meet_in_the_middle() -> None:
    view = views(LISTS)["for a, b in zip(numbers[: len(numbers) // 2], numbers[::-1])"]
    pairs = list(zip(*(column.tolist() for column in view.items), strict=True))
    assert pairs == [(3, 5), (1, 1), (-2, 7)]


def test_every_two_items_are_combined_once() -> None:
    view = views(Part("n", 0.0, [[1, 2, 3], [4, 5]]))["for a, b in combinations(n, 2)"]
    pairs = list(zip(*(column.tolist() for column in view.items), strict=True))
    assert pairs == [(1, 2), (1, 3), (2, 3), (4, 5)]


def test_a_row_without_turns_folds_to_the_empty_value() -> None:
    view = views(LISTS)["for a in numbers"]
    values = view.items[0][None, :]
    assert view.totals(values).tolist() == [[14.0, 2.0, 0.0, 12.0]]
    assert view.folded(np.maximum, values, -1.0).tolist() == [[5.0, 2.0, -1.0, 7.0]]


def test_integers_too_large_to_multiply_are_not_walked_over() -> None:
    assert list(views_of(Part("n", 0.0, [[2**40], [1]]))) == []


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("sum(a % 2 == 1 for a in numbers)", [4, 0, 0, 2]),
        ("sum(a < b for a, b in pairwise(numbers))", [2, 0, 0, 1]),
        ("any(a == b for a, b in pairwise(numbers))", [False, False, False, True]),
        ("all(a > 1 for a in numbers)", [False, True, True, False]),
        ("sum(abs(a) for a in numbers)", [14, 2, 0, 16]),
        ("max((abs(a) for a in numbers), default=0)", [5, 2, 0, 7]),
        ("len({a for a in numbers})", [4, 1, 0, 2]),
        ("next((i for i, a in enumerate(numbers) if a % 2 == 0), -1)", [2, 0, -1, 0]),
        ("sum(i * a for i, a in enumerate(numbers))", [32, 0, 0, 21]),
        ("sum((-1) ** i * a for i, a in enumerate(numbers))", [10, 2, 0, -2]),
    ],
)
def test_a_fold_over_integers_is(code: str, values: list[float]) -> None:
    assert folds(LISTS)[code] == values


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("sum(a.isupper() for a in x)", [0, 0, 2]),
        ('sum(a in "aeiouAEIOU" for a in x)', [2, 0, 0]),
        ("any(a == b for a, b in pairwise(x))", [False, False, True]),
        (
            "max((len(list(run)) for holds, run in groupby(a.isupper() for a in x) if holds)"
            ", default=0)",
            [0, 0, 2],
        ),
    ],
)
def test_a_fold_over_characters_is(code: str, values: list[float]) -> None:
    assert folds(TEXTS)[code] == values


def test_words_are_asked_for_their_ends_and_their_mirror_image() -> None:
    found = folds(WORDS)
    assert found['sum(a[:1] in set("aeiouAEIOU") for a in words)'] == [2, 1]
    assert found["sum(a == a[::-1] for a in words)"] == [1, 1]


def test_tests_that_speak_of_one_variable_are_left_to_the_shorter_loop() -> None:
    view = views(LISTS)["for a, b in pairwise(numbers)"]
    every = questions_of(view, terms_of(view))
    alone = next(test for test in every if test.code == "a % 2 == 0")
    both = next(test for test in every if test.code == "a < b")
    assert not alone.speaks_of(view.names)
    assert both.speaks_of(view.names)


def test_folding_stops_when_its_steps_are_spent() -> None:
    assert list(folds_of([LISTS], 12.0, 0.0, 10**6, lambda: False)) == []
    assert list(folds_of([LISTS], 12.0, 1e7, 10**6, lambda: True)) == []
