"""The settings of in-context learning."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from llm_pv.errors import ConfigurationError
from llm_pv.models.label_queries import MODES, AnswerMode, ChatUse, LabelForm, LabelQuery

FormChoice: TypeAlias = Literal["auto", "json", "plain"]


@dataclass(frozen=True)
class Settings:
    """Settings of queries for labels, and of reading the answers."""

    modes: tuple[AnswerMode, ...] | None = None
    "How a label is read: free text (the default), text restricted to the labels, or the labels' \
probabilities; several are compared."
    form: FormChoice = "auto"
    'Whether an answer is {"label": ...} or the bare label; auto takes the former but for the \
likelihoods of a server.'
    chat: ChatUse = "auto"
    "Whether prompts go into the model's chat template: where it has one, always, never."
    max_new_tokens: int | None = None
    "Most tokens of a free answer; default 1,024."
    orders: int = 1
    "Orders of the examples that accuracy is averaged over."
    seed: int | None = None
    "Seed of data sets, orders and answers; default 42 for tasks, 0 for own rows."

    def __post_init__(self) -> None:
        unknown = [mode for mode in self.ways if mode not in MODES]
        if unknown or not self.ways or len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(
                f"is {self.modes}; give one or several of {', '.join(MODES)}", "modes"
            )
        for name, value in (("orders", self.orders), ("max_new_tokens", self.token_limit)):
            if value < 1:
                raise ConfigurationError(f"is {value}; give 1 or more", name)
        if self.drawn_by < 0:
            raise ConfigurationError(f"seed {self.seed} is negative: give 0 or more")

    @property
    def ways(self) -> tuple[AnswerMode, ...]:
        """The modes, each a cell of its own."""
        return ("generate",) if self.modes is None else self.modes

    @property
    def token_limit(self) -> int:
        """The most tokens of a free answer."""
        return 1_024 if self.max_new_tokens is None else self.max_new_tokens

    @property
    def drawn_by(self) -> int:
        """The seed of orders and answers."""
        return 42 if self.seed is None else self.seed

    def filled(self) -> "Settings":
        """Return these settings with a value for each that has none."""
        chosen = {"modes": self.ways, "max_new_tokens": self.token_limit, "seed": self.drawn_by}
        return Settings(**vars(self) | chosen)

    def record(self) -> dict[str, Any]:
        """Return what identifies a run with these settings."""
        return asdict(self.filled()) | {"modes": list(self.ways)}

    def query(
        self, mode: AnswerMode, labels: tuple[str, ...] = (), *, served: bool = False
    ) -> LabelQuery:
        """Return the query for labels in one of the modes.

        Parameters
        ----------
        served
            Whether the model is behind an API, which tells the probabilities of an answer's first
            token alone: its likelihoods are of bare labels.

        Examples
        --------
        >>> [Settings().query(mode, served=True).form for mode in ("generate", "likelihood")]
        ['json', 'plain']
        """
        form: LabelForm = "plain" if served and mode == "likelihood" else "json"
        if self.form != "auto":
            form = self.form
        return LabelQuery(labels, mode, form, self.chat, self.token_limit)
