"""Survey training rows with the built-in search, as text for a model that explores them."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, TypeAlias

import numpy as np

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import LLMPVError
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.llm.prompt.notation import as_json
from llm_pv.proposers.llm.prompt.row_choice import subsample
from llm_pv.search.bank import Bank
from llm_pv.search.emit import assignments
from llm_pv.search.enumerate import fill
from llm_pv.search.library import relied_on
from llm_pv.search.pool import Conditions, information
from llm_pv.search.predicates import offers, pool_of
from llm_pv.search.problem import SAMPLE_ROWS, Expired, Guard, Problem
from llm_pv.search.reading import read_leaves
from llm_pv.search.types import Expression, Truths

SECONDS = 20.0
MEGABYTES = 600
SCALE = 0.2
"""The budget of candidates beside the usual one of the search."""
MOST_CONDITIONS = 12
MOST_FORMATS = 6
MOST_CLASSES = 6
MOST_COUNTS = 4
MOST_CHARACTERS = 160
FEW_SYMBOLS = 4
MOST_COLUMNS = 30
MOST_FORMATTED = 100
"""The most columns examined for formats and constants."""
MOST_LOOKED_AT = 2_000
"""The number of best conditions among which those of other columns are searched."""
ALIKE = 0.92
"""The share of rows on which two conditions must agree for only the better one to be shown."""
Gain: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
"""The information of each condition about the label, in bits."""
_RUNS = re.compile(r"[0-9]+|[a-z]+|[A-Z]+|[^\W\d_]+", re.DOTALL)


class Survey:
    """The survey of one cell's training rows, made once when it is first asked for.

    Parameters
    ----------
    seconds
        What it may take; what was found by then is returned.
    """

    def __init__(
        self, train: Examples, classes: Classes, *, seed: int, seconds: float = SECONDS
    ) -> None:
        self._rows = subsample(train, SAMPLE_ROWS, seed)
        self._classes = classes
        self._of = len(train)
        self._seed = seed
        self._seconds = seconds
        self._lock = threading.Lock()
        self._text = ""

    def text(self) -> str:
        """Return the survey; it is computed in a process of its own, under a deadline."""
        with self._lock:
            if not self._text:
                try:
                    self._text = self._compute()
                except (LLMPVError, RuntimeError, OSError):
                    # A conversation that is paid for does not fail because of a survey.
                    self._text = "The survey failed: do without it."
            return self._text

    def _compute(self) -> str:
        from llm_pv.proposers.own_process import OwnProcess

        surveyor = SurveyProposer(self._of, self._seconds)
        apart = OwnProcess(surveyor, seconds=self._seconds, megabytes=MEGABYTES)
        found = list(apart.propose(self._rows, self._classes, seed=self._seed))
        texts = [one.text for one in found if not one.fallback]
        text = texts[-1] if texts else "There was no time for a survey."
        is_cut = "\nIt was cut short by its limit on time or memory." if apart.hit_time_cap else ""
        return text + is_cut


class SurveyProposer(Proposer):
    """Makes a survey where proposals are made: its only proposal is the text.

    Parameters
    ----------
    of
        The number of training rows that the rows are a sample of.
    """

    name = "survey"

    def __init__(self, of: int, seconds: float) -> None:
        self._of = of
        self._seconds = seconds
        self.interim: Callable[[Sequence[Proposal]], None] | None = None

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield the survey, unless ``start`` leaves it out."""
        lines = [_about_sample(len(train), self._of), *formats(train)]
        if self.interim is not None:
            self.interim([Proposal("\n".join(lines))])
        guard = Guard(time.monotonic() + 0.9 * self._seconds, MEGABYTES)
        problem = Problem.of(train, classes.texts, seed=seed, guard=guard)
        if len(problem.classes) > 1:
            lines += informative_conditions(problem)
        if not start:
            yield Proposal("\n".join(lines), capped=guard.stopped)


def _about_sample(rows: int, of: int) -> str:
    return f"Survey of {rows:,} training rows" + (f", drawn of {of:,}." if of > rows else ".")


def formats(train: Examples) -> list[str]:
    r"""Return lines on how inputs are written and on what is the same in all of them.

    Examples
    --------
    >>> print("\n".join(formats(Examples(["KX-20", "KX-7", "KX-31"], ["0", "1", "0"]))))
    Formats (A letters, a small letters, 9 digits, with how many):
      A{2}-9{2}: 2 rows, such as "KX-20"
      A{2}-9{1}: 1 row, such as "KX-7"
    The same in all rows: they begin with "KX-"
    """
    if all(isinstance(item, str) for item in train.inputs):
        return _about_texts([str(item) for item in train.inputs])
    rows = [item for item in train.inputs if isinstance(item, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = []
    constant = []
    for name in names[:MOST_FORMATTED]:
        values = [row.get(name) for row in rows]
        if len(set(map(repr, values))) == 1:
            constant.append(f"column {as_json(name)} is {_cut(repr(values[0]))}")
            continue
        texts = [value for value in values if isinstance(value, str)]
        if texts and len(set(texts)) > len(texts) / 10:
            found = _formats_of(texts)
            lines += [f"Column {as_json(name)}: {found[0]}", *found[1:]] if found else []
    return [*lines, *_constants(constant)]


def _about_texts(texts: Sequence[str]) -> list[str]:
    constant = []
    if len({len(text) for text in texts}) == 1:
        constant.append(f"the length, {len(texts[0])}")
    if first := _beginning(texts):
        constant.append(f"they begin with {_cut(as_json(first))}")
    if last := _beginning([text[::-1] for text in texts])[::-1]:
        constant.append(f"they end with {_cut(as_json(last))}")
    counts = [Counter(text) for text in texts]
    shared = set(counts[0]).intersection(*counts)
    for symbol in sorted(shared - set(first) - set(last)):
        times = {count[symbol] for count in counts}
        if len(times) == 1 and len(set().union(*counts)) > FEW_SYMBOLS:
            constant.append(f"{as_json(symbol)} occurs {times.pop()} times")
    return [*_formats_of(texts), *_constants(constant)]


def _beginning(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    columns = zip(*texts, strict=False)
    return "".join(one[0] for one in takewhile(lambda one: len(set(one)) == 1, columns))


def _constants(found: Sequence[str]) -> list[str]:
    shown = "; ".join(found[:20])
    return [f"The same in all rows: {shown}" if found else "Nothing is the same in all rows."]


def _formats_of(texts: Sequence[str]) -> list[str]:
    """Return the most frequent formats, in coarse form if there are many; none if still too many.

    A text of few symbols has no format.
    """
    if len(set("".join(texts))) <= FEW_SYMBOLS:
        return []
    for with_sizes in (True, False):
        shapes = [_shape(text, with_sizes) for text in texts]
        counts = Counter(shapes)
        if len(counts) > max(MOST_FORMATS, len(texts) / 4):
            continue
        legend = ", with how many" if with_sizes else ""
        lines = [f"Formats (A letters, a small letters, 9 digits{legend}):"]
        for shape, count in counts.most_common(MOST_FORMATS):
            example = _cut(as_json(texts[shapes.index(shape)]))
            noun = "row" if count == 1 else "rows"
            lines.append(f"  {_cut(shape)}: {count:,} {noun}, such as {example}")
        if len(counts) > MOST_FORMATS:
            lines.append(f"  and {len(counts) - MOST_FORMATS:,} more")
        return lines
    return ["Formats: too many to list."]


def _shape(text: str, with_sizes: bool) -> str:
    def run(found: re.Match[str]) -> str:
        piece = found[0]
        kind = "9" if piece[0].isdecimal() else "a" if piece.islower() else "A"
        return f"{kind}{{{len(piece)}}}" if with_sizes else kind

    return _RUNS.sub(run, text)


def informative_conditions(problem: Problem) -> list[str]:
    """Return the most informative conditions about the label, each with its counts by label."""
    problem.scale = SCALE
    bank = Bank(problem)
    guard = problem.guard
    leaves, _ = read_leaves(bank)
    guard.allot(0.6)
    with suppress(Expired):
        fill(bank, leaves)
    guard.allot(1.0)
    pool = pool_of(offers(bank), problem, guard.most(2 * problem.size))
    if not len(pool):
        return []
    by_luck = float(np.log2(len(pool)))
    lines = [
        f"Conditions that tell most of the label, of {len(pool):,} tried (about {by_luck:.0f} bits "
        "can be luck): how many bits, then labels of the rows where it holds | where it does not"
    ]
    shown: list[int] = []
    needs: dict[str, None] = {}
    frequent = Counter(problem.codes.tolist()).most_common(MOST_CLASSES)
    targets = [one for one in problem.targets() if one[0] in dict(frequent)]
    gains = [information(pool.truth, members, problem.weights) for _, members in targets]

    def line(place: int, gain: float) -> str:
        expression, truth = pool.expression(place), pool.truth[place]
        needs.update(dict.fromkeys(_definitions(expression)))
        holds, rest = _counts(problem, truth), _counts(problem, ~truth)
        return f"  {expression.code}   [{gain:.0f} bits]  {holds} | {rest}"

    for (code, _), gain in zip(targets, gains, strict=True):
        if not problem.binary:
            lines.append(f" label {as_json(problem.classes[code])}:")
        telling = np.where(gain < by_luck / 2, 0.0, gain)
        most = max(3, MOST_CONDITIONS // len(targets))
        lines += [line(place, gain[place]) for place in _different(pool, telling, most, shown)]
    best = np.max(gains, axis=0)
    others = list(_of_other_columns(pool, best, problem, shown))
    if others:
        lines.append(" columns that these leave out:")
        lines += [line(place, best[place]) for place in others]
    return [*lines, *(["where:", *needs] if needs else [])]


def _of_other_columns(
    pool: Conditions, gain: Gain, problem: Problem, shown: Sequence[int]
) -> Iterator[int]:
    """Yield the best condition of each column of a table that is in no condition shown."""
    rows = [row for row in problem.frame.rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    used = {name for place in shown for name in _columns_of(pool, place, names)}
    for place in np.argsort(pool.bits - gain, kind="stable")[:MOST_LOOKED_AT].tolist():
        if len(names) - len(used) == 0 or len(used) > MOST_COLUMNS:
            return
        columns = _columns_of(pool, place, names)
        if len(columns) == 1 and not columns & used:
            used |= columns
            yield place


def _columns_of(pool: Conditions, place: int, names: Sequence[str]) -> set[str]:
    """Return the columns that the source of a condition reads."""
    expression = pool.expression(place)
    source = "\n".join([expression.code, *assignments(expression.needs)])
    return {name for name in names if f"[{as_json(name)}]" in source}


def _different(pool: Conditions, gain: Gain, most: int, shown: list[int]) -> Iterator[int]:
    """Yield the best conditions that differ from those shown, and add them to these."""
    found = 0
    for place in np.argsort(pool.bits - gain, kind="stable").tolist():
        if found == most:
            return
        if not gain[place]:
            continue
        if len(pool.expression(place).code) > MOST_CHARACTERS:
            continue
        agreement = [float((pool.truth[place] == pool.truth[other]).mean()) for other in shown]
        if all(1 - ALIKE < share < ALIKE for share in agreement):
            shown.append(place)
            found += 1
            yield place


def _counts(problem: Problem, rows: Truths) -> str:
    counts = Counter(problem.codes[rows].tolist()).most_common()
    listed = [f"{_cut(problem.classes[code], 40)}: {count}" for code, count in counts]
    rest = len(listed) - MOST_COUNTS
    return ", ".join(listed[:MOST_COUNTS]) + (f", and {rest} labels more" if rest > 0 else "")


def _definitions(expression: Expression) -> Iterator[str]:
    """Yield the assignments and helpers that a condition relies on, those it builds on first."""
    texts = list(assignments(expression.needs))
    for text in [*relied_on("\n".join([*texts, expression.code]))[1], *texts]:
        yield "  " + text.replace("\n", "\n  ")


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
