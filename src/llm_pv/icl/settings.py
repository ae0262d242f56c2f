"""How labels are asked for in a run."""

from dataclasses import dataclass

from llm_pv.errors import ConfigurationError
from llm_pv.models.answers import MODES, AnswerMode, Asking, ChatUse, LabelForm


@dataclass(frozen=True)
class Settings:
    """How labels are asked for.

    Parameters
    ----------
    modes
        The ways to have them, each a cell of its own.
    form, chat, max_new_tokens
        As in `llm_pv.models.answers.Asking`.
    orders
        Over how many orders of the examples accuracy is averaged.
    seed
        Draws orders and answers.
    """

    modes: tuple[AnswerMode, ...] = ("generate",)
    form: LabelForm = "json"
    chat: ChatUse = "auto"
    max_new_tokens: int = 1_024
    orders: int = 1
    seed: int = 42

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

    def asking(self, mode: AnswerMode, labels: tuple[str, ...] = ()) -> Asking:
        """Return how labels are asked for in one of the ways."""
        return Asking(labels, mode, self.form, self.chat, self.max_new_tokens)
