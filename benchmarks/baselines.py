"""CPU seconds that each baseline takes for one data set of 100 rows, by both searches.

Run it as ``python -m benchmarks.baselines [--function fn_a] [--length 50]``: one fresh
``llm-pv baselines`` a model and search, the data set drawn beforehand. CPU seconds are those of the
process and its children, starting Python and importing libraries included. The last column is half
of what the published grid took here with the published code, which is not to be exceeded.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = ("svm", "random_forest", "decision_tree", "xgboost", "genetic_programming")
HALF_OF_PUBLISHED = {"random_forest": 18.5, "xgboost": 56.0, "genetic_programming": 72.0}


def fit(model: str, search: str, arguments: list[str], folder: Path) -> tuple[float, float, str]:
    """Return CPU and wall-clock seconds of one command, and the accuracies it found."""
    out = folder / f"{model}-{search}"
    command = [sys.executable, "-m", "llm_pv", "baselines", *arguments]
    command += ["--models", model, "--search", search, "--out", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    scores = f"{float(row['validation_accuracy']):.3f} {float(row['accuracy']):.3f}"
    return usage.ru_utime + usage.ru_stime, wall, scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--function", default="fn_a")
    parser.add_argument("--length", default="50")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = ["--functions", options.function, "--lengths", options.length]
        arguments += ["--trials", "1", "--dataset-dir", str(folder / "datasets")]
        fit("decision_tree", "halving", arguments, folder / "warm-up")
        print(f"{'model':20} {'search':8} {'CPU s':>6} {'wall s':>6} val   test  half of published")
        for model in MODELS:
            for search in ("halving", "grid"):
                cpu, wall, scores = fit(model, search, arguments, folder)
                limit = HALF_OF_PUBLISHED.get(model, "")
                print(f"{model:20} {search:8} {cpu:6.1f} {wall:6.1f} {scores} {limit}", flush=True)


if __name__ == "__main__":
    main()
