"""The flags that the pages of the published commands list are those of their parsers."""

import re

import pytest
from cyclopts import App

from llm_pv.cli import finetune, seed_icl, seed_synthesis
from pages import ROOT, tables

APPS = {
    "program_synthesis": seed_synthesis.app,
    "in_context_learning": seed_icl.app,
    "finetuning": finetune.seed_app,
}


def listed(folder: str) -> dict[tuple[str, ...], list[str]]:
    """The rows of a page's table of flags, by the flags' names."""
    text = (ROOT / folder / "README.md").read_text("utf-8")
    (table,) = (table for table in tables(text) if table[0][0] == "flag")
    return {tuple(re.findall(r"`(--[a-z-]+)`", row[0])): row[1:] for row in table[1:]}


def parsed(app: App) -> dict[tuple[str, ...], tuple[object, tuple[str, ...]]]:
    """Default and choices of each flag of a command."""
    return {
        tuple(argument.names): (argument.field_info.default, argument.get_choices() or ())
        for argument in app.assemble_argument_collection()
        if argument.show and argument.name.startswith("--")
    }


@pytest.mark.parametrize("folder", APPS)
def test_a_page_lists_every_flag_and_no_other(folder: str) -> None:
    assert set(listed(folder)) == set(parsed(APPS[folder]))


@pytest.mark.parametrize("folder", APPS)
def test_defaults_and_choices_are_those_of_the_command(folder: str) -> None:
    rows = listed(folder)
    for names, (default, choices) in parsed(APPS[folder]).items():
        said, meaning = rows[names]
        for choice in choices:
            assert f"`{choice}`" in f"{said} {meaning}", (names, choice)
        if isinstance(default, bool):
            assert said == "off", names
            assert default is False, names
        elif isinstance(default, int | float):
            assert float(said.strip("`")) == default, names
        elif default not in (None, ()):
            first = default[0] if isinstance(default, tuple) else default
            assert said == f"`{first}`", names
        else:
            assert said, names
            assert not said.startswith("`") or "," in said, names
