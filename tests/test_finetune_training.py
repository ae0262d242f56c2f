"""Training as such: equal to a plain loop, learning, resuming, and what it leaves on disk."""

import copy
import csv
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch
from torch import nn
from torch.nn import functional

from llm_pv.errors import ConfigurationError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.job_folder import JobFolder
from llm_pv.runs.runner import Observer
from llm_pv.tracks.finetune.job import is_finished, run_job
from llm_pv.tracks.finetune.measures import StepDone
from llm_pv.tracks.finetune.request import Job, JobContext, ModelRequest, TrainingRequest
from llm_pv.tracks.finetune.rows import TaskRows
from llm_pv.tracks.finetune.training import ClassifierTrainer, MetricsCallback

ROOT = Path(__file__).parents[1]


def job(out: Path, **changes: Any) -> Job:
    """A small job; options go where they belong by their names."""
    parts: dict[str, dict[str, Any]] = {
        "model": {"model": "tiny"},
        "rows": {"function": "first_character", "length": 8, "train_size": 40, "test_size": 20},
        "training": {"batch_size": 10, "epochs": 4, "learning_rate": 1e-3, "evaluate_every": 2},
        "around": {"out": out, "report_to": "none", "device": "cpu"},
    }
    kinds: dict[str, Any] = {"model": ModelRequest, "rows": TaskRows, "training": TrainingRequest,
             "around": JobContext}  # fmt: skip
    for name, value in changes.items():
        owner = next(
            part for part, kind in kinds.items() if name in {field.name for field in fields(kind)}
        )
        parts[owner][name] = value
    return Job(*(kinds[part](**parts[part]) for part in kinds))


def metrics(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return record


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def plain_loop(asked: Job, steps: int) -> tuple[list[float], nn.Module, torch.Tensor]:
    """Train as a reader of the documentation would: no Trainer, no code of the room's.

    Returns the loss of each step, the model, and its predictions on the test rows.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed

    rows = asked.rows.load(asked.training.batch_size)
    numbers = {"0": 3, "1": 4}  # after padding, beginning and unknown

    def tokens(texts: Any) -> torch.Tensor:
        return torch.tensor([[1, *(numbers[c] for c in text)] for text in texts])

    inputs, labels = tokens(rows.train.inputs), torch.tensor([int(y) for y in rows.train.labels])
    set_seed(asked.training.seed)
    build: Any = AutoModelForSequenceClassification.from_config
    model = build(
        AutoConfig.for_model(
            "qwen3", vocab_size=5, hidden_size=64, intermediate_size=192, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-6,
            rope_theta=10_000.0, tie_word_embeddings=True, max_position_embeddings=9,
            pad_token_id=0, bos_token_id=1, num_labels=2, use_cache=False,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=asked.training.learning_rate, weight_decay=1e-5
    )
    batch, losses = asked.training.batch_size, []
    an_epoch = len(inputs) // batch
    first, last = asked.training.learning_rate, asked.training.final_learning_rate
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
        epoch = step // an_epoch
        generator = torch.Generator().manual_seed(asked.training.seed + epoch)
        order = torch.randperm(len(inputs), generator=generator)
        chosen = order[step % an_epoch * batch :][:batch]
        loss: Any = functional.cross_entropy(model(inputs[chosen]).logits, labels[chosen])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        predictions = model(tokens(rows.test.inputs)).logits.argmax(1)
    return losses, model, predictions


def test_twenty_steps_equal_those_of_a_plain_loop(tmp_path: Path) -> None:
    asked = job(tmp_path / "run", epochs=5, evaluate_every=1, save_model=True)
    assert asked.training.final_learning_rate == 1e-6
    losses, model, predictions = plain_loop(asked, steps=20)
    measured = run_job(asked)
    assert [entry["step"] for entry in measured["evaluations"]] == [4, 8, 12, 16, 20]
    for entry in measured["evaluations"]:
        mean = sum(losses[entry["step"] - 4 : entry["step"]]) / 4
        assert entry["loss"] == pytest.approx(mean, abs=1e-5)
    with (tmp_path / "run" / "predictions" / "first_character-L8-paper-t0.csv").open() as file:
        written = [int(row["prediction"]) for row in csv.DictReader(file)]
    assert written == predictions.tolist()
    from safetensors.torch import load_file

    kept = load_file(tmp_path / "run" / "model" / "model.safetensors")
    for name, parameter in model.named_parameters():
        assert torch.allclose(kept[name], parameter, atol=1e-5), name


def test_a_tiny_model_learns_the_majority_of_nine_from_fresh_rows(tmp_path: Path) -> None:
    asked = job(tmp_path, function="majority", length=9, online=True, train_size=400, test_size=200,
                batch_size=20, epochs=16, learning_rate=3e-3, evaluate_every=4)  # fmt: skip
    measured = run_job(asked)
    assert measured["test_accuracy"] >= 0.99
    assert measured["train_rows"] == 6_400
    assert measured["majority_accuracy"] == 0.5


def test_a_tiny_model_learns_the_first_character(tmp_path: Path) -> None:
    measured = run_job(job(tmp_path, length=20, train_size=200, test_size=200, batch_size=20,
                           epochs=6, evaluate_every=1))  # fmt: skip
    assert measured["test_accuracy"] >= 0.99
    assert measured["seconds_to_train_accuracy_1"] <= measured["learn_seconds"]


def test_a_job_leaves_the_files_of_the_seed_and_a_row_of_the_common_summary(tmp_path: Path) -> None:
    asked = job(tmp_path, report_to="tensorboard", test_lengths=(16,))
    run_job(asked)
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert names >= {"run.json", "config.json", "stdout.log", "logs.log", "metrics.json",
                     "summary.csv", "predictions", "tensorboard", "transfer.jsonl"}  # fmt: skip
    assert "checkpoints" not in names
    (row,) = summary(tmp_path)
    measured = metrics(tmp_path)
    assert (row["track"], row["method"], row["model"]) == ("finetune", "from-scratch", "tiny")
    assert (row["function"], row["length"], row["train_size"]) == ("first_character", "8", "40")
    assert float(row["accuracy"]) == measured["test_accuracy"]
    assert float(row["low"]) <= float(row["accuracy"]) <= float(row["high"])
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["lr"], config["sequence_length"], config["precision"]) == (1e-3, 8, "fp32")
    there = json.loads((tmp_path / "transfer.jsonl").read_text())
    assert (there["length_there"], there["rows"]) == (16, 20)
    assert there["accuracy"] == measured["other_length"]["test_accuracy"]
    assert list((tmp_path / "tensorboard").iterdir())
    with (tmp_path / "predictions" / "first_character-L8-paper-t0.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert right / len(rows) == measured["test_accuracy"]
    assert "epoch 4/4" in (tmp_path / "stdout.log").read_text()
    assert measured["learn_seconds_a_sample"] == pytest.approx(
        measured["learn_seconds"] / 40, abs=1e-4
    )


def test_a_finished_job_is_read_back_and_another_configuration_refused(tmp_path: Path) -> None:
    asked = job(tmp_path, epochs=2)
    assert not is_finished(asked)
    first = run_job(asked)
    assert is_finished(asked)
    before = (tmp_path / "metrics.json").read_bytes()
    assert run_job(asked) == first | {"already_finished": True}
    assert (tmp_path / "metrics.json").read_bytes() == before
    other = job(tmp_path, epochs=3)
    assert not is_finished(other)
    with pytest.raises(RunError, match="n_epochs is 2 there and 3 here"):
        run_job(other)


class StopAt(Observer):
    """Interrupts a job at a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_event(self, cell: Cell, event: object) -> None:
        if event == StepDone(self.step):
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_job_goes_on_from_the_step_it_stopped_at(tmp_path: Path) -> None:
    whole = run_job(job(tmp_path / "whole"))
    asked = job(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        run_job(asked, StopAt(7))
    found = JobFolder(tmp_path / "cut").last_checkpoint()
    assert found is not None
    assert found[0].name in {"checkpoint-7", "checkpoint-8"}
    assert not is_finished(asked)
    resumed = run_job(asked)
    for one, other in zip(whole["evaluations"], resumed["evaluations"], strict=True):
        assert [one[key] for key in ("step", "train_loss", "test_loss")] == [
            other[key] for key in ("step", "train_loss", "test_loss")
        ]


def test_an_interrupted_job_tells_the_losses_of_one_that_was_not(tmp_path: Path) -> None:
    whole = run_job(job(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run_job(job(tmp_path / "cut"), StopAt(3))  # in the first of two epochs before a look
    resumed = run_job(job(tmp_path / "cut"))
    for one, other in zip(whole["evaluations"], resumed["evaluations"], strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_last_evaluation_finishes_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    evaluated = MetricsCallback.evaluated

    def interrupted(self: MetricsCallback, step: int, measured: Any) -> None:
        if step == 16:
            os.kill(os.getpid(), number)
        evaluated(self, step, measured)

    monkeypatch.setattr(MetricsCallback, "evaluated", interrupted)
    asked = job(tmp_path)
    assert run_job(asked)["step"] == 16
    assert is_finished(asked)


def test_testing_at_another_length_is_no_time_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    predict = ClassifierTrainer.predict

    def slow(self: ClassifierTrainer, *given: Any, **named: Any) -> Any:
        for _ in range(1_000_000):
            next(clock)
        return predict(self, *given, **named)

    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(ClassifierTrainer, "predict", slow)
    assert run_job(job(tmp_path, test_lengths=(16,)))["learn_seconds"] < 1_000_000


def test_a_job_resumed_after_kill_9_equals_one_that_was_not_killed(tmp_path: Path) -> None:
    options = ["--model", "tiny", "--target_func", "majority", "--sequence_length", "12",
               "--train_set_size", "40", "--test_set_size", "20", "--batch_size", "10",
               "--n_epochs", "24", "--eval_every", "3", "--lr", "1e-3", "--report_to", "none",
               "--checkpoint_minutes", "0", "--online", "--device", "cpu"]  # fmt: skip
    command = [sys.executable, str(ROOT / "finetuning" / "main.py"), *options, "--save_model"]
    child = subprocess.Popen(
        [*command, "--results-path", "cut"], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    folder = JobFolder(tmp_path / "cut")
    deadline = time.monotonic() + 100
    while folder.last_checkpoint() is None and child.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.01)  # between two looks; nothing depends on how long
    child.kill()
    child.wait()
    assert not (tmp_path / "cut" / "model").exists()
    from llm_pv.cli.finetune import parse_job

    for name in ("cut", "whole"):
        run_job(parse_job([*options, "--save_model", f"--results-path={tmp_path / name}"]))
    cut, whole = metrics(tmp_path / "cut"), metrics(tmp_path / "whole")
    assert cut["step"] == whole["step"] == 96
    for figure in ("train_loss", "test_loss", "test_accuracy", "loss"):
        assert [entry[figure] for entry in cut["evaluations"]] == [
            entry[figure] for entry in whole["evaluations"]
        ]
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes()
               for name in ("cut", "whole")]  # fmt: skip
    assert weights[0] == weights[1]
    assert len(summary(tmp_path / "cut")) == 1


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.last_checkpoint() is None
    (folder.checkpoints / "checkpoint-20").mkdir(parents=True)
    (folder.checkpoints / "checkpoint-30").mkdir()
    folder.complete(20, {"seconds": 1.5, "evaluations": []})
    assert [path.name for path in folder.checkpoints.iterdir()] == ["checkpoint-20"]
    (folder.checkpoints / "checkpoint-40").mkdir()
    (folder.checkpoints / "checkpoint-40" / "complete.json").write_text('{"sec')
    assert folder.last_checkpoint() == (
        folder.checkpoints / "checkpoint-20",
        {"seconds": 1.5, "evaluations": []},
    )


def test_memory_that_runs_out_is_one_line_and_keeps_what_was_measured(
    tmp_path: Path,
) -> None:

    class Greedy(Observer):
        def on_event(self, cell: Cell, event: object) -> None:
            if event == StepDone(10):
                torch.empty(1 << 60, dtype=torch.uint8)  # what an allocator says to too much

    with pytest.raises(RunError, match="memory ran out: give a smaller --batch-size") as caught:
        run_job(job(tmp_path), Greedy())
    assert "\n" not in str(caught.value)
    assert metrics(tmp_path)["evaluations"][0]["step"] == 8
    (row,) = summary(tmp_path)
    assert row["status"] == "failed"
    assert "memory ran out" in row["reason"]
    run_job(job(tmp_path))  # and the job can be done anew
    assert summary(tmp_path)[0]["status"] == "done"


def test_bf16_on_a_cpu_learns_the_same_rule(tmp_path: Path) -> None:
    measured = run_job(job(tmp_path, precision="bf16", epochs=10, learning_rate=3e-3))
    assert measured["precision"] == "bf16"
    assert measured["train_accuracy"] == 1.0


def test_computing_activations_again_changes_no_loss(tmp_path: Path) -> None:
    plain = run_job(job(tmp_path / "plain", epochs=2))
    again = run_job(job(tmp_path / "again", epochs=2, checkpointing="on"))
    assert again["memory"]["checkpointing"]
    assert again["loss"] == pytest.approx(plain["loss"], abs=1e-6)


@pytest.mark.slow
def test_a_compiled_model_trains_and_is_evaluated_compiled_with_equal_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[bool] = []

    def recorded(call: Any, **options: Any) -> Any:
        def run(*words: Any, **named: Any) -> Any:
            passes.append(torch.is_grad_enabled())
            return compiled(*words, **named)

        compiled = torch_compile(call, backend="eager", **options)  # needs no C++ compiler
        return run

    torch_compile: Any = torch.compile
    run_job(job(tmp_path / "plain"))
    assert passes == []
    monkeypatch.setattr(torch, "compile", recorded)
    run_job(job(tmp_path / "compiled", compile=True))
    assert passes.count(True) == 16, "one for each step"
    assert passes.count(False) >= 2 * 2, "both sets, at two evaluations"
    for one, other in zip(
        metrics(tmp_path / "compiled")["evaluations"],
        metrics(tmp_path / "plain")["evaluations"],
        strict=True,
    ):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
        assert one["test_accuracy"] == other["test_accuracy"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch itself uses it
def test_a_compiler_that_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    torch.compiler.reset()
    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(RunError, match=r"torch.compile failed .*leave --compile out") as caught:
        run_job(job(tmp_path / "out", compile=True))
    assert "\n" not in str(caught.value)


def test_a_training_that_diverged_is_told_of(tmp_path: Path) -> None:
    measured = run_job(job(tmp_path, learning_rate=1e30))
    assert measured["train_loss"] is None
    assert "warning: the training diverged" in (tmp_path / "stdout.log").read_text()


def test_weights_and_order_depend_on_the_seed(tmp_path: Path) -> None:
    losses = {
        seed: run_job(job(tmp_path / str(seed), epochs=2, seed=seed))["loss"] for seed in (1, 2)
    }
    assert losses[1] != losses[2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is to be seen here")
def test_a_gpu_trains_in_bf16_and_learns(tmp_path: Path) -> None:
    measured = run_job(job(tmp_path, device="cuda", epochs=20, learning_rate=3e-3))
    assert (measured["device"], measured["precision"]) == ("cuda", "bf16")
    assert measured["train_accuracy"] == 1.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="no CUDA device is to be seen here; give --device"
    ):
        run_job(job(tmp_path / "run", device="cuda"))
    assert not (tmp_path / "run").exists()


def test_a_copy_of_the_job_is_the_same_job(tmp_path: Path) -> None:
    asked = job(tmp_path)
    assert copy.deepcopy(asked).options() == asked.options()
