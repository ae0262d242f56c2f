"""Samples a second of training and evaluation, beside a plain loop as it was published.

Run it as ``python -m benchmarks.finetune speed``; on a GPU it measures qwen0.6B and qwen1.7B at
lengths 50 and 100, on a CPU ``tiny``. Both sides have the same weights, rows and order. The plain
loop has float32 weights, autocast to bf16 (on a CPU only with ``--autocast``: without it both sides
compute in float32), gradient checkpointing, an unfused AdamW, the attention transformers picks, and
evaluates the test rows in batches of the training size under autocast. ``--compile`` compiles our
side. RoundRobin alternate between the sides, after a warm-up; accuracy is that of each after the
same number of steps. ``python -m benchmarks.finetune learning`` times how long ``tiny`` takes from
scratch to 99% on the first character and on the majority of nine, imports included.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from llm_pv.runs.job_folder import JobFolder
from llm_pv.tracks.finetune.architectures import architecture
from llm_pv.tracks.finetune.batches import CharacterTokens, EncodedRows
from llm_pv.tracks.finetune.building import from_scratch
from llm_pv.tracks.finetune.preparation import ProcessGroup, prepare
from llm_pv.tracks.finetune.request import Job, JobContext, ModelRequest, TrainingRequest
from llm_pv.tracks.finetune.results import Recorder
from llm_pv.tracks.finetune.rows import TaskRows
from llm_pv.tracks.finetune.training import Assembly, assemble

BATCH, TRAIN_ROWS, ROUNDS = 20, 400, 5
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16 operations a second, from the makers' data sheets."""


@dataclass(frozen=True)
class Speed:
    """Samples a second of both sides, a number for each round."""

    ours: list[float]
    plain: list[float]

    def text(self) -> str:
        """Return medians, ranges and the median of the ratios of rounds."""
        ratios = [ours / plain for ours, plain in zip(self.ours, self.plain, strict=True)]
        sides = (
            f"{statistics.median(side):.1f} ({min(side):.1f} to {max(side):.1f})"
            for side in (self.ours, self.plain)
        )
        return f"{' | '.join(sides)} | {statistics.median(ratios):.2f}"


class Plain:
    """The published loop."""

    def __init__(self, job: Job, assembly: Assembly, device: str, *, autocast: bool) -> None:
        tokens = assembly.tokens
        assert isinstance(tokens, CharacterTokens)
        model: Any = from_scratch(
            architecture(job.model.name).config,
            tokens,
            classes=2,
            positions=(job.rows.longest or 0) + 1,
            seed=job.training.seed,
        )
        self.model = model.to(device)
        self.model.activation_checkpointing_enable()
        self._device = device
        self._casts = autocast
        training = job.training
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        self._scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, assembly.sets.steps, training.final_learning_rate
        )

    def train(self, rows: EncodedRows, epoch: int, seed: int) -> None:
        """Make one pass over the rows."""
        self.model.train()
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed + epoch))
        for start in range(0, len(rows), BATCH):
            batch = self._batch(rows, order[start : start + BATCH].tolist())
            self._optimizer.zero_grad()
            with self._autocast():
                logits = self.model(input_ids=batch["input_ids"], use_cache=False).logits
                loss = functional.cross_entropy(logits.float(), batch["labels"])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._optimizer.step()
            self._scheduler.step()
            loss.item()  # as a loop that prints its loss does

    def accuracy(self, rows: EncodedRows) -> float:
        """Evaluate the rows."""
        self.model.eval()
        right = 0
        with torch.no_grad(), self._autocast():
            for start in range(0, len(rows), BATCH):
                batch = self._batch(rows, list(range(start, min(start + BATCH, len(rows)))))
                logits = self.model(input_ids=batch["input_ids"], use_cache=False).logits
                right += int((logits.argmax(-1) == batch["labels"]).sum().item())
        return right / len(rows)

    def _batch(self, rows: EncodedRows, indices: list[int]) -> dict[str, torch.Tensor]:
        return {name: value.to(self._device) for name, value in rows.__getitems__(indices).items()}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if not self._casts:
            return contextlib.nullcontext()
        return torch.autocast(self._device, torch.bfloat16)


def speed(model: str, length: int, device: str, *, compiled: bool, autocast: bool) -> None:
    """Measure one model at one length and print a line of the table."""
    rows = TaskRows("fn_a", length, train_size=TRAIN_ROWS, test_size=2_000)
    training = TrainingRequest(
        batch_size=BATCH, epochs=ROUNDS + 1, evaluate_every=10**6, compile=compiled
    )
    with tempfile.TemporaryDirectory() as folder:
        around = JobContext(Path(folder), device=device, report_to="none")
        job = Job(ModelRequest(model), rows, training, around)
        prepared = prepare(job, ProcessGroup())
        drawn = rows.load(BATCH)
        quiet = Recorder(job, prepared, lambda _: None, None)
        assembly = assemble(job, prepared, drawn, JobFolder(Path(folder)), quiet)
        train, test = assembly.sets.train, assembly.sets.test
        assert isinstance(train, EncodedRows)
        plain = Plain(job, assembly, device, autocast=autocast)
        trainer, rows_of_plain = assembly.trainer, train
        steps = assembly.sets.steps_an_epoch
        marks: list[float] = []
        learning = Speed([], [])

        class Alternating(Recorder):
            """Lets the plain loop make its pass after each of ours, with ours standing still."""

            def on_step(self, step: int) -> None:
                if step % steps:
                    return
                wait(device)
                now = time.perf_counter()
                if marks:
                    learning.ours.append(len(train) / (now - marks[-1]))
                epoch = step // steps - 1
                seconds = timed(lambda: plain.train(rows_of_plain, epoch, training.seed), device)
                if epoch:  # the first pass warms up
                    learning.plain.append(len(train) / seconds)
                marks.append(time.perf_counter())

        trainer.watch.recorder = Alternating(job, prepared, lambda _: None, None)
        trainer.train()
        testing = Speed([], [])
        for number in range(3):
            ours = timed(lambda: trainer.predict(test), device)
            theirs = timed(lambda: plain.accuracy(test), device)
            if number:
                testing.ours.append(len(test) / ours)
                testing.plain.append(len(test) / theirs)
        assert trainer.latest is not None
        mine = float((trainer.latest == test.labels).mean())
        parameters, _ = assembly.parameters
        rate = 6 * parameters * (length + 1) * statistics.median(learning.ours)
        share = ""
        if device == "cuda":
            card = torch.cuda.get_device_name()
            peak = next((value for name, value in PEAKS.items() if name in card), None)
            share = f"{rate / peak:.1%}" if peak else "unknown card"
        print(f"| {model} | {length} | {learning.text()} | {testing.text()} | {share} | "
              f"{mine:.4f} | {plain.accuracy(test):.4f} |", flush=True)  # fmt: skip


def timed(work: Callable[[], object], device: str) -> float:
    """Return the seconds some work takes, the GPU's queue included."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Wait for the GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def learning() -> None:
    """Time the command itself, from its start to its end."""
    source = Path(__file__).parents[1] / "finetuning" / "main.py"
    common = ["--model", "tiny", "--device", "cpu", "--report-to", "none", "--format", "json",
              "--eval-every", "1", "--batch-size", "20"]  # fmt: skip
    rules = {
        "first_character": ["--length", "20", "--epochs", "6", "--train-size", "200",
                            "--lr", "1e-3"],
        "majority": ["--length", "9", "--online", "--train-size", "400", "--epochs", "16",
                     "--lr", "3e-3"],
    }  # fmt: skip
    import json

    for rule, options in rules.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(source), "--function", rule, "--test-size", "200",
                       *options, *common, "--out", f"{folder}/run"]  # fmt: skip
            start = time.perf_counter()
            shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
            seconds = time.perf_counter() - start
        measured = json.loads(shown.stdout)
        reached = next(
            (e["seconds"] for e in measured["evaluations"] if e["test_accuracy"] >= 0.99), None
        )
        print(f"{rule}: test accuracy {measured['test_accuracy']:.2%}, {seconds:.1f} s in all, "
              f"99% after {reached} s of training")  # fmt: skip


def main() -> None:
    """Measure what the command line asks for."""
    if "learning" in sys.argv[1:]:
        learning()
        return
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    compiled = "--compile" in sys.argv[1:]
    autocast = on_gpu or "--autocast" in sys.argv[1:]
    print(f"{torch.cuda.get_device_name() if on_gpu else 'CPU'}, torch {torch.__version__}")
    print("| model | length | training: ours | plain | ratio | evaluation: ours | plain | ratio | "
          "peak | accuracy: ours | plain |")  # fmt: skip
    for model in ("qwen0.6B", "qwen1.7B") if on_gpu else ("tiny",):
        for length in (50, 100):
            speed(model, length, device, compiled=compiled, autocast=autocast)


if __name__ == "__main__":
    main()
