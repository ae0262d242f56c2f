"""Saved replies: every documented form, and every way a file can be wrong."""

import json
from pathlib import Path

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.registry import make_proposer
from llm_pv.proposers.replay import Replay

NOTHING = Examples([], [])


def texts(path: Path, start: int = 0) -> list[str]:
    proposals = Replay(path).propose(NOTHING, Classes((), ()), seed=0, start=start)
    return [proposal.text for proposal in proposals]


def test_a_jsonl_file_gives_one_reply_a_line_in_any_documented_form(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    code = json.dumps({"code": "f = len"})
    lines = [json.dumps("bare"), json.dumps({"text": "a\nb"}), "", json.dumps({"reply": "c"}), code]
    path.write_text("\n".join(lines) + "\n")
    assert texts(path) == ["bare", "a\nb", "c", code]
    assert Replay(path).default_attempts == 4
    assert texts(path, start=2) == ["c", code]


def test_a_run_s_own_replies_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(json.dumps({"function": "x", "attempt": 1, "text": "f = len"}) + "\n")
    assert texts(path) == ["f = len"]


def test_a_folder_gives_its_visible_files_by_name(tmp_path: Path) -> None:
    for name, text in {"b.md": "second", "a.txt": "first", ".hidden": "no"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    assert texts(tmp_path) == ["first", "second"]


def test_any_other_file_is_one_reply(tmp_path: Path) -> None:
    (tmp_path / "reply.md").write_bytes(b"caf\xe9")
    assert texts(tmp_path / "reply.md") == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "holds no replies"),
        ("{\n", "line 1: not JSON"),
        ("[" * 100_000, "line 1: not JSON"),
        ('"a"\n[1]\n', "line 2: no reply"),
    ],
)
def test_a_bad_jsonl_file_is_one_clear_error(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=complaint):
        Replay(path).replies()


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read replies"):
        Replay(tmp_path / "none").replies()


@pytest.mark.parametrize("name", ["replay", "replay:", "lenght-first", ""])
def test_an_unknown_proposer_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match="replay:F"):
        make_proposer(name)


def test_a_budget_must_be_positive() -> None:
    with pytest.raises(ConfigurationError, match="budget_seconds is 0; give a positive number"):
        make_proposer("length-first", budget_seconds=0)


def test_the_identity_of_a_replay_is_its_replies_not_its_place(tmp_path: Path) -> None:
    for name, text in {"a": "f = len", "b": "f = len", "c": "f = max"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(text)
    a, b, c = (Replay(tmp_path / name).identity for name in "abc")
    assert a == b != c


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without end")
def test_a_file_without_end_is_one_clear_error(tmp_path: Path) -> None:
    for name in ("replies.jsonl", "reply.txt"):
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(ConfigurationError, match=f"{name}: is a device, which has no end"):
            Replay(tmp_path / name).replies()
