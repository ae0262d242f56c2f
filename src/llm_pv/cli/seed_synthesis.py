"""The first version's command ``program_synthesis/runner.py``, on top of the grid."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from llm_pv.cli.main import INTERRUPTED, complain, run_app
from llm_pv.cli.options import SandboxOptions
from llm_pv.cli.synthesize import report
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.grid.request import GridRequest
    from llm_pv.learning import Search

KEYS = {
    "openai": ("OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "anthropic": ("ANTHROPIC_API_KEY",),
}
"""The environment variables that may hold a provider's key."""

_MODEL_ATTEMPTS = 5
_GRID = Group("Grid", sort_key=1)
_MODEL = Group("Model", sort_key=2)
_DATA = Group("Data sets", sort_key=3)
_RUN = Group("Run", sort_key=4)


@Parameter(name="*", group=_GRID)
@dataclass(frozen=True)
class SeedGrid:
    """Tasks by lengths by trials."""

    functions: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Tasks by id or name; default all published ids."
    lengths: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=True, negative="")] = None
    "Lengths of the inputs; default each task's own, mostly 100 50 30 25 20."
    attempts: int | None = None
    "Attempts in each trial; default 5, and 200 for the built-in search."
    num_trials: int = 5
    "Trials of each function and length, each on a data set of its own."


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class SeedModel:
    """Which model is asked, and how."""

    model: str = "gpt-5"
    "Model name."
    provider: Literal["openai", "gemini", "google", "anthropic", "length-first"] | None = None
    "Whose model it is, default by its name; length-first needs none."
    max_output_tokens: int = 20_000
    "Tokens a reply may have, reasoning included."
    reasoning_effort: Literal["minimal", "low", "medium", "high"] = "high"
    "How long the model reasons."
    thinking_level: Literal["low", "medium", "high"] | None = None
    "The same for Gemini models."
    verbosity: Literal["low", "medium", "high"] = "low"
    "How much the model writes besides its reasoning."
    temperature: float | None = None
    "Sampling temperature; default the provider's."
    top_p: float | None = None
    "Nucleus sampling; default the provider's."
    enable_code_interpreter: Annotated[bool, Parameter(negative="")] = False
    "Let the model run Python on the training rows."
    tool_choice: Literal["auto", "none"] = "auto"
    "Whether the model may use its tools."

    def __post_init__(self) -> None:
        in_range = {
            "temperature": self.temperature is None or 0 <= self.temperature < math.inf,
            "top-p": self.top_p is None or 0 < self.top_p <= 1,
            "max-output-tokens": self.max_output_tokens > 0,
        }
        for option, fine in in_range.items():
            if not fine:
                value = getattr(self, option.replace("-", "_"))
                raise ConfigurationError(f"--{option} is {value}, which no model takes")

    def resolved_provider(self) -> str:
        """Return the provider, told from the model's name where it is not given."""
        if self.provider is not None:
            return "gemini" if self.provider == "google" else self.provider
        known = {"gemini": "gemini", "claude": "anthropic"}
        return next((p for stem, p in known.items() if self.model.startswith(stem)), "openai")


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True)
class SeedData:
    """How data sets are drawn, and where they are kept."""

    train_size: int = 100
    "Training rows."
    validation_size: Annotated[int, Parameter(name=["--val-size", "--validation-size"])] = 100
    "Validation rows."
    test_size: int = 10_000
    "Test rows."
    seed: int = 42
    "What data sets and searches are spawned from."
    dataset_dir: Path = Path("datasets")
    "Where data sets are stored and found again."


@Parameter(name="*", group=_RUN)
@dataclass(frozen=True)
class SeedRun:
    """How the run goes, and where results are written."""

    concurrency: int = 5
    "Trials under way at once."
    timeout: float = 1200.0
    "Seconds a call to a model may take."
    out_jsonl: Path = Path("results_attempts.jsonl")
    "Rows of all attempts as JSON lines."
    out_csv: Path = Path("results_attempts.csv")
    "The same as CSV."
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    "From WARNING on, progress is not shown."
    dry_run: Annotated[bool, Parameter(negative="")] = False
    "Print each prompt and the request, and ask nobody."


app = App(
    name="runner.py",
    help="Ask for programs for benchmark tasks, verify them, and keep the best.",
    help_format="plaintext",
    version_flags=[],
)


@app.default
def synthesize(
    *,
    grid: SeedGrid = SeedGrid(),
    model: SeedModel = SeedModel(),
    data: SeedData = SeedData(),
    run: SeedRun = SeedRun(),
    sandbox: SandboxOptions = SandboxOptions(),
) -> int:
    """Run the grid of the first version's command."""
    from llm_pv.grid.request import GridRequest

    request = GridRequest(
        functions=grid.functions,
        lengths=grid.lengths or None,
        trials=grid.num_trials,
        train_size=data.train_size,
        validation_size=data.validation_size,
        test_size=data.test_size,
        seed=data.seed,
    )
    request.plan()
    if run.dry_run:
        return _dry_run(request, grid, model, run)
    provider = model.resolved_provider()
    if provider != "length-first":
        raise ConfigurationError(_no_model(provider))
    from llm_pv.learning import Search

    return _run(request, Search(provider, attempts=grid.attempts), data, run, sandbox)


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run_seed(sys.argv[1:]))


def run_seed(arguments: Sequence[str]) -> int:
    """Run one command line of the seed command and return its exit status."""
    return run_app(app, arguments)


def _run(
    request: "GridRequest", search: "Search", data: SeedData, run: SeedRun, sandbox: SandboxOptions
) -> int:
    from llm_pv.cli.grid_progress import grid_progress
    from llm_pv.grid.run import require_writable, run_grid
    from llm_pv.grid.seed_rows import seed_rows, write_seed_rows

    for place, option in ((run.out_jsonl, "--out-jsonl"), (run.out_csv, "--out-csv")):
        require_writable(place.parent, option)
    path = _run_directory(request, search, sandbox)
    try:
        quiet = run.log_level in {"WARNING", "ERROR"}
        with sandbox.open() as opened, grid_progress(quiet=quiet) as progress:
            result = run_grid(
                request,
                search,
                sandbox=opened,
                out=path,
                dataset_dir=data.dataset_dir,
                concurrency=run.concurrency,
                observer=progress,
            )
    except KeyboardInterrupt:
        complain(f"interrupted; {path} keeps everything, the same command goes on from here")
        return INTERRUPTED
    write_seed_rows(seed_rows(request, path, data.dataset_dir), run.out_jsonl, run.out_csv)
    return report(result, "table")


def _run_directory(request: "GridRequest", search: "Search", sandbox: SandboxOptions) -> Path:
    """Return the folder of this very request, so that the same command resumes it."""
    facts = [request.record(), search.proposer, search.attempts, asdict(sandbox)]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"program_synthesis-{digest[:12]}"


def _no_model(provider: str) -> str:
    names = KEYS[provider]
    if not any(os.environ.get(name) for name in names):
        return (
            f"{' or '.join(names)} is not set: export it to use models of {provider}, or give "
            "--provider length-first, which needs no key, or --dry-run to see prompt and request"
        )
    return (
        f"models of {provider} cannot be asked yet in this version of llm-pv: give --provider "
        "length-first for the built-in search, or --dry-run to see prompt and request"
    )


def _dry_run(request: "GridRequest", grid: SeedGrid, model: SeedModel, run: SeedRun) -> int:
    from llm_pv.errors import DataError
    from llm_pv.grid.seed_rows import prompt_of

    settings: dict[str, Any] = asdict(model) | {
        "provider": model.resolved_provider(),
        "attempts": grid.attempts or _MODEL_ATTEMPTS,
        "trials": grid.num_trials,
        "timeout": run.timeout,
    }
    for trial in replace(request, trials=1).plan():
        head = f"{trial.cell.function} ({trial.task.name}), length {trial.length}"
        try:
            if trial.skipped:
                raise DataError(trial.skipped)
            prompt = prompt_of(trial, request.splits(trial, None))
        except DataError as error:
            complain(f"{head}: {error}")
            continue
        sys.stdout.write(f"=== prompt: {head}, trial 1\n{prompt}")
        sys.stdout.write(f"=== request: {head}\n{json.dumps(settings, indent=2)}\n\n")
    return 0
