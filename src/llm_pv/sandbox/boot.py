"""Starts a sandbox process by path, so that nothing of the package is imported but what it needs.

Its arguments are the folder of the package, the module to run and that module's own arguments.
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
    """Run a module of the sandbox in a process that holds nothing else of the package."""
    root, entry, *rest = arguments
    bare_package("llm_pv", root)
    bare_package("llm_pv.data", root + "/data")
    bare_package("llm_pv.programs", root + "/programs")
    bare_package("llm_pv.sandbox", root + "/sandbox")
    import_module(f"llm_pv.sandbox.{entry}").main(rest)


if __name__ == "__main__":
    start(sys.argv[1:])
