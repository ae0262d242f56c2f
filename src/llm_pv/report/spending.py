"""Sum the use of models over some runs: tokens, dollars, and calls without an answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from llm_pv.proposers.llm.turns import spent
from llm_pv.report.records import RunRecord
from llm_pv.report.tables import Column, Entry, ReportTable
from llm_pv.report.text import count, price
from llm_pv.runs.conversations import iterate_calls
from llm_pv.runs.reading import read_run


@dataclass(frozen=True)
class RunSpending:
    """The spending of one or several runs.

    Examples
    --------
    >>> one = RunSpending(sent=5_000, written=600, usd=0.25)
    >>> print(one.plus(RunSpending(sent=1_000, written=60, unpriced=2, lost_tokens=500)))
    6,000 tokens sent, 660 written; $0.25 and 2 answers of unknown price; unanswered calls: up to \
500 tokens, $0
    """

    sent: int = 0
    written: int = 0
    usd: float = 0.0
    "US dollars of the answers whose price is known."
    unpriced: int = 0
    "Answers whose price is unknown."
    lost_tokens: int = 0
    lost_usd: float | None = 0.0
    "The worst case of tries without an answer that may be billed; None if a price is unknown."

    def plus(self, other: "RunSpending") -> "RunSpending":
        """Return the sum of two."""
        unknown = self.lost_usd is None or other.lost_usd is None
        return RunSpending(
            self.sent + other.sent,
            self.written + other.written,
            self.usd + other.usd,
            self.unpriced + other.unpriced,
            self.lost_tokens + other.lost_tokens,
            None if unknown else (self.lost_usd or 0.0) + (other.lost_usd or 0.0),
        )

    @property
    def price(self) -> str:
        """The price of the answers as text."""
        unknown = f"{count(self.unpriced, 'answer')} of unknown price" if self.unpriced else ""
        known = f"${self.usd:.4g}" if self.usd or not unknown else ""
        return " and ".join(filter(None, (known, unknown)))

    @property
    def lost_price(self) -> str:
        """The price of the tries without an answer as text."""
        return price(self.lost_usd)

    def __str__(self) -> str:
        """Return the spending as text."""
        text = f"{self.sent:,} tokens sent, {self.written:,} written; {self.price}"
        if not self.lost_tokens:
            return text
        return f"{text}; unanswered calls: up to {self.lost_tokens:,} tokens, {self.lost_price}"


NOTHING_SPENT = RunSpending()


def spending_of(run: Path) -> RunSpending:
    """Return what models took in a run directory, also for trials that have not ended.

    Raise RunError if a record is damaged.
    """
    if read_run(run)["configuration"].get("command") == "icl":
        answers = list(iterate_calls(run, in_context=True))
        costs = [answer.get("cost_usd") for answer in answers]
        return RunSpending(
            sum(answer["input_tokens"] for answer in answers),
            sum(answer["output_tokens"] for answer in answers),
            sum(cost for cost in costs if cost is not None),
            costs.count(None),
        )
    records = list(iterate_calls(run))
    found = spent(records)
    costs = [record["cost_usd"] for record in records if record["kind"] == "turn"]
    lost = found.most_possibly_billed
    return RunSpending(
        found.usage.input_tokens,
        found.usage.output_tokens,
        sum(cost for cost in costs if cost is not None),
        costs.count(None),
        lost.tokens,
        lost.usd,
    )


def total_spending(runs: Iterable[Path]) -> RunSpending:
    """Return what models took in all of some run directories, each counted once."""
    return reduce(
        RunSpending.plus, map(spending_of, {run.resolve() for run in runs}), NOTHING_SPENT
    )


def spending_table(runs: Sequence[RunRecord]) -> ReportTable:
    """Return the table of spending by run, and in all; without rows where no model was called."""
    found = {run.label: spending_of(run.path) for run in runs}
    total = reduce(RunSpending.plus, found.values(), NOTHING_SPENT)
    shown = {label: one for label, one in found.items() if one != NOTHING_SPENT}
    if len(runs) > 1 and shown:
        shown["all runs"] = total
    rows = [
        (
            Entry(label),
            *(Entry(f"{number:,}", number) for number in (one.sent, one.written)),
            # A sum that lacks a price is no figure.
            Entry(one.price, None if one.unpriced else one.usd),
            Entry(str(one.unpriced), one.unpriced),
            Entry(f"{one.lost_tokens:,}", one.lost_tokens),
            Entry(one.lost_price, one.lost_usd),
        )
        for label, one in shown.items()
    ]
    columns = (
        Column("run", numeric=False),
        *map(Column, ("tokens sent", "tokens written", "dollars", "answers of unknown price")),
        *map(Column, ("tokens of unanswered calls", "dollars of unanswered calls")),
    )
    return ReportTable(
        "spending",
        "What models took",
        "Every answer counts, also of trials that have not ended; unanswered calls that may be "
        "billed count at their worst case. An unknown price is in no sum.",
        columns,
        tuple(rows),
    )
