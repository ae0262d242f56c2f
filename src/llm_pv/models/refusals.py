"""Recognise requests that a server rejects for a missing capability, and what it can do instead.

The patterns match the common wording of OpenAI, Anthropic, vLLM, SGLang, TGI, llama.cpp, Ollama
and LiteLLM.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from llm_pv.errors import ModelError

LIMIT_NAMES = ("max_tokens", "max_completion_tokens")

_NOT = (
    r"(?:unsupported|unrecognized|unknown|unexpected|forbidden|extra inputs|"
    r"(?:not|n't).{0,12}(?:support|enabl|available|allow|permit))"
)


def _refused(what: str) -> str:
    """Return a pattern of sentences that refuse something."""
    return rf"{_NOT}[^.]{{0,60}}?{what}|{what}[^.]{{0,60}}?{_NOT}"


_TOOLS = re.compile(
    _refused(r"\b(?:tools|functions|(?:tool|function).?(?:choice|calls?|calling|use))\b")
    + r"|enable-auto-tool-choice|tool-call-parser|requires --jinja"
    r"|no endpoints found that support tool",
    re.IGNORECASE,
)
_SEED = re.compile(_refused(r"\bseed\b"), re.IGNORECASE)
_REFUSED = re.compile(rf"{_NOT}|deprecated|instead|use ['\"`]?max_", re.IGNORECASE)
_STREAM = re.compile(
    r"\bstream\b[^.]{0,40}(must|require|should be|has to be|true|enable)"
    r"|(only|must|require)[^.]{0,40}\bstream"
    r"|non.?stream\w*[^.]{0,40}(not|un)",
    re.IGNORECASE,
)
_NUMBER = r"(\d[\d,_]*)"
_WINDOW = (
    re.compile(
        rf"(?:context (?:length|window|size)|n_ctx|model length|max_model_len|max_total_tokens|"
        rf"must be (?:<=|less than or equal to))\D{{0,40}}{_NUMBER}",
        re.IGNORECASE,
    ),
    re.compile(rf"\d \+ [\d,]+ > {_NUMBER}"),
)
_SENT = (
    re.compile(rf"{_NUMBER} \+ [\d,]+ > \d"),
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
_LIMIT = (
    re.compile(
        # Not of a sum of it and the input.
        r"(?<!\+ )(?<!\+ `)(?<!and )(?<!and `)"
        r"\bmax_(?:new_|completion_|output_)?tokens\b[^+]{0,80}?"
        r"(?:≤|<=|less than or equal to|at most|maximum of|\[\s*\d+\s*,|between \d+ and)"
        rf"\W{{0,3}}{_NUMBER}",
        re.IGNORECASE,
    ),
    re.compile(rf"{_NUMBER}\W{{1,4}}the maximum value for", re.IGNORECASE),
)
_MOST = (
    re.compile(
        rf"(?:at most|maximum of|less than or equal to|<=|must be (?:at most|in)\D{{0,12}}|"
        rf">)\s*{_NUMBER}[^.]{{0,40}}(?:completion|output|token)",
        re.IGNORECASE,
    ),
)


class ToolRefusedError(ModelError):
    """Raised if a server offers no tools."""


@dataclass(frozen=True)
class Refusal:
    """A capability that a server lacks."""

    kind: Literal["tools", "choice", "stream", "seed", "name", "limit"]
    """``"tools"``; ``"choice"``, that a tool may not be called; ``"stream"``, that the reply come
    at once; ``"seed"``; ``"name"`` of the limit on output tokens; or ``"limit"``, which is too
    high."""
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
    seeded: bool = False,
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
    streams
        Whether it asked for a stream already.
    seeded
        Whether it has a seed.

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
    if seeded and _SEED.search(said):
        return Refusal("seed")
    if 0 < (most := _first(_LIMIT, said) or 0) < asked:
        return Refusal("limit", most)
    if (window := _first(_WINDOW, said)) is not None:
        reported = _first(_SENT, said)
        # Sixteen tokens that a template may add to what was counted.
        fits = window - (sent if reported is None else reported) - 16
        return Refusal("limit", fits) if fits < asked else None
    if "token" in said and 0 < (most := _first(_MOST, said) or 0) < asked:
        return Refusal("limit", most)
    return None


def _first(forms: Iterable[re.Pattern[str]], said: str) -> int | None:
    """Return the number in the first form that a message has."""
    found = next((found for form in forms if (found := form.search(said))), None)
    return None if found is None else int(found[1].replace(",", "").replace("_", ""))
