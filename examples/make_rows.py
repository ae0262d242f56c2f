"""Write the rows that ``make demo`` learns from; run it as ``python examples/make_rows.py``."""

import random
from pathlib import Path

from sklearn.datasets import load_breast_cancer

FOLDER = Path(__file__).parent


def write_breast_cancer() -> None:
    """Write scikit-learn's copy of the Breast Cancer Wisconsin (Diagnostic) table as CSV."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame["diagnosis"] = data.target.map(dict(enumerate(data.target_names)))
    frame.to_csv(FOLDER / "breast_cancer.csv", index=False)


def write_first_half_parity() -> None:
    """Write 600 strings of 60 bits, labelled by the parity of the ones in their first half."""
    draw = random.Random(0)
    lines = []
    for _ in range(600):
        bits = "".join(draw.choice("01") for _ in range(60))
        lines.append(f"{bits} -> {'odd' if bits[:30].count('1') % 2 else 'even'}\n")
    (FOLDER / "first_half_parity.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write_breast_cancer()
    write_first_half_parity()
