"""How many labels single out a rule: rows that `llm-pv ask` chooses against rows at random.

Run ``python -m benchmarks.ask round1 [round2 ...] [--every 2] [--rules 20] [--batch 1] [--most 40]
[--seed 0] [--jobs 2] [--again]``. A rule begins with 10 training rows and a pool of 190 rows
without labels. The built-in search proposes programs; while the shortest of those with the fewest
mistakes is right on less than 99% of 2,000 test rows, ``--batch`` rows of the pool get their
labels. With ``--again`` the search is made anew after each batch; without, the programs of the
first search remain, and a rule that is not among them is left out, as no label can single it out.
A line for each rule: the labels it took with chosen rows and with random ones (without ``--again``
the mean of 20 orders).
"""

import argparse
import functools
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.rules import draw, load
from benchmarks.searching import Settings, in_processes, proposer_of
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.erm.queries import Hypothesis, possible, rank_rows
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_programs

TRAIN = 10
RIGHT = 0.99
ORDERS = 20


@dataclass(frozen=True)
class Task:
    """One rule and seed."""

    list_name: str
    position: int
    seed: int


@functools.cache
def rows_of(task: Task) -> tuple[Examples, Examples, Examples]:
    """Return the rows trained on first, the pool, and the test rows."""
    rows = draw(load(task.list_name)[task.position], task.seed)
    pool = Examples(
        [*rows.train.inputs[TRAIN:], *rows.validation.inputs],
        [*rows.train.labels[TRAIN:], *rows.validation.labels],
    )
    return rows.train.take(range(TRAIN)), pool, rows.test


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
class Candidate:
    """A program, its bits, its answers on all rows of the pool, and whether it is the rule."""

    program: Hypothesis
    bits: float
    answers: tuple[str, ...]
    is_rule: bool


@dataclass(frozen=True)
class State:
    """A rule with some labels known: the programs, and the rows of the pool that have labels."""

    task: Task
    settings: Settings
    candidates: Sequence[Candidate] = ()
    known: tuple[int, ...] = ()

    @property
    def pool(self) -> Examples:
        """All rows but those trained on first."""
        return rows_of(self.task)[1]

    @property
    def found(self) -> bool:
        """Whether the shortest program with the fewest mistakes is the rule."""
        best = min(self.candidates, key=lambda one: (one.program.mistakes, one.bits))
        return best.is_rule

    def searched(self) -> "State":
        """Return the state with the programs that the search proposes for the known labels."""
        first, pool, test = rows_of(self.task)
        more = pool.take(self.known)
        labelled = Examples([*first.inputs, *more.inputs], [*first.labels, *more.labels])
        classes = Classes.of([*first.labels, *pool.labels, *test.labels])
        proposals = list(proposer_of(self.settings).propose(labelled, classes, seed=self.task.seed))
        texts = [
            text for one in proposals for text in (one.text, *(each.text for each in one.rivals))
        ]
        candidates = []
        for read in read_programs(list(dict.fromkeys(texts))):
            assert isinstance(read, Program)
            wrong = len(labelled) - right(answers_of(read.source, labelled.inputs), labelled.labels)
            correct = right(answers_of(read.source, test.inputs), test.labels)
            candidates.append(
                Candidate(
                    Hypothesis(read.source, wrong),
                    read.bits,
                    answers_of(read.source, pool.inputs),
                    correct >= RIGHT * len(test),
                )
            )
        return replace(self, candidates=candidates)

    def labelled(self, rows: Sequence[int], *, again: bool) -> "State":
        """Return the state after further rows of the pool got their labels."""
        state = replace(self, known=(*self.known, *rows))
        if again:
            return state.searched()
        labels = self.pool.labels
        return replace(
            state,
            candidates=[
                replace(
                    one,
                    program=replace(
                        one.program,
                        mistakes=one.program.mistakes
                        + sum(one.answers[row] != labels[row] for row in rows),
                    ),
                )
                for one in self.candidates
            ],
        )

    def chosen(self, batch: int) -> list[int]:
        """Return the rows of the pool that `llm-pv ask` chooses."""
        left = [row for row in range(len(self.pool)) if row not in self.known]
        known = len(self.known)
        likely = possible((one.program for one in self.candidates), TRAIN + known)
        answers = {one.program.source: one.answers for one in self.candidates}
        voted = [tuple(answers[source][row] for row in left) for source in likely]
        return [left[query.row] for query in rank_rows(voted, list(likely.values()), batch)]


def labels_needed(
    start: State, batch: int, most: int, *, choosing: bool, again: bool, order: int = 0
) -> int | None:
    """Return how many labels it took until the rule was singled out; None for more than most."""
    chance = random.Random(f"random rows {start.task.seed} {order}")
    state = start
    while not state.found and len(state.known) < most:
        left = [row for row in range(len(state.pool)) if row not in state.known]
        spare = chance.sample(left, len(left))
        picks = list(dict.fromkeys([*(state.chosen(batch) if choosing else []), *spare]))[:batch]
        state = state.labelled(picks, again=again)
    return len(state.known) if state.found else None


def measure(
    task: Task, batch: int, most: int, settings: Settings, *, again: bool
) -> tuple[float | None, float | None] | None:
    """Return the labels it took with chosen and with random rows; None where it cannot be found."""
    start = State(task, settings).searched()
    if not again and not any(one.is_rule for one in start.candidates):
        return None
    chosen = labels_needed(start, batch, most, choosing=True, again=again)
    if again:
        return chosen, labels_needed(start, batch, most, choosing=False, again=True)
    # Without a search anew the right program is there, so that it is the best in the end.
    counts = [
        labels_needed(start, batch, len(start.pool), choosing=False, again=False, order=order)
        for order in range(ORDERS)
    ]
    return chosen, statistics.mean(len(start.pool) if n is None else n for n in counts)


def summary(pairs: Sequence[tuple[float | None, float | None]], most: int) -> str:
    """Return the figures over all rules, each with its labels when chosen and at random."""
    lines = []
    for column, how in enumerate(("chosen", "random")):
        counts = [pair[column] for pair in pairs]
        found = sum(count is not None and count <= most for count in counts)
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
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="search after each batch")
    arguments = parser.parse_args()
    rules = [
        (name, position)
        for name in arguments.lists
        for position in range(0, len(load(name)), arguments.every)
    ][: arguments.rules]
    tasks = [Task(*rule, arguments.seed) for rule in rules]
    work = functools.partial(
        measure,
        batch=arguments.batch,
        most=arguments.most,
        settings=Settings(candidates=arguments.candidates),
        again=arguments.again,
    )
    pairs = []
    for task, labels in in_processes(work, tasks, arguments.jobs, fresh=False):
        name = f"{task.list_name}: {load(task.list_name)[task.position].name}"
        if labels is None:
            print(f"not among the programs          {name}", flush=True)
            continue
        pairs.append(labels)
        shown = ["-" if count is None else f"{count:g}" for count in labels]
        print(f"chosen {shown[0]:>4}, random {shown[1]:>5}  {name}", flush=True)
    print(f"{len(tasks) - len(pairs)} rules are not among the programs of the search")
    print(summary(pairs, arguments.most))


if __name__ == "__main__":
    main()
