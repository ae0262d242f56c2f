"""The head of a cluster: what is none is told at once, and one that is lost ends what runs."""

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from llm_pv.errors import ClusterError, WorkerLostError
from llm_pv.runs.executors.ray import head
from llm_pv.runs.executors.ray.head import ended_with_its_head, refuse_unreachable


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Something that answers, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def _soon_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(head, "LOST_SECONDS", 0.1)


def lose(server: socket.socket) -> None:
    """Have it answer no more, and wait as a run waits for what is under way."""
    server.close()
    threading.Event().wait(60)
    pytest.fail("nothing came between")


def address_of(server: socket.socket) -> str:
    return "{}:{}".format(*server.getsockname())


def test_what_answers_but_is_no_head_is_told_and_not_waited_for(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(head, "CONNECT_SECONDS", 2.0)
    with pytest.raises(ClusterError, match="is no head of a cluster; its port is 6379 unless"):
        refuse_unreachable(address_of(listening))


@pytest.mark.usefixtures("_soon_lost")
def test_a_head_that_is_lost_ends_what_the_main_thread_waits_for(listening: socket.socket) -> None:
    address = address_of(listening)
    with (
        pytest.raises(ClusterError, match=f"{address}. is lost; what was finished is kept"),
        ended_with_its_head(address),
    ):
        lose(listening)


@pytest.mark.usefixtures("_soon_lost")
def test_what_does_not_end_without_its_head_is_ended(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()
    statuses = []

    def wait_on() -> None:
        try:
            lose(listening)
        finally:
            assert ended.wait(60)

    def leave(status: int) -> None:
        statuses.append(status)
        ended.set()

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(head, "ENDING_SECONDS", 0.1)
    with (
        pytest.raises(ClusterError, match="is lost"),
        ended_with_its_head(address_of(listening)),
    ):
        wait_on()
    assert statuses == [2]
    err = capfd.readouterr().err
    assert err.startswith("llm-pv: the head of the cluster")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("_soon_lost")
def test_while_the_head_answers_an_interruption_and_a_loss_stay_what_they_are(
    listening: socket.socket,
) -> None:
    with pytest.raises(KeyboardInterrupt), ended_with_its_head(address_of(listening)):
        signal.raise_signal(signal.SIGINT)
    with (
        pytest.raises(WorkerLostError, match="a machine"),
        ended_with_its_head(address_of(listening)),
    ):
        raise WorkerLostError("a machine was lost")
    with ended_with_its_head(address_of(listening)):
        for _ in range(3):
            listening.accept()[0].close()  # it is looked for again and again
