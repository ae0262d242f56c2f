"""The notebook does what its saved outputs show."""

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from pages import ROOT

NOTEBOOK = ROOT / "examples" / "estimator.ipynb"


def execute(source: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook does and return what it shows: what it prints, then its value."""
    tree = ast.parse(source)
    last = tree.body[-1]
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(tree, "cell", "exec"), names)
    return printed.getvalue() + ("" if value is None else repr(value))


def shown(cell: dict[str, Any]) -> str:
    """Return the outputs a cell was saved with."""
    return "".join(
        "".join(output.get("text") or output["data"]["text/plain"]) for output in cell["outputs"]
    )


@pytest.mark.timeout(300)
def test_every_cell_shows_what_it_was_saved_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = [
        cell
        for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    assert sum(bool(cell["outputs"]) for cell in code) >= 5
    for cell in code:
        assert execute("".join(cell["source"]), names) == shown(cell), "".join(cell["source"])
