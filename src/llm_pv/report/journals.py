"""Attempts and the selected program of a trial, read from its journals, with its transfer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_pv.report.text import percent
from llm_pv.runs.journal import Record


@dataclass(frozen=True)
class AttemptRecord:
    """One verified attempt; accuracies are None where there was no program.

    ``reason`` is the error, if any; ``note`` is the proposer's remark; ``proposer`` its name in a
    pool, else empty; ``origin`` the conversation with a model, and the place in it.
    """

    number: int
    program: str
    bits: float | None
    train_accuracy: float | None
    validation_accuracy: float | None
    outcome: str
    reason: str
    note: str
    cost_usd: float | None
    tokens: int = 0
    proposer: str = ""
    origin: str = ""

    @property
    def trouble(self) -> str:
        """The error, or how the program ended."""
        return self.reason or ("" if self.outcome == "finished" else self.outcome)


@dataclass(frozen=True)
class SelectionRecord:
    """The result of a trial: the selected program, if there is one, and its scores."""

    verdict: str
    baseline_label: str
    baseline_accuracy: float | None
    train_accuracy: float | None
    warnings: tuple[str, ...]
    attempt: int | None = None
    program: str = ""
    certificate: str = ""
    error_bound: float | None = None
    delta: float | None = None
    remarks: Mapping[int, str] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    "The record that `llm_pv.report.explained` reads; empty for old runs and rows of no table."


@dataclass(frozen=True)
class TransferRecord:
    """A selected program's accuracy on other data; None if it could not be measured."""

    sampler: str
    length: int | str
    accuracy: float | None
    rows: int


def read_attempt(record: Record, remarks: Mapping[int, str]) -> AttemptRecord:
    """Return an attempt; a reason from the selection takes precedence over its own error."""
    return AttemptRecord(
        number=int(record["attempt"]),
        program=str(record["program"]),
        bits=_share(record["bits"]),
        train_accuracy=_share(record["train_accuracy"]),
        validation_accuracy=_share(record["validation_accuracy"]),
        outcome=str(record["outcome"]),
        reason=str(remarks.get(int(record["attempt"])) or record["error"]),
        note=str(record.get("note", "")),
        cost_usd=_share(record.get("cost_usd")),
        tokens=(record.get("input_tokens") or 0) + (record.get("output_tokens") or 0),
        proposer=str(record.get("proposer", "")),
        origin=str(record.get("origin", "")),
    )


def read_selection(record: Record) -> SelectionRecord:
    """Return the result of selecting a program."""
    result = record["result"]
    certificate = result["certificate"] or {}
    baseline = result["baseline"]
    return SelectionRecord(
        attempt=record.get("attempt"),
        program=str(result["program"] or ""),
        verdict=str(result["verdict"]),
        certificate=str(result["certificate_text"] or ""),
        error_bound=_share(certificate.get("error_bound")),
        delta=_share(certificate.get("delta")),
        baseline_label=str(baseline["label"]),
        baseline_accuracy=_share(baseline["test_accuracy"]),
        train_accuracy=_share(record.get("train_accuracy")),
        warnings=tuple(map(str, result["warnings"])),
        remarks={int(row["attempt"]): str(row["remark"]) for row in result["candidates"]},
        explanation=dict(record.get("explanation") or {}),
    )


def read_fit(record: Record) -> SelectionRecord:
    """Return the result of a fitted baseline: no program, but the other measurements."""
    result = record["result"]
    settings = ", ".join(f"{name} {value}" for name, value in result["settings"].items())
    said = f"settings: {settings}" if settings else "it has no settings"
    if result["cross_validation_accuracy"] is not None:
        share = percent(_share(result["cross_validation_accuracy"]))
        said += f", chosen by cross-validation on the training rows ({share}% right)"
    if result["unbalanced"] and result["test"]:
        said += f"; balanced test accuracy {percent(_share(result['test']['balanced_accuracy']))}%"
    return SelectionRecord(
        verdict=f"{said}; this method makes no program and has no certificate",
        baseline_label=str(result["baseline"]["label"]),
        baseline_accuracy=_share(result["baseline"]["test_accuracy"]),
        train_accuracy=_share(result["train"]["accuracy"]),
        warnings=tuple(map(str, result["warnings"])),
    )


def read_transfer(record: Record) -> TransferRecord:
    """Return the result of a program on other data."""
    return TransferRecord(
        sampler=str(record["sampler_there"]),
        length=read_length(str(record["length_there"])),
        accuracy=_share(record["accuracy"]),
        rows=int(record["rows"]),
    )


def _share(value: Any) -> float | None:
    return None if value is None else float(value)


def read_length(text: str) -> int | str:
    """Return a length: a number, or empty for rows without one."""
    return int(text) if text.isdecimal() else text
