"""Messages besides the problem statement: to a model on its reply, to the user on the rows."""

from collections import Counter
from collections.abc import Sequence

from llm_pv.data.examples import Examples
from llm_pv.proposers.base import Mistake
from llm_pv.proposers.llm.prompt.notation import Notation, as_json
from llm_pv.proposers.llm.prompt.statement import contract
from llm_pv.proposers.llm_settings import AnswerFormat

MOST_MISTAKES = 10
_MOST_COLUMNS = 100
_REASON_CHARACTERS = 300
_MOST_LABELS = 50
_MOST_ALIKE = 2
_REPEATED = "You gave this program before. "
_ALIKE = "An earlier program of this run answers every training example as yours does. "


def refinement_message(
    mistakes: Sequence[Mistake],
    *,
    train: Examples | None = None,
    alphabet: str = "",
    most: int = MOST_MISTAKES,
    answer_format: AnswerFormat = "json",
    labels: Sequence[str] = (),
    noise: float = 0.0,
    programs: int = 1,
    repeated: bool = False,
    alike: bool = False,
) -> str:
    """Tell a model on which training rows its program is wrong, and ask again.

    Parameters
    ----------
    mistakes
        The training rows it got wrong, none of any other split.
    train
        The training rows it was tried on, whose notation is kept; None if unknown.
    labels
        The labels there are, said where the program answered with something else.
    repeated
        Whether it gave this program before.
    alike
        Whether an earlier program of the run answers every training row as this one does.

    Examples
    --------
    >>> print(refinement_message([Mistake("0111", "1", "0")]).splitlines()[2])
    0111 -> 1, your program: 0
    """
    rows = Examples([each.input for each in mistakes], [each.expected for each in mistakes])
    notation = Notation.of(train or rows, alphabet)
    lines = mistake_lines(mistakes, notation, most)
    of_all = f" of the {len(train):,}" if train else ""
    noun = "example" if len(mistakes) == 1 and not train else "examples"
    shown = f"{len(lines)} of them, " if len(mistakes) > len(lines) else ""
    known = ", ".join(notation.label(label) for label in labels[:_MOST_LABELS])
    no_labels = known and any(each.failed for each in mistakes)
    return (
        (_REPEATED if repeated else _ALIKE if alike else "")
        + f"Your program is wrong on {len(mistakes):,}{of_all} training {noun}. Below, "
        f"{shown}with the right label and what your program gave:\n\n"
        + "\n".join(lines)
        + (f"\n\nThe labels there are: {known}." if no_labels else "")
        + "\n\nFind "
        + ("another rule, one that" if repeated or alike else "a rule that")
        + (" explains these as far as their labels are right" if noise else " explains these too")
        + ", without treating single examples apart: it is judged on other inputs.\n\n"
        + f"{contract(answer_format, programs)}\n"
    )


def mistake_lines(
    mistakes: Sequence[Mistake], notation: Notation, most: int = MOST_MISTAKES
) -> list[str]:
    """Return one line for each mistake, at most `most`, none twice and no error more than twice."""
    lines: dict[str, None] = {}
    alike: Counter[str] = Counter()
    for each in mistakes:
        if len(lines) == most:
            break
        got = _one_line(each.got)
        if each.failed:
            alike[got] += 1
            if alike[got] > _MOST_ALIKE:
                continue
        lines[f"{notation.line(each.input, each.expected)}, your program: {got}"] = None
    return list(lines)


def no_program_message(reason: str, answer_format: AnswerFormat = "json", programs: int = 1) -> str:
    """Tell a model that its reply held no program, why, and ask again."""
    told = _one_line(reason.removeprefix("the reply holds no program: "))
    wanted = contract(answer_format, programs)
    return f"Your reply held no program that can be run: {told}.\n\n{wanted}\n"


def disclosure(
    train: Examples, columns: Sequence[str], model_name: str, *, tool_rows: int = 0
) -> str:
    """Say in one line which rows and columns leave this machine, before they do.

    Parameters
    ----------
    columns
        The names of the input columns; none where an input is a plain string.
    tool_rows
        How many training rows a Python tool holds for the model; 0 without one.

    Examples
    --------
    >>> disclosure(Examples([{"age": 3, "zip": "007"}], ["1"]), ["age", "zip"], "openai:gpt-5.4")
    'openai:gpt-5.4 is sent 1 training row: columns "age", "zip" and the label; no other row'
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


def _one_line(text: str) -> str:
    """Return an untrusted text as one short line."""
    line = " ".join(text.split())
    line = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line)
    return line if len(line) <= _REASON_CHARACTERS else line[:_REASON_CHARACTERS] + "..."
