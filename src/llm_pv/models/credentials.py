"""Where keys come from, and how they are kept out of everything that is written or shown."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_pv.errors import CredentialError, MissingExtraError

SHORTEST_FRAGMENT = 6
"""Characters of a key in a row that give it away: servers quote keys masked in their middle."""

REDACTED = "[redacted]"


def find_key(variables: Sequence[str], folder: Path | None = None) -> str | None:
    """Return the first of these variables that is set, in the environment or in ``.env``.

    The environment wins over the file. The file's values never become part of the environment,
    which other processes inherit.

    Parameters
    ----------
    variables
        Names, the most wanted first.
    folder
        Where ``.env`` lies; None for the working directory.

    Raises
    ------
    CredentialError
        If a value holds what no header can carry.
    """
    file: dict[str, str | None] = {}
    path = (folder or Path.cwd()) / ".env"
    if path.is_file():
        try:
            from dotenv import dotenv_values
        except ImportError as error:
            raise MissingExtraError("python-dotenv", "llm", "read keys from .env") from error
        file = dotenv_values(path, interpolate=False)
    for source in (os.environ, file):
        for name in variables:
            key = (source.get(name) or "").strip()
            if not key:
                continue
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise CredentialError(f"{name} holds characters that no key has; set it again")
            return key
    return None


class Redactor:
    """Takes a key out of texts; it shows nothing of the key itself.

    Parameters
    ----------
    key
        The key, None if there is none.

    Examples
    --------
    >>> Redactor("sk-abcdefgh123")("bad key sk-abcdef******123, sorry")
    'bad key [redacted] sorry'
    """

    def __init__(self, key: str | None) -> None:
        # A key may come back escaped, as JSON within JSON writes it.
        self._whole = re.compile("".join(map(_written, key)), re.IGNORECASE) if key else None
        self._is_short = len(key or "") < SHORTEST_FRAGMENT
        self.has_key = key is not None
        length = min(SHORTEST_FRAGMENT, len(key or ""))
        self._fragments = (
            {key[start : start + length] for start in range(len(key) - length + 1)}
            if key
            else set()
        )

    def __call__(self, text: str) -> str:
        """Return a text without any word that holds a fragment of the key."""
        if not any(fragment in text for fragment in self._fragments):
            return text
        return " ".join(
            REDACTED if any(fragment in word for fragment in self._fragments) else word
            for word in text.split(" ")
        )

    def reply(self, text: str) -> str:
        """Return a model's words without the whole key; its fragments may be anything there."""
        return self._whole.sub(REDACTED, text) if self._whole else text

    def everything(self, value: Any) -> Any:
        """Return a JSON value without the whole key in any of its strings and names.

        Names are left alone for keys such as ``none``, which are no secret and may be part of the
        format's own names.
        """
        if isinstance(value, str):
            return self.reply(value)
        if isinstance(value, Mapping):
            return {
                name if self._is_short else self.reply(str(name)): self.everything(entry)
                for name, entry in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.everything(entry) for entry in value]
        return value


def _written(character: str) -> str:
    """Return a pattern for a character of a key as it stands or as JSON may escape it."""
    return rf"(?:\\*{re.escape(character)}|\\+u00{ord(character):02x})"
