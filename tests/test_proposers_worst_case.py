"""Budgets against servers that misbehave, and the one measure of what calls come to at most."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import BudgetError, ModelError
from llm_pv.models.base import (
    ModelOptions,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
    UserMessage,
)
from llm_pv.models.retrying import Backoff
from llm_pv.models.token_estimate import estimate_tokens
from llm_pv.models.vendors import make_vendor_model
from llm_pv.proposers.base import Context
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.llm.costs import (
    Call,
    estimate_of,
    most_of_conversations,
    most_tool_calls,
    next_call,
    output_limit,
    tokens_sent,
)
from llm_pv.proposers.llm.turns import Recorded, call_record, failed_record, spent, turn_record
from llm_pv.proposers.spending import Amount, Budget
from scripted_model import ScriptedModel, says
from wire_servers import Seen, Wire, WireServer, chat

TRAIN = Examples(["0", "1"], ["0", "1"])
CLASSES = Classes.of(["0", "1"])

GOOD = chat('```python\ndef f(x):\n    return x == "1"\n```')
REPLIES = {
    "good": Wire(GOOD),
    "slow": Wire(silent=True),
    "cut": Wire(GOOD, cut=30),
    "unreadable": Wire('{"choices": [{"mess'),
    "page": Wire("<html>busy</html>"),
    "busy": Wire({"error": {"message": "busy"}}, 429),
    "broken": Wire({"error": {"message": "oh"}}, 500),
    "late": Wire({"error": {"message": "gateway"}}, 504),
}
BOAST = {"prompt_tokens": 11, "completion_tokens": 1_000_000, "total_tokens": 1_000_011}
ALL_REPLIES = REPLIES | {"boastful": Wire(GOOD | {"usage": BOAST})}
UNCHARGED = {"busy", "broken"}


async def _no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


def run(
    replies: Sequence[str],
    budget: int,
    attempts: int,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[LLM, list[Seen], list[Any]]:
    """Ask a server that gives these replies in order, the last for ever, within so many tokens."""
    records: list[Any] = []
    told_nothing = {"GET": [Wire({}, 404)]}
    with WireServer([ALL_REPLIES[name] for name in replies], told_nothing) as server:
        options = ModelOptions(
            base_url=server.url + "/v1",
            timeout_seconds=0.15 if "slow" in replies else 60.0,
            retries=3,
            max_output_tokens=500,
        )
        model = make_vendor_model(
            "openai-compatible", "tiny", options, backoff=Backoff(sleep=_no_wait)
        )
        chosen = LLMSettings(tool="none")
        with LLM(model, attempts=attempts, settings=chosen, budget=Budget(tokens=budget)) as llm:
            context = Context(write_turns=records.extend, warn=warn)
            with contextlib.suppress(ModelError, BudgetError):
                list(llm.propose_in(TRAIN, CLASSES, seed=0, context=context))
    return llm, [seen for seen in server.seen if seen.method == "POST"], records


def most_of_a_call() -> int:
    """Return the tokens that one of these calls may come to: the prompt, and 500 written."""
    with LLM(ScriptedModel(says("")), settings=LLMSettings(tool="none")) as llm:
        prompt, _, _ = llm.prompt(TRAIN, CLASSES, seed=0)
    # 200 for what stands around the conversation, and 20 for what stands around a message.
    return estimate_tokens(prompt) + 220 + 500


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(sorted(REPLIES)), min_size=1, max_size=8),
    st.integers(300, 8_000),
    st.integers(1, 4),
)
def test_no_run_can_be_charged_more_than_its_budget(
    replies: list[str], budget: int, attempts: int
) -> None:
    llm, requests, records = run(replies, budget, attempts)
    most = most_of_a_call()
    given_out = [replies[min(place, len(replies) - 1)] for place in range(len(requests))]
    charged = sum(
        18 if name == "good" else 0 if name in UNCHARGED else most for name in given_out
    )  # a good reply says that it took 18 tokens
    assert charged <= budget
    assert llm.tracker.spent_tokens <= budget
    assert llm.tracker.spent_tokens >= charged
    possibly_billed = spent(records).possibly_billed
    # A good reply that comes too late on a busy machine is among them too.
    assert sum(amount.tokens for amount in possibly_billed) >= charged - 18 * given_out.count(
        "good"
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([*REPLIES, "boastful"]), min_size=1, max_size=6), st.data())
def test_a_budget_is_exceeded_only_by_what_a_server_reports_beyond_its_limit(
    replies: list[str], data: st.DataObject
) -> None:
    most = most_of_a_call()
    budget = data.draw(st.integers(300, 6 * most))
    llm, _, records = run(replies, budget, attempts=3)
    answers = [record for record in records if record["kind"] == "turn"]
    # A boastful reply says that it took 1,000,000 tokens, where 500 were allowed to be written.
    beyond = [record for record in answers if record["exceeded"]]
    assert all(record["usage"]["output_tokens"] == 1_000_000 for record in beyond)
    assert sum(record["usage"]["output_tokens"] == 1_000_000 for record in answers) == len(beyond)
    excess = sum(1_000_011 - record["worst"]["tokens"] for record in beyond)
    assert llm.tracker.spent_tokens <= budget + excess
    assert sum(record["worst"]["tokens"] for record in beyond) <= budget  # sent together at most


def test_a_reply_that_took_more_than_it_was_allowed_is_named_and_ends_the_run() -> None:
    said: list[str] = []
    budget = most_of_a_call() * 3 // 2  # for one call at a time
    llm, requests, records = run(["boastful"], budget, attempts=3, warn=said.append)
    assert len(requests) == 1
    (answer,) = (record for record in records if record["kind"] == "turn")
    assert answer["exceeded"]
    assert answer["usage"]["output_tokens"] == 1_000_000
    assert llm.tracker.spent_tokens == 1_000_011
    allowed = answer["worst"]["tokens"]
    assert [line for line in said if "the server reports" in line] == [
        f"the server reports 1,000,011 tokens for turn 1 of conversation 1, which was allowed "
        f"{allowed:,}; all of them count, so that this report alone can exceed the budget"
    ]
    _, _, honest = run(["good"], 5_000, attempts=1)
    assert [record["exceeded"] for record in honest if record["kind"] == "turn"] == [False]


def test_a_server_that_always_answers_unreadably_is_asked_once_an_attempt() -> None:
    _, requests, _ = run(["unreadable"], 1_000_000, attempts=3)
    assert len(requests) == 3


def test_a_slow_server_is_not_asked_beyond_the_budget() -> None:
    most = most_of_a_call()
    llm, requests, _ = run(["slow"], 2 * most + most // 2, attempts=3)
    assert len(requests) == 2
    assert llm.tracker.spent_tokens == 2 * most


@dataclass
class Priced(ScriptedModel):
    """One cent for a token sent, two for one written, five for one written to a cache."""

    def price(self, usage: Usage) -> float | None:
        plain = usage.input_tokens - usage.cache_write_tokens
        return (plain + 2 * usage.output_tokens + 5 * usage.cache_write_tokens) / 100


def test_the_worst_case_counts_a_hosted_tools_rounds_and_writes_to_a_cache() -> None:
    model = Priced(says(""))
    assert Call(100, 50).worst(model) == Amount(5 * 1.0 + 2 * 0.5, 150)
    assert Call(100, 50, samples=3).worst(model) == Amount(5 * 1.0 + 2 * 1.5, 250)
    # The vendor reads the conversation again for each of ten rounds of its tool.
    assert Call(100, 50, tool="hosted").worst(model) == Amount(5 * 10.0 + 2 * 0.5, 1_050)


def test_what_conversations_come_to_at_most_is_the_worst_case_of_every_call() -> None:
    model = Priced(says(""))
    calls = most_of_conversations(
        model, Call(100, 50, 2, "local"), tool_calls=1, shown=7, refinements=0
    )
    # One call of the tool, one refused, one answer; two conversations go on from the first call.
    assert [(call.sent, call.samples) for call in calls] == [
        (100, 2), (157, 1), (214, 1), (157, 1), (214, 1),
    ]  # fmt: skip
    again = most_of_conversations(model, Call(100, 50), tool_calls=9, shown=0, refinements=2)
    assert [call.sent for call in again] == [100, 150, 200]


def test_the_price_shown_before_is_never_below_that_of_the_first_calls() -> None:
    model = Priced(says(""), tool_places=frozenset({"none", "local", "hosted"}))
    for tool in ("none", "local", "hosted"):
        for refinements in (0, 2):
            chosen = LLMSettings(tool=tool, refinements=refinements, tool_calls=3)
            with LLM(model, attempts=2, settings=chosen) as llm:
                estimate = estimate_of(llm, *llm.preview(TRAIN, CLASSES, seed=0))
            assert estimate.first_calls is not None
            assert estimate.most is not None
            assert estimate.first_calls <= estimate.most
    assert most_tool_calls(LLMSettings(tool_calls=3, refinements=1), "local") == 6
    assert most_tool_calls(LLMSettings(tool_calls=3), "hosted") == 10
    assert most_tool_calls(LLMSettings(), "none") == 0


def test_a_call_that_does_not_fit_the_context_is_cut_to_what_does() -> None:
    model = ScriptedModel(says(""), context_tokens=1_000, max_output_tokens=600)
    # 200 tokens for the request, 20 for the message, and its characters.
    assert next_call(model, None, [UserMessage("x" * 100)], 1) == Call(320, 600)
    assert next_call(model, None, [UserMessage("x" * 380)], 1) == Call(600, 400)
    assert next_call(model, None, [UserMessage("x" * 580)], 1) == Call(
        800, 250
    )  # a quarter is left
    assert next_call(model, None, [UserMessage("x" * 5_000)], 1) == Call(5_220, 250)
    offer = ToolOffer("local", "t" * 30)
    assert next_call(model, offer, [UserMessage("x" * 380)], 1) == Call(630, 370, 1, "local")


def test_what_was_spent_holds_calls_that_a_kill_cut_off_and_tries_without_an_answer() -> None:
    worst = Amount(0.5, 1_000)
    lost = ModelError("gone", possibly_billed=2)
    answer = Turn("hi", usage=Usage(100, 10), cost_usd=0.25)
    records = [
        call_record(1, 1, worst),  # killed while it was made
        call_record(1, 1, worst),
        turn_record(1, 1, "d", answer, worst),
        call_record(2, 1, worst),
        call_record(2, 1, worst, again=True),
        failed_record(2, 1, lost, worst, lost.possibly_billed),
        call_record(3, 1, worst),
        call_record(3, 1, worst, again=True),  # killed in its second try
    ]
    spending = spent(records)
    assert (spending.usage, spending.cost_usd) == (Usage(100, 10), 0.25)
    assert spending.most_possibly_billed == Amount(2.5, 5_000)


@pytest.mark.parametrize("cost", [None, 0.25])
def test_a_price_that_is_not_known_after_all_counts_at_its_worst(cost: float | None) -> None:
    turn = Turn("hi", usage=Usage(100, 10), cost_usd=cost)
    spending = spent([turn_record(1, 1, "d", turn, Amount(0.5, 1_000))])
    assert spending.cost_usd == cost
    assert spending.paid == (Amount(0.5 if cost is None else 0.25, 110),)


def test_a_recorded_turn_is_read_as_it_was() -> None:
    turn = Turn(
        "hi",
        calls=(ToolCall("c1", "print(1)"),),
        finish="tools",
        usage=Usage(100, 10, cached_tokens=5),
        cost_usd=0.25,
        seconds=1.5,
        tries=3,
        possibly_billed=2,
        hosted_calls=4,
        model="served",
        raw={"a": 1},
        redacted=True,
    )
    assert Recorded([turn_record(2, 7, "d", turn)], "d").turns[2, 7] == turn


def test_the_rows_of_a_prompt_are_drawn_by_the_seed() -> None:
    rows = Examples([f"{number:07b}" for number in range(100)], ["0", "1"] * 50)
    settings = LLMSettings(tool="none", prompt_rows=10)
    with LLM(ScriptedModel(says("")), settings=settings) as llm:
        first, again, other = [llm.prompt(rows, CLASSES, seed=seed)[1] for seed in (3, 3, 4)]
    assert first.inputs == again.inputs != other.inputs
    assert len(first) == 10


def test_tokens_sent_are_counted_message_by_message() -> None:
    model = ScriptedModel(says(""))
    call = ToolCall("1", "xy")
    turn = Turn("abc", (call, ToolCall("2", None)), usage=Usage(0, 4))
    messages: list[Any] = [UserMessage("12345"), turn, ToolAnswer(call, "out")]
    # 200, and 20 beside each: 5 of the prompt, 3 + 2 of the turn, 3 of the output.
    assert tokens_sent(model, None, messages) == 200 + 25 + 25 + 23
    assert tokens_sent(model, ToolOffer("local", "TT"), messages) == 202 + 25 + 25 + 23
    messages[1] = replace(turn, usage=Usage(0, 9))
    assert tokens_sent(model, None, messages) == 200 + 25 + 29 + 23
    assert next_call(model, None, messages, 2) == Call(277, 1_000, 2, "none")
    assert next_call(model, ToolOffer("hosted"), messages, 1) == Call(277, 1_000, 1, "hosted")
    model.context_tokens = 3
    assert output_limit(model, 10) == 1


def test_the_worst_case_of_a_call_counts_caches_samples_and_hosted_rounds() -> None:
    model = Priced(says(""))
    assert Call(100, 50, 2).worst(model) == Amount((5 * 100 + 2 * 100) / 100, 200)
    assert Call(100, 50, 1, "hosted").worst(model) == Amount((5 * 1_000 + 2 * 50) / 100, 1_050)
    assert Call(100, 50, 1, "local").worst(ScriptedModel(says(""), priced=False)) == Amount(
        None, 150
    )

    class Plain(Priced):
        def price(self, usage: Usage) -> float | None:
            return None if usage.cache_write_tokens else 3.0

    assert Call(100, 50).worst(Plain(says(""))) == Amount(3.0, 150)


def test_the_most_tool_calls_of_an_attempt_are_those_of_all_its_refinements() -> None:
    settings = LLMSettings(tool_calls=3, refinements=2)
    places: tuple[ToolPlace, ...] = ("none", "local", "hosted")
    assert [most_tool_calls(settings, place) for place in places] == [0, 9, 30]
