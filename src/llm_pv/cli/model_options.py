"""Options of every command that asks a language model, and what they make."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.main import complain
from llm_pv.cli.options import FIRST
from llm_pv.cli.output import write_json
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.cli.options import SandboxOptions
    from llm_pv.data.examples import Splits
    from llm_pv.models.base import ModelOptions
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.llm.estimates import Estimate

_MODEL = Group("Model", sort_key=3)
_ASKING = Group("How the model is asked", sort_key=4)


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class ModelChoice:
    """Which model is asked, and how it is reached."""

    model: Annotated[str | None, Parameter(group=FIRST)] = None
    "PROVIDER:MODEL; openai, anthropic, google, openai-compatible, hf, vllm, or auto."
    base_url: str | None = None
    "Address of an openai-compatible server, such as http://localhost:8000/v1."
    api: Literal["responses", "chat"] | None = None
    "Which of OpenAI's interfaces is spoken."
    reasoning_effort: Literal["minimal", "low", "medium", "high", "none"] = "high"
    "How long the model reasons; none leaves it to the vendor."
    verbosity: Literal["low", "medium", "high", "none"] = "low"
    "How much it writes besides its reasoning; none leaves it to the vendor."
    max_output_tokens: int = 20_000
    "Tokens one call may write, reasoning included."
    temperature: float | None = None
    "Sampling temperature; default the vendor's."
    top_p: float | None = None
    "Nucleus sampling; default the vendor's."
    timeout: float = 1200.0
    "Seconds one call may take."
    retries: int = 5
    "Further tries of a call that failed for a transient reason."
    context_tokens: int | None = None
    "The model's context window, where it is not known."
    price_in: float | None = None
    "US dollars a million tokens sent cost, for a server without a list price."
    price_out: float | None = None
    "US dollars a million tokens written cost."
    model_option: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    "NAME=JSON passed on in the request body; repeat for several."
    batch: Annotated[bool, Parameter(negative="")] = False
    "Use the vendor's batch interface: slower, and cheaper."

    def options(self, *, offline: bool = False, batch_record: Path | None = None) -> "ModelOptions":
        """Return how the model is called.

        Parameters
        ----------
        offline
            Whether it is made to be looked at, and not to be called.
        batch_record
            Where batches under way are noted.

        Raises
        ------
        ConfigurationError
            If an option has a value no model takes.
        """
        from llm_pv.models.base import ModelOptions

        self._check()
        return ModelOptions(
            reasoning_effort=None if self.reasoning_effort == "none" else self.reasoning_effort,
            verbosity=None if self.verbosity == "none" else self.verbosity,
            max_output_tokens=self.max_output_tokens,
            timeout_seconds=self.timeout,
            retries=self.retries,
            temperature=self.temperature,
            top_p=self.top_p,
            base_url=self.base_url,
            api=self.api,
            batch=self.batch,
            batch_record=batch_record,
            extra=_extra(self.model_option),
            context_tokens=self.context_tokens,
            offline=offline,
            prices=self._prices(),
        )

    def _prices(self) -> tuple[float, float] | None:
        if self.price_in is None and self.price_out is None:
            return None
        if self.price_in is None or self.price_out is None:
            raise ConfigurationError("give both --price-in and --price-out, or neither")
        if self.model is not None and self.model.partition(":")[0] in {"hf", "vllm"}:
            raise ConfigurationError(f"--price-in is for a server; {self.model} runs here for free")
        return self.price_in, self.price_out

    def _check(self) -> None:
        fine = {
            "max-output-tokens": self.max_output_tokens > 0,
            "temperature": self.temperature is None or 0 <= self.temperature < float("inf"),
            "top-p": self.top_p is None or 0 < self.top_p <= 1,
            "timeout": 0 < self.timeout < float("inf"),
            "retries": self.retries >= 0,
            "price-in": self.price_in is None or 0 <= self.price_in < float("inf"),
            "price-out": self.price_out is None or 0 <= self.price_out < float("inf"),
            "context-tokens": self.context_tokens is None or self.context_tokens > 0,
        }
        for option, holds in fine.items():
            if not holds:
                value = getattr(self, option.replace("-", "_"))
                raise ConfigurationError(f"--{option} is {value}, which no model takes")


DEFAULT_MODEL_CHOICE = ModelChoice()


@Parameter(name="*", group=_ASKING)
@dataclass(frozen=True)
class AskingOptions:
    """What the model is asked, how often, and what may be spent."""

    tool: Literal["local", "hosted", "none", "any"] | None = None
    "Where its own Python runs: local, in a sandbox here; hosted, at the vendor; any, hosted where \
it can be; default local where the model can call tools."
    refine: int | None = None
    "How often a program that is wrong on training rows is sent back; default 1 in learn, else 0."
    programs_per_reply: int | None = None
    "Programs of one reply that are verified, each counted; default 5 in learn, else 1, and 1 with \
--answer-format json."
    prompt_variant: str = "1"
    "Wording of the problem: 1 to 4, or a file."
    prompt_rows: int | None = None
    "Training rows shown in the prompt; default 24 telling ones where a local tool holds all, else \
as many as fit."
    answer_format: Literal["python", "json"] = "python"
    "How the model writes its program: thoughts and a fenced block, or one JSON object as in the \
paper."
    about: str = ""
    "What the rows are about, said to the model: text, or a file with it."
    samples_per_call: int = 1
    "Answers one call returns, where the server can."
    tool_calls: int = 20
    "Calls of the tool in one attempt."
    tool_cpu_seconds: float = 10.0
    "CPU seconds of one tool call."
    tool_memory_mb: int = 1024
    "Memory of one tool call, in MB."
    tool_output: int = 10_000
    "Characters a tool call may return."
    budget_usd: Annotated[float | None, Parameter(group=FIRST)] = None
    "Stop before calls cost more than this in US dollars."
    budget_tokens: int | None = None
    "Stop before calls take more tokens than this."
    concurrency: int = 5
    "Attempts, or trials of a grid, under way at once."
    dry_run: Annotated[bool, Parameter(negative="", group=FIRST)] = False
    "Show the exact request, its tokens and what it may cost, without sending it."

    def __post_init__(self) -> None:
        for name in ("concurrency", "tool_cpu_seconds", "tool_memory_mb", "tool_output"):
            if not getattr(self, name) > 0:
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} is {getattr(self, name)}; give 1 or more")


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
) -> "LLM":
    """Return the proposer that asks a model; close it, or use it as a context manager.

    Parameters
    ----------
    model, asking, sandbox
        The options.
    attempts
        Attempts in each cell; None for 5.
    budget_seconds
        How long models may be asked; None for no end.
    published
        Whether the model is asked as in the paper: all rows, no facts about them, an answer in
        JSON.
    thorough
        Whether a reply may hold several programs and is sent back once, unless options say
        otherwise.
    noise
        The share of labels that may be wrong.
    out
        The run directory, where batches under way are noted.

    Raises
    ------
    ConfigurationError, CredentialError, MissingExtraError
        If the model cannot be asked so.
    """
    from llm_pv.models.registry import make_model
    from llm_pv.proposers.llm import DEFAULT_ATTEMPTS, LLM, MOST_PROGRAMS, LLMSettings
    from llm_pv.proposers.llm.prompt import parse_variant
    from llm_pv.proposers.spending import Budget
    from llm_pv.runs.directory import batch_record
    from llm_pv.sandbox import ToolLimits

    assert model.model is not None
    several = thorough and asking.answer_format == "python"
    settings = LLMSettings(
        tool=asking.tool,
        refinements=int(thorough) if asking.refine is None else asking.refine,
        programs_per_reply=asking.programs_per_reply or (MOST_PROGRAMS if several else 1),
        prompt_variant=parse_variant(asking.prompt_variant),
        samples_per_call=asking.samples_per_call,
        prompt_rows=asking.prompt_rows or (None if published else "auto"),
        answer_format="json" if published else asking.answer_format,
        facts=not published,
        noise=noise,
        about=asking.about,
        tool_calls=asking.tool_calls,
        tool_limits=ToolLimits(
            cpu_seconds=asking.tool_cpu_seconds,
            wall_seconds=2 * asking.tool_cpu_seconds,
            memory_bytes=asking.tool_memory_mb * 1024 * 1024,
            output_characters=asking.tool_output,
        ),
        allow_unconfined=sandbox.allow_unconfined,
        backend=sandbox.sandbox,
    )
    budget = Budget(asking.budget_usd, asking.budget_tokens, budget_seconds)
    record = batch_record(out) if model.batch and out is not None else None
    opened = make_model(model.model, model.options(offline=asking.dry_run, batch_record=record))
    try:
        return LLM(
            opened,
            attempts=DEFAULT_ATTEMPTS if attempts is None else attempts,
            settings=settings,
            budget=budget,
        )
    except BaseException:
        opened.close()
        raise


def refuse_without_model(model: ModelChoice, asking: AskingOptions) -> None:
    """Raise if there are options for a model but none is named.

    Raises
    ------
    ConfigurationError
        If so.
    """
    if model.model is not None:
        return
    given = [
        name.replace("_", "-")
        for chosen, default in ((model, ModelChoice()), (asking, AskingOptions()))
        for name in chosen.__dataclass_fields__
        if name != "concurrency" and getattr(chosen, name) != getattr(default, name)
    ]
    if given:
        raise ConfigurationError(f"--{given[0]} is for a model; name it with --model PROVIDER:NAME")


def preview_record(
    proposer: "LLM", splits: "Splits", seed: int
) -> tuple[dict[str, Any], "Estimate"]:
    """Return the exact first request for some rows, and what all attempts may cost."""
    from llm_pv.proposers.llm.estimates import estimate_of, most_tool_calls

    preview, first = proposer.preview(splits.train, splits.classes, seed=seed)
    estimate = estimate_of(proposer, preview, first)
    record = {
        "request": {"method": preview.method, "url": preview.url, "body": dict(preview.body)},
        "input_tokens": preview.input_tokens,
        "most_output_tokens": first.limit * first.samples,
        "attempts": proposer.attempts,
        "tool": first.tool,
        "most_tool_calls": most_tool_calls(proposer.settings, first.tool),
        "first_call_usd_at_most": first.worst(proposer.model).usd,
        "usd_about": estimate.likely,
        "usd_at_most": estimate.most,
    }
    return record, estimate


def print_preview(record: dict[str, Any], name: str, format: str) -> None:  # noqa: A002
    """Write what `preview_record` returned to standard output."""
    if format == "json":
        write_json({"name": name} | record)
        return
    request, usd = record["request"], record["first_call_usd_at_most"]
    price = "price unknown" if usd is None else f"at most ${usd:.4g}"
    sys.stdout.write(
        f"=== request: {name}\n{request['method']} {request['url']}\n"
        f"{json.dumps(request['body'], indent=2, ensure_ascii=False)}\n"
        f"=== estimate: {name}\n"
        f"first call: about {record['input_tokens']:,} tokens sent, at most "
        f"{record['most_output_tokens']:,} written, {price}\n"
        f"attempts: {record['attempts']}, each with {_tool_use(record)}\n"
        f"all of them: {_total_price(record)}\n"
    )


def _tool_use(record: Mapping[str, Any]) -> str:
    calls = f"{record['most_tool_calls']} tool calls"
    if record["tool"] == "none":
        return "no tool"
    if record["tool"] == "hosted":
        return f"{calls} at the vendor, which counts them and reads the conversation again for each"
    return f"at most {calls}, which send the conversation again"


def _total_price(record: Mapping[str, Any]) -> str:
    if record["usd_at_most"] is None:
        return "price unknown"
    return f"about ${record['usd_about']:.4g}, at most ${record['usd_at_most']:.4g}"


def disclose(proposer: "LLM", splits: "Splits", seed: int) -> None:
    """Say on standard error which rows and columns are about to leave this machine, if any."""
    from llm_pv.proposers.llm.prompt import disclosure

    if proposer.model.destination is None:
        return
    _, shown, _ = proposer.prompt(splits.train, splits.classes, seed=seed)
    complain(
        disclosure(
            shown,
            splits.columns,
            f"{proposer.model.name} at {proposer.model.destination}",
            tool_rows=len(splits.train) if proposer.tool_place == "local" else 0,
        )
    )


def disclose_tasks(proposer: "LLM") -> None:
    """Say on standard error that rows of the benchmark's tasks are about to leave this machine."""
    if proposer.model.destination is not None:
        complain(
            f"{proposer.model.name} at {proposer.model.destination} is sent the training rows of "
            "the benchmark's tasks; no other row"
        )


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
