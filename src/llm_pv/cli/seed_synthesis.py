"""The first version's command ``program_synthesis/runner.py``, on top of the grid."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.compat import RUNNER, translated, with_variables
from llm_pv.cli.grid_options import DEFAULT_GRID, Grid, grid_request
from llm_pv.cli.main import complain, published_app, run_app
from llm_pv.cli.model_options import AskingOptions, CallOptions, ModelChoice, open_proposer
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, SandboxOptions, common_fields, option_group
from llm_pv.cli.previews import disclose_tasks
from llm_pv.cli.synthesize import preview_grid, report, run_shown
from llm_pv.errors import ConfigurationError, CredentialError
from llm_pv.models.registry import PROVIDER_NAMES, provider_of
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_atomically

if TYPE_CHECKING:
    from llm_pv.api import Search
    from llm_pv.proposers.llm import LLM
    from llm_pv.tracks.grid import GridRequest

    ProviderName = str
else:
    ProviderName = Literal[(*PROVIDER_NAMES, "length-first")]


_MODEL = Group("Model", sort_key=2)
_RUN = Group("Run", sort_key=4)


@option_group(_MODEL)
@dataclass(frozen=True)
class SeedModel(CallOptions):
    """Which model is called, and how."""

    model: str = "gpt-5.4"
    "Model name."
    provider: ProviderName = "auto"
    "The model's provider; auto goes by its name; length-first, the built-in search, needs none."
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    "The same as --reasoning-effort for Gemini models."
    batch: Annotated[bool, Parameter(parse=False)] = False
    enable_code_interpreter: bool = False
    "Let the model run Python: the vendor's where it has one, else here, confined, on the training \
rows."
    tool_choice: Literal["auto", "none"] = "auto"
    "Whether the model may use its tools."
    hf_device_map: str | None = None
    "Where transformers puts the layers of a model in this process, such as auto."
    hf_torch_dtype: str | None = None
    "Type of its weights, such as bfloat16."
    hf_attn_implementation: str | None = None
    "Its attention, such as sdpa or flash_attention_2."

    def choice(self) -> ModelChoice:
        """Return the model as the other commands name it."""
        shared = common_fields(self, CallOptions)
        if self.thinking_level is not None:
            shared["reasoning_effort"] = self.thinking_level
        shared["model_option"] = (*self.model_option, *self._engine())
        return ModelChoice(**shared, model=f"{self.provider}:{self.model}")

    def _engine(self) -> tuple[str, ...]:
        """Return what a model in this process is made with, as other commands write it."""
        named = {
            "device_map": self.hf_device_map,
            "dtype": self.hf_torch_dtype,
            "attn_implementation": self.hf_attn_implementation,
        }
        wanted = {name: value for name, value in named.items() if value is not None}
        if not wanted:
            return ()
        if provider_of(f"{self.provider}:{self.model}").name != "hf":
            complain("--hf-... options have no effect: the model does not run in this process")
            return ()
        return (f"engine={json.dumps(wanted)}",)

    def asking(self, run: "SeedRun", prompt_variant: str = "1") -> AskingOptions:
        """Return the prompt options in the form of the other commands."""
        wants_tool = self.enable_code_interpreter and self.tool_choice != "none"
        return AskingOptions(
            tool="any" if wants_tool else "none",
            prompt_variant=prompt_variant,
            concurrency=run.concurrency,
            dry_run=run.dry_run,
            budget_usd=run.budget_usd,
        )


DEFAULT_SEED_MODEL = SeedModel()


@option_group(_RUN)
@dataclass(frozen=True)
class SeedRun:
    """Options of the run, and where results are written."""

    attempts: int | None = None
    "Attempts in each trial; default 5, and 200 for the built-in search."
    dataset_dir: Path = Path("datasets")
    "Folder of stored data sets."
    concurrency: int = 5
    "Attempts of a model, or trials of the built-in search, run concurrently."
    budget_usd: float | None = None
    "Stop before calls cost more than this in US dollars."
    out_jsonl: Path = Path("results_attempts.jsonl")
    "Rows of all attempts as JSON lines."
    out_csv: Path = Path("results_attempts.csv")
    "The same as CSV."
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    "From WARNING on, progress is not shown."
    dry_run: bool = False
    "Print the exact request of each cell, its tokens and what it may cost, without sending it."


@option_group(_MODEL)
@dataclass(frozen=True)
class SeedWordings:
    """Wordings of the prompt, tried one after another on the same data sets."""

    prompt_variant: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("1",)
    "Wordings: 1 to 4, or files."
    prompt_variants_json: str | None = None
    "Wordings as JSON, or a file of it: an object of names and texts, or a list of texts."

    def named(self, folder: Path) -> dict[str, str]:
        """Return each wording by name, as `parse_variant` reads it; texts become files.

        Raise ConfigurationError if the file does not hold wordings.
        """
        if self.prompt_variants_json is None:
            return {Path(variant).stem: variant for variant in self.prompt_variant}
        files = {}
        for name, text in _read_wordings(self.prompt_variants_json).items():
            path = folder / f"{Cell(name).slug}.txt"
            write_atomically(path, text)
            files[Cell(name).slug] = str(path)
        return files


app = published_app(
    "runner.py", "Ask for programs for benchmark tasks, verify them, and keep the best."
)


@app.default
def synthesize(
    *,
    grid: Grid = DEFAULT_GRID,
    model: SeedModel = SeedModel(),
    run: SeedRun = SeedRun(),
    wordings: SeedWordings = SeedWordings(),
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Run the grid of the first version's command."""
    request = grid_request(grid)
    request.plan()  # report an invalid request before a sandbox starts
    from llm_pv.api import Search

    if model.provider == "length-first":
        if run.dry_run:
            raise ConfigurationError("--dry-run shows requests to a model; length-first sends none")
        search = Search("length-first", attempts=run.attempts, concurrency=run.concurrency)
        return run_searches(request, {"": search}, run, sandbox)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        choice = model.choice()
        proposers = {
            name: stack.enter_context(
                _proposer(choice, model.asking(run, variant), run.attempts, sandbox)
            )
            for name, variant in wordings.named(folder).items()
        }
        if run.dry_run:
            return preview_grid(list(proposers.values()), request, "table")
        disclose_tasks(next(iter(proposers.values())))
        searches = {
            name if len(proposers) > 1 else "": Search(llm, concurrency=run.concurrency)
            for name, llm in proposers.items()
        }
        return run_searches(request, searches, run, sandbox)


def _proposer(
    choice: ModelChoice, asking: AskingOptions, attempts: int | None, sandbox: SandboxOptions
) -> "LLM":
    try:
        return open_proposer(
            choice,
            asking,
            sandbox,
            attempts=attempts,
            budget_seconds=None,
            published=True,
        )
    except CredentialError as error:
        raise CredentialError(
            f"{error}; or give --provider length-first, which needs no key, or --dry-run to see "
            "the requests"
        ) from error


def run_seed(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run one command line of the seed command and return its exit status."""
    return run_app(app, translated(with_variables(arguments, environment), RUNNER))


def run_searches(
    request: "GridRequest",
    searches: "Mapping[str, Search]",
    run: SeedRun,
    sandbox: SandboxOptions,
) -> int:
    """Run the grid with each search, write the rows of all and return the exit status.

    Parameters
    ----------
    searches
        Where programs come from, by the wording of the prompt; one without a name is alone.
    """
    from llm_pv.runs.runner import require_writable
    from llm_pv.tracks.synthesis.seed_rows import seed_rows, write_seed_rows

    for place, option in ((run.out_jsonl, "--out-jsonl"), (run.out_csv, "--out-csv")):
        require_writable(place.parent, option)
    rows: list[dict[str, Any]] = []
    status = 0
    for name, search in searches.items():
        path = _run_directory(request, search, sandbox)
        result = run_shown(
            request,
            search,
            dataset_dir=run.dataset_dir,
            sandbox=sandbox,
            out=path,
            again=f"{path} keeps everything, the same command continues from here",
            quiet=run.log_level in {"WARNING", "ERROR"},
        )
        rows += seed_rows(request, path, run.dataset_dir, prompt_variant=name)
        write_seed_rows(rows, run.out_jsonl, run.out_csv)
        if name:
            complain(f"prompt wording {name}:")
        status = max(status, report(result))
    return status


def _run_directory(request: "GridRequest", search: "Search", sandbox: SandboxOptions) -> Path:
    """Return the folder of this very request, so that the same command resumes it."""
    from llm_pv.proposers.base import Proposer

    proposer = search.proposer
    name = proposer.identity if isinstance(proposer, Proposer) else proposer
    facts = [request.record(), name, search.resolve()[1].attempts, asdict(sandbox)]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"program_synthesis-{digest[:12]}"


def _read_wordings(given: str) -> dict[str, str]:
    """Return the texts of JSON, or of a JSON file, by name; those of a list are numbered."""
    is_json = given.lstrip().startswith(("[", "{"))
    try:
        found: Any = json.loads(given if is_json else Path(given).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"--prompt-variants-json: no JSON at line {error.lineno}, column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"--prompt-variants-json {given}: {reason}; give JSON, or a file of it"
        ) from error
    if isinstance(found, list):
        items = {str(number): item for number, item in enumerate(found, start=1)}
        found = {
            str(item.get("name", number)) if isinstance(item, dict) else number: item
            for number, item in items.items()
        }
    texts: dict[str, Any] = {}
    for name, item in found.items() if isinstance(found, dict) else ():
        texts[name] = item.get("prompt", item.get("template")) if isinstance(item, dict) else item
    if not texts or not all(isinstance(text, str) for text in texts.values()):
        raise ConfigurationError(
            "--prompt-variants-json holds no wordings: give an object of names and texts, "
            'or a list of texts or of {"name": ..., "prompt": ...}'
        )
    return texts
