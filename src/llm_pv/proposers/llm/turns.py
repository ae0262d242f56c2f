"""Convert model turns and tool calls to records of ``replies.jsonl``, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from llm_pv.errors import BudgetError, ModelError, RunError
from llm_pv.models.base import NO_USAGE, ToolCall, Turn, Usage, total_cost
from llm_pv.proposers.spending import Amount, Spending

Record = dict[str, Any]
"""One line: plain JSON values by name."""

TURN, TOOL, CALL, FAILED, SHOWN = "turn", "tool", "call", "failed", "shown"
ON_THE_WAY = frozenset({TURN, TOOL, CALL, FAILED, SHOWN})
"""The kinds of record of this module: those that lead to a reply."""

_STORED_AS = {"possibly_billed": "doubtful_tries", "model": "server_model"}
"""The fields of a `Turn` whose names in a record are others."""
_STORED = tuple(each.name for each in fields(Turn) if each.name != "notices")


def _record(kind: str, conversation: int, number: int, **values: Any) -> Record:
    """Return a record of a turn; conversations and turns are numbered from 1."""
    return {"kind": kind, "conversation": conversation, "turn": number, **values}


def call_record(conversation: int, number: int, worst: Amount, again: bool = False) -> Record:
    """Return the record of a try about to be made, with its worst case.

    Parameters
    ----------
    again
        Whether an earlier try of the same call may be billed too.
    """
    return _record(CALL, conversation, number, worst=asdict(worst), again=again)


def failed_record(
    conversation: int, number: int, error: ModelError | BudgetError, worst: Amount, tries: int
) -> Record:
    """Return the record of a call that failed finally, after so many tries that may be billed."""
    body, most = getattr(error, "body", ""), asdict(worst)
    told = {"error": str(error), "body": body, "worst": most, "doubtful_tries": tries}
    return _record(FAILED, conversation, number, **told)


def turn_record(
    conversation: int,
    number: int,
    digest: str,
    turn: Turn,
    worst: Amount | None = None,
    *,
    exceeded: bool = False,
    asked: str = "",
) -> Record:
    """Return one answer of a model as a record.

    Parameters
    ----------
    digest
        Of the prompt the conversation began with.
    worst
        The worst-case amount of a try, for those that failed and may be billed; None if unknown.
    exceeded
        Whether the answer took more than this worst case, by the server's own report.
    asked
        The message that it answers, if that is neither the prompt nor the output of a tool.
    """
    values = asdict(turn)
    return _record(
        TURN,
        conversation,
        number,
        prompt_digest=digest,
        asked=asked,
        worst=asdict(worst) if worst else None,
        exceeded=exceeded,
        **{_STORED_AS.get(name, name): values[name] for name in _STORED},
    ) | {"calls": list(values["calls"]), "seconds": round(turn.seconds, 6)}


def tool_record(conversation: int, number: int, call: int, text: str, seconds: float) -> Record:
    """Return the result of a turn's tool call as a record; the calls are numbered from 1."""
    return _record(TOOL, conversation, number, call=call, text=text, seconds=round(seconds, 6))


def shown_record(conversation: int, digest: str, prompt_digest: str, text: str) -> Record:
    """Return the text that a conversation is shown of earlier ones as a record.

    Parameters
    ----------
    digest, prompt_digest
        Of the prompt without the text, and with it.
    """
    digests = {"base_digest": digest, "prompt_digest": prompt_digest}
    return _record(SHOWN, conversation, 1, **digests, text=text)


class Recorded:
    """The recorded conversations of one cell from an earlier part of a run.

    Raise RunError if a record is damaged, or belongs to another prompt.

    Parameters
    ----------
    digest
        Of the prompt the conversations begin with.

    Attributes
    ----------
    turns
        The turns by conversation and number; those written since are added.
    tools
        The output of each tool call and its seconds, by conversation, turn and position.
    shown
        What each conversation was shown of earlier ones.

    Examples
    --------
    >>> said = [turn_record(1, 1, "d", Turn("hello")), tool_record(1, 1, 1, "7", 0)]
    >>> recorded = Recorded(said, "d")
    >>> recorded.turns[1, 1].text, recorded.tools[1, 1, 1], (2, 1) in recorded.turns
    ('hello', ('7', 0.0), False)
    """

    def __init__(self, records: Iterable[Mapping[str, Any]], digest: str) -> None:
        self.turns: dict[tuple[int, int], Turn] = {}
        self.tools: dict[tuple[int, int, int], tuple[str, float]] = {}
        self.shown: dict[int, str] = {}
        digests = {digest}
        for record in records:
            try:
                place = int(record["conversation"]), int(record["turn"])
                if record["kind"] == SHOWN and record["base_digest"] == digest:
                    digests.add(record["prompt_digest"])
                    self.shown[place[0]] = str(record["text"])
                if record["kind"] == TURN:
                    self.turns[place] = _turn_of(record)
                    if record["prompt_digest"] not in digests:
                        raise RunError(
                            "the run began with another prompt: the model's context, or what "
                            "fits into it, is not what it was; give --context-tokens as it was "
                            "then, or another --out"
                        )
                elif record["kind"] == TOOL:
                    answer = str(record["text"]), float(record["seconds"])
                    self.tools[*place, int(record["call"])] = answer
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(record, error) from error


def amounts(records: Iterable[Mapping[str, Any]]) -> list[Amount]:
    """Return the spending of recorded calls.

    A call that was running when the run was killed, and a failed try that may be billed, count at
    their worst case.

    Raise RunError if a record is damaged.
    """
    spending = spent(records)
    return [*spending.paid, *spending.possibly_billed]


def spent(records: Iterable[Mapping[str, Any]]) -> Spending:
    """Return the spending of recorded calls, by cell.

    Raise RunError if a record is damaged.
    """
    usage = NO_USAGE
    costs: list[float | None] = []
    paid: list[Amount] = []
    possibly_billed: list[Amount] = []
    under_way: dict[tuple[Any, ...], list[tuple[bool, Amount]]] = {}
    for record in records:
        try:
            place = tuple(record.get(name) for name in _PLACE)
            if record["kind"] == CALL:
                call = bool(record.get("again")), Amount(**record["worst"])
                under_way.setdefault(place, []).append(call)
            if record["kind"] == TURN:
                took, cost = Usage(**record["usage"]), record["cost_usd"]
                usage += took
                costs.append(cost)
                most = record["worst"]["usd"]
                paid.append(Amount.of(took, most if cost is None else cost))
            if record["kind"] in {TURN, FAILED}:
                possibly_billed += [Amount(**record["worst"])] * record["doubtful_tries"]
                tries = under_way.get(place)
                # Only the last call and its tries have ended; a kill cut off any earlier ones.
                while tries and tries.pop()[0]:
                    pass
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(record, error) from error
    possibly_billed += [worst for tries in under_way.values() for _, worst in tries]
    return Spending(usage, total_cost(costs), tuple(paid), tuple(possibly_billed))


_PLACE = ("function", "length", "sampler", "trial", "proposer", "conversation", "turn")


def _damaged(record: Mapping[str, Any], error: Exception) -> RunError:
    return RunError(
        f"replies.jsonl: a record of conversation {record.get('conversation')!r} is damaged or of "
        f"another version ({error!r}); restore the file or start a new run"
    )


def _turn_of(record: Mapping[str, Any]) -> Turn:
    stored = {"redacted": False, **record}
    values = {name: stored[_STORED_AS.get(name, name)] for name in _STORED}
    calls = tuple(ToolCall(**call) for call in values["calls"])
    return Turn(**values | {"calls": calls, "usage": Usage(**values["usage"])})
