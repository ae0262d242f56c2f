"""Frames on the pipes between a process of the sandbox and its owner: both sides.

A frame is one byte of kind, four of length (little-endian), and the payload.
"""

import struct
from typing import IO

FRAME_BYTES = 1 << 28
"""No frame is longer."""


def write_frame(stream: IO[bytes], kind: bytes, payload: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(kind + struct.pack("<I", len(payload)) + payload)
    stream.flush()


def read_frame(stream: IO[bytes], most: int = FRAME_BYTES) -> tuple[bytes, bytes] | None:
    """Read one frame as its kind and payload; None at the end, or if it is cut or too long."""
    head = stream.read(5)
    if len(head) < 5:
        return None
    (length,) = struct.unpack("<I", head[1:])
    if length > most:
        return None
    payload = stream.read(length)
    return (head[:1], payload) if len(payload) == length else None
