"""Find the files of an in-process model: a folder, the hub's cache, or the hub."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from llm_pv.errors import ConfigurationError, MissingExtraError, ModelError

_PROBE_SECONDS = 5.0
_PIECE = 1 << 20
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")


def load_tokenizer(name: str) -> tuple[Any, Any]:
    """Return the configuration and the tokenizer of a model.

    Raise ConfigurationError if there is no such model, or it is not a causal language model.
    """
    try:
        from transformers import AutoConfig, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", "run a model in this process") from error
    config = from_pretrained(AutoConfig, name)
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigurationError(
            f"{name} is an encoder-decoder model; give one that continues text (a causal model)"
        )
    return config, from_pretrained(AutoTokenizer, name)


def generation_config(name: str, config: Any) -> Any:
    """Return a model's generation settings, or those of its configuration if it has none."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(name, local_files_only=needs_local_files(name))
    except OSError:
        return GenerationConfig.from_model_config(config)


def from_pretrained(loader: Any, name: str, **options: Any) -> Any:
    """Call ``from_pretrained`` of a transformers class; failures raise errors of one line.

    Raise ConfigurationError if the model cannot be loaded. Raise ModelError if memory runs out.
    """
    local_only = needs_local_files(name)
    try:
        return loader.from_pretrained(name, local_files_only=local_only, **options)
    except Exception as error:
        if is_out_of_memory(error):
            raise ModelError(out_of_memory(name, "loading it")) from error
        # The error for a damaged file depends on its format.
        if local_only and not Path(name).is_dir():
            reason = (
                "it is no folder here, not in the hub's cache, and the hub cannot be reached; "
                "hf:FOLDER names a model in a folder"
            )
        else:
            reason = one_line(error)
        raise ConfigurationError(f"cannot load the model {name!r}: {reason}") from error


def needs_local_files(name: str) -> bool:
    """Return whether a model must be on this machine: it is a folder, or the hub is unreachable.

    Raise ConfigurationError if the name is that of a folder which does not exist.
    """
    if Path(name).is_dir():
        return True
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ConfigurationError(f"cannot load the model {name!r}: there is no such folder")
    return not _hub_answers()


@cache
def _hub_answers() -> bool:
    """Return whether the hub is reachable; checked once, as its client retries for 30 s."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
    except Exception:  # noqa: BLE001 - for any reason, the hub did not answer
        return False
    return True


def local_folder(name: str) -> str:
    """Return the folder of a model that must be on this machine, else its name."""
    if Path(name).is_dir() or not needs_local_files(name):
        return name
    from huggingface_hub import snapshot_download

    return str(snapshot_download(name, local_files_only=True))


def fingerprint(name: str) -> str:
    """Return a fingerprint of the files of a folder, empty for a name on the hub.

    Small files count as a whole, weights by their size and their first and last MiB.
    """
    folder = Path(name)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    weights = {path for pattern in _WEIGHTS for path in folder.glob(pattern)}
    for path in sorted({*folder.glob("*.json"), *folder.glob("*.jinja"), *weights}):
        with path.open("rb") as file:
            size = path.stat().st_size
            digest.update(f"{path.name} {size} ".encode())
            digest.update(file.read(_PIECE if path in weights else -1))
            file.seek(max(0, size - _PIECE))
            digest.update(file.read())
    return digest.hexdigest()[:16]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the accelerator's or the machine's memory ran out."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in text
        or "can't allocate memory" in text
    )


def out_of_memory(name: str, what: str) -> str:
    """Return the error message for a model that ran out of memory."""
    return (
        f"out of memory in {name}, {what}: give a smaller model, a shorter prompt (fewer training "
        "rows), fewer samples or new tokens at once, or a machine with more memory"
    )


def one_line(error: Exception) -> str:
    """Return the beginning of a library's error, without its line breaks and links."""
    lines = (line.strip() for line in str(error).splitlines())
    text = " ".join(line for line in lines if line and not line.startswith("For further info"))
    return text[:300] or type(error).__name__
