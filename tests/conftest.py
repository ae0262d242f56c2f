"""One warm sandbox for the tests that need no more of it than that it runs programs."""

import gc
import signal
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from llm_pv.sandbox import Limits, Sandbox

# How long an example takes says nothing on a machine that does other work beside. The same
# commit gives the same examples; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("unhurried", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("unhurried")

# Under nohup, or in the background of a script, SIGINT is inherited as ignored, and so it would be
# by every command that a test starts and interrupts. A handler is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    # To import the tests makes millions of objects that stay; looking for garbage among them, then
    # and in each test, would take a third of the time of a collection of tests.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: make test-slow runs it"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=2, wall_seconds=2)) as opened:
        yield opened


@pytest.fixture(scope="module")
def spare_processes() -> Iterator[list[Any]]:
    """Idle worker processes of a file's tests, ended with its last test."""
    from llm_pv.runs.executors.local import WorkerProcesses

    spare: list[Any] = []
    yield spare
    for pool in spare:
        WorkerProcesses(1)._end(pool)


@pytest.fixture
def warm_processes(monkeypatch: pytest.MonkeyPatch, spare_processes: list[Any]) -> None:
    """Let runs of baselines and of synthesis go on in the processes of an earlier test.

    To import scikit-learn takes such a process longer than what most tests let it compute.
    """
    from warm_processes import WarmProcesses

    for track in ("baselines", "synthesis"):
        name = f"llm_pv.tracks.{track}.run.WorkerProcesses"
        monkeypatch.setattr(name, partial(WarmProcesses, spare_processes))


@pytest.fixture(scope="session")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small language model that answers with the last character of an input, trained once."""
    import tiny_models

    shared = tmp_path_factory.getbasetemp().parent  # the same for every process of a run
    folder = shared / "copier"
    with FileLock(shared / "copier.lock"):
        if not (folder / "tokenizer.json").exists():
            tiny_models.copier(folder)
    return folder
