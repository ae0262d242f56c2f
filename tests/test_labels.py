"""The label rule of the architecture, on values written out by hand."""

import math

import numpy as np
import pytest

from llm_pv.data.labels import label_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "1"),
        (False, "0"),
        (7, "7"),
        (2.0, "2"),
        (-0.0, "0"),
        (0.25, "0.25"),
        ("007", "007"),
        ("", ""),
        (np.int64(3), "3"),
        (np.float32(1.0), "1"),
        (np.bool_(True), "1"),
        (np.str_("a"), "a"),
        (1e20, "100000000000000000000"),
    ],
)
def test_a_label_is_read_by_the_one_rule(value: object, text: str) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize("value", [None, [], (1,), b"1", 1j, np.array([1])])
def test_values_of_other_types_are_no_labels(value: object) -> None:
    with pytest.raises(TypeError, match="is no label"):
        label_text(value)


@pytest.mark.parametrize("value", [math.nan, np.float64("nan")])
def test_a_nan_is_no_label(value: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        label_text(value)


def test_a_subclass_cannot_lie_about_its_text() -> None:
    class Liar(str):
        def __str__(self) -> str:
            return "lie"

    assert label_text(Liar("truth")) == "truth"
