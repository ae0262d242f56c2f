"""``llm-pv tasks`` as a user meets it."""

import json

import pytest

from llm_pv.cli.main import run
from llm_pv.tasks import TASKS


def test_every_task_is_listed_with_its_id_and_an_example_of_each_class(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["tasks"]) == 0
    shown = capfd.readouterr().out
    for task in TASKS.values():
        assert task.name in shown
        assert task.id in shown
    assert "0: 0110" in shown
    assert "1: 0111" in shown


def test_the_json_list_holds_what_is_to_be_known_of_a_task(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["tasks", "--format", "json"]) == 0
    records = {record["name"]: record for record in json.loads(capfd.readouterr().out)}
    assert set(records) == set(TASKS)
    assert records["dyck2"]["id"] == "fn_h"
    assert records["dyck2"]["default_lengths"] == [100, 80, 60, 40, 20]
    assert records["dyck2"]["samplers"] == ["paper", "hard"]
    assert records["parity_rand_3"]["length_generalising"] is False
    assert records["breast_cancer"]["lengths"] == "30 features"


def test_the_examples_of_a_task_have_the_labels_they_are_listed_under() -> None:
    for task in TASKS.values():
        if task.alphabet != "table":
            assert task.target(task.examples).tolist() == [0, 1], task.name
