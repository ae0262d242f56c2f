"""How often the bounds of the certificate fail, over repeated draws of rows and their splits.

Run ``python -m benchmarks.bounds [--runs 2000] [--seed 1]``. Rows are drawn from distributions
with known error rates, split by `split_tables`, and the program with the fewest validation errors
is certified with delta = 0.3. A bound fails if the selected program's true rate is above it; the
share of failures must not exceed delta.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llm_pv.data.readers import table_from
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.data.splits import split_tables
from llm_pv.erm.certificate import Certificate, count_classes, mean_of_groups

DELTA = 0.3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """Rows with their labels, and the true error rates of every program, overall and by class."""

    frame: pd.DataFrame
    answers: Sequence[dict[int, str]]
    error: Sequence[float]
    by_class: Sequence[dict[str, float]]
    reading: Reading = DEFAULT_READING


def of_inputs(random: np.random.Generator, inputs: int, rows: int, noise: float) -> Draw:
    """Draw rows of a few inputs, common and rare ones, whose labels are noisy, and six programs."""
    shares = random.dirichlet(np.full(inputs, 0.5))
    ones = random.uniform(noise, 1 - noise, inputs) if noise else random.integers(0, 2, inputs)
    said = random.random((6, inputs)) < np.where(ones > 0.5, 0.9, 0.1)
    missed = np.where(said, 1 - ones, ones)
    drawn = random.choice(inputs, size=rows, p=shares)
    labels = (random.random(rows) < ones[drawn]).astype(int)
    common = np.array([max(1e-12, (1 - ones) @ shares), max(1e-12, ones @ shares)])
    by_class = [
        {"0": float((s * (1 - ones)) @ shares / common[0]),
         "1": float((~s * ones) @ shares / common[1])}
        for s in said
    ]  # fmt: skip
    answers = [dict(enumerate(s.astype(int).astype(str).tolist())) for s in said]
    frame = pd.DataFrame({"x": drawn, "same": 0, "y": labels})
    return Draw(frame, answers, (missed @ shares).tolist(), by_class)


def of_groups(random: np.random.Generator, groups: int, large: int) -> Draw:
    """Draw groups with a rate of labels each; with `large`, one in ten is large and all zeros."""
    big = random.random(groups) < 0.1 * bool(large)
    sizes = np.where(big, large, random.integers(1, 9, size=groups))
    rates = np.where(big, 0.0, random.beta(0.3, 0.7, size=groups))
    unit = np.repeat(np.arange(groups), sizes)
    labels = (random.random(len(unit)) < rates[unit]).astype(int)
    mean = 0.3 * (0.9 if large else 1.0)
    frame = pd.DataFrame({"g": unit, "x": 0, "same": 0, "y": labels})
    by_class = [{"0": 0.0, "1": 1.0}, {"0": 1.0, "1": 0.0}]
    return Draw(frame, [{0: "0"}, {0: "1"}], [mean, 1 - mean], by_class, Reading(groups="g"))


def failures(draw: Draw, seed: int) -> tuple[bool, bool] | None:
    """Return whether the overall bound and a bound of a class fail; None with one class only."""
    if draw.frame["y"].nunique() < 2:
        return None
    table = table_from(draw.frame, target="y", reading=draw.reading, learning=True)
    splits = split_tables(table, seed=seed, reading=draw.reading)
    validation = splits.validation
    codes = [int(str(row["x"])) for row in validation.inputs if isinstance(row, dict)]
    wrong = [
        [answer[code] != label for code, label in zip(codes, validation.labels, strict=True)]
        for answer in draw.answers
    ]
    best = int(np.argmin([sum(mistakes) for mistakes in wrong]))
    groups = validation.groups
    found = Certificate(
        sum(wrong[best]),
        len(validation),
        planned=len(wrong),
        verified=len(wrong),
        position=best + 1,
        delta=DELTA,
        groups=len(set(groups or ())),
        group_error=mean_of_groups(wrong[best], groups) if groups else None,
        classes=count_classes(wrong[best], validation.labels, groups),
    )
    true = draw.by_class[best]
    return (
        found.error_bound < draw.error[best],
        any(bound < true[label] - 1e-9 for label, bound in found.class_bounds.items()),
    )


SCENARIOS: dict[str, Callable[[np.random.Generator], Draw]] = {
    "14 inputs, noisy": lambda random: of_inputs(random, 14, 150, 0.05),
    "14 inputs, few rows": lambda random: of_inputs(random, 14, 40, 0.05),
    "2,000 inputs, no noise": lambda random: of_inputs(random, 2000, 150, 0.0),
    "40 groups": lambda random: of_groups(random, 40, 0),
    "12 groups": lambda random: of_groups(random, 12, 0),
    "40 groups, large ones differ": lambda random: of_groups(random, 40, 60),
    "12 groups, large ones differ": lambda random: of_groups(random, 12, 60),
}


def lines(runs: int, seed: int) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| rows | runs | overall bound fails | a bound by class fails |\n|---|---|---|---|"
    for name, make in SCENARIOS.items():
        random = np.random.default_rng(seed)
        found = [one for run in range(runs) if (one := failures(make(random), run)) is not None]
        overall, classes = np.mean(found, axis=0)
        yield f"| {name} | {len(found):,} | {overall:.1%} | {classes:.1%} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for line in lines(options.runs, options.seed):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
