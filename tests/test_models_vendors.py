"""What goes to each vendor and how its answers are read, through the vendors' own clients."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fake_openai_server import FakeOpenAI
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import (
    Asked,
    LanguageModel,
    Message,
    ModelOptions,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    Turn,
    Usage,
    make_model,
)
from wire_servers import Wire, WireServer, anthropic, chat, chat_call, google

# A vendor may retire the models named here at any time.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

CODE = "print(sum(range(10)))"

LOCAL = ToolOffer("local", "Run it here.")

HOSTED = ToolOffer("hosted")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "GOOGLE"):
        monkeypatch.setenv(f"{name}_API_KEY", "a-key-of-the-tests")
    for name in ("GEMINI", "OPENAI_COMPATIBLE"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)


@pytest.fixture
def opened() -> Iterator[list[LanguageModel]]:
    models: list[LanguageModel] = []
    yield models
    for model in models:
        model.close()


def at(
    opened: list[LanguageModel], name: str, url: str, options: ModelOptions | None = None
) -> LanguageModel:
    path = "/v1" if name.startswith("openai") else ""
    opened.append(make_model(name, replace(options or ModelOptions(), base_url=url + path)))
    return opened[-1]


OPENAI_CALL = {
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "encrypted_content": "sealed thoughts",
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "run_python",
            "arguments": json.dumps({"code": CODE}),
            "status": "completed",
        },
    ]
}

ANTHROPIC_CALL: list[Mapping[str, Any]] = [
    {"type": "thinking", "thinking": "Let me add.", "signature": "signed thoughts"},
    {"type": "tool_use", "id": "toolu_1", "name": "run_python", "input": {"code": CODE}},
]

GOOGLE_CALL: list[Mapping[str, Any]] = [
    {"text": "Let me add.", "thought": True},
    {
        "functionCall": {"name": "run_python", "args": {"code": CODE}},
        "thoughtSignature": "c2lnbmVkIHRob3VnaHRz",
    },
]


def second_bodies(
    opened: list[LanguageModel], name: str, replies: Sequence[Wire]
) -> tuple[Turn, dict[str, Any], dict[str, Any]]:
    """Go on after a tool call, once in this process and once as another would from disk."""
    with WireServer(replies) as server:
        model = at(opened, name, server.url)
        [turn] = model.answer([Asked("Add.")], tool=LOCAL)
        model.answer([Asked("Add."), turn, ToolAnswer(turn.calls[0], "45\n")], tool=LOCAL)

        read = json.loads(json.dumps({"raw": turn.raw, "call": vars(turn.calls[0])}))
        later = at(opened, name, server.url)
        resumed = Turn("", (ToolCall(**read["call"]),), raw=read["raw"])
        later.answer([Asked("Add."), resumed, ToolAnswer(resumed.calls[0], "45\n")], tool=LOCAL)
        return turn, server.bodies[1], server.bodies[2]


def test_openai_goes_on_with_its_sealed_thoughts(opened: list[LanguageModel]) -> None:
    with FakeOpenAI([{"output": OPENAI_CALL["output"]}, {"text": "45"}]) as server:
        url = server.base_url.removesuffix("/v1")
        model = at(opened, "openai:gpt-5", url)
        [turn] = model.answer([Asked("Add.")], tool=LOCAL)
        conversation: list[Message] = [Asked("Add."), turn, ToolAnswer(turn.calls[0], "45\n")]
        [end] = model.answer(conversation, tool=LOCAL)
        resumed = Turn("", turn.calls, raw=json.loads(json.dumps(turn.raw)))
        at(opened, "openai:gpt-5", url).answer(
            [Asked("Add."), resumed, ToolAnswer(turn.calls[0], "45\n")], tool=LOCAL
        )
    assert turn.finish == "tools"
    assert turn.calls == (ToolCall("call_1", CODE),)
    assert end.text == "45"
    first, second, again = server.bodies
    assert second == again
    assert second["input"][1]["encrypted_content"] == "sealed thoughts"
    assert second["input"][3] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": "45\n",
    }
    assert first["reasoning"]["effort"] == "high"
    assert first["text"] == {"verbosity": "low"}
    assert first["max_output_tokens"] == 20_000
    assert first["prompt_cache_key"] == second["prompt_cache_key"]
    assert first["tools"][0]["description"] == "Run it here."


def test_anthropic_goes_on_with_its_signed_thoughts(opened: list[LanguageModel]) -> None:
    replies = [Wire(anthropic(*ANTHROPIC_CALL, stop_reason="tool_use")), Wire(anthropic())]
    turn, fresh, resumed = second_bodies(opened, "anthropic:claude-opus-4-5", replies)
    assert turn.calls == (ToolCall("toolu_1", CODE),)
    assert turn.finish == "tools"
    assert fresh == resumed
    assert fresh["messages"][1]["content"][0]["signature"] == "signed thoughts"
    assert fresh["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert fresh["thinking"]["type"] == "enabled"
    assert fresh["max_tokens"] == 20_000
    assert fresh["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


def test_google_goes_on_with_its_signed_thoughts(opened: list[LanguageModel]) -> None:
    replies = [Wire(google(*GOOGLE_CALL)), Wire(google())]
    turn, fresh, resumed = second_bodies(opened, "google:gemini-2.5-pro", replies)
    assert turn.calls[0].code == CODE
    assert turn.finish == "tools"
    assert turn.text == ""
    assert fresh == resumed
    assert "c2lnbmVkIHRob3VnaHRz" in json.dumps(fresh["contents"][1])
    response = fresh["contents"][2]["parts"][0]["functionResponse"]
    assert response["name"] == "run_python"
    assert "45" in json.dumps(response["response"])


def test_tokens_and_prices_of_anthropic(opened: list[LanguageModel]) -> None:
    with WireServer([Wire(anthropic())]) as server:
        [turn] = at(opened, "anthropic:claude-opus-4-5", server.url).answer([Asked("hi")])
    # Its input_tokens leave out what was read from and written to the cache.
    assert turn.usage == Usage(600, 40, cached_tokens=300, cache_write_tokens=200)
    # 5, 6.25 and 0.5 dollars a million in, 25 out.
    assert turn.cost_usd == pytest.approx((100 * 5 + 200 * 6.25 + 300 * 0.5 + 40 * 25) / 1e6)
    assert turn.model == "claude-opus-4-5-20251101"


def test_tokens_and_prices_of_google(opened: list[LanguageModel]) -> None:
    with WireServer([Wire(google())]) as server:
        [turn] = at(opened, "gemini:gemini-2.5-pro", server.url).answer([Asked("hi")])
    # Its candidate tokens leave out the thoughts.
    assert turn.usage == Usage(100, 50, cached_tokens=60, reasoning_tokens=30)
    # 1.25 dollars a million in, a tenth of it from the cache, 10 out.
    assert turn.cost_usd == pytest.approx((40 * 1.25 + 60 * 0.125 + 50 * 10) / 1e6)


def test_tokens_and_prices_of_openai(opened: list[LanguageModel]) -> None:
    with FakeOpenAI([{"text": "x", "usage": [1000, 50, 400, 30]}]) as server:
        url = server.base_url.removesuffix("/v1")
        [turn] = at(opened, "openai:gpt-5", url).answer([Asked("hi")])
        chat_options = ModelOptions(api="chat")
        [over_chat] = at(opened, "openai:gpt-5", url, chat_options).answer([Asked("hi")])
        [unknown] = at(opened, "openai:gpt-77-nope", url).answer([Asked("hi")])
        [local] = at(opened, "openai-compatible:gpt-5", url).answer([Asked("hi")])
    assert turn.usage == Usage(1000, 50, cached_tokens=400, reasoning_tokens=30)
    # 1.25 dollars a million in, 0.125 from the cache, 10 out.
    expected = (600 * 1.25 + 400 * 0.125 + 50 * 10) / 1e6
    assert turn.cost_usd == over_chat.cost_usd == pytest.approx(expected)
    assert unknown.cost_usd is None
    assert local.cost_usd is None
    assert local.usage == turn.usage


def test_a_server_that_counts_nothing_is_counted_for(opened: list[LanguageModel]) -> None:
    reply = chat("0110 0110")
    del reply["usage"]
    with WireServer([Wire(reply)]) as server:
        model = at(opened, "openai-compatible:tiny", server.url)
        [turn] = model.answer([Asked("101010")])
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
def test_why_chat_completions_end(
    opened: list[LanguageModel], reason: str | None, finish: str
) -> None:
    with WireServer([Wire(chat(finish_reason=reason))]) as server:
        [turn] = at(opened, "openai-compatible:tiny", server.url).answer([Asked("hi")])
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
def test_why_anthropic_ends(opened: list[LanguageModel], reason: str, finish: str) -> None:
    with WireServer([Wire(anthropic(stop_reason=reason))]) as server:
        [turn] = at(opened, "anthropic:claude-opus-4-5", server.url).answer([Asked("hi")])
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
def test_why_google_ends(opened: list[LanguageModel], reason: str, finish: str) -> None:
    with WireServer([Wire(google(finishReason=reason))]) as server:
        [turn] = at(opened, "google:gemini-2.5-pro", server.url).answer([Asked("hi")])
    assert turn.finish == finish


def test_google_says_that_a_prompt_was_blocked(opened: list[LanguageModel]) -> None:
    reply = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    with WireServer([Wire(reply)]) as server:
        [turn] = at(opened, "google:gemini-2.5-pro", server.url).answer([Asked("hi")])
    assert (turn.text, turn.finish) == ("", "refused")


def test_a_cut_response_of_openai_says_so(opened: list[LanguageModel]) -> None:
    with FakeOpenAI([{"text": "def f(", "finish": "max_output_tokens"}]) as server:
        url = server.base_url.removesuffix("/v1")
        [turn] = at(opened, "openai:gpt-5", url).answer([Asked("hi")])
    assert (turn.text, turn.finish) == ("def f(", "length")


def test_a_refusal_gives_its_reason(opened: list[LanguageModel]) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    with WireServer([Wire(chat(message=message))]) as server:
        [turn] = at(opened, "openai-compatible:tiny", server.url).answer([Asked("hi")])
    assert (turn.text, turn.finish) == ("I would rather not.", "refused")


def test_a_reply_without_choices_is_a_broken_turn(opened: list[LanguageModel]) -> None:
    with WireServer([Wire({**chat(), "choices": []})]) as server:
        [turn] = at(opened, "openai-compatible:tiny", server.url).answer([Asked("hi")])
    assert (turn.text, turn.finish) == ("", "error")
    assert turn.usage == Usage(11, 7)


def test_thoughts_in_tags_are_not_said(opened: list[LanguageModel]) -> None:
    with WireServer([Wire(chat("<think>no, yes</think>yes"))]) as server:
        [turn] = at(opened, "openai-compatible:tiny", server.url).answer([Asked("hi")])
    assert turn.text == "yes"


@pytest.mark.parametrize(
    ("arguments", "name", "problem"),
    [
        ('{"code": "print(', "run_python", "not valid JSON"),
        ('{"source": "1"}', "run_python", "have to be an object like"),
        ('["print(1)"]', "run_python", "have to be an object like"),
        ('{"code": "1", "timeout": 5}', "run_python", "also given timeout"),
        ('{"code": 5}', "run_python", "has to be a string"),
        ("", "run_python", "not valid JSON"),
        ('{"code": "1"}', "python", "There is no tool 'python'"),
    ],
)
def test_a_broken_tool_call_says_what_is_wrong_and_can_be_answered(
    opened: list[LanguageModel], arguments: str, name: str, problem: str
) -> None:
    with WireServer([Wire(chat_call(arguments, name)), Wire(chat())]) as server:
        model = at(opened, "openai-compatible:tiny", server.url)
        [turn] = model.answer([Asked("hi")], tool=LOCAL)
        [call] = turn.calls
        assert call.code is None
        assert problem in call.problem
        [end] = model.answer([Asked("hi"), turn, ToolAnswer(call, call.problem)], tool=LOCAL)
    assert end.text == "hello"
    sent = server.bodies[1]["messages"]
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": call.problem}
    # A strict server refuses a conversation whose arguments are no object.
    assert isinstance(json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]), dict)


def test_several_answers_of_one_call(opened: list[LanguageModel]) -> None:
    with FakeOpenAI([{"text": "a"}]) as server:
        url = server.base_url.removesuffix("/v1")
        model = at(opened, "openai-compatible:tiny", url, ModelOptions(extra={"top_k": 5}))
        turns = model.answer([Asked("hi")], samples=3, seed=2**40 + 7)
    assert [turn.text for turn in turns] == ["a", "a", "a"]
    assert [turn.usage.output_tokens for turn in turns] == [60, 0, 0]
    assert [turn.tries for turn in turns] == [1, 0, 0]
    assert all("alternatives" not in json.dumps(turn.raw) for turn in turns)
    [body] = server.bodies
    assert (body["n"], body["top_k"], body["seed"]) == (3, 5, 7)
    assert body["max_tokens"] == 20_000


def test_a_vendor_that_answers_once_is_not_asked_for_more(opened: list[LanguageModel]) -> None:
    model = at(opened, "anthropic:claude-opus-4-5", "http://127.0.0.1:9")
    assert model.most_samples == 1
    with pytest.raises(ConfigurationError, match="at most 1 answers"):
        model.answer([Asked("hi")], samples=2)


def test_a_hosted_tool_is_refused_where_there_is_none(opened: list[LanguageModel]) -> None:
    model = at(opened, "openai-compatible:tiny", "http://127.0.0.1:9")
    assert model.tool_places == {"none", "local"}
    with pytest.raises(ConfigurationError, match="has no hosted tool"):
        model.answer([Asked("hi")], tool=HOSTED)


def test_openai_runs_code_itself(opened: list[LanguageModel]) -> None:
    ran = {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "code": CODE,
        "container_id": "cntr_1",
        "outputs": None,
    }
    with FakeOpenAI([{"text": "45", "output": [ran, {**ran, "id": "ci_2"}]}]) as server:
        url = server.base_url.removesuffix("/v1")
        [turn] = at(opened, "openai:gpt-5", url).answer([Asked("Add.")], tool=HOSTED)
    assert turn.hosted_calls == 2
    assert (turn.text, turn.calls, turn.finish) == ("45", (), "stop")
    assert server.bodies[0]["tools"] == [
        {"type": "code_interpreter", "container": {"type": "auto"}}
    ]


ANTHROPIC_RAN: list[Mapping[str, Any]] = [
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "code_execution",
        "input": {"code": CODE},
    },
    {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "code_execution_result",
            "stdout": "45\n",
            "stderr": "",
            "return_code": 0,
            "content": [],
        },
    },
]


def test_anthropic_runs_code_itself_over_a_pause(opened: list[LanguageModel]) -> None:
    container = {"id": "container_1", "expires_at": "2030-01-01T00:00:00Z"}
    paused = anthropic(*ANTHROPIC_RAN, stop_reason="pause_turn", container=container)
    ended = anthropic({"type": "text", "text": "45"}, id="msg_2", container=container)
    with WireServer([Wire(paused), Wire(ended)]) as server:
        [turn] = at(opened, "anthropic:claude-opus-4-5", server.url).answer(
            [Asked("Add.")], tool=HOSTED
        )
    assert (turn.text, turn.finish, turn.hosted_calls, turn.tries) == ("45", "stop", 1, 2)
    assert turn.usage.output_tokens == 80
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["user", "assistant"]
    assert server.bodies[0]["tools"][0]["name"] == "code_execution"


def test_a_turn_that_never_ends_is_given_up(opened: list[LanguageModel]) -> None:
    paused = anthropic(*ANTHROPIC_RAN, stop_reason="pause_turn")
    with WireServer([Wire(paused)]) as server:
        model = at(opened, "anthropic:claude-opus-4-5", server.url)
        with pytest.raises(ModelError, match="paused the turn 10 times"):
            model.answer([Asked("Add.")], tool=HOSTED)
    assert len(server.seen) == 10


def test_google_runs_code_itself(opened: list[LanguageModel]) -> None:
    parts: list[Mapping[str, Any]] = [
        {"executableCode": {"language": "PYTHON", "code": CODE}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "45\n"}},
        {"text": "45"},
    ]
    with WireServer([Wire(google(*parts))]) as server:
        [turn] = at(opened, "google:gemini-2.5-pro", server.url).answer(
            [Asked("Add.")], tool=HOSTED
        )
    assert (turn.text, turn.hosted_calls) == ("45", 1)
    assert server.bodies[0]["tools"] == [{"codeExecution": {}}]


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("openai:gpt-5", LOCAL),
        ("openai:gpt-5", HOSTED),
        ("openai-compatible:tiny", LOCAL),
        ("anthropic:claude-opus-4-5", HOSTED),
        ("anthropic:claude-opus-4-5", None),
        ("google:gemini-2.5-pro", LOCAL),
    ],
)
def test_a_preview_is_what_is_then_sent(
    opened: list[LanguageModel], name: str, tool: ToolOffer | None
) -> None:
    replies = {"anthropic": anthropic(), "google": google()}
    with WireServer([Wire(replies.get(name.partition(":")[0], chat()))]) as server:
        model = at(opened, name, server.url)
        preview = model.preview([Asked("Classify 0101.")], tool=tool)
        assert server.seen == []
        # A chat completion is no answer to a request for a response, which is not in question.
        with contextlib.suppress(ModelError):
            model.answer([Asked("Classify 0101.")], tool=tool)
    [seen] = server.seen
    assert preview.body == seen.body
    assert preview.url == server.url + seen.path
    assert preview.method == seen.method
    assert preview.input_tokens > 10
    assert "a-key-of-the-tests" not in repr(preview)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gpt-5-mini", {"text": {"verbosity": "low"}, "reasoning": {"effort": "high"}}),
        ("gpt-4o", {"text": None, "reasoning": None}),
        ("o3", {"text": None, "reasoning": {"effort": "high"}}),
        ("gpt-5-chat-latest", {"text": None, "reasoning": None}),
        ("gpt-5-codex", {"text": None, "reasoning": {"effort": "high"}}),
    ],
)
def test_openai_gets_only_what_the_model_takes(
    opened: list[LanguageModel], model: str, sent: Mapping[str, object]
) -> None:
    body = at(opened, f"openai:{model}", "http://127.0.0.1:9").preview([Asked("hi")]).body
    assert {name: body.get(name) for name in sent} == sent


def test_anthropic_takes_no_temperature_while_it_thinks(opened: list[LanguageModel]) -> None:
    options = ModelOptions(temperature=0.3, top_p=0.9)
    model = at(opened, "anthropic:claude-opus-4-5", "http://127.0.0.1:9", options)
    body = model.preview([Asked("hi")]).body
    assert "temperature" not in body
    assert "top_p" not in body
    calm = replace(options, reasoning_effort=None, top_p=None)
    body = (
        at(opened, "anthropic:claude-opus-4-5", "http://127.0.0.1:9", calm)
        .preview([Asked("hi")])
        .body
    )
    assert body["temperature"] == 0.3
    assert "thinking" not in body


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-4o", "high", True),
        ("gpt-5", "high", False),
        ("gpt-5", None, False),
        ("gpt-5.1", "high", False),
        ("gpt-5.1", None, True),
    ],
)
def test_openai_takes_a_temperature_unless_it_thinks(
    opened: list[LanguageModel], model: str, effort: str | None, taken: bool
) -> None:
    options = ModelOptions(temperature=0.3, reasoning_effort=effort)
    model_at = at(opened, f"openai:{model}", "http://127.0.0.1:9", options)
    assert ("temperature" in model_at.preview([Asked("hi")]).body) == taken


@pytest.mark.parametrize("limit", [500, 64_000])
def test_anthropic_can_be_asked_for_little_and_for_much(
    opened: list[LanguageModel], limit: int
) -> None:
    options = ModelOptions(max_output_tokens=limit, timeout_seconds=600)
    model = at(opened, "anthropic:claude-opus-4-5", "http://127.0.0.1:9", options)
    body = model.preview([Asked("hi")]).body
    assert (body["max_tokens"], body["stream"]) == (limit, False)
    assert ("thinking" in body) == (limit > 1_024)


@pytest.mark.parametrize(
    ("model", "thinks"), [("claude-3-5-haiku-latest", False), ("claude-opus-4-7", True)]
)
def test_older_models_of_anthropic_are_not_asked_to_think(
    opened: list[LanguageModel], model: str, thinks: bool
) -> None:
    body = at(opened, f"anthropic:{model}", "http://127.0.0.1:9").preview([Asked("hi")]).body
    assert ("thinking" in body) == thinks
    assert "budget_tokens" not in json.dumps(body)


def test_thoughts_fit_into_a_small_limit(opened: list[LanguageModel]) -> None:
    options = ModelOptions(max_output_tokens=4_000)
    model = at(opened, "anthropic:claude-opus-4-5", "http://127.0.0.1:9", options)
    body = model.preview([Asked("hi")]).body
    assert body["max_tokens"] == 4_000
    assert 1_024 <= body["thinking"]["budget_tokens"] < 4_000


@pytest.mark.parametrize(
    "name", ["openai:gpt-5", "openai-compatible:tiny", "anthropic:claude-opus-4-5"]
)
def test_further_options_go_into_the_body(opened: list[LanguageModel], name: str) -> None:
    options = ModelOptions(extra={"metadata": {"user_id": "7"}})
    body = at(opened, name, "http://127.0.0.1:9", options).preview([Asked("hi")]).body
    assert body["metadata"] == {"user_id": "7"}


def test_further_options_go_into_the_body_of_google(opened: list[LanguageModel]) -> None:
    options = ModelOptions(extra={"generationConfig": {"topK": 3}, "labels": {"run": "a"}})
    body = (
        at(opened, "google:gemini-2.5-pro", "http://127.0.0.1:9", options)
        .preview([Asked("hi")])
        .body
    )
    assert body["generationConfig"]["topK"] == 3
    assert body["generationConfig"]["maxOutputTokens"] == 20_000
    assert body["labels"] == {"run": "a"}


def test_contexts_are_known_or_given(opened: list[LanguageModel]) -> None:
    url = "http://127.0.0.1:9"
    assert at(opened, "openai:gpt-5", url).context_tokens == 400_000
    assert at(opened, "anthropic:claude-opus-4-5", url).context_tokens == 200_000
    assert at(opened, "google:gemini-2.5-pro", url).context_tokens == 1_048_576
    options = ModelOptions(context_tokens=4_096)
    assert at(opened, "openai-compatible:tiny", url, options).context_tokens == 4_096


def test_a_compatible_server_is_asked_for_its_context(opened: list[LanguageModel]) -> None:
    listed = {"object": "list", "data": [{"id": "other"}, {"id": "tiny", "max_model_len": 8192}]}
    with WireServer([Wire(listed)]) as server:
        model = at(opened, "openai-compatible:tiny", server.url)
        assert model.context_tokens == 8192
        assert model.context_tokens == 8192
        [seen] = server.seen
    assert (seen.method, seen.path) == ("GET", "/v1/models")


@pytest.mark.parametrize("reply", [Wire({}, 404), Wire("<html>"), Wire({"data": "?"}), Wire([])])
def test_a_server_that_does_not_tell_its_context_has_none(
    opened: list[LanguageModel], reply: Wire
) -> None:
    with WireServer([reply]) as server:
        assert at(opened, "openai-compatible:tiny", server.url).context_tokens is None


def test_turns_of_other_models_can_be_gone_on_from(opened: list[LanguageModel]) -> None:
    call = ToolCall("c1", CODE)
    conversation: list[Message] = [
        Asked("Add."),
        Turn("Let me run it.", (call,)),
        ToolAnswer(call, "45"),
        Asked("Now the program."),
    ]
    with WireServer([Wire(chat())]) as server:
        at(opened, "openai-compatible:tiny", server.url).answer(conversation)
    roles = [message["role"] for message in server.bodies[0]["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]
