"""One conversation, without a server or a sandbox: every record, amount and message by value."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from llm_pv.errors import BudgetError, CredentialError, ModelError
from llm_pv.models.base import Message, ToolAnswer, ToolCall, ToolOffer, Turn, Usage, UserMessage
from llm_pv.proposers.base import Mistake, Proposal
from llm_pv.proposers.llm import LLMSettings, conversation
from llm_pv.proposers.llm.conversation import Conversation, Dialogue
from llm_pv.proposers.llm.earlier_programs import EarlierPrograms
from llm_pv.proposers.llm.prompt.statement import prompt_digest
from llm_pv.proposers.llm.turns import (
    Recorded,
    call_record,
    failed_record,
    shown_record,
    tool_record,
    turn_record,
)
from llm_pv.proposers.spending import Amount, Budget, BudgetTracker
from scripted_model import ScriptedModel, says
from test_proposers_llm import Kept

F = "f = len"
G = "f = max"
# The prompt has 1 character; 20 are counted around each message, 200 around the conversation.
# 1,000 are written at most; a token costs a tenth of a cent.
WORST = Amount(1.221, 1_221)


def scene(
    script: Callable[[Sequence[Message], int], Turn],
    *,
    model: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[Dialogue, ScriptedModel, Kept]:
    asked, kept = ScriptedModel(script, **(model or {})), Kept()
    dialogue = Dialogue(
        model=asked,
        prompt="P",
        digest="D",
        tool=None,
        run_code=lambda code, place, earlier: (f"ran {code}", 0.25),
        settings=LLMSettings(**(settings or {})),
        refinement_message=lambda wrong, **more: f"{len(wrong)} wrong {sorted(more.items())}",
        no_program_message=lambda reason: f"no program: {reason}",
        tracker=BudgetTracker(Budget(tokens=100_000)),
        context=kept.context(mistakes=changes.pop("mistakes", lambda source: [])),
        recorded=Recorded([], "D"),
        cancelled=threading.Event(),
    )
    return replace(dialogue, **changes), asked, kept


def talk(dialogue: Dialogue, samples: int = 1) -> list[Proposal]:
    opening = dialogue.opening(3)
    return list(Conversation(dialogue, 3, opening, seed=7, samples=samples).proposals())


def plain(*records: Any) -> Any:
    return json.loads(json.dumps(records))


def test_a_turn_is_recorded_paid_and_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[tuple[str, dict[str, Any]]] = []

    @contextmanager
    def span(name: str, **attributes: Any) -> Iterator[None]:
        spans.append((name, attributes))
        yield

    monkeypatch.setattr(conversation, "span", span)
    monkeypatch.setattr(conversation, "read_several", lambda *_: pytest.fail("it is read later"))
    turn = Turn(F, (), "stop", Usage(100, 10), 0.5, 1.5, 2, 1, 2, notices=("lowered",))
    dialogue, model, kept = scene(says(turn))
    assert talk(dialogue) == [
        Proposal(F, seconds=1.5, cost_usd=0.5, prompt_digest="D", origin="3",
                 usage=Usage(100, 10), tool_calls=2)
    ]  # fmt: skip
    assert kept.turns == plain(
        call_record(3, 1, WORST, False), turn_record(3, 1, "D", turn, WORST, asked="")
    )
    assert dialogue.recorded.turns == {(3, 1): turn}
    assert (kept.warnings, spans) == (
        ["lowered"],
        [("llm_pv.turn", {"conversation": 3, "turn": 1})],
    )
    assert (model.asked, model.offers) == ([(UserMessage("P"),)], [None])
    assert (model.seeds, model.limits) == ([7], [1_000])
    # One try that may be billed, at its worst case, and 110 tokens; nothing is held any more.
    assert dialogue.tracker.spent_tokens == 1_221 + 110
    assert dialogue.tracker.spent_usd == pytest.approx(1.221 + 0.5)
    dialogue.tracker.reserve(Amount(0.0, 100_000 - 1_331))


def test_an_answer_of_unknown_price_counts_at_its_worst_case() -> None:
    dialogue, _, kept = scene(says(Turn(F, usage=Usage(100, 10))))
    [found] = talk(dialogue)
    assert found.cost_usd is None
    assert dialogue.tracker.spent_usd == pytest.approx(1.221)
    assert kept.turns[1]["cost_usd"] is None


def test_a_call_for_two_conversations_is_recorded_for_both() -> None:
    turns = [Turn(F, usage=Usage(100, 10), cost_usd=0.5), Turn(G, usage=Usage(0, 20), cost_usd=1.0)]
    dialogue, model, kept = scene(lambda _, seed: turns[seed - 7], model={"most_samples": 2})
    [found] = talk(dialogue, samples=2)
    assert (found.text, found.cost_usd) == (F, 0.5)
    worst = Amount(2.221, 2_221)
    assert kept.turns == plain(
        call_record(3, 1, worst, False),
        *(turn_record(3 + n, 1, "D", turn, worst) for n, turn in enumerate(turns)),
    )
    assert dialogue.recorded.turns == {(3, 1): turns[0], (4, 1): turns[1]}
    assert dialogue.tracker.spent_tokens == 130
    other = Conversation(dialogue, 4, ("P", "D"), seed=8, samples=1)
    assert [(one.text, one.origin) for one in other.proposals()] == [(G, "4")]
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (ModelError("HTTP 500", possibly_billed=2, body="oh"), 2),
        (ModelError("HTTP 400"), 0),
        (BudgetError("spent"), 0),
    ],
)
def test_a_call_that_fails_is_recorded_and_paid_as_far_as_it_may_be_billed(
    error: ModelError | BudgetError, tries: int
) -> None:
    def fails(_: Sequence[Message], seed: int) -> Turn:
        raise error

    dialogue, _, kept = scene(fails)
    with pytest.raises(type(error)) as caught:
        talk(dialogue)
    assert caught.value is error
    assert kept.turns == plain(
        call_record(3, 1, WORST, False), failed_record(3, 1, error, WORST, tries)
    )
    assert dialogue.tracker.spent_tokens == tries * 1_221
    assert dialogue.recorded.turns == {}


def test_a_retry_is_reserved_and_recorded_before_it_is_made() -> None:
    class Retrying(ScriptedModel):
        def complete(self, request: Any) -> list[Turn]:
            asyncio.run(request.before_retry())
            if self.script is refused:
                asyncio.run(request.before_retry())
            return super().complete(request)

    def refused(_: Sequence[Message], seed: int) -> Turn:
        raise AssertionError("no such call fits")

    for script, last in ((says(Turn(F, possibly_billed=1, cost_usd=0.0)), "turn"),
                         (refused, "failed")):  # fmt: skip
        kept = Kept()
        dialogue, _, _ = scene(
            script, context=kept.context(), tracker=BudgetTracker(Budget(tokens=2 * 1_221 + 1))
        )
        dialogue = replace(dialogue, model=Retrying(script))
        if last == "turn":
            assert [one.text for one in talk(dialogue)] == [F]
        else:
            with pytest.raises(BudgetError, match="2,442 of 2,443 tokens are spent"):
                talk(dialogue)
        assert [(one["kind"], one.get("again")) for one in kept.turns] == [
            ("call", False), ("call", True), (last, None),
        ]  # fmt: skip
        assert dialogue.tracker.spent_tokens == (1 if last == "turn" else 2) * 1_221
        if last == "failed":
            assert kept.turns[-1]["doubtful_tries"] == 2


def test_a_conversation_that_is_cancelled_makes_no_call() -> None:
    dialogue, model, kept = scene(says(F))
    dialogue.cancelled.set()
    with pytest.raises(ModelError, match="the run is being stopped") as caught:
        talk(dialogue)
    assert caught.value.transient
    assert kept.turns == plain(failed_record(3, 1, caught.value, WORST, 0))
    assert (model.asked, dialogue.tracker.spent_tokens) == ([], 0)


FEW = Usage(10, 1)


def wanting(*codes: str | None, usage: Usage = FEW, seconds: float = 0.5) -> Turn:
    calls = tuple(ToolCall(str(n), code, problem="unreadable") for n, code in enumerate(codes))
    return Turn("", calls, "tools", usage, 0.25, seconds)


OFFER = ToolOffer("local", "TT")


def answers(model: ScriptedModel) -> list[tuple[str, str]]:
    return [(one.call.id, one.text) for one in model.asked[-1] if isinstance(one, ToolAnswer)]


def test_tool_calls_are_answered_up_to_their_number_and_then_forbidden() -> None:
    ran: list[tuple[str, int, tuple[str, ...]]] = []

    def run(code: str, place: int, earlier: Sequence[str]) -> tuple[str, float]:
        ran.append((code, place, tuple(earlier)))
        return f"ran {code}", 0.25

    turns = [wanting("a"), wanting(None, "b", "c"), wanting("d"), Turn(F, cost_usd=1.0)]
    more: dict[str, Any] = {"tool": OFFER, "run_code": run, "settings": {"tool_calls": 3}}
    dialogue, model, kept = scene(says(*turns), **more)
    [found] = talk(dialogue)
    last = "\n[That was the last of 3 calls. Give your answer now.]"
    none = "No more calls are allowed. Give your answer now, without the tool."
    assert answers(model) == [
        ("0", "ran a"),
        ("0", "unreadable"),
        ("1", f"ran b{last}"),
        ("2", none),
    ]
    assert ran == [("a", 1, ()), ("b", 2, ("a",))]
    assert [offer and offer.forbidden for offer in model.offers] == [False, False, True]
    assert model.offers[2] == replace(OFFER, forbidden=True)
    assert (found.text, found.failure) == ("", "still asked for the tool after 3 calls")
    assert (found.tool_calls, found.usage, found.cost_usd) == (3, Usage(30, 3), 0.75)
    assert found.seconds == 3 * 0.5 + 2 * 0.25
    assert [one for one in kept.turns if one["kind"] == "tool"] == plain(
        tool_record(3, 1, 1, "ran a", 0.25), tool_record(3, 2, 1, "unreadable", 0.0),
        tool_record(3, 2, 2, "ran b", 0.25),
    )  # fmt: skip
    # What stands on disk is read, not run; the last turn may give a program in its call.
    dialogue, model, again = scene(
        says(wanting("a"), wanting("b"), wanting("f = lambda x: 1")),
        recorded=Recorded(kept.turns[:3], "D"), tool=OFFER, settings={"tool_calls": 1},
        run_code=lambda *_: ("other", 9.0),
    )  # fmt: skip
    [found] = talk(dialogue)
    assert answers(model) == [("0", "ran a\n[That was the last of 1 calls. Give your answer now.]"),
                              ("0", none)]  # fmt: skip
    assert (found.text, found.seconds) == ("f = lambda x: 1", 1.75)
    assert [one["kind"] for one in again.turns] == ["call", "turn"] * 2


def test_tool_calls_end_with_their_seconds() -> None:
    turns = [wanting("a", "b", "c", seconds=2.5), Turn(F)]
    for limit, runs in ((5.5, 1), (5.6, 2), (8.6, 3), (2.5, 0)):
        dialogue, model, _ = scene(
            says(*turns), tool=OFFER, settings={"most_seconds": limit},
            run_code=lambda code, place, earlier: (code, 3.0),
        )  # fmt: skip
        [found] = talk(dialogue)
        late = "The time is over. Give your answer now, without the tool."
        assert answers(model) == [
            (str(n), code if n < runs else late) for n, code in enumerate("abc")
        ]
        assert (found.text, found.seconds) == (F, 2.5 + 3 * runs)


@pytest.mark.parametrize(
    ("usage", "size", "cut"),
    [
        # Of 4,000 a quarter is for the answer, and what was sent is gone: by the server's count
        # 500, or 202 with the tool, 21 of the prompt and 22 of the turn.
        (Usage(400, 100), 2_500, False),
        (Usage(400, 100), 2_501, True),
        (Usage(), 3_000 - 200 - 2 - 21 - 22, False),
        (Usage(), 3_001 - 200 - 2 - 21 - 22, True),
    ],
)
def test_a_tool_answer_is_cut_to_the_room_in_the_context(
    usage: Usage, size: int, cut: bool
) -> None:
    turns = [wanting("a", "b", usage=usage), Turn(F)]
    dialogue, model, _ = scene(
        says(*turns), tool=OFFER, model={"context_tokens": 4_000},
        run_code=lambda code, place, earlier: (code * size, 0.0),
    )  # fmt: skip
    talk(dialogue)
    full = "The context is nearly full. Give your answer now, without the tool."
    first = f"{'a' * (size - 1)}...\n{full}" if cut else "a" * size
    assert answers(model) == [("0", first), ("1", full)]
    assert [offer and offer.forbidden for offer in model.offers] == [False, True]


def test_a_model_is_shown_its_mistakes_until_few_enough_are_left() -> None:
    wrong = [Mistake("0", "1", "0"), Mistake("1", "1", "0")]
    mistakes = {f"{F}\n": wrong, f"{G}\n": wrong[:1]}
    replies = [Turn(text, cost_usd=0.5) for text in ("No idea.", F, F, G, "f = min")]
    dialogue, model, kept = scene(
        says(*replies), settings={"refinements": 9}, tolerated=1, mistakes=mistakes.__getitem__
    )
    found = talk(dialogue)
    assert [(one.text, one.origin) for one in found] == [
        ("No idea.", "3"), (F, "3.1"), (F, "3.2"), (G, "3.3"),
    ]  # fmt: skip
    told = [
        "no program: the reply holds no program: nothing in it defines a function f",
        "2 wrong [('alike', False), ('repeated', False)]",
        "2 wrong [('alike', False), ('repeated', True)]",
    ]
    assert [one.text for one in model.asked[-1] if isinstance(one, UserMessage)] == ["P", *told]
    records = [one for one in kept.turns if one["kind"] == "turn"]
    assert [one["asked"] for one in records] == ["", *told]
    assert [one["turn"] for one in records] == [1, 2, 3, 4]
    assert model.seeds == [7] * 4


def test_each_program_of_a_reply_is_proposed_and_the_best_is_sent_back() -> None:
    sources = ["def f(x):\n    return 0\n", "def f(x):\n    return 1\n", "f = len\n"]
    count = dict(zip(sources, (1, 3, 2), strict=True))
    text = "".join(f"```python\n{source}```\n" for source in sources)
    dialogue, model, _ = scene(
        says(Turn(text, cost_usd=0.5), Turn(F)),
        settings={"refinements": 1, "programs_per_reply": 3},
        mistakes=lambda source: [Mistake("0", "1", "0")] * count[source],
    )  # fmt: skip
    first, second, third, last = talk(dialogue)
    assert (first.text, first.origin, first.cost_usd) == (text, "3", 0.5)
    assert second == Proposal(sources[1], cost_usd=0.0, prompt_digest="D", origin="3/2")
    assert third == Proposal(sources[0], cost_usd=0.0, prompt_digest="D", origin="3/3")
    assert (last.text, last.origin) == (F, "3.1")
    assert model.asked[-1][-1].text == "1 wrong [('alike', False), ('repeated', False)]"


def test_a_later_conversation_is_shown_the_programs_of_earlier_ones() -> None:
    earlier = EarlierPrograms(2, len)
    mistakes: dict[str, Any] = {"mistakes": lambda source: [Mistake("0", "1", "0")]}
    dialogue, model, kept = scene(
        says(F, F), settings={"refinements": 1}, earlier=earlier, **mistakes
    )
    assert [one.origin for one in talk(dialogue)] == ["3", "3.1"]
    # Before the second reply its program was known.
    assert model.asked[1][-1].text == "1 wrong [('alike', False), ('repeated', False)]"
    assert kept.turns[0] == plain(shown_record(3, "D", prompt_digest("P"), ""))[0]
    assert kept.prompts == {prompt_digest("P"): "P"}
    prompt, digest = dialogue.opening(4)
    assert prompt == f"P{earlier.note()}"
    assert "Earlier attempts gave 2 programs." in prompt
    assert digest == prompt_digest(prompt)
    assert kept.turns[-1] == plain(shown_record(4, "D", digest, earlier.note()))[0]
    assert kept.prompts[digest] == prompt
    assert dialogue.recorded.shown == {3: "", 4: earlier.note()}
    records = len(kept.turns)
    earlier.add([], [])
    assert dialogue.opening(3) == ("P", prompt_digest("P"))
    assert len(kept.turns) == records
    dialogue, model, _ = scene(says(G, F), settings={"refinements": 1}, earlier=earlier, **mistakes)
    talk(dialogue)
    assert model.asked[1][-1].text == "1 wrong [('alike', True), ('repeated', False)]"


@pytest.mark.parametrize(
    ("error", "cancelled", "kept_program"),
    [
        (ModelError("HTTP 500"), False, True),
        (BudgetError("spent"), False, True),
        (CredentialError("the key is wrong"), False, False),
        (ModelError("stopped"), True, False),
    ],
)
def test_a_program_of_an_earlier_turn_outlives_a_later_call_that_fails(
    error: Exception, cancelled: bool, kept_program: bool
) -> None:
    turn = replace(wanting("a"), text="```\nf = len\n```")

    def script(messages: Sequence[Message], seed: int) -> Turn:
        if any(isinstance(one, Turn) for one in messages):
            if cancelled:
                dialogue.cancelled.set()
            raise error
        return turn

    dialogue, _, _ = scene(script, tool=OFFER)
    if kept_program:
        [found] = talk(dialogue)
        assert (found.text, found.cost_usd, found.failure) == (turn.text, 0.25, "")
    else:
        with pytest.raises(type(error)):
            talk(dialogue)
