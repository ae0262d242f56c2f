"""Estimates of tokens and prices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.models import Usage
from llm_pv.models.endpoint import PriceList
from llm_pv.models.registry import split_name
from llm_pv.models.token_estimate import estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("0" * 100, 100),
        ("((()))", 6),
        ("hello", 3),
        ("two words", 5),
        ("ABCDEF", 4),
        ("3.14", 4),
        ("a\nb", 3),
        ("é", 2),
        ("日本", 6),
        ("\ud800", 3),
    ],
)
def test_tokens_of(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text())
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    assert estimate_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.sampled_from("01xyz()[],. \n"), max_size=60).map("".join))
def test_a_vendor_that_has_a_token_for_every_digit_is_not_underestimated(text: str) -> None:
    digits = sum(character.isdigit() for character in text)
    assert estimate_tokens(text) >= digits


@given(st.text(), st.text())
def test_more_text_has_no_fewer_tokens(text: str, more: str) -> None:
    assert estimate_tokens(text + "\n" + more) >= estimate_tokens(text)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("auto:gpt-5.4", ("openai", "gpt-5.4")),
        ("auto:o9-mini", ("openai", "o9-mini")),
        ("auto:claude-opus-4-8", ("anthropic", "claude-opus-4-8")),
        ("auto:gemini-3.5-flash", ("google", "gemini-3.5-flash")),
        ("auto:Qwen/Qwen3-8B", ("hf", "Qwen/Qwen3-8B")),
        ("huggingface:./folder", ("hf", "./folder")),
        ("openai-compatible:llama3:8b", ("openai-compatible", "llama3:8b")),
    ],
)
def test_names_are_read(name: str, read: tuple[str, str]) -> None:
    assert split_name(name) == read


def test_prices_are_those_of_the_vendor() -> None:
    usage = Usage(1_000_000, 1_000_000)
    assert PriceList("claude-opus-4-8", "anthropic").price(usage) == 30.0
    assert PriceList("claude-opus-4-8", "anthropic", batch=True).price(usage) == 15.0
    assert PriceList("gpt-5.4-mini", "openai").price(usage, "gpt-5.4-mini-2026-03-17") == 5.25
    assert PriceList("gpt-5.4-mini", "openai").price(usage, "nobody-knows-it") == 5.25


def test_hosts_of_other_vendors_models_are_known_by_their_address() -> None:
    known = PriceList("deepseek-chat", url="https://api.deepseek.com/v1").price(Usage(1000, 1000))
    assert known is not None
    assert known > 0
    assert PriceList("deepseek-chat", url="http://localhost:1/v1").price(Usage(1000, 1000)) is None


def test_a_usage_that_cannot_be_has_no_price() -> None:
    usage = Usage(10, 0, cached_tokens=20)
    assert PriceList("gpt-5.4", "openai").price(usage) is None
