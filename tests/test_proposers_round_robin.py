"""Attempts in rounds: who may start which attempt when."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from llm_pv.proposers.round_robin import RoundRobin, StoppedError

ONE, TWO = "one", "two"


class Following:
    """Asks for attempts in threads and tells which have not been let through yet."""

    def __init__(self, rounds: RoundRobin) -> None:
        self.rounds = rounds
        self.threads = ThreadPoolExecutor(8)

    def ask(self, cell: str, number: int) -> "Future[None]":
        return self.threads.submit(self.rounds.cell(cell).acquire, number)


def held_back(asked: "Future[None]") -> bool:
    """Whether an attempt is still waiting after ample time to go through."""
    try:
        asked.result(0.2)
    except TimeoutError:
        return True
    return False


def test_the_next_attempt_waits_until_every_open_cell_has_started_the_one_before() -> None:
    following = Following(RoundRobin({ONE: 0, TWO: 0}, slots=4))
    following.ask(ONE, 1).result(5)
    second = following.ask(ONE, 2)
    assert held_back(second)
    following.ask(TWO, 1).result(5)
    second.result(5)


def test_a_cell_that_is_done_holds_nobody_back() -> None:
    rounds = RoundRobin({ONE: 1, TWO: 0}, slots=2)
    waiting = Following(rounds).ask(ONE, 2)
    assert held_back(waiting)
    rounds.cell(TWO).close()
    waiting.result(5)


def test_no_more_attempts_are_under_way_than_there_are_slots() -> None:
    rounds = RoundRobin({ONE: 0, TWO: 0}, slots=1)
    following = Following(rounds)
    following.ask(ONE, 1).result(5)
    waiting = following.ask(TWO, 1)
    assert held_back(waiting), "the only slot is taken"
    rounds.cell(ONE).release()
    waiting.result(5)


def test_an_attempt_that_waits_for_its_round_holds_no_slot() -> None:
    rounds = RoundRobin({ONE: 1, TWO: 0}, slots=1)
    following = Following(rounds)
    waiting = following.ask(ONE, 2)
    following.ask(TWO, 1).result(5)  # would wait for ever if the other held the slot
    assert held_back(waiting), "the round has come, but the only slot is taken"
    rounds.cell(TWO).release()
    waiting.result(5)


def test_a_cell_that_leaves_rounds_out_does_not_wait_for_itself() -> None:
    rounds = RoundRobin({ONE: 0}, slots=2)
    following = Following(rounds)
    following.ask(ONE, 1).result(5)
    following.ask(ONE, 7).result(5)


def test_stopping_wakes_everyone_who_waits() -> None:
    rounds = RoundRobin({ONE: 1, TWO: 0}, slots=1)
    waiting = Following(rounds).ask(ONE, 2)
    rounds.stop()
    with pytest.raises(StoppedError):
        waiting.result(5)
