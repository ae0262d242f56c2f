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
"""One generation at a time: torch's random state, which a seed sets, is the process's."""


class TransformersModel(InProcessModel):
    """A model of transformers, on the accelerator if there is one.

    One generation runs at a time; others wait. A generation with the same seed, on the same
    machine, writes the same. Where neither the user nor the model's own ``generation_config.json``
    says how tokens are drawn, they are drawn at temperature 1.

    Parameters
    ----------
    folder_or_name
        A folder, or a name on the hub.
    options
        How it is called. Of ``extra``, ``engine`` goes to ``from_pretrained`` and the rest is
        part of a `transformers.GenerationConfig`.

    Raises
    ------
    ConfigurationError
        If there is no such model, or an option does not fit.
    MissingExtraError
        If transformers is not installed.
    """

    def __init__(self, folder_or_name: str, options: ModelOptions) -> None:
        super().__init__("hf", folder_or_name, options)
        _check_settings(self.sampling)
        self._model: Any = None
        self._closed = False

    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Write alternatives of what follows a prompt."""
        with self.running(seed, f"with a prompt of {len(tokens):,} tokens") as (torch, model):
            inputs = torch.tensor([list(tokens)], device=model.device)
            output = model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=self.generation_config(new_tokens, samples=samples),
            )
            written = output[:, len(tokens) :].tolist()
        continuations = [self.continuation(one) for one in written]
        # The likeliest tokens are the same in every sample, and are worked out once.
        return continuations + [replace(continuations[0], written=0)] * (samples - len(written))

    @contextmanager
    def running(self, seed: int, what: str) -> Iterator[tuple[Any, Any]]:
        """Hold torch and the model, alone, under a seed; memory that runs out is told in a line."""
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
        """Return how so many tokens are drawn at most."""
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
            config.top_k = 0  # else transformers keeps the 50 likeliest tokens alone
        config.update(**(self.sampling.extra or {}))
        return config

    def end_tokens(self) -> list[int]:
        """Return the tokens that end a turn: its tokenizer's first, then the model's own."""
        return ordered_ends(self.chat.tokenizer, self._model.generation_config)

    def pad_token(self) -> int:
        """Return the token that fills up shorter rows."""
        pad = self.chat.tokenizer.pad_token_id
        return next(iter(self.end_tokens()), 0) if pad is None else int(pad)

    def continuation(self, written: Sequence[int]) -> Continuation:
        """Cut what was written, padded on the right, at the end of its turn."""
        ends = self.end_tokens()
        for position, token in enumerate(written):
            if token in ends:
                return Continuation(written[:position], True, position + 1)
        return Continuation(written, False, len(written))

    def close(self) -> None:
        """Let go of the weights."""
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
    """Draw from a seed, and leave the random state as it was found."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed % 2**63)
        yield


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep loading from drawing a bar over the command's own progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
