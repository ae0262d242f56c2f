"""Everything that is read off the rows before any search: numbers, truth values, categories."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.brackets import bracket_flags
from llm_pv.proposers.length_first.budget import Budget
from llm_pv.proposers.length_first.columns import (
    category_sets,
    clock_differences,
    combined_columns,
    flags_counted,
    remainders,
)
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Evaluator,
    Expression,
    Level,
    as_numbers,
    calculated,
    compared,
    constant,
    level_of,
)
from llm_pv.proposers.length_first.folds import folds_of
from llm_pv.proposers.length_first.graphs import graph_expressions
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
LONGEST_FOLD = 13.0
"""Bits from which on a fold of a sequence is left out."""
MOST_COMPARED_PARTS = 12
MOST_ITEMS = 12
MOST_CATEGORY_VALUES = 40
_COMBINED = ("numbers", "parts", "minutes", "hundredths")
MOST_COMBINED_ITEMS = 6
"""Items of a list up to which they are combined like columns of a table."""


def collect_features(
    problem: Problem, budget: Budget, expired: Callable[[], bool]
) -> tuple[Features, Reading]:
    """Read numbers, truth values and categories off the rows, without repetitions."""
    evaluator = Evaluator(problem.size)
    reading = read(problem, evaluator)
    parts = [
        part for whole in (*reading.texts, *reading.lists) for part in parts_of(whole, evaluator)
    ]
    parts += reading.whole
    found = [
        *reading.numbers,
        *reading.filled,
        *integer_numbers(reading.integers, evaluator),
        *reading.flags,
    ]
    times = [one for one in reading.numbers if one.code.startswith("60 * int(")]
    numbers = [*reading.numbers, *clock_differences(times)]
    found += numbers[len(reading.numbers) :]
    found += combined_columns(numbers)
    if reading.filled:
        complete = [one for one in reading.numbers if bool(np.isfinite(one.values).all())]
        found += combined_columns([*reading.filled, *complete])
    found += flags_counted(reading.flags)
    found += integer_flags(reading.integers, evaluator, problem.codes)
    found += _part_comparisons(parts)
    found += category_sets(reading.categories, problem.size)
    for whole in (*reading.texts, *reading.lists):
        found += bracket_flags(whole, evaluator, problem.size)
        items = list(_items(whole, evaluator, problem.size))
        found += items
        found += _statistics_compared(whole, evaluator)
        if whole.code.startswith("minutes"):
            found += clock_differences(items)
        if len(items) <= MOST_COMBINED_ITEMS and whole.code.startswith(_COMBINED):
            found += combined_columns(items)
    for graph in reading.graphs:
        found += graph_expressions(graph, evaluator, problem.size)
    found += _answers(parts, evaluator, budget.reading, expired)
    found += folds_of(
        [*parts, *reading.words], LONGEST_FOLD, budget.folding, budget.walked_items, expired
    )
    found += _same_question(found, parts)
    categories = [
        *reading.categories,
        *(Category(part.code, part.bits, part.rows, part.needs) for part in parts if part.is_text),
    ]
    numbers = distinct((one for one in found if one.values.dtype != bool), problem.size)
    numbers = distinct([*numbers, *remainders(numbers)], problem.size)
    most = budget.number_cells // len(problem.rows)
    features = Features(
        numbers[:most],
        distinct((one for one in found if one.values.dtype == bool), problem.size),
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


def _statistics_compared(whole: Part, evaluator: Evaluator) -> Iterator[Expression]:
    """Yield how the largest, the second largest, the sum ... of a list compare, times up to 3."""
    if whole.is_text or not whole.code.isidentifier():
        return
    numbers = []
    for template in weights.ORDER_STATISTICS:
        answers = evaluator.run(template, {}, whole.rows, ())
        values = None if answers is None else as_numbers(answers)
        if values is not None:
            code = template.format(s=whole.code)
            numbers.append(Expression(code, 0.0, values, level_of(template), whole.needs))
    bits = whole.bits + weights.COMPARED_STATISTICS
    for left, right in itertools.permutations(numbers, 2):
        for factor in (2, 3):
            many = calculated(constant(factor, len(right.values)), "*", right, bits)
            yield from (compared(left, sign, many, bits) for sign in (">", "==", "<"))


def _same_question(found: Sequence[Expression], parts: Sequence[Part]) -> list[Expression]:
    """Return what the same question to two corresponding parts says: which is larger, or neither.

    Two halves, both ends, the first and the last word: whoever asks the one asks the other.
    """
    by_code: dict[str, Expression] = {}
    for one in found:
        if one.values.dtype != bool and bool(np.isfinite(one.values).all()):
            by_code.setdefault(one.code, one)
    asked = []
    for first, second in _corresponding(parts):
        for code, left in by_code.items():
            if first not in code:
                continue
            right = by_code.get(code.replace(first, second))
            if right is None:
                continue
            bits = max(left.bits, right.bits) + weights.SAME_QUESTION
            asked += [compared(left, sign, right, bits) for sign in (">", "==", "<")]
            asked.append(calculated(left, "-", right, bits + 1))
    return asked


def _corresponding(parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    """Yield the source of a part and of the part that mirrors it."""
    codes = {part.code for part in parts}
    if {"deep", "shallow"} <= codes:
        yield "deep", "shallow"
    for code in sorted(codes):
        for old, new in (
            ("[::2]", "[1::2]"),
            ("[0]", "[-1]"),
            ("[0]", "[1]"),
            ("[1]", "[2]"),
            ("[1:]", "[:-1]"),
        ):
            if code.endswith(old) and code.removesuffix(old) + new in codes:
                yield code, code.removesuffix(old) + new
        for share in (2, 3, 4):
            base = code.split("[:")[0]
            if code == f"{base}[: len({base}) // {share}]":
                rest = f"{base}[len({base}) // {share} :]"
                end = f"{base}[-(len({base}) // {share}) :]"
                yield from ((code, other) for other in (rest, end) if other in codes)
        if code.endswith("]") and "[:" in code:
            base, length = code[:-1].rsplit("[:", 1)
            if length.isdecimal() and f"{base}[-{length}:]" in codes:
                yield code, f"{base}[-{length}:]"


def _items(whole: Part, evaluator: Evaluator, size: int) -> Iterator[Expression]:
    """Yield the items of lists that all have the same, small length."""
    lengths = {len(row) for row in whole.rows[:size]}
    length = min(*lengths, MOST_ITEMS)
    if whole.is_text or not length:
        return
    for index in range(-min(length, 3) if len(lengths) > 1 else 0, length):
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
