"""Options of every command that calls a language model, and the objects they define."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.options import FIRST, common_fields, given, option_group, require
from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ModelOptions
from llm_pv.models.registry import MODEL_HELP, provider_of
from llm_pv.proposers.llm_settings import AnswerFormat, LLMSettings

if TYPE_CHECKING:
    from llm_pv.cli.options import SandboxOptions
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.spending import Budget, BudgetTracker
    from llm_pv.sandbox import ToolLimits

_MODEL = Group("Model", sort_key=3)
_ASKING = Group("How the model is asked", sort_key=4)
_LIMITS = Group("Limits of calls and tools", sort_key=4.5)


@option_group(_MODEL, like=ModelOptions, timeout_seconds=Parameter(name="--timeout"))
@dataclass(frozen=True)
class ConnectionOptions:
    """How any model is reached."""

    base_url: str | None = ModelOptions.base_url
    api: Literal["responses", "chat"] | None = ModelOptions.api
    temperature: float | None = ModelOptions.temperature
    top_p: float | None = ModelOptions.top_p
    timeout_seconds: float = ModelOptions.timeout_seconds
    retries: int = ModelOptions.retries
    model_option: tuple[str, ...] = ()
    "NAME=JSON passed on to the server or engine; repeat for several."


@option_group(_MODEL, like=ModelOptions)
@dataclass(frozen=True)
class CallOptions(ConnectionOptions):
    """How a model is called."""

    reasoning_effort: Literal["minimal", "low", "medium", "high", "none"] = "high"
    verbosity: Literal["low", "medium", "high", "none"] = "low"
    max_output_tokens: int = ModelOptions.max_output_tokens
    context_tokens: int | None = ModelOptions.context_tokens
    price_in: float | None = None
    "US dollars a million tokens sent cost, for a server without a list price."
    price_out: float | None = None
    "US dollars a million tokens written cost."
    batch: bool = ModelOptions.batch

    def options(self, *, offline: bool = False, batch_record: Path | None = None) -> ModelOptions:
        """Return the options of the model.

        Raise ConfigurationError if an option has a value no model takes.

        Parameters
        ----------
        offline
            Whether it is only inspected, and not called.
        """
        self._check()
        given = common_fields(self, ModelOptions) | {
            "reasoning_effort": None if self.reasoning_effort == "none" else self.reasoning_effort,
            "verbosity": None if self.verbosity == "none" else self.verbosity,
            "batch_record": batch_record,
            "extra": _extra(self.model_option),
            "offline": offline,
            "prices": self._prices(),
        }
        return ModelOptions(**given)

    def _prices(self) -> tuple[float, float] | None:
        if self.price_in is None and self.price_out is None:
            return None
        if self.price_in is None or self.price_out is None:
            raise ConfigurationError("give both --price-in and --price-out, or neither")
        return self.price_in, self.price_out

    def _check(self) -> None:
        why, most = ", which no model takes", float("inf")
        positive = ("max_output_tokens", "timeout_seconds", "context_tokens")
        require(self, lambda value: 0 < value < most, why, *positive)
        require(self, lambda value: 0 < value <= 1, why, "top_p")
        none_negative = ("temperature", "retries", "price_in", "price_out")
        require(self, lambda value: 0 <= value < most, why, *none_negative)


@option_group(_MODEL)
@dataclass(frozen=True)
class ModelChoice(CallOptions):
    """Which model is called, and how."""

    model: Annotated[str | None, Parameter(group=FIRST, help=f"{MODEL_HELP}.")] = None

    def _prices(self) -> tuple[float, float] | None:
        prices = super()._prices()
        if prices and self.model is not None and provider_of(self.model).in_process:
            raise ConfigurationError(f"--price-in is for a server; {self.model} runs here for free")
        return prices


DEFAULT_MODEL_CHOICE = ModelChoice()


@option_group(_MODEL)
@dataclass(frozen=True)
class ModelChoices(CallOptions):
    """Which models are called, and how."""

    model: Annotated[
        tuple[str, ...],
        Parameter(
            group=FIRST,
            help=f"{MODEL_HELP}; repeat for several, a server of your own as "
            "openai-compatible:MODEL@URL.",
        ),
    ] = ()

    def each(self) -> list[ModelChoice]:
        """Return the choice of each model.

        Raise ConfigurationError if a model is named twice, or an option cannot be for several.
        """
        shared = common_fields(self, CallOptions)
        if len(self.model) < 2:
            return [ModelChoice(**shared, model=name) for name in self.model]
        if twice := [name for name, number in Counter(self.model).items() if number > 1]:
            raise ConfigurationError(f"--model {twice[0]} is given twice; give each model once")
        if self.batch:
            raise ConfigurationError("--batch is for one --model; leave it out, or the others")
        if self.base_url is not None:
            raise ConfigurationError(
                "--base-url is for one --model; write the address behind its name: "
                f"--model openai-compatible:MODEL@{self.base_url}"
            )
        if self.price_in is not None and not any(_is_compatible(name) for name in self.model):
            raise ConfigurationError(
                "--price-in is for openai-compatible models, and none is given"
            )
        unpriced = shared | {"price_in": None, "price_out": None}
        return [
            ModelChoice(**(shared if _is_compatible(name) else unpriced), model=name)
            for name in self.model
        ]


DEFAULT_MODEL_CHOICES = ModelChoices()


def _is_compatible(model: str) -> bool:
    return provider_of(model).is_own_server


@dataclass(frozen=True)
class LimitOptions:
    """The limits of a model's own Python, and of what its calls may cost."""

    tool_cpu_seconds: Annotated[float, Parameter(group=_LIMITS)] = 10.0
    "CPU seconds of one tool call."
    tool_memory_mb: Annotated[int, Parameter(group=_LIMITS)] = 1024
    "Memory of one tool call, in MB."
    tool_output: Annotated[int, Parameter(group=_LIMITS)] = 10_000
    "Most characters that a tool call returns."
    budget_usd: Annotated[float | None, Parameter(group=FIRST)] = None
    "Stop before calls cost more than this in US dollars."
    budget_tokens: Annotated[int | None, Parameter(group=_LIMITS)] = None
    "Stop before calls take more tokens than this."
    concurrency: Annotated[int | None, Parameter(group=_LIMITS)] = None
    "Attempts, or trials of a grid, run concurrently; default 5."
    dry_run: Annotated[bool, Parameter(group=FIRST)] = False
    "Show the exact request, its tokens and what it may cost, without sending it."

    def __post_init__(self) -> None:
        limits = ("concurrency", "tool_cpu_seconds", "tool_memory_mb", "tool_output")
        require(self, lambda value: value > 0, "; give 1 or more", *limits)

    @property
    def tool_limits(self) -> "ToolLimits":
        """The limits of one tool call."""
        from llm_pv.sandbox import ToolLimits

        return ToolLimits(
            cpu_seconds=self.tool_cpu_seconds,
            memory_bytes=self.tool_memory_mb * 1024 * 1024,
            output_characters=self.tool_output,
        )

    def budget(self, seconds: float | None = None) -> "Budget":
        """Return what all calls may cost, and how long they may take."""
        from llm_pv.proposers.spending import Budget

        return Budget(self.budget_usd, self.budget_tokens, seconds)


@option_group(_ASKING, like=LLMSettings, refinements=Parameter(name="--refine"))
@dataclass(frozen=True)
class AskingOptions(LimitOptions):
    """How the model is prompted, how often, and its budget."""

    tool: Literal["local", "hosted", "none", "any"] | None = LLMSettings.tool
    refinements: int | None = None
    programs_per_reply: int | None = None
    "Programs of one reply that are verified, each counted; default 5 in learn, else 1, and 1 with \
--answer-format json."
    prompt_variant: str = "1"
    prompt_rows: int | None = None
    "Training rows in the prompt; default 24 informative ones if a local tool holds all, else \
as many as fit."
    answer_format: AnswerFormat = "python"
    about: str = LLMSettings.about
    "A description of the rows for the model: text, or a file with it."
    samples_per_call: int = LLMSettings.samples_per_call
    tool_calls: int = LLMSettings.tool_calls
    explore: bool = LLMSettings.explore
    "Show attempts the programs of earlier ones, with their training accuracy, and ask for others; \
the default --concurrency is then 1."

    @property
    def slots(self) -> int:
        """How many attempts, or trials of a grid, run concurrently."""
        return self.concurrency or (1 if self.explore else 5)


DEFAULT_ASKING_OPTIONS = AskingOptions()


def open_proposer(
    model: ModelChoice,
    asking: AskingOptions,
    sandbox: "SandboxOptions",
    *,
    attempts: int | None,
    budget_seconds: float | None,
    published: bool = False,
    thorough: bool = False,
    noise: float = 0.0,
    out: Path | None = None,
    tracker: "BudgetTracker | None" = None,
) -> "LLM":
    """Return the proposer of a model; close it, or use it as a context manager.

    Raise ConfigurationError, CredentialError or MissingExtraError if the model does not support
    these options.

    Parameters
    ----------
    attempts
        Attempts in each cell; None for 5.
    budget_seconds
        Seconds for calls of models; None for no limit.
    published
        Whether the prompt is as in the paper: all rows, no facts about them, an answer in
        JSON.
    thorough
        Whether a reply may hold several programs and is sent back once, unless options say
        otherwise.
    tracker
        The budget that it shares with others; None for one of its own.
    """
    from llm_pv.models.registry import make_model
    from llm_pv.proposers.llm import DEFAULT_ATTEMPTS, DEFAULT_SETTINGS, LEARN_SETTINGS, LLM
    from llm_pv.proposers.llm.prompt.variants import parse_variant
    from llm_pv.runs.reading import batch_record

    assert model.model is not None
    if asking.explore and model.batch:
        raise ConfigurationError("attempts of a --batch see nothing of each other; omit --explore")
    usual = replace(DEFAULT_SETTINGS, prompt_rows=None) if published else LEARN_SETTINGS
    again = LEARN_SETTINGS if thorough else DEFAULT_SETTINGS
    most = again.programs_per_reply if asking.answer_format == "python" else 1
    shared = common_fields(asking, LLMSettings) | {
        "prompt_variant": parse_variant(asking.prompt_variant),
        "about": _description(asking.about),
        **({"answer_format": "json"} if published else {}),
    }
    settings = replace(
        usual,
        **{"refinements": again.refinements, "programs_per_reply": most}
        | {name: value for name, value in shared.items() if value is not None},
        noise=noise,
        tool_limits=asking.tool_limits,
        allow_unconfined=sandbox.allow_unconfined,
        backend=sandbox.sandbox,
    )
    record = batch_record(out) if model.batch and out is not None else None
    opened = make_model(model.model, model.options(offline=asking.dry_run, batch_record=record))
    try:
        return LLM(
            opened,
            attempts=DEFAULT_ATTEMPTS if attempts is None else attempts,
            settings=settings,
            budget=tracker or asking.budget(budget_seconds),
        )
    except BaseException:
        opened.close()
        raise


def refuse_without_model(model: CallOptions, asking: AskingOptions) -> None:
    """Raise if there are options for a model but none is named.

    Raise ConfigurationError if so.
    """
    if found := [name for name in given(model) + given(asking) if name != "--concurrency"]:
        raise ConfigurationError(f"{found[0]} is for a model; name it with --model PROVIDER:NAME")


def _description(about: str) -> str:
    """Return what the user says of the rows: the text, or what a file of that name holds."""
    path = Path(about)
    try:
        if not about or "\n" in about or not path.is_file():
            return about
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"--about {about[:80]}: the file cannot be read ({error}); give UTF-8 text"
        ) from None


def _extra(items: Sequence[str]) -> dict[str, Any]:
    extra = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--model-option {item!r}: write NAME=JSON, such as top_k=40")
        try:
            extra[name] = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(
                f"--model-option {item!r}: the value is no JSON ({error}); quote strings"
            ) from error
    return extra
