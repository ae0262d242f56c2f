"""How a language model is prompted, and what of that decides its programs."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ToolPlace

if TYPE_CHECKING:  # the help of a command needs neither
    from llm_pv.models.language_model import LanguageModel
    from llm_pv.sandbox import ToolFunction, ToolLimits

DEFAULT_ATTEMPTS = 5

MOST_ROWS = 100
"""The most rows that a prompt shows by default."""

AnswerFormat: TypeAlias = Literal["python", "json"]
"""How a program is written down: in a fenced block of Python, or as the paper has it, in JSON."""


def _usual_tool_limits() -> "ToolLimits":
    from llm_pv.sandbox import ToolLimits

    return ToolLimits()


@dataclass(frozen=True)
class LLMSettings:
    """How a model is prompted."""

    tool: ToolPlace | Literal["any"] | None = None
    "Where its own Python runs: local, in a sandbox here; hosted, at the vendor; any, hosted where \
it can be; default local where the model can call tools."
    refinements: int = 0
    "How often a program that is wrong on training rows is sent back; default 1 in learn, else 0."
    prompt_variant: int | Path = 1
    "Wording of the problem: 1 to 4, or a file."
    samples_per_call: int = 1
    "Answers per call, if the server supports several."
    prompt_rows: int | Literal["auto"] | None = MOST_ROWS
    """The most training rows in a prompt, drawn by the seed; None for all. ``"auto"``: with a local
    tool, which holds all rows, a few informative ones; else as many as fit."""
    answer_format: AnswerFormat = "json"
    "How the model writes its program: thoughts and a fenced block, or one JSON object as in the \
paper."
    programs_per_reply: int = 1
    "How many programs of one reply are verified, each as an attempt of its own."
    facts: bool = False
    "Whether the prompt says what can be computed of the training rows."
    explore: bool = False
    """Whether later attempts of a cell are shown earlier programs of it with their training
    accuracy, and asked for something else."""
    noise: float = 0.0
    "The share of labels that may be wrong, stated in the facts."
    about: str = ""
    "What the user says of the rows, for the facts."
    tool_calls: int = 20
    "Most calls of the tool in one attempt."
    tool_limits: "ToolLimits" = field(default_factory=_usual_tool_limits)
    "The limits of one tool call."
    tool_functions: "tuple[ToolFunction, ...]" = ()
    """What a local tool offers besides the rows: ``"check"``, ``"survey"``."""
    most_seconds: float | None = None
    "Seconds after which a conversation gets no further tool call; None for no limit."
    allow_unconfined: bool = False
    backend: Literal["auto", "linux", "wasm"] = "auto"
    "How the tool is confined, as for `llm_pv.sandbox.Sandbox`."

    def __post_init__(self) -> None:
        for name, least in (
            ("refinements", 0),
            ("samples_per_call", 1),
            ("tool_calls", 1),
            ("prompt_rows", 1),
            ("programs_per_reply", 1),
        ):
            value = getattr(self, name)
            if isinstance(value, int) and value < least:
                raise ConfigurationError(f"is {value}; give {least} or more", name)

    def identity(self, place: ToolPlace) -> str:
        """Return what decides proposals besides the model, its tool running at ``place``."""
        parts = [
            f"tool={place}",
            f"refinements={self.refinements}",
            f"prompt={self._wording()}",
            f"samples={self.samples_per_call}",
            f"prompt_rows={self.prompt_rows}",
            f"tool_calls={self.tool_calls}",
            f"tool_limits={self.tool_limits}",
        ]
        facts = f"facts: noise={self.noise}, about={self.about!r}"
        functions = f"tool_functions={','.join(self.tool_functions)}"
        for part, is_set in (
            (f"answer={self.answer_format}", self.answer_format != "json"),
            (f"programs={self.programs_per_reply}", self.programs_per_reply != 1),
            (facts, self.facts),
            (functions, self.tool_functions),
            ("explore", self.explore),
        ):
            parts += [part] if is_set else []
        return "; ".join(parts)

    def tool_place(self, model: "LanguageModel") -> ToolPlace:
        """Return where the code of a model runs.

        Raise ConfigurationError if it cannot run there.
        """
        wanted = self.tool
        if wanted is None or (wanted == "any" and "hosted" not in model.tool_places):
            return model.default_tool
        if wanted == "any":
            return "hosted"
        if wanted not in model.tool_places:
            places = ", ".join(sorted(model.tool_places))
            raise ConfigurationError(
                f"{model.name} cannot use --tool {wanted}; give one of {places}"
            )
        return wanted

    def _wording(self) -> str:
        """Return the text of the wording, so that the place of its file does not matter."""
        variant = self.prompt_variant
        if isinstance(variant, int):
            return str(variant)
        try:
            return hashlib.sha256(variant.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the prompt {variant}: {error.strerror or error}; give 1 to 4 or a "
                "file"
            ) from error
