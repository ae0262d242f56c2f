"""Rules invented by someone who had not seen the search: what frozen versions made of them.

Run ``python -m benchmarks.length_first_published round1 [--seeds 3] [--only PART_OF_NAME]``: 100
training, 100 validation and 2,000 test rows a rule. Each line: test accuracy of the selected
program for each seed, whether it was claimed as a rule (``!`` marks a claim that is under 99%), and
CPU seconds of the search. ``--programs`` prints the programs too.
"""

import argparse
import importlib
import random
import time
from typing import Any

from benchmarks.length_first import mistakes, select
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.proposers.length_first import LengthFirst

TRAIN, VALIDATION, TEST = 100, 100, 2000
UNCAPPED = 3600.0
"""Seconds of a search: so many that other work on the machine does not change what is found."""


def draw(rule: Any, seed: int) -> tuple[list[Input], list[str]]:
    """Draw distinct rows and label them."""
    chance = random.Random(f"{rule.name} {seed}")
    rows: dict[str, Input] = {}
    for _ in range(100_000):
        row = rule.sample(chance)
        rows.setdefault(repr(row), row)
        if len(rows) == TRAIN + VALIDATION + TEST:
            break
    chosen = list(rows.values())
    chance.shuffle(chosen)
    return chosen, [label_text(rule.label(row)) for row in chosen]


def measure(rule: Any, seed: int) -> tuple[float, bool, float, str]:
    """Return test accuracy, whether a rule was claimed, CPU seconds, and the program."""
    rows, labels = draw(rule, seed)
    middle = TRAIN + VALIDATION
    started = time.process_time()
    train = Examples(rows[:TRAIN], labels[:TRAIN])
    proposals = list(LengthFirst(UNCAPPED).propose(train, Classes.of(labels), seed))
    seconds = time.process_time() - started
    program, text = select(proposals, rows[TRAIN:middle], labels[TRAIN:middle])
    note = next(one.note for one in proposals if one.text == text)
    wrong = mistakes(program, rows[TRAIN:middle], labels[TRAIN:middle])
    claimed = not note.startswith("fallback") and wrong == 0
    accuracy = 1 - mistakes(program, rows[middle:], labels[middle:]) / len(rows[middle:])
    return accuracy, claimed, seconds, text


def main() -> None:
    """Measure a published list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("round")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--programs", action="store_true")
    arguments = parser.parse_args()
    rules = importlib.import_module(f"benchmarks.length_first_{arguments.round}").RULES
    results = []
    for rule in rules:
        if arguments.only not in rule.name:
            continue
        measured = [
            measure(rule, arguments.first_seed + number) for number in range(arguments.seeds)
        ]
        results.append(measured)
        shown = "  ".join(
            f"{accuracy:7.2%}{'!' if claimed and accuracy < 0.99 else ' '}"
            for accuracy, claimed, _, _ in measured
        )
        seconds = max(one[2] for one in measured)
        print(f"{shown}  {seconds:5.1f} s  {rule.kind}: {rule.name}", flush=True)
        if arguments.programs:
            print("        " + measured[0][3].rstrip().replace("\n", "\n        "), flush=True)
    for number in range(arguments.seeds):
        seed = arguments.first_seed + number
        one = [measured[number] for measured in results]
        exact = sum(accuracy == 1 for accuracy, *_ in one)
        close = sum(accuracy >= 0.99 for accuracy, *_ in one)
        false = sum(claimed and accuracy < 0.99 for accuracy, claimed, *_ in one)
        seconds = sum(seconds for *_, seconds, _ in one) / max(1, len(one))
        print(f"seed {seed}: {exact} of {len(one)} exact, {close} at least 99%, ", end="")
        print(f"{false} false claims, {seconds:.1f} CPU seconds a rule")


if __name__ == "__main__":
    main()
