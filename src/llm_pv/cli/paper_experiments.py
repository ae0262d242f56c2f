"""The paper's other experiments: each some commands, the runs they leave and a page on these."""

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from llm_pv.child_process import usable_cores
from llm_pv.cli.main import INTERRUPTED, USAGE_ERROR, complain, run
from llm_pv.cli.model_options import ModelChoice
from llm_pv.cli.options import as_words
from llm_pv.cli.paper_parts import PAPER_TASKS
from llm_pv.cli.variations import combinations
from llm_pv.report.text import count, seconds
from llm_pv.runs.reading import FAILED, find_runs, read_summary
from llm_pv.tracks.published import WALL_CLOCK, WORDINGS

Name: TypeAlias = Literal[
    "table", "scaling", "lengths", "k", "wordings", "validation", "dynamics", "wallclock"
]


@dataclass(frozen=True)
class Command:
    """One command of an experiment, without its tasks, trials and sizes of the test split."""

    words: tuple[str, ...]
    tasks: tuple[str, ...]
    seconds: float
    "CPU seconds of a trial of one task, measured on a shared x86-64 core, of the rows it has here."
    rows: int = 1
    "Rows of summary.csv that a trial makes."

    def line(self, tasks: Sequence[str], trials: int, test_size: int) -> list[str]:
        """Return the whole command line."""
        name, *rest = self.words
        chosen = list(tasks or self.tasks)
        if name == "finetune":
            counted = ["--trial", *map(str, range(trials))]
            return [name, "--function", *chosen, *rest, *counted, "--test-size", str(test_size)]
        counted = ["--trials", str(trials), "--test-size", str(test_size)]
        return [name, "--functions", *chosen, *rest, *counted]


@dataclass(frozen=True)
class Experiment:
    """The measurements made offline, and those made with a model."""

    title: str
    offline: tuple[Command, ...] = ()
    model: tuple[Command, ...] = ()
    published: str = ""
    "Published figures that the page has in words."


_SCALING = ("fn_f", "fn_j", "fn_k")
_WORDINGS = ("fn_d", "fn_f", "fn_j", "fn_k", "fn_v")
_L100 = ("--lengths", "100", "--no-transfer")
_TINY = ("--model", "tiny", "--lr", "1e-3", "--report-to", "none")
_LENGTHS = ("--lengths", "10", "--test-lengths", "20", "25", "30", "50", "100")


def _tiny(rows: int, epochs: int, *more: str) -> tuple[str, ...]:
    evaluated = str(max(1, epochs // 10))
    sizes = ("--train-size", str(rows), "--n-epochs", str(epochs), "--eval-every", evaluated)
    return ("finetune", *_TINY, *sizes, *more)


EXPERIMENTS: Mapping[str, Experiment] = {
    "scaling": Experiment(
        "Accuracy against training rows",
        (
            Command(("synthesize", *_L100, "--train-size", "10", "50", "100", "200", "1000",
                     "10000"), _SCALING, 16),
            Command(("baselines", "--lengths", "100", "--models", "xgboost", "random_forest",
                     "--train-size", "10", "50", "100", "200", "1000"), _SCALING, 20, rows=2),
            Command(_tiny(200, 100, "--length", "100"), _SCALING, 60),
            Command(_tiny(1_000, 20, "--length", "100"), _SCALING, 60),
            Command(_tiny(10_000, 2, "--length", "100"), _SCALING, 60),
            Command(_tiny(100_000, 1, "--length", "100"), _SCALING, 200),
        ),
        (Command(("synthesize", *_L100, "--train-size", "10", "100", "200"), _SCALING, 0),),
    ),
    "lengths": Experiment(
        "Learned at length 10, tested at longer inputs",
        (
            Command(("synthesize", *_LENGTHS), ("fn_c", "fn_g"), 16),
            Command(_tiny(200, 100, "--length", "10", "--test-lengths", "20", "25", "30", "50",
                          "100"), ("fn_c", "fn_g"), 60),
        ),
        (Command(("synthesize", *_LENGTHS), ("fn_c", "fn_g"), 0),),
    ),
    "k": Experiment(
        "Success against the number of attempts",
        (Command(("synthesize", *_L100, "--attempts", "50", "--no-early-stop"), PAPER_TASKS, 25),),
        (Command(("synthesize", *_L100, "--attempts", "20", "--no-early-stop"), PAPER_TASKS, 0),),
    ),
    "wordings": Experiment(
        "Four wordings of the prompt",
        model=(Command(("synthesize", *_L100, "--prompt-variant", "1", "2", "3", "4"), _WORDINGS,
                       0),),
        published=WORDINGS,
    ),
    "validation": Experiment(
        "Accuracy against validation rows",
        (Command(("synthesize", *_L100, "--val-size", "20", "50", "100", "200"), _SCALING, 16),),
        (Command(("synthesize", *_L100, "--val-size", "20", "50", "100", "200"), _SCALING, 0),),
    ),
    "dynamics": Experiment(
        "Training by step, over seeds",
        (Command(_tiny(1_000, 40, "--length", "20"), ("fn_c", "fn_f"), 60),),
    ),
    "wallclock": Experiment(
        "Wall clock a row",
        (
            Command(("synthesize", *_L100), ("fn_k",), 16),
            Command(("baselines", "--lengths", "100"), ("fn_k",), 14, rows=6),
            Command(_tiny(200, 100, "--length", "100"), ("fn_k",), 60),
        ),
        (Command(("synthesize", *_L100), ("fn_k",), 0),),
        WALL_CLOCK,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One command of an experiment that is asked for."""

    experiment: str
    words: list[str]
    folder: Path
    seconds: float
    asks: bool

    @property
    def text(self) -> str:
        """The command as it is typed."""
        return f"llm-pv {' '.join(self.words)}"


def plan_steps(
    names: Sequence[str],
    *,
    tasks: Sequence[str],
    trials: int,
    test_size: int,
    model: ModelChoice,
    budget_usd: float | None = None,
    dataset_dir: Path = Path("datasets"),
    out: Path,
) -> list[Step]:
    """Return the commands of some experiments in order; a model's last in each."""
    budget = [] if budget_usd is None else ["--budget-usd", f"{budget_usd:g}"]
    steps = []
    for name in names:
        found = EXPERIMENTS[name]
        if not found.offline and model.model is None:
            complain(f"{name}: it asks a model, name one with --model; left out")
        commands = [(command, False) for command in found.offline]
        if model.model is not None:
            commands += [(command, True) for command in found.model]
        for number, (command, asks) in enumerate(commands, start=1):
            words = command.line(tasks, trials, test_size)
            if asks:
                words = [*words, *as_words(model), *budget]
            folder = out / name / f"{number}-{command.words[0]}"
            words += ["--dataset-dir", str(dataset_dir), "--out", str(folder)]
            seconds = 0.0 if asks else _seconds(command, words, folder, len(tasks or command.tasks))
            steps.append(Step(name, words, folder, seconds, asks))
    return steps


def show_steps(steps: Sequence[Step]) -> None:
    """Write to standard error each command and about how long it takes, and what a model costs."""
    cores = usable_cores()
    for step in steps:
        left = "" if step.asks else f": about {seconds(step.seconds / cores)}"
        complain(f"{step.experiment}{left}: {step.text}")
        if step.asks:
            with redirect_stdout(io.StringIO()):  # the requests themselves; prices are on stderr
                for words in _lines(step.words):
                    run([*words, "--dry-run"])
    total = sum(step.seconds for step in steps) / cores
    complain(
        f"about {seconds(total)} in all on {count(cores, 'core')}, within a factor of two or three"
    )


def run_steps(steps: Sequence[Step], results: Path) -> int:
    """Run the commands, write a page on each experiment and return the exit status.

    Finished runs are not repeated. An experiment of which a trial failed has a page that says why.
    """
    status = 0
    for name in dict.fromkeys(step.experiment for step in steps):
        mine = [step for step in steps if step.experiment == name]
        for step in mine:
            complain(f"{name}: {step.text}")
            with redirect_stdout(sys.stderr):
                ended = run(step.words)
            if ended in (INTERRUPTED, USAGE_ERROR):
                return ended
            status = max(status, ended)
        sys.stdout.write(f"{_write_page(name, mine, results / name)}\n")
    return status


def _write_page(name: str, steps: Sequence[Step], folder: Path) -> Path:
    from llm_pv.report.results_page import Provenance, write_results

    runs = [path for step in steps for path in find_runs([step.folder])]
    commands = "; ".join(step.text.rpartition(" --dataset-dir ")[0] for step in steps)
    found = EXPERIMENTS[name]
    occasion = Provenance(usable_cores(), commands, found.title, found.published, folders_up=2)
    return write_results(runs, folder, occasion)


def _lines(words: Sequence[str]) -> Iterator[Sequence[str]]:
    several = combinations(words)
    yield from [words] if several is None else several[1].values()


def _seconds(command: Command, words: Sequence[str], folder: Path, tasks: int) -> float:
    """Return the CPU seconds of the trials of a command that are not done."""
    lines = list(_lines(words))
    trials = len(lines)
    if words[0] != "finetune":
        trials *= tasks * int(words[words.index("--trials") + 1])
    done = sum(row["status"] != FAILED for run in find_runs([folder]) for row in read_summary(run))
    return command.seconds * max(0.0, trials - done / command.rows)
