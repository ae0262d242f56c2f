"""Items of several threads, done at one go."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_pv.group_commit import GroupCommit


def test_whoever_waits_is_served_together_and_each_item_once() -> None:
    groups: list[list[int]] = []
    first_is_in, others_wait = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> None:
        groups.append(list(items))
        if items[0] == 0:
            first_is_in.set()
            assert others_wait.wait(30)

    together: GroupCommit[int, None] = GroupCommit(write)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(together, 0)
        assert first_is_in.wait(30)
        others = [threads.submit(together, number) for number in range(1, 8)]
        while len(together._waiting) < 7:
            pass
        assert not any(other.done() for other in others), "none is told before it is done"
        others_wait.set()
        for future in (first, *others):
            future.result(30)
    assert groups[0] == [0]
    assert sorted(groups[1]) == [1, 2, 3, 4, 5, 6, 7]
    assert len(groups) == 2


def test_an_error_reaches_everyone_whose_item_was_among_them() -> None:
    first_is_in, others_wait = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> None:
        if items[0] == 0:
            first_is_in.set()
            assert others_wait.wait(30)
        else:
            raise OSError("the disk is full")

    together: GroupCommit[int, None] = GroupCommit(write)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(together, 0)
        assert first_is_in.wait(30)
        others = [threads.submit(together, number) for number in (1, 2, 3)]
        while len(together._waiting) < 3:
            pass
        others_wait.set()
        first.result(30)
        for other in others:
            with pytest.raises(OSError, match="disk is full"):
                other.result(30)
