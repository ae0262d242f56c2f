"""Every language-model client and engine, each behind one small protocol."""

from llm_pv.models.base import (
    Asked,
    FinishReason,
    LanguageModel,
    Message,
    ModelOptions,
    Preview,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
)
from llm_pv.models.registry import make_model

__all__ = [
    "Asked",
    "FinishReason",
    "LanguageModel",
    "Message",
    "ModelOptions",
    "Preview",
    "ToolAnswer",
    "ToolCall",
    "ToolOffer",
    "ToolPlace",
    "Turn",
    "Usage",
    "make_model",
]
