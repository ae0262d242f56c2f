"""The versions that a run records: of this package and of those that may affect results."""

import platform
from importlib import metadata

from llm_pv import __version__

_RECORDED_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "sympy",
    "networkx",
    "xgboost",
    "deap",
    "tabpfn",
    "torch",
    "transformers",
    "vllm",
)


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the relevant installed packages."""
    found = {"llm_pv": __version__, "python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
