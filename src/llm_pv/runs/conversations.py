"""Read the conversations with models from the ``replies.jsonl`` of a run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm_pv.errors import RunError
from llm_pv.runs.cells import Key, key_of
from llm_pv.runs.journal import Record, iterate_journal
from llm_pv.runs.reading import read_prompt

Role = Literal["prompt", "thoughts", "reply", "call", "result", "answer", "error"]
"""The kind of a message: ours are ``prompt``, ``result`` and ``answer``, the others the model's."""

TITLES: Mapping[Role, str] = {
    "prompt": "prompt",
    "thoughts": "thoughts of the model",
    "reply": "the model",
    "call": "its code",
    "result": "output of its code",
    "answer": "answer to the model",
    "error": "no answer",
}

_KINDS = ("turn", "tool", "failed")
_MARKS = tuple(f'"kind": "{kind}"'.encode() for kind in _KINDS)
_CALL_KINDS = ("call", "turn", "failed")
_CALL_MARKS = tuple(f'"kind": "{kind}"'.encode() for kind in _CALL_KINDS)


@dataclass(frozen=True)
class Message:
    """One message of a conversation, or a part of it."""

    role: Role
    text: str
    seconds: float | None = None
    "How long it took, of a reply and of a result."


@dataclass
class RecordedConversation:
    """One conversation with a model, from its prompt to its last refinement."""

    proposer: str
    "The model's name in a run of several proposers, else empty."
    number: int
    "Its number in its cell, as the origin of an attempt names it."
    digest: str = ""
    prompt: str = ""
    messages: list[Message] = field(default_factory=list)
    "The messages after the prompt."
    turns: int = 0
    tool_calls: int = 0
    cost_usd: float | None = 0.0
    "The price of the answers, None if one is unknown."
    input_tokens: int = 0
    output_tokens: int = 0


Place = tuple[str, int]
"""The proposer and the number of a conversation in a cell."""


Conversations = dict[Key, dict[Place, RecordedConversation]]
"""The conversations of every cell of a run."""


def read_conversations(path: Path) -> Conversations:
    """Return the conversations of a run directory, also while it is in use.

    Raise RunError if a record is damaged.
    """
    said: dict[tuple[Key, Place], list[Record]] = {}
    for record in iterate_journal(path / "replies.jsonl", containing=_MARKS):
        try:
            place = str(record.get("proposer", "")), int(record["conversation"])
            said.setdefault((key_of(record), place), []).append(_without_what_is_not_read(record))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from error
    prompts: dict[str, str] = {}
    found: Conversations = {}
    for (key, place), records in said.items():
        try:
            one = found.setdefault(key, {})[place] = _conversation(*place, records)
            if one.digest not in prompts:
                prompts[one.digest] = read_prompt(path, one.digest)
            one.prompt = prompts[one.digest]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path, error) from error
    return found


def iterate_calls(path: Path, *, in_context: bool = False) -> Iterator[Record]:
    """Yield the records of calls of models of a run directory: tries, answers and failures.

    Raise RunError if a line is no JSON.

    Parameters
    ----------
    in_context
        Whether it is a run of in-context learning, which records answers alone.
    """
    marks = (b'"input_tokens": ',) if in_context else _CALL_MARKS
    for record in iterate_journal(path / "replies.jsonl", containing=marks):
        if in_context or record.get("kind") in _CALL_KINDS:
            yield record


def place_of_origin(proposer: str, origin: str) -> Place | None:
    """Return the place of the conversation that an attempt comes from, None for no conversation.

    Examples
    --------
    >>> place_of_origin("openai:gpt-5.4", "3.1/2"), place_of_origin("length-first", "")
    (('openai:gpt-5.4', 3), None)
    """
    number = origin.partition("/")[0].partition(".")[0]
    return (proposer, int(number)) if number.isdecimal() else None


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(
        f"{path / 'replies.jsonl'}: a record of a conversation is damaged or of another version "
        f"({error!r}); restore the file"
    )


def _without_what_is_not_read(record: Record) -> Record:
    """Return a record with the thoughts in place of the raw turn, which may be long."""
    raw = record.pop("raw", None) or {}
    return record | {"heard": list(_parts(raw))}


def _parts(raw: Mapping[str, Any]) -> Iterator[Message]:
    """Yield what a turn holds besides its text: thoughts, and calls of the vendor's own tool."""
    if raw.get("thoughts"):
        yield Message("thoughts", str(raw["thoughts"]))
    for part in raw.get("parts", ()):
        kind, content = str(part.get("part_kind")), part.get("content")
        if kind == "thinking" and content:
            yield Message("thoughts", str(content))
        elif kind.startswith("builtin-tool"):
            said = content if kind.endswith("return") else part.get("args")
            yield Message("result" if kind.endswith("return") else "call", _text(said))


def _text(value: object) -> str:
    if isinstance(value, Mapping) and len(value) == 1:
        [value] = value.values()
    return str(value)


def _conversation(proposer: str, number: int, records: Iterable[Record]) -> RecordedConversation:
    found = RecordedConversation(proposer, number)
    turns: dict[int, Record] = {}
    results: dict[tuple[int, int], Record] = {}
    failures: dict[int, Record] = {}
    for record in records:
        turn = int(record["turn"])
        if record["kind"] == "turn":
            turns[turn] = record
        elif record["kind"] == "tool":
            results[turn, int(record["call"])] = record
        else:
            failures[turn] = record
    for turn in sorted(turns.keys() | failures.keys()):
        if turn in turns:
            _add_turn(found, turns[turn], results, turn)
        else:
            found.messages.append(Message("error", str(failures[turn]["error"])))
    return found


def _add_turn(
    found: RecordedConversation,
    record: Record,
    results: Mapping[tuple[int, int], Record],
    turn: int,
) -> None:
    found.digest = str(record["prompt_digest"])
    found.turns += 1
    usage, cost = record["usage"], record["cost_usd"]
    found.input_tokens += int(usage["input_tokens"])
    found.output_tokens += int(usage["output_tokens"])
    known = cost is not None and found.cost_usd is not None
    found.cost_usd = (found.cost_usd or 0.0) + float(cost) if known else None
    if record.get("asked"):
        found.messages.append(Message("answer", str(record["asked"])))
    found.messages += record["heard"]
    if str(record["text"]).strip():
        found.messages.append(Message("reply", str(record["text"]), float(record["seconds"])))
    if record["finish"] not in ("stop", "tools"):
        found.messages.append(Message("error", f"the reply ended early: {record['finish']}"))
    for place, call in enumerate(record["calls"], start=1):
        found.tool_calls += 1
        found.messages.append(Message("call", str(call["code"] or call["problem"])))
        result = results.get((turn, place))
        if result is not None:
            seconds = float(result["seconds"])
            found.messages.append(Message("result", str(result["text"]), seconds))
