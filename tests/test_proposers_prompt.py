"""The prompt: training rows, the contract for the answer, and nothing else."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ToolPlace
from llm_pv.programs.replies import read_program
from llm_pv.proposers.base import Mistake
from llm_pv.proposers.llm.prompt import row_choice
from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.messages import disclosure, no_program_message, refinement_message
from llm_pv.proposers.llm.prompt.notation import Notation
from llm_pv.proposers.llm.prompt.row_choice import fit_to_tokens, informative_rows, subsample
from llm_pv.proposers.llm.prompt.statement import problem_statement, prompt_digest
from llm_pv.proposers.llm.prompt.variants import parse_variant
from rows import parity_splits

BITS = Classes(("0", "1"), (0, 1))
VARIANTS = (1, 2, 3, 4)


def statement(inputs: list[object], labels: list[str], **options: object) -> str:
    texts = tuple(sorted(set(labels)))
    rows = Examples(inputs, labels)  # type: ignore[arg-type]
    return problem_statement(rows, Classes(texts, texts), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_training_row_is_one_line_and_no_other_row_is_in_it(variant: int) -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes, alphabet="binary", variant=variant)
    lines = prompt.splitlines()
    for text, label in zip(splits.train.inputs, splits.train.labels, strict=True):
        assert lines.count(f"{text} -> {label}") == 1
    for rows in (splits.validation, splits.test):
        assert not any(str(text) in prompt for text in rows.inputs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_wording_states_count_labels_inputs_and_a_contract_that_reads_as_a_reply(
    variant: int,
) -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes, alphabet="binary", variant=variant)
    for text in ("20 ", "0, 1", "a string of the characters 0 and 1", "def f(x)"):
        assert text in prompt
    (line,) = [line for line in prompt.splitlines() if line.startswith("{")]
    assert set(json.loads(line)) == {"code"}
    assert read_program(line).source.startswith("def f(x):")
    assert "\n\n\n" not in prompt
    assert "{" not in prompt.replace(line, "")


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_answer_in_python_may_follow_thoughts_and_is_shown_as_a_reply(variant: int) -> None:
    rows = parity_splits().train
    prompt = problem_statement(rows, BITS, variant=variant, answer_format="python")
    assert "Think as you like" in prompt
    assert "JSON" not in prompt
    assert "Write down" not in prompt
    assert read_program(prompt[prompt.index("Think as") :]).source == "def f(x):\n    ...\n"
    assert "\n\n\n" not in prompt
    for text in (
        refinement_message([Mistake("0", "0", "1")], answer_format="python"),
        no_program_message("none", "python"),
    ):
        assert "```python\ndef f(x):" in text
        assert "JSON" not in text


@pytest.mark.parametrize("variant", VARIANTS)
def test_facts_stand_before_the_rows_and_are_left_out_where_there_are_none(variant: int) -> None:
    rows = parity_splits().train
    prompt = problem_statement(rows, BITS, variant=variant, facts="- One.\n- Two.")
    assert prompt.index("\n\n- One.\n- Two.\n\n20 ") < prompt.index(f"\n{rows.inputs[0]} -> ")
    plain = problem_statement(rows, BITS, variant=variant)
    assert prompt.replace("\n- One.\n- Two.\n\n", "") == plain


def test_the_facts_of_strings_are_their_counts_lengths_and_characters() -> None:
    rows = Examples(["ab", "abcab", "c c"], ["yes", "no", "yes"])
    assert facts(rows, Classes.of(["no", "yes", "seen nowhere"])).splitlines() == [
        "- 3 training examples in all: 1 with label no, 2 with label yes.",
        "- A label is a string, exactly as it is written here (case, zeros and blanks count).",
        '- Inputs have 2 to 5 characters, of 4 different ones: " " a b c',
        "- No label is known to be wrong: the rule explains every example.",
    ]


def test_labels_are_written_alike_in_facts_and_rows() -> None:
    rows = Examples(["a", "b"], ["yes, sure", "no"])
    first = facts(rows, Classes.of(["no", "yes, sure"])).splitlines()[0]
    assert first.endswith(': 1 with label "no", 1 with label "yes, sure".')


def test_the_facts_of_tables_are_types_ranges_and_missing_values() -> None:
    rows = Examples(
        [
            {"age": 3, "x": 0.5, "city": "Ulm", "ok": True, "gone": None},
            {"age": 70, "x": None, "city": "Bonn", "ok": False, "gone": None},
        ],
        ["1.5", "2.5"],
    )
    told = facts(rows, Classes.of([1.5, 2.5]), tool_calls=7, noise=0.05, about="a\ncensus")
    assert told.splitlines()[1:] == [
        "- A label is a number; numbers of numpy and its text, as it is written here, count.",
        '- Column "age": int, 3 to 70.',
        '- Column "x": float, 0.5 to 0.5, missing (None) in 1.',
        '- Column "city": str, one of "Bonn", "Ulm".',
        '- Column "ok": bool, one of "False", "True".',
        '- Column "gone": always missing.',
        "- About 5.0% of the labels may be wrong: the right rule misses that many examples, "
        "whatever is said of all examples below, and it is no use to explain single ones.",
        "- The tool can be called 7 times.",
        "- Of the data it is said: a census",
    ]


def test_telling_rows_are_balanced_in_order_and_hold_pairs_that_differ_in_their_label() -> None:
    # 190 rows of one class, 10 of the other, each of which is one character from a row of it.
    inputs = [f"{number:08b}" for number in range(190)]
    odd = [f"{number:08b}x" for number in range(10)]
    rows = Examples([*inputs, *odd], ["0"] * 190 + ["1"] * 10)
    few = informative_rows(rows, 12, seed=3)
    assert few == informative_rows(rows, 12, seed=3)
    assert few != informative_rows(rows, 12, seed=4)
    assert sorted(few.labels) == ["0"] * 6 + ["1"] * 6
    places = [[*inputs, *odd].index(str(text)) for text in few.inputs]
    assert places == sorted(set(places))
    close = [text for text in few.inputs if f"{text}x" in few.inputs]
    assert len(close) >= 2  # a third of the rows are two such pairs
    assert informative_rows(rows, 200, seed=3) == rows


def test_telling_rows_take_what_there_is_of_each_class_and_the_extremes() -> None:
    rows = Examples(["a" * number for number in range(1, 41)], ["0"] * 38 + ["1"] * 2)
    few = informative_rows(rows, 10, seed=0)
    assert len(few) == 10
    assert few.labels.count("1") == 2
    assert {"a", "a" * 38} <= set(map(str, few.inputs))


def test_the_wordings_differ() -> None:
    splits = parity_splits()
    prompts = {
        problem_statement(splits.train, splits.classes, variant=variant) for variant in VARIANTS
    }
    assert len({prompt.partition("\n\n")[0] for prompt in prompts}) == 4


TOOLS: list[tuple[ToolPlace, str]] = [
    ("none", "cannot run code"),
    ("local", "`rows`, a list of (input, label) pairs"),
    ("hosted", "paste the lines above"),
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("tool", "says"), TOOLS)
def test_a_sentence_fits_the_tool_at_hand(variant: int, tool: ToolPlace, says: str) -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes, variant=variant, tool=tool)
    assert [other for _, other in TOOLS if other in prompt] == [says]
    assert ("run_python" in prompt) is (tool == "local")


def test_the_sentence_on_the_tool_tells_of_rows_not_shown() -> None:
    rows = parity_splits().train
    prompt = problem_statement(rows, BITS, tool="local", tool_rows=1_000)
    assert "all 1,000 training examples, of which those above are a sample" in prompt
    assert "a sample" not in problem_statement(rows, BITS, tool="local", tool_rows=20)


def test_table_rows_of_the_benchmark_are_written_as_names_and_values() -> None:
    row = {"x0": 0.5, "x1": "c3", "x2": None, "x3": 39.0}
    prompt = statement([row], ["1"], alphabet="table")
    assert "\nx0:0.5,x1:c3,x2:,x3:39 -> 1\n" in prompt
    assert "dict from name to value, numbers as float" in prompt


@pytest.mark.parametrize(
    "row",
    [
        {"zip": "007"},
        {"n": 3},
        {"b": True},
        {"a,b": 1.5},
        {"text": "two\nlines"},
        {"word": "nan"},
        {"word": ""},
        {"é": "ü"},
    ],
)
@pytest.mark.parametrize("alphabet", ["table", ""])
def test_table_rows_whose_types_would_be_lost_are_json(
    row: dict[str, object], alphabet: str
) -> None:
    (line,) = [
        line for line in statement([row], ["1"], alphabet=alphabet).splitlines() if line[-1:] == "1"
    ][-1:]
    assert json.loads(line.removesuffix(" -> 1")) == row
    assert "written as a JSON object" in statement([row], ["1"], alphabet=alphabet)


def test_plain_strings_are_written_as_they_are() -> None:
    prompt = statement(["spam and eggs", 'a "quoted" word', r"back\nslash", "né"], ["a"] * 4)
    for text in ("spam and eggs", 'a "quoted" word', r"back\nslash", "né"):
        assert f"\n{text} -> a\n" in prompt
    assert "JSON string" not in prompt


@pytest.mark.parametrize(
    "odd",
    [
        "two\nlines",
        "x -> y",
        " blank",
        "blank ",
        "",
        '"quoted"',
        "tab\t",
        "\u2028",
        "\ud800",
        "a\0b",
    ],
)
def test_strings_that_would_be_misread_are_json_and_the_prompt_says_so(odd: str) -> None:
    prompt = statement(["plain", odd], ["0", "1"])
    assert '\n"plain" -> 0\n' in prompt
    assert f"\n{json.dumps(odd)} -> 1\n" in prompt
    assert "written as a JSON string" in prompt
    assert prompt.isascii()


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1, max_size=5))
def test_every_row_can_be_read_back_whatever_it_holds(rows: list[tuple[str, str]]) -> None:
    prompt = statement([text for text, _ in rows], [label for _, label in rows])
    inputs_quoted = "written as a JSON string," in prompt
    labels_quoted = "return the string itself" in prompt
    marker = "one a line, input -> label:\n\n"
    lines = prompt.partition(marker)[2].split("\n")[: len(rows)]
    read = []
    for line in lines:
        if inputs_quoted:
            text, end = json.JSONDecoder().raw_decode(line)
            rest = line[end:].removeprefix(" -> ")
        else:
            text, _, rest = line.partition(" -> ")
        read.append((text, json.loads(rest) if labels_quoted else rest))
    assert read == rows


def test_labels_that_would_be_misread_are_json() -> None:
    prompt = statement(["x", "y"], ["a, b", "c"])
    assert 'one of: "a, b", "c" (written as JSON strings; return the string itself).' in prompt
    assert '\nx -> "a, b"\ny -> "c"\n' in prompt


def test_a_label_that_no_shown_row_has_is_counted_and_not_named() -> None:
    rows = Examples(["x"], ["seen"])
    prompt = problem_statement(rows, Classes(("hidden", "seen"), ("hidden", "seen")))
    assert "one of: seen (and 1 that no example shows)." in prompt
    assert "hidden" not in prompt.replace("A hidden rule", "")


def test_many_labels_are_listed_in_part() -> None:
    labels = [f"L{number:03}" for number in range(80)]
    prompt = statement([str(number) for number in range(80)], labels)
    assert "L048, L049 (and 30 more that the examples show)." in prompt
    assert "\n79 -> L079\n" in prompt


def test_labels_that_are_bools_say_so() -> None:
    rows = Examples(["x", "y"], ["0", "1"])
    assert "one of: 0, 1 (1 is True, 0 is False)." in problem_statement(
        rows, Classes.of([True, False])
    )


def test_a_prompt_is_named_by_its_digest() -> None:
    splits = parity_splits()
    prompt = problem_statement(splits.train, splits.classes)
    assert prompt_digest(prompt) == prompt_digest(prompt)
    assert prompt_digest(prompt) != prompt_digest(prompt + " ")


def template(folder: Path, text: str) -> Path:
    path = folder / "template.txt"
    path.write_text(text, "utf-8")
    return path


def test_a_template_is_filled_in_and_keeps_its_other_braces(tmp_path: Path) -> None:
    path = template(tmp_path, '{{count}} is {count}; {labels} | {"a": {}} { }\n{examples}\n\n\nEnd')
    rows = Examples(["x {count}", "y"], ["{tool}", "b"])
    classes = Classes(("b", "{tool}"), ("b", "{tool}"))
    assert problem_statement(rows, classes, variant=path) == (
        '{count} is 2; b, {tool} | {"a": {}} { }\nx {count} -> {tool}\ny -> b\n\n\nEnd'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{examples} {exemples}", r"holds \{exemples\}, which is no placeholder"),
        ("no rows", r"has no \{examples\}"),
        ("{{examples}}", r"has no \{examples\}"),
    ],
)
def test_a_template_with_wrong_placeholders_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = template(tmp_path, text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_variant(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=message):
        problem_statement(parity_splits().train, BITS, variant=path)


def test_a_template_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the prompt template"):
        parse_variant(str(tmp_path / "none.txt"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe{examples}")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        parse_variant(str(tmp_path / "binary"))


def test_a_variant_is_a_number_or_a_file(tmp_path: Path) -> None:
    path = template(tmp_path, "{examples}")
    assert parse_variant("2") == 2
    assert parse_variant(str(path)) == path
    for number in ("0", "5", "99"):
        with pytest.raises(ConfigurationError, match=f"no prompt variant {number}"):
            parse_variant(number)
    with pytest.raises(ConfigurationError, match="no prompt variant 7"):
        problem_statement(parity_splits().train, BITS, variant=7)


@given(
    st.lists(st.sampled_from("aaaab"), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 3),
)
def test_a_subsample_keeps_order_shares_and_every_class_it_can(
    labels: list[str], size: int, seed: int
) -> None:
    rows = Examples([str(number) for number in range(len(labels))], labels)
    few = subsample(rows, size, seed)
    assert len(few) == min(size, len(labels))
    positions = [int(str(text)) for text in few.inputs]
    assert positions == sorted(set(positions))
    assert [labels[position] for position in positions] == list(few.labels)
    for label in set(labels):
        share = labels.count(label) * min(1.0, size / len(labels))
        assert abs(few.labels.count(label) - share) <= 1
        if size >= len(set(labels)):
            assert label in few.labels


def test_a_subsample_is_drawn_by_the_seed() -> None:
    rows = Examples([str(number) for number in range(1_000)], ["0", "1"] * 500)
    drawn = [subsample(rows, 100, seed).inputs for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert max(int(str(text)) for text in drawn[0]) > 800  # not only the first rows


def test_a_subsample_without_rows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 rows in a prompt"):
        subsample(parity_splits().train, 0, 0)


@given(st.integers(1, 40), st.integers(1, 120))
def test_as_many_rows_are_shown_as_fit(rows: int, limit: int) -> None:
    train = Examples(["abc"] * rows, [str(number % 2) for number in range(rows)])

    def write(shown: Examples) -> str:
        return "x" * (2 + 3 * len(shown))

    most = (limit - 2) // 3
    if most < 1:
        with pytest.raises(ConfigurationError, match="not one training row fits"):
            fit_to_tokens(train, write, len, limit, seed=0)
        return
    shown, warning = fit_to_tokens(train, write, len, limit, seed=0)
    assert len(shown) == min(rows, most)
    assert bool(warning) is (most < rows)
    if warning:
        assert f"only {most} of {rows} training rows" in warning


def test_mistakes_are_told_in_the_notation_of_the_prompt() -> None:
    mistakes = [Mistake("0111", "1", "0"), Mistake("0110", "0", "ValueError: two\nlines\x1b")]
    train = Examples(["0111", "0110", "x -> y"], ["1", "0", "1"])
    text = refinement_message(mistakes, train=train)
    assert '\n"0111" -> 1, your program: 0\n' in text
    assert '\n"0110" -> 0, your program: ValueError: two lines\\x1b\n' in text
    assert "wrong on 2 of the 3 training examples" in text
    plain = refinement_message(mistakes)
    assert "\n0111 -> 1, your program: 0\n" in plain
    assert "wrong on 2 training examples" in plain
    assert read_program(plain).source.startswith("def f(x):")


def test_no_more_mistakes_are_told_than_asked_for() -> None:
    mistakes = [Mistake(f"{number:08b}", "1", "0") for number in range(50)]
    text = refinement_message(mistakes, most=3)
    assert text.count("your program: 0") == 3
    assert "wrong on 50 training examples. Below, 3 of them" in text
    assert "wrong on 1 training example." in refinement_message(mistakes[:1])


def test_an_error_is_told_twice_at_most_and_the_labels_where_an_answer_is_none() -> None:
    crash = "ZeroDivisionError: division by zero (line 3)"
    mistakes = [
        *(Mistake(f"{number:04b}", "1", crash, failed=True) for number in range(5)),
        Mistake("1111", "1", "0"),
        Mistake("1111", "1", "0"),
        Mistake("1110", "1", "7", failed=True),
    ]
    text = refinement_message(mistakes, labels=["0", "1"])
    assert text.split("\n\n")[1].splitlines() == [
        f"0000 -> 1, your program: {crash}",
        f"0001 -> 1, your program: {crash}",
        "1111 -> 1, your program: 0",
        "1110 -> 1, your program: 7",
    ]
    assert "wrong on 8 training examples. Below, 4 of them" in text
    assert "The labels there are: 0, 1." in text
    assert "labels there are" not in refinement_message(mistakes[5:7], labels=["0", "1"])


def test_several_programs_are_asked_for_in_python_alone() -> None:
    rows = parity_splits().train
    for programs, answer_format, said in (
        (5, "python", True),
        (1, "python", False),
        (5, "json", False),
    ):
        prompt = problem_statement(
            rows,
            BITS,
            programs=programs,
            answer_format=answer_format,  # type: ignore[arg-type]
        )
        assert ("up to 5 programs that differ" in prompt) is said


def test_a_reply_without_a_program_is_told_why() -> None:
    text = no_program_message("the reply holds no program: syntax error on\nline 1 " + "x" * 1_000)
    first = text.splitlines()[0]
    assert first.startswith("Your reply held no program that can be run: syntax error on line 1 xx")
    assert len(first) < 400
    assert read_program(text).source.startswith("def f(x):")


def test_what_leaves_the_machine_is_said_in_one_line() -> None:
    rows = Examples([{"age": 3, "na\nme": "x"}] * 100, ["1"] * 100)
    assert disclosure(rows, ["age", "na\nme"], "openai:gpt-5.4", tool_rows=1_000) == (
        'openai:gpt-5.4 is sent 100 training rows: columns "age", "na\\nme" and the label, and '
        "whatever its code prints of the 1,000 training rows its tool holds; no other row"
    )
    strings = Examples(["a"], ["1"])
    assert "1 training row: the whole input and the label;" in disclosure(strings, [], "m")
    assert '1 training row: column "text" and the label;' in disclosure(strings, ["text"], "m")
    many = [f"c{number}" for number in range(250)]
    assert '"c99" and 150 more and the label' in disclosure(rows, many, "m")


def test_no_row_of_another_split_is_in_any_text(tmp_path: Path) -> None:
    splits = parity_splits(seed=random.Random(5).randrange(100))
    texts = [
        *(problem_statement(splits.train, splits.classes, variant=variant) for variant in VARIANTS),
        disclosure(splits.train, splits.columns, "m", tool_rows=len(splits.train)),
        refinement_message([Mistake(splits.train.inputs[0], "1", "0")], train=splits.train),
    ]
    others = [*splits.validation.inputs, *splits.test.inputs]
    assert not any(str(item) in text for text in texts for item in others)


def test_as_many_rows_as_fit_are_shown() -> None:
    rows = Examples([str(number) for number in range(1_500)], ["0", "1"] * 750)
    counted: list[str] = []

    def fitted(most: int) -> tuple[int, str]:
        def count(text: str) -> int:
            counted.append(text)
            return len(text)

        shown, warning = fit_to_tokens(rows, lambda some: "x" * len(some), count, most, seed=7)
        return len(shown), warning

    assert fitted(1_500) == (1_500, "")
    told = "of 1,500 training rows fit into the prompt, which may take"
    assert fitted(1_499) == (1_499, f"only 1,499 {told} 1,499 tokens (seed 7)")
    assert fitted(1) == (1, f"only 1 {told} 1 tokens (seed 7)")
    assert len(counted) < 3 * 15
    with pytest.raises(ConfigurationError) as caught:
        fitted(0)
    assert str(caught.value) == (
        "not one training row fits into the prompt, which may take 0 tokens: take a model with a "
        "larger context, or shorter inputs"
    )


def test_pairs_of_rows_with_different_labels_come_most_alike_first() -> None:
    rows = Examples(["000", "001", "111", "110", "0000111"], ["0", "1", "0", "1", "0"])
    pairs = row_choice._contrasts(rows, random.Random(3))
    # 000 and 001, 111 and 110 differ in one place; 001 and 0000111 in one and four characters.
    assert [set(pair) for pair in pairs[:2]] in ([{0, 1}, {2, 3}], [{2, 3}, {0, 1}])
    assert {frozenset(pair) for pair in pairs[2:4]} == {frozenset({0, 3}), frozenset({1, 2})}
    assert [set(pair) for pair in pairs[4:]] == [{1, 4}, {3, 4}]
    many = Examples([str(number) for number in range(200)], ["0", "1"] * 100)
    assert len(row_choice._contrasts(many, random.Random(3))) == 150


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("abc", "abd", 1), ("ab", "abcd", 2), ("abcd", "b", 4), ("", "", 0),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, 2), ({"a": None}, {}, 0), ({"a": 1}, {"a": 2}, 1),
    ],
)  # fmt: skip
def test_two_inputs_differ_in_so_many_places(one: Any, other: Any, differ: int) -> None:
    assert row_choice._difference(one, other) == differ


EVERY = (
    "{sequence_type}|{sequence_dimension}|{count}|{labels}|{inputs}|{facts}|{data_examples}|{tool}"
)


def filled(folder: Path, rows: Examples, classes: Classes, **more: Any) -> list[str]:
    path = template(folder, EVERY)
    return problem_statement(rows, classes, variant=path, **more).split("|")


def test_every_placeholder_stands_for_its_text(tmp_path: Path) -> None:
    none = "You cannot run code here: check the rule against the examples before you answer."
    assert filled(tmp_path, Examples(["01", "0"], ["0", "1"]), BITS, alphabet="binary") == [
        "binary", "2", "2", "0, 1", "Each input is a string of the characters 0 and 1.", "",
        "01 -> 0\n0 -> 1", none,
    ]  # fmt: skip
    rows = Examples(["a b"] * 1_000, ["x"] * 1_000)
    kind, size, count, labels, inputs, facts_, *_ = filled(
        tmp_path, rows, Classes.of(["w", "x", "y"]), facts="- F."
    )
    assert (kind, size, count, facts_) == ("text", "3", "1,000", "\n- F.\n\n")
    assert (labels, inputs) == ("x (and 2 that no example shows)", "Each input is a string.")
    table = Examples([{"a": 1, "b": None}], ["0"])
    kind, size, *_, inputs, _, line, _ = filled(tmp_path, table, BITS)
    assert (kind, size, line) == ("text", "2", '{"a": 1, "b": null} -> 0')
    assert inputs.startswith("Each input is a row of a table, written as a JSON object.")


@pytest.mark.parametrize(
    ("held", "functions", "rows", "more"),
    [
        (None, (), "these examples", ""),
        (2, (), "these examples", ""),
        (3, (), "all 3 training examples, of which those above are a sample", ""),
        (1_000, ("check",), "all 1,000 training examples, of which those above are a sample",
         " `check(f)` prints the accuracy of a function f on all of them, and its mistakes."),
        (2, ("check", "survey"), "these examples",
         " `survey()` prints what a search saw in them, such as conditions that tell much of the "
         "label: clues, not the rule."
         " `check(f)` prints the accuracy of a function f on all of them, and its mistakes."),
    ],
)  # fmt: skip
def test_a_local_tool_is_described_with_its_rows_and_functions(
    held: int | None, functions: tuple[Any, ...], rows: str, more: str, tmp_path: Path
) -> None:
    two = Examples(["01", "0"], ["0", "1"])
    *_, tool = filled(tmp_path, two, BITS, tool="local", tool_rows=held, tool_functions=functions)
    assert tool == (
        f"With the tool run_python you can run Python on {rows}: your code finds them as `rows`, a "
        "list of (input, label) pairs. Test every rule on all of them there before you answer."
        + more
    )
    *_, tool = filled(tmp_path, two, BITS, tool="hosted", tool_functions=functions)
    assert tool.endswith("on all of them before you answer.")


def test_what_is_wrong_with_a_template_is_said(tmp_path: Path) -> None:
    known = "{examples}, {labels}, {inputs}, {count}, {contract}, {tool}, {facts}"
    path = tmp_path / "template.txt"
    for text, message in (
        ("{b} {examples} {a}",
         f"the prompt template {path} holds {{a}}, which is no placeholder: there are {known}; "
         "write {{a}} to keep it"),
        ("{labels}",
         f"the prompt template {path} has no {{examples}}: put it where the training rows are to "
         f"be (there are {known})"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            parse_variant(str(path))
        assert str(caught.value) == message
    path.unlink()
    for name, message in (
        (str(path), f"cannot read the prompt template {path}: No such file or directory; give 1 to "
                    "4, or a file"),
        ("5", "there is no prompt variant 5: give 1 to 4, or a file"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError) as caught:
            parse_variant(name)
        assert str(caught.value) == message
    path.write_bytes(b"\xef\xbb\xbf{examples}")
    assert problem_statement(Examples(["a"], ["0"]), BITS, variant=path) == "a -> 0"


@pytest.mark.parametrize(
    ("inputs", "labels", "alphabet", "line"),
    [
        (["a"], ["b"], "", "a -> b"),
        (["a"], ["b, c"], "", 'a -> "b, c"'),
        (["a\n"], ["b"], "", '"a\\n" -> b'),
        ([{"a": 1.5, "b": None}], ["0"], "table", "a:1.5,b: -> 0"),
        ([{"a": 1, "b": None}], ["0"], "table", '{"a": 1, "b": null} -> 0'),
        ([{"a": 1.5}], ["0"], "", '{"a": 1.5} -> 0'),
        (["a", {"a": 1.5}], ["0", "1"], "table", '"a" -> 0'),
        ([{"a": "nan"}], ["0"], "table", '{"a": "nan"} -> 0'),
        (["\u00e9", "\u00a0"], ["0", "1"], "", '"\u00e9" -> 0'),
    ],
)
def test_a_row_is_written_so_that_it_can_be_read_in_one_way(
    inputs: list[Any], labels: list[str], alphabet: str, line: str
) -> None:
    assert Notation.of(Examples(inputs, labels), alphabet).line(inputs[0], labels[0]) == line


def test_mistakes_are_written_as_the_prompt_writes_rows() -> None:
    wrong = [Mistake({"a": 1.5}, "0", "1")]
    for alphabet, row in (("table", "a:1.5"), ("", '{"a": 1.5}')):
        text = refinement_message(wrong, alphabet=alphabet)
        assert f"\n{row} -> 0, your program: 1\n" in text


def test_facts_of_a_column_too_many_and_of_long_whole_numbers() -> None:
    wide: Any = {f"c{number}": 0 for number in range(51)}
    told = facts(Examples([wide], ["0"]), BITS).splitlines()
    assert told[-2] == "- 1 columns more, not listed here."
    number = "1" * 301
    told = facts(Examples(["a"], [number]), Classes((number,), (number,))).splitlines()
    assert told[1].startswith("- A label is an int;")
