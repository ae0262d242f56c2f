"""The function `check` of the Python tool, inside the sandbox: standard library only."""

import linecache
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_pv.data.labels import label_text

if TYPE_CHECKING:
    from types import TracebackType

MOST_SHOWN = 10
MOST_ALIKE = 2
"""So many rows with the same error are shown."""
MOST_CLASSES = 20
_INPUT_CHARACTERS, _ANSWER_CHARACTERS = 300, 200

Check = Callable[..., float]


def make_check(rows: Sequence[tuple[object, object]], is_own_file: Callable[[str], bool]) -> Check:
    """Return the function that tries a rule on labelled rows.

    Parameters
    ----------
    is_own_file
        Whether a file name in a traceback is one of the code's.

    Examples
    --------
    >>> check = make_check([("01", 1), ("11", 0)], lambda file: False)
    >>> check(lambda x: 1)
    right on 1 of 2 rows (50.0%); by label: 0 0/1, 1 1/1
    '11' -> 0, got 1
    0.5
    """
    rows = tuple(rows)
    labels = {label_text(label): label for _, label in rows}

    def check(f: Callable[[object], object], show: int = MOST_SHOWN) -> float:
        """Print how many rows f answers rightly, and mistakes; return the share of right rows."""
        if not callable(f):
            raise TypeError("check takes a function of one input, as in check(f)")
        total: Counter[str] = Counter()
        right: Counter[str] = Counter()
        alike: Counter[str] = Counter()
        shown: list[str] = []
        for row, label in rows:
            expected = label_text(label)
            total[expected] += 1
            answer, error = _answer(f, row, is_own_file)
            if answer == expected:
                right[expected] += 1
            elif len(shown) < show and alike[error] < MOST_ALIKE:
                alike[error] += bool(error)
                got = error or _short(labels.get(answer, answer), _ANSWER_CHARACTERS)
                shown.append(f"{_short(row, _INPUT_CHARACTERS)} -> {label!r}, got {got}")
        wrong = len(rows) - right.total()
        if wrong > len(shown) > 0:
            shown.append(f"... and {wrong - len(shown):,} more")
        sys.stdout.write("\n".join([_summary(total, right), *shown, ""]))
        return right.total() / max(1, len(rows))

    return check


def _summary(total: Counter[str], right: Counter[str]) -> str:
    rows = total.total()
    share = right.total() / max(1, rows)
    text = f"right on {right.total():,} of {rows:,} rows ({share:.1%})"
    if len(total) <= MOST_CLASSES:
        counts = (f"{label} {right[label]}/{total[label]}" for label in sorted(total))
        text += f"; by label: {', '.join(counts)}"
    return text


def _answer(
    f: Callable[[object], object], row: object, is_own_file: Callable[[str], bool]
) -> tuple[str, str]:
    """Return the label that a function gives, or the text of its error."""
    try:
        # A copy: a function that changes its input must not change the row for the next one.
        return label_text(f(dict(row) if isinstance(row, dict) else row)), ""
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  (the function may raise anything)
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001
            text = type(error).__name__
        return "", _short(text, _ANSWER_CHARACTERS, str) + _line_of(error, is_own_file)


def _line_of(error: BaseException, is_own_file: Callable[[str], bool]) -> str:
    """Return the last line of the code itself that an error passed."""
    found = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_own_file(file):
            line = linecache.getline(file, trace.tb_lineno).strip()
            found = f" (line {trace.tb_lineno}: {line})"
        trace = trace.tb_next
    return found


def _short(value: object, most: int, write: Callable[[object], str] = repr) -> str:
    text = write(value)
    return text if len(text) <= most else f"{text[:most]}..."
