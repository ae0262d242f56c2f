"""Determine the answer of a conversation, or why there is none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_pv.models.base import Turn
from llm_pv.programs.entry_points import DEFINES, WORD_BEGINS
from llm_pv.programs.replies import complete_part

_PROGRAM = re.compile(rf"{DEFINES.pattern}|{WORD_BEGINS}f\s*=[^=]")


@dataclass(frozen=True)
class ReplyEnding:
    """The result of a conversation."""

    text: str
    "The text from which the program is read."
    failure: str
    redacted: bool
    "Whether it contained fragments of the API key."


def ending_of(turns: Sequence[Turn], warned: str = "") -> ReplyEnding:
    r"""Return the result of a completed conversation, given its turns.

    The last turn counts. If it holds no program, was cut off or refused, or requested a tool that
    was used up, its complete part counts, else the latest program of an earlier turn, because that
    was paid for.

    Parameters
    ----------
    warned
        What was used up, if the last turn requested the tool after a notice of that.

    Examples
    --------
    >>> ending_of([Turn("f = len")]).text
    'f = len'
    >>> ending_of([Turn("```\nf = len\n```", finish="tools"), Turn("")]).text
    '```\nf = len\n```'
    """
    last = turns[-1]
    failure = f"still asked for the tool after {warned}" if warned else _failure(last)
    if not failure and _PROGRAM.search(last.text):
        return ReplyEnding(last.text, "", last.redacted)
    for turn in reversed(turns):
        is_whole = turn.finish in ("stop", "tools")
        said = turn.text if is_whole else complete_part(turn.text)
        if _PROGRAM.search(said):
            return ReplyEnding(said, "", turn.redacted)
    codes = [call.code for call in last.calls if call.code and _PROGRAM.search(call.code)]
    if warned and codes:
        return ReplyEnding(codes[-1], "", redacted=False)
    return ReplyEnding(last.text, failure, last.redacted)


def holds_program(turns: Sequence[Turn]) -> bool:
    """Return whether the turns of an unfinished conversation hold a program."""
    return any(_PROGRAM.search(turn.text) for turn in turns)


def _failure(turn: Turn) -> str:
    """Return the problem of a last turn, an empty string if there is none."""
    if turn.finish == "length":
        return f"the reply was cut off after {turn.usage.output_tokens:,} tokens"
    if turn.finish == "refused":
        return "the model refused to answer"
    if turn.finish == "error":
        return "the reply broke off"
    return "" if turn.text.strip() else "the reply was empty"
