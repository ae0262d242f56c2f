"""How inputs become numbers, and numbers bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.data.examples import Input
from llm_pv.tracks.baselines.features import MOST_CHARACTERS, MOST_VALUES, Features, fit_encoder
from llm_pv.tracks.baselines.genetic_programming import (
    MOST_SYMBOLS,
    THRESHOLDS,
    Bit,
    fit_bits,
    pack,
    unpack,
)


def test_a_bit_string_gives_its_bits() -> None:
    encoder = fit_encoder(["0110", "1001"])
    assert encoder.encode(["0011"]).matrix.tolist() == [[0, 0, 1, 1]]
    assert encoder.encode(["0011"]).kinds == ("symbol",) * 4


def test_characters_are_ranked_and_a_new_one_or_none_is_minus_one() -> None:
    encoder = fit_encoder(["b1", "a9"])  # in order: 1 9 a b
    assert encoder.encode(["a1", "z9", "b"]).matrix.tolist() == [[2, 0], [-1, 1], [3, -1]]


def test_strings_of_differing_length_give_their_length_too_and_longer_ones_are_cut() -> None:
    encoder = fit_encoder(["1", "011"])
    assert encoder.encode(["1", "01", "10101"]).matrix.tolist() == [
        [1, -1, -1, 1],
        [0, 1, -1, 2],
        [1, 0, 1, 5],
    ]
    assert encoder.encode([]).matrix.shape == (0, 4)


def test_very_long_strings_are_cut_and_that_is_told() -> None:
    encoder = fit_encoder(["01" * MOST_CHARACTERS])
    assert encoder.encode(["0"]).matrix.shape == (1, MOST_CHARACTERS)
    assert "4,000 characters" in encoder.warnings[0]
    assert fit_encoder(["01"]).warnings == ()


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8), st.lists(st.text(max_size=9)))
def test_any_strings_give_finite_numbers_and_equal_ones_for_equal_strings(
    train: list[str], others: list[str]
) -> None:
    encoder = fit_encoder(train)
    features = encoder.encode([*others, *others])
    assert np.isfinite(features.matrix).all()
    assert features.matrix.shape == (2 * len(others), len(features.kinds))
    assert (features.matrix[: len(others)] == features.matrix[len(others) :]).all()


def test_a_table_gives_numbers_medians_for_missing_ones_and_flags_for_texts() -> None:
    train: list[Input] = [
        {"age": 20, "job": "cook", "smokes": True},
        {"age": None, "job": "cook", "smokes": False},
        {"age": 40, "job": "smith", "smokes": None},
        {"age": 70, "job": None, "smokes": True},
    ]
    features = fit_encoder(train).encode([*train, {"age": 1.5, "job": "baker", "smokes": None}])
    # age, age missing, cook, smith, job missing, smokes, smokes missing
    assert features.kinds == ("number", "flag", "flag", "flag", "flag", "number", "flag")
    assert features.matrix.tolist() == [
        [20, 0, 1, 0, 0, 1, 0],
        [40, 1, 1, 0, 0, 0, 0],
        [40, 0, 0, 1, 0, 1, 1],
        [70, 0, 0, 0, 1, 1, 0],
        [1.5, 0, 0, 0, 0, 1, 1],
    ]


def test_only_frequent_texts_get_a_flag() -> None:
    train: list[Input] = [{"zip": "often"}, {"zip": "often"}]
    train += [{"zip": f"{n:02}"} for n in range(50)]
    features = fit_encoder(train).encode([{"zip": "often"}, {"zip": "00"}, {"zip": "49"}])
    assert features.matrix.shape == (3, MOST_VALUES)
    assert features.matrix.sum(axis=1).tolist() == [1, 1, 0]


def test_numbers_beyond_every_float_stay_finite() -> None:
    features = fit_encoder([{"n": 10**400, "m": float("nan")}, {"n": 0, "m": 1.0}]).encode(
        [{"n": -(10**400), "m": float("inf")}, {"n": float("nan"), "m": 2}]
    )
    assert np.isfinite(features.matrix).all()


def test_a_column_without_a_value_gives_no_feature_of_its_own() -> None:
    features = fit_encoder([{"empty": None}, {"empty": None}]).encode([{"empty": None}])
    assert features.matrix.tolist() == [[1]]
    assert fit_encoder([{}]).encode([{}, {}]).matrix.tolist() == [[0], [0]]


def test_two_values_are_one_bit_and_several_symbols_one_bit_each() -> None:
    matrix = np.array([[0, 0, 7], [1, 1, 7], [1, 2, 7]], dtype=float)
    tests = fit_bits(Features(matrix, ("symbol", "symbol", "number")))
    assert tests == [
        Bit(0, 0.5, is_threshold=True),
        *(Bit(1, float(value), is_threshold=False) for value in range(3)),
    ]
    # Rows from the lowest bit on: the first feature is 0, 1, 1; the second is 0, then 1, then 2.
    packed = pack(Features(matrix, ("symbol", "symbol", "number")), tests)
    assert packed == [0b110, 0b001, 0b010, 0b100]


def test_a_quantity_becomes_a_few_thresholds_that_split_rows_evenly() -> None:
    rows = Features(np.arange(80, dtype=float)[:, None], ("number",))
    tests = fit_bits(rows)
    assert len(tests) == THRESHOLDS
    above = [bits.bit_count() for bits in pack(rows, tests)]
    assert above == pytest.approx([70, 60, 50, 40, 30, 20, 10], abs=1)


def test_of_many_symbols_the_frequent_ones_get_a_bit() -> None:
    column = np.array([*range(40), 30, 31], dtype=float)[:, None]
    tests = fit_bits(Features(column, ("symbol",)))
    assert len(tests) == MOST_SYMBOLS
    assert {30.0, 31.0} <= {test.value for test in tests}


@given(st.lists(st.booleans(), max_size=70))
def test_packing_and_unpacking_undo_each_other(bits: list[bool]) -> None:
    rows = Features(np.array(bits, dtype=float).reshape(-1, 1), ("flag",))
    (packed,) = pack(rows, [Bit(0, 0.5, is_threshold=True)])
    assert unpack(packed, len(bits)).tolist() == bits
