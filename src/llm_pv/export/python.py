"""A program as a Python module of its own, without this package."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_pv.data.examples import Input
from llm_pv.errors import ProgramError
from llm_pv.export.checked_rows import CheckedRows, checked_rows, require_run
from llm_pv.programs.saved import write_program
from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox.modules import PACKAGES
from llm_pv.sandbox.parser import ask_one

if TYPE_CHECKING:
    from llm_pv.sandbox import Sandbox

_EXAMPLES = 3
_NAMES = ("predict_rows", "predict_row", "_class_values", "_program", "_Iterable", "_Row")

_FACE = '''

# --- written by llm-pv export ---
from collections.abc import Iterable as _Iterable

_Row = {row_type}
_program = f
_class_values: dict[str, {label}] = {classes}


def predict_row(row: _Row) -> {label} | None:
    """Return the class of one row; None where the program gives none.

    Examples
    --------
{examples}
    """
    try:
        label: object = _program({argument})
    except Exception:
        return None
    if isinstance(label, bool) or (isinstance(label, float) and label.is_integer()):
        label = int(label)
    return _class_values.get(str(label)) if isinstance(label, (str, int, float)) else None


def predict_rows(rows: _Iterable[_Row]) -> list[{label} | None]:
    """Return the class of each row."""
    return [predict_row(row) for row in rows]
'''


def export_python(
    saved: SavedProgram, inputs: Sequence[Input], sandbox: "Sandbox"
) -> tuple[str, CheckedRows]:
    """Return the text of a module that needs no package, and the rows it was checked on.

    Raise ProgramError if the program imports a package, uses a name of the module, or an answer
    differs.

    Parameters
    ----------
    inputs
        Rows of its data; the first are examples in the text.
    """
    require_run(saved)
    assert saved.classes is not None
    source = saved.program.source
    if needed := [name for name in ask_one("imports", source) if name in PACKAGES]:
        raise ProgramError(f"refused: the program imports {needed[0]}, no part of Python itself")
    if taken := [name for name in _NAMES if name in source]:
        raise ProgramError(f"refused: the program uses the name {taken[0]}, which the module needs")
    rows = checked_rows(saved, inputs, [], lambda _: True, sandbox)
    kinds = {type(value).__name__ for value in saved.classes.values}
    label = " | ".join(sorted(kinds))
    examples = []
    for row, expected in list(zip(rows.inputs, rows.expected, strict=True))[:_EXAMPLES]:
        # As a string literal twice: once for the example, once for the docstring around it.
        shown = repr(row).encode("unicode_escape").decode("ascii").replace('"""', '\\"\\"\\"')
        shown_label = repr(expected).encode("unicode_escape").decode("ascii")
        examples.append(f"    >>> predict_row({shown})")
        if expected is not None:
            examples.append(f"    {shown_label}")
    face = _FACE.format(
        row_type="dict[str, str | int | float | bool | None]" if saved.types else "str",
        label=label,
        classes=repr(dict(zip(saved.classes.texts, saved.classes.values, strict=True))),
        examples="\n".join(examples),
        argument="dict(row)" if saved.types else "row",
    )
    listed = json.dumps(list(saved.classes.texts))
    header = f"predict_rows(rows) gives the class of each row. Classes: {listed}"
    text = write_program(saved.program, header).rstrip("\n") + "\n" + face
    answers = sandbox.predict(
        text + "\n\ndef f(x): return '=' + repr(predict_row(x))\n", rows.inputs
    )
    wanted = ["=" + repr(value) for value in rows.expected]
    CheckedRows(rows.inputs, wanted, rows.given).compare(answers.predictions, "the module")
    return text, rows
