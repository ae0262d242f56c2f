"""What each aid is worth to a model: rules found with all aids, without each, and with none.

Run ``python -m benchmarks.proposer_study round1 [round2 ...] --model openai-compatible:NAME
--base-url URL --out DIR [--every 4] [--attempts 5] [--arms=-pool,none,-pool-facts,+check]`` at any
address; the key comes from the environment, as for ``llm-pv learn --model``. Every rule has 100
training, 100 validation and 2,000 test rows. A rule is found if the selected program is right on
99% of the test rows.

The aids: ``facts`` about the training rows in the prompt; ``check`` and ``survey`` in the local
tool; ``refine``, one refinement on training mistakes; ``candidates``, up to five programs a reply;
``pool``, the built-in search proposes first; ``explore``, later attempts see earlier programs. An
arm is ``all``, ``none``, ``-AID`` (all but it; ``-AID-AID`` without both) or ``+AID`` (it alone).
The first arm is what the others are compared with: by default all but the pool, beside which other
aids would count only for rules that the search does not find.

The same command goes on where it was interrupted: DIR holds a line for each rule and arm in
``results.jsonl`` and the run directories. Without ``--model`` it prints the table of what is there.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks.rules import draw, load
from llm_pv import Search, learn
from llm_pv.data.examples import Classes, Splits
from llm_pv.errors import ConfigurationError, CredentialError, LLMPVError
from llm_pv.models.base import ModelOptions
from llm_pv.models.registry import make_model
from llm_pv.proposers.llm import LEARN_SETTINGS, LLM, LLMSettings
from llm_pv.proposers.spending import Budget
from llm_pv.runs.cells import Cell
from llm_pv.sandbox import Sandbox
from llm_pv.stats import binomial_interval, mcnemar, mean_limits

if TYPE_CHECKING:
    from llm_pv.models.language_model import LanguageModel
    from llm_pv.proposers.base import Proposer

AIDS = ("facts", "check", "survey", "refine", "candidates", "pool", "explore")
USUAL_ARMS = ("-pool", "all", "none", *(f"-pool-{aid}" for aid in AIDS if aid != "pool"))
FOUND = 0.99
MOST_FAILURES = 3
"""So many runs in a row that fail end the study: the server is not there."""


@dataclass(frozen=True)
class Outcome:
    """What one run of one rule gave."""

    arm: str
    rule: str
    seed: int
    setting: str
    "What else decides the result; lines of different settings are not mixed."
    accuracy: float
    found_by: str
    programs: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    seconds: float

    @property
    def found(self) -> bool:
        """Whether the selected program is the rule, as far as the test rows tell."""
        return self.accuracy >= FOUND

    @property
    def task(self) -> tuple[str, int]:
        """The rule and the seed, by which arms are compared."""
        return self.rule, self.seed


def aids_of(arm: str) -> frozenset[str]:
    """Return the aids of an arm.

    Raises
    ------
    ConfigurationError
        If there is no such arm.

    Examples
    --------
    >>> sorted(aids_of("+check+facts")), len(aids_of("-pool-check")), len(aids_of("none"))
    (['check', 'facts'], 5, 0)
    """
    named = {"all": frozenset(AIDS), "none": frozenset[str]()}
    if arm in named:
        return named[arm]
    _, *chosen = arm.split(sign := arm[:1] or "?")
    if sign in {"+", "-"} and set(chosen) <= named["all"]:
        return frozenset(chosen) if sign == "+" else named["all"] - set(chosen)
    raise ConfigurationError(
        f"there is no arm {arm!r}: give all, none, or + or - before each of {', '.join(AIDS)}"
    )


def settings_of(aids: frozenset[str], *, tool: str | None, tool_calls: int) -> LLMSettings:
    """Return how a model is prompted with some aids."""
    functions = tuple(name for name in ("check", "survey") if name in aids)
    return LLMSettings(
        tool=tool,  # type: ignore[arg-type]
        refinements=int("refine" in aids),
        prompt_rows="auto",
        answer_format="python",
        programs_per_reply=LEARN_SETTINGS.programs_per_reply if "candidates" in aids else 1,
        facts="facts" in aids,
        explore="explore" in aids,
        tool_calls=tool_calls,
        tool_functions=functions,
    )


@dataclass(frozen=True)
class Study:
    """The model and the options that all arms share."""

    model: str
    options: ModelOptions
    attempts: int
    tool: str | None
    tool_calls: int
    budget: Budget
    out: Path

    @property
    def setting(self) -> str:
        """What decides results besides the arm, the rule and the seed."""
        return f"{self.model}, {self.attempts} attempts, tool {self.tool}, {self.tool_calls} calls"

    def run(self, arm: str, list_name: str, place: int, seed: int, sandbox: Sandbox) -> Outcome:
        """Learn one rule with the aids of an arm; a run that was interrupted is continued."""
        rule = load(list_name)[place]
        rows = draw(rule, seed)
        labels = [*rows.train.labels, *rows.validation.labels, *rows.test.labels]
        splits = Splits(rows.train, rows.validation, rows.test, Classes.of(labels))
        aids = aids_of(arm)
        slug = Cell(f"{Path(list_name).stem}-{rule.name}-{seed}").slug
        with self._llm(aids) as llm:
            proposer: list[str | Proposer] = [llm]
            if "pool" in aids:
                proposer.insert(0, "length-first")
            learned = learn(
                splits,
                search=Search(
                    proposer if "pool" in aids else llm,
                    seed=seed,
                    concurrency=1 if "explore" in aids else self.attempts,
                ),
                sandbox=sandbox,
                out=self.out / arm / slug,
                name=slug,
            )
        attempts, selected = learned.selection.attempts, learned.selection.selected
        usage = learned.selection.usage
        return Outcome(
            arm,
            f"{list_name}: {rule.name}",
            seed,
            self.setting,
            learned.test.accuracy if learned.test else 0.0,
            (selected.proposal.proposer or llm.name) if selected else "",
            len(attempts),
            sum(one.proposal.tool_calls for one in attempts),
            usage.input_tokens,
            usage.output_tokens,
            learned.selection.cost_usd,
            learned.learn_seconds,
        )

    def _llm(self, aids: frozenset[str]) -> LLM:
        model: LanguageModel = make_model(self.model, self.options)
        settings = settings_of(aids, tool=self.tool, tool_calls=self.tool_calls)
        try:
            return LLM(model, attempts=self.attempts, settings=settings, budget=self.budget)
        except BaseException:
            model.close()
            raise


def read_outcomes(path: Path) -> list[Outcome]:
    """Return what a study has so far; a line that was cut off is left out."""
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            found.append(Outcome(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def measure(
    study: Study, arms: Sequence[str], tasks: Iterable[tuple[str, int, int]]
) -> Iterator[Outcome]:
    """Yield the outcome of every arm on every task, those on disk first.

    Raises
    ------
    LLMPVError
        If the key is rejected, or several runs in a row fail.
    """
    path = study.out / "results.jsonl"
    known = read_outcomes(path)
    if other := next((one.setting for one in known if one.setting != study.setting), None):
        raise ConfigurationError(f"{path} is of another study ({other}): give another --out")
    yield from known
    done = {(one.arm, *one.task) for one in known}
    study.out.mkdir(parents=True, exist_ok=True)
    failures = 0
    with Sandbox() as sandbox:
        for list_name, place, seed in tasks:
            rule = f"{list_name}: {load(list_name)[place].name}"
            for arm in arms:
                if (arm, rule, seed) in done:
                    continue
                try:
                    outcome = study.run(arm, list_name, place, seed, sandbox)
                except (CredentialError, ConfigurationError):
                    raise
                except LLMPVError as error:
                    failures += 1
                    if failures == MOST_FAILURES:
                        raise
                    print(f"{arm:17} failed on {rule}: {error}", file=sys.stderr)
                    continue
                failures = 0
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
                yield outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table of the arms, with 95% limits, each compared with the first on its rules.

    ``+`` counts rules that the arm found and the first did not, ``-`` the reverse; p is McNemar's.
    """
    by_arm: dict[str, dict[tuple[str, int], Outcome]] = {}
    for one in outcomes:
        by_arm.setdefault(one.arm, {})[one.task] = one
    first = next(iter(by_arm), "")
    lines = [
        f"{'arm':17} {'found':>7} {'95% limits':>10} {'test accuracy':>22} "
        f"{f'against {first}':>18} {'search':>6} {'calls':>5} {'tokens':>9} {'USD':>8}"
    ]
    lines += [
        _line(arm, found, by_arm[first] if arm != first else {}) for arm, found in by_arm.items()
    ]
    return "\n".join(lines)


def _line(
    arm: str, found: Mapping[tuple[str, int], Outcome], first: Mapping[tuple[str, int], Outcome]
) -> str:
    runs = list(found.values())
    right = sum(one.found for one in runs)
    limits = binomial_interval(right, len(runs)) or (0.0, 1.0)
    accuracies = [one.accuracy for one in runs]
    accuracy = f"{mean(accuracies):.1%}"
    if len(runs) > 1:
        low, high = mean_limits(accuracies)
        accuracy += f" ({max(low, 0):.1%}..{min(high, 1):.1%})"
    both = found.keys() & first.keys()
    gained = sum(found[task].found and not first[task].found for task in both)
    lost = sum(first[task].found and not found[task].found for task in both)
    against = f"+{gained} -{lost} p={mcnemar(gained, lost):.2f}" if both else ""
    costs = [one.cost_usd for one in runs if one.cost_usd is not None]
    usd = f"{sum(costs):.2f}" if len(costs) == len(runs) else "unknown"
    tokens = sum(one.input_tokens + one.output_tokens for one in runs)
    return (
        f"{arm:17} {f'{right}/{len(runs)}':>7} {f'{limits[0]:.0%}..{limits[1]:.0%}':>10} "
        f"{accuracy:>22} {against:>18} "
        f"{sum(one.found and one.found_by == 'length-first' for one in runs):>6} "
        f"{sum(one.tool_calls for one in runs):>5} {tokens:>9,} {usd:>8}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the lists named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lists", nargs="*", help="names in benchmarks/rules, or .toml files")
    parser.add_argument("--model", help="PROVIDER:NAME; leave it out for the table alone")
    parser.add_argument("--base-url")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", default=",".join(USUAL_ARMS), help="--arms=-pool,-pool-facts")
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="every so many rules of a list")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tool", choices=("local", "hosted", "none"))
    parser.add_argument("--tool-calls", type=int, default=20)
    parser.add_argument("--budget-usd", type=float, help="of one run")
    parser.add_argument("--budget-tokens", type=int, help="of one run")
    parser.add_argument("--max-output-tokens", type=int, default=20_000)
    parser.add_argument("--model-option", action="append", default=[], metavar="NAME=JSON")
    given = parser.parse_args(arguments)
    if given.model is None:
        print(table(read_outcomes(given.out / "results.jsonl")))
        return
    arms = given.arms.split(",")
    for arm in arms:
        aids_of(arm)
    extra: dict[str, Any] = {}
    for option in given.model_option:
        name, _, value = option.partition("=")
        extra[name] = json.loads(value)
    study = Study(
        given.model,
        ModelOptions(
            base_url=given.base_url, max_output_tokens=given.max_output_tokens, extra=extra
        ),
        given.attempts,
        given.tool,
        given.tool_calls,
        Budget(given.budget_usd, given.budget_tokens),
        given.out,
    )
    tasks = [
        (name, place, seed)
        for name in given.lists
        for place in range(0, len(load(name)), given.every)
        for seed in range(given.seeds)
    ]
    outcomes = []
    for one in measure(study, arms, tasks):
        outcomes.append(one)
        print(f"{one.arm:17} {one.accuracy:7.2%} {one.tool_calls:3} calls  {one.rule}", flush=True)
    print(table(outcomes))


if __name__ == "__main__":
    try:
        main()
    except LLMPVError as error:
        sys.exit(f"proposer_study: {error}")
