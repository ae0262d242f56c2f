"""How labels are asked for in a run."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from llm_pv.errors import ConfigurationError
from llm_pv.models.answers import MODES, AnswerMode, Asking, ChatUse, LabelForm

FormChoice: TypeAlias = Literal["auto", "json", "plain"]
"""How a label is written; ``"auto"`` for the way that fits both the model and how one is had."""


@dataclass(frozen=True)
class Settings:
    """How labels are asked for."""

    modes: tuple[AnswerMode, ...] = ("generate",)
    "The ways to have them, each a cell of its own."
    form: FormChoice = "auto"
    """How a label is written; ``"auto"`` is plain for the likelihoods of a server, which tells the
    probabilities of an answer's first token alone, and JSON else."""
    chat: ChatUse = "auto"
    max_new_tokens: int = 1_024
    "As in `llm_pv.models.answers.Asking`."
    orders: int = 1
    "Over how many orders of the examples accuracy is averaged."
    seed: int = 42
    "Draws orders and answers."

    def __post_init__(self) -> None:
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes or len(set(self.modes)) < len(self.modes):
            raise ConfigurationError(f"--answer: give one or several of {', '.join(MODES)}")
        for option, value in (
            ("example-orders", self.orders),
            ("max-new-tokens", self.max_new_tokens),
        ):
            if value < 1:
                raise ConfigurationError(f"--{option} is {value}; give 1 or more")
        if self.seed < 0:
            raise ConfigurationError(f"seed {self.seed} is negative: give 0 or more")

    def asking(
        self, mode: AnswerMode, labels: tuple[str, ...] = (), *, served: bool = False
    ) -> Asking:
        """Return how labels are asked for in one of the ways.

        Parameters
        ----------
        served
            Whether the model is behind an API.

        Examples
        --------
        >>> [Settings().asking(mode, served=True).form for mode in ("generate", "likelihood")]
        ['json', 'plain']
        """
        form: LabelForm = "plain" if served and mode == "likelihood" else "json"
        if self.form != "auto":
            form = self.form
        return Asking(labels, mode, form, self.chat, self.max_new_tokens)
