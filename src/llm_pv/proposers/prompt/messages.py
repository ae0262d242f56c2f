"""What is said besides the problem statement: to a model on its reply, to the user on the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_pv.data.examples import Examples, Input
from llm_pv.proposers.prompt.notation import Notation, as_json
from llm_pv.proposers.prompt.statement import CONTRACT

_MOST_MISTAKES = 10
_MOST_COLUMNS = 20
_REASON_CHARACTERS = 300


@dataclass(frozen=True)
class Mistake:
    """A training row that a program got wrong.

    Parameters
    ----------
    input, expected
        The row.
    got
        The program's answer; None where it gave none.
    error
        What it raised instead.
    """

    input: Input
    expected: str
    got: str | None = None
    error: str = ""


def refinement_message(
    mistakes: Sequence[Mistake],
    train: Examples,
    *,
    alphabet: str = "",
    most: int = _MOST_MISTAKES,
) -> str:
    """Tell a model on which training rows its program is wrong, and ask again.

    Parameters
    ----------
    mistakes
        The training rows it got wrong, none of any other split.
    train
        The training rows it was tried on, whose notation is kept.
    alphabet
        As in the problem statement.
    most
        So many mistakes are shown, the first ones.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> print(refinement_message([Mistake("0111", "1", "0")], rows).splitlines()[2])
    0111 -> 1, your program: 0
    """
    notation = Notation.of(train, alphabet)
    lines = [_mistake_line(mistake, notation) for mistake in mistakes[:most]]
    which = "These are they" if len(mistakes) <= most else f"These are {most} of them"
    return (
        f"Your program is wrong on {len(mistakes):,} of the {len(train):,} training examples. "
        f"{which}, with the right label and what your program gave:\n\n"
        + "\n".join(lines)
        + "\n\nFind a rule that explains these too, without treating single examples apart: it is "
        f"judged on other inputs.\n\n{CONTRACT}\n"
    )


def no_program_message(reason: str) -> str:
    """Tell a model that its reply held no program, why, and ask again.

    Parameters
    ----------
    reason
        What the reader of replies says of it.
    """
    told = _one_line(reason.removeprefix("the reply holds no program: "))
    return f"Your reply held no program that can be run: {told}.\n\n{CONTRACT}\n"


def disclosure(
    train: Examples, columns: Sequence[str], model_name: str, *, tool_rows: int = 0
) -> str:
    """Say in one line which rows and columns leave this machine, before they do.

    Parameters
    ----------
    train
        The training rows that stand in the prompt.
    columns
        The names of the input columns; none where an input is a plain string.
    model_name
        Where they go.
    tool_rows
        How many training rows a Python tool holds for the model; 0 without one.

    Examples
    --------
    >>> disclosure(Examples([{"age": 3, "zip": "007"}], ["1"]), ["age", "zip"], "openai:gpt-5")
    'openai:gpt-5 is sent 1 training row: columns "age", "zip" and the label; no other row'
    """
    if any(isinstance(item, dict) for item in train.inputs):
        named = ", ".join(as_json(name) for name in columns[:_MOST_COLUMNS])
        rest = len(columns) - _MOST_COLUMNS
        what = f"columns {named}{f' and {rest:,} more' if rest > 0 else ''} and the label"
    elif columns:
        what = f"column {as_json(columns[0])} and the label"
    else:
        what = "the whole input and the label"
    noun = "row" if len(train) == 1 else "rows"
    tool = ""
    if tool_rows:
        tool = f", and whatever its code prints of the {tool_rows:,} training rows its tool holds"
    return f"{model_name} is sent {len(train):,} training {noun}: {what}{tool}; no other row"


def _mistake_line(mistake: Mistake, notation: Notation) -> str:
    line = notation.line(mistake.input, mistake.expected)
    if mistake.got is not None:
        return f"{line}, your program: {notation.label(mistake.got)}"
    return f"{line}, your program failed: {_one_line(mistake.error) or 'it gave no label'}"


def _one_line(text: str) -> str:
    """Return a text nobody vouches for as one short line."""
    line = " ".join(text.split())
    line = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line)
    return line if len(line) <= _REASON_CHARACTERS else line[:_REASON_CHARACTERS] + "..."
