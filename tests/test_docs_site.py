"""The site builds without a warning, and reads without anything from elsewhere."""

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT

LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"'](?:https?:)?//[^\"']+")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material")):
        pytest.skip("mkdocs is not installed: pip install --group docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.timeout(300)
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 30
    for page in pages:
        assert not LOADED.findall(page.read_text("utf-8")), page


@pytest.mark.timeout(300)
def test_pages_from_outside_docs_and_the_notebook_are_in_it(site: Path) -> None:
    assert "Clopper" in (site / "how-it-works.html").read_text("utf-8")
    assert "Start-up" in (site / "benchmarks" / "RESULTS.html").read_text("utf-8")
    assert "ProgramClassifier" in (site / "examples" / "estimator.html").read_text("utf-8")
    assert "sbatch" in (site / "examples" / "cluster" / "slurm.sh").read_text("utf-8")
    assert "../models.html" in (site / "program_synthesis" / "index.html").read_text("utf-8")


def test_the_hook_rewrites_links_as_its_examples_say() -> None:
    specification = importlib.util.spec_from_file_location(
        "site_pages", ROOT / "scripts" / "site_pages.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    result = doctest.testmod(module)
    assert result.attempted >= 5
    assert not result.failed
