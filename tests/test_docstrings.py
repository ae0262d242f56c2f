"""The examples in docstrings do what they show."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text("utf-8"), re.MULTILINE)
)
EXTRAS = {
    "duckdb",
    "sqlglot",
    "skops",
    "wasmtime",
    "componentize_py",
    "pyarrow",
    "sympy",
    "networkx",
    "gmpy2",
    "ucimlrepo",
}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"{name} needs {error.name}, of an extra that is not installed")
    result = doctest.testmod(module, report=True)
    assert not result.failed


def test_the_public_face_has_examples() -> None:
    assert {"llm_pv.estimator", "llm_pv.api", "llm_pv.sandbox.execution"} <= set(MODULES)
