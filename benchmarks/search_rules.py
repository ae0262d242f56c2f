"""What the built-in search makes of published lists of rules.

Run ``python -m benchmarks.search_rules round1 [round2 ...] [--every 4 [--first 1]] [--seeds 1]
[--only NAME ...] [--jobs 2] [--programs] [--budget-candidates 500000000]``: 100 training, 100
validation and 2,000 test rows a rule. A line for each rule: test accuracy, what the verdict says
(``rule``, ``false`` for a rule claimed without a validation mistake that is under 99% on the test
rows, ``fallback``), whether a rival warning is shown (``R``), probes answered rightly, CPU seconds
of the search and peak memory. ``--wrong 0.05`` gives so many training and validation rows another
label.
"""

import argparse
import functools
import random
import statistics
from dataclasses import dataclass

from benchmarks.rules import draw, lists, load
from benchmarks.searching import (
    Found,
    Settings,
    add_settings,
    in_processes,
    search,
    settings_of,
)
from llm_pv.data.examples import Examples


@dataclass(frozen=True)
class Task:
    """One rule and one seed."""

    list_name: str
    position: int
    seed: int


def relabelled(examples: Examples, share: float, chance: random.Random) -> Examples:
    """Return the examples with a share of the labels exchanged for another class's."""
    labels, classes = list(examples.labels), sorted(set(examples.labels))
    for index in chance.sample(range(len(labels)), round(share * len(labels))):
        labels[index] = chance.choice([text for text in classes if text != labels[index]])
    return Examples(examples.inputs, labels)


def measure(task: Task, settings: Settings, wrong: float) -> Found:
    """Search for a rule."""
    rule = load(task.list_name)[task.position]
    rows = draw(rule, task.seed)
    chance = random.Random(f"wrong labels {task.seed}")
    train, validation = (
        relabelled(one, wrong, chance) if wrong else one for one in (rows.train, rows.validation)
    )
    return search(train, validation, rows.test, settings, seed=task.seed, probes=rule.probes)


def line(task: Task, found: Found) -> str:
    """Return what is printed for a rule."""
    rule = load(task.list_name)[task.position]
    verdict = "false" if found.false_claim else "rule" if found.claimed else "fallback"
    rival = "R" if found.rivals else " "
    probes = f"{found.right_probes}/{len(rule.probes)}" if rule.probes else ""
    return (
        f"{found.accuracy:7.2%} {verdict:8} {rival} {probes:6} {found.cpu_seconds:5.1f} s "
        f"{found.peak_mb:5.0f} MB  {task.list_name} {rule.kind}: {rule.name} (seed {task.seed})"
    )


def summary(results: dict[Task, Found]) -> str:
    """Return the figures over all rules."""
    found = list(results.values())
    good = [one for one in found if one.accuracy >= 0.99]
    bad = [one for one in found if one.accuracy < 0.99]
    probed = [
        one.right_probes / len(rule.probes)
        for task, one in results.items()
        if one.accuracy >= 0.99 and (rule := load(task.list_name)[task.position]).probes
    ]
    cpu = sorted(one.cpu_seconds for one in found)
    lines = [
        f"{len(good)} of {len(found)} at least 99% "
        f"({sum(one.accuracy == 1 for one in found)} exact), mean accuracy "
        f"{statistics.mean(one.accuracy for one in found):.2%}",
        f"{sum(one.false_claim for one in found)} false claims; "
        f"{sum(not one.claimed for one in good)} right programs not claimed",
        f"rival warnings on {sum(one.rivals > 0 for one in bad)} of {len(bad)} wrong programs, "
        f"on {sum(one.rivals > 0 for one in good)} of {len(good)} right ones",
        f"CPU seconds of search: median {statistics.median(cpu):.1f}, most {cpu[-1]:.1f}; "
        f"peak memory: most {max(one.peak_mb for one in found):.0f} MB",
    ]
    if probed:
        lines.append(
            f"all probes right on {sum(share == 1 for share in probed)} of {len(probed)} rules at "
            f"99% or more; {statistics.mean(probed):.1%} of their probes right"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the lists named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lists", nargs="*", help=f"by default all: {', '.join(lists())}")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="of every so many, the first taken")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--wrong", type=float, default=0.0, help="share of wrong labels")
    parser.add_argument("--programs", action="store_true")
    add_settings(parser)
    arguments = parser.parse_args()
    tasks = [
        Task(name, position, arguments.first_seed + seed)
        for name in arguments.lists or lists()
        for position, rule in enumerate(load(name))
        if any(part in rule.name for part in arguments.only)
        and position % arguments.every == arguments.first
        for seed in range(arguments.seeds)
    ]
    work = functools.partial(measure, settings=settings_of(arguments), wrong=arguments.wrong)
    results = {}
    for task, found in in_processes(work, tasks, arguments.jobs):
        results[task] = found
        print(line(task, found), flush=True)
        if arguments.programs:
            print("        " + found.program.rstrip().replace("\n", "\n        "), flush=True)
    print(summary(results))


if __name__ == "__main__":
    main()
