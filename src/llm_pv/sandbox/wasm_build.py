"""Building the WebAssembly sandbox: once for each version of its parts, into the user's cache.

componentize-py puts CPython, its standard library and `wasm_guest` into one component, wasmtime
compiles that to machine code; both come with their packages and nothing is downloaded. The cache is
trusted like the installed package: anyone who can write there can run code as the user.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from llm_pv.child_process import bare_environment, boot_command
from llm_pv.errors import ConfinementError, MissingExtraError

_PACKAGE = Path(__file__).resolve().parents[1]
_EMBEDDED = (
    "data/labels.py",
    "sandbox/modules.py",
    "sandbox/result_page.py",
    "sandbox/transcript.py",
    "sandbox/job.py",
    "sandbox/exploration.py",
    "sandbox/wasm_guest.py",
)
_WIT = _PACKAGE / "sandbox" / "wasm_guest.wit"
_PROCESS = _PACKAGE / "sandbox" / "wasm_process.py"
_ISOLATED = ("-I", "-S")
_NEEDED = {"wasmtime": "wasmtime", "componentize_py": "componentize-py"}
_APP = "program_guest"
# componentize-py makes a new WitWorld for every call: the state lives beside it.
_APP_SOURCE = """\
from llm_pv.sandbox.wasm_guest import Guest

guest = Guest()


class WitWorld:
    load = guest.load
    step = guest.step
"""
_PURPOSE = "run programs in the WebAssembly sandbox"
_BUILD_SECONDS = 600.0

_log = logging.getLogger(__name__)


def wasm_available() -> str | None:
    """Return None if the WebAssembly sandbox can be used here, else the reason and the way out.

    Examples
    --------
    >>> wasm_available()  # doctest: +SKIP
    "wasmtime is needed to run programs in the WebAssembly sandbox: pip install 'llm-pv[wasm]'"
    """
    for module, distribution in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            return str(MissingExtraError(distribution, "wasm", _PURPOSE))
    return None


def component_path() -> Path:
    """Return the path of the compiled component for these versions; it may not exist yet."""
    # Imported here, as wasm_available is asked where the sandbox is never used.
    from platformdirs import user_cache_path

    digest = hashlib.sha256()
    for name in _EMBEDDED:
        digest.update((_PACKAGE / name).read_bytes())
    digest.update(_APP_SOURCE.encode())
    for path in (_WIT, _PROCESS):
        digest.update(path.read_bytes())
    for distribution in _NEEDED.values():
        digest.update(_version(distribution).encode())
    digest.update(f"{platform.system()} {platform.machine()}".encode())
    return user_cache_path("llm-pv") / "wasm" / f"{digest.hexdigest()[:20]}.cwasm"


def wasmtime_directory() -> str:
    """Return the directory that holds the wasmtime package.

    Raise MissingExtraError if it is not installed.
    """
    return _directory("wasmtime")


def host_command(*arguments: str | Path) -> list[str]:
    """Return the command of `wasm_process`, which runs without `site` and the environment."""
    return boot_command("wasm_process", *arguments, options=_ISOLATED)


def built_component() -> Path:
    """Return the compiled component, building it first where it is not yet in the cache.

    Raise MissingExtraError if wasmtime or componentize-py is not installed. Raise ConfinementError
    if the component cannot be built or the cache not written.
    """
    target = component_path()
    if target.exists():
        return target
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.exists():
                _build(target)
    except OSError as error:
        raise ConfinementError(
            f"the WebAssembly sandbox cannot be kept in {target.parent}: {error}; make it writable"
        ) from error
    return target


def _build(target: Path) -> None:
    builder, runtime = _directory("componentize_py"), wasmtime_directory()
    _log.warning(
        "building the WebAssembly sandbox in %s, once, which takes up to a minute", target.parent
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        app = folder / "app"
        _write_app(app)
        component, compiled = folder / "guest.wasm", folder / "guest.cwasm"
        command = (
            f"import sys; sys.path.append({builder!r}); "
            "import componentize_py; sys.exit(componentize_py.script())"
        )
        options = ["--quiet", "--wit-path", str(_WIT), "--world", "program", "componentize", _APP]
        embed = [
            sys.executable,
            *_ISOLATED,
            "-c",
            command,
            *options,
            "-p",
            str(app),
            "-o",
            str(component),
        ]
        _call(folder, *embed)
        _call(folder, *host_command("compile", runtime, component, compiled))
        compiled.replace(target)


def _write_app(app: Path) -> None:
    """Copy the files of the package that go into the component."""
    for name in _EMBEDDED:
        path = app / "llm_pv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((_PACKAGE / name).read_bytes())
    for folder in ("", "data", "sandbox"):
        (app / "llm_pv" / folder / "__init__.py").touch()
    (app / f"{_APP}.py").write_text(_APP_SOURCE, encoding="utf-8")


def _call(folder: Path, *command: str) -> None:
    # An empty VIRTUAL_ENV keeps installed packages out of the component.
    scratch = {name: str(folder) for name in ("TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV")}
    try:
        subprocess.run(  # noqa: S603
            command,
            env=bare_environment() | scratch,
            cwd=folder,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_BUILD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        why = said[-1] if said else str(error)
        raise ConfinementError(f"the WebAssembly sandbox could not be built: {why}") from error


def _directory(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingExtraError(_NEEDED[module], "wasm", _PURPOSE)
    return str(Path(spec.origin).parents[1])


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
