"""CPU seconds that each baseline takes for one data set of 100 rows, by both searches.

Run it as ``python -m benchmarks.baselines [--function fn_a] [--length 50]``: one fresh
``llm-pv baselines`` a model and search, the data set drawn beforehand. CPU seconds are those of the
process and its children, starting Python and importing libraries included. The last column is half
of what the published grid took here with the published code, which is not to be exceeded.

``python -m benchmarks.baselines --compare`` fits every baseline by both searches on 15 data sets
where there is something to learn, in this process, and prints mean test accuracies and CPU seconds.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llm_pv import load_task
from llm_pv.api import read_splits
from llm_pv.data.examples import Splits
from llm_pv.tracks.baselines import fit_baseline
from llm_pv.tracks.baselines.base import SearchName

MODELS = ("svm", "random_forest", "decision_tree", "xgboost", "genetic_programming")
SEARCHES: tuple[SearchName, ...] = ("halving", "grid")
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


def data_sets() -> list[Splits]:
    """Return three draws each of two tables and three tasks."""
    from sklearn.datasets import load_breast_cancer, load_iris

    tables = [load(return_X_y=True, as_frame=True) for load in (load_breast_cancer, load_iris)]
    found = [read_splits(rows, y, seed=seed) for rows, y in tables for seed in range(3)]
    for task, length in (("fn_c", 40), ("fn_d", 20), ("fn_e", 20)):
        found += [load_task(task, length=length, trial=n, test_size=4_000) for n in range(3)]
    return found


def compare() -> None:
    """Fit by both searches and print what came of it."""
    rows = data_sets()
    print(f"{'model':20} halving  grid   difference ± standard error   CPU s halving  grid")
    for model in MODELS:
        accuracies: dict[str, list[float]] = {"halving": [], "grid": []}
        seconds = dict.fromkeys(accuracies, 0.0)
        for seed, splits in enumerate(rows):
            for search in SEARCHES:
                start = time.process_time()
                result = fit_baseline(model, splits, search=search, seed=seed).result
                seconds[search] += time.process_time() - start
                assert result.test is not None
                accuracies[search].append(result.test.accuracy)
        gaps = [a - b for a, b in zip(accuracies["halving"], accuracies["grid"], strict=True)]
        means = [statistics.mean(accuracies[search]) for search in SEARCHES]
        print(
            f"{model:20} {means[0]:.4f}  {means[1]:.4f} {statistics.mean(gaps):+.4f} ± "
            f"{statistics.stdev(gaps) / len(gaps) ** 0.5:.4f}"
            f"{seconds['halving']:24.1f} {seconds['grid']:6.1f}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--function", default="fn_a")
    parser.add_argument("--length", default="50")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    if options.compare:
        compare()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = ["--functions", options.function, "--lengths", options.length]
        arguments += ["--trials", "1", "--dataset-dir", str(folder / "datasets")]
        fit("decision_tree", "halving", arguments, folder / "warm-up")
        print(f"{'model':20} {'search':8} {'CPU s':>6} {'wall s':>6} val   test  half of published")
        for model in MODELS:
            for search in SEARCHES:
                cpu, wall, scores = fit(model, search, arguments, folder)
                limit = HALF_OF_PUBLISHED.get(model, "")
                print(f"{model:20} {search:8} {cpu:6.1f} {wall:6.1f} {scores} {limit}", flush=True)


if __name__ == "__main__":
    main()
