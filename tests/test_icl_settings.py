"""The form of a label that every way of having one gets."""

import json
from pathlib import Path

import pytest

from copying_server import CopyingServer
from llm_pv.cli.main import run
from llm_pv.tracks.icl.settings import Settings


def test_only_the_likelihoods_of_a_server_are_of_bare_labels() -> None:
    settings = Settings()

    assert settings.query("likelihood", served=True).form == "plain"
    assert settings.query("constrained", served=True).form == "json"
    assert settings.query("generate", served=True).form == "json"
    assert settings.query("likelihood").form == "json"


def test_a_form_that_was_chosen_holds_for_every_way() -> None:
    assert Settings(form="json").query("likelihood", served=True).form == "json"
    assert Settings(form="plain").query("generate").form == "plain"


def test_a_server_is_asked_in_all_three_ways_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-secret-of-the-tests")
    rows = tmp_path / "rows.txt"
    rows.write_text("".join(f"{n:06b} -> {n % 2}\n" for n in range(60)))
    ways = ["--answer", "generate", "constrained", "likelihood"]
    with CopyingServer() as server:
        model = ["--model", "openai-compatible:copier", "--base-url", server.base_url]
        sizes = ["--train-size", "12", "--test-size", "5"]
        out = ["--out", str(tmp_path / "run"), "--format", "json"]
        status = run(["icl", str(rows), *model, *ways, *sizes, *out])

    assert status == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["accuracy"] for cell in cells] == [1.0, 1.0, 1.0]
    assert len(server.bodies) == 15
