"""What a candidate leaves on its page is read as answers or refused, and never does anything."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.sandbox.result_page import (
    MalformedError,
    OutputCapture,
    PageContent,
    PageFullError,
    ResultWriter,
    page_bytes,
    read_page,
)

OUTPUT = 20
RECORDS_START = 8 + OUTPUT
any_text = st.text(st.characters(), max_size=50)  # lone surrogates, NUL and line breaks included


def page_with(records: bytes) -> io.BytesIO:
    page = bytearray(page_bytes(3, OUTPUT))
    page[RECORDS_START : RECORDS_START + len(records)] = records
    return io.BytesIO(page)


def read(records: bytes, rows: int = 3) -> PageContent:
    return read_page(page_with(records), rows, OUTPUT)


@given(st.lists(st.one_of(any_text, any_text.map(lambda text: [text])), max_size=10))
def test_labels_and_errors_come_back_as_they_were_written(records: list[str | list[str]]) -> None:
    page = bytearray(page_bytes(len(records), OUTPUT))
    results = ResultWriter(page, OUTPUT)
    for record in records:
        if isinstance(record, str):
            results.label(record)
        else:
            results.error(record[0])
    results.end("finished")
    content = read_page(io.BytesIO(page), len(records), OUTPUT)
    assert content.answers == [record if isinstance(record, str) else None for record in records]
    assert content.errors == {
        position: record[0] for position, record in enumerate(records) if isinstance(record, list)
    }
    assert content.end == "finished"


@given(st.binary(max_size=300))
def test_whatever_bytes_lie_on_a_page_are_read_or_called_malformed(data: bytes) -> None:
    page = data + bytes(max(page_bytes(3, OUTPUT) - len(data), 0))
    try:
        content = read_page(io.BytesIO(page), 3, OUTPUT)
    except MalformedError:
        return
    assert all(answer is None or isinstance(answer, str) for answer in content.answers)
    assert len(content.answers) <= 3
    assert len(content.output) <= OUTPUT


@given(st.text(st.sampled_from('"[]{},:\n \\u0019eE+-.truefalsn'), max_size=60))
def test_whatever_resembles_records_is_read_or_called_malformed(text: str) -> None:
    try:
        content = read(text.encode() + b",\n")
    except MalformedError:
        return
    assert all(answer is None or isinstance(answer, str) for answer in content.answers)


@pytest.mark.parametrize(
    "records",
    [
        b"1,\n",
        b"[],\n",
        b"[1],\n",
        b'["a", "b"],\n',
        b"{},\n",
        b'{"finished": ""},\n',
        b'{"finished": 1},\n',
        b'{"won": ""},\n',
        b'{"load": "", "finished": ""},\n',
        b'"1",\n"1",\n"1",\n"1",\n',
        b'{"load": ""},\n"1",\n',
        b'"1"],["2",\n',
        b"NaN,\n",
        b"\xff,\n",
        b"[" * 200_000 + b",\n",
        b"9" * 10_000 + b",\n",
        b"[" + b"[]," * 5000 + b"[]],\n",
        b'"' + b"x" * 1001 + b'",\n',
    ],
    ids=lambda records: repr(records[:20]),
)
def test_a_page_no_honest_run_leaves_is_malformed(records: bytes) -> None:
    with pytest.raises(MalformedError):
        read(records)


def test_rows_written_before_the_end_are_kept_and_a_torn_record_is_dropped() -> None:
    content = read(b'"1",\nnull,\n"2')
    assert content.answers == ["1", None]
    assert content.end == ""


def test_an_untouched_page_holds_nothing() -> None:
    assert read(b"") == PageContent([], {}, "", "", "")


def test_only_the_first_errors_keep_their_text_and_each_is_cut() -> None:
    page = bytearray(page_bytes(30, OUTPUT))
    results = ResultWriter(page, OUTPUT)
    for _ in range(30):
        results.error("x" * 1000)
    content = read_page(io.BytesIO(page), 30, OUTPUT)
    assert content.answers == [None] * 30
    assert content.errors == dict.fromkeys(range(10), "x" * 300)


def test_a_page_that_is_full_says_so() -> None:
    results = ResultWriter(bytearray(RECORDS_START + 12), OUTPUT)
    results.label("12")
    results.label("12")
    with pytest.raises(PageFullError):
        results.label("1")
    with pytest.raises(PageFullError):
        results.end("full", "too much")


def test_output_is_kept_to_its_room_and_the_rest_is_swallowed() -> None:
    page = bytearray(page_bytes(1, OUTPUT))
    capture = OutputCapture(page, OUTPUT)
    assert capture.writable()
    assert capture.write(b"hello ") == 6
    assert capture.write(b"x" * 100) == 100
    assert capture.write(b"y") == 1
    assert read_page(io.BytesIO(page), 1, OUTPUT).output == "hello " + "x" * 14


def test_a_forged_count_of_output_does_not_reach_beyond_the_output() -> None:
    page = bytearray(page_bytes(1, OUTPUT))
    ResultWriter(page, OUTPUT).label("1")
    page[:8] = b"\xff" * 8
    content = read_page(io.BytesIO(page), 1, OUTPUT)
    assert content.output == "\0" * OUTPUT
    assert content.answers == ["1"]


def test_a_reason_is_one_short_line() -> None:
    page = bytearray(page_bytes(1, OUTPUT))
    ResultWriter(page, OUTPUT).end("load", "first\nsecond\r\n" + "x" * 5000)
    content = read_page(io.BytesIO(page), 1, OUTPUT)
    assert content.reason.startswith("first second xxx")
    assert len(content.reason) <= 1500


def test_twenty_thousand_rows_that_fail_with_long_messages_fit_their_page() -> None:
    rows = 20_000
    page = bytearray(page_bytes(rows, OUTPUT))
    results = ResultWriter(page, OUTPUT)
    for row in range(rows):
        results.error(f"ValueError: {row} " + "x" * 5_000)
    results.end("finished")
    content = read_page(io.BytesIO(page), rows, OUTPUT)
    assert content.answers == [None] * 20_000
    assert content.end == "finished"
    assert list(content.errors) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    # 300 characters in all: "ValueError: 9 " are 14 of them.
    assert content.errors[9] == "ValueError: 9 " + "x" * 286


def test_a_long_reason_outside_the_basic_plane_comes_back_whole() -> None:
    # JSON writes each of these as twelve bytes: 1,500 of them are more than 18,000.
    page = bytearray(page_bytes(1, OUTPUT))
    ResultWriter(page, OUTPUT).end("load", "\U0001f600" * 2_000)
    content = read_page(io.BytesIO(page), 1, OUTPUT)
    assert content.end == "load"
    assert content.reason == "\U0001f600" * 1_500


def test_a_label_of_the_longest_kind_outside_the_basic_plane_comes_back_whole() -> None:
    page = bytearray(page_bytes(1, OUTPUT))
    ResultWriter(page, OUTPUT).label("\U0001f600" * 1_000)
    assert read_page(io.BytesIO(page), 1, OUTPUT).answers == ["\U0001f600" * 1_000]
