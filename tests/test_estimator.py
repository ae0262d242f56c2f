"""The classifier on the kinds of rows and labels users have, and what it says to bad ones."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from llm_pv import Limits, ProgramClassifier
from llm_pv.errors import ProgramError
from llm_pv.proposers.length_first import LengthFirst
from rows import ALWAYS_ONE, PARITY, Scripted

TEXTS = [f"{number:06b}" for number in range(64)]
ODD = [text.count("1") % 2 for text in TEXTS]
NUMBERS = np.random.default_rng(0).integers(0, 9, size=(60, 3))
ABOVE = (NUMBERS[:, 0] > 4).astype(int)


def classifier(*programs: str, **parameters: Any) -> ProgramClassifier:
    """A classifier that tries these programs, and the same split every time."""
    return ProgramClassifier(
        proposer=Scripted(programs, free=True), **{"random_state": 0} | parameters
    )


def above(column: str = "x0", yes: str = "1", no: str = "0") -> ProgramClassifier:
    """A classifier that tries the rule behind `ABOVE`."""
    return classifier(f"def f(x):\n    return {yes} if x[{column!r}] > 4 else {no}\n")


def echo(text: str) -> str:
    """A program that answers 1 where an input reads so, and 0 elsewhere."""
    return f"def f(x):\n    return int(repr(x) == {text!r})\n"


def mixed_frame() -> pd.DataFrame:
    """Columns of every kind, the label ABOVE in the first."""
    return pd.DataFrame(
        {
            "age": NUMBERS[:, 0],
            "share": NUMBERS[:, 1] / 4,
            "name": ["ann", "bob", "carlo"] * 20,
            "ok": NUMBERS[:, 2] > 3,
            "grade": pd.Categorical(["low", "high", "medium"] * 20),
            "day": pd.date_range("2020-01-01", periods=60),
            "count": pd.array([1, 2, None] * 20, dtype="Int64"),
        }
    )


@pytest.mark.parametrize(
    "rows",
    [TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), pd.Index(TEXTS),
     [[text] for text in TEXTS]],
    ids=["list", "tuple", "array", "series", "index", "one column"],
)  # fmt: skip
def test_strings_reach_the_program_as_they_are(rows: Any) -> None:
    model = classifier(ALWAYS_ONE, PARITY).fit(rows, ODD)
    assert model.program_.source == PARITY
    assert model.predict(["111111", "000111"]).tolist() == [0, 1]
    assert model.n_features_in_ == 1
    assert not hasattr(model, "feature_names_in_")
    assert model.score(rows, ODD) == 1.0


def test_rows_of_an_array_reach_the_program_as_dicts() -> None:
    rule = "def f(x):\n    return int(x == {'x0': 1, 'x1': None, 'x2': 'a'})\n"
    rows = [[number, None, "a"] for number in range(20)]
    model = classifier(rule).fit(rows, [int(row[0] == 1) for row in rows])
    assert model.predict([[1, None, "a"], [2, None, "a"], [1, 3, "a"]]).tolist() == [1, 0, 0]


def test_columns_of_every_kind_reach_the_program_as_plain_values() -> None:
    frame = mixed_frame()
    first = {
        "age": int(NUMBERS[0, 0]),
        "share": float(NUMBERS[0, 1] / 4),
        "name": "ann",
        "ok": bool(NUMBERS[0, 2] > 3),
        "grade": "low",
        "day": "2020-01-01T00:00:00",
        "count": 1,
    }
    target = [1] + [0] * 59
    model = classifier(echo(repr(first))).fit(frame, target)
    assert model.predict(frame).tolist() == target
    assert model.feature_names_in_.tolist() == list(frame.columns)


def test_the_built_in_search_learns_a_threshold_of_an_array() -> None:
    model = ProgramClassifier(random_state=0, attempts=5).fit(NUMBERS, ABOVE)
    assert model.score(NUMBERS, ABOVE) > 0.9


def test_missing_values_reach_the_program_as_none() -> None:
    rows = np.where(NUMBERS == 0, np.nan, NUMBERS)
    target = np.isnan(rows[:, 0]).astype(int)
    model = classifier("def f(x):\n    return int(x['x0'] is None)\n").fit(rows, target)
    assert model.predict(rows).tolist() == target.tolist()


@pytest.mark.parametrize(
    ("labels", "classes", "yes", "no"),
    [
        (ABOVE == 1, np.array([False, True]), "True", "False"),
        (ABOVE.astype(np.uint8), np.array([0, 1], np.uint8), "1", "0"),
        (ABOVE.astype(float), np.array([0.0, 1.0]), "1", "0"),
        (ABOVE * 2 - 1, np.array([-1, 1]), "1", "-1"),
        (np.where(ABOVE, "yes", "no"), np.array(["no", "yes"]), "'yes'", "'no'"),
        (np.where(ABOVE, "", "no"), np.array(["", "no"]), "''", "'no'"),
        (np.where(ABOVE, "yes", "no").astype(object), np.array(["no", "yes"], object),
         "'yes'", "'no'"),
        (pd.Series(np.where(ABOVE, "yes", "no"), dtype="category"),
         np.array(["no", "yes"], object), "'yes'", "'no'"),
        (pd.Series(ABOVE, dtype="Int64"), np.array([0, 1]), "1", "0"),
        (ABOVE.tolist(), np.array([0, 1]), "1", "0"),
    ],
    ids=["bool", "uint8", "float", "negative", "str", "empty", "object", "category", "Int64",
         "list"],
)  # fmt: skip
def test_predictions_are_of_the_labels_own_kind(
    labels: Any, classes: "np.ndarray[Any, Any]", yes: str, no: str
) -> None:
    model = above(yes=yes, no=no).fit(NUMBERS, labels)
    assert model.classes_.dtype == classes.dtype
    assert model.classes_.tolist() == classes.tolist()
    predicted = model.predict(NUMBERS)
    assert predicted.dtype == classes.dtype
    assert predicted.tolist() == np.asarray(labels).tolist()
    assert model.score(NUMBERS, labels) == 1.0


def test_the_pick_is_marked_and_certified() -> None:
    model = classifier(ALWAYS_ONE, PARITY, "no code").fit(TEXTS, ODD)
    assert model.programs_["pick"].tolist() == [">>>>", ""]
    assert model.programs_["program"].tolist() == [PARITY, ALWAYS_ONE]
    assert model.certificate_.rows == 32
    assert 0 < model.certificate_.error_bound < 0.2


def test_rows_without_a_class_get_the_majority_and_a_counted_warning() -> None:
    rule = "def f(x):\n    return x.count('1') % 2 if len(x) == 6 else 'spam'\n"
    target = [int(number % 4 == 0) for number in range(64)]
    model = classifier(rule).fit(TEXTS, target)
    message = r"no class for 2 of 3 rows \(gave an answer .*'spam'.*\); .* predicted as 0"
    with pytest.warns(RuntimeWarning, match=message):
        assert model.predict(["000001", "1", ""]).tolist() == [1, 0, 0]


def test_a_row_without_an_answer_is_not_taken_for_the_empty_class() -> None:
    labels = ["" if odd else "even" for odd in ODD[:60]]
    rule = "def f(x):\n    return ['even', ''][x.count('1') % 2] if len(x) == 6 else 1 / 0\n"
    target = [*labels, "even", "even", "even", "even"]
    model = classifier(rule).fit([*TEXTS[:60], *TEXTS[60:]], target)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        assert model.predict(["1"]).tolist() == [model.learned_.baseline.label]


def test_columns_are_told_by_name_in_any_order() -> None:
    frame = mixed_frame()
    model = above("age").fit(frame, ABOVE)
    assert model.predict(frame[frame.columns[::-1]]).tolist() == ABOVE.tolist()
    moved = frame.set_index(pd.Index(range(100, 160)))
    assert model.predict(moved).tolist() == ABOVE.tolist()


def test_arrays_and_frames_may_follow_each_other_by_position() -> None:
    frame = pd.DataFrame(NUMBERS, columns=["a", "b", "c"])
    model = above("a").fit(frame, ABOVE)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert model.predict(NUMBERS).tolist() == ABOVE.tolist()
    model = above().fit(NUMBERS, ABOVE)
    with pytest.warns(UserWarning, match="X has feature names"):
        assert model.predict(frame).tolist() == ABOVE.tolist()
    numbered = pd.DataFrame(NUMBERS)
    assert above("0").fit(numbered, ABOVE).predict(numbered).tolist() == ABOVE.tolist()


def test_decimals_may_follow_whole_numbers_and_leave_whole_ones_whole() -> None:
    rule = "def f(x):\n    return ['whole', 'other'][isinstance(x['x0'], float)]\n"
    target = ["whole"] * 59 + ["other"]
    model = classifier(rule).fit(NUMBERS, target)
    assert model.predict([[2.0, 0, 0], [2.5, 0, 0]]).tolist() == ["whole", "other"]
    assert model.predict(NUMBERS + 0.5).tolist() == ["other"] * 60
    assert model.predict([[2**60 + 1, 0, 0]]).tolist() == ["whole"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="age"), "yet now missing:\n- age"),
        (lambda frame: frame.rename(columns={"age": "years"}), "unseen at fit time:\n- years"),
        (lambda frame: frame.assign(name=7), "'name' holds int64 values but was text in fit"),
        (lambda frame: frame.assign(share=np.inf), "infinity in column 'share'"),
        (lambda frame: pd.concat([frame, frame[["age"]]], axis=1), "two columns named 'age'"),
        (lambda frame: frame.iloc[:0], r"0 sample\(s\)"),
        (lambda frame: TEXTS, "X has 1 features, but ProgramClassifier is expecting 7"),
        (lambda frame: NUMBERS, "X has 3 features, but ProgramClassifier is expecting 7"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_unlike_those_of_fit_are_refused(
    change: Callable[[pd.DataFrame], Any], message: str
) -> None:
    model = above("age").fit(mixed_frame(), ABOVE)
    with pytest.raises(ValueError, match=message):
        model.predict(change(mixed_frame()))


def test_columns_that_the_program_does_not_read_may_be_missing_and_further_ones_there() -> None:
    frame = mixed_frame()
    model = above("age").fit(frame, ABOVE)
    assert model.predict(frame.assign(more=1)).tolist() == ABOVE.tolist()
    assert model.predict(frame[["age"]].assign(more=1)).tolist() == ABOVE.tolist()
    accents = pd.DataFrame({"\u00e2ge": NUMBERS[:, 0]})
    model = above("\u00e2ge").fit(accents.assign(more=1), ABOVE)
    decomposed = accents.set_axis(["a\u0302ge"], axis=1)
    assert model.predict(decomposed).tolist() == ABOVE.tolist()


def test_numbers_are_scored_in_the_classes_of_fit() -> None:
    numbers = np.arange(60) * 1.5
    rule = "def f(x):\n    return '>= 30' if x['x0'] > 9 else '< 30'\n"
    model = classifier(rule, threshold=30).fit(np.arange(60).reshape(-1, 1), numbers)
    # 1.5 n >= 30 from n = 20 on, and the rule says so from n = 10 on: 10 of 60 are wrong.
    assert model.score(np.arange(60).reshape(-1, 1), numbers) == pytest.approx(50 / 60)


def test_a_cell_that_cannot_be_read_costs_its_own_row_and_only_where_it_is_read() -> None:
    model = above("age").fit(mixed_frame(), ABOVE)
    rows = mixed_frame().astype({"age": object, "share": object})
    expected = model.predict(mixed_frame())
    rows.loc[3, "share"] = "many"  # the program does not read this column
    assert (model.predict(rows) == expected).all()
    rows.loc[5, "age"] = "old"
    with pytest.warns(RuntimeWarning, match="1 of 60 rows .*'age', row 6: 'old' is no int"):
        found = model.predict(rows)
    assert (np.delete(found, 5) == np.delete(expected, 5)).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 2], "Expected 2D array, got 1D array"),
        ([[1], [2]], r"X holds 1 \(int\), but fit saw strings"),
        (["01", None], "None in row 1: give a string for every row"),
        (NUMBERS, "X has 3 features, but ProgramClassifier is expecting 1"),
        ("000111", "Expected 2D array, got scalar"),
        ([], r"0 sample\(s\)"),
    ],
)
def test_anything_but_strings_after_strings_is_refused(rows: Any, message: str) -> None:
    model = classifier(PARITY).fit(TEXTS, ODD)
    with pytest.raises(ValueError, match=message):
        model.predict(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (NUMBERS[:, 0], "Expected 2D array, got 1D array"),
        (NUMBERS[:, :, None], "Found array with dim 3"),
        (NUMBERS * 1j, "Complex data not supported"),
        (np.where(NUMBERS == 0, np.inf, NUMBERS), "X contains infinity"),
        (NUMBERS[:, :0], r"0 feature\(s\)"),
        (pd.DataFrame(index=range(60)), r"0 feature\(s\)"),
        (pd.DataFrame({"a": [[1]] * 60}), "column 'a' holds a list"),
        (pd.DataFrame({"a": [1j] * 60}), "column 'a' holds a complex"),
        ([*TEXTS[:59], 5], "such as 5 in row 59"),
        (None, "Expected 2D array"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        above().fit(rows, ABOVE)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed"),
        (np.where(ABOVE, 1, np.nan), "Input y contains NaN"),
        (pd.Series(["a", None] * 30), "NaN: 30 rows have no label"),
        (np.ones(60), "only one class, 1.0"),
        (ABOVE[:10], r"inconsistent numbers of samples: \[60, 10\]"),
        (np.c_[ABOVE, ABOVE], "y should be a 1d array"),
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
        (np.arange(60), "look like a number to predict"),
        (ABOVE.astype(object), r"holds int; give labels of one kind, such as y.astype\(int\)"),
        (ABOVE.astype("datetime64[D]"), "y has dtype datetime64"),
    ],
)
@pytest.mark.filterwarnings("ignore:The number of unique classes is greater")
def test_labels_that_cannot_be_learned_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        above().fit(NUMBERS, labels)


def test_a_column_vector_of_labels_is_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning):
        model = above().fit(NUMBERS, ABOVE[:, None])
    assert model.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"proposer": 3}, "proposer is 3; give 'length-first'"),
        ({"proposer": "magic"}, "no proposer is called 'magic'"),
        ({"attempts": 2.5}, "attempts is 2.5; give a whole number"),
        ({"attempts": 0}, "attempts is 0; at least 1"),
        ({"train_size": 0.5}, "train size 0.5: give a whole number"),
        ({"train_size": 100}, "fewer than the 100 train"),
        ({"validation_size": 0}, "validation size 0: give at least 1"),
        ({"budget_seconds": "x"}, "budget_seconds is 'x'; give a number"),
        ({"budget_seconds": 0}, "give a positive number"),
        ({"delta": 2}, "delta is 2; give a probability"),
        ({"limits": {}}, r"limits is {}: give llm_pv.Limits\(...\)"),
        ({"random_state": "a"}, "cannot be used to seed"),
        ({"random_state": -1}, "Seed must be between"),
        ({"random_state": np.random.default_rng(0)}, "cannot be used to seed"),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_fit(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ProgramClassifier(**{"random_state": 0} | parameters).fit(NUMBERS, ABOVE)


def test_predicting_before_fit_or_after_a_failed_one_says_so() -> None:
    model = classifier("no code")
    with pytest.raises(NotFittedError):
        model.predict(TEXTS)
    with pytest.raises(ProgramError, match=r"no program found.*give more attempts or another"):
        model.fit(TEXTS, ODD)
    with pytest.raises(NotFittedError):
        model.predict(TEXTS)


def test_sizes_share_the_rows_equally_unless_asked() -> None:
    model = classifier(PARITY).fit(TEXTS, ODD)
    assert model.certificate_.rows == 32
    model = classifier(PARITY, validation_size=50).fit(TEXTS, ODD)
    assert model.certificate_.rows == 50
    proposer = Scripted([PARITY], free=True)
    ProgramClassifier(proposer=proposer, train_size=10, random_state=0).fit(TEXTS, ODD)
    assert [len(call[0]) for call in proposer.calls] == [10]


def test_the_random_state_draws_the_split_as_scikit_learn_means_it() -> None:
    def seeds(random_state: Any, fits: int = 2) -> list[int]:
        proposer = Scripted([PARITY], free=True)
        model = ProgramClassifier(proposer=proposer, random_state=random_state)
        for _ in range(fits):
            model.fit(TEXTS, ODD)
        return [call[2] for call in proposer.calls]

    assert seeds(7) == [7, 7]
    assert seeds(np.int64(7)) == [7, 7]
    first, second = seeds(np.random.RandomState(3))
    assert first != second
    assert seeds(np.random.RandomState(3)) == [first, second]
    first, second = seeds(None)
    assert first != second


def test_the_same_random_state_gives_the_same_program_twice() -> None:
    models = [
        ProgramClassifier(random_state=4, attempts=5, budget_seconds=600).fit(
            NUMBERS, NUMBERS[:, 1] % 3
        )
        for _ in range(2)
    ]
    first, second = (model.programs_ for model in models)
    pd.testing.assert_frame_equal(first, second)


def test_a_search_cut_short_warns_that_another_machine_may_end_elsewhere() -> None:
    proposer = LengthFirst(budget_seconds=1e-9)
    with pytest.warns(ConvergenceWarning, match="cut short"):
        ProgramClassifier(proposer=proposer, random_state=0).fit(NUMBERS, ABOVE)


def test_limits_bind_the_program() -> None:
    loop = "def f(x):\n    while len(x) == 1:\n        pass\n    return x.count('1') % 2\n"
    limits = Limits(cpu_seconds=0.2, wall_seconds=0.5)
    model = classifier(loop, limits=limits).fit(TEXTS, ODD)
    with pytest.warns(RuntimeWarning, match="no class for 1 of 1 rows .timed out"):
        model.predict(["1"])


def test_fit_says_nothing_when_nothing_is_wrong() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(PARITY).fit(TEXTS, ODD).predict(TEXTS)


def test_probabilities_are_the_shares_of_classes_with_the_same_answer() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 10, size=(300, 1))
    labels = ((numbers[:, 0] > 4) ^ (rng.random(300) < 0.1)).astype(int)
    rule = "def f(x):\n    return int(x['x0'] > 4)\n"
    model = classifier(rule).fit(numbers, labels)
    found = model.predict_proba([[0], [9], [1]])
    assert found.shape == (3, 2)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found[0] == found[2]).all()
    cells = {(cell.answer, cell.label): cell for cell in model.certificate_.answers}
    total = sum(cell.count for cell in cells.values())
    prior = (cells["0", "1"].count + cells["1", "1"].count) / total
    one = cells["1", "1"]
    assert found[1, 1] == pytest.approx((one.count + prior) / (one.rows + 1))
    low, high = model.certificate_.answer_limits["1", "1"]
    assert low < one.count / one.rows < high
    assert (found.argmax(axis=1) == model.predict([[0], [9], [1]])).all()
    assert roc_auc_score(labels, model.predict_proba(numbers)[:, 1]) > 0.8
    calibrated = CalibratedClassifierCV(FrozenEstimator(model)).fit(numbers, labels)
    assert set(calibrated.predict(numbers)) == {0, 1}


def test_frames_of_other_libraries_are_read_like_pandas() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    frame = mixed_frame()[["age", "name"]]
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    model = above("age").fit(table, pyarrow.chunked_array([ABOVE.tolist()]))
    assert model.feature_names_in_.tolist() == ["age", "name"]
    assert model.classes_.dtype == np.int64
    assert (model.predict(table) == above("age").fit(frame, ABOVE).predict(frame)).all()


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("Int64", [0, 1]),
        ("boolean", [False, True]),
        ("string", ["no", "yes"]),
        ("category", ["a", "b"]),
    ],
)
def test_labels_come_back_in_kind(dtype: str, values: list[Any]) -> None:
    labels = pd.Series([values[int(above)] for above in ABOVE]).astype(dtype)  # type: ignore[call-overload]
    answers = f"({values[0]!r}, {values[1]!r})"
    rule = f"def f(x):\n    return {answers}[int(x['x0'] > 4)]\n"
    model = classifier(rule).fit(NUMBERS, labels)
    assert model.classes_.tolist() == values
    assert all(type(value) is type(values[0]) for value in model.predict(NUMBERS[:3]).tolist())


def test_sparse_rows_are_read_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "def f(x):\n    return int(x['x0'] > 4)\n"
    model = classifier(rule).fit(scipy.sparse.csr_array(NUMBERS), ABOVE)
    assert (model.predict(scipy.sparse.csr_array(NUMBERS)) == ABOVE).all()
    monkeypatch.setattr("llm_pv.data.arrays._MOST_CELLS", 100)
    with pytest.raises(ValueError, match="180 cells as a dense array, more than 100"):
        model.predict(scipy.sparse.csr_array(NUMBERS))


def test_a_frame_that_is_not_computed_yet_is_refused() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(NUMBERS, schema=["a", "b", "c"])
    assert above("a").fit(frame, ABOVE).predict(frame).tolist() == ABOVE.tolist()
    with pytest.raises(ValueError, match="lazy frame: collect it first"):
        above("a").fit(frame.lazy(), ABOVE)


def test_groups_stay_together_and_numeric_targets_are_cut() -> None:
    rule = "def f(x):\n    return '>= 3' if x['x0'] >= 3 else '< 3'\n"
    groups = np.repeat(np.arange(12), 5)
    model = ProgramClassifier(proposer=Scripted([rule]), threshold=3, random_state=0)
    model.fit(NUMBERS, NUMBERS[:, 0], groups=groups)
    assert model.classes_.tolist() == ["< 3", ">= 3"]
    assert model.certificate_.groups == 6
    assert model.certificate_.errors == 0
    assert model.predict([[2, 0, 0], [3, 0, 0]]).tolist() == ["< 3", ">= 3"]


def test_costs_that_are_no_dict_of_pairs_are_refused() -> None:
    for costs in ([1], {"ill": 5}, {("ill", "well"): "dear"}):
        with pytest.raises(ValueError, match=r"^costs is .*; give a dict such as "):
            classifier(PARITY, metric="cost", costs=costs).fit(TEXTS, ODD)


def test_weights_of_rows_decide_what_is_selected() -> None:
    small = "def f(x):\n    return int(x['x0'] > 8)\n"
    right = "def f(x):\n    return int(x['x0'] > 4)\n"
    labels = (NUMBERS[:, 0] > 4).astype(int)
    weights = np.where(NUMBERS[:, 0] > 8, 1.0, np.where(NUMBERS[:, 0] > 4, 0.0, 1.0))
    model = ProgramClassifier(proposer=Scripted([small, right]), attempts=2, random_state=0)
    # Rows that the shorter program gets wrong weigh nothing.
    assert model.fit(NUMBERS, labels, sample_weight=weights).program_.source.count("8") == 1
    assert model.fit(NUMBERS, labels).program_.source.count("4") == 1


def test_identifiers_of_a_frame_are_left_out_unless_kept() -> None:
    frame = mixed_frame()[["age"]].assign(id=range(100, 160))
    model = above("age").fit(frame, ABOVE)
    assert any("look like identifiers" in warning for warning in model.learned_.warnings)
    assert model.n_features_in_ == 2
    assert (model.predict(frame.assign(id=7)) == ABOVE).all()
    echo_id = "def f(x):\n    return int('id' in x)\n"
    kept = classifier(echo_id, keep=("id",)).fit(frame, ABOVE)
    assert kept.predict(frame).tolist() == [1] * 60
    assert classifier(echo_id).fit(frame, ABOVE).predict(frame).tolist() == [0] * 60
