"""Run directories for users who name none: a folder under ``runs/`` called after the time."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

from llm_pv.errors import RunError


def free_folder(what: str) -> Path:
    """Return a folder under ``runs/`` that does not exist yet.

    Parameters
    ----------
    what
        What its name begins with.
    """
    return next(path for path in _names(what) if not path.exists())


def new_folder(what: str) -> Path:
    """Make a folder under ``runs/`` that no other process has, and return it.

    Raise RunError if it cannot be made.
    """
    for path in _names(what):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"cannot make {path}: {error.strerror or error}; give --out") from error
        return path
    raise AssertionError("counting does not end")


def _names(what: str) -> Iterator[Path]:
    stem = f"{what}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    yield Path("runs") / stem
    yield from (Path("runs") / f"{stem}-{number}" for number in count(2))
