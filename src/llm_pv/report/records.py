"""What a run directory says, read into typed values and checked on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from llm_pv.errors import LLMPVError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import SUMMARY_COLUMNS, read_attempts, read_run, read_summary
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import read_transfer

UNFINISHED = "unfinished"
"""The status of a trial that has no row in the summary yet."""

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class AttemptRecord:
    """One verified attempt; accuracies are None where there was no program.

    ``reason`` says what went wrong, if anything did; ``note`` is the proposer's own remark.
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


@dataclass(frozen=True)
class SelectionRecord:
    """What a trial ended with: the selected program, if there is one, and what is known of it."""

    attempt: int | None
    program: str
    verdict: str
    certificate: str
    error_bound: float | None
    delta: float | None
    baseline_label: str
    baseline_accuracy: float | None
    train_accuracy: float | None
    warnings: tuple[str, ...]
    remarks: Mapping[int, str]


@dataclass(frozen=True)
class TransferRecord:
    """A selected program's accuracy on other data; None where it could not be measured."""

    sampler: str
    length: int | str
    accuracy: float | None
    rows: int


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a cell: its row of the summary, its attempts, its program.

    Parameters
    ----------
    run
        The name of the run it belongs to.
    track, method, model, name, seed, status, reason
        As in ``summary.csv``; a trial without a row has the status ``unfinished``.
    cell
        The cell and trial.
    train_size, validation_size, test_size, accuracy, low, high, validation_accuracy, \
learn_seconds, test_seconds, cost_usd
        As in ``summary.csv``; None where the row has nothing.
    attempts
        Verified attempts, in order.
    selection
        How it ended; None while it has not.
    transfer
        The selected program on other data.
    """

    run: str
    track: str
    method: str
    model: str
    cell: Cell
    name: str
    seed: str
    status: str
    reason: str
    train_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    validation_accuracy: float | None = None
    learn_seconds: float | None = None
    test_seconds: float | None = None
    cost_usd: float | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    selection: SelectionRecord | None = None
    transfer: tuple[TransferRecord, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """One run directory.

    Parameters
    ----------
    path
        The directory.
    label
        What it is called in a report, different for every run of one.
    header
        What ``run.json`` holds.
    trials
        Every trial, those under way and those not begun among them.
    """

    path: Path
    label: str
    header: Record
    trials: tuple[TrialRecord, ...]

    @property
    def unfinished(self) -> int:
        """How many trials have no row in the summary."""
        return sum(trial.status == UNFINISHED for trial in self.trials)


def load_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Read run directories, each once, under names that tell them apart.

    Raises
    ------
    RunError
        If one is no run directory, of another format, damaged, or holds nothing yet.
    """
    unique = list({path.resolve(): path for path in paths}.values())
    names = [path.resolve().name for path in unique]
    labels = [
        name if names.count(name) == 1 else f"{name} ({number})"
        for number, name in enumerate(names, start=1)
    ]
    return [load_run(path, label) for path, label in zip(unique, labels, strict=True)]


def load_run(path: Path, label: str | None = None) -> RunRecord:
    """Read one run directory, in use or not; nothing in it is changed.

    Raises
    ------
    RunError
        If it is no run directory, of another format, or damaged.
    """
    header = read_run(path)
    label = label or path.resolve().name
    attempts = _grouped(path, read_attempts(path))
    transfer = _grouped(path, read_transfer(path))
    rows = [
        _trial(label, row, f"{path}: summary.csv, line {number}")
        for number, row in enumerate(read_summary(path), start=2)
    ]
    trials = [*rows, *_unfinished(label, header, attempts, rows)]
    complete = tuple(
        _with_journals(trial, attempts.get(key, []), transfer.get(key, []), path)
        for trial in trials
        for key in (_key(trial.cell.record()),)
    )
    return RunRecord(path, label, header, complete)


def _trial(run: str, row: Mapping[str, str | None], place: str) -> TrialRecord:
    missing = [column for column in SUMMARY_COLUMNS if row.get(column) is None]
    if missing:
        raise RunError(
            f"{place}: no value for {', '.join(missing[:3])}; restore the file or run anew"
        )
    values = {column: row[column] or "" for column in SUMMARY_COLUMNS}

    def share(name: str) -> float | None:
        figure = _number(values, name, float, place)
        if figure is not None and not 0 <= figure <= 1:
            raise RunError(f"{place}: {name} {figure} is no share between 0 and 1")
        return figure

    number = _number(values, "trial", int, place) or 0
    return TrialRecord(
        run=run,
        track=values["track"],
        method=values["method"],
        model=values["model"],
        cell=Cell(values["function"], _length(values["length"]), values["sampler"], number),
        name=values["name"],
        seed=values["seed"],
        status=values["status"],
        reason=values["reason"],
        train_size=_number(values, "train_size", int, place),
        validation_size=_number(values, "validation_size", int, place),
        test_size=_number(values, "test_size", int, place),
        accuracy=share("accuracy"),
        low=share("low"),
        high=share("high"),
        validation_accuracy=share("validation_accuracy"),
        learn_seconds=_number(values, "learn_seconds", float, place),
        test_seconds=_number(values, "test_seconds", float, place),
        cost_usd=_number(values, "cost_usd", float, place),
    )


def _number(
    values: Mapping[str, str], name: str, kind: Callable[[str], _Number], place: str
) -> _Number | None:
    text = values[name]
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise RunError(f"{place}: {name} {text[:40]!r} is no number; restore the file") from None


def _length(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _unfinished(
    run: str,
    header: Record,
    attempts: Mapping[tuple[str, ...], Sequence[Record]],
    rows: Sequence[TrialRecord],
) -> list[TrialRecord]:
    """Return the trials that were begun or planned and have no row."""
    configuration = header["configuration"]
    command = str(configuration.get("command", ""))
    proposer = str(configuration.get("proposer", "")).split(" ", maxsplit=1)[0].split(":")[0]
    ways = {(row.track, row.method, row.model) for row in rows}
    track = "llm-pv" if command in ("learn", "synthesize") else command
    # A run of one method says in its rows what its other trials are called.
    way = ways.pop() if len(ways) == 1 else (track, proposer, "")
    request = configuration.get("request")
    sizes = request if isinstance(request, dict) else {}
    names = {row.cell.function: row.name for row in rows}
    begun = [
        Cell(str(first["function"]), first["length"], str(first["sampler"]), int(first["trial"]))
        for records in attempts.values()
        for first in records[:1]
    ]
    planned = dict(_planned(header))
    seen = {_key(row.cell.record()) for row in rows}
    cells = {_key(cell.record()): cell for cell in [*planned, *begun]}
    return [
        TrialRecord(
            run=run,
            track=way[0],
            method=way[1],
            model=way[2],
            cell=cell,
            name=planned.get(cell) or names.get(cell.function, cell.function),
            seed=str(sizes.get("seed", configuration.get("seed", ""))),
            status=UNFINISHED,
            reason="it has not ended yet",
            train_size=sizes.get("train_size"),
            validation_size=sizes.get("validation_size"),
            test_size=sizes.get("test_size"),
        )
        for key, cell in cells.items()
        if key not in seen
    ]


def _planned(header: Record) -> list[tuple[Cell, str]]:
    """Return the cells a grid was asked for; none where the request is another version's."""
    request = header["configuration"].get("request")
    if not isinstance(request, dict):
        return []
    from llm_pv.grid.request import GridRequest  # brings every task, which few pages need

    try:
        asked = GridRequest(**request)
        lengths = None if asked.lengths is None else tuple(asked.lengths)
        asked = replace(asked, functions=tuple(asked.functions), lengths=lengths, table=None)
        return [(trial.cell, trial.task.name) for trial in asked.plan()]
    except (TypeError, AttributeError, LLMPVError):
        return []


def _with_journals(
    trial: TrialRecord, attempts: Sequence[Record], transfer: Sequence[Record], path: Path
) -> TrialRecord:
    """Return the trial with what the journals hold of it."""
    mine = [record for record in attempts if _is_of(record, trial)]
    place = f"{path}: the journals of {trial.cell.function!r}, trial {trial.cell.trial + 1}"

    try:
        there = tuple(_transfer(record) for record in transfer if _is_of(record, trial))
        if trial.track != "llm-pv":  # other tracks keep records of their own kind
            return replace(trial, transfer=there)
        chosen = [record for record in mine if record["kind"] == "selected"]
        selection = _selection(chosen[-1]) if chosen else None
        remarks = selection.remarks if selection else {}
        return replace(
            trial,
            attempts=tuple(_attempt(r, remarks) for r in mine if r["kind"] == "attempt"),
            selection=selection,
            transfer=there,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{place} are damaged or of another version ({error!r}); restore the files or run anew"
        ) from error


def _is_of(record: Record, trial: TrialRecord) -> bool:
    """Tell whether a record of a trial's cell is of the trial's method; without one it is."""
    ways = (trial.method, trial.model)
    return "method" not in record or (record["method"], record.get("model", "")) == ways


def _attempt(record: Record, remarks: Mapping[int, str]) -> AttemptRecord:
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
    )


def _selection(record: Record) -> SelectionRecord:
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
    )


def _transfer(record: Record) -> TransferRecord:
    return TransferRecord(
        sampler=str(record["sampler_there"]),
        length=_length(str(record["length_there"])),
        accuracy=_share(record["accuracy"]),
        rows=int(record["rows"]),
    )


def _share(value: Any) -> float | None:
    return None if value is None else float(value)


def _grouped(path: Path, records: Sequence[Record]) -> dict[tuple[str, ...], list[Record]]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        try:
            groups.setdefault(_key(record), []).append(record)
        except KeyError as error:
            raise RunError(
                f"{path}: a line of a journal names no {error}; restore the files or run anew"
            ) from error
    return groups


def _key(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(record[name]) for name in ("function", "length", "sampler", "trial"))
