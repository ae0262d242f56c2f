"""Texts as token numbers: characters for models from scratch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llm_pv.errors import ConfigurationError

Tokens = npt.NDArray[np.int32]

PAD, BOS, UNKNOWN = range(3)
_SPECIAL = 3


class Tokenizer(Protocol):
    """Turns texts into token numbers."""

    @property
    def pad(self) -> int:
        """The token that fills up shorter texts of a batch; none of a text's own."""

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, at least one."""


@dataclass(frozen=True)
class CharacterTokens:
    """A token for each character, after one that begins the text.

    Examples
    --------
    >>> tokens = CharacterTokens.of(["0110", "1"], "01")
    >>> tokens.size, [row.tolist() for row in tokens.encode(["01", "2"])]
    (5, [[1, 3, 4], [1, 2]])
    """

    alphabet: str
    "The known characters, sorted; any other becomes one and the same unknown token."
    size: int
    pad: int = PAD

    @classmethod
    def of(
        cls, texts: Iterable[str], alphabet: str = "", size: int | None = None
    ) -> "CharacterTokens":
        """Collect the characters of some texts.

        Raise ConfigurationError if the vocabulary asked for is too small.

        Parameters
        ----------
        alphabet
            Characters known to occur beside theirs.
        size
            The vocabulary asked for; None for as many tokens as are needed.
        """
        known = "".join(sorted({*alphabet, *(character for text in texts for character in text)}))
        needed = len(known) + _SPECIAL
        if size is not None and size < needed:
            raise ConfigurationError(
                f"--vocab-size is {size}, but {len(known)} characters and the tokens for padding, "
                f"beginning and unknown make {needed}; give that or more"
            )
        return cls(known, size or needed)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the beginning and a token for each character."""
        codes = np.frombuffer(_code_points(self.alphabet), dtype="<u4")
        encoded = []
        for text in texts:
            points = np.frombuffer(_code_points(text), dtype="<u4")
            places = np.searchsorted(codes, points)
            known = codes[np.minimum(places, len(codes) - 1)] == points if len(codes) else False
            row = np.empty(len(points) + 1, dtype=np.int32)
            row[0] = BOS
            row[1:] = np.where(known, places + _SPECIAL, UNKNOWN)
            encoded.append(row)
        return encoded


def _code_points(text: str) -> bytes:
    return text.encode("utf-32-le", "surrogatepass")
