"""Fresh rows for each step of training: those of step n depend on the seed and n alone."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from llm_pv.data.examples import Examples
from llm_pv.errors import DataError
from llm_pv.tasks.drawing import Source
from llm_pv.tasks.words import Words

_BLOCKS = 512
"""Blocks of candidates drawn for one step before a class counts as not to be found."""


@dataclass(frozen=True)
class OnlineRows:
    """Draws the rows of any step, in any order and process.

    Examples
    --------
    >>> from llm_pv.tasks import task
    >>> fresh = OnlineRows(Source(task("fn_a"), 20, "paper", 0, 0), 4, frozenset())
    >>> fresh.step(7) == fresh.step(7), fresh.step(7) == fresh.step(8), fresh.step(7).labels
    (True, False, ['0', '1', '0', '1'])
    """

    source: Source
    "The task, length, sampler, seed and trial."
    batch_size: int
    "Rows of a step, half of each class."
    excluded: AbstractSet[str]
    "Inputs never drawn: the test rows."

    def step(self, number: int) -> Examples:
        """Return the rows of a step: classes in turn, no input twice.

        Raise DataError if there are not enough inputs that are no test rows.
        """
        task, length = self.source.task, self.source.length
        key = f"fresh|{task.name}|{length}|{self.source.sampler}|{self.source.seed}"
        words = Words(key, (self.source.trial, number))
        half = self.batch_size // 2
        found: tuple[dict[str, None], dict[str, None]] = ({}, {})
        target = task.target_function
        assert target is not None
        for _ in range(_BLOCKS):
            candidates = task.samplers[self.source.sampler].draw(words, length)
            symbols = np.ascontiguousarray(candidates.symbols)
            labels = target(symbols)
            fits = np.ones(len(labels), dtype=bool)
            if candidates.intended is not None:
                fits = labels == candidates.intended
            for label, texts in enumerate(found):
                chosen = symbols[fits & (labels == label)]
                for row in chosen.view(f"S{length}").ravel():
                    if len(texts) == half:
                        break
                    text = row.decode("ascii")
                    if text not in self.excluded:
                        texts[text] = None
            if all(len(texts) == half for texts in found):
                pairs = zip(*found, strict=True)
                return Examples([text for pair in pairs for text in pair], ["0", "1"] * half)
        raise DataError(
            f"--online: {task.name} at length {length} has not {half} inputs of each class beside "
            f"its {len(self.excluded):,} test rows; give a smaller --test-set-size or longer inputs"
        )
