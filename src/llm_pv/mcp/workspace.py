"""The folder that a server works in, and the runs that its clients have opened."""

import json
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Self

from mcp.shared.path_security import PathEscapeError, safe_join

from llm_pv import api
from llm_pv.data.examples import Splits
from llm_pv.data.file_bytes import file_bytes
from llm_pv.data.formats import unpacked
from llm_pv.data.reading import Reading
from llm_pv.errors import ConfigurationError, LLMPVError
from llm_pv.mcp.open_run import OpenRun, RunProblem
from llm_pv.proposers.llm.local_tool import LocalTool
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_atomically
from llm_pv.runs.reading import find_runs, read_run, read_summary
from llm_pv.sandbox import Sandbox
from llm_pv.tasks import SamplerName
from llm_pv.tasks.loading import load_task
from llm_pv.tasks.registry import task

_MOST_OPEN = 32
_OPENED = "opened-files.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class WorkspaceSettings:
    """Settings of a server; its clients cannot change the split."""

    folder: Path
    out: Path
    programs: int = 200
    "The largest K of a run."
    python_calls: int = 100
    "The most calls of the Python tool in a run."
    sizes: api.SplitSizes = field(default_factory=api.SplitSizes)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is no folder: name one whose files are opened")
        for name in ("programs", "python_calls"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"is {getattr(self, name)}; give 1 or more", name)


class Workspace:
    """The open runs of a server; safe to use from several threads.

    A file is split in one way only, also by later servers with the same run directories: opened
    again with another target or another grouping, its training rows would include validation rows
    of the first run. A copy of the file, gzipped or not, is the same file.

    Parameters
    ----------
    sandbox, tool
        Where programs and the clients' own code run; they are left open.
    """

    def __init__(self, settings: WorkspaceSettings, sandbox: Sandbox, tool: LocalTool) -> None:
        self.settings, self.tool = settings, tool
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._runs: dict[str, OpenRun] = {}
        self._opening: set[str] = set()
        self._one_file = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave unfinished runs as they are on disk, so that they can be resumed."""
        with ExitStack() as stack:
            for run in self._runs.values():
                stack.callback(run.close)

    def runs(self) -> list[OpenRun]:
        """Return the runs opened since the server started."""
        with self._lock:
            return list(self._runs.values())

    def run(self, name: str) -> OpenRun:
        """Return an open run.

        Raise ConfigurationError if there is none of this name.
        """
        with self._lock:
            if name in self._runs:
                return self._runs[name]
            known = ", ".join(self._runs) or "none yet"
        raise ConfigurationError(f"no run is called {name!r}; open ones: {known}")

    def open_file(
        self,
        path: str,
        *,
        target: str | None,
        types: Mapping[str, str],
        groups: str | None,
        programs: int,
        name: str | None,
        note: str = "",
    ) -> OpenRun:
        """Open a file under the folder.

        Raise ConfigurationError if the file lies outside, or was opened with another target or
        grouping. Raise DataError if it cannot be read or split. Raise RunError if the run directory
        holds another run.
        """
        file = self._file(path)
        options = {"target": target, "types": dict(types), "groups": groups}
        reading = Reading(groups=groups)
        with self._one_file:  # two calls at once could open a file with two targets
            content = sha256(unpacked(file_bytes(file), path)).hexdigest()
            readings = self._readings()
            known = readings.get(content, options)
            if known != options:
                given = ", ".join(f"{name} {value!r}" for name, value in known.items() if value)
                raise ConfigurationError(
                    f"{path} was opened with {given or 'no options'} before; another split would "
                    "show rows that are held back there: give the same options, or ask the user, "
                    f"who can remove {self.shown(self.settings.out / _OPENED)} and those runs"
                )
            splits = api.read_splits(
                file,
                target=target,
                types=types,
                reading=reading,
                sizes=self.settings.sizes,
                seed=self.settings.seed,
            )
            problem = RunProblem(file.name, splits, programs, self.settings.seed, target, reading)
            run = self._open(problem, name or self._free(file.stem), note)
            text = json.dumps(readings | {content: options}, indent=1)
            write_atomically(self.settings.out / _OPENED, text + "\n")
        return run

    def _readings(self) -> dict[str, Any]:
        """Return with what options each file was opened, by the digest of its content."""
        path = self.settings.out / _OPENED
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigurationError(
                f"{self.shown(path)} is damaged ({error}): remove it and the runs beside it"
            ) from error

    def open_task(
        self,
        task_id: str,
        *,
        length: int | None,
        sampler: SamplerName,
        programs: int,
        name: str | None,
        note: str = "",
    ) -> OpenRun:
        """Open a data set of a benchmark task, drawn by the server's seed.

        Raise ConfigurationError if there is no such task, length or sampler. Raise DataError if
        there are too few inputs. Raise RunError if the run directory holds another run.
        """
        sizes = self.settings.sizes
        chosen = task(task_id)
        splits = load_task(
            task_id,
            length=length,
            sampler=sampler,
            train_size=sizes.train or 100,
            validation_size=sizes.validation or 100,
            test_size=sizes.test or 10_000,
            seed=self.settings.seed,
        )
        known_as = chosen.id or chosen.name
        problem = RunProblem(known_as, splits, programs, self.settings.seed)
        return self._open(problem, name or self._free(known_as), note)

    def open_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        target: str,
        programs: int,
        name: str | None,
        note: str = "",
    ) -> OpenRun:
        """Open rows of the call; its author knows all labels.

        Raise DataError if they cannot be read or split. Raise RunError if the run directory holds
        another run.
        """
        splits = api.read_splits(
            list(rows), target=target, sizes=self.settings.sizes, seed=self.settings.seed
        )
        warning = (
            "these rows were sent by the author of the programs, who has seen every label: the "
            "certificate holds only if no program was written with the held-back rows in view"
        )
        splits = replace(splits, warnings=(*splits.warnings, warning))
        problem = RunProblem("rows", splits, programs, self.settings.seed, target)
        return self._open(problem, name or self._free("rows"), note)

    def _file(self, path: str) -> Path:
        try:
            file = safe_join(self.settings.folder, path)
        except PathEscapeError:
            raise ConfigurationError(
                f"{path!r} is not inside the folder that this server was started for: give a path "
                "relative to that folder, without .. and without links that lead out"
            ) from None
        if file.is_relative_to(self.settings.out.resolve()):
            raise ConfigurationError(f"{path!r} is a file of a run: open files with rows only")
        if not file.is_file():
            raise ConfigurationError(f"there is no file {path!r} in the folder")
        return file

    def _free(self, stem: str) -> str:
        slug = Cell(stem).slug
        with self._lock:
            taken = {*self._runs, *self._opening}
        names = (f"{slug}-{number}" for number in count(1))
        return next(n for n in names if n not in taken and not (self.settings.out / n).exists())

    def _open(self, problem: RunProblem, name: str, note: str) -> OpenRun:
        """Open a run of this name, or resume it."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot name a run: give letters, digits, '.', '_' and '-', 80 at most"
            )
        if not 1 <= problem.programs <= self.settings.programs:
            raise ConfigurationError(
                f"programs is {problem.programs}; give 1 to {self.settings.programs}"
            )
        with self._lock:
            if name in self._runs or name in self._opening:
                raise ConfigurationError(f"run {name} is open already: go on with it")
            going_on = sum(not run.finished for run in self._runs.values()) + len(self._opening)
            if going_on >= _MOST_OPEN:
                raise ConfigurationError(f"{going_on} runs are open: finish one of them first")
            self._opening.add(name)
        try:
            run = OpenRun(
                problem,
                self.settings.out / name,
                sandbox=self._sandbox,
                tool=self.tool,
                python_calls=self.settings.python_calls,
                note=note,
            )
        finally:
            with self._lock:
                self._opening.discard(name)
        with self._lock:
            self._runs[name] = run
        return run

    def shown(self, path: Path) -> str:
        """Return a path as a client is shown it: relative to the folder, where it lies inside."""
        whole, folder = path.resolve(), self.settings.folder.resolve()
        return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)

    def earlier_runs(self, run: OpenRun) -> int:
        """Return how many other runs on the same rows are finished, also by earlier servers."""
        splits = run.problem.splits
        held, digest = splits.validation.digest(), splits.digest()
        finished = {
            other.path.name
            for other in self.runs()
            if other.finished and other.problem.splits.validation.digest() == held
        }
        for path in find_runs([self.settings.out]):
            with suppress(LLMPVError):  # another run that is damaged does not end this one
                known = read_run(path)["configuration"].get("rows_digest")
                if known == digest and read_summary(path):
                    finished.add(path.name)
        return len(finished - {run.path.name})


def held_back(splits: Splits) -> str:
    """Return in words which rows are held back until a run is finished."""
    return f"{len(splits.validation):,} validation and {len(splits.test):,} test rows"
