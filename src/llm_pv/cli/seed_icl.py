"""The first version's command ``in_context_learning/vllm_incontext.py``, on top of `icl`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from llm_pv.cli.compat import ICL, translated
from llm_pv.cli.grid_options import DEFAULT_DRAWING_OPTIONS, DrawingOptions
from llm_pv.cli.icl import run_and_report, task_problems_of
from llm_pv.cli.icl_options import (
    DEFAULT_ANSWERING_OPTIONS,
    DEFAULT_QUESTIONS,
    DEFAULT_REPEATED_TASK_OPTIONS,
    DEFAULT_SAMPLE_OPTIONS,
    UNCAPPED_TOKENS,
    AnsweringOptions,
    Questions,
    RepeatedTaskOptions,
    SampleOptions,
    local_provider,
    open_model,
)
from llm_pv.cli.main import complain, published_app, run_app
from llm_pv.cli.options import OUTPUT, option_group
from llm_pv.models.registry import PROVIDER_NAMES, PROVIDERS

if TYPE_CHECKING:
    ProviderName = str
else:
    ProviderName = Literal[tuple(PROVIDERS)]

FUNCTIONS = (
    "fn_a", "fn_b", "fn_c", "fn_d", "fn_e", "fn_f", "fn_g", "fn_h", "fn_j", "fn_k", "fn_l", "fn_v",
)  # fmt: skip
"""The tasks of the published command unless others are named."""


@option_group(OUTPUT)
@dataclass(frozen=True)
class SeedOutput:
    """Where results are written."""

    out_jsonl: Path = Path("results_icl.jsonl")
    "A row for each example as JSON lines, its prompt and answer included."
    out_csv: Path = Path("results_icl.csv")
    "A row for each function and length as CSV."
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    "From WARNING on, progress is not shown."


app = published_app(
    "vllm_incontext.py", "Show a model labelled examples and ask it for the labels of test inputs."
)


@app.default
def incontext(
    *,
    model: str = "Qwen/Qwen3-30B-A3B-Instruct-2507",
    provider: Annotated[
        ProviderName | None,
        Parameter(help="Who answers; default vllm, and hf where vLLM is not installed."),
    ] = None,
    tasks: RepeatedTaskOptions = DEFAULT_REPEATED_TASK_OPTIONS,
    drawing: DrawingOptions = DEFAULT_DRAWING_OPTIONS,
    answering: AnsweringOptions = DEFAULT_ANSWERING_OPTIONS,
    sample: SampleOptions = DEFAULT_SAMPLE_OPTIONS,
    questions: Questions = DEFAULT_QUESTIONS,
    output: SeedOutput = SeedOutput(),
) -> int:
    """Query a model about benchmark tasks, as the first version's command does.

    OpenAI's models reason with high effort, answer in a strict schema of the labels, and have no
    limit on their answers, unless options say otherwise.

    Parameters
    ----------
    model
        A folder with a model, a name on the hub, or a vendor's name.
    """
    if not tasks.functions:
        tasks = replace(tasks, functions=FUNCTIONS)
    name = _full_name(model, provider, answering.base_url)
    capped = not name.startswith("openai:") or questions.max_new_tokens is not None
    if name.startswith("openai:"):
        answering = replace(answering, reasoning_effort=answering.reasoning_effort or "high")
        questions = replace(
            questions,
            modes=questions.modes or ("constrained",),
            max_new_tokens=questions.max_new_tokens or UNCAPPED_TOKENS,
        )
    settings = questions.filled()
    problems, configuration = task_problems_of(tasks, drawing, sample, settings.drawn_by)
    opened = open_model(
        name, answering, settings.token_limit, offline=sample.dry_run, capped=capped
    )
    try:
        facts = [opened.identity, repr(settings), configuration]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return run_and_report(
            problems,
            configuration,
            opened,
            settings,
            dry_run=sample.dry_run,
            out=Path("runs") / f"in_context_learning-{digest[:12]}",
            out_jsonl=output.out_jsonl,
            out_csv=output.out_csv,
            quiet=output.log_level in {"WARNING", "ERROR"},
            published=True,
        )
    finally:
        opened.close()


def run_seed(arguments: Sequence[str]) -> int:
    """Run one command line of the seed command and return its exit status."""
    return run_app(app, translated(arguments, ICL))


def _full_name(model: str, provider: str | None, base_url: str | None) -> str:
    """Return the model with its provider; a server's address makes it a compatible one."""
    if provider is None:
        begun = model.partition(":")[0].lower()
        if ":" in model and begun in PROVIDER_NAMES:
            return model
        provider = "openai" if base_url is not None else local_provider(complain)
    if provider == "openai" and base_url is not None:
        provider = "openai-compatible"
    return f"{provider}:{model}"
