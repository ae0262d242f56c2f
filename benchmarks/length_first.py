"""What the built-in search finds from 100 training and 100 validation rows, and in how long.

Run ``python -m benchmarks.length_first targets`` for the rules the search has to find, at three
lengths, or ``python -m benchmarks.length_first unseen`` for rules that were written down after its
primitives were frozen. Each line: accuracy of the selected program on 5,000 test rows, CPU seconds
of the search, and the program.
"""

import random
import sys
import time
from collections.abc import Callable

from benchmarks.length_first_rules import UNSEEN, Rule, target_rules
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.length_first import LengthFirst

TRAIN, VALIDATION, TEST = 100, 100, 5000
Program = Callable[[Input], object]


def sample(rule: Rule, seed: int) -> tuple[list[Input], list[str]]:
    """Draw distinct rows, the classes as evenly mixed as 60,000 draws allow."""
    chance = random.Random(f"{rule.name} {seed}")
    pools: dict[str, dict[str, Input]] = {}
    wanted = TRAIN + VALIDATION + TEST
    for _ in range(60_000):
        row = rule.draw(chance)
        pools.setdefault(label_text(rule.label(row)), {})[repr(row)] = row
        if len(pools) > 1 and min(map(len, pools.values())) * len(pools) >= wanted:
            break
    queues = {label: list(rows.values()) for label, rows in sorted(pools.items())}
    pairs: list[tuple[Input, str]] = []
    while queues and len(pairs) < wanted:
        for label in list(queues):
            pairs.append((queues[label].pop(), label))
            if not queues[label]:
                del queues[label]
    chance.shuffle(pairs)
    return [row for row, _ in pairs], [label for _, label in pairs]


def mistakes(program: Program, rows: list[Input], labels: list[str]) -> int:
    """Count wrong answers; an exception is one."""
    wrong = 0
    for row, label in zip(rows, labels, strict=True):
        try:
            wrong += label_text(program(row)) != label
        except Exception:  # noqa: BLE001 - whatever a program raises is a mistake
            wrong += 1
    return wrong


def select(proposals: list[Proposal], rows: list[Input], labels: list[str]) -> tuple[Program, str]:
    """Return the first program with the fewest mistakes on validation rows, and its source."""
    best = (len(rows) + 1, 0, "")
    for index, proposal in enumerate(proposals):
        namespace: dict[str, Program] = {}
        exec(proposal.text, namespace)
        best = min(best, (mistakes(namespace["f"], rows, labels), index, proposal.text))
        if best[0] == 0:
            break
    exec(best[2], namespace := {})
    return namespace["f"], best[2]


def measure(rule: Rule, seed: int = 0) -> tuple[float, float]:
    """Search, select by validation, print a line; return test accuracy and CPU seconds."""
    rows, labels = sample(rule, seed)
    middle = TRAIN + VALIDATION
    proposer = LengthFirst()
    started = time.process_time()
    train = Examples(rows[:TRAIN], labels[:TRAIN])
    proposals = list(proposer.propose(train, Classes.of(labels), seed))
    seconds = time.process_time() - started
    program, text = select(proposals, rows[TRAIN:middle], labels[TRAIN:middle])
    accuracy = 1 - mistakes(program, rows[middle:], labels[middle:]) / len(rows[middle:])
    capped = " (time cap)" if proposer.hit_time_cap else ""
    print(f"{accuracy:7.2%} {seconds:5.1f} s {rule.name}{capped}", flush=True)
    print("        " + text.rstrip().replace("\n", "\n        "), flush=True)
    return accuracy, seconds


def main() -> None:
    """Measure the rules asked for on the command line."""
    if sys.argv[1:] not in (["targets"], ["unseen"]):
        sys.exit("usage: python -m benchmarks.length_first targets|unseen")
    groups = {"unseen": UNSEEN}
    if sys.argv[1] == "targets":
        groups = {f"length {length}": target_rules(length) for length in (100, 50, 20)}
    for name, rules in groups.items():
        print(f"== {name}")
        results = [measure(rule) for rule in rules]
        exact = sum(accuracy == 1 for accuracy, _ in results)
        close = sum(accuracy >= 0.99 for accuracy, _ in results)
        seconds = [seconds for _, seconds in results]
        print(f"{exact} of {len(results)} exact, {close} at least 99%; ", end="")
        print(f"CPU {sum(seconds) / len(seconds):.1f} s a rule, at most {max(seconds):.1f} s")


if __name__ == "__main__":
    main()
