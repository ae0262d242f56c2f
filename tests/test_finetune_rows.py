"""The rows of a job: characters, fresh rows, warm-up rules, files, requests that cannot be."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tasks import task
from llm_pv.tasks.drawing import Source
from llm_pv.tracks.finetune.batches import CharacterTokens
from llm_pv.tracks.finetune.online_rows import OnlineRows
from llm_pv.tracks.finetune.preparation import ProcessGroup, choose_precision, require_packages
from llm_pv.tracks.finetune.request import JobContext, TrainingRequest
from llm_pv.tracks.finetune.rows import TaskRows, known_task


@given(st.lists(st.text(), max_size=5), st.text(max_size=10))
def test_known_characters_have_a_token_each_and_others_share_one(
    texts: list[str], other: str
) -> None:
    tokens = CharacterTokens.of(texts)
    for text in [*texts, other]:
        (row,) = tokens.encode([text])
        assert row[0] == 1
        assert len(row) == len(text) + 1
        for character, number in zip(text, row[1:].tolist(), strict=True):
            if character in "".join(texts):
                assert number >= 3
                assert tokens.alphabet[number - 3] == character
            else:
                assert number == 2
    assert tokens.size == len(set("".join(texts))) + 3


def test_the_rows_of_a_step_depend_on_seed_and_step_alone() -> None:
    fresh = OnlineRows(Source(task("fn_c"), 20, "paper", 3, 1), 10, frozenset())
    steps = [fresh.step(number) for number in (0, 5, 9)]
    again = OnlineRows(Source(task("fn_c"), 20, "paper", 3, 1), 10, frozenset())
    assert [again.step(number) for number in (9, 0, 5)] == [steps[2], steps[0], steps[1]]
    other = OnlineRows(Source(task("fn_c"), 20, "paper", 4, 1), 10, frozenset())
    assert other.step(0) != steps[0]
    assert steps[0] != steps[1]


def test_fresh_rows_are_balanced_right_and_never_test_rows() -> None:
    rows = TaskRows("majority", 9, online=True, train_size=20, test_size=300).load(20)
    assert rows.fresh is not None
    held_out = set(map(str, rows.test.inputs))
    for number in range(20):
        step = rows.fresh.step(number)
        assert not held_out & set(map(str, step.inputs))
        assert step.labels.count("1") == step.labels.count("0") == 10
        for text, label in zip(step.inputs, step.labels, strict=True):
            assert label == ("1" if str(text).count("1") >= 5 else "0")


def test_fresh_rows_that_cannot_be_found_are_an_error() -> None:
    everything = frozenset("".join(bits) for bits in itertools.product("01", repeat=4))
    fresh = OnlineRows(Source(known_task("majority"), 4, "paper", 0, 0), 2, everything)
    with pytest.raises(DataError, match="give a smaller --test-set-size"):
        fresh.step(0)


def test_batches_of_fresh_rows_are_the_same_in_one_process_and_in_two() -> None:
    pytest.importorskip("torch")
    from llm_pv.tracks.finetune.batches import OnlineBatches

    fresh = OnlineRows(Source(task("fn_a"), 8, "paper", 0, 0), 4, frozenset())
    tokens = CharacterTokens("01", 5)
    classes = Classes(("0", "1"), (0, 1))

    def batches(*parts: list[int]) -> list[Any]:
        source = OnlineBatches(fresh, 3, classes, tokens, None)
        return [row for part in parts for row in source.__getitems__(part)["input_ids"].tolist()]

    assert batches([0, 1, 2, 3], [4, 5, 6, 7]) == batches([0, 1], [2, 3], [4, 5], [6, 7])
    assert batches([5, 2]) == [batches([5])[0], batches([2])[0]]


def test_mixed_lengths_are_filled_up_and_masked_and_equal_ones_are_not() -> None:
    pytest.importorskip("torch")
    from llm_pv.tracks.finetune.batches import EncodedRows

    examples = Examples(["01", "1", "10"], ["a", "b", "c"])
    rows = EncodedRows(
        examples, Classes(("a", "b", "c"), ("a", "b", "c")), CharacterTokens("01", 5), None
    )
    mixed = rows.__getitems__([0, 1])
    assert mixed["input_ids"].tolist() == [[1, 3, 4], [1, 4, 0]]
    assert mixed["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    equal = rows.__getitems__([2, 0])
    assert equal["input_ids"].tolist() == [[1, 4, 3], [1, 3, 4]]
    assert equal["labels"].tolist() == [2, 0]
    assert "attention_mask" not in equal
    assert rows[1]["labels"].item() == 1


def test_the_training_rows_are_those_other_methods_train_and_validate_on(tmp_path: Path) -> None:
    from llm_pv.tasks import load_task

    rows = TaskRows("fn_a", 20, train_size=40, test_size=60, dataset_dir=tmp_path).load(20)
    splits = load_task("fn_a", length=20, train_size=20, validation_size=20, test_size=60)
    assert list(rows.train.inputs) == [*splits.train.inputs, *splits.validation.inputs]
    assert rows.test == splits.test


def test_warm_up_rules_are_known_by_name_and_others_are_named() -> None:
    rule = known_task("majority")
    texts = ["".join(bits) for bits in itertools.product("01", repeat=5)]
    assert rule.target(texts).tolist() == [int(text.count("1") >= 3) for text in texts]
    first = known_task("first_character")
    assert first.target(texts).tolist() == [int(text[0]) for text in texts]
    with pytest.raises(ConfigurationError, match=r"no task 'majorty'.*first_character or majority"):
        known_task("majorty")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": "fn_zz"}, "no task 'fn_zz'"),
        ({"length": 2}, "parity_all has no inputs of length 2"),
        ({"test_lengths": (3,)}, "parity_all has no inputs of length 3"),
        ({"train_size": 0}, "--train-set-size is 0"),
        ({"train_size": 7}, "train size 7 cannot be half of each class"),
        ({"test_size": 20_000}, "more than the pool"),
        ({"seed": -1}, "--seed -1 is negative"),
        ({"function": "fn_e", "test_lengths": (100,)}, "another function at each length"),
        ({"function": "breast_cancer", "length": None, "test_lengths": (31,)}, "one length|alone"),
        ({"function": "breast_cancer", "length": None, "online": True}, "no fresh rows"),
        ({"online": True, "train_size": 50}, "no multiple of --batch-size 20"),
    ],
)
def test_rows_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    rows = replace(TaskRows("fn_a", 20), **changes)
    with pytest.raises(ConfigurationError, match=message):
        rows.check(20)


def test_fresh_rows_need_an_even_batch() -> None:
    with pytest.raises(ConfigurationError, match="give an even --batch-size, not 5"):
        TaskRows("fn_a", 20, online=True).check(5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"final_learning_rate": 1.0}, r"final_learning_rate is 1\.0; give a number from 0 to"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"epochs": -1}, "epochs is -1"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; give a number 0 or more"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"seed": -5}, "seed is -5"),
        ({"precision": "fp8"}, "precision is 'fp8'; choose bf16, fp16, fp32"),
    ],
)
def test_training_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TrainingRequest(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes is -1.0"),
        ({"eval_batch_size": 0}, "eval_batch_size is 0"),
    ],
)
def test_surroundings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        JobContext(Path("out"), **changes)


def test_a_batch_that_does_not_divide_among_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    world = ProcessGroup.here()
    assert not world.first
    assert world.share(21) == 7
    with pytest.raises(
        ConfigurationError, match="20 does not divide among 3 processes; give a mult"
    ):
        world.share(20)


def test_precision_on_a_cpu_is_fp32_unless_bf16_is_asked_for() -> None:
    assert choose_precision(None, "cpu") == "fp32"
    assert choose_precision("bf16", "cpu") == "bf16"
    with pytest.raises(ConfigurationError, match="--precision fp16 needs a GPU"):
        choose_precision("fp16", "cpu")


def test_a_reporter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_pv.tracks.finetune import preparation

    monkeypatch.setattr(
        preparation, "find_spec", lambda name: None if name == "wandb" else object()
    )
    with pytest.raises(ConfigurationError, match="wandb is not installed: pip install wandb, or"):
        require_packages("wandb", adapters=False)
    monkeypatch.setattr(preparation, "find_spec", lambda name: None if name == "peft" else object())
    require_packages("none", adapters=False)
    with pytest.raises(ImportError, match=r"peft is needed .* 'llm-pv\[finetune\]'"):
        require_packages("none", adapters=True)


def test_table_rows_become_texts() -> None:
    rows = TaskRows("breast_cancer", train_size=20, test_size=20).load(20)
    assert str(rows.train.inputs[0]).startswith("x0:")
    assert rows.longest == max(len(str(x)) for x in [*rows.train.inputs, *rows.test.inputs])
    assert np.unique(rows.train.labels).tolist() == ["0", "1"]
