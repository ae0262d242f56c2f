"""Calls that go through the vendors' batches, killed and resumed ones included."""

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.models.openai import OpenAIResponsesModel

from fake_openai_server import response
from llm_pv.errors import ConfigurationError, CredentialError, ModelError, RepairWarning
from llm_pv.models import LanguageModel, ModelOptions, Request, Turn, Usage, UserMessage
from llm_pv.models.retrying import Backoff
from llm_pv.models.vendor_model import VendorModel
from llm_pv.models.vendors import make_vendor_model
from wire_servers import Wire, WireServer, anthropic, google

# A vendor may retire the models named here at any time.

KEY = "a-key-of-the-tests"

WINDOW = 7.0


async def _no_wait(_: float) -> None:
    """Wait for nothing."""


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "GOOGLE"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


class OpenAIBatches(WireServer):
    """OpenAI's files and batches: every request is answered with its own input, in capitals."""

    def __init__(self, states: Sequence[str] = ("in_progress", "completed")) -> None:
        self.uploads: list[bytes] = []
        self.errors: Mapping[str, Any] = {}
        super().__init__(
            [Wire({"error": {"message": "no such path"}}, 404)],
            {
                "POST /v1/files": [Wire(self._upload)],
                "POST /v1/batches": [Wire(lambda: self.batch("validating"))],
                "GET /v1/batches/": [Wire(partial(self.batch, state)) for state in states],
                "GET /v1/files/out": [Wire(self._results)],
                "DELETE /v1/files/": [Wire({"id": "in", "object": "file", "deleted": True})],
            },
        )

    def _upload(self) -> object:
        self.uploads.append(self.seen[-1].raw)
        return {
            "id": "in",
            "object": "file",
            "bytes": 1,
            "created_at": 1,
            "filename": "batch.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def batch(self, status: str) -> object:
        return {
            "id": f"batch_{len(self.uploads)}",
            "object": "batch",
            "endpoint": "/v1/responses",
            "input_file_id": "in",
            "output_file_id": "out" if status == "completed" else None,
            "completion_window": "24h",
            "status": status,
            "created_at": 1_700_000_000,
        }

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The requests of every upload, whose parts of a form surround them."""
        return [
            json.loads(line)
            for upload in self.uploads
            for line in re.findall(rb'^\{"custom_id".*\}\r?$', upload, re.MULTILINE)
        ]

    def _results(self) -> str:
        answers = []
        for number, line in enumerate(self.lines):
            text = line["body"]["input"][0]["content"]
            reply = response({"text": text.upper()}, number, "gpt-5.4")
            made = {"status_code": 200, "body": reply}
            made = {**made, **self.errors.get(text, {})}
            answers.append(json.dumps({"custom_id": line["custom_id"], "response": made}))
        return "\n".join(answers)


class Gate:
    """Lets a batch go once it holds so many calls, and looks at it without waiting."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.model: VendorModel | None = None

    async def sleep(self, seconds: float) -> None:
        while seconds == WINDOW and self._gathered() < self.calls:
            await asyncio.sleep(0.002)

    def _gathered(self) -> int:
        assert self.model is not None
        assert self.model._batches is not None
        return len(self.model._batches._waiting)


@contextlib.contextmanager
def model_at(
    url: str, name: str = "openai:gpt-5.4", *, calls: int = 1, record: Path | None = None
) -> Iterator[LanguageModel]:
    provider, _, model = name.partition(":")
    path = "/v1" if provider == "openai" else ""
    options = ModelOptions(base_url=url + path, batch=True, batch_record=record, retries=2)
    gate = Gate(calls)
    made = make_vendor_model(provider, model, options, backoff=Backoff(sleep=_no_wait))
    assert isinstance(made, VendorModel)
    queue: Any = made._batches
    queue.window, queue.sleep = WINDOW, gate.sleep
    gate.model = made
    with made:
        yield made


def ask_all(model: LanguageModel, texts: Sequence[str]) -> list[Turn]:
    """Ask from a thread each, with the place in the list as seed."""
    with ThreadPoolExecutor(len(texts)) as threads:
        return list(
            threads.map(
                lambda each: model.complete(Request([UserMessage(each[1])], seed=each[0]))[0],
                enumerate(texts),
            )
        )


def test_calls_go_together_and_cost_half() -> None:
    with OpenAIBatches() as server, model_at(server.url, calls=4) as model:
        turns = ask_all(model, ["a", "b", "c", "b"])
    assert [turn.text for turn in turns] == ["A", "B", "C", "B"]
    assert len(server.uploads) == 1
    assert len({line["custom_id"] for line in server.lines}) == 4
    assert turns[0].usage == Usage(100, 20)
    # 2.5 dollars a million in, 15 out, by half.
    assert turns[0].cost_usd == pytest.approx((100 * 2.5 + 20 * 15) / 1e6 / 2)
    assert [turn.tries for turn in turns] == [1, 1, 1, 1]
    body = server.lines[0]["body"]
    assert body["max_output_tokens"] == 20_000
    assert body["reasoning"]["effort"] == "high"


def test_a_killed_run_collects_what_it_paid_for(tmp_path: Path) -> None:
    record = tmp_path / "batches.jsonl"
    with OpenAIBatches(["in_progress"]) as server:
        with model_at(server.url, calls=2, record=record) as model:
            waiting = [
                threading.Thread(target=_ask_in_vain, args=(model, text, seed))
                for seed, text in enumerate(["a", "b"])
            ]
            for thread in waiting:
                thread.start()
            while not record.exists() or not record.read_text().endswith("\n"):
                time.sleep(0.005)
        for thread in waiting:
            thread.join()
        # The vendor finishes while nobody is there.
        server.route("GET /v1/batches/", Wire(lambda: server.batch("completed")))
        with record.open("a") as file:
            file.write('{"batch": {"id": "torn')
        with (
            pytest.warns(RepairWarning, match="may be paid again"),
            model_at(server.url, calls=3, record=record) as model,
        ):
            turns = ask_all(model, ["a", "b", "c"])
    assert [turn.text for turn in turns] == ["A", "B", "C"]
    sent = [line["body"]["input"][0]["content"] for line in server.lines]
    assert sent == ["a", "b", "c"]
    assert KEY not in record.read_text()
    first, torn, last = record.read_text().splitlines()
    assert torn == '{"batch": {"id": "torn'
    assert [len(json.loads(line)["calls"]) for line in (first, last)] == [2, 1]


def _ask_in_vain(model: LanguageModel, text: str, seed: int) -> None:
    with contextlib.suppress(ModelError):
        model.complete(Request([UserMessage(text)], seed=seed))


def test_a_batch_the_vendor_forgot_is_sent_again(tmp_path: Path) -> None:
    record = tmp_path / "batches.jsonl"
    with OpenAIBatches() as server:
        with model_at(server.url, record=record) as model:
            ask_all(model, ["a"])
        forgotten = Wire({"error": {"message": "no such batch"}}, 404)
        server.route("GET /v1/batches/", forgotten, Wire(lambda: server.batch("completed")))
        with model_at(server.url, record=record) as model:
            [turn] = ask_all(model, ["a"])
    assert turn.text == "A"
    assert len(server.uploads) == 2


def test_a_call_that_failed_in_a_batch_fails_alone() -> None:
    refused = {"status_code": 400, "body": {"error": {"message": "not so"}}}
    with OpenAIBatches() as server, model_at(server.url, calls=2) as model:
        server.errors = {"b": refused}
        with ThreadPoolExecutor(2) as threads:
            good = threads.submit(model.complete, Request([UserMessage("a")]))
            bad = threads.submit(model.complete, Request([UserMessage("b")]))
            assert good.result()[0].text == "A"
            with pytest.raises(ModelError, match="HTTP 400: not so"):
                bad.result()


def test_a_call_that_failed_in_passing_goes_into_another_batch() -> None:
    busy = {"status_code": 500, "body": {"error": {"message": "busy"}}}
    with OpenAIBatches() as server, model_at(server.url) as model:
        server.errors = {"a": busy}
        with pytest.raises(ModelError, match="HTTP 500 after 3 tries: busy"):
            model.complete(Request([UserMessage("a")]))
    assert len(server.uploads) == 3


def test_a_call_without_an_answer_in_its_batch_fails() -> None:
    with OpenAIBatches() as server, model_at(server.url) as model:
        server.route("GET /v1/files/out", Wire(""))
        with pytest.raises(ModelError, match="ended without an answer"):
            model.complete(Request([UserMessage("a")]))


def test_more_calls_than_a_batch_holds_go_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIResponsesModel, "batch_max_requests", 2)
    with OpenAIBatches() as server, model_at(server.url, calls=5) as model:
        turns = ask_all(model, ["a", "b", "c", "d", "e"])
    assert [turn.text for turn in turns] == ["A", "B", "C", "D", "E"]
    assert len(server.uploads) == 3


def test_a_failure_while_gathering_reaches_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ValueError("no size")

    monkeypatch.setattr(OpenAIResponsesModel, "batch_request_size", broken)
    with (
        OpenAIBatches() as server,
        model_at(server.url) as model,
        pytest.raises(ModelError, match="no size"),
    ):
        model.complete(Request([UserMessage("a")]))


def test_a_batch_is_made_when_the_vendor_has_time_for_it() -> None:
    with OpenAIBatches() as server, model_at(server.url) as model:
        made = Wire(lambda: server.batch("validating"))
        server.route("POST /v1/batches", Wire({}, 429), made)
        [turn] = model.complete(Request([UserMessage("a")]))
    assert turn.text == "A"


def test_a_batch_is_not_made_twice_after_a_doubtful_failure() -> None:
    with OpenAIBatches() as server, model_at(server.url) as model:
        server.route("POST /v1/batches", Wire({"error": {"message": "broken"}}, 500))
        with pytest.raises(ModelError, match="may have been made all the same: broken") as caught:
            model.complete(Request([UserMessage("a")]))
    assert (caught.value.transient, caught.value.maybe_paid) == (True, True)
    assert sum(seen.path == "/v1/batches" for seen in server.seen) == 1


def test_a_refused_key_ends_a_batch_at_once() -> None:
    with OpenAIBatches() as server, model_at(server.url, calls=2) as model:
        server.route("POST /v1/files", Wire({"error": {"message": f"bad {KEY}"}}, 401))
        with ThreadPoolExecutor(2) as threads:
            for future in [
                threads.submit(model.complete, Request([UserMessage(text)])) for text in "ab"
            ]:
                with pytest.raises(CredentialError) as caught:
                    future.result()
                assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["openai-compatible:tiny", "openai:gpt-5.4"])
def test_batches_are_refused_where_there_are_none(name: str) -> None:
    provider, _, model = name.partition(":")
    options = ModelOptions(base_url="http://127.0.0.1:9/v1", batch=True, api="chat")
    with pytest.raises(ConfigurationError, match="--batch works with openai"):
        make_vendor_model(provider, model, options)


def test_batches_of_anthropic() -> None:
    def results() -> str:
        [asked] = server.seen[0].body["requests"]
        result = {"type": "succeeded", "message": anthropic()}
        return json.dumps({"custom_id": asked["custom_id"], "result": result})

    def batch(status: str) -> object:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        return {
            "id": "msgbatch_1",
            "type": "message_batch",
            "processing_status": status,
            "request_counts": counts,
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-02T00:00:00Z",
            "results_url": f"{server.url}/v1/messages/batches/msgbatch_1/results",
        }

    routes = {
        "POST /v1/messages/batches": [Wire(lambda: batch("in_progress"))],
        "/results": [Wire(results)],
        "GET /v1/messages/batches/msgbatch_1": [Wire(lambda: batch("ended"))],
    }
    with (
        WireServer([Wire({}, 404)], routes) as server,
        model_at(server.url, "anthropic:claude-opus-4-8") as model,
    ):
        [turn] = model.complete(Request([UserMessage("hi")]))
    assert turn.text == "hello"
    # 5, 6.25 and 0.5 dollars a million in, 25 out, by half.
    full = (100 * 5 + 200 * 6.25 + 300 * 0.5 + 40 * 25) / 1e6
    assert turn.cost_usd == pytest.approx(full / 2)
    [asked] = server.seen[0].body["requests"]
    assert asked["params"]["max_tokens"] == 20_000


def test_batches_of_google() -> None:
    def results() -> str:
        key = re.search(rb'"key":\s*"([^"]+)"', server.seen[1].raw)
        assert key is not None
        return json.dumps({"key": key[1].decode(), "response": google()})

    kind = "GenerateContentBatch"

    def batch(state: str) -> object:
        done = {"responsesFile": "files/out"} if state.endswith("SUCCEEDED") else {}
        return {
            "name": "batches/1",
            "metadata": {
                "@type": f"type.googleapis.com/google.ai.generativelanguage.v1main.{kind}",
                "model": "models/gemini-3.1-pro-preview",
                "displayName": "batch",
                "state": state,
                "createTime": "2026-01-01T00:00:00Z",
                "name": "batches/1",
                "inputConfig": {"fileName": "files/in"},
                "output": done,
            },
            "done": bool(done),
            "response": done,
        }

    uploaded = {"file": {"name": "files/in", "uri": "x", "mimeType": "application/jsonl"}}
    final = {"X-Goog-Upload-Status": "final"}
    routes = {
        "POST /upload/v1beta/files": [
            Wire(
                {},
                headers={"X-Goog-Upload-URL": "URL/put", "X-Goog-Upload-Status": "active"},
            )
        ],
        "POST /put": [Wire(uploaded, headers=final)],
        "POST /v1beta/models/gemini-3.1-pro-preview:batchGenerateContent": [
            Wire(lambda: batch("BATCH_STATE_PENDING"))
        ],
        "GET /v1beta/batches/1": [Wire(lambda: batch("BATCH_STATE_SUCCEEDED"))],
        "files/out:download": [Wire(results)],
    }
    with (
        WireServer([Wire({}, 404)], routes) as server,
        model_at(server.url, "google:gemini-3.1-pro-preview") as model,
    ):
        [turn] = model.complete(Request([UserMessage("hi")]))
    assert turn.text == "hello"
    # 2 dollars a million in and 12 out, by half; what comes from the cache costs no less.
    assert turn.cost_usd == pytest.approx((40 * 2 / 2 + 60 * 0.2 + 50 * 12 / 2) / 1e6)
