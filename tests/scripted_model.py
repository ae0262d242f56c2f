"""A language model in memory that follows a script and counts what it is asked."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llm_pv.models.base import (
    Message,
    Preview,
    Request,
    ToolCall,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
)
from llm_pv.models.language_model import LanguageModel

Script = Callable[[Sequence[Message], int], Turn]
"""The next turn, given the conversation and the seed."""


def says(*turns: Turn | str) -> Script:
    """Return a script that gives a conversation's n-th turn, whatever was said."""

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        turn = turns[sum(isinstance(message, Turn) for message in conversation)]
        return Turn(turn, usage=Usage(100, 10), cost_usd=0.5) if isinstance(turn, str) else turn

    return script


def wants(code: str | None, problem: str = "") -> Turn:
    """Return a turn that calls the tool."""
    return Turn(
        "",
        calls=(ToolCall("call", code, problem=problem),),
        finish="tools",
        usage=Usage(100, 10),
        cost_usd=0.5,
    )


@dataclass
class ScriptedModel(LanguageModel):
    """Answers by a script; prices are 1 dollar a thousand tokens unless none is known."""

    script: Script
    name: str = "scripted:model"
    destination: str | None = "api.example"
    tool_places: frozenset[ToolPlace] = frozenset({"none", "local"})
    default_tool: ToolPlace = "none"
    context_tokens: int | None = None
    max_output_tokens: int = 1_000
    most_samples: int = 1
    priced: bool = True
    asked: list[tuple[Message, ...]] = field(default_factory=list)
    offers: list[ToolOffer | None] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    limits: list[int | None] = field(default_factory=list)
    most_at_once: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self.identity = self.name
        self._lock = threading.Lock()
        self._at_once = 0

    def complete(self, request: Request) -> list[Turn]:
        conversation = request.conversation
        with self._lock:
            self.asked.append(tuple(conversation))
            self.offers.append(request.tool)
            self.seeds.append(request.seed)
            self.limits.append(request.max_output_tokens)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return [
                self.script(conversation, request.seed + number)
                for number in range(request.samples)
            ]
        finally:
            with self._lock:
                self._at_once -= 1

    def preview(self, request: Request) -> Preview:
        body = {"messages": len(request.conversation)}
        return Preview("POST", "http://api.example/v1", body, 100)

    def count_tokens(self, text: str) -> int:
        return len(text)

    def price(self, usage: Usage) -> float | None:
        return usage.total_tokens / 1_000 if self.priced else None

    def close(self) -> None:
        self.closed = True
