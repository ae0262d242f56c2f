"""Several proposers in one run: who proposes when, who pays, and what a resumed run reads."""

import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_pv.api import Search, learn
from llm_pv.data.examples import Classes, Examples
from llm_pv.erm.loop import select_program
from llm_pv.erm.result import LearnedProgram
from llm_pv.erm.selection import Plan, Selection
from llm_pv.errors import BudgetError, CredentialError, ModelError
from llm_pv.models.base import Message, Turn, Usage
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.llm.turns import turn_record
from llm_pv.proposers.proposer_pool import ProposerPool
from llm_pv.proposers.registry import BuiltIn
from llm_pv.proposers.replay import Replay
from llm_pv.proposers.round_robin import Admission, RoundRobin
from llm_pv.proposers.spending import Amount, Budget, BudgetTracker, Spending
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.sandbox import Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted, parity_splits
from scripted_model import Script, ScriptedModel, says

SPLITS = parity_splits()
ALWAYS_ZERO = "f = lambda x: 0\n"


def asking(name: str, script: Script, attempts: int = 2, **more: Any) -> LLM:
    model = ScriptedModel(script, name=f"scripted:{name}")
    return LLM(model, attempts=attempts, settings=LLMSettings(), **more)


def fails(error: Exception) -> Script:
    def script(conversation: Sequence[Message], seed: int) -> Turn:
        raise error

    return script


def asked(llm: LLM) -> int:
    assert isinstance(llm.model, ScriptedModel)
    return len(llm.model.asked)


def run(
    sandbox: Sandbox,
    proposer: Proposer,
    log: CellLog | None = None,
    early_stop: bool = True,
    rounds: RoundRobin | None = None,
) -> Selection:
    plan = Plan(proposer.plan_attempts(None), early_stop=early_stop)
    log = log or CellLog(Cell("rows"))
    proposer.open(log.turns)
    rounds = rounds or RoundRobin({"cell": 0}, slots=2)
    return select_program(
        SPLITS, proposer, sandbox, plan, seed=0, log=log, admission=rounds.cell("cell")
    )


def test_a_rule_of_the_free_member_costs_nothing(sandbox: Sandbox) -> None:
    search, llm = Scripted([FIRST_BIT, PARITY, ALWAYS_ONE], free=True), asking("a", says(PARITY))
    found = run(sandbox, ProposerPool({"a": llm, "search": search}))
    assert [one.proposal.proposer for one in found.attempts] == ["search", "search"]
    assert asked(llm) == 0
    assert found.selected == found.attempts[1]
    assert found.cost_usd == 0


def test_without_early_stop_everyone_proposes_and_k_is_the_sum(sandbox: Sandbox) -> None:
    search = Scripted([FIRST_BIT, PARITY], free=True)
    llms = {"a": asking("a", says(ALWAYS_ONE)), "b": asking("b", says(ALWAYS_ZERO), attempts=3)}
    pool = ProposerPool({**llms, "search": search})
    found = run(sandbox, pool, early_stop=False)
    who = [one.proposal.proposer for one in found.attempts]
    assert who[:2] == ["search", "search"]
    assert sorted(who[2:]) == ["a", "a", "b", "b", "b"]
    assert found.certificate is not None
    assert found.certificate.planned == 5 + 2 + 3
    assert found.cost_usd == pytest.approx(5 * 0.5)
    assert found.usage.input_tokens == 5 * 100


class Noting(RoundRobin):
    """Notes the members in the order in which their attempts are admitted."""

    def __init__(self) -> None:
        super().__init__({"cell": 0}, slots=2)
        self.order: list[Hashable] = []

    def cell(self, key: Hashable) -> Admission:
        return NotingAdmission(self, key)


class NotingAdmission(Admission):
    def __init__(self, rounds: Noting, key: Hashable) -> None:
        super().__init__(rounds, key)
        self.rounds, self.key = rounds, key

    def acquire(self, number: int) -> None:
        with self.rounds.changed:  # nothing is admitted between the admission and the note
            super().acquire(number)
            self.rounds.order.append(self.key)


def test_attempts_go_round_among_models(sandbox: Sandbox) -> None:
    rounds = Noting()
    pool = ProposerPool({name: asking(name, says(ALWAYS_ONE), attempts=3) for name in "ab"})
    run(sandbox, pool, early_stop=False, rounds=rounds)
    members = set(rounds.order)
    assert len(members) == 2
    for number in (1, 2, 3):  # attempt i + 1 of one starts only when the other has its i-th
        assert set(rounds.order[: 2 * number]) == members
        assert all(abs(rounds.order[: 2 * number].count(one) - number) <= 1 for one in members)


def test_a_fast_model_is_read_while_a_slow_one_thinks(sandbox: Sandbox) -> None:
    read = threading.Event()

    def slow(conversation: Sequence[Message], seed: int) -> Turn:
        assert read.wait(20), "the other model's reply was not read"
        return Turn(ALWAYS_ONE)

    pool = ProposerPool(
        {"slow": asking("slow", slow, 1), "fast": asking("fast", says(FIRST_BIT), 1)}
    )
    plan = Plan(pool.plan_attempts(None))
    found = select_program(
        SPLITS, pool, sandbox, plan, seed=0, log=CellLog(Cell("rows")),
        on_attempt=lambda attempt: read.set(),
    )  # fmt: skip
    assert [one.proposal.proposer for one in found.attempts] == ["fast", "slow"]


@pytest.mark.parametrize(
    "error", [CredentialError("bad:model: 401"), ModelError("bad:model: HTTP 400")]
)
def test_a_model_that_fails_is_left_out_and_said(sandbox: Sandbox, error: ModelError) -> None:
    pool = ProposerPool(
        {"bad": asking("bad", fails(error)), "good": asking("good", says(FIRST_BIT))}
    )
    found = run(sandbox, pool, early_stop=False)
    assert {one.proposal.proposer for one in found.attempts} == {"good"}
    assert len(found.attempts) == 2
    assert [text for text in found.warnings if str(error) in text]


def test_if_no_model_is_answered_the_run_stops_and_goes_on_later(sandbox: Sandbox) -> None:
    search = Scripted([FIRST_BIT, ALWAYS_ONE], free=True)
    log = CellLog(Cell("rows"))
    broken = ProposerPool({"search": search, "a": asking("a", fails(CredentialError("no key")))})
    with pytest.raises(CredentialError, match="no key"):
        run(sandbox, broken, log)
    mended = ProposerPool({"search": search, "a": asking("a", says(PARITY), 1)})
    found = run(sandbox, mended, log)
    assert [one.proposal.proposer for one in found.attempts] == ["search", "search", "a"]
    assert search.calls == [(SPLITS.train, SPLITS.classes, 0, 0)], "it had proposed everything"


def test_a_shared_budget_bounds_the_sum(sandbox: Sandbox) -> None:
    tracker = BudgetTracker(Budget(usd=5.0))  # a call costs at most 2 dollars and does cost 0.5
    llms = {name: asking(name, says(ALWAYS_ONE), attempts=9, budget=tracker) for name in ("a", "b")}
    found = run(sandbox, ProposerPool(llms), early_stop=False)
    assert found.cost_usd is not None
    assert found.cost_usd <= 5.0
    assert tracker.spent_usd == found.cost_usd
    assert {one.proposal.proposer for one in found.attempts} == {"a", "b"}
    assert all("is spent" in reason for reason in found.unanswered)


def test_a_budget_too_small_for_any_call_is_an_error(sandbox: Sandbox) -> None:
    tracker = BudgetTracker(Budget(usd=0.001))
    llms = {name: asking(name, says(PARITY), budget=tracker) for name in ("a", "b")}
    with pytest.raises(BudgetError):
        run(sandbox, ProposerPool(llms))


def test_a_resumed_run_reads_what_is_recorded_and_pays_for_the_rest(sandbox: Sandbox) -> None:
    """Cut off after every number of records; the turns of one model are not read as another's."""
    whole = CellLog(Cell("rows"))

    def pool() -> tuple[ProposerPool, dict[str, LLM]]:
        llms = {"a": asking("a", says(ALWAYS_ONE)), "b": asking("b", says(FIRST_BIT))}
        return ProposerPool({"search": Scripted([ALWAYS_ZERO], free=True), **llms}), llms

    first = run(sandbox, pool()[0], whole, early_stop=False)
    programs = {(one.proposal.proposer, one.proposal.origin): one.program for one in first.attempts}
    assert len(programs) == 5
    answered = [record for record in whole.turns if record["kind"] == "turn"]
    for cut in range(len(whole.turns) + 1):
        kept = CellLog(Cell("rows"), whole.replies[:1], whole.attempts[:1], whole.turns[:cut])
        resumed, llms = pool()
        again = run(sandbox, resumed, kept, early_stop=False)
        known = sum(record["kind"] == "turn" for record in whole.turns[:cut])
        assert sum(map(asked, llms.values())) == len(answered) - known
        found = {
            (one.proposal.proposer, one.proposal.origin): one.program for one in again.attempts
        }
        assert found == programs


def test_names_and_models_join_in_python(sandbox: Sandbox) -> None:
    llm = asking("a", says(PARITY), 3)
    search = Search(["length-first", llm], early_stop=False, built_in=BuiltIn(candidates=1_000))
    learned = learn(SPLITS, search=search, sandbox=sandbox)
    assert isinstance(learned, LearnedProgram)
    assert learned.certificate is not None
    assert learned.certificate.planned == 200 + 3
    assert learned.proposer == "pool:length-first + scripted:a"
    assert {row["proposer"] for row in learned.record()["candidates"]} == {
        "length-first", "scripted:a",
    }  # fmt: skip


def test_a_paid_proposer_of_ones_own_is_not_read_beyond_an_early_stop(sandbox: Sandbox) -> None:
    own = Scripted([PARITY, FIRST_BIT, ALWAYS_ONE])
    found = run(sandbox, ProposerPool({"own": own}))
    assert len(found.attempts) == own.paid == 1


def test_rows_of_more_weight_are_repeated_for_the_free_member_alone(sandbox: Sandbox) -> None:
    weighted = replace(SPLITS, train=SPLITS.train.weighted([2.0] + [1.0] * 19))
    free, paid = Scripted([ALWAYS_ONE], free=True), Scripted([ALWAYS_ZERO])
    pool = ProposerPool({"free": free, "paid": paid})
    plan = Plan(pool.plan_attempts(None))
    select_program(weighted, pool, sandbox, plan, seed=0, log=CellLog(Cell("rows")))
    assert len(free.calls[0][0]) == 21
    assert len(paid.calls[0][0]) == 20


class Failing(Scripted):
    """Fails after its replies."""

    error: Exception

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        yield from super().propose(train, classes, seed=seed, start=start)
        raise self.error


def failing(error: Exception, *replies: str) -> Failing:
    member = Failing(replies)
    member.error = error
    return member


def proposed(pool: ProposerPool, **context: Any) -> list[tuple[str, str]]:
    found = pool.propose_in(SPLITS.train, SPLITS.classes, seed=0, context=Context(**context))
    return [(one.proposer, one.text) for one in found]


def test_free_members_propose_what_they_plan_and_go_on_where_they_were() -> None:
    def pool() -> ProposerPool:
        return ProposerPool({"free": Scripted([f"f = {n}" for n in range(7)], free=True),
                             "paid": Scripted([PARITY])})  # fmt: skip

    first = [("free", f"f = {n}") for n in range(5)]
    known = tuple(("free", str(n)) for n in range(1, 8))
    assert proposed(pool()) == [*first, ("paid", PARITY)]
    assert proposed(pool(), known=known[:2]) == [*first[2:], ("paid", PARITY)]
    for done in (5, 7):
        resumed = pool()
        assert proposed(resumed, known=known[:done]) == [("paid", PARITY)]
        assert resumed._members["free"].calls == []  # type: ignore[attr-defined]
    # Once a model was asked, the free ones are done.
    assert proposed(pool(), known=(*known[:2], ("paid", "1"))) == []
    assert proposed(pool(), turns=[{"proposer": "paid"}]) == [("paid", PARITY)]
    stopped = threading.Event()
    stopped.set()
    assert proposed(pool(), stopping=stopped) == []
    assert proposed(pool(), stopping=stopped, turns=[{}]) == [("paid", PARITY)]


def test_an_error_is_raised_only_if_no_model_answered() -> None:
    one, two = ModelError("HTTP 500"), BudgetError("spent")
    ends = CredentialError("the key is wrong")
    warnings: list[str] = []

    def raised(first: Exception, second: Exception, **context: Any) -> Exception | None:
        pool = ProposerPool({"a": failing(first), "b": failing(second)})
        try:
            proposed(pool, warn=warnings.append, **context)
        except (ModelError, BudgetError) as error:
            return error
        return None

    assert raised(one, one) is one
    assert raised(one, ends) is ends
    assert raised(ends, two) is ends
    assert warnings == []
    assert raised(one, one, known=(("c", "1"),)) is one
    assert raised(one, two, known=(("a", "1"),)) is None
    went_on = "; the run went on without it"
    assert sorted(warnings) == [f"HTTP 500{went_on}", f"spent{went_on}"]
    pool = ProposerPool({"a": failing(one, PARITY), "b": failing(two)})
    assert proposed(pool, warn=warnings.append) == [("a", PARITY)]


def test_a_pool_stops_and_spends_as_its_members_do() -> None:
    free, paid, other = Scripted([], free=True), Scripted([]), Scripted([])
    for members, reads_on in (({"free": free}, False), ({"free": free, "paid": paid}, True)):
        context = Context()
        assert ProposerPool(members).stop(context) is reads_on
        assert context.stopping.is_set()
    pool = ProposerPool({"free": free, "paid": paid, "other": other})
    costs = [("free", 8.0), ("paid", 1.0), ("other", 0.5), ("other", 0.25)]
    made = [Proposal("", cost_usd=cost, proposer=name) for name, cost in costs]
    assert pool.spending(iter(made), iter([])) == Spending(cost_usd=1.75)
    with asking("one", says(PARITY)) as one, asking("two", says(PARITY)) as two:
        turn = turn_record(1, 1, "D", Turn("", usage=Usage(1, 2), cost_usd=0.5), Amount(1.0, 3))
        turns = [{"proposer": "a", **turn}] * 2 + [{"proposer": "c", **turn}]
        pool = ProposerPool({"a": one, "b": two})
        assert pool.spending([], turns) == Spending(Usage(2, 4), 1.0, (Amount(0.5, 3),) * 2)


def test_proposers_say_the_columns_of_their_trials() -> None:
    llm, replay = asking("a", says(PARITY)), Replay(Path("saved:1.jsonl"))
    model = llm.model.name
    assert llm.columns == {"track": "llm-pv", "method": "llm", "model": model}
    assert replay.columns == {"track": "llm-pv", "method": "replay", "model": ""}
    pool = ProposerPool({"length-first": replay, model: llm})
    assert pool.columns == {
        "track": "llm-pv", "method": "pool", "model": f"length-first + {model}",
    }  # fmt: skip
    assert LengthFirst(1.0).columns == {"track": "llm-pv", "method": "length-first", "model": ""}
