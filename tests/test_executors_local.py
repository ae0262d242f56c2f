"""Worker processes: results, errors, and being ended in the middle of a call."""

import io
import math
import os
import pickle
import signal
import threading
import time
from typing import Any

import pytest

from llm_pv.errors import ConfigurationError, MissingExtraError
from llm_pv.runs.executors.local import WorkerLostError, Workers, serve
from llm_pv.tasks import task


def fail_for_want_of_an_extra() -> None:
    raise MissingExtraError("pyarrow", "parquet", "read Parquet files")


def answers_to(*calls: object) -> list[Any]:
    """Return what a worker answers, served in this process."""
    asked = io.BytesIO(b"".join(pickle.dumps(call) for call in calls))
    answered = io.BytesIO()
    serve(asked, answered)
    answered.seek(0)
    return [pickle.load(answered) for _ in calls]


def test_calls_are_answered_in_another_process() -> None:
    with Workers(1) as workers:
        assert workers.call(math.gcd, 12, 18) == 6
        assert workers.call(os.getpid) == workers.call(os.getpid) != os.getpid()


def test_errors_of_the_package_come_back_as_they_are_and_others_named() -> None:
    with Workers(1) as workers:
        with pytest.raises(ConfigurationError, match="did you mean"):
            workers.call(task, "parity_al")
        with pytest.raises(RuntimeError, match="ValueError: math domain error"):
            workers.call(math.sqrt, -1)
        assert workers.call(math.sqrt, 4) == 2, "the process serves on"


def test_an_error_that_cannot_be_pickled_as_it_is_still_arrives() -> None:
    ((succeeded, (kind, message, trace)),) = answers_to((fail_for_want_of_an_extra, (), {}))
    assert succeeded is False
    assert kind is MissingExtraError
    assert "pip install 'llm-pv[parquet]'" in message
    assert "fail_for_want_of_an_extra" in trace


def test_an_answer_that_cannot_be_pickled_is_an_error_and_no_torn_answer() -> None:
    first, second = answers_to((threading.Lock, (), {}), (math.gcd, (4, 6), {}))
    assert first[0] is False
    assert second == (True, 2)


def test_a_process_that_dies_loses_its_call_alone() -> None:
    with Workers(1) as workers:
        with pytest.raises(WorkerLostError, match="ran out of memory"):
            workers.call(os.kill, workers.call(os.getpid), signal.SIGKILL)
        assert workers.call(math.gcd, 4, 6) == 2


def test_closing_ends_a_call_in_progress_and_refuses_the_next() -> None:
    with Workers(1) as workers:
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
