"""Find the packages that must be loaded before a source is confined."""

from functools import lru_cache

from llm_pv.errors import ProgramError
from llm_pv.sandbox.modules import PACKAGES
from llm_pv.sandbox.parser import ask_one


@lru_cache(maxsize=64)
def packages_imported(source: str) -> tuple[str, ...]:
    """Return the packages that a source imports, to be loaded before it is confined.

    The confined parser reads only sources that contain the name of a package; a source that it
    cannot read imports nothing.

    Examples
    --------
    >>> packages_imported("import networkx as nx, numpy  # not sympy")
    ('numpy', 'networkx')
    """
    if not any(name in source for name in PACKAGES):
        return ()
    try:
        imported = ask_one("imports", source)
    except ProgramError:
        return ()
    return tuple(name for name in PACKAGES if name in imported)
