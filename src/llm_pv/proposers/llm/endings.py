"""Which words of a conversation are its answer, and why there may be none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_pv.models.base import Turn
from llm_pv.programs.replies import complete_part

_PROGRAM = re.compile(r"\bdef\b|\blambda\b|\bf\s*=[^=]")


@dataclass(frozen=True)
class Ending:
    """What a conversation came to.

    Parameters
    ----------
    text
        The words that are read for a program.
    failure
        Why they do not count; empty if nothing was wrong.
    redacted
        Whether pieces of the API key stood in them.
    """

    text: str
    failure: str
    redacted: bool


def ending_of(turns: Sequence[Turn], warned: str = "") -> Ending:
    r"""Return what the turns of a conversation, the last of them its end, came to.

    The last turn counts. Where it holds no program, was cut off or refused, or asked for a tool
    that was used up, what is complete in it counts, and else the latest program said before: it
    was paid for.

    Parameters
    ----------
    turns
        What the model said, tool calls included; at least one turn.
    warned
        What was used up, where the last turn asked for the tool although that had been said.

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
        return Ending(last.text, "", last.redacted)
    for turn in reversed(turns):
        is_whole = turn.finish in ("stop", "tools")
        said = turn.text if is_whole else complete_part(turn.text)
        if _PROGRAM.search(said):
            return Ending(said, "", turn.redacted)
    codes = [call.code for call in last.calls if call.code and _PROGRAM.search(call.code)]
    if warned and codes:
        return Ending(codes[-1], "", redacted=False)
    return Ending(last.text, failure, last.redacted)


def holds_program(turns: Sequence[Turn]) -> bool:
    """Tell whether a program was said in turns that did not lead to an end."""
    return any(_PROGRAM.search(turn.text) for turn in turns)


def _failure(turn: Turn) -> str:
    """Return what a last turn suffered from, an empty text if nothing."""
    if turn.finish == "length":
        return f"the reply was cut off after {turn.usage.output_tokens:,} tokens"
    if turn.finish == "refused":
        return "the model refused to answer"
    if turn.finish == "error":
        return "the reply broke off"
    return "" if turn.text.strip() else "the reply was empty"
