"""Time drawing 10,200 rows of every benchmark task, beside the published code.

Run as ``PYTHONPATH=src python -m benchmarks.tasks [TASK ...]``. Prints for each task the median
wall time and the median CPU time of a few runs, drawn afresh without a store, and how many times
faster either is than the published code's wall time on the same kind of machine. Where others use
the machine, CPU time is the figure to go by.
"""

import statistics
import sys
import time

from llm_pv.tasks import TASKS, SamplerName, load_task

PUBLISHED = {
    ("parity_all", 100): 1.0,
    ("parity_first_half", 100): 1.0,
    ("parity_rand_3", 100): 1.0,
    ("parity_rand_10", 100): 1.0,
    ("patternmatch1", 100): 2.3,
    ("patternmatch2", 100): 2.3,
    ("palindrome", 100): 0.95,
    ("dyck2", 100): 1.6,
    ("automata_parity", 100): 1.4,
    ("sha256_parity", 100): 1.4,
    ("prime_decimal", 100): 32.4,
    ("prime_decimal_tf_check", 100): 32.4,
    ("prime_plus_47", 100): 32.4,
    ("graph_has_cycle", 100): 0.56,
    ("graph_has_cycle", 300): 1.5,
}
"""Seconds the published code takes for 10,200 rows, by task and length."""


def seconds(name: str, length: int, sampler: SamplerName, repeats: int) -> tuple[float, float]:
    """Time drawing data sets of different seeds; return the median wall and CPU seconds."""
    wall, processor = [], []
    for seed in range(repeats):
        start = time.perf_counter(), time.process_time()
        load_task(name, length=length, sampler=sampler, seed=seed)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    """Print the table."""
    only = sys.argv[1:]
    samplers: tuple[SamplerName, ...] = ("paper", "hard")
    header = ("task", "L", "sampler", "wall s", "CPU s", "published", "times")
    print("{:<24}{:>4} {:<7}{:>8}{:>8}{:>11}{:>11}".format(*header))
    load_task("fn_k", length=30, test_size=100)
    for task in TASKS.values():
        if task.alphabet == "table" or (only and not {task.name, task.id} & set(only)):
            continue
        for length in (300, 100) if task.alphabet == "graph" else (100,):
            for sampler in samplers:
                wall, cpu = seconds(
                    task.name, length, sampler, 3 if task.alphabet == "decimal" else 5
                )
                published = PUBLISHED.get((task.name, length)) if sampler == "paper" else None
                times = f"{published / wall:.0f} / {published / cpu:.0f}" if published else ""
                print(
                    f"{task.name:<24}{length:>4} {sampler:<7}{wall:>8.3f}{cpu:>8.3f}"
                    f"{published or '':>11}{times:>11}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
