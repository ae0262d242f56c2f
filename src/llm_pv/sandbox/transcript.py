"""Keep the beginning and the end of what exploring code prints, and read them after it ended.

They are stored in a part of the page (see `result_page`): the numbers of bytes and characters
printed in all, the first bytes, then a ring buffer of the last. Code that controls its process can
write anything here; reading always returns a text of bounded length. Runs inside the sandbox too:
standard library only.
"""

import io
import struct

from llm_pv.sandbox.result_page import OUTPUT_START, PageMemory

_HEADER = struct.Struct("=QQ")
_CHUNK = 1 << 16
_CONTINUATIONS = bytes(range(0x80, 0xC0))  # the bytes of UTF-8 that begin no character
# Control characters could spoil a terminal or a request: they are shown by their pictures.
_PICTURES = {number: 0x2400 + number for number in range(32) if chr(number) not in "\n\t"}
_PICTURES |= {127: 0x2421} | dict.fromkeys(range(128, 160), 0xFFFD)


def printable(text: str) -> str:
    r"""Return the text with a picture in place of each control character but ``\n`` and tab."""
    return text.translate(_PICTURES)


def side_bytes(characters: int) -> int:
    """Return the bytes that hold half of this many characters, at four bytes each."""
    return 4 * (characters // 2 + 2)


def transcript_bytes(characters: int) -> int:
    """Return the bytes of a page needed to show at most this many characters."""
    return _HEADER.size + 2 * side_bytes(characters)


class Transcript(io.BufferedIOBase):
    r"""A stream that keeps the beginning and the end of its input.

    Parameters
    ----------
    room
        The bytes of it to use (see `transcript_bytes`).

    Examples
    --------
    >>> page = bytearray(OUTPUT_START + transcript_bytes(10))
    >>> printed = Transcript(page, transcript_bytes(10))
    >>> printed.write(b"spam") + printed.write(b"and eggs" * 1000)
    8004
    >>> read_transcript(bytes(page[OUTPUT_START:]), 10)
    'spama\n[... 7,994 characters not shown ...]\n eggs'
    """

    def __init__(self, page: PageMemory, room: int) -> None:
        self._page = page
        self._side = (room - _HEADER.size) // 2
        self._used = 0
        self._characters = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: object) -> int:
        """Keep the bytes that are among the first or the last; return how many were given."""
        if type(data) is bytes and len(data) < _CHUNK:  # a `print` makes many small ones
            self._add(data)
            return len(data)
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        for start in range(0, len(view), _CHUNK):
            self._add(bytes(view[start : start + _CHUNK]))
        return len(view)

    def _add(self, piece: bytes) -> None:
        size, used, side = len(piece), self._used, self._side
        start = OUTPUT_START + _HEADER.size + used
        if used + size <= side:
            self._page[start : start + size] = piece
        else:
            first = max(side - used, 0)
            self._page[start : start + first] = piece[:first]
            self._keep_last(piece[first:], used + size)
        self._used = used + size
        if not piece.isascii():
            size = len(piece.translate(None, _CONTINUATIONS))
        self._characters += size
        header = _HEADER.pack(self._used, self._characters)
        self._page[OUTPUT_START : OUTPUT_START + len(header)] = header

    def _keep_last(self, piece: bytes, used: int) -> None:
        """Write bytes to the ring buffer; ``used`` counts all bytes so far, these included."""
        last = piece[-self._side :]
        ring = OUTPUT_START + _HEADER.size + self._side
        position = (used - len(last)) % self._side
        until_the_end = last[: self._side - position]
        self._page[ring + position : ring + position + len(until_the_end)] = until_the_end
        rest = last[len(until_the_end) :]
        self._page[ring : ring + len(rest)] = rest


def read_transcript(region: bytes, characters: int) -> str:
    """Return at most this many characters of what a process printed, and a note if some are cut."""
    used, total = _HEADER.unpack_from(region)
    side = (len(region) - _HEADER.size) // 2
    first = region[_HEADER.size :][: min(used, side)]
    ring = region[_HEADER.size + side :]
    if used <= 2 * side:
        return shown(first, ring[: max(used - side, 0)], None, characters)
    position = used % side
    return shown(first, ring[position:] + ring[:position], total, characters)


def shown(first: bytes, last: bytes, total: int | None, limit: int) -> str:
    r"""Return a text cut in its middle to the limit, with a note of how much is not shown.

    Parameters
    ----------
    first, last
        The beginning and the end of what was printed, in UTF-8.
    total
        The number of characters printed; None if `last` follows `first` directly.
    limit
        The most characters of the text to show; the note comes on top.

    Examples
    --------
    >>> shown(b"one\x1b two", b" three", None, limit=100)
    'one␛ two three'
    """
    if total is None:
        text = (first + last).decode("utf-8", "replace")
        total = len(text)
        if total <= limit:
            return printable(text)
        before, after = text, text
    else:
        before, after = first.decode("utf-8", "replace"), last.decode("utf-8", "replace")
    before, after = before[: limit // 2], after[-(limit - limit // 2) :]
    cut = max(total - len(before) - len(after), 0)
    note = f"\n[... {cut:,} characters not shown ...]\n"
    return printable(before) + note + printable(after)
