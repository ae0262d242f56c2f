"""Import, before confinement, everything that a candidate or its packages may import later.

Runs inside the sandbox's own processes: standard library only.
"""

import hashlib
import pkgutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from llm_pv.sandbox.modules import NEEDED_LATE, PACKAGES, USED_BY_PACKAGES

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

    Packages that are not installed are skipped, and so is what else lies beside them: sympy would
    import PyTorch and Matplotlib. The random numbers of numpy start from the seed.
    """
    for name in (*modules, *NEEDED_LATE):
        import_module(name)
    hashlib.new("sha256", b"").digest()  # OpenSSL reads its configuration at first use
    with warnings.catch_warnings(), _nothing_else():
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


class _Refusing:
    """Finds no module outside the standard library but those that programs need."""

    @staticmethod
    def find_spec(name: str, path: object = None, _target: object = None) -> None:
        """Raise ModuleNotFoundError for another package, and leave the others to be found."""
        known = name in sys.stdlib_module_names or name in PACKAGES or name in USED_BY_PACKAGES
        if path is None and not known and not name.startswith("_"):  # _sysconfigdata is in no list
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def _nothing_else() -> Iterator[None]:
    sys.meta_path.insert(0, _Refusing)
    try:
        yield
    finally:
        sys.meta_path.remove(_Refusing)


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
