"""Pages of the site that do not stand in ``docs/``: a hook of mkdocs, named in ``mkdocs.yml``.

Files of the repository that the documentation links to become pages under their own paths, a
notebook becomes one with its code and the outputs it was saved with. On GitHub links lead through
the repository (``../benchmarks/RESULTS.md``); in the site ``docs/`` is the root, and links are
rewritten to lead to the same page.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/RESULTS.md",
    "examples/cluster/kuberay.yaml",
    "examples/cluster/ray_up.yaml",
    "examples/cluster/slurm.sh",
    "examples/estimator.ipynb",
    "finetuning/README.md",
    "in_context_learning/README.md",
    "program_synthesis/README.md",
)
"""Files outside ``docs/`` that are pages, or that pages lead to as they are."""

_LINK = re.compile(r"\]\((?!\w+:|#|/)([^)#\s]+)")


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that stand elsewhere."""
    from mkdocs.structure.files import File

    for name in PAGES:
        text = (ROOT / name).read_text("utf-8")
        content = notebook_page(json.loads(text)) if name.endswith(".ipynb") else text
        files.append(File.generated(config, site_path(name), content=content))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: Any) -> str:
    """Turn links through the repository into links within the site."""
    here = page.file.src_uri
    return relink(markdown, here if here in map(site_path, PAGES) else f"docs/{here}")


def site_path(name: str) -> str:
    """Return where a file of the repository stands in the site's sources.

    Examples
    --------
    >>> site_path("docs/data.md"), site_path("examples/estimator.ipynb")
    ('data.md', 'examples/estimator.md')
    """
    return name.removeprefix("docs/").removesuffix(".ipynb") + (
        ".md" if name.endswith(".ipynb") else ""
    )


def relink(markdown: str, name: str) -> str:
    """Return a page of the repository with its links as the site needs them.

    Examples
    --------
    >>> relink("[figures](../benchmarks/RESULTS.md#speed)", "docs/baselines.md")
    '[figures](benchmarks/RESULTS.md#speed)'
    >>> relink("[models](../docs/models.md)", "program_synthesis/README.md")
    '[models](../models.md)'
    """
    folder, place = posixpath.dirname(name), posixpath.dirname(site_path(name))

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        return "](" + posixpath.relpath(site_path(target), place or ".")

    return _LINK.sub(moved, markdown)


def notebook_page(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown: text, code, and the text of its outputs.

    Examples
    --------
    >>> code = {"cell_type": "code", "source": ["1 + 1"], "outputs": [
    ...     {"output_type": "execute_result", "data": {"text/plain": ["2"]}}]}
    >>> print(notebook_page({"cells": [{"cell_type": "markdown", "source": ["# Sum"]}, code]}))
    # Sum
    <BLANKLINE>
    ```python
    1 + 1
    ```
    <BLANKLINE>
    ```text
    2
    ```
    <BLANKLINE>
    """
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{source}\n```")
            shown = "".join(map(output_text, cell["outputs"]))
            if shown:
                parts.append(f"```text\n{shown.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def output_text(output: dict[str, Any]) -> str:
    """Return what an output of a notebook's cell shows as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain") or [])
