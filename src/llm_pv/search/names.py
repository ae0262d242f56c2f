"""Local names of a program: like what they stand for, and never one that is taken."""

import builtins
import keyword
import re
import unicodedata

from llm_pv.search.library import NAMES

_USED = "x f i a b c d k w chain points table value"
RESERVED = frozenset({*dir(builtins), *NAMES, *_USED.split()})


def plain(text: str) -> str:
    """Return text in small letters of the alphabet, digits and ``_``; accents go.

    Examples
    --------
    >>> plain("Total spend"), plain("Temp\u00e9rature (\u00b0C)")
    ('total_spend', 'temperature_c')
    """
    letters = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"\W+", "_", kept, flags=re.ASCII).strip("_").lower()


class Names:
    """Gives local names away.

    Examples
    --------
    >>> names = Names()
    >>> names.fresh("Total spend"), names.fresh("total_spend"), names.fresh("max")
    ('total_spend', 'total_spend_2', 'max_value')
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def fresh(self, wanted: str) -> str:
        """Return a name like the wanted one that nothing uses yet."""
        name = plain(wanted)
        if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
            name = f"{name}_value" if name.isidentifier() else f"value_{name}".strip("_")
        base, number = name, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name
