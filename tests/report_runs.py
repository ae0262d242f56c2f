"""Run directories for the tests of reports, written through the same room a real run is."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from llm_pv import Search, learn
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.certificate import Certificate
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.files import predictions_csv
from llm_pv.sandbox import Sandbox
from rows import Scripted

PARITY = "def f(x):\n    return x.count('1') % 2\n"
HOSTILE = "</script><img src=x onerror=alert(1)>\u202etxt\x07 {{7*7}} =1+1"


def grid_configuration(
    functions: Sequence[str], lengths: Sequence[int], trials: int, **more: Any
) -> dict[str, Any]:
    """Return the configuration a grid of these cells records."""
    request = {
        "functions": list(functions),
        "lengths": list(lengths),
        "trials": trials,
        "same_data": False,
        "sampler": "paper",
        "train_size": 100,
        "validation_size": 100,
        "test_size": 200,
        "seed": 42,
        "strict_sizes": False,
        "table": None,
        "raw_tables": False,
    } | more
    return {"command": "synthesize", "proposer": "length-first within 30 s", "request": request}


def write_trial(
    run: RunDirectory,
    cell: Cell,
    accuracy: float | None,
    *,
    program: str = PARITY,
    method: str = "length-first",
    track: str = "llm-pv",
    rows: int = 200,
    attempts: Sequence[Mapping[str, Any]] = (),
    transfer: Mapping[tuple[str, int], float] | None = None,
    row: Mapping[str, Any] | None = None,
    labels: Sequence[str] = ("0", "1"),
    warnings: Sequence[str] = (),
) -> None:
    """Write one finished trial: its attempts, its selected program and its row."""
    records = [attempt_record(number, **fields) for number, fields in enumerate(attempts, start=1)]
    if track == "llm-pv":
        log = run.cell_log(cell)
        for number, record in enumerate(records, start=1):
            log.append_reply({"attempt": number})
            log.append_attempt(record)
        log.append_attempt(selected_record(program, accuracy, records, labels, warnings))
        run.write_program(cell, program)
    for (sampler, length), there in (transfer or {}).items():
        run.add_transfer(
            cell,
            {
                "sampler_there": sampler,
                "length_there": length,
                "rows": 1000,
                "errors": round(1000 * (1 - there)),
                "accuracy": there,
                "status": "done",
                "reason": "",
            },
        )
    if accuracy is not None:
        write_predictions(run, cell, right=round(accuracy * rows), rows=rows, labels=labels)
    run.finish(
        cell,
        {
            "track": track,
            "method": method,
            "name": cell.function,
            "seed": 42,
            "train_size": 100,
            "validation_size": 100,
            "test_size": rows,
            "accuracy": accuracy,
            "validation_accuracy": accuracy,
            "learn_seconds": 1.5,
            "test_seconds": 0.1,
            "cost_usd": 0.0,
            "status": "done",
        }
        | dict(row or {}),
    )


def write_predictions(
    run: RunDirectory,
    cell: Cell,
    *,
    right: int,
    rows: int,
    labels: Sequence[str] = ("0", "1"),
    wrong_first: bool = True,
) -> None:
    """Write predictions of which so many are right, the wrong ones first or last."""
    mistakes = set(range(rows - right) if wrong_first else range(right, rows))
    given = [labels[number % 2] for number in range(rows)]
    guesses = [labels[(number + (number in mistakes)) % 2] for number in range(rows)]
    run.write_predictions(cell, predictions_csv(given, guesses))


def attempt_record(number: int, **fields: Any) -> dict[str, Any]:
    """Return an attempt as the loop records it."""
    return {
        "kind": "attempt",
        "attempt": number,
        "program": PARITY,
        "digest": "d" * 64,
        "bits": 119.0,
        "position": number,
        "train_accuracy": 1.0,
        "validation_accuracy": 1.0,
        "test_accuracy": None,
        "outcome": "finished",
        "error": "",
        "note": "",
        "cost_usd": None,
    } | fields


def selected_record(
    program: str,
    accuracy: float | None,
    attempts: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the record of a selection as the loop writes it."""
    certificate = Certificate(errors=0, rows=100, planned=5, verified=1, position=1)
    return attempt_record(max(1, len(attempts)), program=program) | {
        "kind": "selected",
        "test_accuracy": accuracy,
        "result": {
            "program": program,
            "verdict": "a rule was found: right on 100.0% of the validation rows",
            "certificate": certificate.record(),
            "certificate_text": certificate.text(),
            "baseline": {"label": labels[0], "test_accuracy": 0.5},
            "warnings": list(warnings),
            "candidates": [
                {"attempt": record["attempt"], "remark": record["error"]} for record in attempts
            ],
        },
    }


def many_methods(folder: Path) -> list[Path]:
    """Write runs of four methods over three tasks: a shortcut, failures, several sizes."""
    with patch("os.fsync"):  # what a power cut would lose is no matter here
        return _many_methods(folder)


def _many_methods(folder: Path) -> list[Path]:
    chance = random.Random(7)
    pv, svm, icl, model = (folder / name for name in ("pv", "svm", "icl", "model"))
    tasks = {"fn_a": "parity_all", "fn_g": "palindrome", "fn_l": "sha256_parity"}
    failing: list[dict[str, Any]] = [
        {"program": "", "train_accuracy": None, "validation_accuracy": None, "bits": None,
         "outcome": "", "error": "the reply holds no program: no code block"},
        {"validation_accuracy": 0.61, "train_accuracy": 0.66, "outcome": "timed out",
         "error": "row 3: ran out of time after 2.0 s"},
        {},
    ]  # fmt: skip
    with RunDirectory(pv, grid_configuration(tuple(tasks), (100, 20), 2)) as run:
        for function, name in tasks.items():
            for length in (100, 20):
                for trial in (0, 1):
                    solved = function != "fn_l"
                    there = {("paper", 2 * length): 1.0, ("hard", length): 1.0}
                    if function == "fn_g":
                        there = {("paper", 2 * length): 0.94, ("hard", length): 0.5}
                    write_trial(
                        run,
                        Cell(function, length, "paper", trial),
                        1.0 if solved else 0.5 + 0.03 * trial,
                        attempts=failing,
                        transfer=there,
                        row={"name": name},
                    )
    for path, track, method, names in (
        (svm, "baselines", "svm", ""),
        (icl, "icl", "icl", "Qwen3-30B-A3B-Instruct"),
        (model, "finetune", "finetune", "qwen1.7B"),
    ):
        with RunDirectory(path, {"command": track, "seed": 42}) as run:
            for function, name in tasks.items():
                for trial in (0, 1):
                    for size in (200, 400) if track == "finetune" else (200,):
                        cell = Cell(function, 100, "paper", trial + (2 if size == 400 else 0))
                        write_trial(
                            run,
                            cell,
                            round(chance.uniform(0.45, 0.62), 3),
                            track=track,
                            method=method,
                            row={"name": name, "model": names, "train_size": size,
                                 "validation_size": 0, "cost_usd": 0.02 * (track == "icl")},
                        )  # fmt: skip
    return [pv, svm, icl, model]


AGES = """
def f(x):
    if x["age"] >= 40:
        return "old"
    return "young"
"""


def learn_ages(path: Path, sandbox: Sandbox, program: str = AGES) -> Path:
    """Learn a program for a table of ages, and return the run directory."""

    def rows(**labels: str) -> Examples:
        ages = [int(name.removeprefix("age")) for name in labels]
        return Examples([{"age": age, "zone": HOSTILE} for age in ages], list(labels.values()))

    splits = Splits(
        rows(age10="young", age20="young", age50="old", age60="old"),
        rows(age15="young", age30="old", age45="old", age50="young", age55="old"),
        rows(age20="young", age70="young", age80="old"),
        Classes(("old", "young"), ("old", "young")),
        columns=("age", "zone"),
        types={"age": "int", "zone": "str"},
    )
    learn(splits, search=Search(Scripted([program])), sandbox=sandbox, out=path, name="ages.csv")
    return path
