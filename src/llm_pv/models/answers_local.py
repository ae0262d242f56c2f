"""The common part of both in-process engines when they answer with labels."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.answers import Answer, AnswerMode, Asking
from llm_pv.models.base import Usage, UserMessage
from llm_pv.models.chat import Chat
from llm_pv.models.in_process import InProcessModel
from llm_pv.models.label_tokens import LabelTokens, common_length

LINE_END = "\n"
"""The text that ends an answer which continues a text."""

_END_OF_PROMPT = 200
"""Characters at a prompt's end that labels are read after, where that is as after all of it."""

_WARMING = ("Ready?", "Set?")


class LocalAnswers(ABC):
    """Prompts and labels as tokens of a model in this process."""

    def __init__(self, model: InProcessModel) -> None:
        self._model = model
        self._plain = Chat(model.chat.tokenizer, plain=True)
        self.name = model.name
        self.identity = model.identity
        self.destination = None
        self.context_tokens = model.context_tokens
        self.counts_exactly = True
        self._ready: set[AnswerMode] = set()

    def check(self, asking: Asking) -> None:
        """Raise ConfigurationError if a chat template is required and the model has none."""
        if asking.chat == "on" and not self._model.chat.has_template:
            raise ConfigurationError(
                f"--chat on: the tokenizer of {self.name} has no chat template; leave the option "
                "out, or give --chat off"
            )

    def count(self, prompts: Sequence[str], asking: Asking) -> list[int]:
        """Return how many tokens each prompt has; prefixes of consecutive prompts are read once."""
        return [
            len(start) + len(rest)
            for start, rests in self._pieces(prompts, asking)
            for rest in rests
        ]

    def prepare(self, asking: Asking) -> float:
        """Load the model and generate one answer, so that measured times exclude loading.

        Returns
        -------
        float
            Seconds it took; 0 if the model was already warm for this query.
        """
        if asking.mode in self._ready:
            return 0.0
        start = time.perf_counter()
        self._load()
        for _ in self._answered(_WARMING, replace(asking, max_new_tokens=2), seeds=(0, 1)):
            pass
        self._ready.add(asking.mode)
        return time.perf_counter() - start

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield the answers batch by batch; see `AnsweringModel.answers`."""
        if not prompts:
            return
        self.check(asking)
        self.prepare(asking)
        yield from self._answered(prompts, asking, seeds=seeds)

    def show(self, prompt: str, asking: Asking) -> str:
        """Return the text that the model would continue."""
        return self._rendered(prompt, asking)

    def price(self, usage: Usage) -> float:
        """Return 0: a model in this process has no price per token."""
        return self._model.price(usage)

    def close(self) -> None:
        """Release the weights."""
        self._model.close()

    def _chat(self, asking: Asking) -> Chat:
        return self._plain if asking.chat == "off" else self._model.chat

    def _rendered(self, prompt: str, asking: Asking) -> str:
        chat = self._chat(asking)
        # The prompt of a model without chat ends where its answer begins.
        return chat.render([UserMessage(prompt if chat.has_template else f"{prompt}\nAnswer:")])

    @abstractmethod
    def _load(self) -> None:
        """Load the weights into memory."""

    @abstractmethod
    def _answered(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield the answers to at least one prompt."""

    def _encoded(self, prompts: Sequence[str], asking: Asking) -> list[list[int]]:
        """Return the tokens of prompts."""
        pieces = self._pieces(prompts, asking)
        return [start + rest for start, rests in pieces for rest in rests]

    def _pieces(
        self, prompts: Sequence[str], asking: Asking
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Yield, for neighbours alike up to their last line, the beginning's tokens and the rests'.

        They are cut at the end of a line. That the tokenizer reads the parts as it reads the whole
        is seen by the first prompt; the others are the same on both sides of the cut.
        """
        chat = self._chat(asking)
        for _, group in groupby(prompts, lambda prompt: prompt[: prompt.rfind(LINE_END) + 1]):
            texts = [self._rendered(prompt, asking) for prompt in group]
            cut = texts[0][: common_length(texts)].rfind(LINE_END) + 1
            if len(texts) > 2 and cut:
                rests = chat.encode_continuations([text[cut:] for text in texts])
                whole = chat.encode(texts[0])
                start = whole[: len(whole) - len(rests[0])]
                if start + rests[0] == whole:
                    yield start, rests
                    continue
            yield [], [chat.encode(text) for text in texts]

    def _with_labels(
        self, prompts: Sequence[str], asking: Asking, ends: Sequence[int]
    ) -> tuple[list[list[int]], LabelTokens]:
        """Return the tokens of prompts and of the labels after them, as the tokenizer writes both.

        Where the end of a prompt and a label become one token, the prompts end before it and every
        label begins with it.

        Raise ModelError if a prompt and the longest label exceed the context.

        Parameters
        ----------
        ends
            The tokens that end a turn.
        """
        encoded = self._encoded(prompts, asking)
        in_turn = self._chat(asking).has_template and bool(ends)
        last = [ends[0]] if in_turn else []
        texts = [one if in_turn else f" {one}{LINE_END}" for one in asking.written()]
        merged, written = self._after(self._rendered(prompts[0], asking), texts, asking)
        ending = encoded[0][len(encoded[0]) - merged :]
        if any(tokens[len(tokens) - merged :] != ending for tokens in encoded):
            # Prompts that end in their inputs: each may merge with the labels differently.
            merged, written = 0, self._chat(asking).encode_continuations(texts)
        labels = LabelTokens.of([[*one, *last] for one in written], ends if in_turn else ())
        encoded = [tokens[: len(tokens) - merged] for tokens in encoded]
        self._check_room(encoded, labels)
        return encoded, labels

    def _after(
        self, prompt: str, texts: Sequence[str], asking: Asking
    ) -> tuple[int, list[list[int]]]:
        """Return the tokens of texts after a prompt, and how many prompt tokens they change."""
        chat = self._chat(asking)
        cut = prompt.rfind(LINE_END, 0, max(0, len(prompt) - _END_OF_PROMPT)) + 1
        whole, rest = chat.encode(prompt), chat.encode_continuation(prompt[cut:])
        if cut and chat.encode(prompt[:cut]) + rest == whole:
            both = chat.encode_continuations([prompt[cut:] + text for text in texts])
        else:
            rest, both = whole, [chat.encode(prompt + text) for text in texts]
        kept = min(common_length([rest, one]) for one in both)
        return len(rest) - kept, [one[kept:] for one in both]

    def _check_room(self, encoded: Sequence[Sequence[int]], labels: LabelTokens) -> None:
        longest = max(map(len, encoded))
        label = max(map(len, labels.tokens))
        if self.context_tokens is not None and longest + label > self.context_tokens:
            raise ModelError(
                f"a prompt has {longest:,} tokens and a label up to {label}, but the context of "
                f"{self.name} holds {self.context_tokens:,}: give fewer training rows or shorter "
                "ones"
            )

    def _said(self, tokens: Sequence[int], asking: Asking) -> str:
        """Return the text of an answer; one that continues a text ends with its line."""
        chat = self._chat(asking)
        if not chat.has_template:
            return chat.decode(tokens).strip().split(LINE_END)[0]
        return chat.read(tokens, "", tool=None, turn=1).text


def answer_of_scores(asking: Asking, scores: Sequence[float]) -> Answer:
    """Return the label with the highest logarithm of its probability, the first among equals."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    best = scores.index(highest)
    shares = [weight / sum(weights) for weight in weights]
    return Answer(
        asking.written()[best], probabilities=dict(zip(asking.labels, shares, strict=True))
    )
