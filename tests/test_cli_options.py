"""How settings become options: text, default, name and heading, each declared once."""

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
from cyclopts import App, Group, Parameter

from llm_pv.api import Search
from llm_pv.cli.learn import SeededSearchOptions
from llm_pv.cli.main import run
from llm_pv.cli.model_options import LimitOptions, ModelChoice
from llm_pv.cli.options import (
    SandboxOptions,
    as_words,
    common_fields,
    given,
    option_group,
    settings_of,
)
from llm_pv.models.base import ModelOptions
from llm_pv.proposers.registry import BuiltIn
from llm_pv.sandbox import Limits, ToolLimits


@dataclass(frozen=True)
class Oven:
    """Settings of a package that knows of no command line."""

    degrees: int = 180
    "How hot it is."
    minutes: int = 40
    "How long it bakes."


@option_group(Group("Oven"), minutes=Parameter(name=["--time", "--baking-time"]))
@dataclass(frozen=True)
class OvenOptions(Oven):
    """The same as options."""


@option_group(Group("Cake"), like=OvenOptions)
@dataclass(frozen=True)
class CakeOptions:
    """Others, with one of the fields in common and one text of their own."""

    minutes: int = OvenOptions.minutes
    degrees: int | None = None
    "How hot the cake likes it."
    layers: int = 1
    "How many layers it has."


def shown(options: type, capsys: pytest.CaptureFixture[str]) -> str:
    app = App(help_format="plaintext", version_flags=[], result_action="return_value")

    def command(*, chosen: object = options()) -> None:
        """Bake."""

    command.__annotations__["chosen"] = options
    app.default(command)
    app(["--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_an_option_has_the_text_and_the_default_of_its_field(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = shown(OvenOptions, capsys)
    assert "--degrees INT How hot it is. [default: 180]" in page
    assert "--time --baking-time INT How long it bakes. [default: 40]" in page
    assert "Oven" in page


def test_a_group_like_another_has_its_texts_and_names_but_for_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = shown(CakeOptions, capsys)
    assert "--time --baking-time INT How long it bakes. [default: 40]" in page
    assert "--degrees INT How hot the cake likes it." in page
    assert "--layers INT How many layers it has. [default: 1]" in page


def test_a_group_whose_source_is_not_at_hand_has_no_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("without_source")
    monkeypatch.setitem(sys.modules, "without_source", module)
    code = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Bare:\n    n: int = 1\n"
    )
    exec(code, vars(module))
    group = option_group(Group("Bare"), like=module.Bare)(module.Bare)
    assert given(group(n=2)) == ["--n"]


def test_options_that_were_given_are_named_as_they_are_typed() -> None:
    assert given(OvenOptions(minutes=5)) == ["--time"]
    assert as_words(CakeOptions(minutes=5, degrees=90)) == ["--time", "5", "--degrees", "90"]


def test_settings_are_made_of_the_options_of_their_names() -> None:
    made = settings_of(OvenOptions(degrees=99), Oven)
    assert type(made) is Oven
    assert (made.degrees, made.minutes) == (99, 40)
    assert common_fields(CakeOptions(layers=3), Oven) == {"degrees": None, "minutes": 40}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["synthesize", "--num-trials", "0"], "--trials is 0"),
        (["finetune", "--function", "fn_a", "--epochs", "0"], "--epochs is 0"),
        (["finetune", "--function", "fn_a", "--lr", "0"], "--lr is 0"),
        (["icl", "--model", "hf:m", "--functions", "fn_a", "--example-orders", "0"],
         "--example-orders is 0"),
        (["learn", "rows.csv", "--budget-mb", "3"], "--budget-mb is 3"),
    ],
)  # fmt: skip
def test_an_error_names_the_option_and_not_the_argument_in_python(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert f"llm-pv: {message}" in capsys.readouterr().err


def test_options_in_other_units_have_the_defaults_of_what_they_set() -> None:
    searched = ("attempts", "budget_seconds", "delta", "early_stop", "seed", "stop_at")
    options, settings = SeededSearchOptions(), Search()
    assert [getattr(options, name) for name in searched] == [
        getattr(settings, name) for name in searched
    ]
    assert settings_of(options, BuiltIn) == settings.built_in
    assert SandboxOptions().limits() == Limits()
    assert LimitOptions().tool_limits == ToolLimits()
    assert ModelChoice(model="openai:m").options() == ModelOptions()
