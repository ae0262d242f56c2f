"""The rule that converts a value, given by a user or returned by a program, to a label text.

This file imports nothing but the standard library's `math`: a sandboxed process loads it by path,
without the package around it.
"""

import math


def label_text(value: object) -> str:
    """Return the text of a label, by which labels are compared.

    A bool becomes an int, a numpy scalar its Python value, an integral float an int; the text is
    the ``str`` of what results.

    Raise TypeError if the value is of any other type (None, a list, ...). Raise ValueError if it is
    a NaN, or an integer too long to print.

    Examples
    --------
    >>> [label_text(value) for value in (True, 1.0, "1", 0.5, "spam")]
    ['1', '1', '1', '0.5', 'spam']
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is bool:
        return "1" if value else "0"
    if kind is int:
        return str(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("a NaN is no label")
        return str(int(value)) if value.is_integer() else float.__repr__(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"a {kind.__name__} is no label")
