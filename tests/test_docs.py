"""The Python code in the documentation runs, page by page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if page.exists() and BLOCK.search(page.read_text("utf-8"))
]


# Whether a search hits a cap in seconds depends on the machine.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_python_blocks_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one page share their names, and may read ``examples/``."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        # Blank lines before the block make a traceback name the page's own line.
        above = "\n" * text.count("\n", 0, found.start(1))
        exec(compile(above + found[1], str(page), "exec"), names)


def test_the_guide_to_python_has_code() -> None:
    assert "python.md" in {page.name for page in PAGES}


LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
     *sorted(ROOT.glob("[pif]*_*/*.md")), *sorted(ROOT.glob("finetuning/*.md"))],
    ids=lambda page: str(page.name),
)  # fmt: skip
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
