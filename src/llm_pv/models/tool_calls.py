"""Parse a model's raw reply into reasoning, tool calls and text.

Models write calls the way their chat templates show them. These are read:
``<tool_call>{json}</tool_call>`` (Hermes, Qwen), ``<tool_call><function=NAME><parameter=KEY>...``
(Qwen Coder), ``[TOOL_CALLS]`` followed by JSON (Mistral), ``to=functions.NAME`` in a channel of its
own (gpt-oss), and a reply that is one object ``{"name": ..., "parameters": ...}`` (Llama). A call
that cannot be read becomes a `ToolCall` without code, whose problem is shown to the model.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_pv.models.base import ToolCall

TOOL_NAME = "run_python"
"""The name of the only local tool."""

_THOUGHT_END = re.compile(r"</think(?:ing)?>")
_THOUGHT_START = re.compile(r"<think(?:ing)?>")
_CALL = re.compile(r"<tool_call>\s*+(?P<body>.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=(?P<name>[^>\n]*+)>(?P<body>.*)", re.DOTALL)
_PARAMETER = re.compile(
    r"<parameter=(?P<key>[^>\n]*+)>\n?(?P<value>.*?)\n?(?:</parameter>|\Z)", re.DOTALL
)
_MISTRAL = re.compile(r"\[TOOL_CALLS\]\s*+(?P<name>[\w.-]*+)(?:\[ARGS\])?\s*+(?=[\[{])")
_CHANNEL = re.compile(
    r"(?:<\|channel\|>\s*+\w*+\s*+)?\bto=(?:functions\.)?(?P<name>[\w.-]++)[^<{\n]{0,40}+"
    r"(?:<\|(?!message)[a-z]++\|>[^<{\n]{0,40}+){0,3}+<\|message\|>\s*+(?=\{)"
)
_JSON = json.JSONDecoder(strict=False)  # models leave line breaks in strings unescaped


@dataclass(frozen=True)
class Reply:
    """A parsed reply."""

    text: str
    thoughts: str = ""
    calls: tuple[ToolCall, ...] = ()


def read_reply(reply: str, *, tools: bool = False, thinking: bool = False, turn: int = 0) -> Reply:
    r"""Parse a reply.

    Parameters
    ----------
    tools
        Whether a tool was offered; if not, text that looks like a call is text.
    thinking
        Whether the prompt already contained the opening of the reasoning.
    turn
        The number of messages before it, which makes the names of its calls unique.

    Examples
    --------
    >>> reply = '<think>Hm.</think>\nLet me see.\n<tool_call>\n{"name": "run_python", "arguments": \
    ... {"code": "print(1)"}}\n</tool_call>'
    >>> read_reply(reply, tools=True)  # doctest: +NORMALIZE_WHITESPACE
    Reply(text='Let me see.', thoughts='Hm.', calls=(ToolCall(id='call00000', code='print(1)',
        name='run_python', problem=''),))
    """
    thoughts, said = _split_thoughts(reply, thinking=thinking)
    if not tools:
        return Reply(said.strip(), thoughts)
    text, calls = split_calls(said, turn)
    return Reply(text.strip(), thoughts, calls)


def split_calls(said: str, turn: int) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text before the first call, and the calls."""
    text, raw_calls = _split_calls(said)
    calls = tuple(
        tool_call(f"call{turn % 1000:03d}{number % 100:02d}", name, arguments)
        for number, (name, arguments) in enumerate(raw_calls)
    )
    return text, calls


def _split_thoughts(reply: str, *, thinking: bool) -> tuple[str, str]:
    ends = list(_THOUGHT_END.finditer(reply))
    start = _THOUGHT_START.search(reply)
    if ends:
        thoughts, said = reply[: ends[-1].start()], reply[ends[-1].end() :]
    elif start or thinking:
        thoughts, said = (reply[start.start() :], reply[: start.start()]) if start else (reply, "")
    else:
        return "", reply
    return _THOUGHT_START.sub("", thoughts, count=1).strip(), said


_RawCall = tuple[str, Any]
"""The name and the arguments of a call; arguments that could not be read are an error."""


def _split_calls(said: str) -> tuple[str, list[_RawCall]]:
    """Return the text before the first call, and the calls."""
    tagged = list(_CALL.finditer(said))
    if tagged:
        raw_calls = [raw_call for call in tagged for raw_call in _tagged(call["body"])]
        return said[: tagged[0].start()], raw_calls
    for mark in (_MISTRAL, _CHANNEL):
        found = list(mark.finditer(said))
        if found:
            raw_calls = [
                raw_call for call in found for raw_call in _after(said, call.end(), call["name"])
            ]
            return said[: found[0].start()], raw_calls
    body = said.strip().removeprefix("<|python_tag|>").strip()
    if body.startswith("{"):
        value = _decoded(body, 0)
        if (
            isinstance(value, dict)
            and value.keys() & {"parameters", "arguments"}
            and "name" in value
        ):
            return "", [_raw_call(value)]
    return said, []


def _tagged(body: str) -> Iterator[_RawCall]:
    function = _FUNCTION.match(body)
    if function is None:
        yield _raw_call(_decoded(body, 0))
        return
    yield (
        function["name"].strip(),
        {found["key"].strip(): found["value"] for found in _PARAMETER.finditer(function["body"])},
    )


def _after(said: str, position: int, name: str) -> Iterator[_RawCall]:
    value = _decoded(said, position)
    if name:
        yield name, value
        return
    for one in value if isinstance(value, list) else [value]:
        yield _raw_call(one)


def _decoded(text: str, position: int) -> Any:
    """Return the JSON value at a position, or the error if there is none."""
    try:
        return _JSON.raw_decode(text, position)[0]
    except (ValueError, RecursionError) as error:
        return error


def _raw_call(value: Any) -> _RawCall:
    if not isinstance(value, dict):
        return TOOL_NAME, value
    function = value.get("function", value)
    if not isinstance(function, dict):
        function = value
    arguments = function.get("arguments", function.get("parameters"))
    return str(function.get("name", TOOL_NAME)), arguments


def tool_call(call_id: str, name: str, arguments: Any) -> ToolCall:
    """Return a call of the only tool, or a call with its problem.

    Parameters
    ----------
    arguments
        An object with the code, or that object written as JSON, once or twice; an error where it
        could not be read. Further arguments are ignored.

    Examples
    --------
    >>> tool_call("c", "run_python", '{"code": "print(1)", "timeout": 5}').code
    'print(1)'
    """

    def broken(problem: str) -> ToolCall:
        return ToolCall(call_id, None, name, problem)

    if name != TOOL_NAME:
        return broken(f"There is no tool {name!r}; the only one is {TOOL_NAME}(code).")
    for _ in range(2):
        if isinstance(arguments, str):
            arguments = _decoded(arguments.strip(), 0)
    if isinstance(arguments, Exception):
        return broken(f"The arguments are not valid JSON: {arguments}.")
    if not isinstance(arguments, dict) or "code" not in arguments:
        return broken('The arguments have to be an object like {"code": "print(1)"}.')
    code = arguments["code"]
    if not isinstance(code, str):
        return broken("The argument code has to be a string.")
    return ToolCall(call_id, code, name)
