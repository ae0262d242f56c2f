"""One warm sandbox for the tests that need no more of it than that it runs programs."""

from collections.abc import Iterator

import pytest

from llm_pv.sandbox import Limits, Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=2, wall_seconds=2)) as opened:
        yield opened
