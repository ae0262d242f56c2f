"""Average what the jobs of a results folder measured over seeds and trials."""

import json
from typing import Any

from llm_pv.stats import MeanStd

BESIDE = ("learn_seconds_a_sample", "test_seconds_a_sample")
"""Figures that tables have no room for."""
_FIGURES = ("train_accuracy", "test_accuracy", "seconds_to_train_accuracy_1", *BESIDE)


def grouped(jobs: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return one record for all jobs that differ only in seed and trial."""
    groups: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for options, measured in jobs:
        key = {name: value for name, value in options.items() if name not in {"seed", "trial"}}
        groups.setdefault(json.dumps(key, sort_keys=True), []).append((options, measured))
    differing = {
        name
        for options, _ in jobs
        for name, value in options.items()
        if any(other.get(name) != value for other, _ in jobs)
    } - {"seed", "trial"}
    shown = differing | {"model", "target_func", "data", "sequence_length"}
    records = []
    for group in groups.values():
        done = [measured for _, measured in group if measured.get("status") == "done"]
        figures = {name: MeanStd.of([one.get(name) for one in done]) for name in _FIGURES}
        records.append(
            {name: value for name, value in group[0][0].items() if name in shown}
            | {"jobs": len(group), "done": len(done)}
            | {name: figure and figure.record("jobs") for name, figure in figures.items()}
        )
    return records
