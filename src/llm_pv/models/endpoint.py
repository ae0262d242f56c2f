"""The interface of a vendor's file: the model to call, and the settings of its calls."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_ai.models import Model

CallSettings: TypeAlias = Callable[[str, int, int], Mapping[str, Any]]
"""The settings of one call, given the first message, the number of samples and the seed."""


@dataclass(frozen=True)
class Endpoint:
    """A model behind an API."""

    model: Model[Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    per_call: CallSettings = lambda _prompt, _samples, _seed: {}
    "Settings that differ from call to call."
    per_limit: Callable[[int], Mapping[str, Any]] = lambda _tokens: {}
    "Settings that depend on how many tokens a call may write."
    most_samples: int = 1
    "Alternatives one call can return."
    ask_context: Callable[[], Coroutine[Any, Any, int | None]] | None = None
    "Requests the context window from the server; None if the vendor has no such request."
    limit_name: str = "max_completion_tokens"
    "How requests name the limit on output tokens, if its interface has two names for it."
    extra_in_settings: bool = True
    "Whether further options are passed with the settings of each call, not with the client."
