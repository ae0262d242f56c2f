"""Start a sandbox process by path, importing only the modules that it needs.

The arguments are the folder of the package, the module to run and that module's own arguments.
"""

import sys
from importlib import import_module
from types import ModuleType


def bare_package(name: str, folder: str) -> None:
    """Register a package whose ``__init__`` never runs."""
    package = ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


def start(arguments: list[str]) -> None:
    """Run a module of the sandbox without importing the rest of the package."""
    root, entry, *rest = arguments
    # Not the real ``__init__`` files: they import far more, which costs time and, in a zygote,
    # memory that untrusted code would share.
    bare_package("llm_pv", root)
    bare_package("llm_pv.data", root + "/data")
    bare_package("llm_pv.programs", root + "/programs")
    bare_package("llm_pv.sandbox", root + "/sandbox")
    import_module(f"llm_pv.sandbox.{entry}").main(rest)


if __name__ == "__main__":
    start(sys.argv[1:])
