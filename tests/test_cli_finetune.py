"""``llm-pv finetune``, ``sweep`` and the first version's doors, as a user meets them."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pv.cli.finetune import run_seed
from llm_pv.cli.main import run, run_app
from llm_pv.cli.sweep import metrics_app, sweep_app

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[1]
SMALL = ["--model", "tiny", "--train_set_size", "40", "--test_set_size", "20", "--batch_size", "10",
         "--n_epochs", "2", "--lr", "1e-3", "--report-to", "none"]  # fmt: skip
SEED = ["--target_func", "first_character", "--sequence_length", "8", *SMALL]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_seed_command_runs_resumes_and_shows_its_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*SEED, "--results-path", "./results_new/0/0", "--seed", "3", "--eta_min", "1e-6",
               "--weight_decay", "1e-5", "--precision", "fp32", "--num_layers_to_finetune", "2",
               "--vocab_size", "8", "--context_length", "20", "--test_lengths", "16", "12",
               "--device", "cpu"]  # fmt: skip
    assert run_seed(command) == 0
    shown = capfd.readouterr()
    assert "epoch 2/2" in shown.err
    for text in (
        "train (40)",
        "test (20)",
        "majority",
        "length 16",
        "length 12",
        "results_new/0/0",
    ):
        assert text in shown.out
    folder = tmp_path / "results_new" / "0" / "0"
    measured = json.loads((folder / "metrics.json").read_text())
    assert measured["status"] == "done"
    assert run_seed([*command, "--format", "json"]) == 0
    again = capfd.readouterr()
    assert "is a finished job" in again.err
    assert json.loads(again.out)["test_accuracy"] == measured["test_accuracy"]
    assert run_seed([*command, "--clip", "2"]) == 2
    assert "clip is 1.0 there and 2.0 here" in capfd.readouterr().err


def test_a_file_with_many_classes_is_trained_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    texts = [f"{number:08b}" for number in range(120)]
    names = ("low", "middle", "high")
    lines = [f"{text} -> {names[text.count('1') // 3]}\n" for text in texts]
    (tmp_path / "rows.txt").write_text("".join(lines))
    command = ["finetune", "rows.txt", "--model", "tiny", "--n-epochs", "2", "--report-to", "none",
               "--lr", "1e-3", "--out", "run"]  # fmt: skip
    assert run(command) == 0
    assert "train (96)" in capfd.readouterr().out  # 40 and 40 percent, as learn uses them
    with (tmp_path / "run" / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["function"], row["name"], row["test_size"]) == ("rows", "rows.txt", "24")
    with (tmp_path / "run" / "predictions" / "rows-t0.csv").open(newline="") as file:
        predicted = list(csv.DictReader(file))
    assert {row["label"] for row in predicted} <= set(names)
    assert {row["prediction"] for row in predicted} <= set(names)
    (tmp_path / "rows.txt").write_text("".join(lines[:-1]))
    assert run(command) == 2
    assert "holds another run" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to train on: give --target-func, such as fn_a, or a file"),
        (["--target-func", "fn_zz"], "no task 'fn_zz'"),
        (["--target-func", "fn_a", "--target", "y"], "need a file"),
        (["--target-func", "fn_a", "--train-set-size", "10000000000"], "GiB are free; give fewer"),
        (["--target-func", "fn_a", "--seed", "4294967296"], "give a number from 0 to 4294967295"),
        (["--target-func", "fn_a", "--lr", "1e-7"], "--eta-min is 1e-06; give a number from 0 to"),
        (["--target-func", "fn_a", "--n-epochs", "0"], "--n-epochs is 0; give a number above 0"),
        (["--target-func", "fn_a", "--epochs=0"], "--epochs is 0; give a number above 0"),
        (["rows.csv", "--online"], "do not go with the file rows.csv"),
        (["--target-func", "fn_a", "--model", "huge"], "no model 'huge'"),
        (["--target-func", "fn_a", "--no-such-option"], "--no-such-option"),
        (["nowhere.csv", "--model", "tiny"], "nowhere.csv"),
        (["--target-func", "fn_a", "--batch-size", "x"], "batch-size"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["finetune", *arguments]) == 2
    shown = capfd.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out
    assert not list(tmp_path.iterdir())


def test_help_imports_no_library_of_models() -> None:
    code = (
        "import sys\n"
        "from llm_pv.cli.main import run\n"
        "assert run(['finetune', '--help']) == 0 == run(['sweep', '--help'])\n"
        "print('heavy:', sorted({'torch', 'transformers', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert "heavy: []" in result.stdout
    assert "--num-layers-to-finetune" in result.stdout


def test_a_sweep_runs_its_jobs_and_shows_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "experiment_name: e\nresults_root: results\n"
        "base_args: {model: tiny, train_set_size: 20, test_set_size: 20, batch_size: 10,"
        " n_epochs: 1, lr: 1e-3, report_to: none, sequence_length: 8}\n"
        "grid: {target_func: [first_character, fn_h]}\n"
    )
    assert run_app(sweep_app, ["sweep.yaml", "--dry-run"]) == 0
    assert "llm-pv finetune --model=tiny" in capfd.readouterr().out
    # The folder of data sets is no package, though a process of `python -m` could take it for one.
    (tmp_path / "datasets").mkdir()
    assert run_app(sweep_app, ["sweep.yaml"]) == 0
    shown = capfd.readouterr()
    assert "2/2 target_func=first_character: done, test accuracy" in shown.err
    assert "dyck2 has no inputs of length 8" in " ".join(shown.out.split())
    assert run_app(sweep_app, ["sweep.yaml", "--format", "json"]) == 0
    again = capfd.readouterr()
    assert "2 of 2 jobs are finished already" in again.err
    assert [record["status"] for record in json.loads(again.out)] == ["done", "skipped"]
    assert run_app(metrics_app, ["results"]) == 0
    assert "first_character" in capfd.readouterr().out
    assert run_app(metrics_app, ["results", "--format", "json"]) == 0
    (record,) = json.loads(capfd.readouterr().out)
    assert (record["jobs"], record["done"]) == (1, 1)


def test_a_sweep_none_of_whose_jobs_can_be_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "experiment_name: e\nbase_args: {learning_rates: 1, target_func: fn_a}\n"
    )
    assert run(["sweep", "sweep.yaml"]) == 2
    assert "no job of this sweep can be done" in capfd.readouterr().err
    assert run_app(metrics_app, ["."]) == 2
    assert "holds no job" in capfd.readouterr().err
    assert run_app(metrics_app, ["nowhere"]) == 2


def test_the_published_sweep_file_is_a_sweep() -> None:
    from llm_pv.cli.finetune import parse_job
    from llm_pv.tracks.finetune.sweep import read_sweep

    sweep = read_sweep(ROOT / "finetuning" / "sweep_config.yaml")
    job = parse_job([*sweep.jobs[0].arguments, "--results-path=x"])
    assert (job.training.learning_rate, job.training.epochs) == (1e-5, 200)


def test_jobs_that_differ_in_many_options_fit_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["batch_size", "n_epochs", "eval_every", "n_layer", "n_head", "n_embd", "clip", "lr"]
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        options = {"model": "tiny", "target_func": "fn_a", "sequence_length": 20}
        options |= dict.fromkeys(names, number)
        (folder / "config.json").write_text(json.dumps(options))
        (folder / "metrics.json").write_text('{"status": "done", "test_accuracy": 0.5}')
    assert run_app(metrics_app, [str(tmp_path)]) == 0
    shown = capfd.readouterr().out
    assert "1   tiny    fn_a   20" in shown
    assert "2: batch size 2, n epochs 2, eval every 2, n layer 2" in shown


@pytest.mark.parametrize("door", ["main.py", "sweep.py", "metrics.py"])
def test_the_doors_open_from_any_directory(door: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "finetuning" / door), "--help"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert f"Usage: {door}" in result.stdout


def test_a_folder_of_data_sets_beside_the_script_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "scripts" / "datasets").mkdir(parents=True)
    script = tmp_path / "scripts" / "main.py"
    script.write_text(
        "import sys\nfrom llm_pv.cli.finetune import run_seed\nsys.exit(run_seed(sys.argv[1:]))\n"
    )
    result = subprocess.run(
        [sys.executable, str(script), *SEED, "--results-path", "run"], capture_output=True,
        text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_several_processes_need_one_results_folder(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run_seed(SEED) == 2
    assert "share one results folder: give --results-path" in capfd.readouterr().err


def test_a_job_interrupted_before_its_first_checkpoint_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_pv.tracks.finetune.job.run_job", interrupted)
    assert run_seed([*SEED, "--results-path", "run"]) == 130
    assert "starts over: there is no checkpoint yet" in capfd.readouterr().err


@pytest.mark.slow
def test_losses_count_every_row_once_where_rows_do_not_fill_the_processes_batches(
    tmp_path: Path,
) -> None:
    # 2 times 6 rows a step: the last steps hold 4 of 40 training rows and 10 of 22 test rows.
    words = ["22" if word == "20" else word for word in SEED] + ["--eval-batch-size", "6"]
    assert run_seed([*words, "--results-path", "one", "--device", "cpu"]) == 0
    two = in_two_processes([*words, "--results-path", "two", "--device", "cpu"])
    assert two.returncode == 0, two.stderr
    one, other = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")
    )
    assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    assert other["test_loss"] == pytest.approx(one["test_loss"], rel=1e-5)


def in_two_processes(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
               "2", str(ROOT / "finetuning" / "main.py"), *words]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(tmp_path: Path) -> None:
    assert run_seed([*SEED, "--results-path", "one", "--device", "cpu"]) == 0
    result = in_two_processes([*SEED, "--results-path", "two", "--device", "cpu"])
    assert result.returncode == 0, result.stderr
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text())
                for name in ("one", "two"))  # fmt: skip
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert two["test_accuracy"] == one["test_accuracy"]
    assert (tmp_path / "two" / "summary.csv").read_text().count("\n") == 2
    name = "first_character-L8-paper-t0.csv"
    texts = [(tmp_path / job / "predictions" / name).read_text() for job in ("one", "two")]
    assert texts[0] == texts[1]
    assert result.stdout.count("test (20)") == 1


def test_published_sizes_and_several_models_are_trained_in_folders_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["--target_func", "first_character", "--sequence_length", "8", *SMALL[2:], "--model",
               "bloom", "--n_layer", "1", "--n_head", "2", "--n_embd", "16", "--BOS_TOKEN", "1",
               "--num_models", "2", "--results-path", "many", "--device", "cpu"]  # fmt: skip
    assert run_seed(command) == 0
    assert "--BOS_TOKEN has no effect: a token of its own begins" in capfd.readouterr().err
    configs = [json.loads((tmp_path / "many" / n / "config.json").read_text()) for n in "01"]
    assert [config["trial"] for config in configs] == [0, 1]
    assert [configs[0][name] for name in ("n_layer", "n_head", "n_embd")] == [1, 2, 16]
    # Worked out by hand, width 16: attention 16*48+48 + 16*16+16, the other layer 16*64+64 +
    # 64*16+16, two norms of 32; around it a table of 5 tokens, two norms of 32 and a head of 32.
    layer = (16 * 48 + 48) + (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16) + 2 * 32
    measured = json.loads((tmp_path / "many" / "1" / "metrics.json").read_text())
    assert measured["parameters"] == layer + 5 * 16 + 2 * 32 + 2 * 16
    assert run_seed(["--num-models", "none", *SEED]) == 2
    assert "--num-models is none; give 1 or more" in capfd.readouterr().err


def test_the_published_command_trains_two_top_layers_on_spaced_symbols_of_pretrained_models() -> (
    None
):
    from llm_pv.cli.compat import training_commands
    from llm_pv.cli.finetune import parse_job

    (command,) = training_commands([*SEED[:4], "--model", "qwen3_finetune", "--results-path", "x"])
    assert (parse_job(command).model.layers, parse_job(command).model.spaced) == (2, True)
    own = [*command[:-4], "--num_layers_to_finetune", "all", "--symbols", "contiguous"]
    assert training_commands(own) == [own]
    job = parse_job(own)
    assert (job.model.layers, job.model.spaced) == (None, False)
    assert "symbols" not in job.options(), "jobs of earlier versions are found again"
    assert training_commands(SEED) == [SEED], "models from scratch are trained whole"
