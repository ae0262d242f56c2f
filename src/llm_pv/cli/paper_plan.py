"""The parts of the paper's table: run directories, one after another, and their time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from llm_pv.errors import ConfigurationError
from llm_pv.report.text import count
from llm_pv.tasks import SamplerName
from llm_pv.tracks.baselines.registry import BASELINES
from llm_pv.tracks.baselines.run import chosen_baselines
from llm_pv.tracks.grid import GridRequest

PAPER_TASKS = (
    "fn_a", "fn_b", "fn_c", "fn_d", "fn_e", "fn_f", "fn_g", "fn_h", "fn_j", "fn_k", "fn_v",
    "fn_l", "fn_aa",
)  # fmt: skip

Track = Literal["synthesize", "baselines"]
SearchName = Literal["halving", "grid"]

_CPU_SECONDS = {"synthesize": 16.0, "halving": 14.0, "grid": 28.0}
"""A trial's CPU seconds, data set included: the mean over the 13 tasks at their longest lengths on
one of 2 shared x86-64 cores (benchmarks/RESULTS.md). For all baselines together."""


@dataclass(frozen=True)
class Part:
    """One run directory of the table: a track on some tasks with one sampler."""

    track: Track
    request: GridRequest
    models: tuple[str, ...]
    search: SearchName
    folder: Path

    @property
    def title(self) -> str:
        """The description.

        Examples
        --------
        >>> plan_parts(("fn_a", "fn_b"), trials=3, out=Path("runs"))[0].title
        'length-first, paper sampler, length 100: 2 tasks, 6 trials'
        """
        method = "length-first" if self.track == "synthesize" else f"baselines ({self.search})"
        request = self.request
        lengths = "published lengths"
        if request.lengths is not None:
            lengths = f"length {', '.join(map(str, request.lengths))}"
        tasks, trials = count(len(request.functions), "task"), count(self.trials, "trial")
        return f"{method}, {request.sampler} sampler, {lengths}: {tasks}, {trials}"

    @property
    def trials(self) -> int:
        """The number of trials of possible cells."""
        return sum(not trial.skipped for trial in self.request.plan())

    def cpu_seconds(self, done: int = 0) -> float:
        """Return the approximate CPU seconds it takes, less those of finished trials.

        Parameters
        ----------
        done
            Rows of its summary: trials, or of baselines a trial and baseline each.
        """
        if self.track == "synthesize":
            return _CPU_SECONDS["synthesize"] * max(0, self.trials - done)
        left = max(0.0, self.trials - done / len(self.models))
        return _CPU_SECONDS[self.search] * left * len(self.models) / len(BASELINES)


def plan_parts(
    tasks: Sequence[str] = (),
    *,
    samplers: Sequence[SamplerName] = ("paper", "hard"),
    trials: int | None = None,
    test_size: int = 10_000,
    models: Sequence[str] = (),
    full: bool = False,
    out: Path,
) -> list[Part]:
    """Return the parts of the table in the order in which they run.

    Raise ConfigurationError if nothing can be done so.

    Parameters
    ----------
    tasks
        Tasks by id or name; none for those of the published table.
    trials
        Repetitions; None for 3, or the published 10 of the full table.
    models
        Baselines; none for all.
    full
        Every published length and the published grids of the baselines, instead of the longest
        length of each task and successive halving.
    """
    if not samplers:
        raise ConfigurationError("no samplers: give paper, hard or both")
    base = GridRequest(
        functions=tuple(tasks or PAPER_TASKS),
        trials=trials if trials is not None else (10 if full else 3),
        test_size=test_size,
    )
    requests: list[tuple[str, GridRequest]] = []
    for sampler in dict.fromkeys(samplers):
        for name, request in _by_length(replace(base, sampler=sampler), full=full):
            request.plan()
            requests.append((name, request))
    chosen = tuple(baseline.name for baseline in chosen_baselines(models))
    search: SearchName = "grid" if full else "halving"
    tracks: tuple[Track, ...] = ("synthesize", "baselines")
    return [
        Part(track, request, chosen, search, out / f"{track}-{name}")
        for track in tracks
        for name, request in requests
    ]


def _by_length(request: GridRequest, *, full: bool) -> list[tuple[str, GridRequest]]:
    """Return a request as one for all published lengths, or one for each longest length."""
    ids = {known.id or known.name: known for known in request.tasks()}
    if full:
        return [(request.sampler, replace(request, functions=tuple(ids)))]
    longest: dict[int, list[str]] = {}
    for name, known in ids.items():
        longest.setdefault(max(known.lengths.default), []).append(name)
    return [
        (f"{request.sampler}-L{length}",
         replace(request, functions=tuple(names), lengths=(length,)))
        for length, names in longest.items()
    ]  # fmt: skip
