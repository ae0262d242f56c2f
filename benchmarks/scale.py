"""What a large grid takes: wall-clock and money, and how much the one driver can write.

``python -m benchmarks.scale`` first measures what the driver spends on each event (a parcel of
attempts, an attempt, a finished trial) with a real run directory, then simulates grids of up to
10,000 trials on up to 1,000 workers with these figures. ``--nodes`` also measures, on a Ray cluster
of this machine, what handing over a trial takes. The simulation is of discrete events: workers
that are busy or free, a queue of trials, and a driver that does one thing at a time.
"""

import argparse
import heapq
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.ray.executor import MOST_UNDER_WAY, batch_seconds
from llm_pv.runs.remote_records import Message, write_records

HANDING_OVER = 0.004
"""Driver's CPU seconds for one trial in Ray alone, as ``--nodes`` measured; see docs/scale.md."""


@dataclass(frozen=True)
class Costs:
    """Seconds of the driver."""

    parcel: float
    attempt: float
    trial: float


@dataclass(frozen=True)
class Grid:
    """What is simulated.

    Parameters
    ----------
    trials, attempts, rows
        Trials of the whole grid, programs verified in each, and rows each program runs on.
    workers
        Cores of the cluster.
    proposing
        Seconds a trial's search takes.
    """

    trials: int = 10_000
    attempts: int = 200
    rows: int = 200
    workers: int = 1_000
    proposing: float = 30.0

    def seconds(self) -> float:
        """Seconds of one trial: rows drawn, programs proposed, verified, tested and moved."""
        verifying = self.attempts * (0.005 + 5e-6 * self.rows)  # benchmarks/sandbox.py
        return 1.0 + self.proposing + verifying


@dataclass(frozen=True)
class Outcome:
    """What a simulation comes to: seconds, the share the driver was busy, and how late it was."""

    wall: float
    busy: float
    lag: float


def simulate(grid: Grid, costs: Costs) -> Outcome:
    """Run a grid through a driver and workers."""
    every = batch_seconds(grid.workers)
    chance = random.Random(0)
    waiting, under_way, free = grid.trials, 0, grid.workers
    queued, driver, busy, lag, now = 0, 0.0, 0.0, 0.0, 0.0
    events: list[tuple[float, int, str, float]] = []
    number = 0

    def later(when: float, what: str, left: float = 0.0) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (when, number, what, left))

    def serve(seconds: float) -> float:
        nonlocal driver, busy, lag
        driver = max(driver, now) + seconds
        busy, lag = busy + seconds, max(lag, driver - now)
        return driver

    later(0.0, "written")
    under_way = 1  # that first event hands over what may be under way
    rate = grid.attempts / grid.seconds()
    while events:
        now, _, what, left = heapq.heappop(events)
        if what == "handed":
            queued += 1
        elif what == "ticked":
            span = min(every, left)
            cost = costs.parcel + costs.attempt * rate * span
            if left > every:
                serve(cost)
                later(now + every, "ticked", left - every)
            else:
                free += 1
                later(serve(cost + costs.trial), "written")
        else:  # the first event, and each trial whose end has been written down
            under_way -= 1
        while waiting and under_way < MOST_UNDER_WAY:
            waiting, under_way = waiting - 1, under_way + 1
            later(serve(HANDING_OVER), "handed")
        while queued and free:
            queued, free = queued - 1, free - 1
            seconds = grid.seconds() * chance.lognormvariate(0, 0.5)
            later(now + min(every, seconds), "ticked", seconds)
    wall = max(now, driver)
    return Outcome(wall, busy / wall, lag)


def measured_costs(threads: int = 64) -> Costs:
    """Measure the driver's costs with a run directory that this many threads write into."""
    small, large = (_seconds_a_parcel(attempts, threads) for attempts in (1, 40))
    attempt = (large - small) / 39
    return Costs(max(0.0, small - attempt), attempt, _seconds_a_trial(threads) + HANDING_OVER)


def _parcel(attempts: int) -> list[Message]:
    source = "def f(x):\n    return sum(map(int, x[::2])) % 2 ^ (x.count('01') > 3)\n" * 3
    reply = {"attempt": 1, "text": source} | {f"reply_{n}": 0.25 for n in range(12)}
    attempt = {"kind": "attempt", "program": source} | {f"attempt_{n}": 0.25 for n in range(25)}
    replies: list[Message] = [("append_replies", ([reply],))] * attempts
    return [*replies, *[("append_attempts", ([attempt],))] * attempts]


def _seconds_a_parcel(attempts: int, threads: int, repeats: int = 20) -> float:
    parcel = _parcel(attempts)

    def write(run: RunDirectory, cell: Cell) -> None:
        for _ in range(repeats):
            write_records(parcel, cell, run)

    return _seconds(write, threads) / (threads * repeats)


def _seconds_a_trial(threads: int, rows: int = 5_000) -> float:
    """Seconds for the end of a trial, in a run that has half of 10,000 already."""
    guesses = "row,label,prediction\n" + "".join(f"{n},1,0\n" for n in range(10_000))

    def write(run: RunDirectory, cell: Cell) -> None:
        run.write_program(cell, "x" * 2_000)
        run.write_predictions(cell, guesses)
        run.finish(cell, {"status": "done", "accuracy": 0.5})

    return _seconds(write, threads, rows) / threads


def _seconds(write: Callable[[RunDirectory, Cell], None], threads: int, rows: int = 0) -> float:
    with tempfile.TemporaryDirectory(dir=".") as folder, RunDirectory(Path(folder), {}) as run:
        known = [(False, {"function": f"{n}", "status": "done"}) for n in range(rows)]
        if known:
            run._rewrite_summary(known)
        cells = [Cell("fn_a", length, "paper") for length in range(threads)]
        started = [threading.Thread(target=write, args=(run, cell)) for cell in cells]
        start = time.perf_counter()
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        return time.perf_counter() - start


def _empty(_: object) -> Iterator[int]:
    yield 0
    yield 1


def handing_over(tasks: int = 400, threads: int = 64) -> float:
    """Measure the driver's CPU seconds for a trial of two parcels in Ray alone."""
    from concurrent.futures import ThreadPoolExecutor

    import ray
    from ray.cluster_utils import Cluster as Nodes

    from llm_pv.runs.executors.ray import Cluster

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    end: Callable[[], None] = nodes.shutdown
    with Cluster(nodes.address) as cluster, ThreadPoolExecutor(threads) as pool:

        def one(_: int) -> list[int]:
            return list(cluster.results(cluster.start(_empty, retries=0, streaming=True)))

        list(pool.map(one, range(threads)))
        start = time.process_time()
        list(pool.map(one, range(tasks)))
        spent = time.process_time() - start
    assert not ray.is_initialized()
    end()
    return spent / tasks


def dollars(grid: Grid, wall: float, core_hour: float, call: float) -> float:
    """Return what machines and calls of a model cost."""
    return grid.workers * wall / 3600 * core_hour + grid.trials * grid.attempts * call


def _table(grids: Sequence[tuple[str, Grid]], costs: Costs, core_hour: float) -> None:
    print(f"{'grid':44} {'ideal':>8} {'wall':>8} {'driver':>7} {'behind':>8} {'$':>8}")
    for name, grid in grids:
        ideal = -(-grid.trials // grid.workers) * grid.seconds()
        outcome = simulate(grid, costs)
        money = dollars(grid, outcome.wall, core_hour, 0.0)
        print(
            f"{name:44} {ideal:7.0f}s {outcome.wall:7.0f}s {outcome.busy:7.0%} "
            f"{outcome.lag:7.1f}s {money:8.2f}"
        )


def main() -> None:
    """Measure, simulate and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nodes", action="store_true", help="measure Ray on this machine too")
    options.add_argument("--core-hour", type=float, default=0.04, help="US dollars a core and hour")
    chosen = options.parse_args()
    if chosen.nodes:
        print(f"handing over a trial: {1000 * handing_over():.1f} ms of the driver's CPU")
    for threads in (1, 64):
        costs = measured_costs(threads)
        print(
            f"{threads:2} threads: {1000 * costs.parcel:.2f} ms a parcel, "
            f"{1000 * costs.attempt:.3f} ms an attempt, {1000 * costs.trial:.1f} ms a trial; "
            f"attempts a second {1 / (costs.parcel + costs.attempt):,.0f} one by one, "
            f"{40 / (costs.parcel + 40 * costs.attempt):,.0f} in parcels of 40"
        )
    usual = Grid()
    sizes = [
        (f"{trials:,} trials, {workers:,} workers", replace(usual, trials=trials, workers=workers))
        for trials, workers in ((100, 10), (1_000, 100), (10_000, 100), (10_000, 1_000))
    ]
    others = [
        ("... 20 attempts", replace(usual, attempts=20)),
        ("... 2,000 attempts", replace(usual, attempts=2_000)),
        ("... 20,000 rows", replace(usual, rows=20_000)),
        ("... saved replies, no search", replace(usual, proposing=0.0)),
        ("... saved replies, 20 attempts", replace(usual, proposing=0.0, attempts=20)),
    ]
    _table([*sizes, *others], costs, chosen.core_hour)


if __name__ == "__main__":
    main()
