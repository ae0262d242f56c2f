"""A model behind an API: how it is called, and the prices of its calls by genai-prices."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_ai.models import Model

from llm_pv.models.base import Usage

CallSettings: TypeAlias = Callable[[str, int, int], Mapping[str, Any]]
"""The settings of one call, given the first message, the number of samples and the seed."""


@dataclass(frozen=True)
class Endpoint:
    """A model behind an API."""

    model: Model[Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    per_call: CallSettings = lambda _prompt, _samples, _seed: {}
    "Settings that differ from call to call."
    per_limit: Callable[[int], Mapping[str, Any]] = lambda _tokens: {}
    "Settings that depend on how many tokens a call may write."
    most_samples: int = 1
    "Alternatives one call can return."
    ask_context: Callable[[], Coroutine[Any, Any, int | None]] | None = None
    "Requests the context window from the server; None if the vendor has no such request."
    limit_name: str = "max_completion_tokens"
    "How requests name the limit on output tokens, if its interface has two names for it."
    extra_in_settings: bool = True
    "Whether further options are passed with the settings of each call, not with the client."


@dataclass(frozen=True)
class PriceList:
    """The prices of one model."""

    model: str
    provider: str | None = None
    "The vendor's name in genai-prices; None to find it by the address."
    url: str | None = None
    "The server's address, which identifies hosts of other vendors' models."
    batch: bool = False
    "Whether calls are paid at the batch price; where a list has none, the full price is taken."
    own: tuple[float, float] | None = None
    "US dollars for a million tokens sent and for a million written, which go before any list."

    def price(self, usage: Usage, model: str = "") -> float | None:
        """Return the price of a usage in US dollars, None where it is not known.

        Parameters
        ----------
        model
            The model name that the server reported, looked up first.

        Examples
        --------
        >>> PriceList("gpt-5.4-mini", "openai").price(Usage(1_000_000, 1_000_000))
        5.25
        >>> PriceList("my-model", url="http://localhost:8000/v1").price(Usage(10, 10)) is None
        True
        >>> PriceList("my-model", own=(0.5, 2.0)).price(Usage(1_000_000, 500_000))
        1.5
        """
        if self.own is not None:
            sent, written = self.own
            return (usage.input_tokens * sent + usage.output_tokens * written) / 1_000_000
        for name in filter(None, (model, self.model)):
            known = self._look_up(usage, name)
            if known is not None:
                return known
        return None

    def _look_up(self, usage: Usage, model: str) -> float | None:
        from genai_prices import Usage as Priced
        from genai_prices import calc_price

        tokens = Priced(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        context = {"processing": "batch"} if self.batch else None
        try:
            if self.provider is not None:
                found = calc_price(tokens, model, provider_id=self.provider, price_context=context)
            else:
                found = calc_price(tokens, model, provider_api_url=self.url, price_context=context)
        except (LookupError, ValueError):
            return None
        return float(found.total_price)
