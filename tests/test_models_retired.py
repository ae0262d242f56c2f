"""No model is named here whose end its vendor has announced, by its client's own list."""

import re
from pathlib import Path

import pytest

from pages import ROOT

anthropic = pytest.importorskip("anthropic.resources.messages.messages")
chat_model = pytest.importorskip("openai.types.shared.chat_model")

PLACES = ["src", "tests", "docs", "examples", "program_synthesis", "in_context_learning"]
FILES = [ROOT / "README.md", ROOT / "Makefile"]
FILES += [
    path
    for place in PLACES
    for path in sorted((ROOT / place).rglob("*"))
    if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yaml", ".json"}
]


def retired() -> set[str]:
    """Return the names that Anthropic's and OpenAI's clients list as going or gone."""
    _, _, listed = Path(chat_model.__file__).read_text("utf-8").partition("Deprecated values:")
    return {
        *anthropic.DEPRECATED_MODELS,
        *re.findall(r'"([a-z0-9][a-z0-9.-]+-[a-z0-9.-]+)"', listed),
    }


def test_no_model_is_named_whose_end_is_announced() -> None:
    names = retired()
    assert len(names) > 1
    named = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, sorted(names)))})(?![\w-]|\.\w)")
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in named.findall(path.read_text("utf-8"))
    }
    assert not found
