"""Google's generateContent."""

import httpx2
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.prices import PriceList


def google_endpoint(
    model: str, options: ModelOptions, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of Google."""
    provider = GoogleProvider(api_key=key, base_url=options.base_url, http_client=client)
    return Endpoint(
        GoogleModel(model, provider=provider),
        {},
        PriceList(model, "google", batch=options.batch),
        frozenset({"none", "local", "hosted"}),
        lambda _prompt, _samples, seed: {"seed": seed & 0x7FFFFFFF},
    )
