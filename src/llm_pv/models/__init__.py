"""Every language-model client and engine, each behind one small interface."""

from llm_pv.models.base import (
    FinishReason,
    Message,
    ModelOptions,
    Preview,
    Request,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
    UserMessage,
)
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import make_model

__all__ = [
    "FinishReason",
    "LanguageModel",
    "Message",
    "ModelOptions",
    "Preview",
    "Request",
    "ToolAnswer",
    "ToolCall",
    "ToolOffer",
    "ToolPlace",
    "Turn",
    "Usage",
    "UserMessage",
    "make_model",
]
