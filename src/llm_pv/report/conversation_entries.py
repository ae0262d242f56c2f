"""Conversations with models as the page shows them: folded, and cut to fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_pv.report.journals import AttemptRecord
from llm_pv.report.text import count
from llm_pv.runs.conversations import (
    TITLES,
    Message,
    Place,
    RecordedConversation,
    place_of_origin,
)

LONGEST_MESSAGE = 4_000
"""The most characters of one message in a page."""


@dataclass(frozen=True)
class MessageEntry:
    """One message: its heading and as much of it as is shown."""

    heading: str
    text: str


@dataclass(frozen=True)
class ConversationEntry:
    """One conversation, or a prompt that several began with: a summary line and its messages."""

    title: str
    messages: tuple[MessageEntry, ...]


@dataclass(frozen=True)
class Conversations:
    """The conversations of a trial that a page shows."""

    entries: tuple[ConversationEntry, ...] = ()
    note: str = ""
    "What is left out, empty if nothing is."


def conversation_characters(conversations: Mapping[Place, RecordedConversation]) -> int:
    """Return how many characters `conversation_entries` shows without a limit."""
    prompts = {one.digest: one.prompt for one in conversations.values()}
    return sum(min(len(text), LONGEST_MESSAGE) for text in prompts.values()) + sum(
        _size(one) for one in conversations.values()
    )


def conversation_entries(
    conversations: Mapping[Place, RecordedConversation],
    attempts: Sequence[AttemptRecord],
    picked: int | None,
    most: int,
    run: str,
) -> Conversations:
    """Return the conversations of a trial, the selected attempt's first if not all fit."""
    made: dict[Place, list[int]] = {}
    for attempt in attempts:
        place = place_of_origin(attempt.proposer, attempt.origin)
        if place is not None and place in conversations:
            made.setdefault(place, []).append(attempt.number)
    by_need = sorted(conversations, key=lambda place: (picked not in made.get(place, ()), place))
    chosen, prompts = set(), dict[str, str]()
    for place in by_need:
        one = conversations[place]
        new = {one.digest: one.prompt} if one.prompt and one.digest not in prompts else {}
        size = _size(one) + sum(min(len(text), LONGEST_MESSAGE) for text in new.values())
        if size <= most:
            most -= size
            chosen.add(place)
            prompts |= new
    if not chosen:
        return Conversations(note=_left_out(len(conversations), 0, run))
    entries = [
        ConversationEntry("The prompt", (_entry(Message("prompt", text), run),))
        for text in prompts.values()
    ]
    entries += [
        ConversationEntry(
            _title(one, made.get(place, [])), tuple(_entry(each, run) for each in one.messages)
        )
        for place, one in sorted(conversations.items())
        if place in chosen
    ]
    return Conversations(tuple(entries), _left_out(len(conversations), len(chosen), run))


def _size(one: RecordedConversation) -> int:
    return sum(min(len(message.text), LONGEST_MESSAGE) + 100 for message in one.messages)


def _entry(message: Message, run: str) -> MessageEntry:
    took = "" if message.seconds is None else f", {message.seconds:.1f} s"
    length = len(message.text)
    cut = (
        f"; the first {LONGEST_MESSAGE:,} of {length:,} characters"
        if length > LONGEST_MESSAGE
        else ""
    )
    whole = f" (llm-pv show {run} ATTEMPT prints all)" if cut else ""
    return MessageEntry(TITLES[message.role] + took + cut + whole, message.text[:LONGEST_MESSAGE])


def _title(one: RecordedConversation, attempts: Sequence[int]) -> str:
    which = f"Attempt{'s' * (len(attempts) > 1)} {', '.join(map(str, attempts))}"
    price = "price unknown" if one.cost_usd is None else f"${one.cost_usd:.4g}"
    facts = [
        f"conversation {one.number}" + (f" with {one.proposer}" if one.proposer else ""),
        count(one.turns, "turn"),
        count(one.tool_calls, "tool call"),
        f"{one.input_tokens + one.output_tokens:,} tokens",
        price,
    ]
    return f"{which if attempts else 'No attempt'}: {', '.join(facts)}"


def _left_out(number: int, shown: int, run: str) -> str:
    if number == shown:
        return ""
    return (
        f"{shown} of {count(number, 'conversation')} shown, to keep the page small; "
        f"llm-pv show {run} ATTEMPT prints each."
    )
