"""Attempts in rounds: who may start which attempt when."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from llm_pv.grid.rounds import InRounds, Rounds, StoppedError

from llm_pv.runs.cells import Cell
from rows import ALWAYS_ONE, PARITY, Scripted, parity_splits

ONE, TWO = Cell("fn_a", trial=0), Cell("fn_a", trial=1)


class Following:
    """Asks for attempts in threads and tells which have not been let through yet."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds
        self.threads = ThreadPoolExecutor(8)

    def ask(self, cell: Cell, number: int) -> "Future[None]":
        return self.threads.submit(self.rounds.next_attempt, cell, number)


def held_back(asked: "Future[None]") -> bool:
    """Whether an attempt is still waiting after ample time to go through."""
    try:
        asked.result(0.2)
    except TimeoutError:
        return True
    return False


def test_the_next_attempt_waits_until_every_open_cell_has_started_the_one_before() -> None:
    rounds = Rounds({ONE: 0, TWO: 0}, slots=2)
    rounds.begin()
    rounds.begin()
    following = Following(rounds)
    following.ask(ONE, 1).result(5)
    second = following.ask(ONE, 2)
    assert held_back(second)
    following.ask(TWO, 1).result(5)
    second.result(5)


def test_a_cell_that_is_done_holds_nobody_back() -> None:
    rounds = Rounds({ONE: 1, TWO: 0}, slots=2)
    rounds.begin()
    rounds.begin()
    waiting = Following(rounds).ask(ONE, 2)
    assert held_back(waiting)
    rounds.end(TWO)
    waiting.result(5)


def test_a_cell_that_waits_for_its_round_leaves_its_slot_to_another() -> None:
    rounds = Rounds({ONE: 0, TWO: 0}, slots=1)
    rounds.begin()
    following = Following(rounds)
    following.ask(ONE, 1).result(5)
    waiting = following.ask(ONE, 2)
    rounds.begin()  # would wait for ever if the slot were kept
    following.ask(TWO, 1).result(5)
    assert held_back(waiting), "the round has come, but the only slot is taken"
    rounds.end(TWO)
    waiting.result(5)


def test_stopping_wakes_everyone_who_waits() -> None:
    rounds = Rounds({ONE: 1, TWO: 0}, slots=1)
    rounds.begin()
    following = Following(rounds)
    waiting = following.ask(ONE, 2)
    rounds.stop()
    with pytest.raises(StoppedError):
        waiting.result(5)


def test_a_proposer_in_rounds_pays_for_nothing_before_its_round() -> None:
    rounds = Rounds({ONE: 0, TWO: 0}, slots=2)
    rounds.begin()
    scripted = Scripted([ALWAYS_ONE, PARITY])
    splits = parity_splits()
    proposals = InRounds(scripted, rounds, ONE).propose(splits.train, splits.classes, seed=3)
    assert next(proposals).text == ALWAYS_ONE
    rest: list[str] = []
    thread = threading.Thread(target=lambda: rest.extend(p.text for p in proposals), daemon=True)
    thread.start()
    assert scripted.paid == 1
    rounds.end(TWO)
    thread.join(5)
    assert rest == [PARITY]
    assert scripted.calls[0][2:] == (3, 0)
