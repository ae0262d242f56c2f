"""The part of vLLM that is used here, over transformers, where vLLM itself is not installed.

It keeps the shapes of what goes in and comes out; that vLLM itself behaves so is shown by the same
tests where it is installed.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int = 16
    min_tokens: int = 0
    stop: list[str] | None = None
    stop_token_ids: list[int] = field(default_factory=list)
    structured_outputs: Any = None
    logprob_token_ids: list[int] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise AttributeError(f"top_p must be in (0, 1], got {self.top_p}.")


@dataclass(frozen=True)
class StructuredOutputsParams:
    choice: list[str]


class LLM:
    def __init__(self, model: str, **options: Any) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        known = AutoModelForCausalLM.from_pretrained(model)
        if options.get("max_model_len", 0) > known.config.max_position_embeddings:
            raise ValueError("1 validation error for ModelConfig\nmax_model_len is too great")
        self.model: Any = known
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=lambda: None))
        self.seen = 0

    def get_default_sampling_params(self) -> SamplingParams:
        return SamplingParams()

    def generate(
        self, prompts: Sequence[dict[str, Any]], params: Sequence[SamplingParams], use_tqdm: bool
    ) -> list[Any]:
        assert not use_tqdm
        outputs = []
        for prompt, one in zip(prompts, params, strict=True):
            tokens = prompt["prompt_token_ids"]
            completions = [self._completion(tokens, one, sample) for sample in range(one.n)]
            cached, self.seen = 128 * min(self.seen, 1), self.seen + 1
            outputs.append(
                SimpleNamespace(
                    prompt_token_ids=tokens, outputs=completions, num_cached_tokens=cached
                )
            )
        return outputs

    def _completion(self, prompt: list[int], params: SamplingParams, sample: int) -> Any:
        import torch

        draw = torch.Generator().manual_seed((params.seed or 0) * 64 + sample)
        written: list[int] = []
        logprobs = []
        stop_reason: int | str | None = None
        finish = "length"
        allowed = self._choices(params)
        while len(written) < params.max_tokens:
            with torch.inference_mode():
                scores = self.model(torch.tensor([[*prompt, *written]])).logits[0, -1].float()
            if params.logprob_token_ids is not None:
                logs = torch.log_softmax(scores, dim=-1)
                listed = params.logprob_token_ids
                logprobs.append({t: SimpleNamespace(logprob=float(logs[t])) for t in listed})
            if allowed is not None:
                begun = [choice for choice in allowed if choice[: len(written)] == written]
                following = {choice[len(written)] for choice in begun}
                mask = torch.full_like(scores, -math.inf)
                mask[list(following)] = 0.0
                scores = scores + mask
            if params.temperature == 0:
                token = int(scores.argmax())
            else:
                shares = torch.softmax(scores / params.temperature, dim=-1)
                token = int(torch.multinomial(shares, 1, generator=draw))
            written.append(token)
            text = self.tokenizer.decode(written)
            if token in params.stop_token_ids:
                stop_reason, finish = token, "stop"
                break
            found = [word for word in params.stop or () if word in text]
            if found:
                stop_reason, finish = found[0], "stop"
                break
        return SimpleNamespace(
            token_ids=written, finish_reason=finish, stop_reason=stop_reason, logprobs=logprobs
        )

    def _choices(self, params: SamplingParams) -> list[list[int]] | None:
        if params.structured_outputs is None:
            return None
        end = self.tokenizer.eos_token_id
        return [
            [*self.tokenizer(choice)["input_ids"], end]
            for choice in params.structured_outputs.choice
        ]


def install(patch: pytest.MonkeyPatch) -> None:
    """Make it what ``import vllm`` gives, unless vLLM itself is there."""
    from importlib.machinery import ModuleSpec
    from importlib.util import find_spec

    if find_spec("vllm") is not None:
        return
    parts: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams},
        "vllm.platforms": {"current_platform": SimpleNamespace(is_cpu=lambda: True)},
        "vllm.sampling_params": {"StructuredOutputsParams": StructuredOutputsParams},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for attribute, value in content.items():
            setattr(module, attribute, value)
        patch.setitem(sys.modules, name, module)
