"""Worker processes: results, errors, and being ended in the middle of a call."""

import math
import os
import signal
import threading
import time

import pytest

from llm_pv.errors import ConfigurationError, MissingExtraError, WorkerLostError
from llm_pv.runs.executors.local import WorkerProcesses
from llm_pv.tasks import task


def fail_for_want_of_an_extra() -> None:
    raise MissingExtraError("pyarrow", "parquet", "read Parquet files")


def test_calls_are_answered_in_another_process() -> None:
    with WorkerProcesses(1) as workers:
        assert workers.call(math.gcd, 12, 18) == 6
        assert workers.call(os.getpid) == workers.call(os.getpid) != os.getpid()


def test_errors_of_the_package_come_back_as_they_are_and_others_named() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(ConfigurationError, match="did you mean"):
            workers.call(task, "parity_al")
        with pytest.raises(RuntimeError, match="ValueError: math domain error"):
            workers.call(math.sqrt, -1)
        assert workers.call(math.sqrt, 4) == 2, "the process serves on"


def test_an_error_whose_class_takes_other_arguments_still_arrives() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(MissingExtraError, match="pip install 'llm-pv") as caught:
            workers.call(fail_for_want_of_an_extra)
        assert "fail_for_want_of_an_extra" in caught.value.__notes__[0]


def test_a_result_that_cannot_be_pickled_is_an_error_and_the_process_serves_on() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(RuntimeError, match="cannot pickle"):
            workers.call(threading.Lock)
        assert workers.call(math.gcd, 4, 6) == 2


def test_a_function_of_many_items_keeps_their_order() -> None:
    with WorkerProcesses(2) as workers:
        assert workers.map(math.factorial, [3, 1, 4]) == [6, 1, 24]


def test_a_process_that_dies_loses_its_call_alone() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(WorkerLostError, match="ran out of memory"):
            workers.call(os.kill, workers.call(os.getpid), signal.SIGKILL)
        assert workers.call(math.gcd, 4, 6) == 2


def test_closing_ends_a_call_in_progress_and_refuses_the_next() -> None:
    with WorkerProcesses(1) as workers:
        workers.call(os.getpid)
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                workers.call(time.sleep, 60)
            except WorkerLostError as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        workers.close()
        thread.join(10)
        assert len(ended) == 1
        with pytest.raises(WorkerLostError, match="closed"):
            workers.call(os.getpid)
