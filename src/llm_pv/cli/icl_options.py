"""Options of in-context learning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.grid_options import TASKS, Grid, TaskOptions
from llm_pv.cli.model_options import ConnectionOptions, ModelChoice
from llm_pv.cli.options import common_fields, option_group
from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ModelOptions
from llm_pv.tracks.icl.settings import Settings

if TYPE_CHECKING:
    from llm_pv.models.language_model import LanguageModel

_MODEL = Group("Model", sort_key=3)
_ASKING = Group("How the model is asked", sort_key=4)

TEMPERATURE, TOP_P = 0.2, 0.95
"""Sampling settings, unless set by the user or by the vendor of a model."""

MAX_MODEL_LENGTH = 25_000

UNCAPPED_TOKENS = 128_000
"""Tokens that an answer without a limit is counted as: the most that OpenAI's models write."""


@option_group(TASKS, like=Grid, trials=Parameter(name="--trials"))
@dataclass(frozen=True)
class RepeatedTaskOptions(TaskOptions):
    """Tasks by lengths by trials."""

    trials: int = 1
    test_lengths: tuple[int, ...] = ()
    "Further lengths of inputs to label, --test-size of them each, with the same examples."


DEFAULT_REPEATED_TASK_OPTIONS = RepeatedTaskOptions()


@option_group(_MODEL, like=ModelOptions)
@dataclass(frozen=True)
class AnsweringOptions(ConnectionOptions):
    """Which model is called, and how."""

    temperature: float | None = None
    "Sampling temperature; default 0.2, and the vendor's own for openai, anthropic and google."
    top_p: float | None = None
    "Nucleus sampling; default 0.95, and the vendor's own as above."
    max_model_len: int | None = None
    "Context in tokens; default 25,000 for hf and vllm, else as reported by the server."
    tensor_parallel_size: int = 1
    "Accelerators that vllm spreads the model over."
    reasoning_effort: Literal["minimal", "low", "medium", "high", "none"] | None = None
    "How long the model reasons; default none, which leaves it to the vendor."
    verbosity: Literal["low", "medium", "high", "none"] = "none"
    "How much it writes besides its reasoning; none leaves it to the vendor."
    concurrency: int = ModelOptions.concurrency
    batch_size: int | None = ModelOptions.batch_size


DEFAULT_ANSWERING_OPTIONS = AnsweringOptions()


@option_group(
    _ASKING,
    modes=Parameter(name="--answer", consume_multiple=True),
    form=Parameter(name="--label-form"),
    max_new_tokens=Parameter(name=["--max-new-tokens", "--max-output-tokens"]),
    orders=Parameter(name="--example-orders"),
)
@dataclass(frozen=True)
class Questions(Settings):
    """Settings of queries for labels, and of reading the answers."""


DEFAULT_QUESTIONS = Questions()


@option_group(_ASKING)
@dataclass(frozen=True)
class SampleOptions:
    """How many examples and inputs there are, and whether they are sent."""

    train_size: int = 200
    "Labelled examples in the prompt."
    test_size: int = 100
    "Inputs to label, one prompt each."
    dry_run: bool = False
    "Show the first prompt and the cost of all of them, without sending any."


DEFAULT_SAMPLE_OPTIONS = SampleOptions()


def open_model(
    name: str,
    options: AnsweringOptions,
    max_tokens: int,
    *,
    offline: bool = False,
    capped: bool = True,
) -> "LanguageModel":
    """Return the model; close it after use. Without `capped` no limit of an answer is sent.

    Raise ConfigurationError, CredentialError or MissingExtraError if the model does not support
    these options.
    """
    from dataclasses import replace

    from llm_pv.models.registry import make_model

    made = replace(
        model_options(name, options, max_tokens, offline=offline),
        capped=capped,
        concurrency=options.concurrency,
        batch_size=options.batch_size,
    )
    return make_model(name, made)


def model_options(
    name: str, options: AnsweringOptions, max_tokens: int, *, offline: bool = False
) -> ModelOptions:
    """Return the options of a model.

    Raise ConfigurationError if an option has a value no model takes, or does not fit this one.
    """
    from llm_pv.models.registry import provider_of

    provider = provider_of(name)
    is_local = provider.in_process
    own = is_local or provider.is_own_server
    temperature, top_p = options.temperature, options.top_p
    length = options.max_model_len
    drawing = {
        "temperature": TEMPERATURE if own and temperature is None else temperature,
        "top_p": TOP_P if own and top_p is None else top_p,
    }
    choice = ModelChoice(
        **common_fields(options, ConnectionOptions) | drawing,
        model=name,
        reasoning_effort=options.reasoning_effort or "none",
        verbosity=options.verbosity,
        max_output_tokens=max_tokens,
        context_tokens=MAX_MODEL_LENGTH if is_local and length is None else length,
    )
    made = choice.options(offline=offline)
    if options.tensor_parallel_size == 1:
        return made
    return _parallel(made, provider.name, options.tensor_parallel_size)


def _parallel(made: ModelOptions, provider: str, size: int) -> ModelOptions:
    from dataclasses import replace

    if provider != "vllm" or size < 1:
        raise ConfigurationError(
            f"--tensor-parallel-size {size}: a positive number, and for vllm models alone"
        )
    engine: dict[str, Any] = dict(made.extra.get("engine", {}))
    extra = {**made.extra, "engine": {"tensor_parallel_size": size, **engine}}
    return replace(made, extra=extra)


def local_provider(say: Callable[[str], None]) -> str:
    """Return the engine for models in this process: vLLM if it is installed, else transformers."""
    from importlib.util import find_spec

    if find_spec("vllm") is not None:
        return "vllm"
    say("vLLM is not installed here: transformers runs the model in this process (hf:)")
    return "hf"
