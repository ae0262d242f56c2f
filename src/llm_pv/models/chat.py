"""Render conversations as the text that an in-process model continues, by its chat template."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import Message, ToolAnswer, ToolOffer, Turn, UserMessage
from llm_pv.models.tool_calls import TOOL_NAME, Reply, read_reply

_PROBE = ({"role": "user", "content": "?"},)


class Chat:
    """A tokenizer with its chat template, if it has one.

    Parameters
    ----------
    arguments
        Further variables of the chat template, such as ``enable_thinking``.
    plain
        Whether text is continued unchanged, even if there is a template.
    """

    def __init__(
        self, tokenizer: Any, arguments: Mapping[str, Any] | None = None, *, plain: bool = False
    ) -> None:
        self.tokenizer = tokenizer
        self._arguments = dict(arguments or {})
        self.has_template = not plain and bool(tokenizer.chat_template)
        self.takes_tools = self.has_template and self._shows_tools()

    def render(self, conversation: Sequence[Message], tool: ToolOffer | None = None) -> str:
        """Return the text that the model is to continue."""
        if not self.has_template:
            return "\n\n".join(message.text for message in conversation)
        return self._apply([_entry(message) for message in conversation], tool)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a rendered text, whose special tokens a template has written."""
        return list(self.tokenizer(text, add_special_tokens=not self.has_template)["input_ids"])

    def encode_continuation(self, text: str) -> list[int]:
        """Return the tokens of a text that continues another."""
        return self.encode_continuations([text])[0]

    def encode_continuations(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts that each continue another, tokenized as one batch."""
        return [list(one) for one in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of these tokens, without special ones."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def read(
        self, tokens: Sequence[int], prompt: str, *, tool: ToolOffer | None, turn: int
    ) -> Reply:
        """Parse the reply of these tokens, without the end-of-turn token."""
        reply = self.tokenizer.decode(tokens, skip_special_tokens=False)
        thinking = prompt.rstrip().endswith(("<think>", "<thinking>"))
        read = read_reply(
            reply, tools=tool is not None and not tool.forbidden, thinking=thinking, turn=turn
        )
        return Reply(self._without_special(read.text), read.thoughts, read.calls)

    def _without_special(self, text: str) -> str:
        for token in self.tokenizer.added_tokens_decoder.values():
            if token.special:
                text = text.replace(token.content, "")
        return text.strip()

    def _shows_tools(self) -> bool:
        return TOOL_NAME in self._apply(list(_PROBE), ToolOffer(description="?"))

    def _apply(self, messages: list[dict[str, Any]], tool: ToolOffer | None) -> str:
        from jinja2 import TemplateError

        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages,
                    tools=None if tool is None else [_schema(tool)],
                    tokenize=False,
                    add_generation_prompt=True,
                    **self._arguments,
                )
            )
        except TemplateError as error:
            raise ConfigurationError(
                f"the model's chat template refuses this conversation: {error}"
            ) from error


def _entry(message: Message) -> dict[str, Any]:
    if isinstance(message, UserMessage):
        return {"role": "user", "content": message.text}
    if isinstance(message, ToolAnswer):
        call = message.call
        return {"role": "tool", "name": call.name, "tool_call_id": call.id, "content": message.text}
    return _assistant_entry(message)


def _assistant_entry(turn: Turn) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if thoughts := turn.raw.get("thoughts"):
        entry["reasoning_content"] = thoughts
    if turn.calls:
        entry["tool_calls"] = [
            {
                "type": "function",
                "id": call.id,
                "function": {"name": call.name, "arguments": {"code": call.code or ""}},
            }
            for call in turn.calls
        ]
    return entry


def _schema(tool: ToolOffer) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": TOOL_NAME,
            "description": tool.description or "Run Python code and see what it prints.",
            "parameters": {
                "type": "object",
                "properties": {"code": {"type": "string", "description": "The Python code."}},
                "required": ["code"],
            },
        },
    }
