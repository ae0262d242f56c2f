"""Anthropic's messages."""

import re
from typing import Any

import httpx2
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.prices import PriceList

_THOUGHTLESS = re.compile(r"claude-(instant|2|3-(?!7))")
"""Models that cannot think before they answer and refuse to be asked."""


def anthropic_endpoint(
    model: str, options: ModelOptions, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of Anthropic.

    While it thinks it takes no temperature and no top_p, so an effort turns these off.
    """
    provider = AnthropicProvider(api_key=key, base_url=options.base_url, http_client=client)
    settings: dict[str, Any] = {}
    if _THOUGHTLESS.match(model):
        settings["thinking"] = None
    elif options.reasoning_effort is not None:
        settings |= {"temperature": None, "top_p": None}
    return Endpoint(
        AnthropicModel(model, provider=provider),
        settings,
        PriceList(model, "anthropic", batch=options.batch),
        frozenset({"none", "local", "hosted"}),
    )
