"""The benchmark's tasks by the built-in search: accuracy, seconds of search and peak memory.

Run ``python -m benchmarks.length_first_tasks [TASK ...] [--seeds 5] [--samplers paper hard]
[--lengths 100 50 20]``: 100 training and 100 validation rows, 10,000 test rows. Each line: accuracy
of the selected program on the test rows for each seed, the longest search in CPU seconds, and the
most memory the process has taken by then.
"""

import argparse
import resource
import time

from benchmarks.length_first import mistakes, select
from benchmarks.length_first_published import UNCAPPED
from llm_pv.proposers.length_first import LengthFirst
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


def task_length(task: str, length: int) -> int:
    """Return the length at which a task is measured where the others have this one."""
    return OTHER_LENGTHS.get(task, {}).get(length, length)


def measure(task: str, length: int, sampler: SamplerName, seed: int) -> tuple[float, float]:
    """Search, select by validation; return test accuracy and the search's CPU seconds."""
    splits = load_task(task, length=length, sampler=sampler, seed=seed)
    proposer = LengthFirst(UNCAPPED)
    started = time.process_time()
    proposals = list(proposer.propose(splits.train, splits.classes, seed))
    seconds = time.process_time() - started
    validation = list(splits.validation.inputs), list(splits.validation.labels)
    program, _ = select(proposals, *validation)
    test = list(splits.test.inputs), list(splits.test.labels)
    return 1 - mistakes(program, *test) / len(test[0]), seconds


def main() -> None:
    """Print a line for each task, length and sampler."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samplers", nargs="+", default=["paper", "hard"])
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 50, 20])
    arguments = parser.parse_args()
    for sampler in arguments.samplers:
        for length in arguments.lengths:
            for task in arguments.tasks or TASKS:
                chosen = task_length(task, length)
                results = [measure(task, chosen, sampler, s) for s in range(arguments.seeds)]
                accuracies = " ".join(f"{accuracy:8.2%}" for accuracy, _ in results)
                seconds = max(seconds for _, seconds in results)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{task:6} {chosen:4} {sampler:6} {accuracies}", end="  ")
                print(f"{seconds:5.1f} s {peak:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
