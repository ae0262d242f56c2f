"""Budgets: what is set aside, who waits, and what ends them."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_openai_server import FakeOpenAI
from llm_pv.errors import BudgetError, ConfigurationError, ModelError
from llm_pv.models import make_model
from llm_pv.models.base import Asked, ModelOptions, Usage
from llm_pv.proposers.spending import Amount, Budget, Purse


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), max_size=30), st.integers(1, 200))
def test_what_is_spent_never_exceeds_the_budget(calls: list[tuple[int, float]], limit: int) -> None:
    purse = Purse(Budget(tokens=limit))
    for worst, share in calls:
        try:
            purse.reserve(Amount(None, worst))
        except BudgetError:
            assert purse.spent_tokens + worst > limit
            continue
        purse.settle(Amount(None, worst), Amount(None, int(worst * share)))
        assert purse.spent_tokens <= limit


def test_a_call_waits_for_what_those_under_way_give_back() -> None:
    purse = Purse(Budget(usd=1.0))
    purse.reserve(Amount(0.8, 10))
    begun = threading.Event()

    def second() -> None:
        purse.reserve(Amount(0.8, 10))
        begun.set()

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    assert not begun.wait(0.2)
    purse.settle(Amount(0.8, 10), Amount(0.1, 10))
    assert begun.wait(5)


def test_closing_lets_nobody_wait() -> None:
    purse = Purse(Budget(tokens=10))
    purse.reserve(Amount(None, 10))
    errors: list[BudgetError] = []

    def second() -> None:
        try:
            purse.reserve(Amount(None, 10))
        except BudgetError as error:
            errors.append(error)

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    purse.close()
    thread.join(5)
    assert len(errors) == 1


def test_no_call_starts_when_the_seconds_are_over() -> None:
    now = [100.0]
    purse = Purse(Budget(seconds=10), clock=lambda: now[0])
    assert purse.seconds_left() == 10
    purse.reserve(Amount(None, 1))
    now[0] = 104.0
    assert purse.seconds_left() == 6
    now[0] = 110.0
    with pytest.raises(BudgetError, match="the 10 seconds for models are over"):
        purse.reserve(Amount(None, 1))


def test_a_call_under_way_is_given_up_when_the_seconds_are_over() -> None:
    with FakeOpenAI([{"text": "late", "delay": 30}]) as server:
        options = ModelOptions(base_url=server.base_url)
        model = make_model("openai-compatible:slow", options)
        try:
            with pytest.raises(ModelError, match="given up after 1 seconds") as raised:
                model.answer([Asked("hello")], within=0.6)
        finally:
            model.close()
    assert raised.value.maybe_paid


def test_an_unknown_price_is_remembered() -> None:
    purse = Purse(Budget())
    purse.spend(Amount.of(Usage(10, 5), None))
    assert (purse.spent_tokens, purse.spent_usd, purse.unknown_price) == (15, 0.0, True)


@pytest.mark.parametrize("budget", [{"usd": 0}, {"tokens": -1}, {"seconds": 0}])
def test_a_budget_of_nothing_is_refused(budget: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="give a positive number"):
        Budget(**budget)
