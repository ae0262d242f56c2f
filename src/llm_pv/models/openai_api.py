"""OpenAI, over responses or chat completions, and servers compatible with the latter."""

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAIError
from pydantic_ai import ModelResponse
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from llm_pv.models.base import ModelOptions
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.vendor_messages import ALTERNATIVES

MOST_CHOICES = 128
"""The most alternatives that OpenAI and compatible servers return for one request."""

_VERBOSE = re.compile(r"gpt-([5-9]|\d\d)(?!.*(chat|codex))")


class ChatModel(OpenAIChatModel):
    """Chat completions with all choices of a reply; the library returns only the first."""

    def _process_response(self, response: Any, **kwargs: Any) -> ModelResponse:
        choices = getattr(response, "choices", None)
        if not choices or len(choices) < 2:
            return super()._process_response(response, **kwargs)
        read = [
            super(ChatModel, self)._process_response(
                response.model_copy(update={"choices": [choice]}), **kwargs
            )
            for choice in choices
        ]
        first, *rest = read
        first.metadata = {ALTERNATIVES: rest}
        return first


def openai_endpoint(
    model: str, options: ModelOptions, address: str, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of OpenAI itself.

    With reasoning it accepts no temperature and no top_p.
    """
    provider = _provider(address, key, client)
    settings: dict[str, Any] = {}
    if options.verbosity is not None and _VERBOSE.match(model.lower().removeprefix("ft:")):
        settings["openai_text_verbosity"] = options.verbosity
    if _reasons(provider.model_profile(model), options):
        settings |= {"temperature": None, "top_p": None}
    if options.api == "chat":
        return Endpoint(
            ChatModel(model, provider=provider), settings, _chat_settings, most_samples=MOST_CHOICES
        )
    return Endpoint(
        OpenAIResponsesModel(model, provider=provider),
        settings,
        lambda prompt, _samples, _seed: {"openai_prompt_cache_key": cache_key(prompt)},
    )


def compatible_endpoint(
    model: str, options: ModelOptions, address: str, key: str, client: httpx2.AsyncClient
) -> Endpoint:
    """Return a model of a server compatible with OpenAI.

    Only settings that every such server knows are sent: ``max_tokens``, whose newer name some
    ignore in silence; no cache key, no verbosity; an effort only for models known to have one.
    """
    provider = _provider(address, key, client)
    ask = partial(_context, model, provider)
    if options.api == "responses":
        return Endpoint(
            OpenAIResponsesModel(model, provider=provider), ask_context=ask, limit_name="max_tokens"
        )
    return Endpoint(
        ChatModel(
            model,
            provider=provider,
            profile=OpenAIModelProfile(
                openai_chat_supports_max_completion_tokens=False,
                openai_supports_strict_tool_definition=False,
            ),
        ),
        per_call=lambda _prompt, samples, seed: {"seed": seed & 0x7FFFFFFF} | _choices(samples),
        most_samples=MOST_CHOICES,
        ask_context=ask,
        limit_name="max_tokens",
    )


async def _context(model: str, provider: OpenAIProvider) -> int | None:
    """Return a model's context window if the server reports it, as vLLM does."""
    client = provider.client.with_options(timeout=5.0)
    try:
        listed = await client.models.list()
        for entry in listed.data:
            length = (entry.model_extra or {}).get("max_model_len")
            if entry.id == model and isinstance(length, int):
                return length
    except (OpenAIError, ValueError, AttributeError, TypeError):
        return None
    return None


def _reasons(known: ModelProfile | None, options: ModelOptions) -> bool:
    profile: Mapping[str, Any] = known or {}
    return bool(profile.get("openai_supports_reasoning")) and (
        options.reasoning_effort is not None
        or bool(profile.get("thinking_enabled_by_default"))
        or not profile.get("openai_supports_reasoning_effort_none")
    )


def _provider(address: str, key: str, client: httpx2.AsyncClient) -> OpenAIProvider:
    return OpenAIProvider(
        openai_client=AsyncOpenAI(api_key=key, base_url=address, http_client=client, max_retries=0)
    )


def cache_key(prompt: str) -> str:
    """Return the setting that routes every attempt at a prompt to the machine that cached it."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _chat_settings(prompt: str, samples: int, _seed: int) -> Mapping[str, Any]:
    return {"openai_prompt_cache_key": cache_key(prompt)} | _choices(samples)


def _choices(samples: int) -> dict[str, Any]:
    return {"extra_body": {"n": samples}} if samples > 1 else {}
