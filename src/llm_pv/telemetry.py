"""OpenTelemetry spans if an exporter is configured; no effect otherwise.

Spans go to the endpoint that ``OTEL_EXPORTER_OTLP_ENDPOINT`` or
``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` names, if the OpenTelemetry SDK and its OTLP exporter over
HTTP are installed; a program that set up OpenTelemetry itself before gets them through its own
provider. They hold names, counts and times, never a prompt, a reply, a row or a key.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Attribute: TypeAlias = str | bool | int | float | None

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Recording:
    """The current span; a no-op if nothing is recorded."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        """Add attributes; those that are None are left out."""
        if self._span is not None:
            self._span.set_attributes(
                {name: value for name, value in attributes.items() if value is not None}
            )


@contextmanager
def span(name: str, /, **attributes: Attribute) -> Iterator[Recording]:
    """Record the duration of a block, under a name and with attributes.

    A block that raises is marked with the class of its error, not with the message, which may
    quote a server's text.

    Parameters
    ----------
    **attributes
        The initial attributes; names with dots are passed as ``**{"gen_ai.system": "openai"}``.

    Yields
    ------
    Recording
        Accepts further attributes within the block.

    Examples
    --------
    >>> with span("verify", rows=100) as recording:
    ...     recording.note(mistakes=3)
    """
    tracer = _tracer()
    if tracer is None:
        yield Recording()
        return
    from opentelemetry.trace import StatusCode

    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as started:
        recording = Recording(started)
        recording.note(**attributes)
        try:
            yield recording
        except BaseException as error:
            recording.note(**{"error.type": type(error).__name__})
            started.set_status(StatusCode.ERROR)
            raise


def _tracer() -> "Tracer | None":
    configured = any(os.environ.get(name) for name in ENDPOINTS)
    # Importing OpenTelemetry takes a tenth of a second, so it is imported only if configured.
    if not configured and "opentelemetry.trace" not in sys.modules:
        return None
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    if configured:
        _export()
    return trace.get_tracer("llm_pv")


@cache
def _export() -> None:
    """Send spans to the configured endpoint, unless the program has set up a provider."""
    from opentelemetry import trace

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return
    name = os.environ.get("OTEL_SERVICE_NAME", "llm-pv")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
