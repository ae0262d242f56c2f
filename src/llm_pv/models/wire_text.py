"""Parse the bytes of a reply into JSON values: plain JSON, event streams, compressed bodies."""

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from llm_pv.errors import ModelError, ProgramError
from llm_pv.sandbox.parser import ask_one

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate", "", "identity", "none", "utf-8", "utf8"})
"""Content encodings that are read although none was requested; some name a character set here."""

_PIECE = 65_536
_MOST_DIGITS = 18


class UnreadableReplyError(ModelError):
    """Raised for a body that holds no reply; the same request may succeed next time.

    Servers and gateways send such pages while they start, stop or are overloaded.
    """

    def __init__(self, message: str, **options: Any) -> None:
        super().__init__(message, **({"transient": True, "maybe_paid": True} | options))


def json_values(body: bytes) -> list[Any]:
    r"""Return the JSON values in a body: one of a plain reply, one per event of a stream.

    A byte order mark, line breaks within strings, numbers of any size, and text before the first
    value and after the last are accepted; so is almost JSON (see `llm_pv.programs.literals`), which
    the confined process reads. Events are recognised by their form, not by the content
    type.

    Raise UnreadableReplyError if there is none.

    Examples
    --------
    >>> json_values(b'\xef\xbb\xbf{"a": NaN}\n<!-- proxy -->')
    [{'a': nan}]
    >>> json_values(b': comment\n\ndata: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n')
    [{'a': 1}, {'a': 2}]
    >>> json_values(b"{'a': None, 'b': [1, 2,],}")
    [{'a': None, 'b': [1, 2]}]
    """
    text = body.decode(json.detect_encoding(body), "replace").strip()
    values = _events(text) if text.startswith(_EVENT_STARTS) else _plain(text)
    values = values or _plain(text[text.find("{") :])  # after a comment or a prefix of a gateway
    if not values and "{" in text:
        with suppress(ProgramError):
            values = ask_one("objects", text)
    if not values:
        raise UnreadableReplyError("a reply that cannot be read: it is no JSON")
    return values


def unpacked(chunk: bytes, decoder: "zlib._Decompress") -> Iterator[bytes]:
    """Yield the decompressed data of a chunk of a body, in pieces of bounded size.

    Raise UnreadableReplyError if the body is not compressed as its header says.
    """
    try:
        while chunk:
            yield decoder.decompress(chunk, _PIECE)
            chunk = decoder.unconsumed_tail
    except zlib.error as error:
        raise UnreadableReplyError("a compressed reply that cannot be decompressed") from error


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


_EVENT_STARTS = ("data:", ":", "event:", "id:", "retry:")
_DECODER = json.JSONDecoder(strict=False, parse_int=_number)


def _plain(text: str) -> list[Any]:
    """Return the values of a body of one value, or of one a line."""
    values: list[Any] = []
    position = 0
    while not values or text.startswith("{", position):
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        values.append(value)
        while text[position : position + 1].isspace():
            position += 1
    return values


def _events(text: str) -> list[Any]:
    """Return the values of a stream of events; other lines are skipped."""
    values: list[Any] = []
    pending: list[str] = []
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if pending:  # one value over several lines
                values += _plain("\n".join(pending))
            pending = []
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            value = [] if pending else _plain(data)
            values += value
            if not value and data != "[DONE]":
                pending.append(data)
    return values
