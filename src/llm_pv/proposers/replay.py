"""Proposals from saved replies: a JSON-lines file, or a folder of texts."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from llm_pv.data.examples import Classes, Examples
from llm_pv.data.file_bytes import file_lines, file_text
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.llm.turns import ON_THE_WAY

_TEXT_KEYS = ("text", "reply", "response", "output", "content", "completion")

_MOST_CHARACTERS = 64_000_000
"""Of one reply in a file; `read_program` refuses far shorter ones, each as a failed attempt."""


@dataclass(frozen=True)
class Replay(Proposer):
    """Propose saved replies in order: the method without a model, or a repeated run.

    A file ending in ``.jsonl`` holds one reply a line: a JSON string, an object with the reply
    under ``text`` (or reply, response, output, content, completion), or an object with ``code``,
    which is a reply itself. In a folder every visible file is one reply, in the order of names.
    Any other file is one reply.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "1.txt").write_text("f = lambda x: 1")
    ...     [reply.text for reply in Replay(Path(folder)).replies()]
    ['f = lambda x: 1']
    """

    path: Path
    loaded: tuple[Proposal, ...] = ()
    "The replies if they were read already, for a machine without the files."

    @property
    def name(self) -> str:
        """The name a run records."""
        return f"replay:{self.path}"

    @property
    def columns(self) -> dict[str, str]:
        """The method ``replay``, whatever the path."""
        return super().columns | {"method": "replay"}

    @property
    def identity(self) -> str:
        """A digest of the replies, independent of their path."""
        texts = json.dumps([reply.text for reply in self.replies()])
        return f"replay of {hashlib.sha256(texts.encode()).hexdigest()}"

    @property
    def default_attempts(self) -> int:
        """The number of replies."""
        return max(1, len(self.replies()))

    def portable(self) -> Proposer:
        """Return the replies in memory, for another machine."""
        return replace(self, loaded=tuple(self.replies()))

    def replies(self) -> list[Proposal]:
        """Read every saved reply.

        Raise ConfigurationError if the file or folder is missing, empty, or not readable as
        replies.
        """
        if self.loaded:
            return list(self.loaded)
        try:
            if self.path.is_dir():
                files = sorted(
                    file
                    for file in self.path.iterdir()
                    if file.is_file() and not file.name.startswith(".")
                )
                texts = [_whole(file) for file in files]
            elif self.path.suffix == ".jsonl":
                texts = self._read_lines()
            else:
                texts = [_whole(self.path)]
        except OSError as error:
            raise ConfigurationError(
                f"cannot read replies from {self.path}: {error.strerror or error}; "
                "give replay: a JSONL file or a folder of saved replies"
            ) from error
        if not texts:
            raise ConfigurationError(f"{self.path} holds no replies")
        return [Proposal(text) for text in texts]

    def propose(
        self,
        train: Examples,  # noqa: ARG002 - a saved reply has seen its own
        classes: Classes,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        start: int = 0,
    ) -> Iterator[Proposal]:
        """Yield the saved replies in order."""
        return islice(self.replies(), start, None)

    def _read_lines(self) -> list[str]:
        texts = []
        for number, read in enumerate(file_lines(self.path, 4 * _MOST_CHARACTERS + 1), start=1):
            line = read.decode("utf-8", "replace").removesuffix("\n")
            if line.strip():
                reply = self._reply_of(_short_enough(line, self.path), number)
                texts += [] if reply is None else [reply]
        return texts

    def _reply_of(self, line: str, number: int) -> str | None:
        """Return the reply of a line, None for a turn or a tool call that led to one."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self.path}, line {number}: not JSON ({error}); one reply a line is expected"
            ) from error
        if isinstance(value, dict):
            if value.get("kind") in ON_THE_WAY:
                return None
            texts = [value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str)]
            if texts:
                return str(texts[0])
            if isinstance(value.get("code"), str):
                return line
        elif isinstance(value, str):
            return value
        raise ConfigurationError(
            f"{self.path}, line {number}: no reply under any of {', '.join(_TEXT_KEYS)} or code"
        )


def _whole(file: Path) -> str:
    return _short_enough(file_text(file, 4 * _MOST_CHARACTERS + 1, errors="replace"), file)


def _short_enough(reply: str, file: Path) -> str:
    if len(reply) > _MOST_CHARACTERS:
        raise ConfigurationError(
            f"{file}: a reply of more than {_MOST_CHARACTERS:,} characters is not read"
        )
    return reply
