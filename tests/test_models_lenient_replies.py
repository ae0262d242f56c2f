"""Complete programs in replies of odd servers: over HTTP, from the bytes to the program."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.erm.attempts import KEY_IN_PROGRAM, programs_of
from llm_pv.models import ModelOptions, Request, ToolAnswer, ToolOffer, UserMessage, make_model
from llm_pv.models.openai_replies import readable_reply
from llm_pv.models.wire_text import UnreadableReplyError
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Context, Proposal
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.round_robin import RoundRobin
from rows import PARITY, parity_splits
from wire_servers import OpenModels, Wire, WireServer, anthropic, chat, chat_call, google

SPLITS = parity_splits()
FENCED = f"The rule:\n\n```python\n{PARITY}```\n"
OFFER = ToolOffer(description="Runs Python.")
LISTED = {"GET": [Wire({"data": []})]}  # a server is asked for its models, and their context


def message(**entries: Any) -> dict[str, Any]:
    """Return a chat completion whose message has these entries alone."""
    return chat(message=entries)


def choice(**changes: Any) -> dict[str, Any]:
    return chat(FENCED, **changes)


def reply(**changes: Any) -> dict[str, Any]:
    return {**chat(FENCED), **changes}


def events(*chunks: Any, done: bool = True, between: str = "\n\n") -> Wire:
    lines = [f"data: {json.dumps(chunk)}" for chunk in chunks]
    text = between.join([": connected", *lines, *(["data: [DONE]"] if done else []), ""])
    return Wire(text, headers={"Content-Type": "text/event-stream"})


def deltas(*pieces: Mapping[str, Any], **last: Any) -> list[dict[str, Any]]:
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": each}]} for each in pieces]
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **last}]


HALVES = [{"role": "assistant", "content": FENCED[:30]}, {"content": FENCED[30:]}]

ODD_REPLIES: dict[str, Any] = {
    "an empty finish reason": choice(finish_reason=""),
    "a finish reason that is a number": choice(finish_reason=0),
    "a time with a fraction": reply(created=1_700_000_000.5),
    "a time in words": reply(created="2026-11-29T10:00:00Z"),
    "an identifier that is a number": reply(id=5, model=None, object=7),
    "no usage": reply(usage=None),
    "a usage in words": reply(usage={"prompt_tokens": "11", "completion_tokens": "many"}),
    "a usage of infinities": json.dumps(reply(usage={"prompt_tokens": float("nan")})),
    "a usage that is a list": reply(usage=[1, 2]),
    "a huge number": json.dumps(reply()).replace("18}", "1" * 5_000 + "}"),
    "choices without index": {"choices": [{"message": {"content": FENCED}}]},
    "an index in words": choice(index="first"),
    "a choice that is no list": {**chat(), "choices": chat(FENCED)["choices"][0]},
    "null tool calls": message(role="assistant", content=FENCED, tool_calls=None),
    "tool calls that are none": message(role="assistant", content=FENCED, tool_calls=[None, 7]),
    "a null role": message(role=None, content=FENCED),
    "a role of another name": message(role="model", content=FENCED),
    "content in parts": message(
        content=[{"type": "text", "text": FENCED[:20]}, {"type": "text", "text": FENCED[20:]}]
    ),
    "content in parts of strings": message(content=[FENCED[:20], FENCED[20:]]),
    "content with thoughts among its parts": message(
        content=[
            {"type": "thinking", "thinking": [{"type": "text", "text": "f = 1"}]},
            {"type": "text", "text": FENCED},
        ]
    ),
    "content that is parsed JSON": message(content={"code": PARITY}),
    "a message that is a string": chat(message=FENCED),
    "a legacy completion": {"choices": [{"text": FENCED, "finish_reason": "stop"}]},
    "thoughts alone": message(content=None, reasoning_content=FENCED),
    "thoughts alone, content empty": message(content="", reasoning=FENCED),
    "thoughts alone, content blank": message(content="\n\n", reasoning_content=FENCED),
    "thoughts in details": message(
        content=None, reasoning_details=[{"type": "reasoning.text", "text": FENCED}]
    ),
    "thoughts in blocks": message(
        content=None, thinking_blocks=[{"type": "thinking", "thinking": FENCED}]
    ),
    "thoughts of another name": message(content=None, thinking=FENCED),
    "thoughts that are no text": message(
        content=FENCED, reasoning={"effort": 7}, reasoning_content=5
    ),
    "thoughts in tags without an opening one": message(content=f"f = 1?\n</think>\n{FENCED}"),
    "a refusal that is empty": message(content=FENCED, refusal=""),
    "annotations that are none": message(content=FENCED, annotations="none", audio=5),
    "log probabilities that are none": choice(logprobs={"content": [5, {"token": 7}]}),
    "an error that is empty": reply(error={}),
    "an error beside the answer": reply(error={"message": "logging failed"}),
    "an empty choice before the good one": {
        "choices": [{"message": {"content": ""}}, {"message": {"content": FENCED}}]
    },
    "a broken choice before the good one": {"choices": [7, {"message": {"content": FENCED}}]},
    "more choices than were asked for": {
        "choices": [{"message": {"content": FENCED}}, {"message": {"content": "no"}}]
    },
    "a list of one reply": [reply()],
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(reply()).encode(),
    "UTF-16": json.dumps(reply()).encode("utf-16"),
    "blank lines before": " \n\n" + json.dumps(reply()),
    "something behind": json.dumps(reply()) + "\n<!-- served by a proxy -->",
    "line breaks in a string": json.dumps(reply()).replace("The rule:", "The\nrule:"),
    "a byte that is not UTF-8": json.dumps(reply()).encode().replace(b"The rule", b"The r\xfcle"),
    "another success status": Wire(reply(), 201),
    "another content type": Wire(reply(), headers={"Content-Type": "text/plain"}),
    "no content type": Wire(reply(), headers={"Content-Type": ""}),
    "cut after a closed block": choice(finish_reason="length"),
    "cut after a closed block, in words": chat(FENCED + "It is the par", finish_reason="length"),
    "cut in a later block": chat(
        FENCED + "```python\ndef f(x):\n    retur", finish_reason="length"
    ),
    "cut after a complete object": chat(json.dumps({"code": PARITY}), finish_reason="length"),
    "cut in an object, after the code": chat(
        json.dumps({"code": PARITY})[:-1] + ', "why": "it is', finish_reason="length"
    ),
    "cut after bare code": chat(f"{PARITY}\nIt counts the", finish_reason="length"),
    "cut in thoughts": message(
        content=None, reasoning_content=FENCED + "Hm, or"
    ),
    "filtered after a closed block": chat(FENCED, finish_reason="content_filter"),
    "broken off after a closed block": chat(FENCED + "And", finish_reason="error"),
    "a stream": events(*deltas(*HALVES)),
    "a stream without its end": events(*deltas(*HALVES), done=False),
    "a stream without blank lines": events(*deltas(*HALVES), between="\n"),
    "a stream with Windows line ends": events(*deltas(*HALVES), between="\r\n\r\n"),
    "a stream called JSON": Wire(events(*deltas(*HALVES)).body),
    "a stream that is not called for": Wire(
        events(*deltas(*HALVES)).body, headers={"Content-Type": "text/plain"}
    ),
    "a stream that ends with its usage": events(
        *deltas(*HALVES), {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
    ),
    "a stream of one whole reply": events(reply()),
    "a stream with the whole at its end": events(*deltas(*HALVES), reply()),
    "a stream of thoughts alone": events(
        *deltas({"reasoning_content": FENCED[:30]}, {"reasoning_content": FENCED[30:]})
    ),
    "a stream without a finish reason": events(*deltas(*HALVES)[:-1]),
    "a stream of bare deltas": events(*({"choices": [{"delta": each}]} for each in HALVES)),
    "a stream with its event names": Wire(
        "event: message\n" + events(*deltas(*HALVES)).body.replace("\n\n", "\n\nevent: message\n")
    ),
    "values one a line": "\n".join(map(json.dumps, deltas(*HALVES))),
    "choices by their index": {"choices": {"0": chat(FENCED)["choices"][0]}},
    "a message alone": {"message": {"role": "assistant", "content": FENCED}, "done": True},
    "a message in Anthropic's form": {
        "type": "message", "content": [{"type": "text", "text": FENCED}], "stop_reason": "end_turn"
    },
    "candidates in Google's form": {"candidates": [{"content": {"parts": [{"text": FENCED}]}}]},
    "output in the form of responses": {
        "output": [
            {"type": "reasoning", "summary": [{"text": "f = 1"}]},
            {"type": "message", "content": [{"type": "output_text", "text": FENCED}]},
        ]
    },
    "a generated text": [{"generated_text": FENCED}],
    "a reply in a gateway's object": {"code": 0, "message": "ok", "data": reply()},
    "a reply written in a gateway's object": {"statusCode": 200, "body": json.dumps(reply())},
    "a reply written as a string": json.dumps(json.dumps(reply())),
    "a message written as a string": chat(message=json.dumps({"content": FENCED})),
    "content written as a string": message(content=json.dumps(FENCED)),
    "an answer in JSON that is the message": chat(message=json.dumps({"code": PARITY})),
    "an answer that was parsed": message(content=None, parsed={"code": PARITY}),
    "thoughts beside the message": choice(message={"content": None}, reasoning_content=FENCED),
    "text beside the message": {"choices": [{"message": {"content": None}, "text": FENCED}]},
    "a reply in an object of any name": {"completion": reply(), "success": True},
    "output that holds a message": {
        "output": {"message": {"role": "assistant", "content": [{"text": FENCED}]}},
        "stopReason": "end_turn",
    },
    "a list of outputs": {"outputs": [{"text": FENCED}]},
    "a response in the form of responses": {
        "response": {"output": [{"type": "message", "content": [{"text": FENCED}]}]}
    },
    "messages one a line": "\n".join(
        json.dumps({"message": {"role": "assistant", **each}, "done": False}) for each in HALVES
    ),
    "responses one a line": "\n".join(
        json.dumps({"response": each["content"], "done": False}) for each in HALVES
    ),
    "a stream of Anthropic's": events(
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        *(
            {"type": "content_block_delta", "delta": {"text": each["content"]}}
            for each in HALVES
        ),
    ),
    "a stream of Google's": events(
        {"candidates": [{"content": {"parts": [{"text": "f = 1", "thought": True}]}}]},
        *({"candidates": [{"content": {"parts": [{"text": each["content"]}]}}]} for each in HALVES),
    ),
    "a stream of responses": events(
        *({"type": "response.output_text.delta", "delta": each["content"]} for each in HALVES)
    ),
    "UTF-32": json.dumps(reply()).encode("utf-32"),
    "UTF-16 without a mark": json.dumps(reply()).encode("utf-16-be"),
    "a guard before": ")]}'\n" + json.dumps(reply()),
    "a comment before": "/* served */ " + json.dumps(reply()),
    "packed, and not said so": gzip.compress(json.dumps(reply()).encode()),
    "packed twice": Wire(
        gzip.compress(gzip.compress(json.dumps(reply()).encode())),
        headers={"Content-Encoding": "gzip"},
    ),
    "deflated without a header": Wire(
        zlib.compress(json.dumps(reply()).encode(), wbits=-15),
        headers={"Content-Encoding": "deflate"},
    ),
    "choices written as a string": reply(choices=json.dumps(reply()["choices"])),
    "cut within a text, after a closed block": json.dumps(chat(FENCED + "It is the par")).partition(
        " the par"
    )[0],
    "not packed as it says": Wire(reply(), headers={"Content-Encoding": "gzip"}),
    "a character set for a packing": Wire(reply(), headers={"Content-Encoding": "utf-8"}),
    "packed as brotli by its header alone": Wire(reply(), headers={"Content-Encoding": "br"}),
    "two packings by its header alone": Wire(reply(), headers={"Content-Encoding": "gzip, br"}),
    "commas too many": json.dumps(reply())[:-1].replace("}], ", "},], ") + ",}",
    "brackets too few": json.dumps({"choices": [{"message": {"content": FENCED}}]}).rstrip("}]"),
    "the printed form of Python": repr(reply(error=None, ok=True)),
    "comments": json.dumps(reply()).replace("{", "{ // served\n", 1),
    "events with commas too many": Wire(
        "".join(f"data: {json.dumps(each)[:-1]},}}\n\n" for each in deltas(*HALVES))
    ),
    "keys in capitals": {"Choices": [{"Message": {"Content": FENCED}, "FinishReason": "Stop"}]},
    "a message in capitals": {"choices": [{"Message": {"Content": FENCED}}]},
    "a text of another vendor": {"results": [{"outputText": FENCED, "completionReason": "FINISH"}]},
    "one key of any name": {"answer": PARITY},
    "one key in capitals": {"Code": PARITY},
    "a list under a key of any name": {"predictions": [{"rule": PARITY}]},
    "choices that are texts": {"choices": [FENCED]},
    "choices in choices": {"choices": [[{"message": {"content": FENCED}}]]},
    "a string": json.dumps(PARITY),
    "a plain text": Wire(FENCED, headers={"Content-Type": "text/plain"}),
    "content in parts of another kind": message(content=[{"type": "json", "json": {"a": PARITY}}]),
    "a program among the parts": message(content=[{"code": PARITY}]),
    "a transcript": message(content=None, audio={"transcript": FENCED}),
    "what was asked beside the answer": {"prompt": "def f(x): return 0", "generation": FENCED},
    "code for an interpreter": message(
        tool_calls=[{"type": "code_interpreter", "code_interpreter": {"input": PARITY}}]
    ),
    "arguments in capitals": chat(
        message=chat_call(json.dumps({"Code": PARITY}), "submit")["choices"][0]["message"]
    ),
    "arguments as Python prints them": chat(
        message=chat_call(repr({"code": PARITY}), "submit")["choices"][0]["message"]
    ),
    "a call of a tool that was not offered": chat(
        message=chat_call(json.dumps({"answer": PARITY}), "submit")["choices"][0]["message"]
    ),
}  # fmt: skip


def first_proposal(replies: Sequence[Wire], **settings: Any) -> tuple[Proposal, list[Any]]:
    """Return what a model behind these replies proposes, and the bodies of the requests."""
    with WireServer(replies, routes=LISTED) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0)
        model = make_model("openai-compatible:tiny", options)
        how = LLMSettings(**({"tool": "none"} | settings))
        with LLM(model, attempts=1, settings=how) as llm:
            [proposal] = llm.propose(SPLITS.train, SPLITS.classes, seed=0)
    return proposal, [body for body in server.bodies if body]


def source_of(proposal: Proposal) -> str:
    [(program, error)] = programs_of([proposal])
    assert program is not None, error
    return program.source


@pytest.mark.parametrize("form", ODD_REPLIES)
def test_the_program_is_read_from(form: str) -> None:
    odd = ODD_REPLIES[form]
    proposal, bodies = first_proposal([odd if isinstance(odd, Wire) else Wire(odd)])
    assert source_of(proposal) == Program.parse(PARITY).source
    assert len(bodies) == 1


WHOLE = {
    "anthropic:claude-opus-4-8": anthropic({"type": "text", "text": FENCED}),
    "google:gemini-3.5-flash": google({"text": FENCED}),
    "openai:gpt-5.4": {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": FENCED}]}],
    },
}  # fmt: skip
DAMAGES: dict[str, Any] = {
    "commas too many": lambda value: json.dumps(value).replace("}", ",}"),
    "the printed form of Python": lambda value: repr({**value, "error": None}),
    "a bracket too few": lambda value: json.dumps(value)[:-1],
    "another packing in its header": lambda value: Wire(value, headers={"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_reply_of_any_vendor_is_read(name: str, damage: str, opened: OpenModels) -> None:
    sent = DAMAGES[damage](WHOLE[name])
    with WireServer([sent if isinstance(sent, Wire) else Wire(sent)]) as server:
        [turn] = opened.at(name, server.url, ModelOptions(retries=0)).complete(
            Request([UserMessage("hi")])
        )
    assert turn.text == FENCED


@pytest.mark.parametrize(
    "body",
    [
        {"code": 500, "message": "def f(x): is being loaded"},
        {"status": "busy", "request": {"prompt": "Write def f(x)"}, "detail": ["lambda x"]},
        {"choices": []},
        '{"choices": [{"message": {"content": "def f(x):\\n    return x.cou',
        "<p>def f(x): is being loaded</p>",
        "the gateway is busy",
    ],
)
def test_what_answers_nothing_is_no_reply(body: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        first_proposal([Wire(body)])


CODE = "print(len(rows))"
WRITTEN = json.dumps({"name": "run_python", "arguments": {"code": CODE}})
CALLED: dict[str, dict[str, Any]] = {
    "arguments as an object": {"tool_calls": [{"function": {"arguments": {"code": CODE}}}]},
    "arguments written twice": {
        "tool_calls": [{"function": {"arguments": json.dumps(json.dumps({"code": CODE}))}}]
    },
    "arguments twice over": {
        "tool_calls": [{"function": {"arguments": json.dumps({"code": CODE}) * 2}}]
    },
    "a call without a name or an identifier": {
        "tool_calls": [{"function": {"arguments": json.dumps({"code": CODE})}}]
    },
    "an argument more": {
        "tool_calls": [{"function": {"arguments": {"code": CODE, "language": "python"}}}]
    },
    "line breaks in the arguments": {
        "tool_calls": [{"function": {"arguments": '{"code": "print(\nlen(rows))"}'}}]
    },
    "a flat call": {"tool_calls": [{"name": "run_python", "arguments": {"code": CODE}}]},
    "calls that are no list": {"tool_calls": {"function": {"arguments": {"code": CODE}}}},
    "the legacy form": {
        "function_call": {"name": "run_python", "arguments": json.dumps({"code": CODE})}
    },
    "a call among the parts": {
        "content": [{"type": "tool_use", "name": "run_python", "input": {"code": CODE}}]
    },
    "a call in the text": {"content": f"So:\n<tool_call>{WRITTEN}</tool_call>"},
    "a call in the text, cut": {"content": f"<tool_call>{WRITTEN}"},
    "a call in the thoughts": {
        "content": "",
        "reasoning_content": "Let me see.\n<tool_call>\n"
        f"<function=run_python>\n<parameter=code>\n{CODE}\n</parameter>\n</function>\n</tool_call>",
    },
    "a call in a channel": {
        "content": "<|channel|>commentary to=functions.run_python <|constrain|>json<|message|>"
        + json.dumps({"code": CODE})
    },
}


@pytest.mark.parametrize("form", CALLED)
def test_the_tool_is_called_by(form: str) -> None:
    called = chat(message={"role": "assistant", **CALLED[form]}, finish_reason="stop")
    proposal, bodies = first_proposal([Wire(called), Wire(chat(FENCED))], tool="local")
    assert proposal.tool_calls == 1
    assert source_of(proposal) == Program.parse(PARITY).source
    *_, asked, answered = bodies[1]["messages"]
    assert answered["role"] == "tool"
    assert answered["content"].startswith(f"{len(SPLITS.train)}\n")
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]


def test_a_call_is_put_together_from_the_pieces_of_a_stream() -> None:
    pieces: list[dict[str, Any]] = [
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "run_python"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"code": "pri'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'nt(1)"}'}}]},
        {"tool_calls": [{"index": 0, "id": "b", "function": {"arguments": '{"code": "2"}'}}]},
        {"tool_calls": [{"index": 2, "function": {"arguments": {"code": "3"}}}]},
    ]
    with WireServer([events(*deltas(*pieces))]) as server:
        model = make_model(
            "openai-compatible:tiny", ModelOptions(base_url=f"{server.url}/v1", retries=0)
        )
        [turn] = model.complete(Request([UserMessage("hi")], tool=OFFER))
        model.close()
    assert [(call.id, call.code) for call in turn.calls] == [
        ("a", "print(1)"),
        ("b", "2"),
        ("call_0_2", "3"),
    ]
    assert turn.finish == "tools"


@pytest.mark.parametrize("arguments", ["", None, "{}", {}, "print(1"])
def test_a_call_without_code_is_told_so_and_costs_no_program(arguments: object) -> None:
    called = chat(message={"tool_calls": [{"function": {"arguments": arguments}}]})
    proposal, bodies = first_proposal([Wire(called), Wire(chat(FENCED))], tool="local")
    assert source_of(proposal) == Program.parse(PARITY).source
    assert "The arguments" in bodies[1]["messages"][-1]["content"]


def test_the_tokens_of_a_stream_and_of_numbers_in_words_are_counted() -> None:
    usage = {
        "prompt_tokens": "11",
        "completion_tokens": 7.0,
        "total_tokens": None,
        "completion_tokens_details": {"reasoning_tokens": "3", "audio_tokens": -1},
    }
    for wire in (Wire(reply(usage=usage)), events(*deltas(*HALVES, usage=usage))):
        proposal, _ = first_proposal([wire])
        counted = proposal.usage
        assert (counted.input_tokens, counted.output_tokens) == (11, 7)
        assert counted.reasoning_tokens == 3


def test_after_the_last_call_the_tool_is_forbidden_and_what_is_said_then_counts() -> None:
    said = {
        "role": "assistant",
        "content": FENCED,
        **chat_call('{"code": "2"}')["choices"][0]["message"],
    }
    said["content"] = FENCED
    last = chat(message=said, finish_reason="tool_calls")
    calls = [Wire(chat_call('{"code": "1"}')), Wire(chat_call('{"code": "1"}')), Wire(last)]
    proposal, bodies = first_proposal(calls, tool="local", tool_calls=1)
    assert source_of(proposal) == Program.parse(PARITY).source
    assert proposal.failure == ""
    assert [body.get("tool_choice") for body in bodies] == ["auto", "auto", "none"]
    assert all(body["tools"] for body in bodies)


def test_what_a_call_beyond_the_limit_defines_counts_where_nothing_is_said() -> None:
    calls = [Wire(chat_call(json.dumps({"code": PARITY})))]
    proposal, _ = first_proposal(calls, tool="local", tool_calls=1)
    assert source_of(proposal) == Program.parse(PARITY).source


@pytest.mark.parametrize("end", [Wire(chat("")), Wire({}, 500), Wire(chat("That is it."))])
def test_a_program_that_was_said_beside_a_call_is_kept_when_nothing_follows(end: Wire) -> None:
    asked = chat_call('{"code": "1"}')
    asked["choices"][0]["message"]["content"] = FENCED
    proposal, _ = first_proposal([Wire(asked), end], tool="local")
    assert source_of(proposal) == Program.parse(PARITY).source


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef f(x):\n    return 1\n",
        '{"code": "def f(x): return 1',
        "def f(x):\n    return 1",
    ],
)
def test_a_program_that_was_cut_off_is_not_run(text: str) -> None:
    proposal, _ = first_proposal([Wire(chat(text, finish_reason="length"))])
    assert programs_of([proposal]) == [(None, "the reply was cut off after 7 tokens")]


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_that_refuses_several_answers_is_asked_for_one(
    status: int, opened: OpenModels
) -> None:
    refused = Wire({"error": {"message": "only n = 1 is supported"}}, status)
    with WireServer([refused, Wire(chat("1")), Wire(chat("2"))]) as server:
        options = ModelOptions(retries=0)
        model = opened.at("openai-compatible:tiny", server.url, options)
        assert [turn.text for turn in model.complete(Request([UserMessage("hi")], samples=2))] == [
            "1"
        ]
        assert [turn.text for turn in model.complete(Request([UserMessage("hi")], samples=2))] == [
            "2"
        ]
    assert [body.get("n", 1) for body in server.bodies] == [2, 1, 1]


def test_attempts_of_a_server_that_refuses_several_answers_all_get_theirs() -> None:
    refused = Wire({"error": {"message": "n must be 1"}}, 400)
    answers = [refused, Wire(chat(FENCED)), Wire(chat("none"))]
    with WireServer(answers, routes=LISTED) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0)
        model = make_model("openai-compatible:tiny", options)
        settings = LLMSettings(tool="none", samples_per_call=2)
        # One call after the other: the call for a single answer must not be the one refused.
        context = Context(admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
        with LLM(model, attempts=3, settings=settings) as llm:
            found = list(llm.propose_in(SPLITS.train, SPLITS.classes, seed=0, context=context))
    assert [each.origin for each in found] == ["1", "2", "3"]
    assert sorted(each.text for each in found) == [FENCED, "none", "none"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    with OpenModels(monkeypatch) as models:
        yield models


KEY = "sk-0123456789abcdefghij"


@pytest.mark.parametrize("key", ["x", "EMPTY", "none", "test", "ollama", "sk-no-key-required"])
def test_a_word_that_is_no_secret_leaves_programs_as_they_are(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", key)
    source = f"def f(x):\n    EMPTY = none = test = ollama = {key!r}\n    return len(x) % 2\n"
    called = chat_call(json.dumps({"code": f"print({key!r})"}))
    proposal, bodies = first_proposal(
        [Wire(called), Wire(chat(f"```python\n{source}```"))], tool="local"
    )
    assert source_of(proposal) == source
    [_, asked, answered] = bodies[1]["messages"]
    assert key in asked["tool_calls"][0]["function"]["arguments"]
    assert answered["content"].startswith(f"{key}\n")


@pytest.mark.parametrize(
    "piece", [KEY, KEY[3:], KEY[5:11], "".join(f"\\u{ord(each):04x}" for each in KEY[5:13])]
)
def test_a_program_that_held_pieces_of_the_key_is_not_run_altered(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", KEY)
    program = f"def f(x):\n    return x == '{piece}'\n"
    proposal, _ = first_proposal([Wire(chat(f"```python\n{program}```"))])
    assert programs_of([proposal]) == [(None, KEY_IN_PROGRAM)]
    assert piece not in repr(proposal)
    assert KEY[5:11] not in repr(proposal)


def test_a_program_beside_which_the_key_was_echoed_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", KEY)
    proposal, _ = first_proposal([Wire(chat(f"Your key ends with {KEY[-6:]}.\n\n{FENCED}"))])
    assert proposal.text.startswith("Your key ends with [redacted].\n")
    assert source_of(proposal) == Program.parse(PARITY).source


def test_fragments_of_the_key_that_stand_in_the_rows_are_the_users_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = str(SPLITS.train.inputs[0])
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", f"sk-{row}-abcdefghijklm")
    program = f"def f(x):\n    return int(x == '{row}')\n"
    proposal, _ = first_proposal([Wire(chat(f"```python\n{program}```"))])
    assert len(row) >= 6
    assert source_of(proposal) == program


def test_code_that_held_pieces_of_the_key_is_not_run_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", KEY)
    called = chat_call(json.dumps({"code": f"print('{KEY[4:12]}')"}))
    proposal, bodies = first_proposal([Wire(called), Wire(chat(FENCED))], tool="local")
    assert source_of(proposal) == Program.parse(PARITY).source
    answered = bodies[1]["messages"][-1]["content"]
    assert answered == "The code contained fragments of the API key, so it was not run."


def test_a_call_in_the_text_is_left_alone_where_no_tool_is_offered(opened: OpenModels) -> None:
    text = '<tool_call>{"name": "run_python", "arguments": {"code": "1"}}</tool_call>'
    with WireServer([Wire(chat(text))]) as server:
        model = opened.at("openai-compatible:tiny", server.url)
        [plain] = model.complete(Request([UserMessage("hi")]))
        [turn] = model.complete(Request([UserMessage("hi")], tool=OFFER))
        late = ToolOffer(description="Runs Python.", forbidden=True)
        [end] = model.complete(
            Request([UserMessage("hi"), turn, ToolAnswer(turn.calls[0], "1")], tool=late)
        )
    assert (plain.text, plain.calls, end.text, end.calls) == (text, (), text, ())
    assert [call.code for call in turn.calls] == ["1"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = (
    "id",
    "created",
    "model",
    "object",
    "usage",
    "service_tier",
    "system_fingerprint",
    "error",
)
_INNER = ("index", "finish_reason", "logprobs", "delta")


@given(
    st.dictionaries(st.sampled_from(_FIELDS), _JSON),
    st.dictionaries(st.sampled_from(_INNER), _JSON),
    st.dictionaries(st.sampled_from(["role", "refusal", "annotations", "audio", "name"]), _JSON),
)
def test_no_field_that_is_not_needed_costs_a_reply(
    outer: dict[str, Any], inner: dict[str, Any], innermost: dict[str, Any]
) -> None:
    said = {**innermost, "content": "hello"}
    body = json.dumps({**outer, "choices": [{**inner, "message": said}]})
    read, status = readable_reply("/v1/chat/completions", body.encode())
    assert status == 200
    assert json.loads(read)["choices"][0]["message"]["content"] == "hello"


@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/responses"):
        try:
            readable_reply(path, body)
        except UnreadableReplyError:
            continue
