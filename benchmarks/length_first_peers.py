"""The built-in search beside other learners on the same rows: accuracy and CPU seconds.

Run ``python -m benchmarks.length_first_peers round1 [--every 4]``: every fourth rule of a published
list, 100 training, 100 validation and 2,000 test rows. The peers see numbers: for a string its
length, how often each character occurs and the code of each of the first 60 characters; for a table
row its columns, categories one by one. They learn from training and validation rows together,
which the search does not: it proposes from the training rows, and the others select.
"""

import argparse
import importlib
import operator
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.length_first import mistakes, select
from benchmarks.length_first_published import TRAIN, UNCAPPED, VALIDATION, draw
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.proposers.length_first import LengthFirst

PLACES = 60
Matrix = NDArray[np.float64]
Learner = Callable[[Matrix, NDArray[np.int64], Matrix], NDArray[np.int64]]


def encoded(rows: Sequence[Input], known: int) -> Matrix:
    """Return numbers for rows; what there is to count is read off the first ``known`` of them."""
    if isinstance(rows[0], str):
        texts = [str(row) for row in rows]
        alphabet = sorted(set("".join(texts[:known])))[:PLACES]
        return np.array(
            [
                [len(text), *map(text.count, alphabet)]
                + [ord(c) for c in text[:PLACES].ljust(PLACES, "\0")]
                for text in texts
            ],
            dtype=np.float64,
        )
    tables = [row for row in rows if isinstance(row, dict)]
    columns = []
    for name in tables[0]:
        values = [row.get(name) for row in tables]
        if all(value is None or isinstance(value, int | float) for value in values):
            columns.append([np.nan if value is None else float(value) for value in values])
            columns[-1] = [-1e6 if value != value else value for value in columns[-1]]  # noqa: PLR0124
            continue
        columns += [
            [float(value == category) for value in values]
            for category, _ in Counter(values[:known]).most_common(20)
        ]
    return np.array(columns).T


def decision_tree(x: Matrix, y: NDArray[np.int64], new: Matrix) -> NDArray[np.int64]:
    """Fit scikit-learn's tree with its defaults."""
    tree = importlib.import_module("sklearn.tree")
    return np.array(tree.DecisionTreeClassifier(random_state=0).fit(x, y).predict(new))


def boosted_trees(x: Matrix, y: NDArray[np.int64], new: Matrix) -> NDArray[np.int64]:
    """Fit XGBoost with its defaults."""
    xgboost = importlib.import_module("xgboost")
    return np.array(xgboost.XGBClassifier(n_jobs=1, random_state=0).fit(x, y).predict(new))


def rule_list(x: Matrix, y: NDArray[np.int64], new: Matrix) -> NDArray[np.int64]:
    """Fit imodels' greedy rule list, one against the rest where there are several classes."""
    imodels = importlib.import_module("imodels")
    votes = []
    for label in range(int(y.max()) + 1):
        model = imodels.GreedyRuleListClassifier(max_depth=5)
        model.fit(x, (y == label).astype(int))
        votes.append(np.asarray(model.predict_proba(new))[:, 1])
    answers: NDArray[np.int64] = np.argmax(np.array(votes), axis=0)
    return answers


def genetic_programming(x: Matrix, y: NDArray[np.int64], new: Matrix) -> NDArray[np.int64]:
    """Evolve DEAP expressions over the numbers, 200 of them for 20 generations, one a class."""
    algorithms, base, creator, gp, tools = (
        importlib.import_module(f"deap.{name}")
        for name in ("algorithms", "base", "creator", "gp", "tools")
    )
    random.seed(0)
    primitives = gp.PrimitiveSet("rule", x.shape[1])
    for function in (operator.add, operator.sub, operator.mul):
        primitives.addPrimitive(function, 2)
    primitives.addPrimitive(lambda a, b: np.where(a < b, 1.0, -1.0), 2, name="less")
    primitives.addPrimitive(lambda a: np.where(np.mod(a, 2) == 1, 1.0, -1.0), 1, name="odd")
    primitives.addEphemeralConstant("constant", lambda: float(random.randint(-5, 50)))
    creator.create("Fit", base.Fitness, weights=(1.0,))
    creator.create("Individual", gp.PrimitiveTree, fitness=creator.Fit)
    toolbox = base.Toolbox()
    toolbox.register("expr", gp.genHalfAndHalf, pset=primitives, min_=1, max_=3)
    toolbox.register("individual", tools.initIterate, creator.Individual, toolbox.expr)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("select", tools.selTournament, tournsize=4)
    toolbox.register("mate", gp.cxOnePoint)
    toolbox.register("mutate", gp.mutUniform, expr=toolbox.expr, pset=primitives)
    for name in ("mate", "mutate"):
        toolbox.decorate(name, gp.staticLimit(key=len, max_value=40))
    votes = []
    for label in range(int(y.max()) + 1 if y.max() > 1 else 1):
        wanted = y == (label if y.max() > 1 else 1)

        def fitness(tree: Any, wanted: NDArray[np.bool_] = wanted) -> tuple[float]:
            with np.errstate(all="ignore"):
                answer = gp.compile(tree, primitives)(*x.T)
            return (float(((np.zeros(len(x)) + answer > 0) == wanted).mean()),)

        toolbox.register("evaluate", fitness)
        best = tools.HallOfFame(1)
        algorithms.eaSimple(
            toolbox.population(200), toolbox, 0.8, 0.2, 20, halloffame=best, verbose=False
        )
        with np.errstate(all="ignore"):
            answer = np.zeros(len(new)) + gp.compile(best[0], primitives)(*new.T)
        votes.append(np.nan_to_num(answer))
    return np.array(votes).argmax(axis=0) if len(votes) > 1 else np.array(votes[0] > 0, np.int64)


PEERS: dict[str, Learner] = {
    "decision tree": decision_tree,
    "XGBoost": boosted_trees,
    "rule list (imodels)": rule_list,
    "genetic programming (DEAP)": genetic_programming,
}


def main() -> None:
    """Print accuracies rule by rule, then means."""
    parser = argparse.ArgumentParser()
    parser.add_argument("round")
    parser.add_argument("--every", type=int, default=4)
    arguments = parser.parse_args()
    rules = importlib.import_module(f"benchmarks.length_first_{arguments.round}").RULES
    totals: dict[str, list[tuple[float, float]]] = {}
    for rule in rules[:: arguments.every]:
        rows, labels = draw(rule, 0)
        classes = Classes.of(labels)
        middle = TRAIN + VALIDATION
        codes = np.array([classes.texts.index(label) for label in labels])
        numbers = encoded(rows, middle)
        results = {}
        started = time.process_time()
        train = Examples(rows[:TRAIN], labels[:TRAIN])
        proposals = list(LengthFirst(UNCAPPED).propose(train, classes, 0))
        program, _ = select(proposals, rows[TRAIN:middle], labels[TRAIN:middle])
        taken = time.process_time() - started
        wrong = mistakes(program, rows[middle:], labels[middle:])
        results["length-first"] = (1 - wrong / len(rows[middle:]), taken)
        for name, learner in PEERS.items():
            started = time.process_time()
            answers = learner(numbers[:middle], codes[:middle], numbers[middle:])
            taken = time.process_time() - started
            results[name] = (float((answers == codes[middle:]).mean()), taken)
        print(rule.name, "  ".join(f"{a:.1%}" for a, _ in results.values()), flush=True)
        for name, result in results.items():
            totals.setdefault(name, []).append(result)
    for name, measured in totals.items():
        accuracies = [accuracy for accuracy, _ in measured]
        exact = sum(accuracy == 1 for accuracy in accuracies)
        seconds = sum(seconds for _, seconds in measured) / len(measured)
        print(f"{name:28} {np.mean(accuracies):6.1%}, {exact} exact, {seconds:.1f} CPU s")


if __name__ == "__main__":
    main()
