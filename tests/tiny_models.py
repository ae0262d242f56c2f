"""Language models made on the spot: a few thousand weights and a real tokenizer and template."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHATML = """\
{%- if tools %}<|im_start|>system
You may call functions, described in <tools></tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
Call one as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>{{ call.function | tojson }}</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A template that shows tools, as Qwen's does."""

CORPUS = (
    "Each input has a label, given by a hidden rule. Give the label of one more input.",
    'Answer with one JSON object and nothing else, such as {"label": "0"}.',
    "Find the rule from the examples below and write it as a Python function.",
    "def f(x):\n    return x.count('1') % 2\n",
    "0110 -> 0\n0111 -> 1\n",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789",
)
"""What the tokenizer's merges are learned from."""


def make_tokenizer(*, template: str | None = CHATML, vocabulary: int = 1_024) -> Any:
    """Return a byte-level BPE tokenizer that reads every digit alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS * 2, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(tokenizer: Any, *, hidden: int = 64, layers: int = 2, context: int = 8_192) -> Any:
    """Return a Qwen3 with random weights, always the same ones."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer),
                hidden_size=hidden,
                intermediate_size=2 * hidden,
                num_hidden_layers=layers,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=32,
                max_position_embeddings=context,
                tie_word_embeddings=True,
                eos_token_id=tokenizer.eos_token_id,
                bos_token_id=None,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    return model.eval()


def save(model: Any, tokenizer: Any, folder: Path) -> Path:
    """Write model and tokenizer as transformers reads them."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@functools.cache
def random_model(folder: Path, *, template: str | None = CHATML) -> Path:
    """Write a model with random weights and return its folder."""
    tokenizer = make_tokenizer(template=template)
    return save(make_model(tokenizer), tokenizer, folder)


def teach(
    model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, steps: int, rate: float
) -> Any:
    """Train a model to continue the first tokens of each pair with the second, all at once."""
    import torch

    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    tokens = torch.full((len(pairs), width), model.config.pad_token_id)
    labels = torch.full((len(pairs), width), -100)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor([*prompt, *answer])
        labels[row, len(prompt) : end] = torch.tensor(answer)
    mask = torch.arange(width)[None, :] < torch.tensor([[len(p) + len(a)] for p, a in pairs])
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=tokens, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()
