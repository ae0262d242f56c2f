"""Spans: where an exporter is configured, and only there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_pv import telemetry
from llm_pv.telemetry import span
from wire_servers import Wire, WireServer, chat

SOURCE = Path(__file__).parents[1] / "src"

CALL = """
from llm_pv.errors import ModelError
from llm_pv.models import ModelOptions, Request, UserMessage, make_model
from llm_pv.telemetry import span
model = make_model("openai-compatible:tiny", ModelOptions(base_url=BASE, retries=0))
with span("attempt", number=3) as recording:
    recording.note(verified=True, nothing=None)
    model.complete(Request([UserMessage("the secret rows")]))
    try:
        model.complete(Request([UserMessage("the secret rows")]))
    except ModelError:
        pass
model.close()
"""


def run(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    kept |= {"PYTHONPATH": str(SOURCE), **environment}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_spans_go_to_the_configured_endpoint_without_contents() -> None:
    replies = [Wire(chat("a secret answer")), Wire({"error": {"message": "a secret"}}, 400)]
    routes = {"POST /v1/traces": [Wire({})]}
    with WireServer(replies, routes) as server:
        code = f"BASE = {server.url + '/v1'!r}\n{CALL}"
        run(code, OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
    sent = [seen.raw for seen in server.seen if seen.path == "/v1/traces"]
    spans: dict[str, list[Span]] = {}
    for raw in sent:
        assert b"secret" not in raw
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            for scope in resource.scope_spans:
                for each in scope.spans:
                    spans.setdefault(each.name, []).append(each)
    [attempt] = spans["attempt"]
    good, bad = sorted(spans["chat tiny"], key=lambda each: each.start_time_unix_nano)
    assert good.parent_span_id == bad.parent_span_id == attempt.span_id
    told = {each.key: each.value for each in good.attributes}
    assert told["gen_ai.request.model"].string_value == "tiny"
    assert told["gen_ai.provider.name"].string_value == "openai-compatible"
    assert told["gen_ai.usage.input_tokens"].int_value == 11
    assert told["gen_ai.usage.output_tokens"].int_value == 7
    assert {each.key: each.value for each in bad.attributes}["error.type"].string_value
    assert bad.status.code == 2
    assert bad.events == []
    assert {each.key for each in attempt.attributes} == {"number", "verified"}


def test_nothing_is_imported_where_no_exporter_is_configured() -> None:
    code = (
        "import sys\nfrom llm_pv.telemetry import span\n"
        "with span('a') as recording: recording.note(b=1)\n"
        "print('opentelemetry' in sys.modules)"
    )
    assert run(code) == "False\n"


def test_a_missing_library_is_no_failure() -> None:
    code = (
        "import sys\nsys.modules['opentelemetry'] = None\nfrom llm_pv.telemetry import span\n"
        "with span('a') as recording: recording.note(b=1)\nprint('done')"
    )
    assert run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == "done\n"


def test_a_missing_exporter_is_no_failure() -> None:
    code = (
        "import sys\nsys.modules['opentelemetry.sdk.trace'] = None\n"
        "from llm_pv.telemetry import span\nwith span('a'): print('done')"
    )
    assert run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == "done\n"


def test_a_program_that_has_a_provider_gets_the_spans() -> None:
    code = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from llm_pv.telemetry import span
try:
    with span("outer", rows=2):
        raise ValueError("quoting a secret")
except ValueError:
    pass
[told] = exporter.get_finished_spans()
status = told.status.status_code.name
print(json.dumps([told.name, dict(told.attributes), status, len(told.events)]))
"""
    told = json.loads(run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"))
    assert told == ["outer", {"rows": 2, "error.type": "ValueError"}, "ERROR", 0]


def test_spans_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with span("outer", rows=2, nothing=None) as recording:
        recording.note(mistakes=1)
        with pytest.raises(ValueError, match="as it is"), span("inner"):
            raise ValueError("as it is")
    inner, outer = exporter.get_finished_spans()
    assert outer.attributes == {"rows": 2, "mistakes": 1}
    assert inner.attributes == {"error.type": "ValueError"}
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    provider.shutdown()


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TracerProvider]]:
    """Let the process seem to have no provider; gives those that are set."""
    chosen: list[TracerProvider] = []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setattr(trace, "set_tracer_provider", chosen.append)
    telemetry._export.cache_clear()
    yield chosen
    telemetry._export.cache_clear()
    for provider in chosen:
        provider.shutdown()


def test_the_exporter_is_set_up_once(
    providers: list[TracerProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "a-service")
    for _ in range(3):
        with span("a"):
            pass
    [provider] = providers
    assert provider.resource.attributes["service.name"] == "a-service"


def test_no_exporter_is_set_up_over_a_programs_own(
    providers: list[TracerProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)
    with span("a"):
        pass
    assert providers == []


@pytest.mark.parametrize("missing", ["opentelemetry.sdk.trace", "opentelemetry"])
def test_what_is_not_installed_is_done_without(
    providers: list[TracerProvider], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    done = []
    with span("a") as recording:
        recording.note(b=1)
        done.append(True)
    assert done == [True]
    assert providers == []


def test_nothing_is_recorded_where_nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    with span("a") as recording:
        recording.note(b=1)
    assert "opentelemetry.trace" not in sys.modules


def test_a_block_that_raises_raises_on() -> None:
    with pytest.raises(ValueError, match="as it is"), span("a"):
        raise ValueError("as it is")
