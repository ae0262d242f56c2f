"""Budgets and noise: what the user may set, and what is refused in one line."""

import random
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.api import Search
from llm_pv.cli.model_options import AskingOptions, ModelChoice, open_proposer
from llm_pv.cli.options import SandboxOptions
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.errors import ConfigurationError
from llm_pv.proposers import length_first
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.own_process import OwnProcess
from llm_pv.proposers.registry import BuiltIn, make_proposer
from llm_pv.search import problem as problem_module
from llm_pv.search.bank import Bank
from llm_pv.search.engine import search
from llm_pv.search.problem import Expired, Guard, Problem
from llm_pv.search.program import Candidate
from llm_pv.search.reading import read_leaves

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
    rows: list[Input] = [{name: chance.randrange(90) for name in "abc"} for _ in range(50)]
    labels = [chance.choice("01") for _ in rows]
    tried = []
    for candidates in (20_000, 20_000, 400_000):
        counts: list[int] = []

        def progress(_stage: str, number: int, counts: list[int] = counts) -> None:
            counts.append(number)

        search = LengthFirst(3600.0, built_in=BuiltIn(candidates=candidates), progress=progress)
        list(search.propose(Examples(rows, labels), Classes.of(labels), 0))
        tried.append(counts[-1])
    assert tried[0] == tried[1] < tried[2]


@pytest.mark.parametrize("wrong", [0, 6])
def test_trees_are_grown_where_no_short_program_is_without_mistakes(wrong: int) -> None:
    rows: list[Input] = [{"n": n, "m": n * 7 % 40} for n in range(40)]
    labels = [str(int(n >= 17) ^ (n % 7 == 5 and wrong > 0)) for n in range(40)]
    problem = Problem.of(Examples(rows, labels), ("0", "1"), probes=0)
    problem.scale = 0.01
    found, account = search(problem, lambda _stage, _account, _found: None)
    assert ("tree" in account.stages) == (wrong > 0)
    assert any(one.stage == "tree" for one in found) == (wrong > 0)


def test_programs_of_a_sample_are_handed_over_before_all_rows_are_computed() -> None:
    chance = random.Random(0)
    rows: list[Input] = ["".join(chance.choices("01", k=12)) for _ in range(900)]
    labels = [str(int(str(row).count("1") % 2)) for row in rows]
    for place in (3, 400, 700):  # wrong labels
        labels[place] = str(1 - int(labels[place]))
    problem = Problem.of(Examples(rows, labels), ("0", "1"), probes=0)
    problem.scale = 0.02
    handed: list[list[Candidate]] = []
    search(problem, lambda _stage, _account, found: handed.append(list(found)))
    on_sample = [[one for one in found if len(one.answers) == 300] for found in handed]
    first = next(found for found in on_sample if found)
    best = min(first, key=lambda one: one.cost)
    assert best.mistakes in {0, 3, 6, 9}, "three times those on a third of the rows"
    assert best.cost == pytest.approx(best.bits + float(problem.price(best.mistakes)))
    assert on_sample[-1] == [], "in the end all are computed on all rows"


def test_rows_in_parts_have_the_values_of_all_rows_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Input] = [{"n": n, "kind": "ab"[n % 2]} for n in range(50)]
    problem = Problem.of(Examples(rows, ["0", "1"] * 25), ["0", "1"], probes=0)
    leaves, _ = read_leaves(Bank(problem))
    monkeypatch.setattr(problem_module, "PART", 2_000)  # characters, of 100 a row at least
    assert [len(part.rows) for part in problem.parts] == [20, 20, 10]
    values = {one.code: list(problem.values(one)) for one in leaves}
    assert values['x["n"]'] == list(range(50))
    assert ["a", "b"] * 25 in values.values()


def test_work_that_cannot_be_interrupted_is_begun_only_if_it_fits() -> None:
    guard = Guard(time.monotonic() + 60, stage="trees")
    guard.check(ahead=0.001)
    with pytest.raises(Expired):
        guard.check(ahead=61.0)
    assert guard.cut == {"trees": None}


def test_time_that_is_kept_for_later_stages_is_not_shared_out() -> None:
    guard = Guard(time.monotonic() + 100)
    guard.kept = 60.0
    guard.allot(0.5)
    assert guard.limit - time.monotonic() == pytest.approx(20.0, abs=1.0)
    guard.kept = 0.0
    guard.allot(0.5)
    assert guard.limit - time.monotonic() == pytest.approx(50.0, abs=1.0)


def test_of_too_little_time_to_run_programs_on_all_rows_the_estimates_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Input] = [{"n": n % 40, "m": n * 7 % 50} for n in range(600)]
    problem = Problem.of(Examples(rows, [str(int(n % 40 >= 17)) for n in range(600)]), ["0", "1"])
    problem.scale = 0.01

    def expired(*_: object) -> None:
        raise Expired

    monkeypatch.setattr(Problem, "in_parts", expired)
    found, _ = search(problem, lambda *_: None)
    assert found[0].mistakes == 0, "on a sample of them"
    assert {len(one.answers) for one in found} == {len(problem.frame.rows)}
    assert [one.estimated for one in found] == [True] * (len(found) - 1) + [False], "the majority"
    proposals = LengthFirst(built_in=BuiltIn(candidates=500_000)).propose(
        Examples(rows, [str(int(n % 40 >= 17)) for n in range(600)]), Classes.of(["0", "1"]), seed=0
    )
    first = next(proposals)
    assert "; about 0 training rows answered wrongly." in first.text
    assert ", about 0 training mistakes" in first.note


def test_the_first_programs_are_handed_over_at_once() -> None:
    rows: list[Input] = [{"n": n, "m": n * 7 % 40} for n in range(40)]
    labels = [str(int(n >= 17)) for n in range(40)]
    proposer = LengthFirst(built_in=BuiltIn(candidates=400_000))
    handed: list[list[Proposal]] = []
    proposer.interim = lambda proposals: handed.append(list(proposals))
    next(proposer.propose(Examples(rows, labels), Classes.of(["0", "1"]), seed=0))
    assert not handed[0][0].fallback, "a rule, though it was found within two seconds"


def test_what_a_search_finds_becomes_proposals_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is a stand-in: what is asked of it, handed over and proposed, value by value."""
    clock = [100.0]
    made: dict[str, Any] = {}
    guard = SimpleNamespace(stopped=True)
    problem = SimpleNamespace(classes=("0", "1"), scale=1.0)

    def problem_of(train: Any, classes: Any, **more: Any) -> Any:
        made.update(train=train, classes=classes, **more)
        return problem

    def guarded(*limits: float) -> Any:
        made["limits"] = limits
        return guard

    def candidate(
        name: str, bits: float, mistakes: float, cost: float, is_rule: bool = True
    ) -> Any:
        found = {"program": name, "bits": bits, "mistakes": mistakes, "cost": cost}
        return SimpleNamespace(**found, is_rule=is_rule, estimated=False)

    best = candidate("best", 10.04, 0.0, 1.0)
    near = candidate("near", 20.0, 1.0, 2.0)
    weighed = candidate("weighed", 21.25, 2.5, 3.0)
    constant = candidate("constant", 5.0, 12.0, 9.0, is_rule=False)
    account: Any = SimpleNamespace(tried=7, text=lambda: "7 tried")

    def searched(given: Any, on_stage: Any) -> Any:
        assert given is problem
        on_stage("nothing yet", SimpleNamespace(tried=1), [])
        for seconds, tried, found in ((0.0, 2, [near, best]), (2.0, 3, [best]), (2.5, 4, [near])):
            clock[0] = 101.0 + seconds
            on_stage("stage", SimpleNamespace(tried=tried), found)
        clock[0] = 104.0
        return [best, near, weighed, constant], account

    def rivals_of(found: Any, given: Any) -> Any:
        assert (found, given) == ([best, near, weighed], problem)
        return {1: [SimpleNamespace(rival=weighed, share=0.25, example="01", answer="0",
                                    rival_answer="1")]}  # fmt: skip

    def written(program: str, classes: Any) -> str:
        assert classes == ("0", "1")
        return f"helper\ndef f(x):\n{program}"

    def proposed(program: str, docstring: str, note: str, **more: Any) -> Proposal:
        return Proposal(f'helper\ndef f(x):\n    """{docstring}"""\n{program}', note=note, **more)

    monkeypatch.setattr(length_first, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(length_first, "Guard", guarded)
    monkeypatch.setattr(length_first, "Problem", SimpleNamespace(of=problem_of))
    monkeypatch.setattr(length_first, "search", searched)
    monkeypatch.setattr(length_first, "ranked", lambda found, given: found * 30)
    monkeypatch.setattr(length_first, "rivals_of", rivals_of)
    monkeypatch.setattr(length_first, "source_of", written)
    reports: list[tuple[str, int]] = []
    handed: list[list[Proposal]] = []
    chosen = BuiltIn(candidates=100_000_000, megabytes=60, noise=0.25)
    proposer = LengthFirst(40.0, built_in=chosen, progress=lambda *each: reports.append(each))
    proposer.interim = lambda found: handed.append(list(found))
    rows, classes = Examples(["0"], ["0"]), Classes.of(["0", "1"])
    first, second, third, last = proposer.propose(rows, classes, seed=5)
    assert made == {
        "train": rows, "classes": classes.texts, "seed": 5, "noise": 0.25, "guard": guard,
        "limits": (138.0, 60),
    }  # fmt: skip
    assert problem.scale == 2.0
    assert (proposer.hit_time_cap, proposer.account) == (True, account)
    assert reports == [
        ("nothing yet", 1), ("stage (best: 0 training mistakes)", 2),
        ("stage (best: 0 training mistakes)", 3), ("stage (best: 1 training mistakes)", 4),
    ]  # fmt: skip
    # What was found is handed over at once, then after more than two seconds.
    assert [len(found) for found in handed] == [40, 30]
    assert handed[0][:2] == [
        proposed("near", "An approximate rule of 20.0 bits; 1 training row answered wrongly.",
                 note="20.0 bits, 1 training mistakes"),
        proposed("best", "A rule of 10.0 bits.", note="10.0 bits, 0 training mistakes"),
    ]  # fmt: skip
    assert first == replace(
        handed[0][1], note="10.0 bits, 0 training mistakes; 7 tried", seconds=4.0, capped=True
    )
    rival = Rival("helper\ndef f(x):\nweighed", 21.2, 0.25, "01", "0", "1")
    assert second == replace(handed[0][0], capped=True, rivals=(rival,))
    assert third == proposed(
        "weighed", "An approximate rule of 21.2 bits; 2.5 training rows answered wrongly.",
        note="21.2 bits, 2.5 training mistakes", capped=True,
    )  # fmt: skip
    assert last == proposed(
        "constant", "A fallback, not a rule: 5.0 bits; 12 training rows answered wrongly.",
        note="fallback: 5.0 bits, 12 training mistakes", capped=True, fallback=True,
    )  # fmt: skip
    clock[0] = 100.0
    plain = LengthFirst(40.0)
    resumed = list(plain.propose(rows, classes, seed=5, start=1))
    assert resumed == [replace(second, seconds=4.0), third, last]
    assert made["limits"] == (138.0, 1_000)
    assert problem.scale == 1.0


def test_the_hashes_of_a_process_change_nothing() -> None:
    script = """
from llm_pv.data.examples import Examples
from llm_pv.search.mining import substrings
from llm_pv.search.pool import Pool, conditions_of
from llm_pv.search.problem import Problem
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Type
from llm_pv.search.unify.word_set import word_set

words = "red green blue black white brown amber coral olive ivory".split()
rows = [" ".join(words[k] for k in range(10) if k % 3 == n % 3 or k == n % 10) for n in range(30)]
problem = Problem.of(Examples(rows, [str(int("red" in row)) for row in rows]), ["0", "1"])
split = Expression("x.split()", Type.TEXTS, 1.0, Ragged.of([r.split() for r in problem.frame.rows]))
pool = Pool(problem, conditions_of([], problem), words=[split])
print(substrings(rows, most=60), [one.program.condition.code for one in word_set(pool)])
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(printed) == 1, printed
    assert "x.split()" in printed.pop()
