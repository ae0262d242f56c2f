"""Recognise requests that a server rejects for a missing capability, and what it can do instead.

The patterns match the common wording of OpenAI, Anthropic, vLLM, SGLang, TGI, llama.cpp, Ollama
and LiteLLM.
"""

import re
from dataclasses import dataclass
from typing import Literal

from llm_pv.errors import ModelError

LIMIT_NAMES = ("max_tokens", "max_completion_tokens")

_TOOLS = re.compile(
    r"tool.?(choice|call|use|s\b|\b)[^.]{0,60}(not.{0,12}(support|enabl|available|allow)|unsupported)"
    r"|(not|n't).{0,12}support.{0,20}(tool|function)"
    r"|enable-auto-tool-choice|tool-call-parser|requires --jinja"
    r"|no endpoints found that support tool",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"unsupported|not supported|unrecognized|unknown|unexpected|not permitted|"
    r"extra inputs|deprecated|instead|use ['\"`]?max_",
    re.IGNORECASE,
)
_STREAM = re.compile(
    r"\bstream\b[^.]{0,40}(must|require|should be|has to be|true|enable)"
    r"|(only|must|require)[^.]{0,40}\bstream"
    r"|non.?stream\w*[^.]{0,40}(not|un)",
    re.IGNORECASE,
)
_NUMBER = r"(\d[\d,_]*)"
_WINDOW = re.compile(
    rf"(?:context (?:length|window|size)|n_ctx|model length|max_model_len|max_total_tokens|"
    rf"must be (?:<=|less than or equal to))\D{{0,40}}{_NUMBER}",
    re.IGNORECASE,
)
_SENT = (
    re.compile(
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|input|prompt)",
        re.IGNORECASE,
    ),
    re.compile(rf"given: {_NUMBER} `?inputs", re.IGNORECASE),
    re.compile(
        rf"(?:prompt|request|input)[^.\d]{{0,30}}?(?:contains|has)(?: at least)?\s*{_NUMBER}"
        r"(?: input)? tokens?",
        re.IGNORECASE,
    ),
)
_MOST = re.compile(
    rf"(?:at most|maximum of|less than or equal to|<=|must be (?:at most|in)\D{{0,12}}|"
    rf">)\s*{_NUMBER}[^.]{{0,40}}(?:completion|output|token)",
    re.IGNORECASE,
)


class ToolRefusedError(ModelError):
    """Raised if a server offers no tools."""


@dataclass(frozen=True)
class Refusal:
    """A capability that a server lacks."""

    kind: Literal["tools", "choice", "stream", "name", "limit"]
    """``"tools"``; ``"choice"``, that a tool may not be called; ``"stream"``, that the reply come
    at once; ``"name"`` of the limit on output tokens; or ``"limit"``, which is too high."""
    limit: int | None = None
    "Output tokens that fit; None if unknown."


def refusal_of(
    said: str,
    *,
    asked: int,
    sent: int,
    limit_name: str,
    tools: bool,
    forbids: bool = False,
    streams: bool = False,
) -> Refusal | None:
    """Return the refusal in a server's message, None if it is of another kind.

    Parameters
    ----------
    sent
        An upper estimate of the tokens sent, for a server that does not report them.
    limit_name
        The name of the limit on output tokens in the request.
    forbids
        Whether it said that the tool may not be called.

    Examples
    --------
    >>> said = "This model's maximum context length is 8192 tokens. However, you requested 21000 "
    >>> said += "tokens (1000 in the messages, 20000 in the completion)."
    >>> refusal_of(said, asked=20_000, sent=3_000, limit_name="max_tokens", tools=False)
    Refusal(kind='limit', limit=7176)
    """
    if not streams and _STREAM.search(said):
        return Refusal("stream")
    if forbids and "tool_choice" in said:
        return Refusal("choice")
    if tools and _TOOLS.search(said):
        return Refusal("tools")
    other = next(name for name in LIMIT_NAMES if name != limit_name)
    about_name = re.search(rf"\b{limit_name}\b", said)
    if about_name and _REFUSED.search(said) and (other in said or not re.search(r"\d{3}", said)):
        return Refusal("name")
    if (found := _WINDOW.search(said)) is not None:
        reported = next((counted[1] for form in _SENT if (counted := form.search(said))), None)
        # Sixteen tokens that a template may add to what was counted.
        fits = _number(found[1]) - (sent if reported is None else _number(reported)) - 16
        return Refusal("limit", fits) if fits < asked else None
    if "token" in said and (found := _MOST.search(said)) and 0 < _number(found[1]) < asked:
        return Refusal("limit", _number(found[1]))
    return None


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))
