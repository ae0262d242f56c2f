"""The prompt: training rows, the contract for the answer, and nothing else."""

import json

from llm_pv.data.examples import Classes, Examples
from llm_pv.programs.replies import read_program
from llm_pv.proposers.prompt import problem_statement, prompt_digest
from rows import parity_splits


def test_every_training_row_is_one_line_and_no_other_row_is_in_it() -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes, alphabet="binary")
    lines = prompt.splitlines()
    for text, label in zip(splits.train.inputs, splits.train.labels, strict=True):
        assert lines.count(f"{text} -> {label}") == 1
    for rows in (splits.validation, splits.test):
        assert not any(str(text) in prompt for text in rows.inputs)


def test_table_rows_are_written_as_names_and_values() -> None:
    rows = Examples([{"x0": 0.5, "x1": "c3", "x2": None}], ["1"])
    prompt = problem_statement(rows, Classes(("0", "1"), (0, 1)), alphabet="table")
    assert "x0:0.5,x1:c3,x2: -> 1\n" in prompt
    assert "dict" in prompt


def test_the_contract_s_own_example_is_read_as_a_reply() -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes)
    (line,) = [line for line in prompt.splitlines() if line.startswith("{")]
    assert set(json.loads(line)) == {"code"}
    assert read_program(line).source.startswith("def f(x):")


def test_a_prompt_is_named_by_its_digest() -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes)
    assert prompt_digest(prompt) == prompt_digest(prompt)
    assert prompt_digest(prompt) != prompt_digest(prompt + " ")
