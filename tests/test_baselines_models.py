"""What each baseline promises: its published grid, the same model for a seed, shared fits."""

import random
from itertools import product
from typing import Any

import numpy as np
import pytest

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.baselines.base import Baseline, Settings
from llm_pv.tracks.baselines.evolution import BitExpression, Evolution, evolve
from llm_pv.tracks.baselines.features import Features, Kind
from llm_pv.tracks.baselines.registry import BASELINES, baseline_named

FITTED_HERE = [name for name in BASELINES if name != "tabpfn"]


def first_point(baseline: Baseline) -> dict[str, Any]:
    return {name: values[0] for name, values in baseline.grid("halving").items()}


def noise(rows: int = 80, columns: int = 12, seed: int = 0) -> tuple[Features, Any]:
    generator = np.random.default_rng(seed)
    matrix = generator.integers(0, 2, (rows, columns)).astype(np.float32)
    kind: Kind = "symbol"
    return Features(matrix, (kind,) * columns), generator.integers(0, 2, rows)


def test_the_grids_are_the_published_ones() -> None:
    sizes = {}
    for name, baseline in BASELINES.items():
        grid = baseline.grid("grid")
        sizes[name] = len(list(product(*grid.values())))
    published = {
        "svm": 4 * 5 * 2,
        "random_forest": 3 * 4 * 3,
        "decision_tree": 4 * 3 * 3 * 2,
        "xgboost": 3 * 3 * 2 * 2 * 2,
        "tabpfn": 1,
        "genetic_programming": 2 * 2 * 2,
    }
    assert published.items() <= sizes.items(), "a baseline that was added has a grid of its own"
    assert BASELINES["random_forest"].grid("grid") == {
        "n_estimators": (64, 128, 256),
        "max_depth": (5, 10, 15, None),
        "min_samples_split": (2, 5, 10),
    }


@pytest.mark.parametrize("name", FITTED_HERE)
def test_a_model_learns_a_rule_of_one_column_and_is_the_same_for_a_seed(name: str) -> None:
    baseline = BASELINES[name]
    features, _ = noise()
    codes = features.matrix[:, 3].astype(int)
    settings = first_point(baseline) | ({"C": 100} if name == "svm" else {})
    fresh, _ = noise(200, seed=1)
    one, other = (
        baseline.fit(features, codes, settings, 2**32 - 1).predict(fresh, settings)
        for _ in range(2)
    )
    assert (one == other).all()
    assert (one == fresh.matrix[:, 3]).mean() > 0.8  # chance is right on half of them


@pytest.mark.parametrize("name", FITTED_HERE)
def test_several_classes_are_told_apart(name: str) -> None:
    baseline = BASELINES[name]
    features, _ = noise(120)
    codes = (features.matrix[:, 0] + 2 * features.matrix[:, 1]).astype(int)
    settings = first_point(baseline) | ({"C": 100} if name == "svm" else {})
    predicted = baseline.fit(features, codes, settings, 0).predict(features, settings)
    assert (predicted == codes).mean() > 0.9


@pytest.mark.parametrize("name", ["random_forest", "xgboost", "decision_tree"])
def test_a_model_that_covers_other_settings_predicts_as_one_fitted_with_them(name: str) -> None:
    baseline = BASELINES[name]
    features, codes = noise()
    fresh, _ = noise(150, seed=1)
    grid = dict(baseline.grid("grid"))
    if "n_estimators" in grid:
        grid["n_estimators"] = (3, 6, 12)  # as the published numbers, and quicker
    for shape in ({"max_depth": (5, 6, 7)}, {"max_depth": grid["max_depth"]}):
        wide = {key: values[:1] for key, values in grid.items()} | shape
        wide |= {key: values for key, values in grid.items() if key in baseline.shared}
        points: list[Settings] = [dict(zip(wide, p, strict=True)) for p in product(*wide.values())]
        covered = 0
        for point in points[-4:]:
            model = baseline.fit(features, codes, point, 3)
            for other in points:
                alike = all(other[key] == point[key] for key in other if key not in baseline.shared)
                if alike and other != point and model.covers(other):
                    covered += 1
                    alone = baseline.fit(features, codes, other, 3)
                    assert (model.predict(fresh, other) == alone.predict(fresh, other)).all()
        assert covered, "the test tests nothing if nothing is shared"


def test_trees_that_their_limit_stopped_stand_for_no_other_limit() -> None:
    baseline = BASELINES["decision_tree"]
    features, codes = noise()
    settings = first_point(baseline) | {"max_depth": 3}
    model = baseline.fit(features, codes, settings, 0)
    assert not model.covers(settings | {"max_depth": None})
    assert model.covers(settings)


def test_forests_of_fewer_trees_do_not_stand_for_larger_ones() -> None:
    for name in ("random_forest", "xgboost"):
        baseline = BASELINES[name]
        features, codes = noise()
        point = first_point(baseline)
        larger = point | {"n_estimators": 256}
        assert not baseline.fit(features, codes, point, 0).covers(larger)


def test_an_expression_is_read_in_prefix_order() -> None:
    # Rows from the lowest bit on: a = 0,1,0,1 and b = 0,0,1,1.
    a, b = 0b1010, 0b1100
    for nodes, answer in [
        (("and", 0, 1), 0b1000),
        (("or", 0, 1), 0b1110),
        (("xor", 0, 1), 0b0110),
        (("not", 0), 0b0101),
        (("and", "not", 0, "or", 1, "xor", 0, 0), 0b0100),
    ]:
        assert BitExpression(nodes).run([a, b], rows=4) == answer


def test_evolution_finds_a_parity_stops_when_it_fits_and_leaves_random_numbers_alone() -> None:
    generator = random.Random(0)
    columns = [generator.getrandbits(64) for _ in range(6)]
    target = columns[1] ^ columns[2] ^ columns[4]
    how = Evolution(population=200, generations=60, depth=6, stop_when_fit=True)
    random.seed(5)
    before = random.getstate()
    found = evolve(columns, target, 64, how, seed=1)
    assert random.getstate() == before
    assert found.run(columns, 64) == target
    fresh = [generator.getrandbits(64) for _ in range(6)]
    assert found.run(fresh, 64) == fresh[1] ^ fresh[2] ^ fresh[4]
    assert evolve(columns, target, 64, how, seed=1) == found


def test_no_expression_grows_deeper_than_its_limit() -> None:
    generator = random.Random(1)
    columns = [generator.getrandbits(100) for _ in range(10)]
    how = Evolution(population=60, generations=30, depth=4, stop_when_fit=False)
    found = evolve(columns, generator.getrandbits(100), 100, how, seed=0)
    assert len(found.nodes) <= 2**5 - 1


def test_a_size_penalty_keeps_the_small_expression_and_an_elite_never_loses_the_best() -> None:
    generator = random.Random(2)
    columns = [generator.getrandbits(64) for _ in range(4)]
    target = columns[0] ^ columns[1]
    how: dict[str, Any] = {
        "population": 100, "generations": 20, "depth": 17, "stop_when_fit": False,
        "initial_depth": 6, "mutation_depth": 4, "elite": 0.05,
    }  # fmt: skip
    found = evolve(columns, target, 64, Evolution(**how, size_penalty=1e-4), seed=1)
    assert found.run(columns, 64) == target
    # A node costs more than it can win, so the best expression is a single bit.
    assert len(evolve(columns, target, 64, Evolution(**how, size_penalty=1.0), seed=1).nodes) == 1


def test_rows_that_are_all_alike_get_the_frequent_class() -> None:
    baseline = BASELINES["genetic_programming"]
    features = Features(np.zeros((5, 2)), ("symbol", "symbol"))
    model = baseline.fit(features, np.array([0, 1, 1, 1, 0]), first_point(baseline), 0)
    assert model.predict(features, {}).tolist() == [1] * 5


def test_a_number_in_small_units_counts_as_much_as_one_in_large_units() -> None:
    generator = np.random.default_rng(0)
    matrix = np.column_stack([generator.normal(size=100), 1e6 * generator.normal(size=100)])
    codes = (matrix[:, 0] > 0).astype(int)
    model = BASELINES["svm"].fit(
        Features(matrix, ("number", "number")), codes, {"C": 1, "kernel": "rbf"}, 0
    )
    predicted = model.predict(Features(matrix, ("number", "number")), {})
    assert (predicted == codes).mean() > 0.9


def test_an_unknown_baseline_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'xgboost'"):
        baseline_named("xgbost")


@pytest.mark.parametrize("name", ["xgboost", "genetic_programming", "tabpfn"])
def test_a_package_that_is_not_there_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("llm_pv.tracks.baselines.base", "llm_pv.tracks.baselines.registry"):
        monkeypatch.setattr(f"{module}.find_spec", lambda package: None)
    assert "pip install" in BASELINES[name].obstacle()
