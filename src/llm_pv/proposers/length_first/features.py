"""Everything that is read off the rows before any search: numbers, truth values, categories."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.brackets import bracket_flags
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Evaluator,
    Expression,
    Level,
    calculated,
)
from llm_pv.proposers.length_first.numbers import integer_flags, integer_numbers
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.reading import Reading, read
from llm_pv.proposers.length_first.sequences import (
    Category,
    Features,
    Part,
    parts_of,
    questions_about,
)

LONGEST_QUESTION = 15.0
"""Bits from which on a number is not read off a part of a row."""
MOST_COMPARED_PARTS = 12
MOST_CATEGORY_VALUES = 40
MOST_COLUMN_PAIRS = 60


def collect_features(
    problem: Problem, most_effort: float, expired: Callable[[], bool]
) -> tuple[Features, Reading]:
    """Read numbers, truth values and categories off the rows, without repetitions."""
    evaluator = Evaluator(problem.size)
    reading = read(problem, evaluator)
    parts = [
        part for whole in (*reading.texts, *reading.lists) for part in parts_of(whole, evaluator)
    ]
    numbers = [*reading.numbers, *integer_numbers(reading.integers, evaluator)]
    numbers += _column_pairs(reading.numbers)
    flags = [*reading.flags, *integer_flags(reading.integers, evaluator, problem.codes)]
    flags += _part_comparisons(parts)
    for whole in (*reading.texts, *reading.lists):
        flags += bracket_flags(whole, evaluator, problem.size)
        numbers += _items(whole, evaluator, problem.size)
    for answer in _answers(parts, evaluator, most_effort, expired):
        (flags if answer.values.dtype == bool else numbers).append(answer)
    categories = [
        *reading.categories,
        *(Category(part.code, part.bits, part.rows, part.needs) for part in parts if part.is_text),
    ]
    features = Features(
        distinct(numbers, problem.size),
        distinct(flags, problem.size),
        [c for c in categories if 1 < len(set(c.rows[: problem.size])) <= MOST_CATEGORY_VALUES],
    )
    return features, reading


def distinct(expressions: Iterable[Expression], size: int) -> list[Expression]:
    """Return the expressions that vary, the shortest of those that agree everywhere."""
    kept: dict[bytes, Expression] = {}
    for expression in sorted(expressions, key=lambda expression: expression.bits):
        values = expression.values
        if len(values) and bool((values[:size] != values[0]).any()):
            kept.setdefault(values.tobytes(), expression)
    return list(kept.values())


def _answers(
    parts: Sequence[Part],
    evaluator: Evaluator,
    most_effort: float,
    expired: Callable[[], bool],
) -> Iterator[Expression]:
    """Answer questions about parts, shortest first, until the effort is spent."""
    questions = [
        question
        for part in parts
        for question in questions_about(part)
        if question.bits <= LONGEST_QUESTION
    ]
    effort = 0.0
    # Of equally short questions the cheap ones come first: long rows leave room for few dear ones.
    for question in sorted(questions, key=lambda question: (question.bits, question.effort)):
        if expired():
            return
        if effort + question.effort > most_effort:
            continue
        effort += question.effort
        answer = question.answer(evaluator)
        if answer is not None:
            yield answer


def _column_pairs(columns: Sequence[Expression]) -> Iterator[Expression]:
    """Yield sums, differences, products and ratios of two columns."""
    if len(columns) * (len(columns) - 1) // 2 > MOST_COLUMN_PAIRS:
        return
    for left, right in itertools.permutations(columns, 2):
        for sign, bits in weights.PAIR_OPERATIONS.items():
            if sign in "+*" and left.code > right.code:
                continue
            if sign == "/" and not bool((right.values != 0).all()):
                continue
            pair = calculated(left, sign, right, left.bits + right.bits + bits)
            exact = np.abs(pair.values[np.isfinite(pair.values)]) < LARGEST_EXACT
            if bool(exact.all()):
                yield pair


def _items(whole: Part, evaluator: Evaluator, size: int) -> Iterator[Expression]:
    """Yield the items of lists that all have the same, small length."""
    lengths = {len(row) for row in whole.rows[:size]}
    if whole.is_text or len(lengths) > 1 or not 0 < max(lengths) <= 12:
        return
    length = max(lengths)
    for index in range(length):
        values = evaluator.run(f"{{s}}[{index}]", {}, whole.rows, ())
        if values is not None and all(abs(int(str(v))) < LARGEST_EXACT for v in values):
            bits = whole.bits + 2 + weights.choice_bits(length)
            array = np.array(values, dtype=np.float64)
            yield Expression(f"{whole.code}[{index}]", bits, array, needs=whole.needs)


def _part_comparisons(parts: Sequence[Part]) -> Iterator[Expression]:
    """Yield whether two parts are equal, ordered, one inside the other, or mirrored."""
    texts = sorted((p for p in parts if p.is_text), key=lambda p: p.bits)[:MOST_COMPARED_PARTS]
    lists = sorted((p for p in parts if not p.is_text), key=lambda p: p.bits)[:MOST_COMPARED_PARTS]
    for group in (texts, lists):
        for left, right in itertools.permutations(group, 2):
            needs = (*left.needs, *right.needs)
            bits = left.bits + right.bits + weights.COMPARISON
            pairs = list(zip(left.rows, right.rows, strict=True))
            for sign, opposite, values in (
                ("==", "!=", [a == b for a, b in pairs]),
                ("<", ">=", [a < b for a, b in pairs]),  # type: ignore[operator]
                ("in", "not in", [str(a) in str(b) for a, b in pairs] if left.is_text else []),
                ("== reversed", "", [a == b[::-1] for a, b in pairs]),
            ):
                if not values or (left.code > right.code and sign != "in"):
                    continue
                if sign == "== reversed":
                    yield Expression(
                        f"{left.code} == {right.code}[::-1]",
                        bits + 2,
                        np.array(values, bool),
                        Level.COMPARISON,
                        needs,
                        f"{left.code} != {right.code}[::-1]",
                    )
                    continue
                yield Expression(
                    f"{left.code} {sign} {right.code}",
                    bits,
                    np.array(values, bool),
                    Level.COMPARISON,
                    needs,
                    f"{left.code} {opposite} {right.code}",
                )
