"""The classifier inside scikit-learn: its checks, tools around it, processes, pickles."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from llm_pv import Limits, ProgramClassifier
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.registry import BuiltIn
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted

ROOT = Path(__file__).parents[1]
TEXTS = [f"{number:06b}" for number in range(64)]
ODD = [text.count("1") % 2 for text in TEXTS]
NUMBERS = np.random.default_rng(0).integers(0, 9, size=(60, 2))
ABOVE = (NUMBERS[:, 0] > 4).astype(int)
RULE = "def f(x):\n    return int(x['x0'] > 4)\n"


def name_of(check: Any) -> str:
    """Return a check's name, under the arguments it is wrapped in."""
    while hasattr(check, "func"):
        check = check.func
    return str(check.__name__)


# Counted, not timed: the same programs on every machine, sooner.
SMALL_SEARCH = LengthFirst(built_in=BuiltIn(candidates=150_000))
CHECKS = list(
    estimator_checks_generator(
        ProgramClassifier(proposer=SMALL_SEARCH, attempts=5, random_state=0), mark=None
    )
)


FITTED_OFTEN = {
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_pipeline_consistency",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_classifiers_classes",
}
"""Checks that fit many times to show what others show, of rows as lists, arrays or tables."""


def parameters() -> Iterator[Any]:
    for number, (estimator, check) in enumerate(CHECKS):
        name = name_of(check)
        marks = [pytest.mark.slow] if name in FITTED_OFTEN else []
        yield pytest.param(estimator, check, id=f"{number}-{name}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), [*parameters()])
def test_scikit_learn_checks_hold(estimator: Any, check: Callable[[Any], None]) -> None:
    """All of them, on numeric rows, but one that no method with a validation split can meet."""
    if name_of(check).startswith("check_sample_weight_equivalence_on_"):
        pytest.skip("a row of weight 2 is in one split, two rows may be in two")
    check(estimator)


class NumbersOnly(ProgramClassifier):
    """The same, declared for numbers alone."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        return tags


def test_declaring_strings_spares_one_demand_of_the_checks_and_no_check() -> None:
    """An estimator that declares strings and nothing two-dimensional would get one check.

    The demand that is spared: numpy's TypeError for a dict among numbers. The dict is refused,
    by an error that names the column.
    """

    def names(model: ProgramClassifier) -> list[str]:
        return [name_of(check) for _, check in estimator_checks_generator(model, mark=None)]

    assert names(ProgramClassifier()) == names(NumbersOnly())
    assert len(names(ProgramClassifier())) >= 50
    rows = NUMBERS.astype(object)
    rows[0, 0] = {"foo": "bar"}
    with pytest.raises(ValueError, match="column 'x0' holds a dict"):
        NumbersOnly().fit(rows, ABOVE)


def test_clone_and_set_params_keep_every_parameter() -> None:
    given: dict[str, Any] = {
        "proposer": Scripted([PARITY]),
        "attempts": 3,
        "train_size": 20,
        "validation_size": 30,
        "budget_seconds": 2.0,
        "budget_candidates": 1_000_000,
        "budget_mb": 500,
        "noise": 0.05,
        "delta": 0.1,
        "metric": "balanced-accuracy",
        "costs": None,
        "class_weight": "balanced",
        "bins": None,
        "threshold": None,
        "early_stop": False,
        "distinct_inputs": True,
        "keep": (),
        "limits": Limits(cpu_seconds=1),
        "allow_unconfined": True,
        "random_state": 5,
    }
    model = ProgramClassifier(**given)
    assert model.get_params() == given
    copy = clone(model.fit(TEXTS, ODD))
    assert copy.get_params() == given
    assert not hasattr(copy, "program_")
    assert copy.set_params(delta=0.2).delta == 0.2


def test_a_pickle_predicts_in_another_process(tmp_path: Path) -> None:
    model = ProgramClassifier(proposer=Scripted([PARITY]), random_state=0).fit(TEXTS, ODD)
    model.set_params(proposer="length-first")  # the other process knows nothing of these tests
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    code = (
        "import pickle, pathlib\n"
        "model = pickle.loads(pathlib.Path('model.pickle').read_bytes())\n"
        "print(model.predict(['111000', '110000']).tolist(), model.programs_['pick'].tolist())\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        check=False,
    )
    assert result.stdout == "[1, 0] ['>>>>']\n", result.stderr


def test_it_is_the_last_step_of_a_pipeline_of_arrays() -> None:
    rule = "def f(x):\n    return int(x['x0'] > 0)\n"
    model = ProgramClassifier(proposer=Scripted([rule]), random_state=0)
    target = (NUMBERS[:, 0] > NUMBERS[:, 0].mean()).astype(int)
    pipeline = make_pipeline(StandardScaler(), model).fit(NUMBERS, target)
    assert pipeline.score(NUMBERS, target) == 1.0


def test_it_is_the_last_step_of_a_pipeline_of_strings_and_of_frames() -> None:
    rule = "def f(x):\n    return x.count('A') % 2\n"
    model = ProgramClassifier(proposer=Scripted([rule]), random_state=0)
    upper = FunctionTransformer(lambda texts: [text.replace("1", "A") for text in texts])
    assert make_pipeline(upper, model).fit(TEXTS, ODD).score(TEXTS, ODD) == 1.0

    frame = pd.DataFrame({"age": NUMBERS[:, 0] * 1.0, "name": ["ann", "bob", "carlo"] * 20})
    numeric = make_column_selector(dtype_include="number")
    columns = make_column_transformer(
        (StandardScaler(), numeric), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    rule = "def f(x):\n    return int(x['age'] > 0 and x['name'] == 'bob')\n"
    model = ProgramClassifier(proposer=Scripted([rule]), random_state=0)
    target = (frame["age"] > frame["age"].mean()) & (frame["name"] == "bob")
    assert make_pipeline(columns, model).fit(frame, target).score(frame, target) == 1.0


@pytest.mark.parametrize("jobs", [1, 2])
def test_grid_search_chooses_among_parameters(jobs: int) -> None:
    model = ProgramClassifier(proposer=Scripted([FIRST_BIT, PARITY], free=True), random_state=0)
    search = GridSearchCV(model, {"attempts": [1, 2]}, cv=2, n_jobs=jobs, error_score="raise")
    search.fit(TEXTS, ODD)
    assert search.best_params_ == {"attempts": 2}
    assert search.best_score_ == 1.0
    assert search.predict(["000111"]).tolist() == [1]


def test_cross_validation_takes_strings_arrays_and_frames() -> None:
    model = ProgramClassifier(proposer=Scripted([PARITY]), random_state=0)
    assert cross_val_score(model, TEXTS, ODD, cv=3).tolist() == [1.0] * 3
    model = ProgramClassifier(proposer=Scripted([RULE]), random_state=0)
    assert cross_val_score(model, NUMBERS, ABOVE, cv=2).tolist() == [1.0] * 2
    frame = pd.DataFrame(NUMBERS, columns=["x0", "x1"])
    assert cross_val_score(model, frame, ABOVE == 1, cv=2).tolist() == [1.0] * 2


def test_it_works_where_an_event_loop_runs() -> None:
    async def cell() -> list[int]:
        model = ProgramClassifier(proposer=Scripted([PARITY]), random_state=0).fit(TEXTS, ODD)
        return [int(label) for label in model.predict(["1", "11"])]

    assert asyncio.run(cell()) == [1, 0]


def test_a_forked_process_predicts_and_so_does_its_parent_after_it() -> None:
    code = """
import os
from llm_pv import ProgramClassifier
from rows import PARITY, Scripted
texts = [f"{number:06b}" for number in range(64)]
odd = [text.count("1") % 2 for text in texts]
model = ProgramClassifier(proposer=Scripted([PARITY]), random_state=0).fit(texts, odd)
child = os.fork()
if not child:
    os._exit(10 + int(model.predict(["0111"])[0]))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), model.predict(["11", "1"]).tolist())
"""
    result = run_python(code)
    assert result.stdout == "11 [0, 1]\n", result.stderr


def test_the_warm_sandbox_ends_with_its_process() -> None:
    code = """
import psutil
from llm_pv import ProgramClassifier
from rows import PARITY, Scripted
texts = [f"{number:06b}" for number in range(64)]
odd = [text.count("1") % 2 for text in texts]
for seed in (0, 1):
    model = ProgramClassifier(proposer=Scripted([PARITY]), random_state=seed).fit(texts, odd)
    model.predict(texts)
print(*[child.pid for child in psutil.Process().children(recursive=True)])
"""
    result = run_python(code)
    pids = [int(pid) for pid in result.stdout.split()]
    assert pids, result.stderr
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_another_choice_of_limits_ends_the_sandbox_before() -> None:
    def processes() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True)}

    def fit(seconds: float) -> set[int]:
        """Fit with a limit of its own and return the processes that run afterwards."""
        model = ProgramClassifier(proposer=Scripted([ALWAYS_ONE]), random_state=0)
        model.set_params(limits=Limits(cpu_seconds=seconds)).fit(TEXTS, ODD)
        return processes()

    others = processes()
    first = fit(1.5) - others
    assert first
    assert fit(1.5) >= first
    assert not fit(1.75) & first


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a fresh interpreter that can import the package and these tests' helpers."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        check=False,
    )
