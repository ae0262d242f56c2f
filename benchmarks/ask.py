"""How many labels single out a rule: rows that `llm-pv ask` chooses against rows at random.

Run ``python -m benchmarks.ask round1 [round2 ...] [--every 2] [--rules 20] [--batch 10] [--most 40]
[--seed 0] [--jobs 2]``. A rule begins with 10 training rows and a pool of 190 rows without labels.
In each round the built-in search proposes programs; while the first of those with the fewest
training mistakes is right on less than 99% of 2,000 test rows, ``--batch`` rows of the pool get
their labels and are trained on. A line for each rule: the labels it took with chosen rows and with
random ones.
"""

import argparse
import functools
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rules import draw, load
from benchmarks.searching import Settings, in_processes, proposer_of
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.erm.queries import Hypothesis, possible, rank_rows

TRAIN = 10
RIGHT = 0.99


@dataclass(frozen=True)
class Task:
    """One rule and seed."""

    list_name: str
    position: int
    seed: int


def answers_of(source: str, inputs: Sequence[Input]) -> tuple[str, ...]:
    """Return the answers of a program of the built-in search, which is run in this process."""
    names: dict[str, object] = {}
    exec(source, names)
    answers = []
    for row in inputs:
        try:
            answers.append(str(names["f"](row)))  # type: ignore[operator]
        except Exception:  # noqa: BLE001 - no answer, whatever a program raises
            answers.append("")
    return tuple(answers)


def right(answers: Sequence[str], labels: Sequence[str]) -> int:
    """Return how many answers are right."""
    return sum(map(str.__eq__, answers, labels))


@dataclass(frozen=True)
class State:
    """The labelled rows, and the programs that the search proposes from them."""

    labelled: Examples
    pool: Examples
    hypotheses: Sequence[Hypothesis]
    found: bool

    @classmethod
    def of(cls, labelled: Examples, pool: Examples, task: Task, settings: Settings) -> "State":
        """Search, and see whether the program with the fewest training mistakes is right."""
        rows = draw(load(task.list_name)[task.position], task.seed)
        classes = Classes.of([*rows.train.labels, *rows.validation.labels, *rows.test.labels])
        hypotheses = []
        for proposal in proposer_of(settings).propose(labelled, classes, seed=task.seed):
            answers = answers_of(proposal.text, labelled.inputs)
            wrong = len(labelled) - right(answers, labelled.labels)
            hypotheses.append(Hypothesis(proposal.text, wrong))
        best = min(hypotheses, key=lambda each: each.mistakes)
        correct = right(answers_of(best.source, rows.test.inputs), rows.test.labels)
        return cls(labelled, pool, hypotheses, correct >= RIGHT * len(rows.test))

    def chosen(self, batch: int) -> list[int]:
        """Return the rows of the pool that `llm-pv ask` chooses."""
        likely = possible(self.hypotheses, len(self.labelled))
        answers = [answers_of(source, self.pool.inputs) for source in likely]
        return [query.row for query in rank_rows(answers, list(likely.values()), batch)]


def labels_needed(
    task: Task, batch: int, most: int, settings: Settings
) -> tuple[int | None, int | None]:
    """Return how many labels it took until the program was right, chosen and at random.

    None stands for more than ``most``.
    """
    rows = draw(load(task.list_name)[task.position], task.seed)
    pool = Examples(
        [*rows.train.inputs[TRAIN:], *rows.validation.inputs],
        [*rows.train.labels[TRAIN:], *rows.validation.labels],
    )
    start = State.of(rows.train.take(range(TRAIN)), pool, task, settings)
    needed: list[int | None] = []
    for choosing in (True, False):
        chance = random.Random(f"random rows {task.seed}")
        state, added = start, 0
        while not state.found and added < most:
            spare = chance.sample(range(len(state.pool)), len(state.pool))
            picks = list(dict.fromkeys([*(state.chosen(batch) if choosing else []), *spare]))[
                :batch
            ]
            more = state.pool.take(picks)
            labelled = Examples(
                [*state.labelled.inputs, *more.inputs], [*state.labelled.labels, *more.labels]
            )
            left = state.pool.take([n for n in range(len(state.pool)) if n not in set(picks)])
            state, added = State.of(labelled, left, task, settings), added + batch
        needed.append(added if state.found else None)
    return needed[0], needed[1]


def summary(pairs: Sequence[tuple[int | None, int | None]], most: int) -> str:
    """Return the figures over all rules, each with its labels when chosen and at random."""
    lines = []
    for column, how in enumerate(("chosen", "random")):
        found = sum(pair[column] is not None for pair in pairs)
        lines.append(f"{how}: {found} of {len(pairs)} rules within {most} labels")
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    if both:
        means = [statistics.mean(labels) for labels in zip(*both, strict=True)]
        lines += [
            f"the {len(both)} rules found both ways: {means[0]:.1f} labels when chosen, "
            f"{means[1]:.1f} at random",
            f"fewer when chosen: {sum(one < other for one, other in both)}, as many: "
            f"{sum(one == other for one, other in both)}, more: "
            f"{sum(one > other for one, other in both)}",
        ]
    return "\n".join(lines)


def main() -> None:
    """Measure the lists named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lists", nargs="+")
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    rules = [
        (name, position)
        for name in arguments.lists
        for position in range(0, len(load(name)), arguments.every)
    ][: arguments.rules]
    tasks = [Task(*rule, arguments.seed) for rule in rules]
    work = functools.partial(
        labels_needed,
        batch=arguments.batch,
        most=arguments.most,
        settings=Settings(candidates=arguments.candidates),
    )
    pairs = []
    for task, labels in in_processes(work, tasks, arguments.jobs, fresh=False):
        pairs.append(labels)
        shown = ["-" if count is None else count for count in labels]
        name = load(task.list_name)[task.position].name
        print(f"chosen {shown[0]:>3}, random {shown[1]:>3}  {task.list_name}: {name}", flush=True)
    print(summary(pairs, arguments.most))


if __name__ == "__main__":
    main()
