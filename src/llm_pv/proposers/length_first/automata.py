"""Small automata: every one with a few states, tried on all rows at once.

A table says, for each symbol and state, which state comes next; what the last state answers is the
class most frequent among the training rows that end there. Tables that differ in the names of the
states alone are tried once. Over more than three symbols, two or three of them move the state and
the others leave it as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, label_literal
from llm_pv.proposers.length_first.sequences import Part, literal
from llm_pv.proposers.length_first.weights import choice_bits, subset_bits

MOST_STATES = {2: 4, 3: 3}
"""The most states by the number of symbols."""
MOST_SYMBOLS = 8
"""Symbols of which some are chosen."""
FIRST_ROWS = 24
"""Rows that decide which automata are run on all of them."""
KEPT = 40


def best_automata(text: Part, problem: Problem, most_steps: float) -> list[Candidate]:
    """Return the cheapest automata over the characters of a string.

    Parameters
    ----------
    text
        Strings over two to `MOST_SYMBOLS` symbols.
    problem
        The rows and their classes.
    most_steps
        Automata times characters read; what would exceed it is not tried.
    """
    rows = [str(row) for row in text.rows]
    alphabet = sorted(set().union(*rows[: problem.size]))
    if not 2 <= len(alphabet) <= MOST_SYMBOLS or len(problem.classes) < 2:
        return []
    symbols = _padded(rows, alphabet)
    if len(alphabet) in MOST_STATES:
        most = MOST_STATES[len(alphabet)]
        found = _over(text, symbols, alphabet, most, most_steps, problem=problem, kept=400)
        return sorted(found, key=lambda one: one.cost)[:KEPT]
    found = []
    chosen = [some for size in (2, 3) for some in combinations(alphabet, size)]
    for some in chosen:
        extra = subset_bits(len(alphabet), len(some))
        steps = most_steps / len(chosen)
        numbers = np.full(len(alphabet) + 1, -1, dtype=np.int8)  # the last is for none of them
        numbers[[alphabet.index(symbol) for symbol in some]] = range(len(some))
        for one in _over(text, numbers[symbols], some, 2, steps, problem=problem, kept=5):
            bits, cost = one.bits + extra, one.cost + extra
            found.append(replace(one, bits=bits, cost=cost))
    return sorted(found, key=lambda one: one.cost)[:KEPT]


def _over(
    text: Part,
    symbols: NDArray[np.int8],
    alphabet: Sequence[str],
    most_states: int,
    most_steps: float,
    *,
    problem: Problem,
    kept: int,
) -> list[Candidate]:
    """Return automata that some symbols move; so many of each size are run on all rows."""
    found: list[Candidate] = []
    for states in range(2, most_states + 1):
        tables = automata(states, len(alphabet))
        if len(tables) * symbols[:FIRST_ROWS].size > most_steps:
            break
        first = min(FIRST_ROWS, problem.size)
        ends = _run(tables, symbols[:first])
        wrong = _mistakes(ends, problem.codes[:first], states, len(problem.classes))
        best = np.argsort(wrong, kind="stable")[:kept]
        ends = _run(tables[best], symbols)
        wrong = _mistakes(ends[:, : problem.size], problem.codes, states, len(problem.classes))
        found += [
            _candidate(text, tables[best[index]], ends[index], alphabet, problem)
            for index in np.argsort(wrong, kind="stable")[:KEPT].tolist()
        ]
    return found


@cache
def automata(states: int, symbols: int) -> NDArray[np.int8]:
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


def _padded(rows: Sequence[str], alphabet: Sequence[str]) -> NDArray[np.int8]:
    """Return the symbols' numbers, one row each, with -1 after the end and for other symbols."""
    longest = max(map(len, rows))
    numbers = {character: index for index, character in enumerate(alphabet)}
    padded = np.full((len(rows), longest), -1, dtype=np.int8)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = [numbers.get(character, -1) for character in row]
    return padded


def _run(tables: NDArray[np.int8], symbols: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the last state of each automaton on each row; unknown symbols are skipped."""
    automata, _, states = tables.shape
    stay = np.broadcast_to(np.arange(states, dtype=np.int8), (automata, 1, states))
    flat = np.concatenate([tables, stay], axis=1).reshape(-1)
    width = states * (tables.shape[1] + 1)
    base = np.arange(automata, dtype=np.int32)[:, None] * width
    offsets = np.where(symbols < 0, tables.shape[1], symbols).astype(np.int32) * states
    state = np.zeros((automata, len(symbols)), dtype=np.int8)
    for column in offsets.T:
        state = flat[base + column[None, :] + state]
    return state


def _mistakes(
    ends: NDArray[np.int8], codes: NDArray[np.int64], states: int, classes: int
) -> NDArray[np.int64]:
    right = np.zeros(len(ends), dtype=np.int64)
    for state in range(states):
        counts = [((ends == state) & (codes == code)).sum(axis=1) for code in range(classes)]
        right += np.max(counts, axis=0)
    return np.asarray(len(codes) - right)


def _candidate(
    text: Part,
    table: NDArray[np.int8],
    ends: NDArray[np.int8],
    alphabet: Sequence[str],
    problem: Problem,
) -> Candidate:
    states, classes = table.shape[1], len(problem.classes)
    counts = np.zeros((states, classes), dtype=np.int64)
    for state, code in product(range(states), range(classes)):
        counts[state, code] = ((ends[: problem.size] == state) & (problem.codes == code)).sum()
    answers_of = counts.argmax(axis=1)
    answers = answers_of[ends.astype(np.int64)]
    mistakes = int((answers[: problem.size] != problem.codes).sum())
    bits = text.bits + weights.AUTOMATON + table.size * choice_bits(states)
    bits += states * choice_bits(classes)
    moves = ", ".join(
        f"{literal(symbol)}: {tuple(row)}"
        for symbol, row in zip(alphabet, table.tolist(), strict=True)
    )
    labels = ", ".join(label_literal(problem.classes[code]) for code in answers_of.tolist())
    body = (
        f"moves = {{{moves}}}",
        "state = 0",
        f"for symbol in {text.code}:",
        "    state = moves[symbol][state] if symbol in moves else state",
        f"return ({labels})[state]",
    )
    cost = bits + problem.prices[mistakes]
    return Candidate(body, text.needs, bits, answers, mistakes, cost)
