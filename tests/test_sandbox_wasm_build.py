"""How the WebAssembly sandbox is built and kept, with stand-ins for the slow tools."""

import importlib.util
import logging
import os
import subprocess
import sys
import textwrap
from importlib.machinery import ModuleSpec
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

from llm_pv.errors import ConfinementError, MissingExtraError
from llm_pv.sandbox import wasm_build


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "llm-pv" / "wasm"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that both packages are installed in a folder, which is returned."""
    folder = tmp_path / "packages"
    folder.mkdir()

    def find(name: str) -> ModuleSpec:
        spec = ModuleSpec(name, None, origin=str(folder / name / "__init__.py"))
        spec.has_location = True
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", find)
    return folder


@pytest.mark.parametrize(
    ("missing", "package"), [("wasmtime", "wasmtime"), ("componentize_py", "componentize-py")]
)
def test_a_missing_package_is_named_with_the_way_out(
    missing: str, package: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name == missing else ModuleSpec(name, None, origin="/p/m/__init__.py")

    monkeypatch.setattr(importlib.util, "find_spec", find)
    reason = (
        f"{package} is needed to run programs in the WebAssembly sandbox: "
        "pip install 'llm-pv[wasm]'"
    )
    assert wasm_build.wasm_available() == reason
    with pytest.raises(MissingExtraError) as raised:
        wasm_build.built_component()
    assert str(raised.value) == reason


def test_the_sandbox_is_available_where_both_packages_are(installed: Path) -> None:
    assert wasm_build.wasm_available() is None
    assert wasm_build.wasmtime_directory() == str(installed)


def test_a_component_is_built_once_and_the_user_is_told(
    cache: Path,
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[str] = []

    def call(folder: Path, *arguments: str) -> None:
        calls.append(arguments[0])
        Path(arguments[-1]).write_text("compiled")

    monkeypatch.setattr(wasm_build, "_call", call)
    with caplog.at_level(logging.WARNING):
        first = wasm_build.built_component()
    assert "once" in caplog.text
    assert wasm_build.built_component() == first
    assert first.read_text() == "compiled"
    assert first.parent == cache
    assert len(calls) == 2
    assert sorted(path.suffix for path in cache.iterdir()) == [".cwasm", ".lock"]


@pytest.mark.skipif(os.name != "posix", reason="folder modes are a POSIX matter")
def test_the_cache_is_the_users_alone(
    cache: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm_build, "_call", lambda folder, *arguments: Path(arguments[-1]).touch())
    wasm_build.built_component()
    assert cache.stat().st_mode & 0o077 == 0


def test_another_version_of_a_part_is_another_component(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = wasm_build.component_path()
    assert wasm_build.component_path() == before
    monkeypatch.setattr(wasm_build, "_version", lambda name: "99")
    newer = wasm_build.component_path()
    monkeypatch.setattr(wasm_build, "_APP_SOURCE", "another")
    assert len({before, newer, wasm_build.component_path()}) == 3


def test_a_build_that_fails_says_why_and_leaves_nothing(
    cache: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installed / "componentize_py.py"
    package.write_text("raise SystemExit('no room left')")
    with pytest.raises(ConfinementError, match="could not be built: no room left"):
        wasm_build.built_component()
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_build_sees_neither_the_environment_nor_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    script = "import os, pathlib; pathlib.Path('seen').write_text(repr(dict(os.environ)))"
    wasm_build._call(tmp_path, sys.executable, "-I", "-S", "-c", script)
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert "somewhere" not in seen


def test_a_cache_that_cannot_be_written_is_a_one_line_error(cache: Path, installed: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(ConfinementError, match=r"cannot be kept in .*; make it writable"):
        wasm_build.built_component()


def test_what_goes_into_the_component_runs_on_its_own(tmp_path: Path) -> None:
    wasm_build._write_app(tmp_path)
    script = textwrap.dedent(f"""
        import sys
        sys.path.append({str(tmp_path)!r})
        from program_guest import WitWorld
        job = '{{"source": "def f(x): return x + 1", "inputs": [4], "seed": 0}}'
        assert WitWorld().load(job) == ("", "")
        print(WitWorld().step(1))
    """)
    completed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, check=True, timeout=60
    )
    assert completed.stdout.decode().strip() == repr(("", '"5",\n'))


def test_a_second_process_waits_for_the_build_of_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from filelock import FileLock
        print("started", flush=True)
        with FileLock(Path(sys.argv[1])):
            print(Path(sys.argv[2]).exists())
    """)
    built = tmp_path / "built"
    source = str(Path(wasm_build.__file__).parents[2])
    with FileLock(lock):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(lock), str(built)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert process.stdout is not None
        assert process.stdout.readline().split() == [b"started"]
        built.touch()
    assert process.communicate(timeout=60)[0].split() == [b"True"]
