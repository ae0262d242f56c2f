"""Find the packages that must be loaded before a source is confined."""

from functools import lru_cache

from llm_pv.errors import ProgramError
from llm_pv.sandbox.modules import PACKAGES
from llm_pv.sandbox.parser import ask_one


def packages_imported(*sources: str) -> tuple[str, ...]:
    """Return the packages that sources import, to be loaded before they are confined.

    The confined parser reads only sources that contain the name of a package; a source that it
    cannot read imports nothing.

    Examples
    --------
    >>> packages_imported("import networkx as nx, numpy  # not sympy")
    ('numpy', 'networkx')
    """
    imported = frozenset[str]().union(*map(_imported, sources))
    return tuple(name for name in PACKAGES if name in imported)


@lru_cache(maxsize=64)
def _imported(source: str) -> frozenset[str]:
    if not any(name in source for name in PACKAGES):
        return frozenset()
    try:
        return frozenset(ask_one("imports", source))
    except ProgramError:
        return frozenset()
