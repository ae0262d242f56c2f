"""Models in this process through transformers: the provider ``hf``."""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import ModelOptions
from llm_pv.models.hub import from_pretrained, is_out_of_memory, out_of_memory
from llm_pv.models.in_process import Continuation, InProcessModel, Sampling, ordered_ends

_RUNNING = threading.Lock()
"""One generation at a time: torch's random state, which a seed sets, is global."""


class TransformersModel(InProcessModel):
    """A model of transformers, on the accelerator if there is one.

    One generation runs at a time; others wait. A generation with the same seed, on the same
    machine, gives the same text. If neither the user nor the model's ``generation_config.json``
    sets sampling options, tokens are sampled at temperature 1.

    Raise ConfigurationError if there is no such model, or an option does not fit. Raise
    MissingExtraError if transformers is not installed.

    Parameters
    ----------
    folder_or_name
        A folder, or a name on the hub.
    options
        How it is called. Of ``extra``, ``engine`` goes to ``from_pretrained`` and the rest is
        part of a `transformers.GenerationConfig`.
    """

    def __init__(self, folder_or_name: str, options: ModelOptions) -> None:
        super().__init__("hf", folder_or_name, options)
        _check_settings(self.sampling)
        self._model: Any = None
        self._closed = False

    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Return sampled continuations of a prompt."""
        with self.running(seed, f"with a prompt of {len(tokens):,} tokens") as (torch, model):
            inputs = torch.tensor([list(tokens)], device=model.device)
            output = model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=self.generation_config(new_tokens, samples=samples),
            )
            written = output[:, len(tokens) :].tolist()
        continuations = [self.continuation(one) for one in written]
        # Greedy decoding gives the same tokens for every sample, so it runs once.
        return continuations + [replace(continuations[0], written=0)] * (samples - len(written))

    @contextmanager
    def running(self, seed: int, what: str) -> Iterator[tuple[Any, Any]]:
        """Lock torch, seed it and yield the model; raise ModelError if memory runs out."""
        import torch

        with _RUNNING, torch.inference_mode(), _seeded(torch, seed):
            model = self._loaded(torch)
            try:
                yield torch, model
            except Exception as error:
                if is_out_of_memory(error):
                    raise ModelError(out_of_memory(self.name, what)) from error
                raise

    def generation_config(self, new_tokens: int, *, samples: int = 1) -> Any:
        """Return the generation settings for at most this many tokens."""
        config = copy.deepcopy(self._model.generation_config)
        own_temperature = config.temperature if config.do_sample else None
        temperature = self.sampling.temperature
        if temperature is None:
            temperature = 1.0 if own_temperature is None else own_temperature
        config.update(
            max_new_tokens=new_tokens,
            max_length=None,
            num_return_sequences=samples if temperature > 0 else 1,
            do_sample=temperature > 0,
            temperature=temperature if temperature > 0 else None,
            eos_token_id=self.end_tokens(),
            pad_token_id=self.pad_token(),
            max_time=self.options.timeout_seconds,
        )
        if temperature == 0:
            config.update(top_p=None, top_k=None, min_p=None, typical_p=None)
        elif self.sampling.top_p is not None:
            config.top_p = self.sampling.top_p
        if temperature > 0 and own_temperature is None:
            config.top_k = 0  # the default of transformers keeps only the 50 likeliest tokens
        config.update(**(self.sampling.extra or {}))
        return config

    def end_tokens(self) -> list[int]:
        """Return the tokens that end a turn: its tokenizer's first, then the model's own."""
        return ordered_ends(self.chat.tokenizer, self._model.generation_config)

    def pad_token(self) -> int:
        """Return the padding token."""
        pad = self.chat.tokenizer.pad_token_id
        return next(iter(self.end_tokens()), 0) if pad is None else int(pad)

    def continuation(self, written: Sequence[int]) -> Continuation:
        """Return the generated tokens up to the end of the turn, without padding."""
        ends = self.end_tokens()
        for position, token in enumerate(written):
            if token in ends:
                return Continuation(written[:position], True, position + 1)
        return Continuation(written, False, len(written))

    def close(self) -> None:
        """Release the weights."""
        with _RUNNING:
            self._closed = True
            if self._model is None:
                return
            self._model = None
            import torch

            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _loaded(self, torch: Any) -> Any:
        if self._closed:
            raise ModelError(f"{self.name} is closed")
        if self._model is None:
            from transformers import AutoModelForCausalLM

            options = {"dtype": "auto", **self.engine_options}
            if torch.accelerator.is_available():
                options.setdefault("device_map", "auto")
            with _no_progress_bar():
                model = from_pretrained(AutoModelForCausalLM, self.folder_or_name, **options)
            self._model = model.eval()
        return self._model


def _check_settings(sampling: Sampling) -> None:
    from transformers import GenerationConfig

    known = GenerationConfig()
    for name in sampling.extra or {}:
        if not hasattr(known, name):
            raise ConfigurationError(
                f"{name!r} is no setting of hf: models; settings are those of "
                "transformers.GenerationConfig, engine and chat_template_kwargs"
            )


@contextmanager
def _seeded(torch: Any, seed: int) -> Iterator[None]:
    """Seed the random state, and restore it afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed % 2**63)
        yield


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Turn off the progress bars of loading, which would overwrite the command's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
