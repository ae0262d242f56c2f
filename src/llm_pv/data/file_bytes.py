"""Read the bytes of a file that a user names, without waiting for ever."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO, TextIOWrapper, UnsupportedOperation
from pathlib import Path
from typing import BinaryIO


class NotAFileError(OSError):
    """Raised for a device without an end, or a pipe that no program has opened to write."""


def file_bytes(path: str | Path, most: int = -1) -> bytes:
    """Return the bytes of a file.

    Raise OSError if it cannot be read; NotAFileError, which is one, for a device without an end,
    as /dev/zero, and for a named pipe without a writer, which would be waited for.

    Parameters
    ----------
    most
        The most bytes to read; all if negative.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        return stream_bytes(file, most)


def file_text(
    path: str | Path, most: int = -1, *, encoding: str = "utf-8", errors: str = "strict"
) -> str:
    r"""Return the text of a file, read as `file_bytes` does; every line ends in ``\n``.

    Raise UnicodeDecodeError if it has another encoding.
    """
    return TextIOWrapper(BytesIO(file_bytes(path, most)), encoding, errors).read()


def file_lines(path: str | Path, most: int) -> Iterator[bytes]:
    """Yield the lines of a file, read as `file_bytes` does; a longer one in pieces of ``most``."""
    with open(path, "rb", opener=_without_waiting) as file:
        first = _first_byte(file)
        yield first if first == b"\n" else first + file.readline(most)
        yield from iter(partial(file.readline, most), b"")


def stream_bytes(file: BinaryIO, most: int = -1) -> bytes:
    """Return the bytes of an open file, as `file_bytes` does."""
    first = _first_byte(file)
    return first + file.read(most) if first else file.read(most)


def _first_byte(file: BinaryIO) -> bytes:
    """Return the byte that was read to see whether anything writes to a pipe, of others none."""
    first = b""
    with suppress(UnsupportedOperation):  # a stream in memory
        found = os.fstat(file.fileno())
        is_device = stat.S_ISCHR(found.st_mode) and not file.isatty()
        if is_device and not os.path.samestat(found, Path(os.devnull).stat()):
            raise NotAFileError(errno.ENODEV, "is a device, which has no end")
        if stat.S_ISFIFO(found.st_mode) and not os.get_blocking(file.fileno()):
            with suppress(BlockingIOError):  # raised where there is a writer
                if not (first := os.read(file.fileno(), 1)):
                    raise NotAFileError(errno.ENXIO, "is a pipe that no program writes to")
        if os.name == "posix":
            os.set_blocking(file.fileno(), True)
    return first


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
