"""Google's generateContent, over the Gemini API."""

import re

import httpx2
from google.genai import Client
from google.genai.types import HttpOptions
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.google import GoogleProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint

_MILLION = re.compile(r"gemini-[23](\.\d+)?-(pro|flash)(?!.*(image|live|tts|audio))")
"""Models with a context of 2**20 tokens, which the price list does not give."""


def google_endpoint(
    model: str, options: ModelOptions, address: str, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of Google."""
    # The library ignores extra options for Google, so they are set on the client.
    google = Client(
        vertexai=False,
        api_key=key,
        http_options=HttpOptions(
            base_url=address,
            httpx_async_client=client,
            timeout=int(options.timeout_seconds * 1000),
            extra_body=dict(options.extra) or None,
        ),
    )
    known = GoogleModel(model, provider=GoogleProvider(client=google))
    if known.context_window is None and _MILLION.match(model):
        profile = ModelProfile(context_window=2**20)
        known = GoogleModel(model, provider=GoogleProvider(client=google), profile=profile)
    return Endpoint(
        known,
        per_call=lambda _prompt, _samples, seed: {"seed": seed & 0x7FFFFFFF},
        extra_in_settings=False,
    )
