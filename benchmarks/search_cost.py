"""What the built-in search takes at many sizes, and what it finds on the paper's tasks.

``python -m benchmarks.search_cost sizes [--tables] [--texts] [--budget-seconds 5]
[--budget-mb 200]`` searches made-up rows of 100 to 200,000 rows, 1 to 1,000 columns and texts of 20
to 10,000 characters, each in a fresh process: CPU and wall-clock seconds, peak memory beyond what
the process and its rows took before the search, and ``!`` where a budget was exceeded (by more than
0.5 s or a tenth of the megabytes). ``python -m benchmarks.search_cost paper [TASK ...]`` takes the
paper's thirteen tasks, both samplers, three lengths and five seeds, 10,000 test rows.
"""

import argparse
import functools
import importlib
import random
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.searching import (
    Found,
    Settings,
    add_settings,
    in_processes,
    proposer_of,
    search,
    settings_of,
)
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.tasks import load_task
from llm_pv.tasks.task import SamplerName

TASKS = [
    "fn_a",
    "fn_b",
    "fn_c",
    "fn_d",
    "fn_e",
    "fn_f",
    "fn_g",
    "fn_h",
    "fn_j",
    "fn_k",
    "fn_v",
    "fn_l",
    "fn_aa",
]
OTHER_LENGTHS = {"fn_h": {50: 60}, "fn_aa": {100: 300, 50: 100, 20: 48}}
"""Dyck words come in multiples of four, graphs in multiples of six."""
TABLES = [(100, 20), (1_000, 20), (10_000, 20), (100_000, 20), (200_000, 20)]
TABLES += [(1_000, columns) for columns in (1, 10, 100, 1_000)]
TEXTS = [(200, length) for length in (20, 100, 1_000, 10_000)]
TEXTS += [(1_000, 100), (10_000, 100), (100_000, 20)]


@dataclass(frozen=True)
class Size:
    """A number of rows, and of columns or of characters."""

    kind: str
    rows: int
    width: int


@dataclass(frozen=True)
class Cost:
    """What one search took."""

    programs: int
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class PaperTask:
    """A task of the paper, with all that draws its rows."""

    name: str
    length: int
    sampler: SamplerName
    seed: int


def table_rows(size: Size, chance: random.Random) -> tuple[list[Input], list[str]]:
    """Return rows of numbers and categories; a tenth of the labels do not follow the rule."""
    rows: list[Input] = []
    labels = []
    for _ in range(size.rows):
        row = {f"n{i}": round(chance.gauss(50, 20), 1) for i in range(0, size.width, 2)}
        row |= {f"c{i}": chance.choice("abcdef") for i in range(1, size.width, 2)}  # type: ignore[misc]
        holds = row["n0"] > 55 and row.get("c1", "a") in ("a", "b", "e")
        rows.append({**row})
        labels.append(str(int(holds != (chance.random() < 0.1))))
    return rows, labels


def text_rows(size: Size, chance: random.Random) -> tuple[list[Input], list[str]]:
    """Return texts of made-up words; a tenth of the labels do not follow the rule."""
    words = [
        "".join(chance.choices("abcdefghijklmnop", k=chance.randint(2, 8))) for _ in range(500)
    ]
    rows: list[Input] = []
    labels = []
    for _ in range(size.rows):
        text = " ".join(chance.choices(words, k=size.width // 3 + 1))[: size.width]
        rows.append(text)
        labels.append(str(int((text.count("e") * 25 > len(text)) != (chance.random() < 0.1))))
    return rows, labels


def resident_mb() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def cost(size: Size, settings: Settings) -> Cost:
    """Run one search and measure it."""
    draw = table_rows if size.kind == "table" else text_rows
    train = Examples(*draw(size, random.Random(0)))
    proposer = proposer_of(settings)
    importlib.import_module("sklearn.tree")  # a library, which trees need, and no table
    before = resident_mb()
    cpu, wall = time.process_time(), time.monotonic()
    proposals = list(proposer.propose(train, Classes.of(train.labels), seed=0))
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return Cost(len(proposals), cpu, wall, max(0.0, peak - before))


def print_sizes(arguments: argparse.Namespace) -> None:
    """Measure made-up rows of many sizes."""
    settings = settings_of(arguments)
    both = not (arguments.tables or arguments.texts)
    sizes = [Size("table", *size) for size in TABLES] if arguments.tables or both else []
    sizes += [Size("text", *size) for size in TEXTS] if arguments.texts or both else []
    sizes = [size for size in sizes if size.rows <= arguments.most_rows]
    print("kind      rows  width  CPU s  wall s      MB  programs")
    for size, took in in_processes(functools.partial(cost, settings=settings), sizes, 1):
        late = "!" if took.wall_seconds > settings.seconds + 0.5 else " "
        large = "!" if settings.megabytes and took.peak_mb > 1.1 * settings.megabytes else " "
        print(
            f"{size.kind:6} {size.rows:7} {size.width:6} {took.cpu_seconds:6.1f} "
            f"{took.wall_seconds:6.1f}{late} {took.peak_mb:6.0f}{large} {took.programs:6}",
            flush=True,
        )


def solve(task: PaperTask, settings: Settings) -> Found:
    """Search for a task of the paper."""
    rows = load_task(task.name, length=task.length, sampler=task.sampler, seed=task.seed)
    return search(rows.train, rows.validation, rows.test, settings, seed=task.seed)


def print_paper(arguments: argparse.Namespace) -> None:
    """Measure the paper's tasks."""
    tasks = [
        PaperTask(name, OTHER_LENGTHS.get(name, {}).get(length, length), sampler, seed)
        for sampler in arguments.samplers
        for length in arguments.lengths
        for name in arguments.tasks or TASKS
        for seed in range(arguments.seeds)
    ]
    work = functools.partial(solve, settings=settings_of(arguments))
    exact = 0
    for task, found in in_processes(work, tasks, arguments.jobs):
        exact += found.accuracy == 1
        print(
            f"{task.name:6} {task.length:4} {task.sampler:6} seed {task.seed} "
            f"{found.accuracy:8.2%} {found.cpu_seconds:5.1f} s {found.peak_mb:5.0f} MB",
            flush=True,
        )
    print(f"{exact} of {len(tasks)} exact")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    sizes = commands.add_parser("sizes")
    sizes.add_argument("--tables", action="store_true")
    sizes.add_argument("--texts", action="store_true")
    sizes.add_argument("--most-rows", type=int, default=200_000)
    add_settings(sizes)
    sizes.set_defaults(show=print_sizes)
    paper = commands.add_parser("paper")
    paper.add_argument("tasks", nargs="*")
    paper.add_argument("--seeds", type=int, default=5)
    paper.add_argument("--samplers", nargs="+", default=["paper", "hard"])
    paper.add_argument("--lengths", type=int, nargs="+", default=[100, 50, 20])
    add_settings(paper)
    paper.set_defaults(show=print_paper)
    arguments = parser.parse_args()
    arguments.show(arguments)


if __name__ == "__main__":
    main()
