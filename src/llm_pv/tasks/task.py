"""Benchmark tasks: a target function, samplers, and the lengths it allows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tasks.words import Words

SamplerName = Literal["paper", "hard"]
"""How inputs are drawn: as in the paper, or with the classes alike in every cheap statistic."""

Symbols = npt.NDArray[np.uint8]
"""Inputs of one length as a matrix of ASCII codes, one input a row."""

Labels = npt.NDArray[np.uint8]

STANDARD_LENGTHS = (100, 50, 30, 25, 20)


@dataclass(frozen=True)
class Candidates:
    """One block of inputs as a sampler drew them, before they are labelled.

    Parameters
    ----------
    symbols
        The inputs.
    intended
        The class each row was made for; a row whose target says otherwise is dropped. None where
        any label will do.
    """

    symbols: Symbols
    intended: Labels | None = None

    @classmethod
    def from_pairs(cls, ones: Symbols, zeros: Symbols) -> "Candidates":
        """Keep one of each pair, alternately, so that no learner sees a row's counterpart.

        Parameters
        ----------
        ones, zeros
            Pairs of inputs, the second made from the first.
        """
        return cls.of_classes(ones[::2], zeros[1::2])

    @classmethod
    def of_classes(cls, ones: Symbols, zeros: Symbols) -> "Candidates":
        """Put rows made for class 1 and rows made for class 0 into one block."""
        intended = np.zeros(len(ones) + len(zeros), dtype=np.uint8)
        intended[: len(ones)] = 1
        return cls(np.concatenate([ones, zeros]), intended)


@dataclass(frozen=True)
class Sampler:
    """A way to draw inputs.

    Parameters
    ----------
    draw
        Takes a stream and a length and returns the next block of candidates; the size of a block
        depends on the length alone.
    smallest
        The smallest length it can draw, where that is more than the task's own.
    patience
        A class counts as exhausted when this many hits were drawn for each different input found.
    """

    draw: Callable[[Words, int], Candidates]
    smallest: int = 0
    patience: int = 128


@dataclass(frozen=True)
class Lengths:
    """The lengths a task allows.

    Parameters
    ----------
    default
        The lengths of the published experiments, the first being the usual one.
    smallest, largest
        The first and last length allowed.
    multiple
        Every length is a multiple of this.
    reason
        Why others make no sense, as the end of the error's sentence.
    """

    default: tuple[int, ...] = STANDARD_LENGTHS
    smallest: int = 4
    largest: int = 10_000
    multiple: int = 1
    reason: str = ""

    def describe(self) -> str:
        """Return the rule in words."""
        if self.smallest == self.largest:
            return f"{self.smallest} alone"
        step = f"multiples of {self.multiple} " if self.multiple > 1 else ""
        return f"{step}from {self.smallest:,} to {self.largest:,}"

    def allows(self, length: int) -> bool:
        """Tell whether a length is allowed."""
        return self.smallest <= length <= self.largest and length % self.multiple == 0


@dataclass(frozen=True)
class Task:
    """A target function with samplers: one row of the benchmark.

    Parameters
    ----------
    id
        The published id such as ``"fn_a"``; empty for tasks known by name alone.
    name
        The published name.
    description
        When the label is 1.
    alphabet
        What inputs are written in: ``"binary"``, ``"decimal"``, ``"graph"`` or ``"table"``.
    examples
        An input of class 0 and one of class 1, short enough to read.
    target_function
        Takes a matrix of ASCII codes, one input a row, and returns the labels; None for tables,
        whose labels come with their rows.
    samplers
        The samplers by name; empty for tables.
    lengths
        The lengths it allows.
    length_generalising
        Whether the target means the same at every length.
    growth
        By how much lengths are multiplied to judge a program on other lengths.
    apart_from
        From this length on two draws never meet, so that the labelled rows need not wait for the
        test pool to be drawn to its end; 0 for never.

    Examples
    --------
    >>> from llm_pv.tasks import task
    >>> task("fn_a").target(["0110", "0111"]).tolist()
    [0, 1]
    """

    id: str
    name: str
    description: str
    alphabet: Literal["binary", "decimal", "graph", "table"]
    examples: tuple[str, str]
    target_function: Callable[[Symbols], Labels] | None = None
    samplers: Mapping[str, Sampler] = field(default_factory=dict)
    lengths: Lengths = Lengths()
    length_generalising: bool = True
    growth: tuple[int, ...] = (2, 4)
    apart_from: int = 0

    def target(self, inputs: Sequence[str] | npt.NDArray[np.str_]) -> Labels:
        """Label inputs, of one length or of several.

        Parameters
        ----------
        inputs
            n inputs as strings over the task's alphabet.

        Returns
        -------
        numpy.ndarray of shape (n,)
            0 or 1 for each.

        Raises
        ------
        DataError
            If an input holds anything but the alphabet's characters, or the task is a table.
        """
        if self.target_function is None:
            raise DataError(f"{self.name} is a table: its labels come with its rows")
        labels = np.zeros(len(inputs), dtype=np.uint8)
        by_width: dict[int, list[int]] = {}
        for position, text in enumerate(inputs):
            by_width.setdefault(len(text), []).append(position)
        for width, positions in by_width.items():
            if width:
                symbols = self._symbols([str(inputs[i]) for i in positions], width)
                labels[positions] = self.target_function(symbols)
        return labels

    def _symbols(self, texts: list[str], width: int) -> Symbols:
        symbols = np.frombuffer(
            "".join(texts).encode("latin-1", "replace"), dtype=np.uint8
        ).reshape(len(texts), width)
        wrong = ~np.isin(symbols, np.frombuffer(CHARACTERS[self.alphabet], dtype=np.uint8))
        if wrong.any():
            text = texts[int(np.argmax(wrong.any(axis=1)))]
            raise DataError(f"{text[:40]!r} is no input of {self.name}: it is {self.alphabet}")
        return symbols

    def check_length(self, length: int, sampler: SamplerName = "paper") -> None:
        """Refuse a length this task does not allow.

        Raises
        ------
        ConfigurationError
            If the length, or the sampler's name, is not allowed; it names what is.
        """
        if sampler not in ("paper", "hard"):
            raise ConfigurationError(f"no sampler {sampler!r}: choose 'paper' or 'hard'")
        rule = self.lengths
        if not rule.allows(length):
            reason = f" ({rule.reason})" if rule.reason else ""
            raise ConfigurationError(
                f"{self.name} has no inputs of length {length}: it takes {rule.describe()}{reason}"
            )
        drawer = self.samplers.get(sampler)
        if drawer is not None and length < drawer.smallest:
            raise ConfigurationError(
                f"the {sampler} sampler of {self.name} starts at length {drawer.smallest}, "
                f"not {length}: take a longer one or the other sampler"
            )

    def tested_at(self, length: int) -> bool:
        """Return whether what is learned at one length can be tested at this one."""
        return self.length_generalising and self.lengths.allows(length)

    def other_lengths(self, length: int) -> tuple[int, ...]:
        """Return the lengths a program learnt at this one is also judged at.

        Examples
        --------
        >>> from llm_pv.tasks import task
        >>> task("fn_g").other_lengths(100), task("fn_aa").other_lengths(300)
        ((200, 400), (594,))
        """
        if not self.length_generalising:
            return ()
        grown = {min(length * factor, self.lengths.largest) for factor in self.growth}
        return tuple(sorted(n for n in grown if n > length and self.lengths.allows(n)))


CHARACTERS = {"binary": b"01", "decimal": b"0123456789", "graph": b"0123456789uv", "table": b""}
"""The characters of each alphabet."""


def uniform_binary(words: Words, length: int) -> Candidates:
    """Draw binary strings, each as likely as another."""
    return Candidates(words.bits(4_096, length) + np.uint8(ord("0")))


UNIFORM_BINARY: Mapping[str, Sampler] = {
    "paper": Sampler(uniform_binary),
    "hard": Sampler(uniform_binary),
}
"""For targets that no cheap statistic gives away on uniform strings, `hard` is uniform as well."""

binary_task = partial(Task, alphabet="binary", samplers=UNIFORM_BINARY)
"""A task on uniform binary strings."""
