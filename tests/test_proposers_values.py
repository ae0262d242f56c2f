"""Proposers by value: records, prices, requests, facts, surveys, and what is passed on."""

import json
import os
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Input, Scalar
from llm_pv.errors import BudgetError, ConfigurationError, ModelError, RunError
from llm_pv.mcp.open_run import Submitted
from llm_pv.models.base import (
    Message,
    Preview,
    Request,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    Turn,
    Usage,
    UserMessage,
)
from llm_pv.proposers.base import Context, Mistake, Proposal, Proposer
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.llm.costs import (
    Call,
    CostEstimate,
    estimate_of,
    most_of_conversations,
    output_limit,
)
from llm_pv.proposers.llm.endings import ReplyEnding, ending_of
from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.messages import disclosure, refinement_message
from llm_pv.proposers.llm.prompt.notation import Notation
from llm_pv.proposers.llm.prompt.row_choice import informative_rows, subsample
from llm_pv.proposers.llm.scheduler import attempt_seed
from llm_pv.proposers.llm.survey import Survey, SurveyProposer, formats
from llm_pv.proposers.llm.turns import (
    Recorded,
    call_record,
    failed_record,
    shown_record,
    spent,
    tool_record,
    turn_record,
)
from llm_pv.proposers.own_process import OwnProcess
from llm_pv.proposers.proposer_pool import ProposerPool
from llm_pv.proposers.registry import USUAL, BuiltIn, make_proposer
from llm_pv.proposers.replay import Replay
from llm_pv.proposers.round_robin import RoundRobin, StoppedError
from llm_pv.proposers.spending import Amount, Budget, BudgetTracker, Spending
from llm_pv.sandbox import ToolLimits
from llm_pv.search.engine import Account
from rows import FIRST_BIT, PARITY, Scripted, parity_splits
from scripted_model import ScriptedModel, says, wants
from test_proposers_llm import SPLITS, Kept, asking, failing, proposals, tool_texts
from test_proposers_own_process import CLASSES, MAJORITY, ROWS
from test_proposers_own_process import Scripted as Apart
from test_proposers_worst_case import Priced

WORST = Amount(2.0, 30)
CALL = ToolCall("id", "print(1)", "run_python", "")
TURN = Turn(
    "text", (CALL,), "tools", Usage(10, 20, 3, 4, 5), 0.25, 1.23456789, 3, 2, 1, "server",
    {"raw": 1}, redacted=True,
)  # fmt: skip
TURN_RECORD = {
    "kind": "turn", "conversation": 4, "turn": 2, "prompt_digest": "abc", "asked": "again",
    "text": "text",
    "calls": [{"id": "id", "code": "print(1)", "name": "run_python", "problem": ""}],
    "finish": "tools",
    "usage": {"input_tokens": 10, "output_tokens": 20, "cached_tokens": 3,
              "cache_write_tokens": 4, "reasoning_tokens": 5},
    "cost_usd": 0.25, "seconds": 1.234568, "tries": 3, "doubtful_tries": 2,
    "worst": {"usd": 2.0, "tokens": 30}, "exceeded": False, "hosted_calls": 1,
    "server_model": "server",
    "raw": {"raw": 1}, "redacted": True,
}  # fmt: skip


def test_each_step_of_a_conversation_is_recorded_value_by_value_and_read_back() -> None:
    assert turn_record(4, 2, "abc", TURN, WORST, asked="again") == TURN_RECORD
    plain = turn_record(4, 2, "abc", TURN)
    assert (plain["asked"], plain["worst"]) == ("", None)
    assert call_record(4, 2, WORST, True) == {
        "kind": "call", "conversation": 4, "turn": 2, "worst": {"usd": 2.0, "tokens": 30},
        "again": True,
    }  # fmt: skip
    assert call_record(4, 2, WORST)["again"] is False
    error = ModelError("no answer")
    record = failed_record(4, 2, error, WORST, 3)
    assert record == {
        "kind": "failed", "conversation": 4, "turn": 2, "error": "no answer",
        "body": error.body, "worst": {"usd": 2.0, "tokens": 30}, "doubtful_tries": 3,
    }  # fmt: skip
    assert failed_record(4, 2, BudgetError("spent"), WORST, 0)["body"] == ""
    output = tool_record(4, 2, 1, "7", 0.12345678)
    assert output == {
        "kind": "tool", "conversation": 4, "turn": 2, "call": 1, "text": "7", "seconds": 0.123457,
    }  # fmt: skip
    shown = shown_record(4, "abc", "def", "more")
    assert shown == {
        "kind": "shown", "conversation": 4, "turn": 1, "base_digest": "abc",
        "prompt_digest": "def", "text": "more",
    }  # fmt: skip
    other = shown_record(5, "other", "ghi", "less")
    recorded = Recorded([shown, other, TURN_RECORD, output], "abc")
    assert recorded.turns == {(4, 2): replace(TURN, seconds=1.234568)}
    assert recorded.tools == {(4, 2, 1): ("7", 0.123457)}
    assert recorded.shown == {4: "more"}
    later = Recorded([shown, TURN_RECORD | {"prompt_digest": "def"}], "abc")
    assert later.turns[4, 2].text == "text"
    older = {name: value for name, value in TURN_RECORD.items() if name != "redacted"}
    assert Recorded([older], "abc").turns[4, 2].redacted is False
    with pytest.raises(RunError, match="began with another prompt"):
        Recorded([other, TURN_RECORD | {"prompt_digest": "ghi"}], "abc")
    with pytest.raises(RunError, match=r"conversation 4 is damaged .*'seconds'.*; restore"):
        Recorded([{**output, "seconds": None}, {}] and [{k: v for k, v in output.items()
                 if k != "seconds"}], "abc")  # fmt: skip


def test_spending_adds_up_answers_failures_and_calls_that_were_cut_off() -> None:
    place = {"function": "f", "length": 5, "sampler": "s", "trial": 0, "proposer": "p"}
    unpriced = TURN_RECORD | {"cost_usd": None, "conversation": 6, "doubtful_tries": 0}
    records = [
        place | call_record(4, 2, Amount(9.0, 9)),  # cut off by a kill, and called again
        place | call_record(4, 2, WORST),
        place | call_record(4, 2, WORST, True),
        place | TURN_RECORD,
        place | call_record(5, 1, WORST),
        place | failed_record(5, 1, ModelError("no"), WORST, 1),
        place | call_record(6, 2, WORST),
        place | unpriced,
        place | {"trial": 1} | call_record(6, 2, Amount(None, 7)),
    ]
    assert spent(records) == Spending(
        Usage(20, 40, 6, 8, 10),
        None,
        (Amount(0.25, 30), Amount(2.0, 30)),
        (WORST, WORST, WORST, Amount(9.0, 9), Amount(None, 7)),
    )
    unknown = {"worst": {"usd": None, "tokens": 9}, "cost_usd": None}
    assert spent([TURN_RECORD | unknown]).paid == (Amount(None, 30),)
    with pytest.raises(RunError, match="conversation 4 is damaged"):
        spent([{"kind": "turn", "conversation": 4}])
    assert Spending().most_possibly_billed == Amount(0.0, 0)
    assert spent(records[:6]).most_possibly_billed == Amount(15.0, 99)


@pytest.mark.parametrize(
    ("turns", "warned", "expected"),
    [
        ([Turn("f = len", redacted=True)], "", ReplyEnding("f = len", "", True)),
        ([Turn("f = len")], "", ReplyEnding("f = len", "", False)),
        ([Turn("no", redacted=True)], "", ReplyEnding("no", "", True)),
        # A program may follow an escaped line break at once.
        ([Turn(r'{"code": "import a\ndef f(x): 1"}', finish="length")], "",
         ReplyEnding(r'{"code": "import a\ndef f(x): 1"', "", False)),
        ([Turn(r'"import a\nf = a.b"', finish="tools"), Turn("no")], "",
         ReplyEnding(r'"import a\nf = a.b"', "", False)),
        ([Turn("", finish="error")], "", ReplyEnding("", "the reply broke off", False)),
        ([Turn("f = len", finish="tools", redacted=True), Turn("no")], "",
         ReplyEnding("f = len", "", True)),
        ([Turn("f = len", finish="tools"), Turn("g == 1; f == 2")], "",
         ReplyEnding("f = len", "", False)),
        ([Turn("no", (ToolCall("1", "f = max"), ToolCall("2", "f = min"), ToolCall("3", "2"),
                      ToolCall("4", None)))], "2 calls", ReplyEnding("f = min", "", False)),
        ([Turn("no", (ToolCall("1", "f = max"),))], "", ReplyEnding("no", "", False)),
        ([Turn("no", (ToolCall("1", "print(1)"),), redacted=True)], "2 calls",
         ReplyEnding("no", "still asked for the tool after 2 calls", True)),
    ],
)  # fmt: skip
def test_what_a_conversation_comes_to(
    turns: list[Turn], warned: str, expected: ReplyEnding
) -> None:
    assert ending_of(turns, warned) == expected


def test_prices_as_text() -> None:
    assert str(CostEstimate(None, 1.0, 1.0)) == "price unknown"
    assert str(CostEstimate(1.0, None, 1.0)) == "price unknown"
    assert str(CostEstimate(1.0, 1.0, None)) == "price unknown"
    assert str(CostEstimate(2.0, 1.0, 2.0)) == "about $1.00, at most $2.00"
    assert str(CostEstimate(1.0, 1_234.0, 2_000.0)) == (
        "about $1,234.00, at most $2,000.00 (the first calls $1.00)"
    )


@dataclass
class Shown(ScriptedModel):
    """Keeps the requests it would send."""

    requests: list[Request] = field(default_factory=list)

    def preview(self, request: Request) -> Preview:
        self.requests.append(request)
        return super().preview(request)


def test_a_preview_is_the_first_request() -> None:
    model = Shown(says(PARITY), most_samples=3)
    settings = LLMSettings(tool="local", samples_per_call=3)
    with LLM(model, settings=settings) as llm:
        preview, call = llm.preview(SPLITS.train, SPLITS.classes, seed=7)
        prompt, _, _ = llm.prompt(SPLITS.train, SPLITS.classes, seed=7)
        list(llm.propose_in(SPLITS.train, SPLITS.classes, seed=7, context=Context(attempts=1)))
        [request] = model.requests
        assert request == Request([UserMessage(prompt)], model.offers[0], 3, attempt_seed(7, 1),
                                  1_000)  # fmt: skip
    assert request.tool is not None
    assert request.tool.place == "local"
    sent = len(prompt) + len(request.tool.description) + 200 + 20
    assert call == Call(sent, 1_000, 3, "local")
    assert preview.input_tokens == 100
    assert model.seeds[0] == attempt_seed(7, 1)


def test_the_kind_of_all_training_rows_is_told_though_few_are_shown() -> None:
    digits = Examples([f"{n:08b}" for n in range(40)] + ["27"], ["0", "1"] * 20 + ["0"])
    llm, _ = asking(says(PARITY), prompt_rows=4)
    prompt, shown, _ = llm.prompt(digits, Classes.of(["0", "1"]), seed=1)
    assert not any("2" in str(row) for row in shown.inputs)
    assert "Each input is a string of decimal digits." in prompt


def called(*codes: str, said: Usage, seconds: float = 0.0) -> Turn:
    calls = tuple(ToolCall(str(n), code) for n, code in enumerate(codes))
    return Turn("", calls, "tools", said, 0.5, seconds=seconds)


@pytest.mark.parametrize(
    ("used", "first", "second"),
    [
        # Of 40,000 tokens a quarter is for the answer; each output has 31 and 2 characters.
        (29_960, "x" * 30 + "\n", "FULL"),
        (29_959, "x" * 30 + "\n", "FULL"),
        (29_957, "x" * 30 + "\n", "2\n"),
        (29_980, "x" * 10 + "...\nFULL", "FULL"),
        (29_990, "FULL", "FULL"),
    ],
)
def test_tool_outputs_are_cut_to_what_the_context_leaves(
    used: int, first: str, second: str
) -> None:
    turn = called("print('x' * 30)", "print(2)", said=Usage(used, 10))
    model = ScriptedModel(says(turn, PARITY), context_tokens=40_000)
    with LLM(model, attempts=1, settings=LLMSettings(tool="local")) as llm:
        (found,) = proposals(llm)
    full = "The context is nearly full. Give your answer now, without the tool."
    room = 40_000 - 10_000 - used - 10
    if room == 30:
        first = f"{'x' * 30}...\nFULL"
    assert tool_texts(model) == [first.replace("FULL", full), second.replace("FULL", full)]
    assert found.text == PARITY
    offers = [offer.forbidden for offer in model.offers if offer is not None]
    assert offers == [False, "FULL" in first + second]


@pytest.mark.parametrize("seconds", [4.9, 5.0])
def test_no_tool_runs_after_the_seconds_of_a_conversation(seconds: float) -> None:
    turn = called("print(1)", said=Usage(100, 10), seconds=seconds)
    llm, model = asking(says(turn, turn, turn), tool="local", most_seconds=5.0)
    with llm:
        (found,) = proposals(llm)
    late = "The time is over. Give your answer now, without the tool."
    assert tool_texts(model)[0] == ("1\n" if seconds < 5 else late)
    assert found.failure == "still asked for the tool after 5 seconds"
    assert found.seconds >= 2 * seconds


def test_what_a_server_says_of_its_limits_reaches_the_user_and_errors_the_record() -> None:
    kept = Kept()
    llm, _ = asking(says(Turn(PARITY, notices=("a limit was lowered",))))
    proposals(llm, kept)
    assert kept.warnings == ["a limit was lowered"]
    kept = Kept()
    llm, _ = asking(failing(ModelError("HTTP 500", transient=True)), attempts=2)
    proposals(llm, kept, admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
    [failed] = [record for record in kept.turns if record["kind"] == "failed"]
    assert (failed["error"], failed["conversation"], failed["turn"]) == ("HTTP 500", 1, 1)
    assert (failed["doubtful_tries"], failed["worst"]["tokens"] > 1_000) == (0, True)


def test_a_reply_with_pieces_of_the_key_is_not_sent_back() -> None:
    llm, model = asking(says(Turn(FIRST_BIT, redacted=True), PARITY), refinements=1)
    [found] = proposals(llm, mistakes=lambda source: [Mistake("0", "1", "0")])
    assert found.redacted
    assert len(model.asked) == 1
    llm, model = asking(says(Turn("", finish="refused", redacted=True), PARITY), refinements=1)
    assert len(proposals(llm, mistakes=lambda source: [])) == 2, "a failed reply is"


def test_a_stopped_run_makes_no_call_and_reserves_nothing() -> None:
    kept = Kept()
    llm, model = asking(says(PARITY))
    llm.close()
    with pytest.raises((ModelError, BudgetError)):
        proposals(llm, kept)
    assert model.asked == []
    assert llm.tracker.spent_tokens == 0
    [(number, reason)] = kept.failures
    assert (number, reason) == (1, "the run is being stopped")


def test_the_cost_of_a_conversation_counts_every_turn_and_refinement() -> None:
    model = ScriptedModel(says(PARITY), max_output_tokens=1_000, context_tokens=5_000)
    first = Call(1_000, 900, 2, "local")
    calls = most_of_conversations(model, first, tool_calls=2, shown=300, refinements=0)
    # Two calls, one that asks for the used-up tool, and the answer; each for two samples.
    sent = [1_000 + 1_200 * turn for turn in (1, 2, 3)]
    assert calls == [first, *[Call(each, 1_000, 1, "local") for each in sent] * 2] or calls == [
        first,
        *[Call(each, output_limit(model, each), 1, "local") for each in sent] * 2,
    ]
    assert [output_limit(model, each) for each in (1_000, 4_000, 4_500, 9_000)] == [
        1_000, 1_000, 1_000, 1_000,
    ]  # fmt: skip
    model.max_output_tokens = 3_000
    assert [output_limit(model, each) for each in (1_000, 3_000, 4_000)] == [3_000, 2_000, 1_250]
    model.context_tokens = None
    assert output_limit(model, 10**6) == 3_000
    plain = replace(first, tool="none", samples=1)
    assert most_of_conversations(model, plain, tool_calls=9, shown=300, refinements=1) == [
        plain, Call(2_200, 3_000, 1, "none"),
    ]  # fmt: skip


def test_prices_shown_before_are_those_of_so_many_calls() -> None:
    limits = ToolLimits(output_characters=100)
    preview = Preview("POST", "", {}, 100)

    def estimate(attempts: int, first: Call, **more: Any) -> CostEstimate:
        model = Priced(says(""), most_samples=2)
        settings = LLMSettings(tool_calls=3, tool_limits=limits, **more)
        with LLM(model, attempts=attempts, settings=settings) as llm:
            return estimate_of(llm, preview, first)

    # Likely: 100 tokens and 1,100 more each time are read and 1,000 written, in two calls of the
    # tool and an answer: 21 + 32 + 43 dollars. At most: the first of 150 tokens and 50 written is
    # 5 * 1.5 + 1; nine more, of 150 tokens more each, are 7.5 * (2 + ... + 10) + 9 * 20.
    found = estimate(3, Call(150, 50, 1, "local"), tool="local", refinements=1)
    assert found == CostEstimate(3 * 8.5, 3 * 96.0, 3 * (8.5 + 405.0 + 180.0))
    # Two samples are written of one call, so that three attempts are two calls.
    found = estimate(3, Call(150, 50, 2), tool="none", samples_per_call=2)
    assert found == CostEstimate(2 * 9.5, 2 * 41.0, 2 * 9.5)
    # What later attempts are shown, 3,000 tokens at most, and the larger of two counts of tokens.
    found = estimate(1, Call(50, 50), tool="none", explore=True)
    assert found.first_calls == (5 * 3_100 + 2 * 50) / 100


def test_the_room_for_rows_is_what_answer_and_tool_leave_of_the_context() -> None:
    many = parity_splits(train=300).train

    def warned(window: int, **more: Any) -> list[str]:
        model = ScriptedModel(says(PARITY), context_tokens=window, max_output_tokens=3_000)
        settings = LLMSettings(**{"prompt_rows": None, **more})
        with LLM(model, settings=settings) as llm:
            return llm.prompt(many, SPLITS.classes, seed=0)[2]

    # 3,000 tokens of answer and 200 around; with a tool 1,000 more; a quarter at least.
    [fits] = warned(6_000)
    assert "which may take 2,800 tokens" in fits
    less, fits = warned(5_998)
    assert less == (
        "the model's context of 5,998 tokens leaves an answer less than the 3,000 tokens of "
        "--max-output-tokens"
    )
    assert "which may take 2,799 tokens" in fits
    assert "which may take 2,900 tokens" in warned(7_100, tool="local")[-1]
    assert "which may take 2,900 tokens" in warned(6_100, prompt_rows="auto")[-1]
    assert "which may take 1,300 tokens" in warned(5_000, tool="local")[-1]
    assert "which may take 1,000 tokens" in warned(4_000, tool="local")[-1]
    assert warned(100_000, prompt_rows="auto") == []


def test_what_an_attempt_is_shown_of_others_is_bounded_by_the_context() -> None:
    for window, explore, most in ((None, True, 3_000), (8_000, True, 1_000), (80_000, True, 3_000),
                                  (8_000, False, 0)):  # fmt: skip
        model = ScriptedModel(says(PARITY), context_tokens=window)
        with LLM(model, settings=LLMSettings(explore=explore)) as llm:
            assert llm.most_shown == most


def test_facts_of_a_prompt_follow_its_settings() -> None:
    more: dict[str, Any] = {"facts": True, "noise": 0.1, "about": "coins", "tool_calls": 7}
    for tool in ("local", "none"):
        llm, _ = asking(says(PARITY), tool=tool, **more)
        with llm:
            prompt, _, _ = llm.prompt(SPLITS.train, SPLITS.classes, seed=0)
        assert "About 10.0% of the labels" in prompt
        assert "Of the data it is said: coins" in prompt
        assert ("The tool can be called 7 times." in prompt) is (tool == "local")
        assert llm.about == "coins"
        with pytest.raises(ConfigurationError, match="attempts is 2, the proposer's is 1"):
            llm.plan_attempts(2)
        assert (llm.plan_attempts(1), llm.plan_attempts(None)) == (1, 1)


@pytest.mark.parametrize(
    ("destination", "budget", "recorded"),
    [(None, Budget(), 0), ("api.example", Budget(), 1), (None, Budget(tokens=10**6), 1),
     (None, Budget(usd=100.0), 1), (None, Budget(seconds=60.0), 0)],
)  # fmt: skip
def test_calls_that_may_cost_something_are_recorded_before_they_are_made(
    destination: str | None, budget: Budget, recorded: int
) -> None:
    kept = Kept()
    within: list[Any] = []

    class Timed(ScriptedModel):
        def complete(self, request: Request) -> list[Turn]:
            within.append(request.within)
            return super().complete(request)

    model = Timed(says(PARITY), destination=destination)
    with LLM(model, attempts=1, budget=budget) as llm:
        proposals(llm, kept)
    assert sum(record["kind"] == "call" for record in kept.turns) == recorded
    [seconds] = within
    assert (seconds is None) if budget.seconds is None else 0 < seconds <= 60


def test_the_tool_is_opened_once_with_the_settings_and_runs_each_call_by_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[dict[str, Any]] = []
    ran: list[tuple[Any, ...]] = []

    class Tool:
        description = "a tool"

        def __init__(self, **options: Any) -> None:
            opened.append(options)

        def run(self, code: str, rows: Any, *, seed: int, earlier: Any, survey: str) -> Any:
            ran.append((code, seed, tuple(earlier), survey[:6]))
            return SimpleNamespace(output=f"ran {code}", seconds=0.5)

        def close(self) -> None:
            opened.append({"closed": True})

    monkeypatch.setattr("llm_pv.proposers.llm.local_tool.PythonTool", Tool)
    monkeypatch.setattr(Survey, "text", lambda self: "Survey of rows")
    limits = ToolLimits(output_characters=200)
    twice = Turn("", (ToolCall("1", "a"), ToolCall("2", None, problem="no code"),
                      ToolCall("3", "survey()")), "tools")  # fmt: skip
    llm, model = asking(
        says(twice, wants("b"), PARITY), attempts=2, tool="local", tool_limits=limits,
        tool_functions=("survey",), allow_unconfined=True, backend="linux",
    )  # fmt: skip
    kept = Kept()
    with llm:
        first, second = proposals(llm, kept, admission=RoundRobin({"c": 0}, slots=1).cell("c"))
    places = [tuple(record[name] for name in ("conversation", "turn", "call", "text"))
              for record in kept.turns if record["kind"] == "tool"]  # fmt: skip
    assert places == [
        (number, *each)
        for number in (1, 2)
        for each in ((1, 1, "ran a"), (1, 2, "no code"), (1, 3, "ran survey()"), (2, 1, "ran b"))
    ]
    assert {first.prompt_digest, second.prompt_digest} == set(kept.prompts)
    assert opened == [
        {"limits": limits, "functions": ("survey",), "allow_unconfined": True, "backend": "linux"},
        {"closed": True},
    ]  # fmt: skip
    calls = [("a", 1, (), ""), ("survey()", 3, ("a",), "Survey"),
             ("b", 1, ("a", "survey()"), "Survey")]  # fmt: skip
    assert ran == calls * 2
    assert tool_texts(model) == ["ran a", "no code", "ran survey()", "ran b"]
    assert first.seconds == second.seconds == 1.5
    assert (first.tool_calls, second.origin) == (4, "2")


def test_a_search_is_pickled_without_what_it_did() -> None:
    search = LengthFirst(7.0, built_in=BuiltIn(candidates=1_000, noise=0.25))
    search.hit_time_cap = True
    copy = pickle.loads(pickle.dumps(search))
    assert (copy.budget_seconds, copy.built_in, copy.hit_time_cap) == (7.0, search.built_in, False)
    assert isinstance(copy.account, Account)
    assert copy.account.tried == 0
    assert search.identity == (
        "length-first within 7 s and Budget(candidates=1000, megabytes=1000), noise 0.25"
    )
    assert LengthFirst().identity == (
        "length-first within 30 s and Budget(candidates=50000000, megabytes=1000)"
    )


def test_a_search_reports_its_stages_and_hands_over_what_it_has() -> None:
    words = [f"{number:05b}" for number in range(32)]
    labels = [str(word.count("1") % 2) for word in words]
    labels[5] = "1" if labels[5] == "0" else "0"
    rows, classes = Examples(words, labels), Classes.of(["0", "1"])
    told: list[tuple[str, int]] = []
    handed: list[list[Proposal]] = []
    search = LengthFirst(
        60.0, built_in=BuiltIn(candidates=1_000), progress=lambda *each: told.append(each)
    )
    search.interim = lambda found: handed.append(list(found))
    found = list(search.propose(rows, classes, seed=0))
    assert not search.hit_time_cap
    assert any("(best: " in stage and " training mistakes)" in stage for stage, _ in told)
    assert max(tried for _, tried in told) <= search.account.tried
    assert 1 <= len(handed[0]) <= 40
    assert all(one.seconds == 0 and one.text for one in handed[0])
    first, *others = found
    assert first.seconds > 0
    assert all(one.seconds == 0 for one in others)
    assert first.note.endswith(f"; {search.account.text()}")
    assert not any("searched" in one.note for one in others)
    assert " 1 training mistakes" in first.note
    assert "1 training row answered wrongly." in first.text
    last = found[-1]
    assert last.fallback
    assert last.note.startswith("fallback: ")
    assert "A fallback, not a rule: " in last.text
    ones = labels.count("1")
    majority = max(ones, 32 - ones)
    assert f"{32 - majority} training mistakes" in last.note


def test_proposals_of_a_stopped_search_carry_the_seconds_it_took() -> None:
    apart = OwnProcess(Apart("hang_with_interim"), seconds=0.5)
    first, second = apart.propose(ROWS, CLASSES, seed=5)
    assert first.seconds >= 0.5
    assert (second.seconds, second.capped) == (0.0, True)
    [second] = apart.propose(ROWS, CLASSES, seed=5, start=1)
    assert second.text == "worse"
    [fallback] = OwnProcess(Apart("hang_at_once"), seconds=0.3).propose(
        Examples(["0", "1"], ["2.5", "2.5"]), Classes(("2.5",), (2.5,)), seed=0
    )
    assert fallback.text == MAJORITY.replace("'a'", "2.5")


def test_closing_a_search_ends_its_reader() -> None:
    apart = OwnProcess(Apart("hang"), seconds=60.0)
    other = OwnProcess(Apart("count"), seconds=60.0)
    found = apart.propose(ROWS, CLASSES, seed=5)
    next(found)
    other.close()  # another's searches go on
    assert not apart.hit_time_cap
    threading.Timer(0.1, apart.close).start()
    with pytest.raises(StoppedError):
        next(found)


@dataclass
class Member(Scripted):
    """A member that notes what is done to it."""

    interleaved_too: bool = False
    done: list[Any] = field(default_factory=list)

    @property
    def interleaved(self) -> bool:
        return self.interleaved_too

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        self.done.append((train, classes, seed, context.known, list(context.turns)))
        context.write_turns([{"kind": "turn", "text": "said"}])
        context.write_failure(3, "no answer")
        context.write_failure(4, "member: known by name")
        context.warn("slow")
        return super().propose_in(train, classes, seed=seed, context=context)

    def open(self, turns: Any) -> None:
        self.done.append(("open", list(turns)))

    def portable(self) -> Proposer:
        return replace(self, replies=["portable"])

    def close(self) -> None:
        self.done.append("closed")


def test_a_pool_is_the_sum_of_its_members() -> None:
    free, paid = Member([PARITY], free=True), Member([FIRST_BIT], interleaved_too=True)
    pool = ProposerPool({"paid": paid, "free": free}, left_open=["free"])
    assert pool.name == "pool:free + paid"
    assert pool.identity == "pool of free is scripted | paid is scripted"
    assert (pool.free, pool.interleaved, pool.default_attempts) == (False, True, 10)
    assert not ProposerPool({"free": free}).interleaved
    assert ProposerPool({"free": free}).free
    assert [pool.plan_attempts(None), pool.plan_attempts(2)] == [10, 5 + 2]
    assert ProposerPool({"free": free}).plan_attempts(2) == 2
    portable = pool.portable()
    assert isinstance(portable, ProposerPool)
    found = portable.propose_in(ROWS, CLASSES, seed=1, context=Context())
    assert [(one.text, one.proposer) for one in found] == [
        ("portable", "free"), ("portable", "paid"),
    ]  # fmt: skip
    turns: list[dict[str, Any]] = [
        {"proposer": "paid", "n": 1},
        {"proposer": "free", "n": 2},
        {"n": 3},
    ]
    pool.open(iter(turns))
    assert paid.done[-1] == ("open", turns[:1])
    assert free.done[-1] == ("open", turns[1:2])
    with pool:
        pass
    assert paid.done[-1] == "closed"
    assert free.done[-1] != "closed"
    pool.close()
    assert free.done[-1] == "closed"


def test_what_a_member_writes_carries_its_name() -> None:
    member = Member([PARITY])
    kept = Kept()
    kept.turns = [{"proposer": "member", "n": 1}, {"proposer": "other", "n": 2}]
    known = (("other", "1"),)
    found = list(
        ProposerPool({"member": member}).propose_in(
            ROWS, CLASSES, seed=9, context=kept.context(known=known)
        )
    )
    assert [(one.text, one.proposer) for one in found] == [(PARITY, "member")]
    assert member.done == [(ROWS, CLASSES, 9, (), [{"proposer": "member", "n": 1}])]
    assert kept.turns[2:] == [{"proposer": "member", "kind": "turn", "text": "said"}]
    assert kept.failures == [(3, "member: no answer"), (4, "member: known by name")]
    assert kept.warnings == ["member: slow"]


def test_an_error_of_a_member_that_is_none_of_a_model_ends_the_run() -> None:
    class Broken(Scripted):
        def propose(
            self, train: Examples, classes: Classes, *, seed: int, start: int = 0
        ) -> Iterator[Proposal]:
            yield from super().propose(train, classes, seed=seed, start=start)
            raise ZeroDivisionError("of its own")

    pool = ProposerPool({"a": Broken([PARITY])})
    found = pool.propose_in(ROWS, CLASSES, seed=0, context=Context())
    assert next(found).text == PARITY
    with pytest.raises(ZeroDivisionError, match="of its own"):
        next(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 999}, "candidates is 999; give 1,000 or more"),
        ({"candidates": 1e4}, "candidates is 10000.0; give 1,000 or more"),
        ({"megabytes": 49}, "megabytes is 49; give 50 or more"),
        ({"noise": -0.1}, "noise is -0.1; give a share from 0 to below 0.5"),
        ({"noise": 0.5}, "noise is 0.5; give a share"),
        ({"noise": "much"}, "noise is 'much'; give a share"),
    ],
)
def test_options_of_the_search_that_cannot_be_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BuiltIn(**options)


def test_the_least_options_of_the_search_are_taken() -> None:
    least = BuiltIn(candidates=1_000, megabytes=50, noise=0)
    assert (least.memory, least.scale) == (50, 1_000 / 50_000_000)
    assert least.identity == "Budget(candidates=1000, megabytes=50)"
    assert (USUAL.memory, USUAL.scale) == (1_000, 1.0)


def test_a_model_takes_attempts_seconds_noise_and_a_shared_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "a" * 40)
    name = "openai:gpt-5.4"
    with make_proposer(name) as llm:
        assert isinstance(llm, LLM)
        assert (llm.attempts, llm.tracker.budget, llm.settings.noise) == (5, Budget(), 0.0)
    built_in = BuiltIn(noise=0.25)
    with make_proposer(name, attempts=2, budget_seconds=9.0, built_in=built_in) as llm:
        assert isinstance(llm, LLM)
        assert (llm.attempts, llm.tracker.budget) == (2, Budget(seconds=9.0))
        assert llm.settings.noise == 0.25
    tracker = BudgetTracker(Budget(usd=3.0))
    with make_proposer(name, tracker=tracker) as llm:
        assert isinstance(llm, LLM)
        assert llm.tracker is tracker
    with pytest.raises(ConfigurationError) as caught:
        make_proposer(name, built_in=BuiltIn(candidates=10_000))
    assert str(caught.value) == (
        f"--budget-candidates and --budget-mb are for the built-in search, not for {name}"
    )
    with pytest.raises(ConfigurationError) as caught:
        make_proposer("replay:x", built_in=BuiltIn(noise=0.1))
    assert str(caught.value) == (
        "--budget-candidates, --budget-mb and --noise are for the built-in search, not for replay:x"
    )


def test_members_of_a_pool_share_a_budget_and_take_their_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "a" * 40)
    (tmp_path / "r.txt").write_text("f = len")
    own = Member([PARITY])
    names = ["length-first", "openai:gpt-5.4", "openai:gpt-5.4-mini", f"replay:{tmp_path}/r.txt"]
    built_in = BuiltIn(candidates=10_000, noise=0.1)
    told: list[tuple[str, int]] = []
    pool = make_proposer([*names, own], attempts=3, budget_seconds=8.0, built_in=built_in,
                         progress=lambda *each: told.append(each))  # fmt: skip
    assert isinstance(pool, ProposerPool)
    search, one, other, replay = (pool._members[name] for name in names)
    assert isinstance(search, OwnProcess)
    assert (search.seconds, search.megabytes) == (8.0, 1_000)
    assert isinstance(search.proposer, LengthFirst)
    assert (search.proposer.built_in, search.proposer.budget_seconds) == (built_in, 8.0)
    assert search.progress is not None
    search.progress("stage", 1)
    assert told == [("stage", 1)]
    assert isinstance(one, LLM)
    assert isinstance(other, LLM)
    assert one.tracker is other.tracker
    assert (one.tracker.budget.seconds, one.attempts, one.settings.noise) == (8.0, 3, 0.1)
    assert isinstance(replay, Replay)
    assert replay.path == tmp_path / "r.txt"
    with pool:
        pass
    assert own.done == [], "what was open before is left open"


def test_pools_that_cannot_be_are_refused_and_close_what_they_opened(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("f = len")
    replay = f"replay:{tmp_path}/r.txt"
    own = Member([PARITY])
    with pytest.raises(ConfigurationError, match="the proposer scripted is given twice"):
        make_proposer([replay, own, own])
    assert own.done == []
    with pytest.raises(ConfigurationError, match="proposers: none; give one or more"):
        make_proposer([])
    with pytest.raises(ConfigurationError, match=f"proposers: {replay}; give one or more, length"):
        make_proposer([replay], built_in=BuiltIn(candidates=10_000))


def test_saved_replies_travel_and_turns_that_led_to_them_are_no_replies(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    kinds = [{"kind": kind, "text": "f = min"} for kind in ("turn", "tool", "call", "failed")]
    keys = ("text", "reply", "response", "output", "content", "completion")
    texts = [{key: f"of {key}"} for key in keys]
    both = {"completion": "later", "text": 3, "reply": "first"}
    path.write_text("".join(json.dumps(one) + "\n" for one in [*kinds, *texts, both]))
    found = [f"of {key}" for key in keys] + ["first"]
    portable = Replay(path).portable()
    path.unlink()
    assert isinstance(portable, Replay)
    assert [one.text for one in portable.replies()] == found
    assert portable.default_attempts == 7
    assert portable.name == f"replay:{path}"
    with pytest.raises(ConfigurationError, match=r"cannot read replies from .*: No such file"):
        Replay(path).replies()


def test_what_is_submitted_is_proposed_with_its_note_until_the_end() -> None:
    submitted, context = Submitted("of a client"), Context()
    found = submitted.propose_in(ROWS, CLASSES, seed=0, context=context)
    for text in ("one", "two"):
        submitted.submit(text)
    submitted.end()
    assert [(one.text, one.note, one.cost_usd) for one in found] == [
        ("one", "of a client", None), ("two", "of a client", None),
    ]  # fmt: skip
    assert submitted.opened.result(timeout=1) is context
    assert (submitted.name, submitted.free) == ("mcp", False)
    left = Submitted()
    left.submit("three")
    left.abandon()
    found = left.propose_in(ROWS, CLASSES, seed=0, context=context)
    assert next(found).note == ""
    with pytest.raises(StoppedError):
        next(found)


def test_what_a_proposer_is_by_default() -> None:
    class Plain(Proposer):
        name = "plain"

    plain = Plain()
    assert (plain.free, plain.weighted, plain.interleaved, plain.about) == (True, False, False, "")
    assert (plain.default_attempts, plain.identity) == (5, "plain")
    assert (plain.plan_attempts(None), plain.plan_attempts(7)) == (5, 7)
    assert plain.portable() is plain
    context = Context(known=(("p", "1"), ("p", "2.1")))
    assert plain.stop(context) is False
    assert context.stopping.is_set()
    assert (context.start, context.origins) == (2, frozenset({"1", "2.1"}))
    weighted = Examples(["a", "b"], ["0", "1"], weights=[1.0, 2.0])
    assert plain.training_rows(weighted).inputs == ["a", "b", "b"]
    assert plain.spending([Proposal("", cost_usd=1.0)], []) == Spending()
    paid = Scripted([])
    assert paid.training_rows(weighted) is weighted
    assert paid.spending([Proposal("", cost_usd=1.0), Proposal("", cost_usd=0.5)], []) == Spending(
        cost_usd=1.5
    )
    assert paid.spending([Proposal("", cost_usd=1.0), Proposal("")], []).cost_usd is None


def test_a_stopped_round_admits_nobody() -> None:
    rounds = RoundRobin({"one": 0}, slots=2)
    one = rounds.cell("one")
    one.acquire(1)
    assert (rounds.free, rounds.started) == (1, {"one": 1})
    one.release()
    assert rounds.free == 2
    rounds.stop()
    with pytest.raises(StoppedError):
        one.acquire(2)
    assert rounds.free == 2
    full = RoundRobin({"one": 0}, slots=1)
    full.cell("one").acquire(1)
    refused = threading.Event()

    def wait() -> None:
        with pytest.raises(StoppedError):
            full.cell("one").acquire(2)
        refused.set()

    threading.Thread(target=wait, daemon=True).start()
    full.stop()
    assert refused.wait(10)
    parts = RoundRobin({"one": 3, "two": 1}, slots=1).cell("one").divide(["a", "b"])
    assert parts[0]._rounds.started == {"two": 1, ("one", "a"): 3, ("one", "b"): 3}


def lines_of(train: Examples, labels: Sequence[object], **more: Any) -> list[str]:
    return facts(train, Classes.of(labels), **more).splitlines()


def test_facts_at_their_limits() -> None:
    letters = "".join(chr(ord("a") + n % 26).swapcase() if n >= 26 else chr(ord("a") + n)
                      for n in range(40))  # fmt: skip
    assert lines_of(Examples([letters], ["0"]), [0])[2].endswith(
        f"different ones: {' '.join(sorted(letters))}"
    )
    assert lines_of(Examples([letters + "9"], ["0"]), [0])[2] == (
        "- Inputs have 41 characters, of 41 different ones."
    )
    assert lines_of(Examples(["a b", "a\t"], ["0", "1"]), [0, 1])[2] == (
        '- Inputs have 2 to 3 characters, of 4 different ones: "\\t" " " a b'
    )
    labels = [f"c{n:02}" for n in range(22)]
    told = lines_of(Examples(list("abcdefghijklmnopqrstuv"), labels), labels)
    assert told[0].endswith("1 with label c19, and 2 labels more.")
    assert told[1].startswith("- A label is a string")
    assert lines_of(Examples(["a"] * 20, labels[:20]), labels)[0].endswith("1 with label c19.")
    assert lines_of(Examples(["a", "b"], ["0.5", "1"]), [0.5, 1])[1].startswith("- A label is a n")
    assert lines_of(Examples(["a", "b"], ["-3", "1"]), [-3, 1])[1].startswith("- A label is an int")
    assert lines_of(Examples(["a", "b"], ["007", "1"]), ["007", "1"])[1].startswith(
        "- A label is a s"
    )
    more = lines_of(Examples(["a"], ["0"]), [0], noise=0.125, about=" of\n my ")
    assert more[3].startswith("- About 12.5% of the labels may be wrong")
    assert more[4:] == ["- Of the data it is said: of my"]


def test_labels_are_listed_up_to_fifty_with_what_is_to_know_of_them() -> None:
    def about(shown: Sequence[str], values: Sequence[object]) -> str:
        rows = Examples(["a"] * len(shown), list(shown))
        return Notation.of(rows).about_labels(shown, Classes.of(values))

    many = [f"c{n:02}" for n in range(53)]
    assert about(many[:50], many[:50]) == ", ".join(many[:50])
    assert about(many[:52], many) == (
        f"{', '.join(many[:50])} (and 2 more that the examples show; and 1 that no example shows)"
    )
    assert about(["0", "1"], [True, False]) == "0, 1 (1 is True, 0 is False)"
    assert about(["a, b"], ["a, b"]) == (
        '"a, b" (written as JSON strings; return the string itself)'
    )


def test_facts_of_columns() -> None:
    rows: list[Input] = [
        {"n": 1, "r": 0.5, "b": True, "s": "x", "m": None, "mix": 1, "long": "l" * 40, "w": "0"},
        {"n": 30, "r": None, "b": False, "s": None, "m": None, "mix": 2.5, "long": "k", "w": 1},
    ]
    assert lines_of(Examples(rows, ["0", "1"]), [0, 1])[2:-1] == [
        '- Column "n": int, 1 to 30.',
        '- Column "r": float, 0.5 to 0.5, missing (None) in 1.',
        '- Column "b": bool, one of "False", "True".',
        '- Column "s": str, one of "x", missing (None) in 1.',
        '- Column "m": always missing.',
        '- Column "mix": float, 1 to 2.5.',
        f'- Column "long": str, one of "k", "{"l" * 40}".',
        '- Column "w": str, one of "0", "1".',
    ]
    many: list[Input] = [{"c": f"v{n:02}"} for n in range(13)]
    assert lines_of(Examples(many, ["0"] * 13), [0])[2] == '- Column "c": str, 13 different values.'
    assert "one of" in lines_of(Examples(many[:12], ["0"] * 12), [0])[2]
    longer = lines_of(Examples([{"c": "l" * 41}], ["0"]), [0])[2]
    assert longer == '- Column "c": str, 1 different values.'
    wide: dict[str, Scalar] = {f"c{n}": 0 for n in range(52)}
    told = lines_of(Examples([wide], ["0"]), [0])
    assert told[-2] == "- 2 columns more, not listed here."
    assert len(told) == 2 + 50 + 1 + 1
    assert "more" not in "".join(lines_of(Examples([dict(list(wide.items())[:50])], ["0"]), [0]))


def test_mistakes_shown_to_a_model_at_their_limits() -> None:
    wrong = [Mistake(f"{n:02}", "1", "0") for n in range(12)]
    train = Examples([f"{n:02}" for n in range(20)], ["1"] * 20)
    text = refinement_message(wrong, train=train)
    assert text.startswith("Your program is wrong on 12 of the 20 training examples. Below, 10 of")
    assert "09 -> 1, your program: 0\n\nFind a rule that explains these too" in text
    assert "labels there are" not in text
    ten = refinement_message(wrong[:10], train=train)
    assert "Below, with the right label" in ten
    assert refinement_message(wrong[:1]).startswith("Your program is wrong on 1 training example.")
    assert refinement_message(wrong[:2]).startswith("Your program is wrong on 2 training examples.")
    failed = [Mistake(f"{n:02}", "1", "an\n\x1b error", failed=True) for n in range(4)]
    labels = [f"c{n}" for n in range(51)]
    text = refinement_message(failed, train=train, labels=labels, noise=0.1, alike=True)
    assert text.startswith("An earlier program of this run")
    assert text.count("your program: an \\x1b error") == 2
    assert "The labels there are: c0, " in text
    assert "c49." in text
    assert "c50" not in text
    assert "Find another rule, one that explains these as far as their labels are right" in text
    assert refinement_message(failed, repeated=True, alike=True).startswith("You gave this program")
    long = [Mistake("0", "1", "e" * 301), Mistake("1", "1", "e" * 300)]
    first, second = refinement_message(long).splitlines()[2:4]
    assert first.endswith(f"{'e' * 300}...")
    assert second.endswith(f": {'e' * 300}")
    assert len(refinement_message(wrong, most=3).split("your program: ")) == 4


def test_what_leaves_the_machine_is_listed() -> None:
    row: dict[str, Scalar] = {f"c{n}": n for n in range(102)}
    told = disclosure(Examples([row, row], ["0", "1"]), list(row), "m", tool_rows=1_000)
    assert told.startswith('m is sent 2 training rows: columns "c0", ')
    assert told.endswith(
        '"c99" and 2 more and the label, and whatever its code prints of the 1,000 training rows '
        "its tool holds; no other row"
    )
    assert " more" not in disclosure(Examples([row], ["0"]), list(row)[:100], "m")
    text = Examples(["a"], ["0"])
    assert disclosure(text, [], "m") == (
        "m is sent 1 training row: the whole input and the label; no other row"
    )
    assert disclosure(text, ["t"], "m") == (
        'm is sent 1 training row: column "t" and the label; no other row'
    )


def test_rows_chosen_for_a_prompt_at_their_limits() -> None:
    rows = Examples([f"{n:03}" for n in range(10)], ["0"] * 5 + ["1"] * 5)
    assert subsample(rows, 10, seed=0) is rows
    assert len(subsample(rows, 9, seed=0)) == 9
    assert informative_rows(rows, 10, seed=0) is rows
    with pytest.raises(ConfigurationError, match="0 rows in a prompt: give 1 or more"):
        subsample(rows, 0, seed=0)
    assert subsample(rows, 1, seed=0).inputs[0] in rows.inputs
    # Of tables, rows that differ in the fewest columns are alike.
    near: list[Input] = [{"a": 0, "b": 0}, {"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 5}]
    far: list[Input] = [{"a": 9 + n, "b": 9 - n} for n in range(9)]
    table = Examples([*near, *far], list("001010101010"))
    few = informative_rows(table, 6, seed=0)
    assert near[0] in few.inputs
    assert near[2] in few.inputs
    assert Notation.of(Examples(["1", ""], ["a", "b"])).quoted_inputs


def test_a_survey_says_of_how_many_rows_it_is() -> None:
    train = Examples(["0", "1", "0"], ["a", "b", "a"])
    classes = Classes.of(["a", "b"])
    surveyor = SurveyProposer(3, 20.0)
    handed: list[list[Proposal]] = []
    surveyor.interim = lambda found: handed.append(list(found))
    [found] = surveyor.propose(train, classes, seed=0)
    first, second, *more = found.text.splitlines()
    assert (first, second) == (
        "Survey of 3 training rows.", "The same in all rows: the length, 1",
    )  # fmt: skip
    assert more[0].startswith("Conditions that tell most of the label, of ")
    assert [one.text for one in handed[0]] == [f"{first}\n{second}"]
    assert not found.capped
    assert list(surveyor.propose(train, classes, seed=0, start=1)) == []
    [drawn] = SurveyProposer(1_000, 20.0).propose(train, classes, seed=0)
    assert drawn.text.startswith("Survey of 3 training rows, drawn of 1,000.\n")
    [alike] = SurveyProposer(2, 20.0).propose(
        Examples(["0", "1"], ["a", "a"]), Classes.of(["a"]), seed=0
    )
    assert alike.text == "Survey of 2 training rows.\nThe same in all rows: the length, 1"


def test_a_survey_has_conditions_for_each_of_several_labels_and_definitions() -> None:
    words = [f"{a}{b}" for a in "abcdefg" for b in "0123456789"]
    train = Examples(words, [word[0] for word in words])
    survey = Survey(train, Classes.of(list("abcdefg")), seed=0)
    text = survey.text()
    assert survey.text() is text
    lines = text.splitlines()
    assert lines[0] == "Survey of 70 training rows."
    # Six labels at most, in the order of the classes; a holds in 10 rows of 70.
    labels = [line for line in lines if line.startswith(" label ")]
    assert len(labels) == 6
    assert labels[0] == ' label "a":'
    first, second = (lines.index(label) for label in labels[:2])
    assert second - first == 1 + 3, "three conditions for each"
    [best] = [line for line in lines if line.startswith('  x[0] == "a"')]
    assert "a: 10 | b: 10, c: 10, d: 10, e: 10, and 2 labels more" in best
    # -60/70 log2(60/70) - 10/70 log2(10/70) = 0.592 bits a row, of 70 rows
    assert "[41 bits]" in best


def test_formats_at_their_limits() -> None:
    def of(*texts: str) -> list[str]:
        return formats(Examples(list(texts), ["0"] * len(texts)))

    # Four symbols have no format, five do; a symbol is named if there are more than four.
    assert of("abab", "cdcd") == ["The same in all rows: the length, 4"]
    assert of("abab", "cdcd", "eeee")[1] == '  a{4}: 3 rows, such as "abab"'
    assert of("axbxc", "dxxef")[-1] == 'The same in all rows: the length, 5; "x" occurs 2 times'
    assert of("axbxc", "dxexf")[-1] == 'The same in all rows: the length, 5; "x" occurs 2 times'
    assert of("ab", "cde", "fghi", "jklmn")[-1] == "Nothing is the same in all rows."
    # Six formats of six rows are listed, seven of seven in coarse form.
    six = ["a1", "bc1", "def1", "ghij1", "klmno1", "pqrstu1"]
    assert of(*six)[0].endswith(", with how many):")
    assert of(*six, "vwxyzab1")[:2] == [
        "Formats (A letters, a small letters, 9 digits):", '  a9: 7 rows, such as "a1"',
    ]  # fmt: skip
    # Seven of 28 rows are few enough; the seventh is counted.
    many = [*six, *(f"{'q' * 7}{n % 10}" for n in range(22))]
    assert of(*many)[-2] == "  and 1 more"
    kinds = ["a1", "2b", "c3d", "4e5", "F6", "7G", "H8I", "9J0"]
    assert of(*kinds)[0] == "Formats: too many to list."
    long = of(*("abcdefgh-" * 12 + str(n) for n in range(3)))
    assert any(line.endswith(f'"{("abcdefgh-" * 12)[:79]}...') for line in long)
    tables: list[Input] = [
        {"same": "s" * 90, "few": "ab1"[n % 2 :], "id": f"K{n:02}"} for n in range(20)
    ]
    told = formats(Examples(tables, ["0"] * 20))
    assert told[-1] == f'The same in all rows: column "same" is \'{"s" * 79}...'
    assert told[0].startswith('Column "id": Formats')
    assert not any('"few"' in line for line in told)


def test_the_tool_is_described_only_where_it_is() -> None:
    for place in ("none", "hosted"):
        model = ScriptedModel(says(PARITY), tool_places=frozenset({"none", "local", "hosted"}))
        with LLM(model, attempts=1, settings=LLMSettings(tool=place)) as llm:
            proposals(llm)
        assert model.offers == [None if place == "none" else ToolOffer("hosted")]


def test_seconds_of_a_waiting_reader_pass() -> None:
    began = time.monotonic()
    llm, model = asking(says(wants("print(7)"), PARITY), tool="local")
    with llm:
        [found] = proposals(llm)
    assert 0 < found.seconds < time.monotonic() - began
    answer: Message = model.asked[-1][-1]
    assert isinstance(answer, ToolAnswer)
    assert answer == ToolAnswer(ToolCall("call", "print(7)"), "7\n")


def test_the_identity_of_settings_names_what_decides_programs(tmp_path: Path) -> None:
    limits = ToolLimits(output_characters=200)
    assert LLMSettings(tool_limits=limits).identity("none") == (
        "tool=none; refinements=0; prompt=1; samples=1; prompt_rows=100; tool_calls=20; "
        f"tool_limits={limits}"
    )
    wording = tmp_path / "w.txt"
    wording.write_bytes(b"abc")
    every = LLMSettings(
        refinements=2, prompt_variant=wording, samples_per_call=3, prompt_rows=None, tool_calls=4,
        tool_limits=limits, answer_format="python", programs_per_reply=5, facts=True, noise=0.5,
        about="it's", tool_functions=("check", "survey"), explore=True, most_seconds=9.0,
    )  # fmt: skip
    # From `printf abc | sha256sum`.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert every.identity("local") == (
        f"tool=local; refinements=2; prompt={digest}; samples=3; prompt_rows=None; tool_calls=4; "
        f'tool_limits={limits}; answer=python; programs=5; facts: noise=0.5, about="it\'s"; '
        "tool_functions=check,survey; explore"
    )
    wording.unlink()
    with pytest.raises(ConfigurationError) as caught:
        every.identity("local")
    assert str(caught.value) == (
        f"cannot read the prompt {wording}: No such file or directory; give 1 to 4 or a file"
    )


@pytest.mark.parametrize(
    ("wanted", "places", "usual", "found"),
    [
        (None, {"none", "local"}, "none", "none"),
        (None, {"none", "local", "hosted"}, "hosted", "hosted"),
        ("any", {"none", "local"}, "local", "local"),
        ("any", {"none", "local", "hosted"}, "none", "hosted"),
        ("local", {"none", "local"}, "none", "local"),
        (
            "hosted",
            {"none", "local"},
            "none",
            "m cannot use --tool hosted; give one of local, none",
        ),
    ],
)
def test_a_tool_runs_where_the_model_has_one(
    wanted: Any, places: set[Any], usual: Any, found: str
) -> None:
    model = ScriptedModel(says(""), "m", tool_places=frozenset(places), default_tool=usual)
    if " " in found:
        with pytest.raises(ConfigurationError) as caught:
            LLMSettings(tool=wanted).tool_place(model)
        assert str(caught.value) == found
    else:
        assert LLMSettings(tool=wanted).tool_place(model) == found


@pytest.mark.parametrize(
    ("name", "least"),
    [("refinements", 0), ("samples_per_call", 1), ("tool_calls", 1), ("prompt_rows", 1),
     ("programs_per_reply", 1)],
)  # fmt: skip
def test_the_least_settings_are_taken_and_less_is_refused(name: str, least: int) -> None:
    fewest: dict[str, Any] = {name: least}
    assert getattr(LLMSettings(**fewest), name) == least
    fewest[name] = least - 1
    with pytest.raises(ConfigurationError) as caught:
        LLMSettings(**fewest)
    assert str(caught.value) == f"{name} is {least - 1}; give {least} or more"


def test_what_is_wrong_with_saved_replies_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "r.jsonl", tmp_path / "folder"
    folder.mkdir()
    keys = "text, reply, response, output, content, completion or code"
    for text, reason in (
        ("\n[1]\n", f"{path}, line 2: no reply under any of {keys}"),
        ('{"text": 3}', f"{path}, line 1: no reply under any of {keys}"),
        ('"a"\n"b\n', f"{path}, line 2: not JSON (Unterminated string starting at: line 1 column 1 "
         "(char 0)); one reply a line is expected"),
        (" \n", f"{path} holds no replies"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            Replay(path).replies()
        assert str(caught.value) == reason
    for where, reason in (
        (folder, f"{folder} holds no replies"),
        (tmp_path / "none", f"cannot read replies from {tmp_path / 'none'}: No such file or "
         "directory; give replay: a JSONL file or a folder of saved replies"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError) as caught:
            Replay(where).replies()
        assert str(caught.value) == reason
    monkeypatch.setattr("llm_pv.proposers.replay._MOST_CHARACTERS", 6)
    path.write_text('"abc"\n"defg"\n')
    assert [one.text for one in Replay(path).replies()] == ["abc", "defg"]
    whole = folder / "r.txt"
    whole.write_text("f = 12")
    assert [one.text for one in Replay(folder).replies()] == ["f = 12"]
    for longer, text in ((path, '"abc"\n"defgh"\n'), (whole, "f = 123")):
        longer.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            Replay(longer).replies()
        assert str(caught.value) == f"{longer}: a reply of more than 6 characters is not read"


def test_of_a_line_of_a_terabyte_no_more_than_a_reply_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pv.proposers.replay._MOST_CHARACTERS", 1000)
    path = tmp_path / "replies.jsonl"
    path.touch()
    os.truncate(path, 2**40)  # without a block on the disk
    with pytest.raises(ConfigurationError, match="a reply of more than 1,000 characters"):
        Replay(path).replies()


def test_names_that_are_no_proposer_are_refused() -> None:
    for name, reason in (
        ("best", "no proposer is called 'best'; give length-first, replay:FILE, replay:FOLDER, or "
                 "a model such as openai:gpt-5.4"),
        ("replay:", "replay needs saved replies: replay:FILE or replay:FOLDER"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError) as caught:
            make_proposer(name)
        assert str(caught.value) == reason
    with pytest.raises(ConfigurationError) as caught:
        make_proposer("length-first", budget_seconds=0.0)
    assert str(caught.value) == "budget_seconds is 0.0; give a positive number"
    search = make_proposer("length-first")
    assert isinstance(search, OwnProcess)
    assert (search.seconds, search.megabytes) == (30.0, 1_000)
    least = make_proposer("length-first", budget_seconds=0.5)
    assert isinstance(least, OwnProcess)
    assert least.seconds == 0.5


def test_the_seed_decides_which_rows_prompts_and_previews_show() -> None:
    many = parity_splits(train=300).train
    model = Shown(says(PARITY))
    with LLM(model, settings=LLMSettings(tool="local", prompt_rows="auto", facts=True)) as llm:
        prompt, shown, _ = llm.prompt(many, SPLITS.classes, seed=3)
        assert shown == informative_rows(many, 24, 3)
        llm.preview(many, SPLITS.classes, seed=3)
    assert [request.conversation for request in model.requests] == [[UserMessage(prompt)]]
    assert "all 300 training examples, of which those above are a sample" in prompt
    small = ScriptedModel(says(PARITY), context_tokens=6_000)
    with LLM(small, settings=LLMSettings(tool="none", prompt_rows=None, facts=True)) as llm:
        prompt, shown, [warning] = llm.prompt(many, SPLITS.classes, seed=3)
    assert shown == subsample(many, len(shown), 3)
    assert len(shown) < 300
    assert warning.endswith(" (seed 3)")
    assert "The tool can be called" not in prompt


def test_a_model_that_answers_with_no_label_is_told_those_of_the_training_rows() -> None:
    classes = Classes.of(["0", "1", "2"])
    llm, model = asking(says("f = len", PARITY), refinements=1)
    wrong = [Mistake("0", "1", "an error", failed=True)]
    context = Kept().context(mistakes=lambda source: wrong)
    with llm:
        list(llm.propose_in(SPLITS.train, classes, seed=7, context=context))
    assert "The labels there are: 0, 1." in model.asked[-1][-1].text
