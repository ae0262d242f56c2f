"""Rows and proposers that several tests share."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.proposers.base import Proposal, Proposer

PARITY = "def f(x):\n    return x.count('1') % 2\n"
ALWAYS_ONE = "f = lambda x: 1\n"
FIRST_BIT = "def f(x):\n    return int(x[0])\n"


def parity_splits(train: int = 20, validation: int = 30, test: int = 40, seed: int = 0) -> Splits:
    """Distinct strings of 12 bits with the parity of their ones."""
    numbers = random.Random(seed).sample(range(4096), train + validation + test)
    inputs = [f"{number:012b}" for number in numbers]
    labels = [str(text.count("1") % 2) for text in inputs]
    ends = (train, train + validation)
    return Splits(
        Examples(inputs[: ends[0]], labels[: ends[0]]),
        Examples(inputs[ends[0] : ends[1]], labels[ends[0] : ends[1]]),
        Examples(inputs[ends[1] :], labels[ends[1] :]),
        Classes(("0", "1"), (0, 1)),
    )


@dataclass
class Scripted(Proposer):
    """A proposer that charges for fixed replies and remembers what it was asked."""

    replies: Sequence[str]
    free: bool = False
    calls: list[tuple[Examples, Classes, int, int]] = field(default_factory=list)
    paid: int = 0

    name = "scripted"
    identity = "scripted"
    default_attempts = 5

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        self.calls.append((train, classes, seed, start))
        for text in self.replies[start:]:
            self.paid += 1
            yield Proposal(text, cost_usd=0.5, prompt_digest="abc")
