"""Calls that fail: which are made again, how long that waits, and what is said in the end."""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelServerError,
    UnexpectedModelBehavior,
    UserError,
)

from llm_pv.errors import BudgetError, CredentialError, ModelError
from llm_pv.models import LanguageModel, ModelOptions, Request, ToolOffer, UserMessage
from llm_pv.models.connection import LONGEST_REPLY
from llm_pv.models.retrying import Backoff, is_transient
from llm_pv.models.vendors import make_vendor_model
from wire_servers import Wire, WireServer, anthropic, chat, google

HI = Request([UserMessage("hi")])

# A vendor may retire the models named here at any time.

KEY = "sk-quite-secret-0123456789"

VENDORS: dict[str, tuple[str, str, Any]] = {
    "openai-compatible": ("tiny", "/v1", chat()),
    "anthropic": ("claude-opus-4-8", "", anthropic()),
    "google": ("gemini-3.5-flash", "", google()),
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "GOOGLE", "OPENAI_COMPATIBLE"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def backoff(waits: list[float]) -> Backoff:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return Backoff(sleep=sleep)


@pytest.fixture(params=sorted(VENDORS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def model_at(server: WireServer, provider: str, backoff: Backoff, **options: Any) -> LanguageModel:
    name, path, _ = VENDORS[provider]
    return make_vendor_model(
        provider, name, ModelOptions(base_url=server.url + path, **options), backoff=backoff
    )


def ask(
    replies: Sequence[Wire],
    provider: str,
    backoff: Backoff,
    tool: ToolOffer | None = None,
    **options: Any,
) -> tuple[Any, WireServer]:
    with WireServer(replies) as server:
        model = model_at(server, provider, backoff, **options)
        try:
            [turn] = model.complete(Request([UserMessage("hi")], tool=tool))
            return turn, server
        finally:
            model.close()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_tried_again_until_it_passes(
    provider: str, status: int, backoff: Backoff, waits: list[float]
) -> None:
    good = Wire(VENDORS[provider][2])
    turn, server = ask([Wire({}, status), Wire({}, status), good], provider, backoff)
    assert turn.text == "hello"
    assert turn.tries == len(server.seen) == 3
    assert 0.5 <= waits[0] <= 1.0
    assert 1.0 <= waits[1] <= 2.0


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_request_is_not_sent_again(
    provider: str, status: int, backoff: Backoff, waits: list[float]
) -> None:
    reply = Wire({"error": {"message": "no such thing"}}, status)
    with WireServer([reply]) as server:
        model = model_at(server, provider, backoff)
        with pytest.raises(ModelError, match=f"HTTP {status}: no such thing") as caught:
            model.complete(HI)
        model.close()
    assert not isinstance(caught.value, CredentialError)
    assert (caught.value.transient, caught.value.maybe_paid) == (False, False)
    assert len(server.seen) == 1
    assert waits == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_line_without_the_key(
    provider: str, status: int, backoff: Backoff
) -> None:
    echo = {"error": {"message": f"Incorrect key {KEY[:9]}*****{KEY[-7:]}\n(Bearer {KEY})"}}
    with WireServer([Wire(echo, status)]) as server:
        model = model_at(server, provider, backoff)
        with pytest.raises(CredentialError, match="refused the key of") as caught:
            model.complete(HI)
        model.close()
    said = str(caught.value)
    assert "\n" not in said
    assert KEY not in said
    assert KEY[:9] not in said
    assert KEY[-7:] not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(server.seen) == 1


def test_google_refuses_a_key_as_a_bad_request(backoff: Backoff) -> None:
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [reason],
    }
    with pytest.raises(CredentialError, match="refused the key of GOOGLE_API_KEY"):
        ask([Wire({"error": error}, 400)], "google", backoff)


def test_a_server_that_wants_a_key_and_got_none_says_so(
    backoff: Backoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY")
    with pytest.raises(CredentialError, match="wants a key: OPENAI_COMPATIBLE_API_KEY"):
        ask([Wire({}, 401)], "openai-compatible", backoff)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, {"error": {"message": "pay"}}),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}),
    ],
)
def test_an_empty_account_ends_the_run(status: int, body: object, backoff: Backoff) -> None:
    with pytest.raises(CredentialError, match="no credit or quota left: pay"):
        ask([Wire(body, status)], "openai-compatible", backoff)


def test_a_server_that_echoes_the_key_gets_it_into_nothing(backoff: Backoff) -> None:
    turn, _ = ask([Wire(chat(f"your key is {KEY}"))], "openai-compatible", backoff)
    assert KEY not in repr(turn)
    assert turn.text == "your key is [redacted]"


def test_a_key_gets_into_no_name_of_a_reply(backoff: Backoff) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    function = {"name": f"tool_{KEY}", "arguments": json.dumps({"code": "1", KEY: KEY})}
    hidden = {"name": "run_python", "arguments": f'{{"code": "1", "{escaped}": 1}}'}
    calls = [
        {"id": f"id_{KEY}_{number}", "type": "function", "function": called}
        for number, called in enumerate((function, hidden, {**function, "name": "run_python"}))
    ]
    message = {"role": "assistant", "content": KEY, "tool_calls": calls}
    reply = {**chat(message=message), "model": f"m-{KEY}"}
    turn, _ = ask([Wire(reply)], "openai-compatible", backoff, tool=ToolOffer())
    said, _ = ask([Wire(reply)], "openai-compatible", backoff)  # no tool, so the calls are text
    for shown in (repr(turn), repr(said)):
        assert KEY not in shown
        assert escaped not in shown.replace("\\\\", "\\")
    assert turn.model == "m-[redacted]"
    assert [call.id for call in turn.calls] == [f"id_[redacted]_{number}" for number in range(3)]
    assert said.calls == ()


def test_tries_that_may_have_been_paid_are_counted(backoff: Backoff) -> None:
    good = Wire(chat())
    broken, refused, late = Wire(chat(), cut=20), Wire({}, 503), Wire(silent=True)
    turn, _ = ask([broken, refused, good], "openai-compatible", backoff)
    assert (turn.tries, turn.possibly_billed) == (3, 1)
    with WireServer([broken, late, refused]) as server:
        model = model_at(server, "openai-compatible", backoff, retries=2, timeout_seconds=0.5)
        with pytest.raises(ModelError, match="HTTP 503 after 3 tries") as caught:
            model.complete(HI)
        model.close()
    assert (caught.value.possibly_billed, caught.value.maybe_paid) == (2, True)


def test_a_try_given_up_when_time_is_over_may_have_been_paid(backoff: Backoff) -> None:
    with WireServer([Wire(silent=True)]) as server:
        model = model_at(server, "openai-compatible", backoff)
        with pytest.raises(ModelError, match="cancelled") as caught:
            model.complete(Request([UserMessage("hi")], within=0.3))
        model.close()
    assert caught.value.possibly_billed == 1


def test_a_reply_that_cannot_be_read_is_kept_without_the_key(backoff: Backoff) -> None:
    body = f'{{"choices": "{KEY} is all' + "x" * 300_000
    with pytest.raises(ModelError) as caught:
        ask([Wire(body)], "openai-compatible", backoff)
    assert caught.value.body.startswith('{"choices": "[redacted] is allxxx')
    assert len(caught.value.body) <= 200_000
    assert caught.value.possibly_billed == 1  # it may have been paid, and is not asked for again


@pytest.mark.parametrize(
    ("error", "status"),
    [({"message": "no such thing", "code": 404}, 404), ({"message": "no such thing"}, 400)],
)
def test_an_error_that_comes_as_a_success_is_one(
    error: object, status: int, backoff: Backoff, waits: list[float]
) -> None:
    with pytest.raises(ModelError, match=f"HTTP {status}: no such thing") as caught:
        ask([Wire({"error": error})], "openai-compatible", backoff)
    assert not caught.value.maybe_paid
    assert waits == []


@pytest.mark.parametrize("code", [429, "502", "rate_limit_exceeded", "overloaded"])
def test_a_passing_error_that_comes_as_a_success_is_tried_again(
    code: object, backoff: Backoff
) -> None:
    busy = Wire({"error": {"message": "busy", "code": code}})
    turn, _ = ask([busy, Wire(chat())], "openai-compatible", backoff)
    assert (turn.text, turn.tries, turn.possibly_billed) == ("hello", 2, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "the reply is no JSON object"),
        ({}, "the reply lacks a list of choices"),
        ({"choices": []}, "the reply's list of choices is empty"),
        ({"choices": [{}]}, "the reply lacks a message"),
        ({"choices": [{"message": {"content": 5}}]}, "the reply's content is no text"),
    ],
)
def test_what_a_reply_lacks_is_said_in_plain_words(
    body: object, said: str, backoff: Backoff
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        ask([Wire(body)], "openai-compatible", backoff)
    assert "pydantic" not in str(caught.value)
    assert caught.value.body == json.dumps(body)


@pytest.mark.parametrize("provider", ["anthropic", "google"])
def test_a_strange_reply_names_no_inner_workings(provider: str, backoff: Backoff) -> None:
    with pytest.raises(ModelError) as caught:
        ask([Wire('{"content": 5, "candidates": 5}')], provider, backoff)
    assert "pydantic" not in str(caught.value)
    assert "object is not" not in str(caught.value)


def test_a_wait_asked_for_in_seconds_is_waited(backoff: Backoff, waits: list[float]) -> None:
    replies = [Wire({}, 429, {"Retry-After": "7"}), Wire(chat())]
    turn, _ = ask(replies, "openai-compatible", backoff)
    assert turn.tries == 2
    assert 7.0 <= waits[0] <= 7.5


def test_a_wait_asked_for_as_a_date_is_waited(backoff: Backoff, waits: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    ask([Wire({}, 503, {"Retry-After": date}), Wire(chat())], "openai-compatible", backoff)
    assert 30.0 < waits[0] <= 60.5


def test_a_wait_of_a_day_is_cut_to_minutes(backoff: Backoff, waits: list[float]) -> None:
    replies = [Wire({}, 429, {"Retry-After": "86400"}), Wire(chat())]
    ask(replies, "openai-compatible", backoff)
    assert 300.0 <= waits[0] <= 300.5


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", ""])
def test_a_wait_that_is_none_falls_back_to_the_backoff(
    nonsense: str, backoff: Backoff, waits: list[float]
) -> None:
    replies = [Wire({}, 429, {"Retry-After": nonsense}), Wire(chat())]
    ask(replies, "openai-compatible", backoff)
    assert 0.5 <= waits[0] <= 1.0


def test_waits_grow_to_a_limit(backoff: Backoff, waits: list[float]) -> None:
    with pytest.raises(ModelError, match="HTTP 500 after 9 tries"):
        ask([Wire({}, 500)], "openai-compatible", backoff, retries=8)
    assert len(waits) == 8
    for wait, most in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert most / 2 <= wait <= most


def test_no_retries_means_one_request(provider: str, backoff: Backoff) -> None:
    with WireServer([Wire({}, 500)]) as server:
        model = model_at(server, provider, backoff, retries=0)
        with pytest.raises(ModelError, match="HTTP 500: ") as caught:
            model.complete(HI)
        model.close()
    assert (caught.value.transient, caught.value.maybe_paid) == (True, False)
    assert len(server.seen) == 1


def test_a_connection_cut_in_a_reply_is_made_again(provider: str, backoff: Backoff) -> None:
    good = VENDORS[provider][2]
    turn, server = ask([Wire(good, cut=20), Wire(good)], provider, backoff)
    assert turn.text == "hello"
    assert turn.tries == len(server.seen) == 2


def test_a_server_that_is_not_there_is_said_to_be_so(provider: str, backoff: Backoff) -> None:
    with WireServer([Wire()]) as server:
        pass
    model = model_at(server, provider, backoff, retries=1)
    with pytest.raises(ModelError, match=r"the connection failed: .* after 2 tries") as caught:
        model.complete(HI)
    model.close()
    assert caught.value.possibly_billed == 0


def test_a_server_that_says_nothing_runs_into_the_limit(provider: str, backoff: Backoff) -> None:
    with WireServer([Wire(silent=True)]) as server:
        model = model_at(server, provider, backoff, retries=1, timeout_seconds=0.8)
        with pytest.raises(ModelError, match=r"after 2 tries") as caught:
            model.complete(HI)
        model.close()
        assert len(server.seen) == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        Wire('{"choices": [{"mess'),
        Wire("<html><body>Bad gateway</body></html>", headers={"Content-Type": "text/html"}),
        Wire("just text", headers={"Content-Type": "text/plain"}),
        Wire(b"\xff\xfe\x00"),
    ],
)
def test_a_reply_that_cannot_be_read_is_an_error_in_one_line(
    provider: str, reply: Wire, backoff: Backoff, waits: list[float]
) -> None:
    with pytest.raises(ModelError) as caught:
        ask([reply], provider, backoff, retries=2)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert waits == []  # it may have been paid: the same request fails at once
    assert (caught.value.transient, caught.value.possibly_billed) == (True, 1)


def test_a_reply_without_choices_fails_at_once(backoff: Backoff, waits: list[float]) -> None:
    empty = Wire({**chat(), "choices": []})
    with pytest.raises(ModelError, match="list of choices is empty") as caught:
        ask([empty, Wire(chat())], "openai-compatible", backoff)
    assert (caught.value.transient, caught.value.possibly_billed, waits) == (True, 1, [])


@pytest.mark.parametrize(
    ("status", "charged"),
    [(504, 2), (524, 2), (408, 2), (502, 2), (520, 2), (500, 0), (503, 0), (429, 0)],
)
def test_a_gateway_that_gave_up_waiting_may_have_cost_the_answer(
    status: int, charged: int, backoff: Backoff
) -> None:
    replies = [Wire({}, status), Wire({}, status), Wire(chat())]
    turn, _ = ask(replies, "openai-compatible", backoff)
    assert (turn.tries, turn.possibly_billed) == (3, charged)


def test_room_is_made_before_another_try_where_the_last_may_be_charged(backoff: Backoff) -> None:
    seen: list[int] = []
    cut, refused = Wire(chat(), cut=20), Wire({}, 429)
    with WireServer([cut, refused, cut, Wire(chat())]) as server:
        model = model_at(server, "openai-compatible", backoff)

        async def before_retry() -> None:
            seen.append(len(server.seen))

        [turn] = model.complete(Request([UserMessage("hi")], before_retry=before_retry))
        model.close()
    assert (turn.tries, turn.possibly_billed) == (4, 2)
    assert seen == [1, 3]


def test_a_try_that_the_budget_does_not_cover_is_not_made(backoff: Backoff) -> None:
    with WireServer([Wire(chat(), cut=20), Wire(chat())]) as server:
        model = model_at(server, "openai-compatible", backoff)

        async def before_retry() -> None:
            raise BudgetError("10 of 20 tokens are spent")

        with pytest.raises(BudgetError, match=r"the connection failed: .*10 of 20 tokens"):
            model.complete(Request([UserMessage("hi")], before_retry=before_retry))
        model.close()
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ModelConnectionError(model_name="m", message="reset"), True),
        (ModelServerError(model_name="m", message="down"), True),
        (ModelAPIError(model_name="m", message="no status, no kind"), False),
        (UserError("wrong"), False),
        (ModelError("closed", transient=True), False),
        (UnexpectedModelBehavior("odd"), False),
        (ValueError("odd"), False),
    ],
)
def test_a_failure_without_a_status_is_transient_only_where_its_kind_says_so(
    error: Exception, transient: bool
) -> None:
    assert is_transient(error) == transient


@pytest.mark.parametrize("body", [[], None, {}, {"choices": "many"}])
def test_a_reply_with_nothing_in_it_is_an_error(
    provider: str, body: object, backoff: Backoff
) -> None:
    if provider == "google":
        # Its client reads a reply without candidates as one that says nothing.
        turn, _ = ask([Wire(body)], provider, backoff)
        assert (turn.text, turn.finish) == ("", "error")
        return
    with pytest.raises(ModelError):
        ask([Wire(body)], provider, backoff)


def test_a_huge_reply_is_dropped(provider: str, backoff: Backoff) -> None:
    with WireServer([Wire(b"x" * (LONGEST_REPLY + 1))]) as server:
        model = model_at(server, provider, backoff)
        with pytest.raises(ModelError, match="a reply of more than 32 MiB") as caught:
            model.complete(HI)
        model.close()
    assert (caught.value.transient, caught.value.maybe_paid) == (False, True)
    assert len(server.seen) == 1


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_packed_reply_that_was_not_asked_for_is_unpacked(encoding: str, backoff: Backoff) -> None:
    body = json.dumps(chat()).encode()
    packed = zlib.compress(body) if encoding == "deflate" else gzip.compress(body)
    headers = {"Content-Encoding": encoding}
    turn, _ = ask([Wire(packed, headers=headers)], "openai-compatible", backoff)
    assert turn.text == "hello"


def test_a_packed_reply_that_unfolds_to_a_huge_one_is_dropped(backoff: Backoff) -> None:
    bomb = gzip.compress(b" " * (LONGEST_REPLY + 1))
    with pytest.raises(ModelError, match="a reply of more than 32 MiB"):
        ask([Wire(bomb, headers={"Content-Encoding": "gzip"})], "openai-compatible", backoff)


@pytest.mark.parametrize(
    ("encoding", "said"), [("gzip", "cannot be decompressed"), ("br", "packed as 'br'")]
)
def test_a_packed_reply_that_cannot_be_unpacked_says_so(
    encoding: str, said: str, backoff: Backoff
) -> None:
    garbled = Wire(b"\x1f\x8bgarbled", headers={"Content-Encoding": encoding})
    with pytest.raises(ModelError, match=said):
        ask([garbled], "openai-compatible", backoff, retries=0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_request_is_sent_to_no_other_server(status: int, backoff: Backoff) -> None:
    with WireServer([Wire(chat())]) as other:
        address = f"{other.url}/v1/chat/completions"
        with pytest.raises(ModelError, match=f"sends requests on to '{address}'.* as --base-url"):
            ask([Wire("", status, {"Location": address})], "openai-compatible", backoff)
    assert other.seen == []


def test_closing_ends_calls_under_way(backoff: Backoff) -> None:
    with WireServer([Wire(silent=True)]) as server:
        model = model_at(server, "openai-compatible", backoff)
        errors: list[ModelError] = []

        def call() -> None:
            try:
                model.complete(HI)
            except ModelError as error:
                errors.append(error)

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
        while len(server.seen) < 5:
            time.sleep(0.01)
        model.close()
        for thread in threads:
            thread.join()
        model.close()
    assert len(errors) == 5
    with pytest.raises(ModelError, match="closed"):
        model.complete(HI)


def test_two_hundred_threads_share_one_model(backoff: Backoff) -> None:
    with WireServer([Wire(chat())]) as server:
        model = model_at(server, "openai-compatible", backoff)
        texts: list[str] = []

        def call() -> None:
            texts.append(model.complete(HI)[0].text)

        threads = [threading.Thread(target=call) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model.close()
    assert texts == ["hello"] * 200
    assert len(server.seen) == 200
