"""The documentation does what it shows: code runs, commands parse, links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pv.cli.variations import combinations
from llm_pv.erm.pipeline import CUT_SHORT
from pages import PAGES, ROOT, SHOWN, Block, blocks, commands, name_of

WITH_PYTHON = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]
WITH_SHELL = [page for page in PAGES if any(b.language == "bash" for b in blocks(page))]
BOX = 84
"""Characters of code that the built site shows without scrolling, at a width of 1280."""
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


def shown_in(printed: str, line: str) -> bool:
    """Whether a line of a page stands in what was printed, as far as an ellipsis."""
    beginning = re.split(r"\.\.\.$|…", line.strip())[0]
    return any(beginning in actual for actual in printed.splitlines())


def assert_shown(printed: str, block: Block, page: Path) -> None:
    if CUT_SHORT in " ".join(printed.split()):
        return  # a search that a busy machine cut short shows something else, and says so
    for number, line in enumerate(block.text.splitlines()):
        assert shown_in(printed, line), (
            f"{name_of(page)}:{block.line + number} shows {line!r}, which is not in\n{printed}"
        )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_comment_runs_off_the_box_of_its_code(page: Path) -> None:
    for block in blocks(page):
        if block.language in ("bash", "python"):
            for number, line in enumerate(block.text.splitlines()):
                is_commented = re.search(r"(^|\s)# (?!noqa)", line)
                assert not is_commented or len(line) <= BOX, f"{page}:{block.line + number}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the repository's examples and commands, and rows as the pages call them."""
    for name in ("examples", "finetuning", "program_synthesis", "in_context_learning"):
        (tmp_path / name).symlink_to(ROOT / name)
    rows = [(age, zone) for age in range(18, 78) for zone in ("north", "south", "east")]
    lines = [f"{age},{zone},{'yes' if age >= 40 else 'no'}" for age, zone in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["age,zone,y", *lines]) + "\n")
    (tmp_path / "labelled.csv").write_text("\n".join(["age,zone,y", *lines[::7]]) + "\n")
    new = [line.rsplit(",", 1)[0] for line in lines[::5]]
    (tmp_path / "new.csv").write_text("\n".join(["age,zone", *new]) + "\n")
    return tmp_path


# Whether a search hits a cap in seconds depends on the machine.
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run_in_order(
    page: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.language == "python" and not block.reason:
            # Blank lines before the block make a traceback name the page's own line.
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            exec(code, names)
            printed = capsys.readouterr().out
        elif block.is_output and printed:
            assert_shown(printed, block, page)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", WITH_SHELL, ids=name_of)
def test_shell_blocks_run_in_order(page: Path, folder: Path) -> None:
    programs = folder / "bin"
    programs.mkdir()
    for name, arguments in (("llm-pv", "-m llm_pv "), ("python", "")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        path.chmod(0o755)
    environment = {
        "COLUMNS": "80",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    printed = ""
    for block in blocks(page):
        if block.language == "bash" and not block.reason:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=folder,
                env=environment,
                check=False,
                capture_output=True,
                text=True,
            )
            printed = done.stdout + done.stderr
            assert done.returncode == 0, f"{name_of(page)}:{block.line}\n{printed}"
        elif block.is_output and printed:
            assert_shown(printed, block, page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_runs_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        place = f"{name_of(page)}:{block.line}"
        assert block.language in SHOWN | {"bash", "python"}, f"{place} has no known language"
        assert not block.is_output or block.language == "text", place
        assert not block.reason or block.language in {"bash", "python"}, place


@pytest.mark.parametrize("page", WITH_SHELL, ids=name_of)
def test_commands_are_those_of_the_parser(page: Path) -> None:
    for block in blocks(page):
        if block.language == "bash":
            for app, words in commands(block.text):
                several = combinations(words)  # a grid is as many command lines
                for line in [words] if several is None else several[1].values():
                    app.parse_args(line, exit_on_error=False, print_error=False)


def test_the_guides_have_code_that_runs() -> None:
    assert {"docs/python.md", "docs/extending.md"} <= set(map(name_of, WITH_PYTHON))
    assert {"docs/tutorial.md"} <= set(map(name_of, WITH_SHELL))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
