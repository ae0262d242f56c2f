"""Conversations with tool calls, here and at the vendor, through the vendors' own clients."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import ModelResponse, ToolCallPart

from fake_openai_server import FakeOpenAI
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import (
    Message,
    Request,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    Turn,
    UserMessage,
)
from llm_pv.models.vendor_messages import calls_of
from wire_servers import OpenModels, Wire, WireServer, anthropic, chat, chat_call, google

# A vendor may retire the models named here at any time.

CODE = "print(sum(range(10)))"

_JSON = st.none() | st.booleans() | st.integers() | st.text()

LOCAL = ToolOffer("local", "Run it here.")

HOSTED = ToolOffer("hosted")


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["code", "other"]) | st.text()
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenModels]:
    with OpenModels(monkeypatch) as models:
        yield models


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
    opened: OpenModels, name: str, replies: Sequence[Wire]
) -> tuple[Turn, dict[str, Any], dict[str, Any]]:
    """Go on after a tool call, once in this process and once as another would from disk."""
    with WireServer(replies) as server:
        model = opened.at(name, server.url)
        [turn] = model.complete(Request([UserMessage("Add.")], tool=LOCAL))
        model.complete(
            Request([UserMessage("Add."), turn, ToolAnswer(turn.calls[0], "45\n")], tool=LOCAL)
        )

        read = json.loads(json.dumps({"raw": turn.raw, "call": vars(turn.calls[0])}))
        later = opened.at(name, server.url)
        resumed = Turn("", (ToolCall(**read["call"]),), raw=read["raw"])
        later.complete(
            Request(
                [UserMessage("Add."), resumed, ToolAnswer(resumed.calls[0], "45\n")], tool=LOCAL
            )
        )
        return turn, server.bodies[1], server.bodies[2]


def test_openai_goes_on_with_its_sealed_thoughts(opened: OpenModels) -> None:
    with FakeOpenAI([{"output": OPENAI_CALL["output"]}, {"text": "45"}]) as server:
        url = server.base_url.removesuffix("/v1")
        model = opened.at("openai:gpt-5.4", url)
        [turn] = model.complete(Request([UserMessage("Add.")], tool=LOCAL))
        conversation: list[Message] = [UserMessage("Add."), turn, ToolAnswer(turn.calls[0], "45\n")]
        [end] = model.complete(Request(conversation, tool=LOCAL))
        resumed = Turn("", turn.calls, raw=json.loads(json.dumps(turn.raw)))
        opened.at("openai:gpt-5.4", url).complete(
            Request([UserMessage("Add."), resumed, ToolAnswer(turn.calls[0], "45\n")], tool=LOCAL)
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


def test_anthropic_goes_on_with_its_signed_thoughts(opened: OpenModels) -> None:
    replies = [Wire(anthropic(*ANTHROPIC_CALL, stop_reason="tool_use")), Wire(anthropic())]
    turn, fresh, resumed = second_bodies(opened, "anthropic:claude-haiku-4-5", replies)
    assert turn.calls == (ToolCall("toolu_1", CODE),)
    assert turn.finish == "tools"
    assert fresh == resumed
    assert fresh["messages"][1]["content"][0]["signature"] == "signed thoughts"
    assert fresh["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert fresh["thinking"]["type"] == "enabled"
    assert fresh["max_tokens"] == 20_000
    assert fresh["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


def test_google_goes_on_with_its_signed_thoughts(opened: OpenModels) -> None:
    replies = [Wire(google(*GOOGLE_CALL)), Wire(google())]
    turn, fresh, resumed = second_bodies(opened, "google:gemini-3.5-flash", replies)
    assert turn.calls[0].code == CODE
    assert turn.finish == "tools"
    assert turn.text == ""
    assert fresh == resumed
    assert "c2lnbmVkIHRob3VnaHRz" in json.dumps(fresh["contents"][1])
    response = fresh["contents"][2]["parts"][0]["functionResponse"]
    assert response["name"] == "run_python"
    assert "45" in json.dumps(response["response"])


@pytest.mark.parametrize(
    ("arguments", "name", "problem"),
    [
        ('{"code": "print(', "run_python", "not valid JSON"),
        ('{"source": "1"}', "run_python", "have to be an object like"),
        ('["print(1)"]', "run_python", "have to be an object like"),
        ('{"code": 5}', "run_python", "has to be a string"),
        ("", "run_python", "not valid JSON"),
        ("[" * 100_000, "run_python", "not valid JSON"),
        ('{"code": "1"}', "python", "There is no tool 'python'"),
    ],
)
def test_a_broken_tool_call_says_what_is_wrong_and_can_be_answered(
    opened: OpenModels, arguments: str, name: str, problem: str
) -> None:
    with WireServer([Wire(chat_call(arguments, name)), Wire(chat())]) as server:
        model = opened.at("openai-compatible:tiny", server.url)
        [turn] = model.complete(Request([UserMessage("hi")], tool=LOCAL))
        [call] = turn.calls
        assert call.code is None
        assert problem in call.problem
        said: list[Message] = [UserMessage("hi"), turn, ToolAnswer(call, call.problem)]
        [end] = model.complete(Request(said, tool=LOCAL))
    assert end.text == "hello"
    sent = server.bodies[1]["messages"]
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": call.problem}
    # A strict server refuses a conversation whose arguments are no object.
    assert isinstance(json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]), dict)


@given(st.text() | st.recursive(_JSON, _nested).map(json.dumps))
def test_no_arguments_break_the_reader(arguments: str) -> None:
    part = ToolCallPart("run_python", arguments, tool_call_id="c")
    [call] = calls_of(ModelResponse(parts=[part]))
    assert (call.code is None) == bool(call.problem)


def test_a_hosted_tool_is_refused_where_there_is_none(opened: OpenModels) -> None:
    model = opened.at("openai-compatible:tiny", "http://127.0.0.1:9")
    assert model.tool_places == {"none", "local"}
    with pytest.raises(ConfigurationError, match="has no hosted tool"):
        model.complete(Request([UserMessage("hi")], tool=HOSTED))


def test_openai_runs_code_itself(opened: OpenModels) -> None:
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
        [turn] = opened.at("openai:gpt-5.4", url).complete(
            Request([UserMessage("Add.")], tool=HOSTED)
        )
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


def test_anthropic_runs_code_itself_over_a_pause(opened: OpenModels) -> None:
    container = {"id": "container_1", "expires_at": "2030-01-01T00:00:00Z"}
    paused = anthropic(*ANTHROPIC_RAN, stop_reason="pause_turn", container=container)
    ended = anthropic({"type": "text", "text": "45"}, id="msg_2", container=container)
    with WireServer([Wire(paused), Wire(ended)]) as server:
        [turn] = opened.at("anthropic:claude-opus-4-8", server.url).complete(
            Request([UserMessage("Add.")], tool=HOSTED)
        )
    assert (turn.text, turn.finish, turn.hosted_calls, turn.tries) == ("45", "stop", 1, 2)
    assert turn.usage.output_tokens == 80
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["user", "assistant"]
    assert server.bodies[0]["tools"][0]["name"] == "code_execution"


def test_a_turn_that_never_ends_is_given_up(opened: OpenModels) -> None:
    paused = anthropic(*ANTHROPIC_RAN, stop_reason="pause_turn")
    with WireServer([Wire(paused)]) as server:
        model = opened.at("anthropic:claude-opus-4-8", server.url)
        with pytest.raises(ModelError, match="paused the turn 10 times"):
            model.complete(Request([UserMessage("Add.")], tool=HOSTED))
    assert len(server.seen) == 10


def test_google_runs_code_itself(opened: OpenModels) -> None:
    parts: list[Mapping[str, Any]] = [
        {"executableCode": {"language": "PYTHON", "code": CODE}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "45\n"}},
        {"text": "45"},
    ]
    with WireServer([Wire(google(*parts))]) as server:
        [turn] = opened.at("google:gemini-3.5-flash", server.url).complete(
            Request([UserMessage("Add.")], tool=HOSTED)
        )
    assert (turn.text, turn.hosted_calls) == ("45", 1)
    assert server.bodies[0]["tools"] == [{"codeExecution": {}}]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("openai-compatible:tiny", chat("half \ud83d")),
        ("openai-compatible:tiny", chat_call(json.dumps({"code": "half \ud83d"}))),
        ("anthropic:claude-opus-4-8", anthropic({"type": "text", "text": "half \ud83d"})),
        ("google:gemini-3.5-flash", google({"text": "half \ud83d"})),
    ],
)
def test_half_a_character_can_be_read_written_and_sent(
    opened: OpenModels, name: str, reply: Mapping[str, Any]
) -> None:
    with WireServer([Wire(reply)]) as server:
        model = opened.at(name, server.url)
        [turn] = model.complete(Request([UserMessage("hi")], tool=LOCAL))
        answers = [ToolAnswer(call, "half \ud83d") for call in turn.calls]
        model.complete(
            Request([UserMessage("hi"), turn, *answers, UserMessage("half \ud83d")], tool=LOCAL)
        )
    assert (turn.calls[0].code if turn.calls else turn.text) == "half \ufffd"
    json.dumps(turn.raw, ensure_ascii=False).encode()


def test_turns_of_other_models_can_be_gone_on_from(opened: OpenModels) -> None:
    call = ToolCall("c1", CODE)
    conversation: list[Message] = [
        UserMessage("Add."),
        Turn("Let me run it.", (call,)),
        ToolAnswer(call, "45"),
        UserMessage("Now the program."),
    ]
    with WireServer([Wire(chat())]) as server:
        opened.at("openai-compatible:tiny", server.url).complete(Request(conversation))
    roles = [message["role"] for message in server.bodies[0]["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]
