"""Finding the files of a model: a folder, the hub's cache, or the hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import hub


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    hub._hub_answers.cache_clear()
    yield
    hub._hub_answers.cache_clear()


class Session:
    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.asked = 0

    def head(self, address: str, timeout: float) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(("error", "local"), [(OSError("no route"), True), (None, False)])
def test_the_hub_is_asked_once_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, local: bool
) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    session = Session(error)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: session)

    assert [hub.needs_local_files("some/model") for _ in range(3)] == [local] * 3
    assert session.asked == 1


def test_the_offline_switch_of_the_hub_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.needs_local_files("some/model")


def test_a_cached_model_is_found_as_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(hub, "_hub_answers", lambda: False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: f"/cache/{name}")
    assert hub.local_folder("some/model") == "/cache/some/model"


def test_a_folder_is_itself_and_its_fingerprint_knows_its_weights(tmp_path: Path) -> None:
    folder = tiny_models.random_model(tmp_path / "model")
    first = hub.fingerprint(str(folder))

    assert hub.local_folder(str(folder)) == str(folder)
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert hub.fingerprint(str(folder)) != first
    assert hub.fingerprint("some/model") == ""


def test_what_cannot_continue_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(ConfigurationError, match="encoder-decoder"):
        hub.load_tokenizer(str(tmp_path))


def test_memory_that_runs_out_while_loading_is_told_so(tmp_path: Path) -> None:
    class Loader:
        @staticmethod
        def from_pretrained(name: str, **_: Any) -> None:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 GB")

    with pytest.raises(ModelError, match=r"out of memory .* loading it"):
        hub.from_pretrained(Loader, str(tmp_path))


def test_long_errors_of_libraries_are_cut_to_a_line() -> None:
    error = ValueError("1 validation error\n  too long\n\nFor further information visit x")
    assert hub.one_line(error) == "1 validation error too long"
    assert hub.one_line(ValueError()) == "ValueError"
    assert len(hub.one_line(ValueError("x" * 10_000))) == 300
