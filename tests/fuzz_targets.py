"""What is fed with any bytes at all, and what must hold whatever they are.

Each target takes bytes and returns, or raises what only a defect makes it raise. They are run by
``scripts/fuzz.py`` under coverage guidance, and by ``test_fuzz.py`` on a few generated inputs and
on everything that was ever found.
"""

import ast
import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from llm_pv.data import store
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.data.readers import read_table
from llm_pv.data.splits import split_tables
from llm_pv.errors import DataError, LLMPVError, ProgramError, RepairWarning, RunError
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_program
from llm_pv.programs.saved import read_saved, write_program
from llm_pv.runs.journal import Journal, read_journal
from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.outcome import ProcessEnding, conclude, conclude_exploration
from llm_pv.sandbox.result_page import ERRORS_KEPT, LABEL_CHARACTERS, page_bytes
from llm_pv.sandbox.transcript import transcript_bytes

FORMATS = ("csv", "tsv", "jsonl", "text", "parquet", None)
ROWS = 5
LIMITS = Limits(cpu_seconds=1, output_bytes=64)
TOOL_LIMITS = ToolLimits(output_characters=40)
KEY = store.DataSetKey("name", 3, "paper", 0, 0, 1, 1, 1)


def text_of(data: bytes) -> str:
    """Any text: bytes that are not UTF-8 become lone surrogates, as in text from a system call."""
    return data.decode("utf-8", "surrogateescape")


def replies(data: bytes) -> None:
    """A reply is a program that reads the same again, or refused in one line."""
    try:
        program = read_program(text_of(data))
    except ProgramError as error:
        _check_one_line(error)
        return
    assert Program.parse(program.source) == program


def saved_programs(data: bytes) -> None:
    """A program survives being written to its file under any header; the file compiles."""
    head, _, source = text_of(data).partition("\0")
    try:
        program = Program.parse(source)
    except ProgramError:
        with suppress(ProgramError):
            read_saved(text_of(data))
        return
    written = write_program(program, head)
    ast.parse(written)
    assert read_saved(written).digest == program.digest


def readers(data: bytes) -> None:
    """A file is a table with as many inputs as rows, which can be split, or refused."""
    head, body = data[:1], data[1:]
    choice = head[0] if head else 0
    path = _folder() / "rows"
    path.write_bytes(body)
    target = "label" if choice & 8 else None
    try:
        table = read_table(path, target=target, format=FORMATS[choice % len(FORMATS)])
        inputs = table.inputs()
    except LLMPVError as error:
        _check_one_line(error)
        return
    assert table.labels is None or len(table.labels) == len(inputs)
    with suppress(DataError):
        splits = split_tables(table, seed=0)
        assert len(splits.train) + len(splits.validation) + len(splits.test) <= len(inputs)


def stored_data_sets(data: bytes) -> None:
    """A folder with any files is read as a data set or refused; what was saved comes back."""
    head, *parts = data.split(b"\0\0")
    directory = KEY.directory(_folder())
    _saved(directory)
    for file, part in zip(("train.txt", "val.txt", "test.txt"), parts, strict=False):
        (directory / file).write_bytes(part)
    meta = (directory / "meta.json").read_bytes()
    if head.startswith(b"{"):
        meta = head
    for file in ("train.txt", "val.txt", "test.txt"):  # as whoever changed them would sign them
        digest = sha256((directory / file).read_bytes()).hexdigest()
        meta = meta.replace(f"@{file}".encode(), digest.encode())
    (directory / "meta.json").write_bytes(meta)
    with suppress(DataError, RunError):
        splits = store.load(_folder(), KEY)
        assert splits is not None
        for split in (splits.train, splits.validation, splits.test):
            assert len(split.inputs) == len(split.labels)


def stored_rows(data: bytes) -> None:
    """Any line of text, and any table row, comes back as it was stored, or is refused."""
    texts = text_of(data).split("\0")
    values: list[dict[str, Any]] = [{"a": text, "b,:%": float(len(text))} for text in texts]
    for inputs in (texts, values):
        rows = Examples(inputs, ["1"] * len(inputs))
        splits = Splits(rows, rows, rows, Classes(("1",), (1,)))
        key = replace(KEY, name="table" if inputs is values else "texts")
        directory = key.directory(_folder())
        for file in directory.glob("*"):
            file.unlink()
        if directory.exists():
            directory.rmdir()
        try:
            store.save(_folder(), key, splits)
        except DataError:
            continue
        loaded = store.load(_folder(), key)
        assert loaded is not None
        assert list(loaded.train.inputs) == list(inputs)


def pages(data: bytes) -> None:
    """Whatever a candidate leaves on its page, the run comes to an end of bounded size."""
    page = data[: page_bytes(ROWS, LIMITS.output_bytes)]
    for status in (0, 1, -9):
        ending = ProcessEnding(status, cut_off=False, cpu_seconds=0.0, wall_seconds=0.0)
        whole = page.ljust(page_bytes(ROWS, LIMITS.output_bytes), b"\0")
        _check(conclude(ending, io.BytesIO(whole), ROWS, LIMITS), ROWS)


def transcripts(data: bytes) -> None:
    """Whatever exploring code leaves on its page, what is shown is short and printable."""
    room = page_bytes(0, transcript_bytes(TOOL_LIMITS.output_characters))
    ending = ProcessEnding(0, cut_off=False, cpu_seconds=0.0, wall_seconds=0.0)
    page = io.BytesIO(data[:room].ljust(room, b"\0"))
    execution = conclude_exploration(ending, page, TOOL_LIMITS)
    assert len(execution.output) < TOOL_LIMITS.output_characters + 80
    assert all(c.isprintable() or c in "\n\t" or ord(c) > 159 for c in execution.output)


def journals(data: bytes) -> None:
    """A log is read as whole lines or refused; opened, it takes further lines behind them."""
    import warnings

    path = _folder() / "log.jsonl"
    path.write_bytes(data)
    with suppress(RunError):
        before = read_journal(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)
            journal = Journal(path, sync=False)
        journal.append({"a": 1})
        assert journal.read() == [*before, {"a": 1}]


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__.replace("_", "-"): target
    for target in (
        replies,
        saved_programs,
        readers,
        stored_data_sets,
        stored_rows,
        pages,
        transcripts,
        journals,
    )
}

SEEDS: dict[str, list[bytes]] = {
    "replies": [
        b'{"code": "def f(x):\\n    return x.count(\'1\') % 2"} so it goes',
        b"<think>hm</think>```python\ndef f(x):\n    return 1\n```",
        "\u201ccode\u201d: \u201cf = lambda x: 1\u201d &lt; >>> f = len".encode(),
        b'{"code": ["def f(x):", "    return 1"]}',
    ],
    "saved-programs": [b'head \\ """\0"""doc"""\ndef f(x):\n    return f.__doc__\n'],
    "readers": [
        b"\x08a,label\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n",
        b'\x0a{"a": 1, "label": 0}\n{"a": "b", "label": 1}\n',
        b"\x03ab -> 1\nba -> 0\n",
        b"\x01a\tlabel\n'1'\t\"x\ny\"\n",
        b"\x05\x1f\x8b\x08\x00",
        b"\x04PAR1PAR1",
    ],
    "stored-data-sets": [
        b'{"format": 1, "name": "name", "length": 3, "sampler": "paper", "seed": 0, "trial": 0, '
        b'"train_size": 1, "validation_size": 1, "test_size": 1, "variant": "", "rows": {}, '
        b'"classes": {"texts": ["1"], "values": [1]}, "columns": {"a": true}, "warnings": [], '
        b'"sha256": {"train.txt": "@train.txt", "val.txt": "@val.txt", "test.txt": "@test.txt"}}'
        b"\0\0a:1 -> 1\n\0\0a:2,a:%2 -> 1\n\0\0a: -> 1\n",
        b"\0\0010 -> 1\n",
    ],
    "stored-rows": [b"01\0a -> b\0\0%,:", "\u2028\x85\0\u00e9".encode()],
    "pages": [bytes(72) + b'"1",\nnull,\n["e"],\n{"finished": ""},\n'],
    "transcripts": [b"\xff" * 8 + b"\x10" + bytes(7) + b"some text"],
    "journals": [b'{"a": 1}\n{"b": NaN}\n{"torn'],
}
"""What coverage guidance starts from."""


def _check(execution: Execution, rows: int) -> None:
    assert len(execution.predictions) == rows
    assert all(text is None or len(text) <= LABEL_CHARACTERS for text in execution.predictions)
    assert len(execution.errors) <= ERRORS_KEPT
    assert all(0 <= position < rows for position in execution.errors)
    assert all(execution.predictions[position] is None for position in execution.unreached)
    assert isinstance(execution.outcome, Outcome)
    assert "\n" not in execution.reason


def _check_one_line(error: LLMPVError) -> None:
    assert str(error)
    assert "\n" not in str(error)


def _saved(directory: Path) -> None:
    if not directory.exists():
        rows = Examples(["010"], ["1"])
        store.save(_folder(), KEY, Splits(rows, rows, rows, Classes(("1",), (1,))))


@cache
def _folder() -> Path:
    """A folder in memory where there is one, for this process."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []
