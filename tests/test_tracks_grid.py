"""What a grid request comes to before any work: trials, skipped cells, refused requests."""

from pathlib import Path
from typing import Any

import pytest

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.grid import GridRequest

PUBLISHED_IDS = {
    *(f"fn_{letter}" for letter in "abcdefghijklmnopqtv"),
    "fn_aa",
}


def test_without_functions_every_published_id_is_planned_with_its_own_lengths() -> None:
    trials = GridRequest(trials=1).plan()
    lengths: dict[str, list[int]] = {}
    for trial in trials:
        lengths.setdefault(trial.cell.function, []).append(trial.length)
    assert set(lengths) == PUBLISHED_IDS
    assert len(PUBLISHED_IDS) == 20
    assert lengths["fn_a"] == [100, 50, 30, 25, 20]
    assert lengths["fn_h"] == [100, 80, 60, 40, 20]
    assert lengths["fn_aa"] == [300, 100]
    assert not any(trial.skipped for trial in trials)


def test_ids_and_names_of_one_task_are_planned_once() -> None:
    trials = GridRequest(functions=("parity_all", "fn_a"), lengths=(20, 20), trials=3).plan()
    assert [(t.cell.function, t.length, t.cell.trial) for t in trials] == [
        ("fn_a", 20, 0),
        ("fn_a", 20, 1),
        ("fn_a", 20, 2),
    ]


def test_a_length_that_cannot_be_is_skipped_with_its_reason_and_the_rest_stays() -> None:
    trials = GridRequest(functions=("fn_a", "fn_h"), lengths=(50, 20), trials=1).plan()
    skipped = {(t.cell.function, t.length): t.skipped for t in trials if t.skipped}
    assert list(skipped) == [("fn_h", 50)]
    assert "multiples of 4" in skipped["fn_h", 50]


def test_tables_keep_their_own_length() -> None:
    trials = GridRequest(functions=("breast_cancer", "fn_a"), lengths=(20,), trials=1).plan()
    assert [t.length for t in trials] == [30, 20]


def test_same_data_repeats_the_first_data_set_with_other_seeds() -> None:
    def of(*, same_data: bool) -> list[tuple[list[str], int]]:
        request = GridRequest(
            functions=("fn_a",), lengths=(20,), trials=2, test_size=10, same_data=same_data
        )
        return [
            ([str(text) for text in request.splits(t, None).train.inputs], request.spawned_seed(t))
            for t in request.plan()
        ]

    (first, seed_one), (second, seed_two) = of(same_data=True)
    assert first == second
    assert seed_one != seed_two
    (first, _), (second, _) = of(same_data=False)
    assert first != second


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown id": ({"functions": ("fn_zz",)}, "fn_zz"),
    "an odd size": ({"train_size": 101}, "101"),
    "no validation rows": ({"validation_size": 0}, "validation"),
    "too many test rows": ({"test_size": 20_000}, "10,000"),
    "no trials": ({"trials": 0}, "trials is 0"),
    "a negative seed": ({"seed": -1}, "-1"),
    "no lengths": ({"lengths": ()}, "length"),
    "an unknown sampler": ({"sampler": "easy"}, "easy"),
    "no cell that can be": ({"functions": ("fn_h",), "lengths": (50, 7)}, "multiples of 4"),
    "a table for no table": ({"functions": ("fn_a",), "table": Path("x.csv")}, "--functions"),
}


@pytest.mark.parametrize(("options", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_a_request_invalid_as_a_whole_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        GridRequest(**options).plan()
