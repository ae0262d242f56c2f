"""Open models behind an API: check their options, find their key, connect."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_pv.errors import ConfigurationError, CredentialError, MissingExtraError
from llm_pv.models.base import ModelOptions
from llm_pv.models.credentials import Redactor, find_key
from llm_pv.models.registry import PROVIDERS, Provider

if TYPE_CHECKING:
    from llm_pv.models.retrying import Backoff
    from llm_pv.models.vendor_model import VendorModel

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
    name: str, model: str, options: ModelOptions, *, backoff: "Backoff | None" = None
) -> "VendorModel":
    """Return a model of a provider behind an API, ready to be called.

    Raise ConfigurationError if an option does not fit the provider. Raise CredentialError if a key
    is needed and there is none. Raise MissingExtraError if the extra ``llm`` is not installed.
    """
    provider = PROVIDERS[name]
    _check(provider, model, options)
    key = find_key(provider.keys)
    if key is None and not provider.is_own_server and not options.offline:
        named = " or ".join(provider.keys)
        raise CredentialError(
            f"{name}:{model} needs a key: set {named} in the environment or in a .env file here"
        )
    try:
        # Importing takes three seconds, so it happens only when a model is called.
        return _connected(provider, model, options, key, backoff)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "llm_pv":
            raise
        packages = {provider.package.partition("-")[0]: provider.package, **_PACKAGES}
        package = packages.get(missing, missing)
        raise MissingExtraError(package, "llm", f"call {name}:{model}") from error
    except MissingExtraError:
        raise
    except ImportError as error:
        raise ConfigurationError(
            f"{name}:{model} cannot be called: {error}; the installed versions do not go "
            "together: pip install --upgrade 'llm-pv[llm]'"
        ) from error


_PACKAGES = {
    "pydantic_ai": "pydantic-ai-slim", "httpx2": "pydantic-ai-slim", "genai_prices": "genai-prices",
    "": "pydantic-ai-slim",
}  # fmt: skip
"""The packages of modules that are not called like these."""


def _connected(
    provider: Provider,
    model: str,
    options: ModelOptions,
    key: str | None,
    backoff: "Backoff | None",
) -> "VendorModel":
    from llm_pv.models.connection import Connection
    from llm_pv.models.endpoint import PriceList
    from llm_pv.models.proxies import check_connection
    from llm_pv.models.retrying import Backoff
    from llm_pv.models.vendor_model import VendorModel

    connection = Connection(options.timeout_seconds)
    try:
        address = options.base_url or provider.address
        # The clients require some key: a server without keys ignores it, a preview sends none.
        endpoint = provider.load()(model, options, address, key or "none", connection.client)
        if not options.offline:
            check_connection(endpoint.model.base_url or "")
        listed = None if provider.is_own_server else provider.name
        return VendorModel(
            provider,
            f"{provider.name}:{model}" + (f"@{options.base_url}" if options.is_addressed else ""),
            options,
            endpoint,
            connection,
            prices=PriceList(model, listed, address, options.batch, options.prices),
            redact=Redactor(key),
            backoff=backoff or Backoff(),
            reopen=partial(make_vendor_model, provider.name, model, backoff=backoff),
        )
    except BaseException:
        connection.close()
        raise


def _check(provider: Provider, model: str, options: ModelOptions) -> None:
    if provider.is_own_server and not options.base_url:
        raise ConfigurationError(
            f"{provider.name}:{model} needs --base-url, such as http://localhost:8000/v1"
        )
    if options.base_url:
        address = urlsplit(options.base_url)
        if address.username or address.password or address.query:
            raise ConfigurationError(
                "--base-url must hold no user, password or query, which would be recorded; "
                f"put the key into {provider.keys[0]}"
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
    if options.api is not None and options.api not in provider.interfaces:
        raise ConfigurationError(
            f"--api is a choice between OpenAI's interfaces, not {provider.name}'s"
        )
    if options.batch and not (provider.batch and provider.uses_default(options.api)):
        known = [one.name for one in PROVIDERS.values() if one.batch]
        raise ConfigurationError(
            f"--batch works with {', '.join(known)}, not {provider.name}"
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
