"""``llm-pv data`` as a user meets it."""

import json
from pathlib import Path

import pytest

from llm_pv.cli.main import run

SMALL = ["--train-size", "4", "--val-size", "6", "--test-size", "20"]


def is_palindrome(text: str) -> bool:
    return text == text[::-1]


def test_a_data_set_is_written_where_the_command_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "fn_g", "--length", "30", "--sampler", "hard", "--out", str(tmp_path)]
    assert run([*command, *SMALL]) == 0
    folder, told = capfd.readouterr().out.strip().split(": ")
    assert told == "4 train, 6 validation, 20 test rows"
    assert Path(folder).parent == tmp_path / "palindrome" / "L30"
    for name, size in (("train", 4), ("val", 6), ("test", 20)):
        lines = (Path(folder) / f"{name}.txt").read_text().splitlines()
        assert len(lines) == size
        for line in lines:
            text, label = line.split(" -> ")
            assert len(text) == 30
            assert label == str(int(is_palindrome(text)))


def test_the_same_command_finds_its_data_set_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "parity_all", "--out", str(tmp_path), "--format", "json", *SMALL]
    assert run(command) == 0
    first = json.loads(capfd.readouterr().out)
    stamp = (Path(first["folder"]) / "train.txt").stat().st_mtime_ns
    assert run(command) == 0
    assert json.loads(capfd.readouterr().out) == first
    assert (Path(first["folder"]) / "train.txt").stat().st_mtime_ns == stamp
    assert (first["train"], first["validation"], first["test"]) == (4, 6, 20)


def test_tables_are_written_from_the_copy_that_is_always_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "breast_cancer", "--out", str(tmp_path), "--raw-tables", *SMALL]) == 0
    folder = Path(capfd.readouterr().out.partition(": ")[0])
    assert (folder / "meta.json").exists()


def test_sizes_that_shrink_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["data", "fn_g", "--length", "8", "--out", str(tmp_path), "--test-size", "100"]
    assert run([*command, "--train-size", "10", "--val-size", "10"]) == 0
    shown = capfd.readouterr()
    assert "16 different inputs" in shown.err, "there are 2 ** 4 palindromes of 8 bits"
    assert shown.out.startswith(str(tmp_path))


def test_strict_sizes_make_that_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["data", "fn_g", "--length", "8", "--out", str(tmp_path), "--strict-sizes"]
    assert run(command) == 2
    assert "16 different inputs" in capfd.readouterr().err


BAD = {
    "an unknown id": (["fn_zz"], "fn_zz"),
    "an odd size": (["fn_a", "--train-size", "3"], "3"),
    "a length it does not allow": (["fn_h", "--length", "50"], "multiples of 4"),
    "no table": (["fn_a", "--table", "x.csv"], "table"),
    "a file in the way": (["fn_a", "--out", "{file}"], "file"),
}


@pytest.mark.parametrize(("command", "named"), BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_one_line_and_leaves_nothing(
    command: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (tmp_path / "file").write_text("")
    assert run(["data", *(word.replace("{file}", str(tmp_path / "file")) for word in command)]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert named in shown.err
    assert not [path for path in work.rglob("*") if path.is_file()]


def test_a_folder_that_holds_other_data_is_refused_and_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "fn_a", "--length", "20", "--out", str(tmp_path), *SMALL]
    assert run(command) == 0
    folder = Path(capfd.readouterr().out.partition(": ")[0])
    meta = json.loads((folder / "meta.json").read_text())
    meta["name"] = "another"
    (folder / "meta.json").write_text(json.dumps(meta))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run(command) == 2
    complaint = capfd.readouterr().err
    assert "holds other data" in complaint
    assert complaint.count("\n") == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
