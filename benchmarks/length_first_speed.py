"""Programs judged a second on one core, beside what memory allows and what Python functions do.

Run ``OMP_NUM_THREADS=1 python -m benchmarks.length_first_speed``: 100 rows. A judged program is one
whose answers on all rows were compared with the labels. "Joined" counts pairs of conditions in ten
ways, whose mistakes one matrix product gives; "scanned" a number with its best constants; the bound
is how many truth tables of 100 rows, a bit each, could be read from memory in a second.
"""

import random
import time
from collections.abc import Callable

import numpy as np

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.length_first.conditions import Conditions, ready
from llm_pv.proposers.length_first.expressions import Expression
from llm_pv.proposers.length_first.joining import best_joined
from llm_pv.proposers.length_first.scan import best_scanned
from llm_pv.proposers.length_first.scoring import Target

ROWS = 100


def seconds_of(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest CPU time of a few runs."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def bandwidth() -> float:
    """Return the bytes a second that a sum over a large array reads."""
    data = np.ones(2**25, dtype=np.float64)
    return data.nbytes / seconds_of(data.sum)


def python_functions(rows: list[str], labels: list[int]) -> float:
    """Return programs a second when each is a Python function called row by row."""
    functions = [
        eval(f'lambda x: x.count("{word}") % 2') for word in ("1", "0", "01", "10", "11", "00")
    ] * 50

    def work() -> list[int]:
        return [sum(f(x) != y for x, y in zip(rows, labels, strict=True)) for f in functions]

    return len(functions) / seconds_of(work)


def main() -> None:
    """Print the figures."""
    chance = random.Random(0)
    rows = ["".join(chance.choices("01", k=100)) for _ in range(ROWS)]
    labels = [row.count("1") % 2 for row in rows]
    generator = np.random.default_rng(0)
    target = Target.of(np.arange(ROWS), np.array(labels) == 1)
    truth = generator.random((2400, ROWS)) < 0.5
    flags = [Expression(f"c{i}", 8.0, values) for i, values in enumerate(truth)]
    conditions = Conditions([ready(flag) for flag in flags], truth, np.full(2400, 8.0))
    judged = 0

    def count(number: int) -> None:
        nonlocal judged
        judged += number

    joined = seconds_of(lambda: best_joined(conditions, target, 150, lambda: False, count), 1)
    print(f"memory reads {bandwidth() / 1e9:.1f} GB/s:", end=" ")
    print(f"{bandwidth() / (ROWS / 8) / 1e6:,.0f} million programs a second is the bound")
    print(f"joined conditions: {judged / joined / 1e6:,.0f} million programs a second")
    numbers = [
        Expression(f"n{i}", 8.0, values.astype(np.float64))
        for i, values in enumerate(generator.integers(0, 60, (10_000, ROWS)))
    ]
    judged = 0
    scanned = seconds_of(lambda: best_scanned(numbers, target, 150, lambda: False, count), 1)
    print(f"scanned numbers, best constants only: {judged / scanned / 1e6:,.2f} million a second")
    tried = 0

    def progress(_stage: str, number: int) -> None:
        nonlocal tried
        tried = number

    inputs: list[Input] = list(rows)
    examples = Examples(inputs, [str(label) for label in labels])
    search = LengthFirst(3600.0, progress=progress)
    whole = seconds_of(lambda: list(search.propose(examples, Classes.of(["0", "1"]), 0)), 1)
    print(f"a whole search: {tried / 1e6:,.0f} million in {whole:.1f} CPU s", end=", ")
    print(f"{tried / whole / 1e6:,.1f} million a second")
    print(f"Python functions, row by row: {python_functions(rows, labels):,.0f} a second")


if __name__ == "__main__":
    main()
