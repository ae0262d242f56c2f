"""The study of what aids are worth: its arms, its table, and that it goes on where it stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.proposer_study import (
    AIDS,
    Outcome,
    aids_of,
    main,
    read_outcomes,
    settings_of,
    table,
)

from fake_openai_server import FakeOpenAI
from llm_pv.errors import ConfigurationError

LIST = """
[[rule]]
name = "even_total"
kind = "digits"
sentence = "yes when the digits add up to an even number"
classes = ["yes", "no"]
code = '''
def make(chance):
    return "".join(chance.choices("0123456789", k=6))


def label(x):
    return "yes" if sum(map(int, x)) % 2 == 0 else "no"
'''
"""
RIGHT = (
    "Digits, then.\n```python\ndef f(x):\n    return 'no' if sum(map(int, x)) % 2 else 'yes'\n```"
)
OUTCOME = Outcome("all", "mine: a", 0, "s", 1.0, "m", 5, 2, 100, 10, 0.25, 1.0)


def test_an_arm_is_all_none_one_left_out_or_one_alone() -> None:
    assert aids_of("all") == set(AIDS)
    assert aids_of("-pool") == set(AIDS) - {"pool"}
    assert aids_of("-pool-check") == set(AIDS) - {"pool", "check"}
    assert aids_of("+survey") == {"survey"}
    assert aids_of("+survey+facts") == {"survey", "facts"}
    for arm in ("facts", "", "+", "-pool+check", "+all"):
        with pytest.raises(ConfigurationError, match="no arm"):
            aids_of(arm)


def test_each_aid_is_a_setting_of_its_own() -> None:
    def settings(*aids: str) -> dict[str, object]:
        made = settings_of(frozenset(aids), tool="local", tool_calls=7)
        return {name: getattr(made, name) for name in made.__dataclass_fields__}

    plain = settings()
    changed = {
        aid: {name: value for name, value in settings(aid).items() if value != plain[name]}
        for aid in AIDS
    }
    assert changed == {
        "facts": {"facts": True},
        "check": {"tool_functions": ("check",)},
        "survey": {"tool_functions": ("survey",)},
        "refine": {"refinements": 1},
        "candidates": {"programs_per_reply": 5},
        "pool": {},
        "explore": {"explore": True},
    }


def test_the_table_compares_arms_on_the_same_rules() -> None:
    rules = [replace(OUTCOME, rule=f"mine: {name}") for name in "abcdefgh"]
    others = [replace(one, arm="-check", accuracy=0.5, cost_usd=None) for one in rules[:6]]
    header, whole, without = table([*rules, *others]).splitlines()
    assert header.split()[:3] == ["arm", "found", "95%"]
    # Clopper and Pearson for 8 of 8: 0.025 ** (1 / 8) = 0.631; McNemar for 0 and 6: 2 / 2 ** 6.
    assert whole.split()[:3] == ["all", "8/8", "63%..100%"]
    assert whole.split()[-1] == "2.00"
    assert without.split()[:2] == ["-check", "0/6"]
    assert "+0 -6 p=0.03" in without
    assert without.split()[-1] == "unknown"


def test_a_study_asks_with_the_aids_of_each_arm_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(LIST)
    out = tmp_path / "study"
    with FakeOpenAI([{"text": RIGHT}]) as server:
        command = [
            str(tmp_path / "mine.toml"), "--model", "openai-compatible:fake", "--base-url",
            server.base_url, "--out", str(out), "--attempts", "1",
        ]  # fmt: skip
        main([*command, "--arms=none"])
        assert len(server.bodies) == 1
        main([*command, "--arms=none,-pool"])
        assert len(server.bodies) == 2, "what is on disk is not asked again"
    bare, helped = (json.dumps(body) for body in server.bodies)
    for aid in ("`check(f)`", "`survey()`", "training examples in all", "up to 5 programs"):
        assert aid not in bare
        assert aid in helped
    found = read_outcomes(out / "results.jsonl")
    assert [(one.arm, one.found, one.found_by) for one in found] == [
        ("none", True, "llm:openai-compatible:fake"),
        ("-pool", True, "llm:openai-compatible:fake"),
    ]
    capsys.readouterr()
    main(["--out", str(out)])
    assert capsys.readouterr().out.count("1/1") == 2
    with pytest.raises(ConfigurationError, match="of another study"):
        main([*command, "--tool-calls", "3", "--arms=none"])


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(OUTCOME.__dict__) + '\n{"arm": "all", "ru')
    assert read_outcomes(path) == [OUTCOME]
