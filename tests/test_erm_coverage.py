"""The bounds hold as often as they say, through reading and splitting: repeated inputs, groups."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llm_pv.data.examples import Splits
from llm_pv.data.readers import table_from
from llm_pv.data.reading import Reading
from llm_pv.data.splits import split_tables
from llm_pv.erm.certificate import Certificate, count_classes, mean_of_groups

DELTA = 0.3
RUNS = 100
INPUTS = "abcdefghijklmn"


def certificate(splits: Splits, programs: Sequence[dict[str, str]]) -> tuple[int, Certificate]:
    """Certify the program with the fewest validation errors, a dict from input to answer."""
    validation = splits.validation
    wrong = [
        [program[str(x)] != y for x, y in zip(validation.inputs, validation.labels, strict=True)]
        for program in programs
    ]
    best = int(np.argmin([sum(mistakes) for mistakes in wrong]))
    groups = validation.groups
    return best, Certificate(
        sum(wrong[best]),
        len(validation),
        planned=len(programs),
        verified=len(programs),
        position=best + 1,
        delta=DELTA,
        groups=len(set(groups or ())),
        group_error=mean_of_groups(wrong[best], groups) if groups else None,
        classes=count_classes(wrong[best], validation.labels, groups),
    )


def test_bounds_cover_where_few_inputs_repeat_often() -> None:
    """14 different inputs, as in the Titanic table, some common and some rare, labels noisy."""
    random = np.random.default_rng(11)
    shares = random.dirichlet(np.ones(len(INPUTS)))
    ones = random.uniform(0.05, 0.95, len(INPUTS))
    programs = [{x: str(int(random.random() < 0.5)) for x in INPUTS} for _ in range(6)]
    said = np.array([[int(program[x]) for x in INPUTS] for program in programs])
    missed = np.where(said == 1, 1 - ones, ones)  # how often each program is wrong on each input
    errors = missed @ shares
    by_class = {
        "0": ((said == 1) * (1 - ones)) @ shares / ((1 - ones) @ shares),
        "1": ((said == 0) * ones) @ shares / (ones @ shares),
    }
    failed = {"overall": 0, "classes": 0}
    for seed in range(RUNS):
        drawn = random.choice(len(INPUTS), size=150, p=shares)
        labels = (random.random(150) < ones[drawn]).astype(int).tolist()
        splits = split_tables(table_from([INPUTS[i] for i in drawn], labels), seed=seed)
        best, found = certificate(splits, programs)
        failed["overall"] += found.error_bound < errors[best]
        bounds = found.class_bounds
        failed["classes"] += any(bounds[c] < by_class[c][best] for c in bounds)
    assert max(failed.values()) / RUNS <= DELTA


def test_bounds_cover_where_rows_of_a_group_are_alike() -> None:
    """Each patient has an own rate of labels, and up to 15 rows; new patients are what counts."""
    random = np.random.default_rng(12)
    programs = [{"x": "0"}, {"x": "1"}]
    mean = 0.3  # of Beta(0.3, 0.7): most patients have nearly all rows alike
    failed = {"groups": 0, "rows": 0}
    for seed in range(RUNS):
        sizes = random.integers(1, 16, size=40)
        rates = random.beta(0.3, 0.7, size=40)
        patient = np.repeat(np.arange(40), sizes)
        labels = (random.random(len(patient)) < rates[patient]).astype(int)
        if len(set(labels.tolist())) < 2:
            continue
        frame = pd.DataFrame({"p": patient, "x": "x", "y": labels})
        reading = Reading(groups="p")
        table = table_from(frame, target="y", reading=reading, learning=True)
        splits = split_tables(table, seed=seed, reading=reading)
        best, found = certificate(splits, programs)
        error = mean if best == 0 else 1 - mean
        failed["groups"] += found.error_bound < error
        by_rows = Certificate(
            found.errors, found.rows, found.planned, found.verified, found.position, DELTA
        )
        failed["rows"] += by_rows.error_bound < error
    assert failed["groups"] / RUNS <= DELTA
    assert failed["rows"] > failed["groups"], "the rows of a group are no independent witnesses"
