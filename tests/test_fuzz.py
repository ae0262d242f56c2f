"""What reads foreign bytes stands up to any; `scripts/fuzz.py` looks for more under guidance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz_targets import SEEDS, TARGETS

FOUND: dict[str, dict[str, bytes]] = {
    "readers": {
        "an error of Parquet that takes several lines": b"\x04\r\0\0\0\0\0\0\0PAR1",
        "half a byte order mark and nothing else": b"\x00\xef\xbb",
        "JSON lines that are all blank": b"\xe0\n\x1d",
        "text lines that are all blank": b"\x03\n\x1d",
    },
    "stored-data-sets": {
        "a cell that is no number where the columns say so": SEEDS["stored-data-sets"][0],
    },
    "stored-rows": {"text with half a surrogate pair": b"01\0a ->\0a\xff\xf7%,:"},
}
"""Bytes that once broke a target, by what was wrong."""


@pytest.mark.parametrize(
    ("target", "data"),
    [
        pytest.param(target, data, id=f"{target}: {what}")
        for target, found in FOUND.items()
        for what, data in found.items()
    ],
)
def test_what_was_found_once_is_mended(target: str, data: bytes) -> None:
    TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_guidance_starts_from_passes(target: str) -> None:
    for data in SEEDS[target]:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_any_bytes_and_any_damage_to_sound_ones_pass(target: str, data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from(SEEDS[target]))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(sound))] * 2)))
    TARGETS[target](sound[:start] + data.draw(st.binary(max_size=20)) + sound[end:])
