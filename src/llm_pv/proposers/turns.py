"""Model turns and tool calls as records of ``replies.jsonl``, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from llm_pv.errors import RunError
from llm_pv.models.base import ToolCall, Turn, Usage
from llm_pv.proposers.spending import Amount

Record = dict[str, Any]
"""One line: plain JSON values by name."""

TURN, TOOL = "turn", "tool"
"""The kinds of record that are written here."""


def turn_record(conversation: int, number: int, digest: str, turn: Turn) -> Record:
    """Return one answer of a model as a record.

    Parameters
    ----------
    conversation, number
        The conversation, and the place of the turn in it, both from 1.
    digest
        Of the prompt the conversation began with.
    turn
        The answer.
    """
    return {
        "kind": TURN,
        "conversation": conversation,
        "turn": number,
        "prompt_digest": digest,
        "text": turn.text,
        "calls": [asdict(call) for call in turn.calls],
        "finish": turn.finish,
        "usage": asdict(turn.usage),
        "cost_usd": turn.cost_usd,
        "seconds": round(turn.seconds, 6),
        "tries": turn.tries,
        "hosted_calls": turn.hosted_calls,
        "server_model": turn.model,
        "raw": dict(turn.raw),
    }


def tool_record(conversation: int, number: int, call: int, text: str, seconds: float) -> Record:
    """Return what one tool call came to as a record.

    Parameters
    ----------
    conversation, number
        The turn that asked for it.
    call
        Its place among the calls of that turn, from 1.
    text
        What the model is shown.
    seconds
        Wall-clock seconds the code ran.
    """
    return {
        "kind": TOOL,
        "conversation": conversation,
        "turn": number,
        "call": call,
        "text": text,
        "seconds": round(seconds, 6),
    }


class Recorded:
    """What an earlier part of a run has on disk of one cell's conversations.

    Parameters
    ----------
    records
        Records of both kinds.

    Raises
    ------
    RunError
        If a record is damaged.

    Examples
    --------
    >>> recorded = Recorded([turn_record(1, 1, "d", Turn("hello")), tool_record(1, 1, 1, "7", 0)])
    >>> recorded.turn(1, 1).text, recorded.tool(1, 1, 1), recorded.turn(2, 1)
    ('hello', ('7', 0.0), None)
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._turns: dict[tuple[int, int], Turn] = {}
        self._tools: dict[tuple[int, int, int], tuple[str, float]] = {}
        for record in records:
            try:
                place = int(record["conversation"]), int(record["turn"])
                if record["kind"] == TURN:
                    self._turns[place] = _turn_of(record)
                else:
                    answer = str(record["text"]), float(record["seconds"])
                    self._tools[*place, int(record["call"])] = answer
            except (KeyError, TypeError, ValueError) as error:
                raise RunError(
                    f"replies.jsonl: a record of conversation {record.get('conversation')!r} is "
                    f"damaged or of another version ({error!r}); restore the file or start a new "
                    "run"
                ) from error

    def turn(self, conversation: int, number: int) -> Turn | None:
        """Return a recorded turn, None if there is none."""
        return self._turns.get((conversation, number))

    def tool(self, conversation: int, number: int, call: int) -> tuple[str, float] | None:
        """Return what a recorded tool call gave and its seconds, None if there is none."""
        return self._tools.get((conversation, number, call))

    def add(self, conversation: int, number: int, turn: Turn) -> None:
        """Have a turn that was written meanwhile."""
        self._turns[conversation, number] = turn


def amounts(records: Iterable[Mapping[str, Any]]) -> list[Amount]:
    """Return what the turns among some records came to."""
    return [
        Amount.of(Usage(**record["usage"]), record["cost_usd"])
        for record in records
        if record.get("kind") == TURN
    ]


def _turn_of(record: Mapping[str, Any]) -> Turn:
    return Turn(
        text=record["text"],
        calls=tuple(ToolCall(**call) for call in record["calls"]),
        finish=record["finish"],
        usage=Usage(**record["usage"]),
        cost_usd=record["cost_usd"],
        seconds=record["seconds"],
        tries=record["tries"],
        hosted_calls=record["hosted_calls"],
        model=record["server_model"],
        raw=record["raw"],
    )
