"""How each vendor's answers are read, through the vendors' own clients."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fake_openai_server import FakeOpenAI
from llm_pv.cli.doctor import examine
from llm_pv.errors import ConfigurationError, CredentialError, ModelError
from llm_pv.models import (
    ModelOptions,
    Request,
    ToolCall,
    ToolOffer,
    Usage,
    UserMessage,
)
from llm_pv.models.endpoint import PriceList
from llm_pv.models.registry import PROVIDERS, Provider, make_model
from wire_servers import OpenModels, Wire, WireServer, anthropic, chat, google

HI = Request([UserMessage("hi")])

# A vendor may retire the models named here at any time.


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenModels]:
    with OpenModels(monkeypatch) as models:
        yield models


def test_tokens_and_prices_of_anthropic(opened: OpenModels) -> None:
    with WireServer([Wire(anthropic())]) as server:
        [turn] = opened.at("anthropic:claude-opus-4-8", server.url).complete(HI)
    # Its input_tokens leave out what was read from and written to the cache.
    assert turn.usage == Usage(600, 40, cached_tokens=300, cache_write_tokens=200)
    # 5, 6.25 and 0.5 dollars a million in, 25 out.
    assert turn.cost_usd == pytest.approx((100 * 5 + 200 * 6.25 + 300 * 0.5 + 40 * 25) / 1e6)
    assert turn.model == "claude-opus-4-8"


def test_tokens_and_prices_of_google(opened: OpenModels) -> None:
    with WireServer([Wire(google())]) as server:
        [turn] = opened.at("gemini:gemini-3.5-flash", server.url).complete(HI)
    # Its candidate tokens leave out the thoughts.
    assert turn.usage == Usage(100, 50, cached_tokens=60, reasoning_tokens=30)
    # 2 dollars a million in, a tenth of it from the cache, 12 out.
    assert turn.cost_usd == pytest.approx((40 * 2 + 60 * 0.2 + 50 * 12) / 1e6)


def test_tokens_and_prices_of_openai(opened: OpenModels) -> None:
    with FakeOpenAI([{"text": "x", "usage": [1000, 50, 400, 30]}]) as server:
        url = server.base_url.removesuffix("/v1")
        [turn] = opened.at("openai:gpt-5.4", url).complete(HI)
        chat_options = ModelOptions(api="chat")
        [over_chat] = opened.at("openai:gpt-5.4", url, chat_options).complete(HI)
        [unknown] = opened.at("openai:gpt-77-nope", url).complete(HI)
        [local] = opened.at("openai-compatible:gpt-5.4", url).complete(HI)
    assert turn.usage == Usage(1000, 50, cached_tokens=400, reasoning_tokens=30)
    # 2.5 dollars a million in, 0.25 from the cache, 15 out.
    expected = (600 * 2.5 + 400 * 0.25 + 50 * 15) / 1e6
    assert turn.cost_usd == over_chat.cost_usd == pytest.approx(expected)
    assert unknown.cost_usd is None
    assert local.cost_usd is None
    assert local.usage == turn.usage


def test_a_server_that_counts_nothing_is_counted_for(opened: OpenModels) -> None:
    reply = chat("0110 0110")
    del reply["usage"]
    with WireServer([Wire(reply)]) as server:
        model = opened.at("openai-compatible:tiny", server.url)
        [turn] = model.complete(Request([UserMessage("101010")]))
    assert turn.usage == Usage(6, 8)
    assert turn.cost_usd is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "refused"),
        ("bored", "stop"),
        (None, "stop"),
    ],
)
def test_why_chat_completions_end(opened: OpenModels, reason: str | None, finish: str) -> None:
    with WireServer([Wire(chat(finish_reason=reason))]) as server:
        [turn] = opened.at("openai-compatible:tiny", server.url).complete(HI)
    assert turn.finish == finish
    assert turn.text == "hello"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("refusal", "refused"),
        ("model_context_window_exceeded", "length"),
        ("bored", "stop"),
    ],
)
def test_why_anthropic_ends(opened: OpenModels, reason: str, finish: str) -> None:
    with WireServer([Wire(anthropic(stop_reason=reason))]) as server:
        [turn] = opened.at("anthropic:claude-opus-4-8", server.url).complete(HI)
    assert turn.finish == finish


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "refused"),
        ("PROHIBITED_CONTENT", "refused"),
        ("MALFORMED_FUNCTION_CALL", "error"),
    ],
)
def test_why_google_ends(opened: OpenModels, reason: str, finish: str) -> None:
    with WireServer([Wire(google(finishReason=reason))]) as server:
        [turn] = opened.at("google:gemini-3.5-flash", server.url).complete(HI)
    assert turn.finish == finish


def test_google_says_that_a_prompt_was_blocked(opened: OpenModels) -> None:
    reply = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    with WireServer([Wire(reply)]) as server:
        [turn] = opened.at("google:gemini-3.5-flash", server.url).complete(HI)
    assert (turn.text, turn.finish) == ("", "refused")


def test_a_cut_response_of_openai_says_so(opened: OpenModels) -> None:
    with FakeOpenAI([{"text": "def f(", "finish": "max_output_tokens"}]) as server:
        url = server.base_url.removesuffix("/v1")
        [turn] = opened.at("openai:gpt-5.4", url).complete(HI)
    assert (turn.text, turn.finish) == ("def f(", "length")


def test_a_refusal_gives_its_reason(opened: OpenModels) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    with WireServer([Wire(chat(message=message))]) as server:
        [turn] = opened.at("openai-compatible:tiny", server.url).complete(HI)
    assert (turn.text, turn.finish) == ("I would rather not.", "refused")


def test_thoughts_in_tags_are_not_said(opened: OpenModels) -> None:
    with WireServer([Wire(chat("<think>no, yes</think>yes"))]) as server:
        [turn] = opened.at("openai-compatible:tiny", server.url).complete(HI)
    assert turn.text == "yes"


def test_several_answers_of_one_call(opened: OpenModels) -> None:
    with FakeOpenAI([{"text": "a"}]) as server:
        url = server.base_url.removesuffix("/v1")
        model = opened.at("openai-compatible:tiny", url, ModelOptions(extra={"top_k": 5}))
        turns = model.complete(Request([UserMessage("hi")], samples=3, seed=2**40 + 7))
    assert [turn.text for turn in turns] == ["a", "a", "a"]
    assert [turn.usage.output_tokens for turn in turns] == [60, 0, 0]
    assert [turn.tries for turn in turns] == [1, 0, 0]
    assert all("alternatives" not in json.dumps(turn.raw) for turn in turns)
    [body] = server.bodies
    assert (body["n"], body["top_k"], body["seed"]) == (3, 5, 7)
    assert body["max_tokens"] == 20_000


def test_a_vendor_that_answers_once_is_not_asked_for_more(opened: OpenModels) -> None:
    model = opened.at("anthropic:claude-opus-4-8", "http://127.0.0.1:9")
    assert model.most_samples == 1
    with pytest.raises(ConfigurationError, match="at most 1 answers"):
        model.complete(Request([UserMessage("hi")], samples=2))


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}]
)
def test_tokens_nobody_counted_are_estimated_and_priced(
    opened: OpenModels, usage: dict[str, int] | None
) -> None:
    reply = {**chat("aaaa"), "model": "gpt-5.4-mini", "usage": usage}
    with WireServer([Wire(reply)]) as server:
        model = opened.at("openai:gpt-5.4-mini", server.url, ModelOptions(api="chat"))
        [turn] = model.complete(Request([UserMessage("bbbbbb")]))
    # Two letters a token; 75 cents a million tokens of input, 4.5 dollars of output.
    assert turn.usage == Usage(3, 2)
    assert turn.cost_usd == pytest.approx((3 * 0.75 + 2 * 4.5) / 1e6)
    assert turn.raw["metadata"] == {"usage": "estimated"}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 9}, Usage(9, 2)),
        ({"completion_tokens": 70}, Usage(3, 70)),
        ({"total_tokens": 80}, Usage(3, 80)),
        ({"prompt_tokens": 9, "total_tokens": 80}, Usage(9, 71)),
        # Some servers count reasoning in the total alone.
        ({"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 80}, Usage(9, 71)),
        ({"prompt_tokens": 9, "completion_tokens": 70, "total_tokens": 8}, Usage(9, 70)),
    ],
)
def test_only_what_a_server_does_not_count_is_estimated(
    usage: dict[str, int], counted: Usage, opened: OpenModels
) -> None:
    with WireServer([Wire({**chat("aaaa"), "usage": usage})]) as server:
        [turn] = opened.at("openai-compatible:tiny", server.url).complete(
            Request([UserMessage("bbbbbb")])
        )
    assert turn.usage == counted  # two letters a token


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, (3, 2)),
        ({"input_tokens": "50", "output_tokens": 400}, (50, 400)),
        ({"input_tokens": -5, "output_tokens": None}, (3, 2)),
    ],
)
def test_a_message_without_sound_counts_is_read(
    usage: object, counted: tuple[int, int], opened: OpenModels
) -> None:
    reply = {**anthropic({"type": "text", "text": "aaaa"}), "usage": usage}
    with WireServer([Wire(reply)]) as server:
        model = opened.at("anthropic:claude-opus-4-8", server.url)
        [turn] = model.complete(Request([UserMessage("bbbbbb")]))
    assert (turn.text, turn.usage.input_tokens, turn.usage.output_tokens) == ("aaaa", *counted)


@pytest.mark.parametrize(
    ("counts", "counted"),
    [
        ({"promptTokenCount": 50, "candidatesTokenCount": 100, "totalTokenCount": 450}, (50, 400)),
        ({"promptTokenCount": 50, "thoughtsTokenCount": 9, "totalTokenCount": 80}, (50, 30)),
        ({"promptTokenCount": 50, "toolUsePromptTokenCount": 20, "candidatesTokenCount": 10,
          "totalTokenCount": 80}, (70, 10)),
    ],
)  # fmt: skip
def test_what_a_total_holds_beside_its_parts_are_thoughts(
    counts: dict[str, int], counted: tuple[int, int], opened: OpenModels
) -> None:
    reply = {**google({"text": "aaaa"}), "usageMetadata": counts}
    with WireServer([Wire(reply)]) as server:
        [turn] = opened.at("google:gemini-3.5-flash", server.url).complete(
            Request([UserMessage("bb")])
        )
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == counted


def test_once_a_costlier_model_has_answered_calls_are_reserved_at_its_price(
    opened: OpenModels,
) -> None:
    served = [{**chat("a"), "model": name} for name in ("gpt-5.4", "gpt-5.4-mini")]
    with WireServer([Wire(reply) for reply in served]) as server:
        model = opened.at("openai:gpt-5.4-mini", server.url, ModelOptions(api="chat"))
        before = model.price(Usage(1_000_000, 1_000_000))
        for _ in served:
            model.complete(Request([UserMessage("bb")]))
        after = model.price(Usage(1_000_000, 1_000_000))
    # 75 cents in and 4.5 dollars out, then 2.5 and 15; a million tokens are no short prompt.
    assert before == 5.25
    assert after == PriceList("gpt-5.4", "openai").price(Usage(1_000_000, 1_000_000))
    assert after is not None
    assert after >= 17.5


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": -5, "completion_tokens": 3}, {"prompt_tokens": "many"}, 7]
)
def test_a_server_may_say_little(opened: OpenModels, usage: object) -> None:
    function = {"name": "run_python", "arguments": '{"code": "1"}'}
    message = {"content": "hello", "tool_calls": [{"function": function}]}
    reply = {"choices": [{"message": message}], "usage": usage}
    with WireServer([Wire(reply)]) as server:
        model = opened.at("openai-compatible:tiny", server.url)
        [turn] = model.complete(Request([UserMessage("bbbb")], tool=ToolOffer()))
    assert (turn.text, turn.finish, turn.model) == ("hello", "tools", "")
    assert [call.code for call in turn.calls] == ["1"]
    # Two letters a token; the code is one digit.
    assert turn.usage == Usage(2, 4)


def test_a_server_may_say_little_in_a_response_too(opened: OpenModels) -> None:
    reply = {
        "output": [
            {"content": [{"text": "hello"}]},
            {"type": "function_call", "name": "run_python", "arguments": '{"code": "1"}'},
        ],
        "usage": {"input_tokens": 5, "output_tokens": 3},
    }
    options = ModelOptions(api="responses")
    with WireServer([Wire(reply)]) as server:
        [turn] = opened.at("openai-compatible:tiny", server.url, options).complete(
            Request([UserMessage("hi")], tool=ToolOffer())
        )
    assert (turn.text, turn.finish) == ("hello", "tools")
    assert [call.code for call in turn.calls] == ["1"]
    assert turn.usage == Usage(5, 3)


def stream(*events: Any) -> Wire:
    text = "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events)
    return Wire(text, headers={"Content-Type": "text/event-stream"})


ANTHROPIC_STREAM = [
    {"type": "message_start", "message": anthropic() | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"thinking": "Let me "}},
    {"type": "content_block_delta", "index": 0, "delta": {"thinking": "see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"signature": "signed"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hel"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "run_python", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"partial_json": '{"code": "pri'}},
    {"type": "content_block_delta", "index": 2, "delta": {"partial_json": 'nt(1)"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 40}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize("without_end", [False, True])
def test_a_stream_of_anthropic_that_nobody_asked_for_is_read_as_the_whole(
    without_end: bool, opened: OpenModels
) -> None:
    events = ANTHROPIC_STREAM[: -2 if without_end else None]
    offer = ToolOffer(description="Runs Python.")
    with WireServer([stream(*events)]) as server:
        model = opened.at("anthropic:claude-opus-4-8", server.url)
        [turn] = model.complete(Request([UserMessage("hi")], tool=offer))
    assert turn.text == "hello"
    assert turn.calls == (ToolCall("toolu_1", "print(1)"),)
    assert turn.usage == Usage(600, 40, cached_tokens=300, cache_write_tokens=200)


def test_a_stream_of_anthropic_whose_call_is_cut_off_keeps_its_text(opened: OpenModels) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    with WireServer([stream(*ANTHROPIC_STREAM[:-3], delta)]) as server:
        model = opened.at("anthropic:claude-opus-4-8", server.url)
        [turn] = model.complete(
            Request([UserMessage("hi")], tool=ToolOffer(description="Runs Python."))
        )
    assert turn.text == "hello"


@pytest.mark.parametrize("as_list", [False, True])
def test_a_stream_of_google_that_nobody_asked_for_is_read_as_the_whole(
    as_list: bool, opened: OpenModels
) -> None:
    first = google({"text": "Let me see.", "thought": True}, {"text": "hel"}, finishReason=None)
    last = google({"text": "lo"})
    chunks = [{"candidates": each["candidates"]} for each in (first, last)]
    chunks.append({"usageMetadata": last["usageMetadata"]})
    with WireServer([Wire(chunks) if as_list else stream(*chunks)]) as server:
        [turn] = opened.at("gemini:gemini-3.5-flash", server.url).complete(HI)
    assert turn.text == "hello"
    assert turn.usage == Usage(100, 50, cached_tokens=60, reasoning_tokens=30)
    assert turn.finish == "stop"


@pytest.mark.parametrize(
    ("name", "event"),
    [
        (
            "anthropic:claude-opus-4-8",
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        ),
        ("gemini:gemini-3.5-flash", {"error": {"code": 503, "message": "busy"}}),
    ],
)
def test_an_error_in_a_stream_has_the_status_it_should_have_had(
    name: str, event: object, opened: OpenModels
) -> None:
    with WireServer([stream(event)]) as server, pytest.raises(ModelError, match="busy") as caught:
        opened.at(name, server.url, ModelOptions(retries=0)).complete(HI)
    assert caught.value.transient


def test_one_entry_makes_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Provider(
        "example",
        "openai_api.compatible_endpoint",
        interfaces=("chat",),
        keys=("EXAMPLE_API_KEY",),
        address="https://api.example/v1",
        models="exa",
    )
    monkeypatch.setitem(PROVIDERS, "example", entry)
    monkeypatch.setenv("EXAMPLE_API_KEY", "")
    with pytest.raises(CredentialError, match="set EXAMPLE_API_KEY"):
        make_model("auto:exa-1")
    with pytest.raises(ConfigurationError, match="not example"):
        make_model("example:exa-1", ModelOptions(batch=True))
    monkeypatch.setenv("EXAMPLE_API_KEY", "sk-of-example-0123456789")
    with make_model("auto:exa-1") as model:
        preview = model.preview(HI)
    assert (preview.url, preview.body["model"]) == (f"{entry.address}/chat/completions", "exa-1")
    assert (model.name, model.destination) == ("example:exa-1", "api.example")
    assert examine()["keys"]["EXAMPLE_API_KEY"]
