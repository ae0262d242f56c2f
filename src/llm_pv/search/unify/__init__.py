"""Unifiers: ways of making a program of conditions and values.

A unifier is a generator function of a `Pool`: it yields `Candidate` objects as it finds them and
calls ``pool.problem.guard.check()`` at least every 50 ms of work; that raises when time is over,
and what was yielded is kept. It never sees validation rows. To add one, write a file in this
folder and add a line to `UNIFIERS`. Programs longer than the majority's cost are dropped later, so
a unifier need not judge; it should yield at most some 60 candidates, the best it knows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llm_pv.search.pool import Pool
from llm_pv.search.program import Candidate
from llm_pv.search.unify.automaton import automaton
from llm_pv.search.unify.bands import bands
from llm_pv.search.unify.joins import joins
from llm_pv.search.unify.modular import modular
from llm_pv.search.unify.parity import parity
from llm_pv.search.unify.rule_set import decision_list, rule_set
from llm_pv.search.unify.scorecard import scorecard
from llm_pv.search.unify.single import single
from llm_pv.search.unify.tree import tree
from llm_pv.search.unify.votes import votes
from llm_pv.search.unify.word_set import word_set


@dataclass(frozen=True)
class Unifier:
    """A named way to make programs."""

    name: str  # what reports call it
    find: Callable[[Pool], Iterator[Candidate]]  # the generator function
    # whether it is run on all training rows with the conditions that a search on the sample found
    # telling; otherwise it is run on the sample, with everything
    fits_all: bool = False
    # whether what it yields explains nothing by itself (a large tree, a scorecard with mistakes):
    # such programs are offered after rules
    fallback: bool = False
    # whether it takes so long that a short program without mistakes spares it
    slow: bool = False


UNIFIERS: tuple[Unifier, ...] = (
    Unifier("single", single),
    Unifier("parity", parity),
    Unifier("modular", modular),
    Unifier("automaton", automaton),
    Unifier("joins", joins),
    Unifier("votes", votes, fallback=True),
    Unifier("word_set", word_set),
    Unifier("scorecard", scorecard, fits_all=True, fallback=True),
    Unifier("rule_set", rule_set, fits_all=True),
    Unifier("decision_list", decision_list, fits_all=True),
    Unifier("bands", bands, fits_all=True),
    Unifier("tree", tree, fits_all=True, fallback=True, slow=True),  # imports scikit-learn
)
