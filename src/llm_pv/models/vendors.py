"""Models behind an API: OpenAI, Anthropic, Google, and servers compatible with OpenAI."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_pv.errors import ConfigurationError, CredentialError, MissingExtraError
from llm_pv.models.base import ModelOptions
from llm_pv.models.credentials import Redactor, find_key

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from llm_pv.models.batch_queue import BatchTiming
    from llm_pv.models.endpoint import Endpoint
    from llm_pv.models.retrying import Backoff
    from llm_pv.models.vendor_model import VendorModel

KEYS = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openai-compatible": ("OPENAI_COMPATIBLE_API_KEY",),
}
"""The environment variables of each provider's key. A vendor's key is never sent to a server that
the user names."""


_LIMIT = "give --max-output-tokens"
_ROWS = "it is the conversation itself"
_SAMPLES = "give --samples-per-call"
_TOOLS = "give --tool"

OWN_OPTIONS = {
    "model": "give --model",
    "messages": _ROWS,
    "input": _ROWS,
    "contents": _ROWS,
    "n": _SAMPLES,
    "best_of": _SAMPLES,
    "max_tokens": _LIMIT,
    "max_output_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "stream": "a server that only streams is asked for a stream by itself",
    "tools": _TOOLS,
    "tool_choice": _TOOLS,
}
"""Settings that decide cost or content have options of their own, on which budgets rely."""

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")

VERBOSITIES = ("low", "medium", "high")


def make_vendor_model(
    provider: str,
    model: str,
    options: ModelOptions,
    *,
    backoff: "Backoff | None" = None,
    timing: "BatchTiming | None" = None,
) -> "VendorModel":
    """Return a model behind an API, ready to be called.

    Raise ConfigurationError if an option does not fit the provider. Raise CredentialError if a key
    is needed and there is none. Raise MissingExtraError if the extra ``llm`` is not installed.
    """
    _check(provider, model, options)
    variables = KEYS[provider]
    key = find_key(variables)
    if key is None and provider != "openai-compatible" and not options.offline:
        named = " or ".join(variables)
        raise CredentialError(
            f"{provider}:{model} needs a key: set {named} in the environment or in a .env file here"
        )
    try:
        # Importing takes three seconds, so it happens only when a model is called.
        return _connected(provider, model, options, key, backoff=backoff, timing=timing)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "llm_pv":
            raise
        package = _PACKAGES.get(missing, missing or "pydantic-ai-slim")
        raise MissingExtraError(package, "llm", f"call {provider}:{model}") from error
    except MissingExtraError:
        raise
    except ImportError as error:
        raise ConfigurationError(
            f"{provider}:{model} cannot be called: {error}; the installed versions do not go "
            "together: pip install --upgrade 'llm-pv[llm]'"
        ) from error


_PACKAGES = {
    "pydantic_ai": "pydantic-ai-slim", "httpx2": "pydantic-ai-slim", "genai_prices": "genai-prices",
    "google": "google-genai",
}  # fmt: skip
"""The package of a module, if its name differs."""


def _connected(
    provider: str,
    model: str,
    options: ModelOptions,
    key: str | None,
    *,
    backoff: "Backoff | None",
    timing: "BatchTiming | None",
) -> "VendorModel":
    from llm_pv.models.connection import Connection
    from llm_pv.models.proxies import check_connection
    from llm_pv.models.retrying import Backoff
    from llm_pv.models.vendor_model import VendorModel

    connection = Connection(options.timeout_seconds)
    try:
        endpoint = _endpoint(provider, model, options, key, connection.client)
        if options.prices is not None:
            endpoint = replace(endpoint, prices=replace(endpoint.prices, own=options.prices))
        if not options.offline:
            check_connection(endpoint.model.base_url or "")
        return VendorModel(
            f"{provider}:{model}" + (f"@{options.base_url}" if options.is_addressed else ""),
            options,
            endpoint,
            connection,
            redact=Redactor(key),
            variable=KEYS[provider][0],
            backoff=backoff or Backoff(),
            timing=timing,
            reopen=partial(make_vendor_model, provider, model, backoff=backoff, timing=timing),
        )
    except BaseException:
        connection.close()
        raise


def _endpoint(
    provider: str, model: str, options: ModelOptions, key: str | None, client: "AsyncClient"
) -> "Endpoint":
    """Return a vendor's model; each vendor's client is imported only if it is used."""
    if provider == "openai-compatible":
        from llm_pv.models.openai_api import compatible_endpoint

        return compatible_endpoint(model, options, key, client)
    # Without a key nothing is sent, but the clients require some value.
    key = key or "offline"
    if provider == "openai":
        from llm_pv.models.openai_api import openai_endpoint

        return openai_endpoint(model, options, key, client)
    if provider == "anthropic":
        from llm_pv.models.anthropic_api import anthropic_endpoint

        return anthropic_endpoint(model, options, key, client)
    from llm_pv.models.google_api import google_endpoint

    return google_endpoint(model, options, key, client)


def _check(provider: str, model: str, options: ModelOptions) -> None:
    if provider == "openai-compatible" and not options.base_url:
        raise ConfigurationError(
            f"{provider}:{model} needs --base-url, such as http://localhost:8000/v1"
        )
    if options.base_url:
        address = urlsplit(options.base_url)
        if address.username or address.password or address.query:
            raise ConfigurationError(
                "--base-url must hold no user, password or query, which would be recorded; "
                f"put the key into {KEYS[provider][0]}"
            )
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigurationError(
                f"--base-url {options.base_url!r} is no address such as http://localhost:8000/v1"
            )
    _check_extra(options.extra)
    for name, value, values in (
        ("--reasoning-effort", options.reasoning_effort, EFFORTS),
        ("--verbosity", options.verbosity, VERBOSITIES),
    ):
        if value is not None and value not in values:
            raise ConfigurationError(f"{name} {value!r} is none of {', '.join(values)}")
    if options.api is not None and not provider.startswith("openai"):
        raise ConfigurationError(f"--api is a choice between OpenAI's interfaces, not {provider}'s")
    if options.batch and (provider == "openai-compatible" or options.api == "chat"):
        raise ConfigurationError(
            f"--batch works with openai (responses), anthropic and google, not {provider}"
            + (" over chat completions" if options.api == "chat" else "")
        )


def _check_extra(extra: Mapping[str, Any]) -> None:
    for name, way in OWN_OPTIONS.items():
        if name in extra:
            raise ConfigurationError(f"--model-option {name} is not passed through: {way}")
    generation = extra.get("generationConfig")
    for name in ("maxOutputTokens", "candidateCount"):
        if isinstance(generation, Mapping) and name in generation:
            raise ConfigurationError(
                f"--model-option generationConfig.{name} is not passed through: "
                f"{OWN_OPTIONS['max_tokens' if name == 'maxOutputTokens' else 'n']}"
            )
