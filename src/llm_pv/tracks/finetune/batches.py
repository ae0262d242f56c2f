"""Texts as token numbers, and tokenised rows as torch wants them: a whole batch in one call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune.online_rows import OnlineRows
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.rows import Rows

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


Batch = dict[str, torch.Tensor]
"""The arguments of a model's forward pass."""


class EncodedRows(Dataset[Batch]):
    """Rows that stay the same, tokenised once.

    Texts of one length need no padding and no attention mask, so that attention takes its fastest
    way; shorter texts of a mixed batch are filled up on the right and masked.

    Raise ConfigurationError if a text has more tokens than the model has positions.

    Parameters
    ----------
    positions
        The most tokens the model takes; None for no limit.
    """

    def __init__(
        self, examples: Examples, classes: Classes, tokens: Tokenizer, positions: int | None
    ) -> None:
        rows = tokens.encode([str(text) for text in examples.inputs])
        self._flat = np.concatenate([np.empty(0, np.int32), *rows])
        self._ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        self._pad = tokens.pad
        known = {text: number for number, text in enumerate(classes.texts)}
        self.labels = np.array([known[label] for label in examples.labels], dtype=np.int64)
        self.longest = max(map(len, rows), default=0)
        check_positions(self.longest, positions)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = [self._row(index) for index in indices]
        lengths = {len(row) for row in rows}
        batch = {"labels": torch.from_numpy(self.labels[list(indices)])}
        if len(lengths) == 1:
            batch["input_ids"] = torch.from_numpy(np.stack(rows).astype(np.int64))
            return batch
        tokens = np.full((len(rows), max(lengths)), self._pad, dtype=np.int64)
        mask = np.zeros(tokens.shape, dtype=np.int64)
        for number, row in enumerate(rows):
            tokens[number, : len(row)] = row
            mask[number, : len(row)] = 1
        return batch | {
            "input_ids": torch.from_numpy(tokens),
            "attention_mask": torch.from_numpy(mask),
        }

    def _row(self, index: int) -> Any:
        start = self._ends[index - 1] if index else 0
        return self._flat[start : self._ends[index]]


class OnlineBatches(Dataset[Batch]):
    """Rows that each step draws afresh; row ``index`` belongs to step ``index // batch_size``."""

    def __init__(
        self,
        fresh: OnlineRows,
        steps: int,
        classes: Classes,
        tokens: Tokenizer,
        positions: int | None,
    ) -> None:
        self.fresh = fresh
        self._steps = steps
        self._how = (classes, tokens, positions)
        self._last: tuple[int, EncodedRows] | None = None

    def __len__(self) -> int:
        return self._steps * self.fresh.batch_size

    def __getitem__(self, index: int) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        size = self.fresh.batch_size
        parts = []
        for step in dict.fromkeys(index // size for index in indices):
            rows = self._step(step)
            parts.append(rows.__getitems__([i % size for i in indices if i // size == step]))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _step(self, step: int) -> EncodedRows:
        if self._last is None or self._last[0] != step:
            self._last = (step, EncodedRows(self.fresh.step(step), *self._how))
        return self._last[1]


class RecentRows(Dataset[Batch]):
    """The rows of the last epoch of fresh ones: what the model has just been trained on."""

    def __init__(self, source: OnlineBatches, rows: int) -> None:
        self._source = source
        self._rows = rows
        self.first = 0

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Batch:
        return self._source[self.first + index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._source.__getitems__([self.first + index for index in indices])


@dataclass(frozen=True)
class Sets:
    """The rows of a job as a trainer takes them."""

    train: EncodedRows | OnlineBatches
    test: EncodedRows
    "The training and the test rows."
    longer: tuple[EncodedRows, ...]
    "Test rows of other lengths."
    recent: RecentRows | None
    "The training rows last seen, where they are fresh."
    steps_an_epoch: int
    steps: int
    "Steps of an epoch, and of the whole training."

    @classmethod
    def of(cls, job: Job, rows: Rows, tokens: Tokenizer, positions: int | None) -> "Sets":
        """Tokenise the rows."""
        batch, epochs = job.training.batch_size, job.training.epochs
        test, *longer = (
            EncodedRows(part, rows.classes, tokens, positions) for part in (rows.test, *rows.longer)
        )
        train: EncodedRows | OnlineBatches
        if rows.fresh is None:
            train = EncodedRows(rows.train, rows.classes, tokens, positions)
            recent, an_epoch = None, -(-len(train) // batch)
        else:
            an_epoch = (job.rows.train_size or batch) // batch
            train = OnlineBatches(rows.fresh, an_epoch * epochs, rows.classes, tokens, positions)
            recent = RecentRows(train, an_epoch * batch)
        return cls(train, test, tuple(longer), recent, an_epoch, an_epoch * epochs)


def as_batch(batch: Any) -> Batch:
    """Return a batch as it is: the rows above come as whole batches."""
    return dict(batch)


def check_positions(longest: int, positions: int | None) -> None:
    """Refuse texts with more tokens than the model has positions."""
    if positions is not None and longest > positions:
        raise ConfigurationError(
            f"the longest input has {longest:,} tokens and the model {positions:,} positions: "
            "give shorter inputs, or, from scratch, a larger --context-length"
        )
