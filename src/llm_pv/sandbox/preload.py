"""Import, before confinement, everything that a candidate or its packages may import later.

Runs inside the sandbox's own processes: standard library only.
"""

import hashlib
import pkgutil
import sys
import warnings
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from llm_pv.sandbox.modules import NEEDED_LATE

_NOT_FOR_PROGRAMS = frozenset(
    {
        "_examples", "_pyinstaller", "benchmarks", "conftest", "distutils", "f2py", "galgebra",
        "interactive", "pyinstaller", "setup", "testing", "tests", "this",
    }
)  # fmt: skip


def preload(
    modules: Iterable[str], packages: Iterable[str], support: Iterable[str], seed: int
) -> None:
    """Import modules, packages with all their submodules, and modules those import late.

    Packages that are not installed are skipped. The random numbers of numpy start from the seed.
    """
    for name in (*modules, *NEEDED_LATE):
        import_module(name)
    hashlib.new("sha256", b"").digest()  # OpenSSL reads its configuration at first use
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*support, *packages):
            _import_where_installed(name)
        for name in packages:
            if name in sys.modules:
                _import_submodules(sys.modules[name])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def forget_import_paths() -> None:
    """Make every further import fail with "no such module" instead of a file system error."""
    sys.path.clear()
    sys.path_importer_cache.clear()


def _import_where_installed(name: str) -> None:
    # A submodule of a package may need what is not installed, exit, or refuse to be imported.
    try:
        import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001
        sys.modules.pop(name, None)


def _import_submodules(package: ModuleType) -> None:
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        last = found.name.rpartition(".")[2]
        if last in _NOT_FOR_PROGRAMS or last.startswith("test_"):
            continue
        _import_where_installed(found.name)
        if found.ispkg and found.name in sys.modules:
            _import_submodules(sys.modules[found.name])
