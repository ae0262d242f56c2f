"""Load a saved program, with its run's record of inputs and classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_pv.data.examples import Classes
from llm_pv.data.file_bytes import file_text
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.errors import ProgramError, RunError
from llm_pv.programs.program import Program
from llm_pv.programs.saved import read_saved
from llm_pv.runs.reading import read_attempts, read_run, read_summary

_MOST_CHARACTERS = 2_000_000
"""Of the file of a program, whose source has at most 50,000."""


@dataclass(frozen=True)
class SavedProgram:
    """A program from disk."""

    program: Program
    path: Path
    columns: tuple[str, ...] | None = None
    types: Mapping[str, str] | None = None
    """The input columns it was learned from and their types (no types for plain strings); None if
    the file is not part of a run."""
    target: str | None = None
    "The column that held the label, None if unknown."
    classes: Classes | None = None
    "The classes it was learned for; None if the file is not part of a run."
    reading: Reading = DEFAULT_READING
    edges: tuple[float, ...] = ()
    "The boundaries between the classes of a numeric target; empty for other targets."
    ranges: Mapping[str, Any] = field(default_factory=dict)
    "The range of each column in training; empty if unknown."
    odd: Mapping[str, Sequence[str]] = field(default_factory=dict)
    "The odd cells that columns of numbers read as missing."

    def value(self, text: str | None) -> object:
        """Return the user's value for a predicted text; None if it is None or not a class."""
        if self.classes is None or text is None:
            return text
        return self.classes.value(text) if text in self.classes.texts else None


def load_program(path: Path) -> SavedProgram:
    """Load a program from a run directory or from its own file.

    Raise RunError if there is no such file, or the run has selected no program or several. Raise
    ProgramError if the file holds no program.

    Parameters
    ----------
    path
        A run directory that selected one program, or a Python file with a program. A file in the
        ``programs`` folder of a run is loaded with what that run recorded.
    """
    if _is(path.is_dir):
        configuration = read_run(path)["configuration"]
        found = _programs(path / "programs")
        if not found:
            state = "no program was found" if read_summary(path) else "it is not finished"
            raise RunError(f"{path} holds no program: {state}")
        if len(found) > 1:
            names = ", ".join(file.name for file in found[:5])
            raise RunError(f"{path} holds {len(found)} programs; name one of programs/: {names}")
        return _load(found[0], configuration, path)
    run = path.parent.parent
    recorded = path.parent.name == "programs" and _is((run / "run.json").is_file)
    return _load(path, read_run(run)["configuration"] if recorded else {}, run)


def _is(asked: Callable[[], bool]) -> bool:
    """Return an answer about a path; False if a folder above it may not be read."""
    try:
        return asked()
    except PermissionError:
        return False


def _programs(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".py")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror or error}") from error


def _load(path: Path, configuration: Mapping[str, Any], run: Path) -> SavedProgram:
    try:
        text = file_text(path, 4 * _MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"cannot read {path}: {reason}; give a run directory or a program's file"
        ) from error
    if len(text) > _MOST_CHARACTERS:
        raise ProgramError(
            f"{path} holds no program: it has more than {_MOST_CHARACTERS:,} characters; give a "
            "run directory or a program's file"
        )
    try:
        program = read_saved(text)
    except ProgramError as error:
        raise ProgramError(f"{path} holds no program: {error}") from error
    if "columns" not in configuration:
        return SavedProgram(program, path)
    return SavedProgram(
        program,
        path,
        columns=tuple(configuration["columns"]),
        types=configuration["types"],
        target=configuration["target"],
        classes=Classes(tuple(configuration["classes"]), tuple(configuration["class_values"])),
        reading=Reading.of_record(configuration.get("reading", {})),
        edges=tuple(configuration.get("edges", ())),
        ranges=_ranges(run),
        odd=configuration.get("odd_cells", {}),
    )


def _ranges(run: Path) -> Mapping[str, Any]:
    """Return the ranges recorded by the run of a program."""
    selected = [record for record in read_attempts(run) if record.get("kind") == "selected"]
    found = selected[0].get("ranges") if len(selected) == 1 else None
    return found if isinstance(found, dict) else {}
