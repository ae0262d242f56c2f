"""How a language model is prompted, and what of that decides its programs."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ToolPlace
from llm_pv.models.language_model import LanguageModel
from llm_pv.proposers.llm.prompt.row_choice import MOST_ROWS
from llm_pv.proposers.llm.prompt.statement import AnswerFormat
from llm_pv.sandbox import ToolFunction, ToolLimits

DEFAULT_ATTEMPTS = 5


@dataclass(frozen=True)
class LLMSettings:
    """How a model is prompted.

    Parameters
    ----------
    tool
        Where the model's own code runs: ``"local"``, in a sandbox of ours; ``"hosted"``, at the
        vendor; ``"none"``; ``"any"``, hosted where the model has that, else local. None takes
        what suits the model.
    refinements
        How often a model is shown its mistakes on training rows and asked again.
    prompt_variant
        One of our wordings, 1 to 4, or a file with another.
    samples_per_call
        The number of attempts started by one call, if the server can return several answers.
    prompt_rows
        The most training rows in a prompt, drawn by the seed; None for all. ``"auto"``: with a
        local tool, which holds all rows, a few telling ones; else as many as fit.
    answer_format
        How a model is to write its program: ``"python"``, in a fenced block after its thoughts, or
        ``"json"``, one object and nothing else, as in the paper.
    programs_per_reply
        How many programs of one reply are verified, each as an attempt of its own.
    facts
        Whether the prompt says what can be computed of the training rows.
    explore
        Whether later attempts of a cell are shown earlier programs of it with their training
        accuracy, and asked for something else.
    noise
        The share of labels that may be wrong, of which the facts tell.
    about
        What the user says of the rows, for the facts.
    tool_calls
        The most tool calls in one attempt.
    tool_limits
        The limits of one tool call.
    tool_functions
        What a local tool offers besides the rows: ``"check"``, ``"survey"``.
    most_seconds
        Seconds after which a conversation gets no further tool call; None for no limit.
    allow_unconfined, backend
        How the tool is confined, as for `llm_pv.sandbox.Sandbox`.
    """

    tool: ToolPlace | Literal["any"] | None = None
    refinements: int = 0
    prompt_variant: int | Path = 1
    samples_per_call: int = 1
    prompt_rows: int | Literal["auto"] | None = MOST_ROWS
    answer_format: AnswerFormat = "json"
    programs_per_reply: int = 1
    facts: bool = False
    explore: bool = False
    noise: float = 0.0
    about: str = ""
    tool_calls: int = 20
    tool_limits: ToolLimits = field(default_factory=ToolLimits)
    tool_functions: tuple[ToolFunction, ...] = ()
    most_seconds: float | None = None
    allow_unconfined: bool = False
    backend: Literal["auto", "linux", "wasm"] = "auto"

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
        if self.answer_format != "json":
            parts.append(f"answer={self.answer_format}")
        if self.programs_per_reply != 1:
            parts.append(f"programs={self.programs_per_reply}")
        if self.facts:
            parts.append(f"facts: noise={self.noise}, about={self.about!r}")
        if self.tool_functions:
            parts.append(f"tool_functions={','.join(self.tool_functions)}")
        if self.explore:
            parts.append("explore")
        return "; ".join(parts)

    def tool_place(self, model: LanguageModel) -> ToolPlace:
        """Return where the code of a model runs.

        Raises
        ------
        ConfigurationError
            If it cannot run where it is asked to.
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


DEFAULT_SETTINGS = LLMSettings()
"""Prompts as the paper does."""
LEARN_SETTINGS = LLMSettings(
    refinements=1,
    prompt_rows="auto",
    answer_format="python",
    programs_per_reply=5,
    facts=True,
    tool_functions=("check", "survey"),
)
"""How `llm_pv.learn` and ``llm-pv learn`` prompt unless options say otherwise."""
