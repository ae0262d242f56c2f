"""Local names of a program: like what they stand for, and never one that is taken."""

import builtins
import keyword
import re

from llm_pv.search.library import NAMES

_USED = "x f i a b c d k w chain points table value"
RESERVED = frozenset({*dir(builtins), *NAMES, *_USED.split()})


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
        name = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_").lower()
        if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
            name = f"{name}_value" if name.isidentifier() else f"value_{name}".strip("_")
        base, number = name, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name
