"""What goes to each vendor, through the vendors' own clients."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from llm_pv.errors import ModelError
from llm_pv.models import (
    ModelOptions,
    Request,
    ToolOffer,
    UserMessage,
)
from wire_servers import OpenModels, Wire, WireServer, anthropic, chat, google

HI = Request([UserMessage("hi")])

# A vendor may retire the models named here at any time.

LOCAL = ToolOffer("local", "Run it here.")

HOSTED = ToolOffer("hosted")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenModels]:
    with OpenModels(monkeypatch) as models:
        yield models


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("openai:gpt-5.4", LOCAL),
        ("openai:gpt-5.4", HOSTED),
        ("openai-compatible:tiny", LOCAL),
        ("anthropic:claude-haiku-4-5", HOSTED),
        ("anthropic:claude-haiku-4-5", None),
        ("google:gemini-3.5-flash", LOCAL),
    ],
)
def test_a_preview_is_what_is_then_sent(
    opened: OpenModels, name: str, tool: ToolOffer | None
) -> None:
    replies = {"anthropic": anthropic(), "google": google()}
    with WireServer([Wire(replies.get(name.partition(":")[0], chat()))]) as server:
        model = opened.at(name, server.url, ModelOptions(retries=0))
        preview = model.preview(Request([UserMessage("Classify 0101.")], tool=tool))
        assert server.seen == []
        # A chat completion is no answer to a request for a response, which is not in question.
        with contextlib.suppress(ModelError):
            model.complete(Request([UserMessage("Classify 0101.")], tool=tool))
    [seen] = server.seen
    assert preview.body == seen.body
    assert preview.url == server.url + seen.path
    assert preview.method == seen.method
    assert preview.input_tokens > 10
    assert "a-key-of-the-tests" not in repr(preview)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gpt-5.4-mini", {"text": {"verbosity": "low"}, "reasoning": {"effort": "high"}}),
        ("gpt-4-of-a-gateway", {"text": None, "reasoning": None}),
        ("o3-of-a-gateway", {"text": None, "reasoning": {"effort": "high"}}),
        ("gpt-5-chat-of-a-gateway", {"text": None, "reasoning": None}),
        ("gpt-5.3-codex", {"text": None, "reasoning": {"effort": "high"}}),
    ],
)
def test_openai_gets_only_what_the_model_takes(
    opened: OpenModels, model: str, sent: Mapping[str, object]
) -> None:
    body = opened.at(f"openai:{model}", "http://127.0.0.1:9").preview(HI).body
    body.get("reasoning", {}).pop("context", None)
    assert {name: body.get(name) for name in sent} == sent


def test_anthropic_takes_no_temperature_while_it_thinks(opened: OpenModels) -> None:
    options = ModelOptions(temperature=0.3, top_p=0.9)
    model = opened.at("anthropic:claude-haiku-4-5", "http://127.0.0.1:9", options)
    body = model.preview(HI).body
    assert "temperature" not in body
    assert "top_p" not in body
    calm = replace(options, reasoning_effort=None, top_p=None)
    body = opened.at("anthropic:claude-haiku-4-5", "http://127.0.0.1:9", calm).preview(HI).body
    assert body["temperature"] == 0.3
    assert "thinking" not in body


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-4-of-a-gateway", "high", True),
        ("gpt-5.4", "high", False),
        ("gpt-5-of-a-gateway", None, False),
        ("gpt-5.4", None, True),
    ],
)
def test_openai_takes_a_temperature_unless_it_thinks(
    opened: OpenModels, model: str, effort: str | None, taken: bool
) -> None:
    options = ModelOptions(temperature=0.3, reasoning_effort=effort)
    model_at = opened.at(f"openai:{model}", "http://127.0.0.1:9", options)
    assert ("temperature" in model_at.preview(HI).body) == taken


@pytest.mark.parametrize("limit", [500, 64_000])
def test_anthropic_can_be_asked_for_little_and_for_much(opened: OpenModels, limit: int) -> None:
    options = ModelOptions(max_output_tokens=limit, timeout_seconds=600)
    model = opened.at("anthropic:claude-haiku-4-5", "http://127.0.0.1:9", options)
    body = model.preview(HI).body
    assert (body["max_tokens"], body["stream"]) == (limit, False)
    assert ("thinking" in body) == (limit > 1_024)


@pytest.mark.parametrize(
    ("model", "thinks"), [("claude-instant-of-a-gateway", False), ("claude-opus-4-8", True)]
)
def test_older_models_of_anthropic_are_not_asked_to_think(
    opened: OpenModels, model: str, thinks: bool
) -> None:
    body = opened.at(f"anthropic:{model}", "http://127.0.0.1:9").preview(HI).body
    assert ("thinking" in body) == thinks
    assert "budget_tokens" not in json.dumps(body)


def test_thoughts_fit_into_a_small_limit(opened: OpenModels) -> None:
    options = ModelOptions(max_output_tokens=4_000)
    model = opened.at("anthropic:claude-haiku-4-5", "http://127.0.0.1:9", options)
    body = model.preview(HI).body
    assert body["max_tokens"] == 4_000
    assert 1_024 <= body["thinking"]["budget_tokens"] < 4_000


@pytest.mark.parametrize(("asked", "written"), [(2_000, 2_000), (9_000, 4_000), (None, 4_000)])
def test_a_call_may_be_allowed_less_than_the_model(
    opened: OpenModels, asked: int | None, written: int
) -> None:
    options = ModelOptions(max_output_tokens=4_000)
    places = {
        "openai:gpt-5.4": "max_output_tokens",
        "openai-compatible:tiny": "max_tokens",
        "anthropic:claude-haiku-4-5": "max_tokens",
    }
    for name, place in places.items():
        model = opened.at(name, "http://127.0.0.1:9", options)
        body = model.preview(Request([UserMessage("hi")], max_output_tokens=asked)).body
        assert body[place] == written
    assert 1_024 <= body["thinking"]["budget_tokens"] < written


@pytest.mark.parametrize(
    "name", ["openai:gpt-5.4", "openai-compatible:tiny", "anthropic:claude-haiku-4-5"]
)
def test_further_options_go_into_the_body(opened: OpenModels, name: str) -> None:
    options = ModelOptions(extra={"metadata": {"user_id": "7"}})
    body = opened.at(name, "http://127.0.0.1:9", options).preview(HI).body
    assert body["metadata"] == {"user_id": "7"}


def test_further_options_go_into_the_body_of_google(opened: OpenModels) -> None:
    options = ModelOptions(extra={"generationConfig": {"topK": 3}, "labels": {"run": "a"}})
    body = opened.at("google:gemini-3.5-flash", "http://127.0.0.1:9", options).preview(HI).body
    assert body["generationConfig"]["topK"] == 3
    assert body["generationConfig"]["maxOutputTokens"] == 20_000
    assert body["labels"] == {"run": "a"}


def test_contexts_are_known_or_given(opened: OpenModels) -> None:
    url = "http://127.0.0.1:9"
    assert opened.at("openai:gpt-5.4-mini", url).context_tokens == 400_000
    assert opened.at("anthropic:claude-haiku-4-5", url).context_tokens == 200_000
    assert opened.at("google:gemini-3.5-flash", url).context_tokens == 1_000_000
    options = ModelOptions(context_tokens=4_096)
    assert opened.at("openai-compatible:tiny", url, options).context_tokens == 4_096


def test_a_compatible_server_is_asked_for_its_context(opened: OpenModels) -> None:
    listed = {"object": "list", "data": [{"id": "other"}, {"id": "tiny", "max_model_len": 8192}]}
    with WireServer([Wire(listed)]) as server:
        model = opened.at("openai-compatible:tiny", server.url)
        assert model.context_tokens == 8192
        assert model.context_tokens == 8192
        [seen] = server.seen
    assert (seen.method, seen.path) == ("GET", "/v1/models")


@pytest.mark.parametrize("reply", [Wire({}, 404), Wire("<html>"), Wire({"data": "?"}), Wire([])])
def test_a_server_that_does_not_tell_its_context_has_none(opened: OpenModels, reply: Wire) -> None:
    with WireServer([reply]) as server:
        assert opened.at("openai-compatible:tiny", server.url).context_tokens is None


def test_where_conversations_go_is_told(opened: OpenModels) -> None:
    for name, host in (
        ("openai:gpt-5.4", "api.openai.com"),
        ("anthropic:claude-haiku-4-5", "api.anthropic.com"),
        ("google:gemini-3.5-flash", "generativelanguage.googleapis.com"),
    ):
        assert opened.at(name).destination == host
    assert opened.at("openai-compatible:a", "http://127.0.0.1:9").destination == "127.0.0.1:9"
