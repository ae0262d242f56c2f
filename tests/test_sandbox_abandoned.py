"""A run that is given up leaves nothing behind, however late it notices."""

import threading
from collections.abc import Sequence

from llm_pv.data.examples import Input
from llm_pv.sandbox import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.batch import Batch, LabelledRows
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.worker_pool import WorkerPool


class Late:
    """A worker that starts its process after it was closed."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.holds_process = False

    def run(self, source: str, inputs: Sequence[Input], limits: Limits, seed: int = 0) -> Execution:
        self.entered.set()
        self.released.wait(60)
        self.holds_process = True
        return Execution(Outcome.FINISHED, ("1",))

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        raise NotImplementedError

    def close(self) -> None:
        self.holds_process = False


def test_what_a_worker_starts_after_it_was_given_up_is_ended_too() -> None:
    late = Late()
    worker_pool = WorkerPool(Late, late, 1)
    with worker_pool.several(Limits()) as start:
        run = start("def f(x): return 1", Batch.of(["a"]), 0)
        late.entered.wait(60)
    late.released.set()
    run.result(60)
    assert not late.holds_process
    worker_pool.close()
