"""The package as a whole: light to import, and its files in step with each other."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import llm_pv

ROOT = Path(__file__).parents[1]
HEAVY = {"numpy", "pandas", "scipy", "sklearn", "rich", "sympy", "networkx", "cyclopts"}


def modules_after(code: str) -> set[str]:
    """Return the top-level modules a fresh interpreter holds after running the code."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "src",
    )
    return set(result.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not modules_after("import llm_pv") & HEAVY


def test_importing_the_command_line_imports_no_numerical_library() -> None:
    heavy = HEAVY - {"cyclopts", "rich"}
    assert not modules_after("import llm_pv.cli.main") & heavy


def test_importing_the_sandbox_imports_nothing_heavy() -> None:
    assert not modules_after("import llm_pv.sandbox") & HEAVY


def test_every_public_name_can_be_had_and_no_other() -> None:
    for name in llm_pv.__all__:
        assert getattr(llm_pv, name) is not None
    assert set(llm_pv.__all__) <= set(dir(llm_pv))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = llm_pv.nonsense


def test_requirements_and_environment_are_in_step_with_pyproject() -> None:
    path = ROOT / "scripts" / "write_requirements.py"
    spec = importlib.util.spec_from_file_location("write_requirements", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.files().items():
        assert (ROOT / name).read_text("utf-8") == text, (
            f"run scripts/write_requirements.py: {name}"
        )


def test_the_doctor_knows_every_extra() -> None:
    from llm_pv.cli.doctor import EXTRAS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {
        extra: {re.split(r"[<>=\[]", item)[0] for item in items}
        for extra, items in project["optional-dependencies"].items()
        if extra != "all"
    }
    assert declared == {extra: set(packages) for extra, packages in EXTRAS.items()}


def test_rooms_import_only_rooms_below_them() -> None:
    """The arrows of the architecture, read off the imports of every file."""
    order = [
        "errors", "telemetry", "stats", "group_commit", "child_process", "data", "tasks",
        "sandbox", "programs", "models", "search", "proposers", "runs", "erm", "api",
        "tracks", "report", "estimator", "export", "mcp", "cli",
    ]  # fmt: skip
    source = ROOT / "src" / "llm_pv"
    for path in source.rglob("*.py"):
        room = path.relative_to(source).with_suffix("").parts[0]
        if room.startswith("__"):
            continue
        for found in re.findall(r"(?:from|import) llm_pv\.(\w+)", path.read_text("utf-8")):
            assert order.index(found) <= order.index(room), f"{path} imports {found}"
