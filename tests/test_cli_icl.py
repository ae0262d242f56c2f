"""The command line of in-context learning, the first version's included."""

import csv
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from copying_server import CopyingServer
from llm_pv.cli.main import run
from llm_pv.cli.seed_icl import run_seed

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-secret-of-the-tests")


def write_rows(path: Path, count: int = 60) -> Path:
    rows = tiny_models.copying_rows(count, random.Random(3))
    lines = (f"{x} -> {y}\n" for x, y in zip(rows.inputs, rows.labels, strict=True))
    path.write_text("".join(lines))
    return path


def served(server: CopyingServer, *words: str) -> list[str]:
    model = ["--model", "openai-compatible:copier", "--base-url", server.base_url, "--retries", "0"]
    return ["icl", *words, *model]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cells(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["cells"])


def test_a_model_here_answers_rows_of_ones_own_in_every_way(
    copier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "last bit.txt")
    words = [
        "--train-size",
        "12",
        "--test-size",
        "20",
        "--max-new-tokens",
        "20",
        "--format",
        "json",
    ]
    ways = ["--answer", "generate", "constrained", "likelihood"]
    status = run(["icl", str(rows), "--model", f"hf:{copier}", *words, *ways])

    assert status == 0
    found = cells(capsys.readouterr().out)
    assert [cell["method"] for cell in found] == ["generate", "constrained", "likelihood"]
    for cell in found:
        assert cell["accuracy"] > 0.9
        assert cell["unparsable_share"] == 0.0
        assert cell["seconds"] > 0


def test_the_first_versions_command_writes_its_files_and_resumes(
    copier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(copier), "--functions", "fn_a", "--lengths", "20"]
    words += ["--train-size", "12", "--test-size", "10", "--max-new-tokens", "20"]
    words += ["--provider", "hf", "--answer", "constrained"]
    assert run_seed(words) == 0
    shown = capsys.readouterr()

    assert "fn_a L=20" in shown.out
    examples = [json.loads(line) for line in Path("results_icl.jsonl").read_text().splitlines()]
    assert len(examples) == 10
    assert all(row["prompt"].count(" -> ") == 13 for row in examples)
    assert {row["predicted_label"] for row in examples} <= {"0", "1"}
    assert list(examples[0])[:4] == ["function", "model_output", "is_correct", "test_duration_ms"]
    assert [(row["function"], row["model_output"], row["is_correct"]) for row in examples] == [
        ("fn_a", row["text"], row["predicted_label"] == row["true_label"]) for row in examples
    ]
    trial = Path("results_icl_trials/fn_a_L20_trial1_constrained.jsonl")
    assert trial.read_text() == Path("results_icl.jsonl").read_text()
    (cell,) = rows_of(Path("results_icl.csv"))
    durations = ("adaptation_duration_ms", "test_duration_ms", "total_wall_clock_duration_ms")
    assert tuple(cell)[:4] == ("function", *durations)
    learning, testing, total = (float(cell[name]) for name in durations)
    assert total == pytest.approx(learning + testing, abs=0.01)
    assert testing == pytest.approx(1000 * float(cell["seconds"]), abs=0.01)
    right = sum(row["correct"] for row in examples)
    assert float(cell["accuracy"]) == pytest.approx(right / 10)
    assert (cell["fn"], cell["train_size"], cell["majority_accuracy"]) == ("fn_a", "12", "0.5")
    (folder,) = Path("runs").iterdir()
    (summary,) = rows_of(folder / "summary.csv")
    assert (summary["track"], summary["method"]) == ("icl", "constrained")
    assert summary["accuracy"] == cell["accuracy"]

    before = (folder / "replies.jsonl").read_bytes()
    assert run_seed(words) == 0
    assert (folder / "replies.jsonl").read_bytes() == before
    assert "finished run" in capsys.readouterr().err


def test_the_door_runs_from_anywhere(copier: Path, tmp_path: Path) -> None:
    door = ROOT / "in_context_learning" / "vllm_incontext.py"
    command = [sys.executable, str(door), "--model", str(copier), "--functions", "fn_a"]
    command += [
        "--lengths",
        "20",
        "--train-size",
        "4",
        "--test-size",
        "2",
        "--answer",
        "likelihood",
        "--dry-run",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )

    assert done.returncode == 0, done.stderr
    assert "<|im_start|>user\nA hidden rule gives every input a label." in done.stdout
    assert "2 prompts of up to" in done.stdout


def test_a_server_is_asked_once_for_each_row_and_its_key_is_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    with CopyingServer() as server:
        words = ["--out", "run", "--out-jsonl", "e.jsonl", "--out-csv", "c.csv", "--test-size", "9"]
        status = run(served(server, str(rows), *words))

    assert status == 0
    assert len(server.bodies) == 9
    assert len(Path("e.jsonl").read_text().splitlines()) == 9
    shown = capsys.readouterr()
    assert "100.0" in shown.out
    assert "training rows with their labels" in shown.err
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"sk-secret" in path.read_bytes() for path in kept)


def test_a_server_that_goes_away_costs_one_line_and_no_answer_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    words = ["--out", "run", "--out-jsonl", "e.jsonl", "--out-csv", "c.csv", "--test-size", "9"]
    with CopyingServer(goes_away_after=4) as first:
        status = run(served(first, str(rows), *words, "--concurrency", "1"))

    error = capsys.readouterr().err
    assert status == 2
    assert "4 of 9 answers kept in run" in error.splitlines()[-1]
    assert len(Path("e.jsonl").read_text().splitlines()) == 4

    asked = [body["messages"][-1]["content"] for body in first.bodies[:4]]
    with CopyingServer() as second:
        # The same server under the same address, as far as a run can tell.
        Path("run/run.json").write_text(
            Path("run/run.json").read_text().replace(first.base_url, second.base_url)
        )
        assert run(served(second, str(rows), *words, "--concurrency", "1")) == 0
    again = [body["messages"][-1]["content"] for body in second.bodies]
    assert len(again) == 5
    assert not set(asked) & set(again)
    assert rows_of(Path("c.csv"))[0]["accuracy"] == "1.0"


def test_rows_leaving_the_machine_are_named_once_and_not_before_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    words = ["--out", "run", "--train-size", "12", "--test-size", "9"]
    with CopyingServer() as server:
        command = served(server, str(rows), *words, "--answer", "generate", "constrained")
        assert run(command) == 0
        shown = capsys.readouterr().err
        assert run(command) == 0  # finished: nothing is sent again
        again = capsys.readouterr().err
        status = run([*command, "--max-new-tokens", "99"])  # other settings, the same folder

    assert shown.count("sending to") == 1
    assert ": 12 training rows with their labels, and the inputs of 9 test rows without" in shown
    assert "sending to" not in again
    refused = capsys.readouterr().err
    assert (status, len(server.bodies)) == (2, 18)
    assert "sending to" not in refused
    assert "run" in refused


@pytest.mark.parametrize("way", ["rows", "tasks"])
def test_data_with_a_warning_is_asked_about_and_warned_of_once(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    text = rows.read_text()
    first, label = text.splitlines()[0].split(" -> ")
    other = next(line for line in text.splitlines() if not line.endswith(label))
    rows.write_text(text + f"{first} -> {other.rpartition(' ')[2]}\n")
    words = [str(rows)]
    if way == "tasks":
        words = ["--functions", "fn_a", "fn_c", "--lengths", "6", "4"]
    with CopyingServer() as server:
        status = run(served(server, *words, "--answer", "generate", "constrained"))

    shown = capsys.readouterr().err
    assert status == 0
    what = "fn_a L=4 trial 1: " if way == "tasks" else "rows: "
    assert sum(line.startswith(f"llm-pv: {what}") for line in shown.splitlines()) == 1


def test_tables_and_many_classes_are_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(1)
    lines = [
        f"{draw.random():.3f},{draw.choice('uvw')},{label},{label}" for label in [*"abcdefgh"] * 12
    ]
    (tmp_path / "table.csv").write_text("width,kind,last,target\n" + "\n".join(lines) + "\n")
    with CopyingServer() as server:
        words = ["table.csv", "--target", "target", "--answer", "constrained", "--format", "json"]
        status = run(served(server, *words))

    assert status == 0
    (cell,) = cells(capsys.readouterr().out)
    prompt = server.bodies[0]["messages"][-1]["content"]
    assert "Each label is one of: a, b, c, d, e, f, g, h." in prompt
    assert "Each input is a row of a table" in prompt
    assert cell["accuracy"] == 1.0  # the row ends with last:<label>, which the server copies
    enum = server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["label"]
    assert enum["enum"] == list("abcdefgh")


def test_a_dry_run_asks_nobody_and_shows_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    with CopyingServer() as server:
        assert run(served(server, str(rows), "--dry-run")) == 0

    assert server.bodies == []
    shown = capsys.readouterr().out
    assert '"messages"' in shown
    assert "prompts of up to about" in shown
    assert not Path("runs").exists()


def test_vendors_are_left_their_own_temperature_and_servers_get_the_published_one() -> None:
    from llm_pv.cli.icl_options import AnsweringOptions, model_options

    own, vendor, local = (
        model_options(name, AnsweringOptions(), 1_024)
        for name in ("openai-compatible:m", "openai:gpt-5.4", "hf:m")
    )
    assert (own.temperature, own.top_p, own.context_tokens) == (0.2, 0.95, None)
    assert (vendor.temperature, vendor.top_p) == (None, None)
    assert (local.temperature, local.context_tokens, local.max_output_tokens) == (0.2, 25_000, 1024)
    wide = AnsweringOptions(tensor_parallel_size=2)
    assert model_options("vllm:m", wide, 1_024).extra == {"engine": {"tensor_parallel_size": 2}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nothing"], "no PROVIDER:MODEL"),
        (["--model", "hf:./nowhere", "--functions", "fn_a"], "there is no such folder"),
        (["--model", "hf:COPIER", "--functions", "fn_z"], "fn_z"),
        (["--model", "hf:COPIER", "--functions", "fn_a", "--lengths", "0"], "length"),
        (
            ["--model", "hf:COPIER", "--functions", "fn_g", "--train-size", "900"],
            "--train-size (about",
        ),
        (["--model", "hf:COPIER", "--functions", "fn_a", "--test-size", "0"], "test size"),
        (["--model", "hf:COPIER", "--answer", "guess"], "guess"),
        (["--model", "hf:COPIER", "--example-orders", "0"], "--example-orders"),
        (["--model", "hf:COPIER", "--tensor-parallel-size", "2"], "--tensor-parallel-size"),
        (["--model", "hf:COPIER", "--temperature", "-1"], "--temperature"),
        (["nothing.csv", "--model", "hf:COPIER"], "nothing.csv"),
        (["rows.txt", "--model", "hf:COPIER", "--functions", "fn_a"], "--functions"),
        (["rows.txt", "--model", "hf:COPIER", "--test-size", "0"], "give 1 or more"),
        (["--model", "hf:COPIER", "--functions", "fn_a", "--out-csv", "rows.txt/x"], "rows.txt"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    copier: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: Sequence[str],
    message: str,
) -> None:
    write_rows(tmp_path / "rows.txt")
    words = [word.replace("COPIER", str(copier)) for word in words]
    status = run(["icl", *words])

    error = capsys.readouterr().err
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("model", "provider", "url", "name"),
    [
        ("./folder", "vllm", None, "vllm:./folder"),
        ("./folder", "hf", None, "hf:./folder"),
        ("gpt-5.4", "openai", None, "openai:gpt-5.4"),
        ("m", "openai", "http://h/v1", "openai-compatible:m"),
        ("m", None, "http://h/v1", "openai-compatible:m"),
        ("hf:./folder", None, None, "hf:./folder"),
        ("gemini:g", None, None, "gemini:g"),
    ],
)
def test_the_first_versions_names_of_models_keep_working(
    model: str, provider: str | None, url: str | None, name: str
) -> None:
    from llm_pv.cli.seed_icl import _full_name

    assert _full_name(model, provider, url) == name


@pytest.mark.parametrize(("installed", "name"), [(True, "vllm:m"), (False, "hf:m")])
def test_without_vllm_transformers_takes_its_place_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    installed: bool,
    name: str,
) -> None:
    import importlib.util

    from llm_pv.cli.seed_icl import _full_name

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object() if installed else None)
    assert _full_name("m", None, None) == name
    assert ("transformers runs the model" in capsys.readouterr().err) is not installed


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.models.vendor_model import VendorModel

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    rows = write_rows(tmp_path / "rows.txt")
    with CopyingServer() as server:
        monkeypatch.setattr(VendorModel, "choose", interrupted)
        assert run(served(server, str(rows), "--out", "run")) == 130
    assert "the same command with --out run continues from here" in capsys.readouterr().err


def test_a_refused_run_leaves_the_files_of_an_earlier_one(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    files = ["--out", "run", "--out-jsonl", "e.jsonl", "--out-csv", "c.csv", "--test-size", "9"]
    with CopyingServer() as server:
        assert run(served(server, str(rows), *files)) == 0
        before = Path("e.jsonl").read_bytes(), Path("c.csv").read_bytes()

        assert run(served(server, str(rows), *files, "--seed", "7")) == 2

        assert len(server.bodies) == 9
    assert (Path("e.jsonl").read_bytes(), Path("c.csv").read_bytes()) == before


def test_examples_of_one_length_are_asked_about_inputs_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--functions", "fn_g", "fn_f", "--lengths", "10", "--test-lengths", "20", "10", "30",
             "--train-size", "8", "--test-size", "6", "--out", "run", "--out-jsonl", "e.jsonl",
             "--concurrency", "2"]  # fmt: skip
    with CopyingServer() as server:
        assert run(served(server, *words)) == 0
        prompts = [body["messages"][0]["content"] for body in server.bodies]
        assert run(served(server, *words)) == 0, "the finished run is found again"
        assert len(server.bodies) == len(prompts)

    said = capsys.readouterr().err
    assert "--test-lengths 20 10 30: left out of parity_rand_10" in said
    rows = [json.loads(line) for line in Path("e.jsonl").read_text().splitlines()]
    mine = [row for row in rows if row["fn"] == "fn_g"]
    assert Counter(row["test_length"] for row in mine) == {10: 6, 20: 6, 30: 6}
    assert all(row["test_length"] == 10 for row in rows if row["fn"] == "fn_f")
    heads = {row["prompt"].rpartition("Input: ")[0] for row in mine}
    assert len(heads) == 1, "the same examples"
    for row in mine:
        (asked,) = re.findall(r"Input: (\d+)$", row["prompt"])
        assert len(asked) == row["test_length"]
        assert int(row["true_label"]) == (asked == asked[::-1])
    assert sorted(prompts) == sorted(row["prompt"] for row in rows)
    (summary,) = [row for row in rows_of(Path("run/summary.csv")) if row["function"] == "fn_g"]
    right = {n: sum(r["correct"] for r in mine if r["test_length"] == n) for n in (10, 20, 30)}
    assert (float(summary["accuracy"]), summary["test_size"]) == (right[10] / 6, "6")
    there = [json.loads(line) for line in Path("run/transfer.jsonl").read_text().splitlines()]
    assert {
        one["length_there"]: (one["rows"], one["accuracy"], one["errors"]) for one in there
    } == {n: (6, right[n] / 6, 6 - right[n]) for n in (20, 30)}
    assert len(rows_of(next(Path("run/predictions").glob("fn_g*")))) == 6

    assert run(["report", "run", "--out", "page"]) == 0
    lengths = rows_of(Path("page/tables/lengths.csv"))
    assert [row["other length"] for row in lengths] == ["20", "30"]


def test_tokens_and_dollars_of_answers_are_in_the_table_of_effort(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    words = ["--answer", "generate", "constrained", "--test-size", "5", "--out", "run"]
    with CopyingServer() as server:
        assert run(served(server, str(rows), *words)) == 0
    assert run(["report", "run", "--out", "page"]) == 0

    spent = [json.loads(line) for line in Path("run/replies.jsonl").read_text().splitlines()]
    for row in rows_of(Path("page/tables/effort.csv")):
        mine = [reply for reply in spent if reply["method"] in row["method"]]
        tokens = sum(reply["input_tokens"] + reply["output_tokens"] for reply in mine)
        assert len(mine) == 5
        assert (row["trials at 99% or more"], float(row["tokens a solved trial"])) == ("1", tokens)


def test_cells_that_did_not_end_stand_in_the_file_as_unfinished(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    words = ["--out", "run", "--out-csv", "c.csv", "--test-size", "9", "--concurrency", "1"]
    with CopyingServer(goes_away_after=4) as server:
        assert run(served(server, str(rows), *words)) == 2

    (row,) = rows_of(tmp_path / "c.csv")
    assert row["status"] == "unfinished"


def test_a_folder_in_place_of_a_file_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    (tmp_path / "folder").mkdir()
    with CopyingServer() as server:
        assert run(served(server, str(rows), "--out-jsonl", "folder")) == 2

    assert server.bodies == []
    assert "--out-jsonl folder is a directory" in capsys.readouterr().err


def test_rows_of_ones_own_stand_beside_what_learn_made_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.txt")
    with CopyingServer() as server:
        assert run(served(server, str(rows), "--out", "asked")) == 0
    assert run(["learn", str(rows), "--out", "learned"]) == 0
    assert (tmp_path / "asked" / "report.html").exists()

    capsys.readouterr()
    assert run(["compare", "asked", "learned", "--format", "json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    (trial,) = cell["trials"]
    assert trial["rows"] == 12, trial["reason"]  # a fifth of the 60


def test_the_published_flags_and_defaults_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--verbosity", "low", "--openai-max-concurrency", "7", "--batch-test-inference",
             "--no-stream-jsonl", "--no-append-summary-csv", "--train-size", "4", "--test-size",
             "2", "--lengths", "20", "--dry-run"]  # fmt: skip
    assert run_seed(["--model", "gpt-5.4", "--provider", "openai", *words]) == 0
    shown = capsys.readouterr()
    requests = [json.loads(part[: part.index("\n}\n") + 2])
                for part in shown.out.split("/v1/responses\n")[1:]]  # fmt: skip
    assert len(requests) == 12, "the published list has twelve tasks"
    for request in requests:
        assert "max_output_tokens" not in request
        assert request["reasoning"]["effort"] == "high"
        schema = request["text"]["format"]
        assert schema["strict"] is True
        assert schema["schema"]["properties"]["label"]["enum"] == ["0", "1"]
        assert request["text"]["verbosity"] == "low"
    assert "no effect" not in shown.err
    own = ["--model", "gpt-5.4", "--provider", "openai", "--functions", "fn_a", "--answer",
           "generate", "--max-new-tokens", "50", "--reasoning-effort", "low", *words]  # fmt: skip
    assert run_seed([*own, "--stream-jsonl", "--append-summary-csv"]) == 0
    shown = capsys.readouterr()
    assert '"max_output_tokens": 50' in shown.out
    assert '"enum"' not in shown.out
    assert '"effort": "low"' in shown.out
    assert shown.err.count("has no effect") == 2
