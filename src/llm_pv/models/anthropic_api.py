"""Anthropic's messages."""

import httpx2
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.prices import PriceList


def anthropic_endpoint(
    model: str, options: ModelOptions, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of Anthropic."""
    provider = AnthropicProvider(api_key=key, base_url=options.base_url, http_client=client)
    return Endpoint(
        AnthropicModel(model, provider=provider),
        {},
        PriceList(model, "anthropic", batch=options.batch),
        frozenset({"none", "local", "hosted"}),
    )
