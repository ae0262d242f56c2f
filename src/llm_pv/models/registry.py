"""Open language models by name."""

import re
from dataclasses import replace

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import ModelOptions
from llm_pv.models.language_model import LanguageModel

VENDORS = ("openai", "anthropic", "google", "openai-compatible")
"""Providers behind an API: the part of a name before the colon."""

ENGINES = ("hf", "vllm")
"""Providers that run in this process."""

ALIASES = {"gemini": "google", "huggingface": "hf"}
"""Older names of the above."""


def make_model(name: str, options: ModelOptions | None = None) -> LanguageModel:
    """Return the model of a name, ready to be called.

    Parameters
    ----------
    name
        ``PROVIDER:MODEL``, such as ``"openai:gpt-5.4"`` or ``"hf:FOLDER"``; ``"auto:MODEL"`` finds
        the provider by the model's name. ``PROVIDER:MODEL@URL`` names the server too.
    options
        How it is called; None for the defaults.

    Raises
    ------
    ConfigurationError
        If there is no such provider, an option does not fit it, or its extra is not installed.
    CredentialError
        If it needs a key and there is none.
    """
    name, url = split_address(name)
    provider, model = split_name(name)
    options = options or ModelOptions()
    for option, value in (("concurrency", options.concurrency), ("batch-size", options.batch_size)):
        if value is not None and value < 1:
            raise ConfigurationError(f"--{option} is {value}; give 1 or more")
    if url:
        if provider not in VENDORS:
            raise ConfigurationError(f"{name} runs in this process; leave out @{url}")
        options = replace(options, base_url=url, is_addressed=True)
    if provider in VENDORS:
        from llm_pv.models.vendors import make_vendor_model

        return make_vendor_model(provider, model, options)
    if provider == "hf":
        from llm_pv.models.transformers_engine import TransformersModel

        return TransformersModel(model, options)
    from llm_pv.models.vllm_engine import VLLMModel

    return VLLMModel(model, options)


def split_name(name: str) -> tuple[str, str]:
    """Return the provider and the model of ``PROVIDER:MODEL``.

    Examples
    --------
    >>> split_name("gemini:gemini-3.5-flash"), split_name("auto:claude-opus-4-8")
    (('google', 'gemini-3.5-flash'), ('anthropic', 'claude-opus-4-8'))
    """
    provider, colon, model = name.partition(":")
    provider = ALIASES.get(provider.lower(), provider.lower())
    if provider == "auto" and model:
        provider = _guess(model)
    if not colon or not model or provider not in (*VENDORS, *ENGINES):
        known = ", ".join((*VENDORS, *ENGINES))
        raise ConfigurationError(
            f"--model {name!r} is no PROVIDER:MODEL; give one of {known} before the colon, "
            "such as openai:gpt-5.4"
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


def _guess(model: str) -> str:
    lowered = model.lower()
    if lowered.startswith("claude"):
        return "anthropic"
    if lowered.startswith(("gemini", "gemma-", "models/gemini")):
        return "google"
    if re.match(r"gpt|o\d|chatgpt|codex", lowered):
        return "openai"
    return "hf"
