"""Learnt sets: k words of a set, more of one set than of another, a value that is in a set."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.cuts import best_cut, compared
from llm_pv.search.emit import literal
from llm_pv.search.pool import Pool
from llm_pv.search.predicates import one_of
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Candidate, candidate, first_of, two_way
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Level, Truths, Type, derived, negation

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
LEAST_ROWS = 2
"""A word may be in a set if so many rows have it."""
MOST_WORDS = 800
LISTS, KEYS = 4, 30
WORD = 1.0
"""Bits of a word of a set beyond half of those that name it among all words."""
YIELDED = 30


def word_set(pool: Pool) -> Iterator[Candidate]:
    """Yield programs of one learnt set, or two, the cheapest first; for many classes a list."""
    problem = pool.problem
    found = [
        (condition, code)
        for code, members in problem.targets()
        for condition in learnt_sets(pool, members)
    ]
    if problem.binary:
        made = [candidate(two_way(one, code), problem, "word_set") for one, code in found]
        yield from sorted(made, key=lambda one: one.cost)[:YIELDED]
        return
    yield from _by_class(found, problem)


def _by_class(found: Sequence[tuple[Expression, int]], problem: Problem) -> Iterator[Candidate]:
    """Yield a list of the best condition of each class, the surest class first."""
    best: dict[int, tuple[float, Expression]] = {}
    for condition, code in found:
        held = np.asarray(condition.values[: problem.size], dtype=bool)
        wrong = problem.weights[held != (problem.codes == code)].sum()
        cost = condition.bits + float(problem.price(wrong))
        if code not in best or cost < best[code][0]:
            best[code] = cost, condition
    order = sorted(best, key=lambda code: best[code][0])
    for default, _ in problem.targets():
        rules = [(best[code][1], Answer(code)) for code in order if code != default]
        if rules:
            yield candidate(first_of(rules, Answer(default)), problem, "word_set")


def learnt_sets(pool: Pool, members: Truths) -> list[Expression]:
    """Return conditions on sets that are learnt for a class, once for all that ask.

    Parameters
    ----------
    members
        Whether each training row is of the class.
    """
    key = members.tobytes()
    if key not in pool.sets:
        pool.sets[key] = list(_learnt_sets(pool, members))
    return pool.sets[key]


def _learnt_sets(pool: Pool, members: Truths) -> Iterator[Expression]:
    problem = pool.problem
    for words in pool.words[:LISTS]:
        yield from _of_words(words, members, problem)
    seen: set[tuple[Any, ...]] = set()
    for key in [*pool.categories, *pool.texts][:KEYS]:
        problem.guard.check()
        values = tuple(key.values[: problem.size])
        if values not in seen:
            seen.add(values)
            yield from _of_values(key, members, problem)


def _of_values(key: Expression, members: Truths, problem: Problem) -> Iterator[Expression]:
    """Yield whether a value is one of those that mostly the class has."""
    rows = Counter(key.values[: problem.size])
    inside = Counter(value for value, one in zip(key.values, members, strict=False) if one)
    often = [value for value, count in rows.items() if count >= LEAST_ROWS and value is not None]
    if len(often) < 3 or sum(rows[value] for value in often) < problem.size / 2:
        return
    share = float(members.mean())
    for least in sorted({0.5, share, 0.9}):
        chosen = [value for value in often if inside[value] > least * rows[value]]
        if 2 <= len(chosen) < len(often):
            chosen.sort(key=lambda value: (-inside[value], str(value)))
            bits = key.bits + len(chosen) * (WORD + prices.choice_bits(len(often)) / 2)
            yield one_of(key, chosen, bits)


def _of_words(words: Expression, members: Truths, problem: Problem) -> Iterator[Expression]:
    """Yield whether a text has k words of a set, or more of one than of another."""
    rows = words.values.rows[: problem.size]
    counts = Counter(word for row in rows for word in dict.fromkeys(row))
    vocabulary = [
        word for word, count in counts.most_common(MOST_WORDS) if LEAST_ROWS <= count < problem.size
    ]
    if len(vocabulary) < 2:
        return
    place = {word: index for index, word in enumerate(vocabulary)}
    amounts = np.zeros((len(vocabulary), problem.size), dtype=np.float32)
    for index, row in enumerate(rows):
        for word in row:
            if word in place:
                amounts[place[word], index] += 1
    problem.guard.check()
    weights = np.where(members, 1 / max(1, members.sum()), -1 / max(1, (~members).sum()))
    difference = (amounts > 0) @ weights
    spread = np.sqrt((amounts > 0).mean(axis=1))
    order = np.argsort(-difference / spread, kind="stable").tolist()
    bits = WORD + prices.choice_bits(len(vocabulary)) / 2
    for size in SIZES:
        problem.guard.check()
        more = dict.fromkeys((i for i in order[:size] if difference[i] > 0), 1.0)
        fewer = dict.fromkeys((i for i in order[::-1][:size] if difference[i] < 0), -1.0)
        for signs in (more, fewer, more | fewer):
            if len(signs) in (size, 2 * size):
                kept, cut = _needed(amounts, dict(signs), members, problem, bits)
                plus, minus = (
                    [vocabulary[index] for index, sign in kept.items() if sign == wanted]
                    for wanted in (1.0, -1.0)
                )
                length = words.bits + 2.0 + bits * len(kept)
                price = length + prices.THRESHOLD + prices.constant_bits(cut)
                if plus:
                    yield compared(_count(words, plus, minus, length), ">=", cut, price)
                else:  # fewer than so many of the others
                    few = compared(_count(words, minus, [], length), ">=", 1 - cut, price)
                    yield negation(few)


def _needed(
    amounts: NDArray[np.float32],
    signs: dict[int, float],
    members: Truths,
    problem: Problem,
    bits: float,
) -> tuple[dict[int, float], float]:
    """Return the words of a set that its best cut needs, and that cut; the weakest go first."""
    total = np.sum([sign * amounts[index] for index, sign in signs.items()], axis=0)
    cut, wrong = best_cut(total, members, problem)
    for index in list(signs)[::-1]:
        problem.guard.check()
        without = total - signs[index] * amounts[index]
        other, other_wrong = best_cut(without, members, problem)
        if len(signs) > 1 and problem.price(other_wrong) <= problem.price(wrong) + bits:
            total, cut, wrong = without, other, other_wrong
            del signs[index]
    return signs, cut


def _count(words: Expression, plus: list[str], minus: list[str], bits: float) -> Expression:
    """Return how many words are of one set, less those of another."""
    weight = dict.fromkeys(plus, 1.0) | dict.fromkeys(minus, -1.0)

    def tally(values: Ragged) -> NDArray[np.float64]:
        weights = np.array([weight.get(word, 0.0) for word in values.items or ()])
        return np.asarray(values.layout.fold(np.add, weights[values.flat], 0.0))

    parts = [
        f"{words.at(Level.ATOM)}.count({literal(one[0])})"
        if len(one) == 1
        else f"sum(word in {literal(tuple(sorted(one)))} for word in {words.code})"
        for one in (plus, minus)
        if one
    ]
    code = " - ".join(parts)
    return derived(code, Type.NUMBER, bits, tally, [words], kind="count")
