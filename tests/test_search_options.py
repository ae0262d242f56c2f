"""Budgets and noise: what the user may set, and what is refused in one line."""

import random
from dataclasses import replace

import pytest

from llm_pv.api import Search
from llm_pv.cli.model_options import AskingOptions, ModelChoice, open_proposer
from llm_pv.cli.options import SandboxOptions
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.own_process import OwnProcess
from llm_pv.proposers.registry import BuiltIn, make_proposer
from llm_pv.search.engine import search
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate

SERVED = "openai-compatible:m@http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 10}, "candidates is 10; give 1,000 or more"),
        ({"candidates": 1e6}, "candidates is 1000000.0"),
        ({"megabytes": 0}, "megabytes is 0; give 50 or more"),
        ({"noise": 0.5}, "noise is 0.5; give a share from 0 to below 0.5"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"noise": float("nan")}, "noise is nan"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BuiltIn(**options)  # type: ignore[arg-type]


def test_options_of_the_search_are_refused_for_saved_replies() -> None:
    with pytest.raises(ConfigurationError, match="--noise are for the built-in search, not for"):
        make_proposer("replay:replies.jsonl", built_in=BuiltIn(noise=0.01))


def test_a_model_named_in_python_is_prompted_as_by_the_command() -> None:
    choice, sandbox = ModelChoice(model=SERVED), SandboxOptions()
    command = open_proposer(
        choice,
        AskingOptions(),
        sandbox,
        attempts=None,
        budget_seconds=None,
        thorough=True,
        noise=0.05,
    )
    named, plan = Search(SERVED, built_in=BuiltIn(noise=0.05)).resolve()
    with command, named:
        assert named.identity == command.identity
    assert plan.attempts == 50  # five attempts and their refinements, five programs each


@pytest.mark.parametrize(
    ("asking", "option"),
    [
        (AskingOptions(programs_per_reply=0), "programs_per_reply"),
        (AskingOptions(prompt_rows=0), "prompt_rows"),
    ],
)
def test_zero_is_refused_and_not_taken_for_the_default(asking: AskingOptions, option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} is 0; give 1 or more"):
        open_proposer(
            ModelChoice(model=SERVED), asking, SandboxOptions(), attempts=1, budget_seconds=None
        )


def test_noise_reaches_every_member_of_a_pool_and_the_searchs_limits_the_search_alone() -> None:
    built_in = BuiltIn(candidates=123_456, noise=0.05)
    pool, _ = Search(["length-first", SERVED], built_in=built_in).resolve()
    search = make_proposer("length-first", built_in=built_in)
    llm = make_proposer(SERVED, built_in=BuiltIn(noise=0.05))
    with pool, search, llm:
        assert search.identity in pool.identity
        assert llm.identity in pool.identity
    with pytest.raises(ConfigurationError, match="--budget-mb are for the built-in search, not"):
        Search(SERVED, built_in=built_in).resolve()
    with pytest.raises(ConfigurationError, match="length-first among them"):
        Search([SERVED, "replay:replies.jsonl"], built_in=built_in).resolve()


def test_options_reach_the_search_and_decide_what_a_resumed_run_needs() -> None:
    asked = BuiltIn(candidates=123_456, megabytes=77, noise=0.03)
    search = Search(built_in=asked)
    proposer, _ = search.resolve()
    assert isinstance(proposer, OwnProcess)
    assert (proposer.seconds, proposer.megabytes) == (30.0, 77)
    proposer = proposer.proposer
    assert isinstance(proposer, LengthFirst)
    assert proposer.built_in == asked
    assert proposer.identity != LengthFirst(built_in=replace(asked, noise=0.0)).identity


def test_the_candidates_tried_grow_with_the_budget_and_not_with_the_clock() -> None:
    chance = random.Random(0)
    rows: list[Input] = ["".join(chance.choices("01", k=12)) for _ in range(50)]
    labels = [str(str(row).count("11") % 2) for row in rows]
    tried = []
    for candidates in (20_000, 20_000, 400_000):
        counts: list[int] = []

        def progress(_stage: str, number: int, counts: list[int] = counts) -> None:
            counts.append(number)

        search = LengthFirst(3600.0, built_in=BuiltIn(candidates=candidates), progress=progress)
        list(search.propose(Examples(rows, labels), Classes.of(labels), 0))
        tried.append(counts[-1])
    assert tried[0] == tried[1] < tried[2]


def test_programs_of_a_sample_are_handed_over_before_all_rows_are_computed() -> None:
    chance = random.Random(0)
    rows: list[Input] = ["".join(chance.choices("01", k=12)) for _ in range(900)]
    labels = [str(int(str(row).count("1") % 2)) for row in rows]
    for place in (3, 400, 700):  # wrong labels
        labels[place] = str(1 - int(labels[place]))
    problem = Problem.of(Examples(rows, labels), ("0", "1"), probes=0)
    handed: list[list[Candidate]] = []
    search(problem, lambda _stage, _account, found: handed.append(list(found)))
    on_sample = [[one for one in found if len(one.answers) == 300] for found in handed]
    first = next(found for found in on_sample if found)
    best = min(first, key=lambda one: one.cost)
    assert best.mistakes in {0, 3, 6, 9}, "three times those on a third of the rows"
    assert best.cost == pytest.approx(best.bits + float(problem.price(best.mistakes)))
    assert on_sample[-1] == [], "in the end all are computed on all rows"


def test_the_first_programs_are_handed_over_at_once() -> None:
    rows: list[Input] = [f"{number:07b}" for number in range(128)]
    labels = [str(row)[2] for row in rows]
    proposer = LengthFirst()
    handed: list[list[Proposal]] = []
    proposer.interim = lambda proposals: handed.append(list(proposals))
    next(proposer.propose(Examples(rows, labels), Classes.of(["0", "1"]), seed=0))
    assert not handed[0][0].fallback, "a rule, though it was found within two seconds"
