"""Rows to check an exported program on: those of a file, and edge rows; and the one comparison."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.data.examples import Input, Scalar
from llm_pv.errors import ConfigurationError, ProgramError
from llm_pv.runs.reading import read_run
from llm_pv.runs.saved_program import SavedProgram

if TYPE_CHECKING:
    from llm_pv.sandbox import Sandbox

_MIXED_ROWS = 1_000
_BASES = 5
_EXTREMES: Mapping[str, tuple[Scalar, ...]] = {
    "int": (0, 1, -1, 2, 2**31 - 1, -(2**31) + 1),
    "float": (0.0, -0.0, 1.0, -1.0, 0.5, 2.5, 1e100, -1e100, 1e-100),
    "bool": (True, False),
    "str": (
        "",
        " ",
        "0",
        "1",
        "-12",
        "007",
        " 12 ",
        "a b",
        "\t",
        "None",
        "2024-02-29",
        "2023-02-29",
        'it\'s \\ "x"',
        "é",
        "ab" * 300,
    ),
}


@dataclass(frozen=True)
class CheckedRows:
    """Rows with the value that the confined program gives for each."""

    inputs: Sequence[Input]
    expected: Sequence[object]
    "The class values; None where the program gives none."
    given: int
    "How many rows, the first, are no edge rows."

    def compare(self, answers: Sequence[object], what: str) -> None:
        """Raise unless every answer is the program's.

        Raise ProgramError with the first row that differs.
        """
        for row, expected, answer in zip(self.inputs, self.expected, answers, strict=True):
            if type(answer) is not type(expected) or answer != expected:
                kind = "edge row" if row in self.inputs[self.given :] else "row"
                raise ProgramError(
                    f"refused: for the {kind} {_short(row)} {what} gives {answer!r}, the program "
                    f"{expected!r}"
                )


def _short(row: Input) -> str:
    text = repr(row)
    return text if len(text) <= 400 else text[:200] + " ... " + text[-200:]


def require_run(saved: SavedProgram) -> None:
    """Raise if a program was loaded without its columns and classes.

    Raise ConfigurationError if so.
    """
    if saved.columns is None or saved.classes is None:
        raise ConfigurationError(
            f"{saved.path} has no record of the types of its columns and its classes: give "
            "the run directory"
        )


def checked_rows(
    saved: SavedProgram,
    inputs: Sequence[Input],
    constants: Sequence[Scalar],
    used: Callable[[str], bool],
    sandbox: "Sandbox",
) -> CheckedRows:
    """Return rows and edge rows with the confined program's answers.

    Raise ProgramError if the program did not reach every row.

    Parameters
    ----------
    constants
        The program's constants, around which edge rows lie.
    """
    rows = [*inputs, *edge_rows(saved, inputs[:_BASES], constants, used)]
    execution = sandbox.predict(saved.program.source, rows)
    if execution.unreached:
        raise ProgramError(
            f"the program did not answer all {len(rows):,} rows: {execution.reason}; give more "
            "--cpu-seconds"
        )
    expected = [saved.value(text) for text in execution.predictions]
    return CheckedRows(rows, expected, len(inputs))


def edge_rows(
    saved: SavedProgram,
    bases: Sequence[Input],
    constants: Sequence[Scalar],
    used: Callable[[str], bool],
) -> list[Input]:
    """Return rows at the edges: missing, empty, extreme, and around the program's constants.

    Examples
    --------
    >>> from llm_pv.programs.program import Program
    >>> program = Program.parse("def f(x): return x['a'] > 3")
    >>> saved = SavedProgram(program, Path("p.py"), columns=("a",), types={"a": "int"})
    >>> rows = edge_rows(saved, [], [3, "a"], lambda name: True)
    >>> {"a": None} in rows, {"a": 2} in rows, {"a": 3} in rows, {"a": 4} in rows
    (True, True, True, True)
    """
    if not saved.types:
        texts = [text for text in _values("str", constants) if isinstance(text, str)]
        seen = [base for base in bases if isinstance(base, str)]
        cut = [base[:end] for base in seen for end in range(min(len(base), 40))]
        return [*texts, *cut, *(a + b for a in seen for b in texts[:20])]
    values = {name: _values(kind, constants) for name, kind in saved.types.items()}
    changing = [name for name in values if used(name)]
    bases = [base for base in bases if isinstance(base, dict)]
    usual: Input = {name: _EXTREMES[kind][0] for name, kind in saved.types.items()}
    rows: list[Input] = []
    for base in [*bases, usual, dict.fromkeys(saved.types)]:
        assert isinstance(base, dict)
        rows += [base | {name: value} for name in changing for value in values[name]]
    draw = random.Random(0)  # noqa: S311 - the same rows each time
    for _ in range(_MIXED_ROWS if len(changing) > 1 else 0):
        base = draw.choice([*bases, usual])
        assert isinstance(base, dict)
        rows.append(base | {name: draw.choice(values[name]) for name in changing})
    return rows


def _values(kind: str, constants: Sequence[Scalar]) -> list[Scalar]:
    """Return what a column of a type can hold at its edges."""
    found: list[Scalar] = [None, *_EXTREMES[kind]]
    for constant in constants:
        if isinstance(constant, str) and kind == "str":
            cases = (constant.upper(), constant.lower(), constant.title(), constant.swapcase())
            found += [constant, *cases, f" {constant} ", f"x{constant}y", constant + constant]
            found += [constant[:-1], constant[1:], constant + "\n"]
        elif isinstance(constant, int | float) and not isinstance(constant, bool):
            found += _around(constant, kind)
    return list({(type(value), repr(value)): value for value in found}.values())


def _around(number: float, kind: str) -> list[Scalar]:
    if kind == "float":
        ends = (math.nextafter(number, -math.inf), math.nextafter(number, math.inf))
        return [*ends, float(number), float(number - 1), float(number + 1), float(-number)]
    if kind == "int" and abs(number) < 2**31 - 2:
        whole = math.floor(number)
        return [whole - 1, whole, whole + 1, -whole]
    if kind == "str" and 0 <= number <= 1_000:  # lengths
        return ["a" * max(int(number) + more, 0) for more in (-1, 0, 1)]
    return []


def recorded_rows(run: Path) -> str | None:
    """Return the data file named by the command that made a run, if it is still there.

    There is none if the rows are the answer to a query.
    """
    folder = run if run.is_dir() else run.parent.parent
    command: Any = read_run(folder).get("command", [])
    words = [str(word) for word in command] if isinstance(command, list) else []
    if "learn" not in words or any(word.partition("=")[0] == "--database" for word in words):
        return None
    after = words[words.index("learn") + 1 :]
    return next((word for word in after if word != "-" and Path(word).is_file()), None)
