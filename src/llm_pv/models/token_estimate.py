"""An upper estimate of tokens that needs no vendor's tokenizer and is the same on every machine.

A tokenizer that has to be downloaded would make the choice of rows depend on the network. Counted
are: every digit, punctuation mark and line break 1; lower-case letters 1 for every two of a run,
capitals 2 for every three; what is not ASCII 1 for every byte of UTF-8. Vendors that put three
digits in a token need a third of it for bits; none is known to need more than one a digit.
"""

import math
import re

_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\s+|[^A-Za-z\s]")


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of the number of tokens of a text.

    Examples
    --------
    >>> estimate_tokens("0110"), estimate_tokens("input: 01"), estimate_tokens("")
    (4, 6, 0)
    """
    return sum(_tokens(piece) for piece in _PIECE.findall(text))


def _tokens(piece: str) -> int:
    if piece.isspace():
        # A single space is part of the next word's token; longer runs and line breaks are tokens.
        return 0 if piece == " " else 1 + piece.count("\n") // 2
    if piece[-1].islower() and piece.isascii():
        return math.ceil(len(piece) / 2)
    if piece.isascii() and piece.isalpha():
        return math.ceil(2 * len(piece) / 3)
    return len(piece.encode("utf-8", "surrogatepass"))
