"""Worker processes that a run hands to the next of its file, their libraries imported already."""

import os
import queue
from pathlib import Path
from typing import Any

from llm_pv.runs.executors.local import WorkerProcesses


class WarmProcesses(WorkerProcesses):
    """Takes processes that an earlier run left idle; one in the middle of a call is ended as ever.

    Parameters
    ----------
    spare
        The pools that no run uses.
    """

    def __init__(self, spare: list[Any], size: int) -> None:
        super().__init__(size)
        self._spare = spare

    def _start(self) -> Any:
        if self._closed or not self._spare:
            return super()._start()
        pool = self._spare.pop()
        pool.submit(os.chdir, Path.cwd()).result()  # where a new process would have begun
        with self._lock:
            self._pools.add(pool)
        return pool

    def close(self) -> None:
        self._closed = True
        for _ in range(self._idle.qsize()):
            try:
                pool = self._idle.get_nowait()
            except queue.Empty:
                break
            self._idle.put(None)  # a call that comes now finds that these are closed
            with self._lock:
                left = pool in self._pools
                self._pools.discard(pool)
            if left:
                self._spare.append(pool)
        super().close()
