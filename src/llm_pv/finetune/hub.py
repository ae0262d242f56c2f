"""Pretrained models by hub name: the local cache first, then the network, never for minutes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from llm_pv.errors import ConfigurationError
from llm_pv.finetune.architectures import Config, read_config

_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_SECONDS = 5.0


def hub_config(name: str) -> Config:
    """Return the configuration of a model on the hub.

    Raises
    ------
    ConfigurationError
        If there is no such model, it may not be read, or it is not cached and the hub is out of
        reach.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    with _told(name):
        cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return read_config(Path(cached))
    _require_hub(name)
    with _told(name):
        return read_config(Path(hf_hub_download(name, "config.json")))


def hub_folder(name: str) -> Path:
    """Return a folder with a model's weights and tokenizer, downloading what is not cached.

    Raises
    ------
    ConfigurationError
        As for `hub_config`.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(name, local_files_only=True))
        if any(folder.glob("*.safetensors")):
            return folder
    _require_hub(name)
    with _told(name):
        return Path(snapshot_download(name, allow_patterns=_FILES))


def _require_hub(name: str) -> None:
    """Ask the hub about a model once; its own client would try again for half a minute."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise ConfigurationError(
            f"{name} is not in the local cache and HF_HUB_OFFLINE is set: give --model hf:FOLDER"
        )
    with _told(name):
        HfApi().model_info(name, timeout=_SECONDS)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn whatever the hub's client raises into one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except GatedRepoError:
        raise ConfigurationError(
            f"{name} is gated: accept its licence on the hub and run `hf auth login`, "
            "or give --model hf:FOLDER"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise ConfigurationError(
            f"there is no model {name} on the hub, or it is private: "
            "write hf:OWNER/NAME or hf:FOLDER"
        ) from None
    except HfHubHTTPError as error:
        raise ConfigurationError(f"the hub refused {name}: {str(error).splitlines()[0]}") from error
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"{name} is not in the local cache and the hub cannot be reached ({error}): "
            "give --model hf:FOLDER, or a model from scratch such as qwen0.6B"
        ) from error
