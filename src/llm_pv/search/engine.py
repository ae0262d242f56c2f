"""The search, stage by stage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import numpy as np

from llm_pv.data.examples import Input
from llm_pv.search import prices
from llm_pv.search.bank import Bank
from llm_pv.search.enumerate import fill
from llm_pv.search.pool import Conditions, Pool, conditions_of
from llm_pv.search.predicates import offers, pool_of
from llm_pv.search.problem import SAMPLE_ROWS, Expired, Problem
from llm_pv.search.program import (
    Candidate,
    answers_of,
    candidate,
    constant_program,
)
from llm_pv.search.reading import read_leaves
from llm_pv.search.recut import recut, reworded
from llm_pv.search.rivals import variants
from llm_pv.search.terminal import terminal_offers
from llm_pv.search.types import Expression, Type
from llm_pv.search.unify import UNIFIERS
from llm_pv.search.unify.features import richest

MOST_CONDITIONS = 30_000
MOST_REFITTED = 400
"""Conditions that a search on a sample hands to what is fitted on all rows."""
MOST_PROPOSED, MOST_RULES = 200, 40
"""Programs that are proposed, and rules among them: of many, validation picks by luck."""
MOST_TRUTHS = 4
"""Truth values within each of which numbers are cut."""
RESCORED_ROWS, LEAST_RESCORED = 120_000, 12
"""Rows that the programs which a unifier found on a sample are run on, and how many at least."""
MOST_VARIED, MOST_RECUT, MOST_OF_EXACT = 30, 10, 11
"""Programs whose conditions are exchanged for others that fit the training rows as well, those of
which other constants are proposed too if they make no mistakes, and how many of each."""
SHORT = 2
"""A program without mistakes that costs so many times less than the majority class is short."""
ROW_BYTES, ROWS_A_SECOND, LEAST_ROWS = 2500, 10_000, 1000
"""What fitting on a row takes, and rows fitted on for each second of the budget, and at least."""
KEPT_FOR_ALL = 0.4
"""The share of the time that is kept for what is fitted on all rows, if there are many."""
MOST_FITTED, MOST_WEAK = 40, 5
"""Programs of each unifier that are proposed though they are no rules, by whether it fits."""


@dataclass
class Account:
    """What a search did, for the report."""

    tried: int = 0  # the candidates tried so far
    # each stage with the candidates tried when it began
    stages: dict[str, int] = field(default_factory=dict)
    # each operator with how often it was applied, and how often that gave something new
    operators: dict[str, tuple[int, int]] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)  # the programs that each unifier found
    cut: list[str] = field(default_factory=list)  # the stages that time ended
    dropped: int = 0  # the values for which the bank had no place

    def text(self) -> str:
        """Return it in a line.

        Examples
        --------
        >>> stages = {"reading rows": 0, "conditions": 20, "joins": 1020, "done": 9100}
        >>> Account(9100, stages, found={"joins": 12}, cut=["joins"]).text()
        'searched 9,100 candidates: conditions 1,000, joins 8,080 (12 programs, cut short by time)'
        """
        ends = [*self.stages.values()][1:]
        spans = zip(self.stages.items(), ends, strict=False)
        parts = [self._part(stage, ended - began) for (stage, began), ended in spans]
        dropped = f"; {self.dropped:,} values left out as the bank was full" if self.dropped else ""
        return f"searched {self.tried:,} candidates: {', '.join(filter(None, parts))}{dropped}"

    def _part(self, stage: str, tried: int) -> str:
        """Return what one stage did, empty where it hardly began."""
        remarks = [f"{self.found[stage]} programs"] if stage in self.found else []
        remarks += ["cut short by time"] if stage in self.cut else []
        if tried < 1000 and not remarks:
            return ""
        return f"{stage} {tried:,}" + (f" ({', '.join(remarks)})" if remarks else "")


OnStage = Callable[[str, Account, list[Candidate]], None]
"""Called when a stage begins, with what there is so far."""


def search(problem: Problem, on_stage: OnStage) -> tuple[list[Candidate], Account]:
    """Return programs, best first, the majority class last, and an account of the search."""
    account = Account()
    if len(problem.classes) < 2:
        return [constant_program(problem)], account

    def count(tried: int) -> None:
        account.tried += tried

    problem.count = count
    found: list[Candidate] = []
    sample, guard = _sampled(problem), problem.guard
    bank = Bank(sample)
    guard.kept = KEPT_FOR_ALL * guard.seconds * (sample is not problem)

    def stage(name: str, share: float = 1.0) -> None:
        guard.stage = name
        account.stages[name] = account.tried
        on_stage(name, account, found)
        guard.allot(share)

    stage("reading rows")
    leaves, columns = read_leaves(bank)
    stage("enumerating values", 0.4)
    with suppress(Expired):
        fill(bank, leaves)
    stage("conditions", 0.35)
    most = int(min(MOST_CONDITIONS * problem.scale, guard.most(2 * sample.size, 0.1)))
    offered = chain(offers(bank), terminal_offers(bank))
    source = pool = _pool(bank, columns, pool_of(offered, sample, most))
    enough = constant_program(problem).cost / SHORT
    for place, unifier in enumerate(UNIFIERS):
        if unifier.slow and any(one.cost < enough and not one.mistakes for one in found):
            continue
        guard.kept *= not unifier.fits_all
        share = 0.5 if unifier.fits_all else 2 / (len(UNIFIERS) - place + 2)
        stage(unifier.name, share)
        if unifier.fits_all and source is pool and sample is not problem:
            guard.allot(share / 4)
            source = refitted(pool, problem)
            guard.allot(share)
        made: list[Candidate] = []
        with suppress(Expired):
            made += unifier.find(source)
        account.found |= {unifier.name: len(made)} if made else {}
        # Costly operators on many rows may take all the time that is left.
        estimated = [*_estimated(made, source.problem, problem)]
        if estimated:
            on_stage(unifier.name, account, [*found, *estimated])
        guard.allot(share)
        found += _rescored(made, problem) or _on_all_rows(estimated, problem)
    stage("alternatives")
    with suppress(Expired):
        found += _alternatives(found, pool, problem)
    stage("done")
    account.cut = list(guard.cut)
    account.dropped = bank.numbers.dropped + bank.truths.dropped
    account.operators = bank.report
    return ranked(found, problem), account


def _alternatives(found: Sequence[Candidate], pool: Pool, problem: Problem) -> Iterator[Candidate]:
    """Yield the best programs with a condition exchanged for one that differs on probes alone."""
    on_all = {one.name for one in UNIFIERS if one.fits_all and pool.problem is not problem}
    varied = sorted((one for one in found if one.stage not in on_all), key=lambda one: one.cost)
    exact = 0
    for one in varied[:MOST_VARIED]:
        # A program with mistakes is no rule yet: of many like it validation would pick by luck.
        is_exact = not one.mistakes or problem.noise > 0
        exact += is_exact
        is_recut = is_exact and exact <= MOST_RECUT
        most = MOST_OF_EXACT if is_recut else int(one.stage != "single")
        shorter = one.program
        if is_recut:
            shorter = reworded(one.program, pool.conditions, pool.problem)
        said = [(shorter, "")] if shorter is not one.program else []
        others = islice(recut(shorter, pool.problem), most)
        for program, edge in chain(said, others, variants(one.program, pool.conditions)):
            problem.guard.check()
            yield replace(_on(candidate(program, pool.problem, one.stage), problem), edge=edge)


def _sampled(problem: Problem) -> Problem:
    """Return the problem of a sample that keeps the shares of the classes, at least a few each.

    Rows are added until every column that has a missing cell has one in the sample: operators and
    programs are then made for such cells.
    """
    if problem.size <= SAMPLE_ROWS:
        return problem
    chance = np.random.default_rng(problem.size)
    shuffled = chance.permutation(problem.size)
    order = shuffled[np.argsort(problem.codes[shuffled], kind="stable")]
    # Every so many rows of the sorted classes: shares are kept to a row.
    drawn = order[np.linspace(0, problem.size - 1, SAMPLE_ROWS).astype(np.int64)].tolist()
    chosen = np.array(sorted({*drawn, *_with_gaps(problem.frame.rows[: problem.size], drawn)}))
    return problem.chosen(chosen)


def _with_gaps(rows: Sequence[Input], drawn: Sequence[int]) -> Iterator[int]:
    """Yield rows with a missing cell in a column that the rows before them all have."""
    names = {name for row in rows if isinstance(row, dict) for name in row}
    width = len(names)
    for place in chain(drawn, range(len(rows))):
        row = rows[place]
        if isinstance(row, dict) and (len(row) < width or None in row.values()):
            gaps = {name for name in names if row.get(name) is None}
            names -= gaps
            if gaps:
                yield place


def _pool(bank: Bank, columns: list[Expression], conditions: Conditions) -> Pool:
    store, truths = bank.numbers, bank.truths
    order = np.argsort(store.bits, kind="stable")
    numbers = [store.expression(i) for i in order[:400]]

    def of(kind: Type) -> list[Expression]:
        return sorted(bank.of(kind), key=lambda one: one.bits)

    return Pool(
        bank.problem,
        conditions,
        columns,
        numbers,
        of(Type.CATEGORY),
        of(Type.TEXT),
        of(Type.TEXTS),
        of(Type.NUMBERS),
        [*bank.formed, *(store.expression(i) for i in bank.telling)],
        [truths.expression(i) for i in np.argsort(truths.bits, kind="stable")[:MOST_TRUTHS]],
    )


def refitted(pool: Pool, problem: Problem) -> Pool:
    """Return the pool on all training rows: its most telling conditions, and the columns.

    Of more rows than time and memory are for, it is those that are spread evenly.
    """
    guard = problem.guard
    most = min(guard.most(ROW_BYTES, 0.5), max(LEAST_ROWS, int(ROWS_A_SECOND * guard.seconds)))
    problem = problem.chosen(problem.spread(most)) if problem.size > most else problem

    def on_all(expressions: Sequence[Expression]) -> list[Expression]:
        made = []
        with suppress(Expired):
            for one in expressions:
                guard.check()
                is_list = one.type in (Type.TEXTS, Type.NUMBERS)
                values = problem.frame.values if is_list else problem.values
                made.append(replace(one, values=values(one)))
        return made

    columns = on_all(pool.columns)
    targets = pool.problem.targets()
    each = max(20, MOST_REFITTED // len(targets))
    chosen = np.unique(np.concatenate([pool.telling(members, each) for _, members in targets]))
    telling = on_all([pool.conditions.expression(i) for i in chosen.tolist()])
    return Pool(
        problem,
        conditions_of(telling, problem),
        columns,
        on_all(pool.numbers[:40]),
        on_all(pool.categories[:20]),
        on_all(pool.texts[:3]),
        on_all(richest(pool.words, pool.problem)),
        telling_numbers=on_all(pool.telling_numbers[:40]),
        truths=on_all(pool.truths),
    )


def _rescored(made: list[Candidate], problem: Problem) -> list[Candidate]:
    """Return programs with their mistakes on all rows: of many rows, those of the cheapest."""
    rows = len(problem.frame.rows)
    found = [one for one in made if len(one.answers) == rows]
    most = min(
        max(LEAST_RESCORED, RESCORED_ROWS // problem.size), problem.guard.most(8 * rows, 0.03)
    )
    others = [one for one in made if len(one.answers) != rows]
    with suppress(Expired):
        found += (_on(one, problem) for one in sorted(others, key=lambda one: one.cost)[:most])
    return found


def _estimated(made: Sequence[Candidate], sample: Problem, problem: Problem) -> Iterator[Candidate]:
    """Yield programs with the mistakes on all rows that those on the sample suggest."""
    for one in made:
        if sample is not problem and len(one.answers) == len(sample.frame.rows):
            mistakes = round(one.mistakes * problem.size / sample.size)
            cost = one.bits + float(problem.price(np.array(mistakes)))
            yield replace(one, mistakes=mistakes, cost=cost, estimated=True)


def _on_all_rows(made: list[Candidate], problem: Problem) -> Iterator[Candidate]:
    """Yield the cheapest of estimated programs with answers for all rows, most of them unknown."""
    rows, probes = len(problem.frame.rows), len(problem.frame.rows) - problem.size
    for one in sorted(made, key=lambda one: one.cost)[: problem.guard.most(8 * rows, 0.01)][
        :LEAST_RESCORED
    ]:
        known, of_probes = np.split(one.answers, [len(one.answers) - probes])
        unknown = np.full(rows - len(one.answers), problem.majority)
        yield replace(one, answers=np.concatenate([known, unknown, of_probes]))


def _on(one: Candidate, problem: Problem) -> Candidate:
    """Return a candidate with its mistakes on all training rows."""
    if len(one.answers) == len(problem.frame.rows):
        return one
    answers = problem.in_parts(
        lambda part: np.broadcast_to(answers_of(one.program, part), (len(part.rows),))
    )
    mistakes = problem.mistakes(answers)
    cost = one.bits + float(problem.price(mistakes))
    return replace(one, answers=answers.astype(np.int64), mistakes=mistakes, cost=cost)


def ranked(found: list[Candidate], problem: Problem) -> list[Candidate]:
    """Return rules by cost, then fallbacks, then the majority class, no two that answer alike.

    A rule costs less than the majority class by more than luck allows, and no more than the best
    tree or scorecard by as much. One of these is a rule itself only where it explains all training
    rows at half the cost of the majority class.
    """
    baseline = replace(constant_program(problem), is_rule=False)
    fallbacks = {unifier.name for unifier in UNIFIERS if unifier.fallback}
    bar = baseline.cost - prices.TRUST_MARGIN
    fitted = [one.cost for one in found if one.stage in fallbacks]
    lower = min([bar, *(cost + prices.TRUST_MARGIN for cost in fitted)])

    def explains(one: Candidate) -> bool:
        if one.stage in fallbacks:
            return one.mistakes == 0 and one.cost < baseline.cost / 2
        return one.cost < lower

    distinct: list[Candidate] = []
    known = {(baseline.answers.tobytes(), "")}
    for one in sorted(found, key=lambda one: one.cost):
        key = one.answers.tobytes(), one.edge
        if key not in known:
            known.add(key)
            distinct.append(replace(one, is_rule=explains(one)))
    strong: list[Candidate] = []
    weak: dict[str, list[Candidate]] = {unifier.name: [] for unifier in UNIFIERS}
    for one in distinct:
        is_strong = one.is_rule or (one.cost < bar and one.stage not in fallbacks)
        (strong if is_strong else weak[one.stage]).append(one)
    strong.sort(key=lambda one: not one.is_rule)
    if problem.noise and strong:
        # A longer rule that fits a wrong label or two by chance would pass for the better one.
        strong = [one for one in strong if one.cost <= strong[0].cost + prices.NOISE_SLACK]
    # By cost alone, trees of all sizes and weak conditions would leave no place for scorecards.
    rest = [
        one
        for unifier in UNIFIERS
        for one in weak[unifier.name][: MOST_FITTED if unifier.fits_all else MOST_WEAK]
    ]
    rest.sort(key=lambda one: one.cost)
    return [*strong[:MOST_RULES], *rest[: MOST_PROPOSED - MOST_RULES - 1], baseline]
