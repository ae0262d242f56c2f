"""The Dockerfile parses, copies what is there, and ends as an ordinary user."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pages import ROOT

DOCKERFILE = ROOT / "Dockerfile"
# One instruction a line; what a backslash continues belongs to the line before.
LINES = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8")).splitlines()


def arguments(instruction: str) -> list[list[str]]:
    return [line.split()[1:] for line in LINES if line.startswith(f"{instruction} ")]


def test_a_linter_that_parses_it_finds_nothing() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not installed: pip install --group test")
    done = subprocess.run([linter, str(DOCKERFILE)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    copied = [words[:-1] for words in arguments("COPY") if not words[0].startswith("--from")]
    assert copied
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    assert "*" in ignored  # so that nothing else, such as a .env with keys, gets in


def test_programs_run_as_an_ordinary_user() -> None:
    (user,) = arguments("USER")
    assert user[0] not in {"root", "0"}
    assert LINES.index(f"USER {user[0]}") < LINES.index('ENTRYPOINT ["llm-pv"]')


def test_its_extras_are_those_of_the_package() -> None:
    (extras,) = (words[0].removeprefix("EXTRAS=").split(",") for words in arguments("ARG"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
