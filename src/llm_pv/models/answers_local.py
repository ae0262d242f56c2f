"""What both engines in this process share when they are asked for labels."""

import math
from collections.abc import Sequence

from llm_pv.errors import ConfigurationError
from llm_pv.models.answers import Answer, Asking, shared_text
from llm_pv.models.base import Asked, Usage
from llm_pv.models.chat import Chat
from llm_pv.models.in_process import InProcessModel
from llm_pv.models.label_tokens import LabelTokens

LINE_END = "\n"
"""What ends an answer that continues a text."""


class LocalAnswers:
    """Prompts and labels as tokens of a model in this process.

    Parameters
    ----------
    model
        The model.
    """

    def __init__(self, model: InProcessModel) -> None:
        self._model = model
        self._plain = Chat(model.chat.tokenizer, plain=True)
        self.name = model.name
        self.identity = model.identity
        self.destination = None
        self.context_tokens = model.context_tokens
        self.counts_exactly = True

    def check(self, asking: Asking) -> None:
        """Raise ConfigurationError if the model has no chat template but one is wanted."""
        if asking.chat == "on" and not self._model.chat.has_template:
            raise ConfigurationError(
                f"--chat on: the tokenizer of {self.name} has no chat template; leave the option "
                "out, or give --chat off"
            )

    def count(self, prompts: Sequence[str], asking: Asking) -> list[int]:
        """Return how many tokens each prompt has."""
        return [len(tokens) for tokens in self._encoded(prompts, asking)]

    def show(self, prompt: str, asking: Asking) -> str:
        """Return the text that the model would continue."""
        return self._rendered(prompt, asking)

    def price(self, usage: Usage) -> float:
        """Return 0: this machine is paid for otherwise."""
        return self._model.price(usage)

    def close(self) -> None:
        """Let go of the weights."""
        self._model.close()

    def _chat(self, asking: Asking) -> Chat:
        return self._plain if asking.chat == "off" else self._model.chat

    def _rendered(self, prompt: str, asking: Asking) -> str:
        chat = self._chat(asking)
        # A model that continues text is led to the place where the answer comes.
        return chat.render([Asked(prompt if chat.has_template else f"{prompt}\nAnswer:")])

    def _encoded(self, prompts: Sequence[str], asking: Asking) -> list[list[int]]:
        """Return the tokens of prompts; what they begin with is read once.

        It is cut at the end of a line. That the tokenizer reads the parts as it reads the whole is
        seen by the first prompt; the others are the same on both sides of the cut.
        """
        chat = self._chat(asking)
        texts = [self._rendered(prompt, asking) for prompt in prompts]
        cut = shared_text(texts).rfind(LINE_END) + 1
        if len(texts) > 2 and cut:
            start = chat.encode(texts[0][:cut])
            first = start + chat.encode_continuation(texts[0][cut:])
            if first == chat.encode(texts[0]):
                rest = (chat.encode_continuation(text[cut:]) for text in texts[1:])
                return [first, *(start + tail for tail in rest)]
        return [chat.encode(text) for text in texts]

    def _label_tokens(self, asking: Asking, end_token: int | None) -> LabelTokens:
        """Return the labels' tokens after a prompt, the one that ends an answer included."""
        chat = self._chat(asking)
        if chat.has_template and end_token is not None:
            written = [[*chat.encode_continuation(one), end_token] for one in asking.written()]
        else:
            written = [chat.encode_continuation(f" {one}{LINE_END}") for one in asking.written()]
        return LabelTokens.of(written)

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
