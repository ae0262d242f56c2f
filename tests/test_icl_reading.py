"""Reading a label out of whatever a model answered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.tracks.icl.texts import read_label

BITS = ("0", "1")


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "1"}',
        '{"label": 1}',
        '{"label": 1.0}',
        '{"label": true}',
        "{'label': '1'}",
        "{label: 1}",
        '{"Label":"1"}',
        '```json\n{"label": "1"}\n```',
        'First I thought {"label": "0"}, but it is {"label": "1"}.',
        '{\\"label\\": \\"1\\"}',
        '{"reason": "odd", "label": "1", "confidence": 0.9}',
        "The label is 1.",
        "**Answer:** 1",
        "label = 1",
        "1",
        " 1\n",
        '"1"',
        "`1`",
        "**1**.",
        "0110 -> 1",
        "**Answer**: 1",
        "Answer: 1) because it is odd",
        "1\n\nBecause it is odd.",
        "1 (odd)",
        "1 - since it is odd",
        r"The answer is \boxed{1}.",
        '{"answer": "1"}',
        '{"label": ["1"]}',
        "{\u201clabel\u201d: \u201c1\u201d}",
    ],
)
def test_a_label_is_read_however_it_is_wrapped(text: str) -> None:
    assert read_label(text, BITS) == "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"label": "2"}',
        '{"label": ""}',
        '{"label": null}',
        '{"label": [0, 1]}',
        '{"label":',
        "It could be 1 or 0.",
        "0110 has 2 ones",
        "10",
        "I cannot answer that.",
        "The answer is 1 or 0",
        "Answer: 1 - 0",
        "0110 -> 1 or 0",
        "0\n1",
    ],
)
def test_what_gives_no_label_is_not_guessed_at(text: str) -> None:
    assert read_label(text, BITS) is None


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ('{"label": "YES"}', ("no", "yes"), "yes"),
        ('{"label": "Yes"}', ("YES", "yes"), None),
        ('{"label": "10"}', ("1", "10"), "10"),
        ('{"label": "007"}', ("007", "7"), "007"),
        ('{"label": 7}', ("007", "7"), "7"),
        ('{"label": "0.5"}', ("0.5", "1"), "0.5"),
        ('{"label": "a, b"}', ("a", "a, b"), "a, b"),
        ("label: versicolor", ("setosa", "versicolor"), "versicolor"),
        ("Answer: x-rays", ("x", "x-ray"), None),
        ('"a\\nb"', ("a\nb", "a"), "a\nb"),
    ],
)
def test_labels_of_every_kind_are_told_apart(
    text: str, labels: tuple[str, ...], label: str | None
) -> None:
    assert read_label(text, labels) == label


@given(st.text(min_size=1), st.text(max_size=20), st.booleans())
def test_every_label_written_as_json_is_read_back(label: str, prose: str, ascii_only: bool) -> None:
    prose = prose.replace("\\", "").replace("label", "").replace("answer", "")
    text = f"{prose}\n{json.dumps({'label': label}, ensure_ascii=ascii_only)}"

    assert read_label(text, [label]) == label


@given(st.text() | st.text(alphabet="{}\"'\\:,labe 01\n"))
def test_any_answer_can_be_read_and_gives_a_label_or_none(text: str) -> None:
    assert read_label(text, BITS) in {"0", "1", None}


def test_a_huge_answer_is_read_quickly() -> None:
    for piece in ('{"label": ', "label is ", '"label": "', "\\", "answer answer "):
        read_label(piece * 100_000, BITS)
    assert read_label("x" * 1_000_000 + '{"label": "1"}', BITS) == "1"
