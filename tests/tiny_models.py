"""Language models made on the spot: a few thousand weights and a real tokenizer and template."""

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from llm_pv.data.examples import Classes, Examples
from llm_pv.models import UserMessage
from llm_pv.models.chat import Chat
from llm_pv.models.label_queries import LabelForm, write_label
from llm_pv.tracks.icl.texts import write_prompts

Pair: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""The tokens of a prompt and of its answer."""

FORMS: tuple[LabelForm, ...] = ("json", "plain")

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


def make_model(
    tokenizer: Any,
    *,
    hidden: int = 64,
    layers: int = 2,
    context: int = 8_192,
    window: int | None = None,
) -> Any:
    """Return a Qwen3 with random weights, always the same ones.

    With a window, every layer after the first sees so many tokens back and no more.
    """
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
                num_attention_heads=4,
                num_key_value_heads=4,
                head_dim=32,
                max_position_embeddings=context,
                tie_word_embeddings=True,
                use_sliding_window=window is not None,
                sliding_window=window,
                max_window_layers=1,
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


def teach(model: Any, pairs: Sequence[Pair], *, steps: int, rate: float) -> Any:
    """Train a model to continue the first tokens of each pair with the second, all at once."""
    import torch

    tokens, labels = _block(pairs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


def copier(folder: Path) -> Path:
    """Write a model that answers with the last character of the input, however it is asked.

    It is trained on prompts of in-context learning about strings of 6 bits with 12 examples, in
    both label forms, within the chat template and without it: on the ends of prompts first, which
    is cheap, and then on whole ones.
    """
    import torch

    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    chats = [Chat(tokenizer), Chat(tokenizer, plain=True)]
    draw = random.Random(0)
    stages = ((40, 6, 4e-3, 0.02, 300), (10_000, 3, 2e-3, 0.015, 100))
    model.train()
    for length, copies, rate, goal, most_steps in stages:
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
        reached = 0
        for step in range(most_steps):
            optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 20)
            pairs = [
                _copying_pair(draw, chat, form)
                for form in FORMS
                for chat in chats
                for _ in range(copies)
            ]
            tokens, labels = _block([(prompt[-length:], answer) for prompt, answer in pairs])
            optimizer.zero_grad()
            loss = model(input_ids=tokens, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            reached = reached + 1 if loss.item() < goal else 0
            if reached == 3:
                break
    return save(model.eval(), tokenizer, folder)


def copying_rows(examples: int, draw: random.Random) -> Examples:
    """Return distinct strings of 6 bits, labelled with their last character."""
    inputs = [f"{number:06b}" for number in draw.sample(range(64), examples)]
    return Examples(inputs, [text[-1] for text in inputs])


def _copying_pair(draw: random.Random, chat: Chat, form: LabelForm) -> Pair:
    rows = copying_rows(13, draw)
    shown, asked = rows.take(range(12)), rows.inputs[-1]
    (prompt,) = write_prompts(shown, Classes(("0", "1"), (0, 1)), [asked], form=form)
    answer = write_label(rows.labels[-1], form)
    if chat.has_template:
        end = chat.tokenizer.eos_token_id
        rendered = chat.render([UserMessage(prompt)])
        return chat.encode(rendered), [*chat.encode_continuation(answer), end]
    return chat.encode(f"{prompt}\nAnswer:"), chat.encode_continuation(f" {answer}\n")


def _block(pairs: Sequence[Pair]) -> tuple[Any, Any]:
    """Return the tokens of pairs, filled up on the right, and those to be learned."""
    import torch

    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    tokens = torch.zeros((len(pairs), width), dtype=torch.long)
    labels = torch.full((len(pairs), width), -100)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor([*prompt, *answer])
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return tokens, labels
