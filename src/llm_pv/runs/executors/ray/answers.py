"""A model in process, on the machines of a cluster: each opens it once and answers many cells."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_pv.errors import ClusterError, ModelError
from llm_pv.models.answers import Answer, AnsweringModel, Asking
from llm_pv.runs.executors.local import WorkerLostError, told
from llm_pv.runs.executors.ray.cluster import RETRIES, Cluster
from llm_pv.runs.executors.ray.requirements import Versions
from llm_pv.runs.executors.ray.tasks import Failed, require_same

MOST_DESKS = 100
"""Processes asked for at the same time; those that find no room now take machines that join."""

Group = list[tuple[int, Answer]]
"""Answers with the positions of their prompts."""


@dataclass(frozen=True)
class Opening:
    """How a machine opens the model.

    Parameters
    ----------
    make
        Opens it; it can be pickled.
    identity
        What the driver's model is, which the machine's must be too.
    folder
        Where the driver runs; a model in a relative folder is looked for from there.
    """

    make: Callable[[], AnsweringModel]
    identity: str
    folder: Path


class Desk:
    """A process on a machine of the cluster that holds the model.

    Parameters
    ----------
    driver
        The driver's versions.
    opening
        How the model is opened.
    """

    def __init__(self, driver: Versions, opening: Opening) -> None:
        self._driver = driver
        self._opening = opening

    def open(self) -> Failed | None:
        """Open the model."""
        try:
            require_same(self._driver)
            go_to(self._opening.folder)
            self._model = self._opening.make()
            if self._model.identity != self._opening.identity:
                raise ClusterError(
                    f"{self._model.name} has other files on a machine of the cluster than here; "
                    "give all machines the same"
                )
        except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
            return Failed(told(error))
        return None

    def answers(
        self, prompts: Sequence[str], asking: Asking, seeds: Sequence[int]
    ) -> Iterator[Group | Failed]:
        """Yield answers as they come."""
        try:
            yield from self._model.answers(prompts, asking, seeds=seeds)
        except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
            yield Failed(told(error))


class ClusterAnswers:
    """Answers for a model of this process, on a cluster; see `llm_pv.tracks.icl.run.Elsewhere`.

    Parameters
    ----------
    cluster
        The cluster; it is closed with this.
    opening
        How its machines open the model.
    """

    at_once = MOST_DESKS

    def __init__(self, cluster: Cluster, opening: Opening) -> None:
        self._cluster = cluster
        self._opening = opening
        self._free: deque[Any] = deque()
        """Desks nobody uses, and errors of those that could not be opened."""
        self._waiting = self._being_opened = 0
        self._changed = threading.Condition()

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[Group]:
        """Yield answers as they come; those a lost machine had not sent are had from another.

        Raises
        ------
        WorkerLostError
            If the cluster was let go.
        ModelError
            If an answer failed for good, or machine after machine was lost.
        LLMPVError
            If the model cannot be opened on a machine.
        """
        missing = list(range(len(prompts)))
        for further in reversed(range(RETRIES + 1)):
            asked = missing
            try:
                for group in self._ask(
                    [prompts[row] for row in asked], asking, [seeds[row] for row in asked]
                ):
                    rows = [(asked[position], answer) for position, answer in group]
                    had = {row for row, _ in rows}
                    missing = [row for row in missing if row not in had]
                    yield rows
            except WorkerLostError as error:
                if self._cluster.closed:
                    raise
                if not further:
                    raise ModelError(str(error)) from error
            except ModelError as error:
                raise ModelError(str(error)) from error  # whole again, as it was made
            if not missing:
                return

    def close(self) -> None:
        """End every answer under way."""
        self._cluster.close()
        with self._changed:
            self._changed.notify_all()

    def _ask(self, prompts: Sequence[str], asking: Asking, seeds: Sequence[int]) -> Iterator[Group]:
        """Have a desk answer; one that is lost does not come back."""
        desk = self._take()
        answers = desk.answers.options(num_returns="streaming")
        try:
            yield from self._cluster.results(answers.remote(prompts, asking, seeds))
        except WorkerLostError:
            self._cluster.end(desk)
            raise
        except BaseException:
            self._put(desk)
            raise
        self._put(desk)

    def _take(self) -> Any:
        """Wait for a free desk; one more is opened where nobody else waits for it already."""
        with self._changed:
            self._waiting += 1
            if self._waiting > len(self._free) + self._being_opened:
                self._being_opened += 1
                threading.Thread(target=self._open, daemon=True).start()
            self._changed.wait_for(lambda: self._free or self._cluster.closed)
            self._waiting -= 1
            if self._cluster.closed:
                raise WorkerLostError("the cluster was let go")
            free = self._free.popleft()
        if isinstance(free, Exception):
            raise free
        return free

    def _put(self, free: Any) -> None:
        with self._changed:
            self._free.append(free)
            self._changed.notify()

    def _open(self) -> None:
        """Open a desk, which waits until a machine has room."""
        desk = None
        try:
            desk = self._cluster.keep(Desk, self._opening)
            self._cluster.result(desk.open.remote())
            opened = desk
        except Exception as error:  # noqa: BLE001 - whoever takes it raises it
            self._cluster.end(desk)
            opened = error
        with self._changed:
            self._being_opened -= 1
        self._put(opened)


def go_to(folder: Path) -> None:
    """Change into the driver's folder where this machine has it, so that names mean the same."""
    if folder.is_dir():
        os.chdir(folder)
