"""The common part of in-process engines: generation, labels, token counts and the context limit."""

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import ModelOptions, Preview, Request, Turn, Usage, UserMessage
from llm_pv.models.chat import Chat
from llm_pv.models.hub import fingerprint, load_tokenizer
from llm_pv.models.label_queries import (
    AnswerMode,
    LabelAnswer,
    LabelQuery,
    LabelTokens,
    common_length,
)
from llm_pv.models.language_model import LanguageModel

LINE_END = "\n"
"""The text that ends an answer which continues a text."""

_END_OF_PROMPT = 200
"""Characters at a prompt's end that suffice as the context for the tokens of labels."""

_WARMING = ("Ready?", "Set?")

MOST_SAMPLES = 16
"""The most answers generated side by side; each needs memory for its tokens."""


@dataclass(frozen=True)
class Continuation:
    """Tokens that a model generated."""

    tokens: Sequence[int]
    "The tokens without the one that ends a turn."
    ended: bool
    "Whether the model ended its turn, rather than reaching the limit."
    written: int
    "The number of tokens, including the one that ends a turn."


class InProcessModel(LanguageModel):
    """A model in this process; its weights are loaded when they are first needed.

    Raise ConfigurationError if there is no such model, or an option does not fit.

    Parameters
    ----------
    options
        How it is called. Of ``extra``, ``engine`` holds what the engine is made with,
        ``chat_template_kwargs`` variables of the chat template, and everything else how tokens
        are drawn, by the engine's own names.
    """

    context_tokens: int | None = None
    most_samples = MOST_SAMPLES
    counts_exactly = True

    def __init__(self, provider: str, model: str, options: ModelOptions) -> None:
        if options.base_url is not None or options.batch:
            raise ConfigurationError(f"--base-url and --batch are not for {provider}: models")
        extra = dict(options.extra)
        self.engine_options = _table(extra.pop("engine", {}), "engine")
        variables = _table(extra.pop("chat_template_kwargs", {}), "chat_template_kwargs")
        if options.reasoning_effort is not None:
            variables = {"reasoning_effort": options.reasoning_effort, **variables}
        self.folder_or_name = model
        self.options = options
        self.sampling_options = extra
        self.name = f"{provider}:{model}"
        self.config, tokenizer = load_tokenizer(model)
        self.chat = Chat(tokenizer, variables)
        self._plain = Chat(tokenizer, plain=True)
        self._ready: set[AnswerMode] = set()
        self.context_tokens = _context(self.config, options.context_tokens)
        self.max_output_tokens = options.max_output_tokens
        takes_tools = self.chat.takes_tools
        self.tool_places = frozenset({"none", "local"} if takes_tools else {"none"})
        self.default_tool = "local" if takes_tools else "none"
        self.identity = json.dumps(
            {
                "model": self.name,
                "files": fingerprint(model),
                "temperature": options.temperature,
                "top_p": options.top_p,
                "max_output_tokens": options.max_output_tokens,
                "reasoning_effort": options.reasoning_effort,
                "context_tokens": self.context_tokens,
                "extra": dict(options.extra),
            },
            sort_keys=True,
        )

    def complete(self, request: Request) -> list[Turn]:
        """Return the next turn, or several alternatives of it; the same seed gives the same."""
        if self.options.offline:
            raise ModelError(f"{self.name} was opened for inspection only and cannot be called")
        self.check_request(request)
        start, turn = time.perf_counter(), len(request.conversation)
        prompt = self.chat.render(request.conversation, request.tool)
        tokens = self.chat.encode(prompt)
        new_tokens = self._new_tokens(len(tokens), request.max_output_tokens)
        continuations = self.continue_tokens(
            tokens, samples=request.samples, seed=request.seed, new_tokens=new_tokens
        )
        seconds = time.perf_counter() - start
        written = sum(continuation.written for continuation in continuations)
        return [
            self._turn(
                continuation,
                self.chat.read(continuation.tokens, prompt, tool=request.tool, turn=turn),
                usage=Usage() if number else Usage(len(tokens), written),
                seconds=seconds,
            )
            for number, continuation in enumerate(continuations)
        ]

    def preview(self, request: Request) -> Preview:
        """Return the rendered prompt and the sampling settings; no weights are loaded."""
        self.check_request(request)
        prompt = self.chat.render(request.conversation, request.tool)
        tokens = len(self.chat.encode(prompt))
        body = {
            "prompt": prompt,
            "max_new_tokens": self._new_tokens(tokens, request.max_output_tokens),
            "samples": request.samples,
            "seed": request.seed,
            "temperature": self.options.temperature,
            "top_p": self.options.top_p,
            **self.sampling_options,
        }
        return Preview("generate", "in-process", body, tokens)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self.chat.encode_continuation(text))

    def price(self, usage: Usage) -> float:  # noqa: ARG002 - every usage costs the same
        """Return 0: a model in this process has no price per token."""
        return 0.0

    def room(self, prompt_tokens: int) -> int:
        """Return how many tokens can be generated after a prompt.

        Raise ModelError if the prompt alone fills the context.
        """
        if self.context_tokens is None:
            return self.max_output_tokens
        if prompt_tokens >= self.context_tokens:
            raise ModelError(
                f"the prompt has {prompt_tokens:,} tokens and the context of {self.name} holds "
                f"{self.context_tokens:,}: give fewer training rows or shorter ones"
            )
        return self.context_tokens - prompt_tokens

    def check_query(self, query: LabelQuery) -> None:
        """Raise ConfigurationError if a chat template is required and the model has none."""
        if query.chat == "on" and not self.chat.has_template:
            raise ConfigurationError(
                f"--chat on: the tokenizer of {self.name} has no chat template; leave the option "
                "out, or give --chat off"
            )

    def count_prompts(self, prompts: Sequence[str], query: LabelQuery) -> list[int]:
        """Return how many tokens each prompt has; prefixes of consecutive prompts are read once."""
        return [
            len(start) + len(rest)
            for start, rests in self._pieces(prompts, query)
            for rest in rests
        ]

    def prepare(self, query: LabelQuery) -> float:
        """Load the model and generate one answer, so that measured times exclude loading.

        Returns
        -------
        float
            Seconds it took; 0 if the model was already warm for this query.
        """
        if query.mode in self._ready:
            return 0.0
        start = time.perf_counter()
        self.load()
        for _ in self._answered(_WARMING, replace(query, max_new_tokens=2), seeds=(0, 1)):
            pass
        self._ready.add(query.mode)
        return time.perf_counter() - start

    def choose(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        """Yield the answers batch by batch; see `LanguageModel.choose`."""
        if not prompts:
            return
        self.check_query(query)
        self.prepare(query)
        yield from self._answered(prompts, query, seeds=seeds)

    def show_prompt(self, prompt: str, query: LabelQuery) -> str:
        """Return the text that the model would continue."""
        return self._rendered(prompt, query)

    @abstractmethod
    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Return sampled continuations of a prompt."""

    @abstractmethod
    def load(self) -> None:
        """Load the weights into memory now, before the first prompt."""

    @abstractmethod
    def _answered(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        """Yield the answers to at least one prompt."""

    def _new_tokens(self, prompt_tokens: int, limit: int | None) -> int:
        wanted = self.max_output_tokens if limit is None else min(limit, self.max_output_tokens)
        return min(wanted, self.room(prompt_tokens))

    def _turn(
        self, continuation: Continuation, reply: Any, *, usage: Usage, seconds: float
    ) -> Turn:
        finish = "stop" if continuation.ended else "length"
        return Turn(
            reply.text if reply.text or reply.calls else reply.thoughts,
            reply.calls,
            finish="tools" if reply.calls else finish,  # type: ignore[arg-type]
            usage=usage,
            cost_usd=0.0,
            seconds=seconds,
            model=self.folder_or_name,
            raw={
                "text": reply.text,
                "thoughts": reply.thoughts,
                "calls": [{"name": call.name, "code": call.code} for call in reply.calls],
            },
        )

    def _chat(self, query: LabelQuery) -> Chat:
        return self._plain if query.chat == "off" else self.chat

    def _rendered(self, prompt: str, query: LabelQuery) -> str:
        chat = self._chat(query)
        # The prompt of a model without chat ends where its answer begins.
        return chat.render([UserMessage(prompt if chat.has_template else f"{prompt}\nAnswer:")])

    def _encoded(self, prompts: Sequence[str], query: LabelQuery) -> list[list[int]]:
        pieces = self._pieces(prompts, query)
        return [start + rest for start, rests in pieces for rest in rests]

    def _pieces(
        self, prompts: Sequence[str], query: LabelQuery
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Yield the tokens of a shared prefix, and those of the rests, for consecutive prompts.

        They are cut at the end of a line. The first prompt shows whether the tokenizer reads the
        parts as it reads the whole; the others are the same on both sides of the cut.
        """
        chat = self._chat(query)
        for _, group in groupby(prompts, lambda prompt: prompt[: prompt.rfind(LINE_END) + 1]):
            texts = [self._rendered(prompt, query) for prompt in group]
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
        self, prompts: Sequence[str], query: LabelQuery, ends: Sequence[int]
    ) -> tuple[list[list[int]], LabelTokens]:
        """Return the tokens of prompts and of the labels after them, as the tokenizer writes both.

        Where the end of a prompt and a label become one token, the prompts end before it and every
        label begins with it.

        Raise ModelError if a prompt and the longest label exceed the context.
        """
        encoded = self._encoded(prompts, query)
        in_turn = self._chat(query).has_template and bool(ends)
        last = [ends[0]] if in_turn else []
        texts = [one if in_turn else f" {one}{LINE_END}" for one in query.written()]
        merged, written = self._after(self._rendered(prompts[0], query), texts, query)
        ending = encoded[0][len(encoded[0]) - merged :]
        if any(tokens[len(tokens) - merged :] != ending for tokens in encoded):
            # Prompts that end in their inputs: each may merge with the labels differently.
            merged, written = 0, self._chat(query).encode_continuations(texts)
        labels = LabelTokens.of([[*one, *last] for one in written], ends if in_turn else ())
        encoded = [tokens[: len(tokens) - merged] for tokens in encoded]
        self._check_room(encoded, labels)
        return encoded, labels

    def _after(
        self, prompt: str, texts: Sequence[str], query: LabelQuery
    ) -> tuple[int, list[list[int]]]:
        """Return the tokens of texts after a prompt, and how many prompt tokens they change."""
        chat = self._chat(query)
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

    def _answer_text(self, tokens: Sequence[int], query: LabelQuery) -> str:
        """Return the text of an answer; one that continues a text ends with its line."""
        chat = self._chat(query)
        if not chat.has_template:
            return chat.decode(tokens).strip().split(LINE_END)[0]
        return chat.read(tokens, "", tool=None, turn=1).text


def ordered_ends(tokenizer: Any, generation_config: Any) -> list[int]:
    """Return the tokens that end a turn, the tokenizer's own first.

    Published chat models list several, such as the end of a message and that of a text; only the
    tokenizer's is the one that its chat template writes.
    """
    listed = generation_config.eos_token_id
    known = [listed] if isinstance(listed, int) else list(listed or ())
    own = tokenizer.eos_token_id
    return list(dict.fromkeys(known if own is None else [own, *known]))


def _context(config: Any, wanted: int | None) -> int | None:
    """Return the context length of the model, or the requested one if smaller."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    own = getattr(text_config, "max_position_embeddings", None)
    known = [int(tokens) for tokens in (own, wanted) if tokens]
    return min(known) if known else None


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"the option {name} is {value!r}; give a table of settings")
    return dict(value)
