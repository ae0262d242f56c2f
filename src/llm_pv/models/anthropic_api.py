"""Anthropic's messages."""

import re
from functools import partial
from typing import Any, cast

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.profiles.anthropic import ANTHROPIC_THINKING_BUDGET_MAP
from pydantic_ai.providers.anthropic import AnthropicProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint

LEAST_BUDGET = 1_024
"""The token budgets of reasoning that can be requested."""

_WITHOUT_REASONING = re.compile(r"claude-(instant|2|3-(?!7))")
"""Models without reasoning, which reject a request for it."""


def anthropic_endpoint(
    model: str, options: ModelOptions, address: str, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of Anthropic.

    With reasoning it accepts no temperature and no top_p, so an effort removes these.
    """
    provider = AnthropicProvider(
        anthropic_client=AsyncAnthropic(
            api_key=key, base_url=address, http_client=client, max_retries=0
        )
    )
    known = AnthropicModel(model, provider=provider)
    settings: dict[str, Any] = {}
    budgeted: str | None = None
    if _WITHOUT_REASONING.match(model):
        settings["thinking"] = None
    elif options.reasoning_effort is not None:
        settings |= {"temperature": None, "top_p": None}
        if not known.profile.get("anthropic_supports_adaptive_thinking"):
            budgeted = options.reasoning_effort
    return Endpoint(known, settings, per_limit=partial(_budget, budgeted))


def _budget(effort: str | None, max_output_tokens: int) -> dict[str, Any]:
    """Return the reasoning budget of an older model, which must leave room for the answer."""
    if effort is None:
        return {}
    wanted = ANTHROPIC_THINKING_BUDGET_MAP[cast("Any", effort)]
    budget = wanted if wanted < max_output_tokens else max_output_tokens * 4 // 5
    if budget < LEAST_BUDGET:
        return {"thinking": None}
    return {"anthropic_thinking": {"type": "enabled", "budget_tokens": budget}}
