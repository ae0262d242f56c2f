"""What a model in this process says, thinks and calls, read out of its reply."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.models.tool_calls import read_reply

CODE = "for row in rows:\n    print(row)"


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>\n{"name": "run_python", "arguments": %s}\n</tool_call>',
        'Let me look.\n<tool_call>{"name": "run_python", "arguments": %s}</tool_call>',
        '<tool_call>{"name": "run_python", "arguments": %s}',
        '<tool_call>{"function": {"name": "run_python", "parameters": %s}}</tool_call>',
        '[TOOL_CALLS] [{"name": "run_python", "arguments": %s}]',
        "[TOOL_CALLS]run_python[ARGS]%s",
        '{"name": "run_python", "parameters": %s}',
        '<|python_tag|>{"name": "run_python", "parameters": %s}',
        "<|channel|>commentary to=functions.run_python <|constrain|>json<|message|>%s<|call|>",
        "<|start|>assistant to=run_python<|channel|>commentary json<|message|>%s",
    ],
)
def test_a_call_is_read_in_every_way_that_models_write_it(reply: str) -> None:
    read = read_reply(reply % json.dumps({"code": CODE}), tools=True)

    assert [(call.name, call.code, call.problem) for call in read.calls] == [
        ("run_python", CODE, "")
    ]
    assert read.text in {"", "Let me look.", "<|start|>assistant"}


def test_a_call_in_tags_of_its_own_keeps_its_line_breaks() -> None:
    reply = (
        "<tool_call>\n<function=run_python>\n<parameter=code>\n"
        f"{CODE}\n</parameter>\n</function>\n</tool_call>"
    )

    assert read_reply(reply, tools=True).calls[0].code == CODE


def test_arguments_written_as_a_string_and_raw_line_breaks_are_read() -> None:
    as_string = json.dumps({"name": "run_python", "arguments": json.dumps({"code": CODE})})
    raw = '{"name": "run_python", "arguments": {"code": "a = 1\nprint(a)"}}'

    read = read_reply(f"<tool_call>{as_string}</tool_call><tool_call>{raw}</tool_call>", tools=True)

    assert [call.code for call in read.calls] == [CODE, "a = 1\nprint(a)"]
    assert len({call.id for call in read.calls}) == 2


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"name": "run_python", "arguments": {"code": ', "not valid JSON"),
        ('{"name": "run_python", "arguments": {"source": "1"}}', '"code"'),
        ('{"name": "run_python", "arguments": {"code": 3}}', "code has to be a string"),
        ('{"name": "search", "arguments": {"code": "1"}}', "no tool 'search'"),
        ("[1, 2]", '"code"'),
        ("", "not valid JSON"),
    ],
)
def test_a_call_that_cannot_be_read_says_what_is_wrong(body: str, problem: str) -> None:
    (call,) = read_reply(f"<tool_call>{body}</tool_call>", tools=True).calls

    assert call.code is None
    assert problem in call.problem


def test_without_a_tool_what_looks_like_a_call_is_text() -> None:
    reply = '{"name": "run_python", "parameters": {"code": "1"}}'

    assert read_reply(reply).text == reply
    assert read_reply(reply).calls == ()


def test_an_object_that_is_no_call_is_text() -> None:
    reply = '{"code": "def f(x):\\n    return 1"}'

    assert read_reply(reply, tools=True).text == reply


@pytest.mark.parametrize(
    ("reply", "thinking", "thoughts", "text"),
    [
        ("<think>Hm.</think>\n\n1", False, "Hm.", "1"),
        ("Hm.</think>1", True, "Hm.", "1"),
        ("Hm, cut off", True, "Hm, cut off", ""),
        ("<think>Hm, cut off", False, "Hm, cut off", ""),
        ("<think>a</think>b<think>c</think>d", False, "a</think>b<think>c", "d"),
        ("just text", False, "", "just text"),
    ],
)
def test_thoughts_are_told_from_what_is_said(
    reply: str, thinking: bool, thoughts: str, text: str
) -> None:
    read = read_reply(reply, thinking=thinking)

    assert (read.thoughts, read.text) == (thoughts, text)


def test_calls_of_different_turns_have_different_names() -> None:
    reply = '<tool_call>{"name": "run_python", "arguments": {"code": "1"}}</tool_call>'
    first, second = (read_reply(reply, tools=True, turn=turn).calls[0].id for turn in (1, 3))

    assert first != second
    assert len(first) == len(second) == 9  # Mistral's templates take nine letters and digits alone


# A closing tag within a string ends the call for the models' own parsers too.
@given(st.text().filter(lambda code: "</tool_call>" not in code))
def test_code_survives_being_written_as_a_call(code: str) -> None:
    body = json.dumps({"name": "run_python", "arguments": {"code": code}})

    assert read_reply(f"<tool_call>{body}</tool_call>", tools=True).calls[0].code == code


@given(st.text() | st.text(alphabet='<>/{}[]"\\:,tol_cafunions=paremTOL S\n'))
def test_any_reply_can_be_read(reply: str) -> None:
    read = read_reply(reply, tools=True, thinking=True)

    assert all((call.code is None) == bool(call.problem) for call in read.calls)
