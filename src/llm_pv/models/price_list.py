"""Prices of calls, from the price lists of genai-prices."""

from dataclasses import dataclass

from llm_pv.models.base import Usage


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
