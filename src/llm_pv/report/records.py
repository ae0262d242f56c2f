"""Read the records of a run directory into typed, checked values."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from llm_pv.errors import LLMPVError, RunError
from llm_pv.report import journals
from llm_pv.report.journals import AttemptRecord, SelectionRecord, TransferRecord, read_length
from llm_pv.runs.cells import Cell
from llm_pv.runs.consistency import NUMBERS, SIZES
from llm_pv.runs.conversations import Place, RecordedConversation, read_conversations
from llm_pv.runs.job_folder import read_job
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import (
    UNFINISHED,
    read_attempts,
    read_replies,
    read_run,
    read_summary,
    read_transfer,
)

_JOURNALED = ("llm-pv", "agent", "baselines")
"""Tracks whose attempts and selections are read."""

_TOOL, _WORDING = re.compile(r"\btool=(\w+)"), re.compile(r"\bprompt=(\w+)")

_TEXTS = ("track", "method", "model", "name", "seed", "status", "reason")
_FIGURES: dict[str, Callable[[str], Any]] = dict.fromkeys(SIZES, int) | dict.fromkeys(
    NUMBERS, float
)
"""The columns of ``summary.csv`` that a trial takes as they are."""


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and loss on training and test rows after a step of training; a loss may be None."""

    step: int
    train_accuracy: float
    test_accuracy: float
    train_loss: float | None
    test_loss: float | None


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a cell: its row of the summary, its attempts, its program."""

    run: str
    "The name of the run it belongs to."
    track: str
    method: str
    model: str
    cell: Cell
    name: str
    seed: str
    status: str
    reason: str
    "As in ``summary.csv``; a trial without a row has the status ``unfinished``."
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
    majority_accuracy: float | None = None
    "As in ``summary.csv``; None for an empty cell."
    attempts: tuple[AttemptRecord, ...] = ()
    selection: SelectionRecord | None = None
    "Its result; None while it has none."
    transfer: tuple[TransferRecord, ...] = ()
    conversations: Mapping[Place, RecordedConversation] = field(default_factory=dict)
    "Those with models, by proposer and number."
    answer_tokens: int = 0
    "Tokens read and written, of in-context learning."
    evaluations: tuple[Evaluation, ...] = ()
    "Evaluations made during training."
    rows_digest: str = ""
    "The digest of the user's rows in this trial's split; empty if unknown."
    shared_rows: bool = False
    "Whether other trials of the run may share test rows."

    @property
    def asks_model(self) -> bool:
        """Whether a language model was asked, rather than searched without or trained."""
        return bool(self.model) and self.track in {"llm-pv", "icl", "agent"}

    @property
    def baseline_accuracy(self) -> float | None:
        """The majority baseline's accuracy on the test rows; rows of old runs do not have it."""
        if self.selection is not None and self.selection.baseline_accuracy is not None:
            return self.selection.baseline_accuracy
        return self.majority_accuracy


@dataclass(frozen=True)
class RunRecord:
    """One run directory."""

    path: Path
    label: str
    "Its name in a report, different for every run."
    header: Record
    trials: tuple[TrialRecord, ...]
    "Every trial, including running ones and those not started."

    @property
    def ways(self) -> dict[str, str]:
        """How a model was asked.

        The wording of the prompt is the number of a built-in one, or the beginning of a digest.
        """
        configuration = self.header["configuration"]
        proposer = str(configuration.get("proposer", ""))
        found = {"tool": _TOOL.search(proposer), "wording": _WORDING.search(proposer)}
        return {name: match[1][:8] for name, match in found.items() if match}

    @property
    def unfinished(self) -> int:
        """The number of trials without a row in the summary."""
        return sum(trial.status == UNFINISHED for trial in self.trials)


def load_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Read run directories, each once, under distinct names.

    Raise RunError if one is no run directory, of another format, damaged, or empty.
    """
    unique = list({path.resolve(): path for path in paths}.values())
    names = [path.resolve().name for path in unique]
    labels = [
        name if names.count(name) == 1 else f"{name} ({number})"
        for number, name in enumerate(names, start=1)
    ]
    return [load_run(path, label) for path, label in zip(unique, labels, strict=True)]


def load_run(path: Path, label: str | None = None) -> RunRecord:
    """Read one run directory, also while it is in use, without changing it.

    Raise RunError if it is no run directory, of another format, or damaged.
    """
    header = _checked(read_run(path), path)
    label = label or path.resolve().name
    asks = header["configuration"].get("command") == "icl"
    attempts = _grouped(path, read_replies(path) if asks else read_attempts(path))
    transfer = _grouped(path, read_transfer(path))
    said = read_conversations(path)
    rows = [_trial(label, row) for row in read_summary(path)]
    trials = [*rows, *_unfinished(label, header, attempts, rows)]
    complete = tuple(
        _with_journals(
            replace(
                trial,
                rows_digest=_rows_digest(header, trial.cell.trial),
                shared_rows=trial.cell.length == "" or _is_on_same_data(header),
                conversations=said.get(key, {}),
            ),
            attempts.get(key, []),
            transfer.get(key, []),
            path,
        )
        for trial in trials
        for key in (_key(trial.cell.record()),)
    )
    return RunRecord(path, label, header, complete)


def _trial(run: str, row: Mapping[str, str]) -> TrialRecord:
    texts: dict[str, Any] = {name: row[name] for name in _TEXTS}
    figures: dict[str, Any] = {
        name: kind(row[name]) if row[name] else None for name, kind in _FIGURES.items()
    }
    cell = Cell(row["function"], read_length(row["length"]), row["sampler"], int(row["trial"]))
    return TrialRecord(run=run, cell=cell, **texts, **figures)


def _unfinished(
    run: str,
    header: Record,
    attempts: Mapping[tuple[str, ...], Sequence[Record]],
    rows: Sequence[TrialRecord],
) -> list[TrialRecord]:
    """Return the trials that were started or planned and have no row."""
    configuration = header["configuration"]
    ways = {(row.track, row.method, row.model) for row in rows}
    # In a run of one method, the rows give the method of the trials without one.
    way = ways.pop() if len(ways) == 1 else _method(header)
    track = _method(header)[0]
    request = configuration.get("request")
    sizes = request if isinstance(request, dict) else {}
    names = {row.cell.function: row.name for row in rows}
    planned = dict(_planned(header))
    names |= {cell.function: name for cell, name in planned.items()}
    seen = {(_key(row.cell.record()), row.method, row.model) for row in rows}
    seen_cells = {key for key, _, _ in seen}
    cells: dict[tuple[object, ...], tuple[Cell, tuple[str, str, str]]] = {}
    for key, records in attempts.items():
        for record in records:
            cell = Cell(
                str(record["function"]),
                record["length"],
                str(record["sampler"]),
                int(record["trial"]),
            )
            if record.get("method"):  # several methods in one cell, each with its own end
                own = (str(record["method"]), str(record.get("model", "")))
                if (key, *own) not in seen:
                    cells.setdefault((key, *own), (cell, (track, *own)))
            elif key not in seen_cells:
                cells.setdefault((key,), (cell, way))
    for cell in planned:
        key = _key(cell.record())
        # The baselines come from the configuration, because the cells do not name them.
        if track != "baselines" and key not in seen_cells and key not in attempts:
            cells[key,] = (cell, way)
    return [
        TrialRecord(
            run=run,
            track=whose[0],
            method=whose[1],
            model=whose[2],
            cell=cell,
            name=names.get(cell.function, cell.function),
            seed=str(sizes.get("seed", configuration.get("seed", ""))),
            status=UNFINISHED,
            reason="it has not ended yet",
            train_size=sizes.get("train_size"),
            validation_size=sizes.get("validation_size"),
            test_size=sizes.get("test_size"),
        )
        for cell, whose in cells.values()
    ]


def _method(header: Record) -> tuple[str, str, str]:
    """Return the track, the method and the model of a run's header.

    Headers of earlier versions, and those of several methods, have only the text of the proposer,
    if there is one.
    """
    if known := header.get("method"):
        track, method, model = (str(known.get(name, "")) for name in ("track", "method", "model"))
        return track, method, model
    configuration = header["configuration"]
    track = str(configuration.get("command", ""))
    method = str(configuration.get("proposer", "")).split(" ", maxsplit=1)[0].split(":")[0]
    if track in ("learn", "synthesize"):
        track = "agent" if method == "agent" else "llm-pv"
    return track, method, ""


def _planned(header: Record) -> list[tuple[Cell, str]]:
    """Return the requested cells of a grid; empty if the request is of another version."""
    request = header["configuration"].get("request")
    if not isinstance(request, dict):
        return []
    from llm_pv.tracks.grid import GridRequest  # imports every task, which few pages need

    try:
        asked = GridRequest(**request)
        lengths = None if asked.lengths is None else tuple(asked.lengths)
        asked = replace(asked, functions=tuple(asked.functions), lengths=lengths, table=None)
        return [(trial.cell, trial.task.name) for trial in asked.plan()]
    except (TypeError, AttributeError, LLMPVError):
        return []


def _checked(header: Record, path: Path) -> Record:
    """Return the header if the values that a page shows have the right types."""
    kinds = {"versions": dict, "command": list, "configuration": dict, "confinement": list,
             "method": dict}  # fmt: skip
    for name, kind in kinds.items():
        if not isinstance(header.get(name, kind()), kind):
            raise RunError(
                f"{path / 'run.json'}: {name} is damaged or of another version; restore the file"
            )
    return header


def _rows_digest(header: Record, trial: int) -> str:
    known = header["configuration"].get("rows_digest", "")
    if isinstance(known, list) and header["configuration"].get("command") == "baselines":
        known = known[trial] if trial < len(known) else ""  # one for each split of the rows
    return known if isinstance(known, str) else "-".join(map(str, known))


def _is_on_same_data(header: Record) -> bool:
    request = header["configuration"].get("request")
    return isinstance(request, dict) and bool(request.get("same_data"))


def _with_journals(
    trial: TrialRecord, attempts: Sequence[Record], transfer: Sequence[Record], path: Path
) -> TrialRecord:
    """Return the trial with its records in the journals."""
    mine = [record for record in attempts if _is_of(record, trial)]
    place = f"{path}: the journals of {trial.cell.function!r}, trial {trial.cell.trial + 1}"

    try:
        there = tuple(
            journals.read_transfer(record) for record in transfer if _is_of(record, trial)
        )
        if trial.track == "finetune":
            return replace(trial, transfer=there, evaluations=_evaluations(path))
        if trial.track not in _JOURNALED:  # the other tracks have records of another kind
            tokens = sum(r["input_tokens"] + r["output_tokens"] for r in mine)
            return replace(trial, transfer=there, answer_tokens=tokens)
        chosen = [record for record in mine if record["kind"] == "selected"]
        if trial.track == "baselines":
            fit = journals.read_fit(chosen[-1]) if chosen else None
            return replace(trial, selection=fit, transfer=there)
        selection = journals.read_selection(chosen[-1]) if chosen else None
        remarks = selection.remarks if selection else {}
        return replace(
            trial,
            attempts=tuple(
                journals.read_attempt(r, remarks) for r in mine if r["kind"] == "attempt"
            ),
            selection=selection,
            transfer=there,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{place} are damaged or of another version ({error!r}); restore the files or rerun"
        ) from error


def _evaluations(path: Path) -> tuple[Evaluation, ...]:
    names = [field.name for field in fields(Evaluation)]
    found = read_job(path)[1].get("evaluations", [])
    return tuple(Evaluation(**{name: record[name] for name in names}) for record in found)


def _is_of(record: Record, trial: TrialRecord) -> bool:
    """Return whether a record of a trial's cell is of its method; True without a method."""
    ways = (trial.method, trial.model)
    return "method" not in record or (record["method"], record.get("model", "")) == ways


def _grouped(path: Path, records: Sequence[Record]) -> dict[tuple[str, ...], list[Record]]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        try:
            groups.setdefault(_key(record), []).append(record)
        except KeyError as error:
            raise RunError(
                f"{path}: a line of a journal names no {error}; restore the files or rerun"
            ) from error
    return groups


def _key(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(record[name]) for name in ("function", "length", "sampler", "trial"))
