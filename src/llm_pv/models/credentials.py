"""Find API keys, and keep them out of everything that is written or shown."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_pv.errors import CredentialError, MissingExtraError

SHORTEST_FRAGMENT = 6
"""Consecutive characters of a key that count as secret: servers quote keys partly masked."""

SHORTEST_SECRET = 8
"""The least length of a secret key; shorter ones are placeholders."""

SHORTEST_CUT_KEY = 16
"""The least length of a key whose fragments are unlikely to occur in a model's own text."""

# fmt: off
PLACEHOLDERS = frozenset((
    "anything", "apikey", "changeme", "dummykey", "empty", "fakekey", "lmstudio", "localhost",
    "localonly", "nokey", "nokeyneeded", "nokeyrequired", "noneneeded", "notneeded",
    "notrequired", "notused", "ollama", "placeholder", "tokenabc123", "unused", "xxxxxxxx",
    "yourapikey", "yourapikeyhere", "yourkeyhere", "yourtokenhere", "yourkey",
))
# fmt: on
"""Placeholders that documentation of servers without keys uses, lower case, letters and digits
alone, without a leading ``sk-``."""

REDACTED = "[redacted]"


def find_key(variables: Sequence[str]) -> str | None:
    """Return the first of these variables that is set, in the environment or in ``./.env``.

    The environment wins over the file. The file's values never become part of the environment,
    which other processes inherit.

    Raise CredentialError if a value holds characters that no header allows.
    """
    file: dict[str, str | None] = {}
    path = Path.cwd() / ".env"
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


def is_secret(key: str) -> bool:
    """Return whether a key is secret: for servers without keys, users set placeholders.

    Examples
    --------
    >>> is_secret("x"), is_secret("sk-no-key-required"), is_secret("sk-4f9a8c7b6d5e")
    (False, False, True)
    """
    word = re.sub(r"[^a-z0-9]", "", key.lower().removeprefix("sk-"))
    return len(key) >= SHORTEST_SECRET and word not in PLACEHOLDERS


class Redactor:
    """Removes a key from texts; its own representation does not show the key.

    A key that is not secret (see `is_secret`) is never removed.

    Examples
    --------
    >>> Redactor("sk-abcdefgh123")("bad key sk-abcdef******123, sorry")
    'bad key [redacted] sorry'
    """

    def __init__(self, key: str | None) -> None:
        self.has_key = key is not None
        secret = key if key is not None and is_secret(key) else ""
        # A server may quote the key escaped, as in JSON within JSON.
        self._whole = re.compile("".join(map(_written, secret)), re.IGNORECASE) if secret else None
        starts = range(len(secret) - SHORTEST_FRAGMENT + 1) if secret else ()
        self._fragments = {secret[start : start + SHORTEST_FRAGMENT] for start in starts}
        self._has_distinct_fragments = len(secret) >= SHORTEST_CUT_KEY

    def __call__(self, text: str) -> str:
        """Return a text without any word that holds a fragment of the key."""
        if not any(fragment in text for fragment in self._fragments):
            return text
        return " ".join(
            REDACTED if any(fragment in word for fragment in self._fragments) else word
            for word in text.split(" ")
        )

    def reply(self, text: str, sent: Sequence[str] = ()) -> str:
        """Return a model's text without the key and, for a long key, without its fragments.

        Parameters
        ----------
        sent
            The text sent to the server: a fragment that is part of it, such as of a training
            row, reveals nothing.
        """
        if self._whole is None:
            return text
        text = self._whole.sub(REDACTED, text)
        if not self._has_distinct_fragments:
            return text
        plain = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text)
        found = [fragment for fragment in self._fragments if fragment in plain]
        leaked = [fragment for fragment in found if not any(fragment in each for each in sent)]
        return _without(leaked, plain) if leaked else text


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every string and name in it changed.

    Examples
    --------
    >>> with_texts({"a": ["b", 1]}, str.upper)
    {'A': ['B', 1]}
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(name)): with_texts(entry, change) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [with_texts(entry, change) for entry in value]
    return value


def _without(fragments: Sequence[str], text: str) -> str:
    """Return a text without the runs of characters that fragments cover."""
    pieces: list[str] = []
    kept = 0  # the end of the last run
    for match in re.finditer(f"(?={'|'.join(map(re.escape, fragments))})", text):
        start = match.start()
        if start > kept or not pieces:
            pieces += [text[kept:start], REDACTED]
        kept = start + SHORTEST_FRAGMENT
    return "".join(pieces) + text[kept:]


def _written(character: str) -> str:
    """Return a pattern for a character of a key as it is or as JSON may escape it."""
    return rf"(?:\\*{re.escape(character)}|\\+u00{ord(character):02x})"


_ESCAPED = re.compile(r"\\+u00([2-7][0-9a-fA-F])")
