"""Small automata: every one with a few states, tried on all rows at once.

A table says, for each symbol and state, which state comes next; what the last state answers is the
class most frequent among the training rows that end there. Tables that differ in the names of the
states alone are tried once. Over more than three symbols, two or three of them move the state and
the others leave it as it is.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from math import comb, log2

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.emit import literal
from llm_pv.search.pool import Pool
from llm_pv.search.prices import choice_bits, leaf_bits
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate, Lookup, candidate
from llm_pv.search.types import Expression, Type, derived

MOST_STATES = {2: 4, 3: 3}
"""The most states by the number of symbols."""
MOST_SYMBOLS = 8
"""Symbols of which some are chosen."""
MOST_STEPS = 6e7
"""Automata times characters read; what would exceed it is not tried."""
FIRST_ROWS = 24
"""Rows that decide which automata are run on all of them."""
KEPT = 20
AUTOMATON = 4.0
Tables = NDArray[np.int8]


def automaton(pool: Pool) -> Iterator[Candidate]:
    """Yield the automata over the characters of the shortest text that fit best."""
    problem = pool.problem
    for text in pool.texts[:1]:
        rows = text.values
        alphabet = sorted(set("".join(rows[: problem.size])))
        if not 2 <= len(alphabet) <= MOST_SYMBOLS:
            return
        steps = MOST_STEPS * problem.scale
        if len(alphabet) in MOST_STATES:
            most = MOST_STATES[len(alphabet)]
            yield from _over(text, alphabet, 0.0, most, steps, problem)
            return
        chosen = [some for size in (2, 3) for some in combinations(alphabet, size)]
        for some in chosen:
            extra = log2(comb(len(alphabet), len(some)))
            yield from _over(text, some, extra, 2, steps / len(chosen), problem)


def _over(  # noqa: PLR0917
    text: Expression,
    alphabet: Sequence[str],
    extra: float,
    most: int,
    steps: float,
    problem: Problem,
) -> Iterator[Candidate]:
    """Yield automata of each size that these symbols move."""
    symbols = _padded(text.values, alphabet)
    for states in range(2, most + 1):
        problem.guard.check()
        tables = automata(states, len(alphabet))
        if len(tables) * symbols[:FIRST_ROWS].size > steps:
            return
        problem.count(len(tables))
        first = min(FIRST_ROWS, problem.size)
        wrong = []
        for start in range(0, len(tables), 4000):
            problem.guard.check()
            ends = _run(tables[start : start + 4000], symbols[:first])
            wrong.append(_mistakes(ends, problem.codes[:first], states, len(problem.classes)))
        best = np.argsort(np.concatenate(wrong), kind="stable")[:300]
        ends = _run(tables[best], symbols[: problem.size])
        left = _mistakes(ends, problem.codes, states, len(problem.classes))
        for place in np.argsort(left, kind="stable")[: KEPT if extra == 0 else 2].tolist():
            yield _candidate(text, tables[best[place]], ends[place], alphabet, extra, problem)


def _candidate(  # noqa: PLR0917
    text: Expression,
    table: Tables,
    ends: Tables,
    alphabet: Sequence[str],
    extra: float,
    problem: Problem,
) -> Candidate:
    states, classes = table.shape[1], len(problem.classes)
    counts = np.zeros((states, classes))
    np.add.at(counts, (ends.astype(np.int64), problem.codes), problem.weights)
    answers = counts.argmax(axis=1).tolist()
    moves = dict(zip(alphabet, map(tuple, table.tolist()), strict=True))
    written = ", ".join(f"{literal(symbol)}: {literal(row)}" for symbol, row in moves.items())

    def last_states(rows: Sequence[str]) -> list[int]:
        ends: list[int] = _run(table[None], _padded(rows, alphabet))[0].tolist()
        return ends

    bits = text.bits + AUTOMATON + extra + table.size * choice_bits(states)
    code = f"last_state({text.code}, {{{written}}})"
    state = derived(code, Type.CATEGORY, bits, last_states, [text])
    default = max(set(answers), key=answers.count)
    entries = tuple((place, code) for place, code in enumerate(answers) if code != default)
    # A state's answer is one of the classes: what a table of other values would cost is not paid.
    surplus = len(entries) * (2.0 + leaf_bits(classes)) - states * choice_bits(classes)
    return candidate(Lookup(state, entries, default), problem, "automaton", -max(0.0, surplus))


@cache
def automata(states: int, symbols: int) -> Tables:
    """Return every table whose states are all reachable, named in the order they are met.

    Returns
    -------
    array of shape (automata, symbols, states)

    Examples
    --------
    >>> [len(automata(states, 2)) for states in (1, 2, 3)]
    [1, 12, 216]
    """
    tables = np.array(list(_named_in_order(states, symbols)), dtype=np.int8)
    return tables.reshape(-1, states, symbols).transpose(0, 2, 1)


def _named_in_order(states: int, symbols: int) -> Iterator[tuple[int, ...]]:
    """Yield tables, state by state, where a new state's name is always the next one."""

    def extended(table: tuple[int, ...], known: int) -> Iterator[tuple[int, ...]]:
        if len(table) == states * symbols:
            if known == states:
                yield table
            return
        if len(table) % symbols == 0 and len(table) // symbols >= known:
            return  # a state that nothing before it leads to
        for target in range(min(known + 1, states)):
            yield from extended((*table, target), max(known, target + 1))

    yield from extended((), 1)


def _padded(rows: Sequence[str], alphabet: Sequence[str]) -> Tables:
    """Return the symbols' numbers, one row each, with -1 after the end and for other symbols."""
    numbers = {character: index for index, character in enumerate(alphabet)}
    padded = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int8)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = [numbers.get(character, -1) for character in row]
    return padded


def _run(tables: Tables, symbols: Tables) -> Tables:
    """Return the last state of each automaton on each row; unknown symbols are skipped."""
    count, width, states = tables.shape
    stay = np.broadcast_to(np.arange(states, dtype=np.int8), (count, 1, states))
    flat = np.concatenate([tables, stay], axis=1).reshape(-1)
    base = np.arange(count, dtype=np.int32)[:, None] * (states * (width + 1))
    offsets = np.where(symbols < 0, width, symbols).astype(np.int32) * states
    state = np.zeros((count, len(symbols)), dtype=np.int8)
    for column in offsets.T:
        state = flat[base + column[None, :] + state]
    return state


def _mistakes(
    ends: Tables, codes: NDArray[np.int64], states: int, classes: int
) -> NDArray[np.int64]:
    right = np.zeros(len(ends), dtype=np.int64)
    for state in range(states):
        counts = [((ends == state) & (codes == code)).sum(axis=1) for code in range(classes)]
        right += np.max(counts, axis=0)
    return np.asarray(len(codes) - right)
