"""Options of in-context learning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.grid_options import TASKS, TaskOptions
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.models.answers import AnsweringModel
    from llm_pv.models.base import ModelOptions
    from llm_pv.tracks.icl.settings import Settings

_MODEL = Group("Model", sort_key=3)
_ASKING = Group("How the model is asked", sort_key=4)

TEMPERATURE, TOP_P = 0.2, 0.95
"""How answers are drawn unless the user or the vendor of a model says otherwise."""

MAX_MODEL_LENGTH = 25_000

_LOCAL = ("hf", "vllm")


@Parameter(name="*", group=TASKS)
@dataclass(frozen=True)
class RepeatedTaskOptions(TaskOptions):
    """Tasks by lengths by trials."""

    trials: int = 1
    "Independent repetitions of each cell, each on a data set of its own."


DEFAULT_REPEATED_TASK_OPTIONS = RepeatedTaskOptions()


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class AnsweringOptions:
    """Which model is asked, and how it is reached."""

    base_url: str | None = None
    "Address of an openai-compatible server, such as http://localhost:8000/v1."
    api: Literal["responses", "chat"] | None = None
    "Which of OpenAI's interfaces is spoken."
    temperature: float | None = None
    "Sampling temperature; default 0.2, and the vendor's own for openai, anthropic and google."
    top_p: float | None = None
    "Nucleus sampling; default 0.95, and the vendor's own as above."
    max_model_len: int | None = None
    "Context in tokens; default 25,000 for hf and vllm, what a server tells otherwise."
    tensor_parallel_size: int = 1
    "Accelerators that vllm spreads the model over."
    reasoning_effort: Literal["minimal", "low", "medium", "high", "none"] = "none"
    "How long the model reasons; none leaves it to the vendor."
    timeout: float = 1200.0
    "Seconds one call may take."
    retries: int = 5
    "Further tries of a call that failed for a transient reason."
    concurrency: int = 5
    "Calls under way at once, for a model behind an API."
    batch_size: int | None = None
    "Prompts answered together by a model in this process; default what memory holds."
    model_option: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    "NAME=JSON passed on to the server or engine; repeat for several."


DEFAULT_ANSWERING_OPTIONS = AnsweringOptions()


@Parameter(name="*", group=_ASKING)
@dataclass(frozen=True)
class QuestionOptions:
    """What is shown, what is asked, and how an answer is read."""

    train_size: int = 200
    "Labelled examples in the prompt."
    test_size: int = 100
    "Inputs to label, one prompt each."
    answer: Annotated[
        tuple[Literal["generate", "constrained", "likelihood"], ...],
        Parameter(consume_multiple=True, negative=""),
    ] = ("generate",)
    "How a label is had: free text, text restricted to the labels, or the labels' probabilities; \
several are compared."
    label_form: Literal["auto", "json", "plain"] = "auto"
    'Whether an answer is {"label": ...} or the bare label; auto takes the former but for the \
likelihoods of a server.'
    chat: Literal["auto", "on", "off"] = "auto"
    "Whether prompts go into the model's chat template: where it has one, always, never."
    max_new_tokens: Annotated[int, Parameter(name=["--max-new-tokens", "--max-output-tokens"])] = (
        1024
    )
    "Tokens a free answer may have."
    example_orders: int = 1
    "Orders of the examples that accuracy is averaged over."
    seed: int | None = None
    "What data sets, orders and answers are spawned from; default 42 for tasks, 0 for own rows."
    dry_run: Annotated[bool, Parameter(negative="")] = False
    "Show the first prompt and the cost of all of them, without sending any."

    def seed_of(self, *, own_rows: bool) -> int:
        """Return the seed: where none is given, the one `learn` or the benchmark begins with."""
        if self.seed is not None:
            return self.seed
        return 0 if own_rows else 42

    def settings(self, seed: int) -> "Settings":
        """Return them as a run takes them."""
        from llm_pv.tracks.icl.settings import Settings

        return Settings(
            modes=self.answer,
            form=self.label_form,
            chat=self.chat,
            max_new_tokens=self.max_new_tokens,
            orders=self.example_orders,
            seed=seed,
        )


DEFAULT_QUESTION_OPTIONS = QuestionOptions()


def open_model(name: str, options: AnsweringOptions, question: QuestionOptions) -> "AnsweringModel":
    """Return the model to be asked; close it after use.

    Raises
    ------
    ConfigurationError, CredentialError, MissingExtraError
        If it cannot be asked so.
    """
    from llm_pv.models.registry import open_answering_model

    return open_answering_model(
        name,
        model_options(name, options, question),
        concurrency=options.concurrency,
        batch_size=options.batch_size,
    )


def model_options(
    name: str, options: AnsweringOptions, question: QuestionOptions
) -> "ModelOptions":
    """Return how a model is called.

    Raises
    ------
    ConfigurationError
        If an option has a value no model takes, or does not fit this one.
    """
    from llm_pv.cli.model_options import ModelChoice
    from llm_pv.models.registry import split_name

    provider, _ = split_name(name)
    is_local = provider in _LOCAL
    own = is_local or provider == "openai-compatible"
    temperature, top_p = options.temperature, options.top_p
    length = options.max_model_len
    choice = ModelChoice(
        model=name,
        base_url=options.base_url,
        api=options.api,
        reasoning_effort=options.reasoning_effort,
        verbosity="none",
        max_output_tokens=question.max_new_tokens,
        temperature=TEMPERATURE if own and temperature is None else temperature,
        top_p=TOP_P if own and top_p is None else top_p,
        timeout=options.timeout,
        retries=options.retries,
        context_tokens=MAX_MODEL_LENGTH if is_local and length is None else length,
        model_option=options.model_option,
    )
    made = choice.options(offline=question.dry_run)
    if options.tensor_parallel_size == 1:
        return made
    return _parallel(made, provider, options.tensor_parallel_size)


def _parallel(made: "ModelOptions", provider: str, size: int) -> "ModelOptions":
    from dataclasses import replace

    if provider != "vllm" or size < 1:
        raise ConfigurationError(
            f"--tensor-parallel-size {size}: a positive number, and for vllm models alone"
        )
    engine: dict[str, Any] = dict(made.extra.get("engine", {}))
    extra = {**made.extra, "engine": {"tensor_parallel_size": size, **engine}}
    return replace(made, extra=extra)


def local_provider(say: Callable[[str], None]) -> str:
    """Return the engine for models in this process: vLLM where it is installed, else transformers.

    Parameters
    ----------
    say
        Told when it is not vLLM.
    """
    from importlib.util import find_spec

    if find_spec("vllm") is not None:
        return "vllm"
    say("vLLM is not installed here: transformers runs the model in this process (hf:)")
    return "hf"
