"""Budgets: what is set aside, who waits, and what ends them."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_openai_server import FakeOpenAI
from llm_pv.errors import BudgetError, ConfigurationError, ModelError
from llm_pv.models import Request, make_model
from llm_pv.models.base import ModelOptions, Usage, UserMessage
from llm_pv.proposers.spending import Amount, Budget, BudgetTracker, Reservation, Spending


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), max_size=30), st.integers(1, 200))
def test_what_is_spent_never_exceeds_the_budget(calls: list[tuple[int, float]], limit: int) -> None:
    tracker = BudgetTracker(Budget(tokens=limit))
    for worst, share in calls:
        try:
            tracker.reserve(Amount(None, worst))
        except BudgetError:
            assert tracker.spent_tokens + worst > limit
            continue
        tracker.settle(Amount(None, worst), Amount(None, int(worst * share)))
        assert tracker.spent_tokens <= limit


def test_a_call_waits_for_what_those_under_way_give_back() -> None:
    tracker = BudgetTracker(Budget(usd=1.0))
    tracker.reserve(Amount(0.8, 10))
    begun = threading.Event()

    def second() -> None:
        tracker.reserve(Amount(0.8, 10))
        begun.set()

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    assert not begun.wait(0.2)
    tracker.settle(Amount(0.8, 10), Amount(0.1, 10))
    assert begun.wait(5)


@pytest.mark.parametrize("price", [0.4, None])
def test_what_one_call_gives_back_leaves_the_other_set_aside(price: float | None) -> None:
    """Of $1 (or 1,000 tokens) 0.1 is spent and 0.4 still set aside: 0.6 must wait, 0.5 must not."""
    budget = Budget(tokens=1_000) if price is None else Budget(usd=1.0)
    tracker = BudgetTracker(budget)
    open_call = Amount(price, 400)
    tracker.reserve(open_call)
    tracker.reserve(open_call)
    tracker.settle(open_call, Amount(None if price is None else 0.1, 100))
    assert not tracker.try_to_reserve(Amount(None if price is None else 0.6, 600))
    assert tracker.try_to_reserve(Amount(None if price is None else 0.5, 500))
    tracker.settle(Amount(None if price is None else 0.5, 500), Amount(0.0, 0))
    tracker.settle(open_call, Amount(0.0, 0))
    assert tracker.try_to_reserve(Amount(None if price is None else 0.9, 900))


def test_a_try_that_may_be_charged_counts_before_the_next_is_made() -> None:
    tracker = BudgetTracker(Budget(tokens=1_000))
    call = Reservation(tracker, Amount(0.5, 400))
    asyncio.run(call.again())
    assert (tracker.spent_tokens, call.lost) == (400, 1)
    with pytest.raises(BudgetError, match="800 of 1,000 tokens are spent"):
        asyncio.run(call.again())
    call.settle(Amount(1.0, 800))
    assert (tracker.spent_tokens, tracker.spent_usd) == (800, 1.0)


def test_what_tries_came_to_less_than_their_worst_case_is_given_back() -> None:
    tracker = BudgetTracker(Budget(tokens=1_000))
    call = Reservation(tracker, Amount(None, 400))
    asyncio.run(call.again())
    call.settle(Amount(None, 450))  # the first try at its worst case would have been 400 alone
    assert tracker.spent_tokens == 450
    assert tracker.try_to_reserve(Amount(None, 550))


def test_a_try_waits_for_room_that_a_call_beside_it_gives_back() -> None:
    tracker = BudgetTracker(Budget(tokens=1_000))
    call = Reservation(tracker, Amount(None, 400))
    tracker.reserve(Amount(None, 500))

    async def both() -> None:
        waiting = asyncio.create_task(call.again())
        await asyncio.sleep(0)
        assert not waiting.done()
        tracker.settle(Amount(None, 500), Amount(None, 50))
        await waiting

    asyncio.run(both())
    assert tracker.spent_tokens == 450


def test_a_call_of_which_nothing_is_known_counts_at_its_worst_case() -> None:
    tracker = BudgetTracker(Budget(tokens=1_000))
    call = Reservation(tracker, Amount(0.25, 400))
    asyncio.run(call.again())
    call.settle(None)
    assert (tracker.spent_tokens, tracker.spent_usd) == (800, 0.5)


def test_closing_lets_nobody_wait() -> None:
    tracker = BudgetTracker(Budget(tokens=10))
    tracker.reserve(Amount(None, 10))
    errors: list[BudgetError] = []

    def second() -> None:
        try:
            tracker.reserve(Amount(None, 10))
        except BudgetError as error:
            errors.append(error)

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    tracker.close()
    thread.join(5)
    assert len(errors) == 1


def test_no_call_starts_when_the_seconds_are_over() -> None:
    now = [100.0]
    tracker = BudgetTracker(Budget(seconds=10), clock=lambda: now[0])
    assert tracker.seconds_left() == 10
    tracker.reserve(Amount(None, 1))
    now[0] = 104.0
    assert tracker.seconds_left() == 6
    now[0] = 110.0
    with pytest.raises(BudgetError, match="the 10 seconds for models are over"):
        tracker.reserve(Amount(None, 1))


def test_a_call_under_way_is_given_up_when_the_seconds_are_over() -> None:
    with FakeOpenAI([{"text": "late", "delay": 30}]) as server:
        options = ModelOptions(base_url=server.base_url)
        model = make_model("openai-compatible:slow", options)
        try:
            with pytest.raises(ModelError, match="cancelled after 1 seconds") as raised:
                model.complete(Request([UserMessage("hello")], within=0.6))
        finally:
            model.close()
    assert raised.value.maybe_paid


def test_an_unknown_price_is_remembered() -> None:
    tracker = BudgetTracker(Budget())
    tracker.spend(Amount.of(Usage(10, 5), None))
    assert (tracker.spent_tokens, tracker.spent_usd, tracker.unknown_price) == (15, 0.0, True)


@pytest.mark.parametrize("budget", [{"usd": 0}, {"tokens": -1}, {"seconds": 0}])
def test_a_budget_of_nothing_is_refused(budget: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="give a positive number"):
        Budget(**budget)


def test_spending_is_added_part_by_part() -> None:
    one = Spending(Usage(1, 2), 0.5, (Amount(0.5, 3),), (Amount(1.0, 4),))
    other = Spending(Usage(10, 20), 0.25, (Amount(0.25, 30),), (Amount(2.0, 5), Amount(None, 6)))
    assert one.plus(other) == Spending(
        Usage(11, 22), 0.75, (Amount(0.5, 3), Amount(0.25, 30)),
        (Amount(1.0, 4), Amount(2.0, 5), Amount(None, 6)),
    )  # fmt: skip
    assert one.plus(Spending(cost_usd=None)).cost_usd is None
    assert one.most_possibly_billed == Amount(1.0, 4)
    assert other.most_possibly_billed == Amount(None, 11)
    assert Amount(0.5, 3).times(4) == Amount(2.0, 12)
    assert Amount(None, 3).times(0) == Amount(None, 0)


def test_what_a_budget_does_not_cover_is_said_with_the_way_out() -> None:
    def refusal(budget: Budget, spent: Amount, worst: Amount) -> str:
        tracker = BudgetTracker(budget)
        tracker.spend(spent)
        with pytest.raises(BudgetError) as caught:
            tracker.reserve(worst)
        return str(caught.value)

    way_out = ": raise the budget, or lower --max-output-tokens"
    assert refusal(Budget(tokens=1_000), Amount(0.0, 0), Amount(None, 1_001)) == (
        f"0 of 1,000 tokens are spent, and the next call may take up to 1,001{way_out}"
    )
    assert refusal(Budget(tokens=1_000), Amount(0.0, 1), Amount(None, 1_000)) == (
        "1 of 1,000 tokens are spent, and the next call may take up to 1,000"
    )
    assert refusal(Budget(usd=2.5), Amount(0.0, 0), Amount(2.51, 1)) == (
        f"$0 of $2.5 is spent, and the next call may cost up to $2.51{way_out}"
    )
    assert refusal(Budget(usd=2.5), Amount(0.123456, 1), Amount(2.4, 1)) == (
        "$0.1235 of $2.5 is spent, and the next call may cost up to $2.4"
    )
    tracker = BudgetTracker(Budget(usd=1.0, tokens=10))
    tracker.reserve(Amount(1.0, 10))
    tracker.settle(Amount(1.0, 10), Amount(1.0, 9))
    tracker.reserve(Amount(None, 1))  # what costs nothing fits as far as tokens go
    assert tracker.is_limited
    assert not BudgetTracker(Budget(seconds=1.0)).is_limited
