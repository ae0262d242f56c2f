"""The built-in search as a proposer: budgets, progress, and programs as proposals."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Proposal, Proposer, Rival
from llm_pv.proposers.registry import USUAL, BuiltIn
from llm_pv.search.emit import source_of
from llm_pv.search.engine import Account, ranked, search
from llm_pv.search.problem import Guard, Problem
from llm_pv.search.program import Candidate, Node
from llm_pv.search.rivals import Difference, rivals_of

Progress = Callable[[str, int], None]
LEFT_SECONDS = 0.5
"""What is left of the budget, where it is short, to write programs when the search is over."""
HAND_OVER_SECONDS = 2.0
"""The interval of interim results, in case the search is stopped from outside."""
MOST_HANDED_OVER = 40


class LengthFirst(Proposer):
    """The built-in proposer: finds readable programs without a model.

    Results depend on the rows, the classes and the seed alone, unless the time cap cuts the search
    short, which `hit_time_cap` reports.

    Parameters
    ----------
    built_in
        What it may try and keep, and the share of training labels that may be wrong, 0 for what is
        to be found out.
    progress
        Called with the name of a stage and the number of candidates tried so far.

    Attributes
    ----------
    hit_time_cap
        Whether the last search was cut short, so that another run may propose otherwise.

    Examples
    --------
    >>> from llm_pv.data.examples import Classes, Examples
    >>> words = [f"{number:05b}" for number in range(32)]
    >>> rows = Examples(words, [str(word.count("1") % 2) for word in words])
    >>> first = next(LengthFirst().propose(rows, Classes.of(["0", "1"]), seed=0))
    >>> print(first.text.splitlines()[-1])
        return int(x.count("1") % 2 == 1)
    """

    name = "length-first"
    default_attempts = 200

    def __init__(
        self,
        budget_seconds: float = 30.0,
        *,
        built_in: BuiltIn = USUAL,
        progress: Progress | None = None,
    ) -> None:
        self.budget_seconds = budget_seconds
        self.built_in = built_in
        self.progress = progress
        self.interim: Callable[[Sequence[Proposal]], None] | None = None
        self.account = Account()
        self.hit_time_cap = False

    def __getstate__(self) -> dict[str, Any]:
        # What the last search did is no part of the proposer: scikit-learn compares an estimator's
        # parameters before and after `fit` by what is pickled.
        return {**vars(self), "account": None, "hit_time_cap": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, account=Account())

    @property
    def identity(self) -> str:
        """The budgets, which decide what is tried."""
        noise = f", noise {self.built_in.noise:g}" if self.built_in.noise else ""
        budget = self.built_in.identity
        return f"length-first within {self.budget_seconds:g} s and {budget}{noise}"

    def propose(
        self, train: Examples, classes: Classes, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Search, then yield programs, best first, fallbacks and the majority class last."""
        started = time.monotonic()
        budget = self.budget_seconds
        guard = Guard(
            started + min(0.95 * budget, max(0.5 * budget, budget - LEFT_SECONDS)),
            self.built_in.memory,
        )
        noise = float(self.built_in.noise)
        problem = Problem.of(train, classes.texts, seed=seed, noise=noise, guard=guard)
        problem.scale = self.built_in.scale
        handed_over = -math.inf  # the first programs are handed over at once

        @cache
        def source(program: Node) -> str:
            return source_of(program, problem.classes)

        def on_stage(stage: str, account: Account, found: Sequence[Candidate]) -> None:
            nonlocal handed_over
            if self.progress is not None:
                first = min(found, key=lambda one: one.cost, default=None)
                so_far = f" (best: {first.mistakes:g} training mistakes)" if first else ""
                self.progress(stage + so_far, account.tried)
            is_due = time.monotonic() - handed_over > HAND_OVER_SECONDS
            if self.interim is not None and found and is_due:
                best = ranked(list(found), problem)
                self.interim(list(_proposals(best[:MOST_HANDED_OVER], source)))
                handed_over = time.monotonic()

        collects = gc.isenabled()
        gc.disable()  # a search makes many objects and no cycles: to look for them takes a tenth
        try:
            found, self.account = search(problem, on_stage)
        finally:
            if collects:
                gc.enable()
        self.hit_time_cap = guard.stopped
        rivals = rivals_of(found[:-1], problem)
        seconds = time.monotonic() - started
        for place, proposal in enumerate(_proposals(found, source)):
            if place >= start:
                yield replace(
                    proposal,
                    note=proposal.note if place else f"{proposal.note}; {self.account.text()}",
                    seconds=seconds,
                    capped=self.hit_time_cap,
                    rivals=tuple(
                        _rival(one, source(one.rival.program)) for one in rivals.get(place, ())
                    ),
                )
                seconds = 0.0


def _proposals(found: Sequence[Candidate], source: Callable[[Node], str]) -> Iterator[Proposal]:
    for one in found:
        about = "about " if one.estimated else ""
        note = f"{one.bits:.1f} bits, {about}{one.mistakes:g} training mistakes"
        yield Proposal(
            source(one.program).replace("def f(x):\n", _opening(one), 1),
            note=note if one.is_rule else f"fallback: {note}",
            fallback=not one.is_rule,
        )


def _rival(one: Difference, source: str) -> Rival:
    return Rival(
        text=source,
        bits=round(one.rival.bits, 1),
        disagreement=one.share,
        example=one.example,
        answer=one.answer,
        rival_answer=one.rival_answer,
    )


def _opening(one: Candidate) -> str:
    """Return the first line of a program and its docstring."""
    rows = "row" if one.mistakes == 1 else "rows"
    about = "about " if one.estimated else ""
    wrong = f"; {about}{one.mistakes:g} training {rows} answered wrongly"
    wrong = wrong if one.mistakes or one.estimated else ""
    rule = "An approximate rule of " if one.mistakes else "A rule of "
    what = rule if one.is_rule else "A fallback, not a rule: "
    return f'def f(x):\n    """{what}{one.bits:.1f} bits{wrong}."""\n'
