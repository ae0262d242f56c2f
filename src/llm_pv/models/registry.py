"""The providers of language models, one entry each, and how a model is opened by its name."""

import re
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal, TypeAlias

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ModelOptions
from llm_pv.models.language_model import LanguageModel

Interface: TypeAlias = Literal["responses", "chat", "messages", "generateContent"]
"""An HTTP API: OpenAI's responses or chat completions, Anthropic's messages, Google's."""


@dataclass(frozen=True)
class Provider:
    """Everything that commands, messages and checks know of a provider of models."""

    name: str
    "The part of a model's name before the colon."
    implementation: str
    """The module and the name in it: of a class of models in this process, or of a function that
    returns the `Endpoint` of a model behind an API."""
    interfaces: tuple[Interface, ...] = ()
    "The APIs it has, the default first; none for models in this process."
    keys: tuple[str, ...] = ()
    """The environment variables of its key. It is never sent to a server that the user names under
    another provider."""
    address: str = ""
    """Where its API is; empty if users give the address of a server of their own, which may need no
    key. Set here, so that no environment variable can redirect the key and the rows."""
    package: str = ""
    "The package of its client, if its module's name is only the part before a hyphen."
    models: str = ""
    "A pattern of the beginnings of its models' names, for ``auto:MODEL``."
    alias: str = ""
    "An older name of it."
    hosted_tool: bool = False
    batch: bool = False
    "Whether its default API runs code, and takes batches."
    cache_key: bool = False
    "Whether a request names the prefix that it shares with others."

    @property
    def in_process(self) -> bool:
        """Whether its models run in this process."""
        return not self.interfaces

    @property
    def is_own_server(self) -> bool:
        """Whether its models are on a server whose address the user gives."""
        return bool(self.interfaces) and not self.address

    def uses_default(self, api: str | None) -> bool:
        """Return whether this choice of an API means the default one."""
        return self.interfaces[0] == (api or self.interfaces[0])

    def load(self) -> Any:
        """Import the implementation, which may take seconds."""
        module, _, name = self.implementation.partition(".")
        return getattr(import_module(f"llm_pv.models.{module}"), name)


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            "openai",
            "openai_api.openai_endpoint",
            interfaces=("responses", "chat"),
            keys=("OPENAI_API_KEY",),
            address="https://api.openai.com/v1",
            models=r"gpt|o\d|chatgpt|codex",
            hosted_tool=True,
            batch=True,
            cache_key=True,
        ),
        Provider(
            "anthropic",
            "anthropic_api.anthropic_endpoint",
            interfaces=("messages",),
            keys=("ANTHROPIC_API_KEY",),
            address="https://api.anthropic.com",
            models="claude",
            hosted_tool=True,
            batch=True,
        ),
        Provider(
            "google",
            "google_api.google_endpoint",
            interfaces=("generateContent",),
            keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
            address="https://generativelanguage.googleapis.com/",
            package="google-genai",
            models="gemini|gemma-|models/gemini",
            alias="gemini",
            hosted_tool=True,
            batch=True,
        ),
        Provider(
            "openai-compatible",
            "openai_api.compatible_endpoint",
            interfaces=("chat", "responses"),
            keys=("OPENAI_COMPATIBLE_API_KEY",),
        ),
        Provider("hf", "transformers_engine.TransformersModel", alias="huggingface"),
        Provider("vllm", "vllm_engine.VLLMModel"),
    )
}
"""Every provider by its name."""

_BY_ALIAS = {provider.alias: name for name, provider in PROVIDERS.items() if provider.alias}

PROVIDER_NAMES = (*PROVIDERS, *_BY_ALIAS, "auto")
"""All that may stand before the colon of a model's name."""

IN_PROCESS = " or ".join(f"{one.name}:" for one in PROVIDERS.values() if one.in_process)
"""The beginnings of the names of models in this process, for messages."""

MODEL_HELP = f"PROVIDER:MODEL; {', '.join(PROVIDERS)}, or auto"


def make_model(name: str, options: ModelOptions | None = None) -> LanguageModel:
    """Return the model of a name, ready to be called.

    Raise ConfigurationError if there is no such provider, an option does not fit it, or its extra
    is not installed. Raise CredentialError if it needs a key and there is none.

    Parameters
    ----------
    name
        ``PROVIDER:MODEL``, such as ``"openai:gpt-5.4"`` or ``"hf:FOLDER"``; ``"auto:MODEL"`` finds
        the provider by the model's name. ``PROVIDER:MODEL@URL`` names the server too.
    options
        How it is called; None for the defaults.
    """
    name, url = split_address(name)
    provider, model = provider_of(name), split_name(name)[1]
    options = options or ModelOptions()
    for option, value in (("concurrency", options.concurrency), ("batch-size", options.batch_size)):
        if value is not None and value < 1:
            raise ConfigurationError(f"--{option} is {value}; give 1 or more")
    if provider.in_process:
        if url:
            raise ConfigurationError(f"{name} runs in this process; leave out @{url}")
        opened: LanguageModel = provider.load()(model, options)
        return opened
    from llm_pv.models.vendors import make_vendor_model

    if url:
        options = replace(options, base_url=url, is_addressed=True)
    return make_vendor_model(provider.name, model, options)


def provider_of(name: str) -> Provider:
    """Return the provider of a model; raise ConfigurationError as `split_name` does."""
    return PROVIDERS[split_name(name)[0]]


def split_name(name: str) -> tuple[str, str]:
    """Return the provider's name and the model of ``PROVIDER:MODEL``.

    Raise ConfigurationError if there is no such provider.

    Examples
    --------
    >>> split_name("gemini:gemini-3.5-flash"), split_name("auto:claude-opus-4-8")
    (('google', 'gemini-3.5-flash'), ('anthropic', 'claude-opus-4-8'))
    """
    provider, colon, model = name.partition(":")
    provider = _BY_ALIAS.get(provider.lower(), provider.lower())
    if provider == "auto" and model:
        named = (one.name for one in PROVIDERS.values() if _serves(one, model))
        provider = next(named, "hf")
    if not colon or not model or provider not in PROVIDERS:
        raise ConfigurationError(
            f"--model {name!r} is no PROVIDER:MODEL; give one of {', '.join(PROVIDERS)} before "
            "the colon, such as openai:gpt-5.4"
        )
    return provider, model


def split_address(name: str) -> tuple[str, str]:
    """Return a model's name and the address behind it, empty if there is none.

    Examples
    --------
    >>> split_address("openai-compatible:q@http://localhost:8000/v1"), split_address("hf:a@b")
    (('openai-compatible:q', 'http://localhost:8000/v1'), ('hf:a@b', ''))
    """
    found = re.fullmatch(r"(.+?)@(https?://.*)", name)
    return (found[1], found[2]) if found else (name, "")


def _serves(provider: Provider, model: str) -> bool:
    return bool(provider.models and re.match(provider.models, model, re.IGNORECASE))
