"""Choose the unlabelled rows whose labels would best separate the programs still possible.

Query by committee (Seung, Opper and Sompolinsky, COLT 1992), with the programs of a run as the
committee. Only training mistakes decide which programs are possible, so that rows that are
labelled and trained on because of it say nothing of the validation rows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_pv.data.examples import Classes, Input
from llm_pv.erm.result import LearnedProgram
from llm_pv.erm.verification import read_predictions
from llm_pv.errors import RunError
from llm_pv.runs.reading import read_attempts, read_replies
from llm_pv.sandbox import Batch, Sandbox

NOT_WORSE = 0.05
"""A program is possible unless its training mistakes are more at this level of significance."""
MOST_PROGRAMS = 100
"""The most programs that are run on the rows, the likeliest."""


@dataclass(frozen=True)
class Hypothesis:
    """A program of a run, and its mistakes on the training rows."""

    source: str
    mistakes: int


@dataclass(frozen=True)
class Query:
    """A row whose label would decide between programs."""

    row: int
    "Its number among the rows, from 0."
    disagreement: float
    "The probability that two programs, drawn as likely as they are, give it different answers."
    answers: Mapping[str, int]
    "How many programs give each answer; programs that give none count under the empty text."


def hypotheses_of_run(run: Path) -> list[Hypothesis]:
    """Return the programs in the journal of a run of one data set, with the rivals of each.

    Raise RunError if there are none, or the run is of several data sets.
    """
    records = read_attempts(run)
    if len({(record.get("function"), record.get("trial")) for record in records}) > 1:
        raise RunError(f"{run} is a run over several data sets: give a run of one")
    rejected = {record["attempt"] for record in records if record.get("kind") == "rejected"}
    rivals = {
        reply["attempt"]: [rival["text"] for rival in reply.get("rivals", ())]
        for reply in read_replies(run)
    }
    found = []
    for record in records:
        number = record.get("attempt")
        if record.get("kind") != "attempt" or not record.get("program") or number in rejected:
            continue
        sources = [record["program"], *rivals.get(number, ())]
        found += [Hypothesis(source, int(record["train_errors"])) for source in sources]
    if not found:
        raise RunError(f"{run} holds no program yet: learn first")
    return found


def hypotheses_of(learned: LearnedProgram) -> list[Hypothesis]:
    """Return the programs of a result, with the rivals of each."""
    return [
        Hypothesis(source, attempt.train.errors)
        for attempt in learned.selection.attempts
        if attempt.program is not None and attempt.train is not None and not attempt.rejected
        for source in (
            attempt.program.source,
            *(rival.text for rival in attempt.proposal.rivals),
        )
    ]


def possible(hypotheses: Iterable[Hypothesis], train_rows: int) -> dict[str, float]:
    """Return the likelihood of each program that is not worse than the best, which has 1.

    A rate of wrong labels is estimated by the best program's mistakes; each mistake more is less
    likely by its odds.

    Parameters
    ----------
    hypotheses
        The programs; of equal ones the first counts.
    train_rows
        The number of training rows.

    Examples
    --------
    >>> one, other, wrong = (Hypothesis(f"f = lambda x: {n}", m) for n, m in enumerate((0, 1, 9)))
    >>> likely = possible([one, other, wrong], 10)
    >>> [round(likelihood, 3) for likelihood in likely.values()]  # odds (1 / 12) / (11 / 12)
    [1.0, 0.091]
    """
    from scipy.stats import hypergeom

    first: dict[str, Hypothesis] = {}
    for each in hypotheses:
        first.setdefault(each.source, each)
    if not first:
        return {}
    best = min(each.mistakes for each in first.values())
    rate = (best + 1) / (train_rows + 2)
    odds = min(1.0, rate / (1 - rate))
    likely = {}
    for each in sorted(first.values(), key=lambda each: each.mistakes):
        # Fisher's exact test, one-sided: as many mistakes or more, if both err equally often.
        both = each.mistakes + best
        chance = hypergeom.sf(each.mistakes - 1, 2 * train_rows, both, train_rows)
        if chance > NOT_WORSE or each.mistakes == best:
            likely[each.source] = odds ** (each.mistakes - best)
    return dict(list(likely.items())[:MOST_PROGRAMS])


def choose_queries(
    likely: Mapping[str, float],
    inputs: Sequence[Input],
    classes: Classes,
    sandbox: Sandbox,
    *,
    n: int,
) -> list[Query]:
    """Return the most informative rows to label; fewer if the programs agree on the rest."""
    if not likely or not inputs:
        return []
    runs = sandbox.predict_many(list(likely), Batch(inputs))
    answers = [tuple(text or "" for text in read_predictions(run, classes)) for run in runs]
    return rank_rows(answers, list(likely.values()), n)


def rank_rows(answers: Sequence[tuple[str, ...]], likely: Sequence[float], n: int) -> list[Query]:
    """Return the rows to label by the answers of programs and how likely each is.

    Programs that answer alike are one hypothesis, as likely as the likeliest of them.
    """
    weights: dict[tuple[str, ...], float] = {}
    for given, weight in zip(answers, likely, strict=True):
        weights[given] = max(weight, weights.get(given, 0.0))
    order = most_informative(list(weights), list(weights.values()), n)
    return [
        Query(row, share, dict(Counter(given[row] for given in answers).most_common()))
        for row, share in order
    ]


def most_informative(
    answers: Sequence[Sequence[str]], weights: Sequence[float], n: int
) -> list[tuple[int, float]]:
    """Return the rows that separate hypotheses, each with its own disagreement.

    Each row is the one that separates the largest weight of pairs which the rows before it leave
    together; when all are separated, it starts over with the rows left.

    Parameters
    ----------
    answers
        The answers of each hypothesis, one a row.

    Examples
    --------
    >>> [row for row, _ in most_informative(["aaab", "abba", "abab"], [1, 1, 1], 4)]
    [1, 2, 3]
    """
    share = np.array(weights) / sum(weights)
    _, codes = np.unique(np.array([list(given) for given in answers]), return_inverse=True)
    votes = codes.reshape(len(answers), -1)
    alone = _pairs_separated(votes, share, np.zeros(len(share)))
    left = [row for row in range(votes.shape[1]) if alone[row] > 1e-12]
    together: np.ndarray[Any, Any] = np.zeros(len(share))
    found: list[tuple[int, float]] = []
    while left and len(found) < n:
        gains = _pairs_separated(votes[:, left], share, together)
        if gains.max() <= 1e-12:
            together = np.zeros(len(share))
            gains = alone[left]
        row = left.pop(int(np.argmax(np.round(gains, 12))))
        found.append((row, float(alone[row])))
        pairs = np.stack([together, votes[:, row]], axis=1)
        together = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    return found


def _pairs_separated(
    votes: "np.ndarray[Any, Any]", share: "np.ndarray[Any, Any]", together: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Return for each row the probability that two hypotheses, so far together, separate."""
    gains = np.zeros(votes.shape[1])
    for group in np.unique(together):
        members = together == group
        gains += share[members].sum() ** 2
        for code in np.unique(votes[members]):
            gains -= (share[members] @ (votes[members] == code)) ** 2
    return gains
