"""The paper's experiments besides its table: their commands, their prices, their pages."""

import csv
import io
import sys
from pathlib import Path

import pytest

from fake_openai_server import FakeOpenAI
from llm_pv.cli import paper_experiments
from llm_pv.cli.main import run
from llm_pv.cli.model_options import DEFAULT_MODEL_CHOICE, ModelChoice
from llm_pv.cli.paper_experiments import EXPERIMENTS, Command, Experiment, plan_steps

ALL = tuple(EXPERIMENTS)
SMALL = ["--tasks", "fn_a", "--trials", "1", "--test-size", "40", "--results", "page"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.chdir(tmp_path)


def steps(model: ModelChoice = DEFAULT_MODEL_CHOICE) -> list[paper_experiments.Step]:
    return plan_steps(ALL, tasks=("fn_f",), trials=2, test_size=100, model=model, out=Path("runs"))


@pytest.mark.parametrize("model", [ModelChoice(), ModelChoice(model="openai:gpt-5.4")])
def test_every_command_of_an_experiment_is_one_that_this_package_takes(
    model: ModelChoice,
) -> None:
    from llm_pv.cli.main import app
    from llm_pv.cli.variations import combinations

    for step in steps(model):
        several = combinations(step.words)
        for words in [step.words] if several is None else several[1].values():
            app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_time_left_is_that_of_the_trials_that_are_not_done(tmp_path: Path) -> None:
    first = next(step for step in steps() if step.experiment == "validation")
    assert first.seconds == 4 * 2 * 16, "four sizes, two trials of one task"
    fits = next(step for step in steps() if step.words[0] == "baselines")
    assert fits.seconds == 5 * 2 * 20
    dynamics = next(step for step in steps() if step.experiment == "dynamics")
    assert dynamics.seconds == 2 * 60


def test_the_plan_lists_commands_and_does_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["paper", "--experiments", *ALL, "--plan", "--tasks", "fn_f"]) == 0
    shown = capfd.readouterr().err
    assert "wordings: it asks a model, name one with --model; left out" in shown
    assert "llm-pv finetune --function fn_f --model tiny" in shown
    assert " in all on " in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_small_experiment_leaves_runs_and_a_page_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (
        "baselines",
        "--lengths",
        "12",
        "--models",
        "decision_tree",
        "--train-size",
        "20",
        "40",
    )
    small = Experiment("Small", (Command(words, ("fn_a",), 1.0),), published="of old.")
    monkeypatch.setattr(paper_experiments, "EXPERIMENTS", {"scaling": small})
    command = ["paper", "--experiments", "scaling", *SMALL]
    assert run(command) == 0
    assert capfd.readouterr().out == "page/scaling/index.md\n"
    page = (tmp_path / "page" / "scaling" / "index.md").read_text("utf-8")
    assert page.startswith("# Small\n")
    assert "*Published, not measured here: of old.*" in page
    assert "](../../report.md)" in page
    assert "`llm-pv baselines --functions fn_a --lengths 12 --models decision_tree" in page
    assert (tmp_path / "page" / "scaling" / "figures" / "training-size.svg").is_file()
    with (tmp_path / "page" / "scaling" / "summary.csv").open(newline="") as file:
        assert [row["train_size"] for row in csv.DictReader(file)] == ["20", "40"]
    assert run([*command, "--plan"]) == 0
    assert "scaling: about 0.00 s" in capfd.readouterr().err, "what is done takes no time"


def test_a_model_is_priced_first_and_asked_after_a_yes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with FakeOpenAI([{"text": "{}"}]) as server:
        words = ["paper", "--experiments", "wordings", *SMALL, "--model", "openai-compatible:m",
                 "--base-url", server.base_url, "--price-in", "1", "--price-out", "1"]  # fmt: skip
        assert run(words) == 2
        assert server.bodies == []
    shown = capfd.readouterr().err
    assert shown.count("at most $") >= 4, "a price for each wording"
    assert "no terminal to confirm the price: give --yes" in shown
    assert not (tmp_path / "runs").exists()
