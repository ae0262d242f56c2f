"""OpenTelemetry spans, where an exporter is configured; nothing at all where none is.

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
    """What is being recorded; a hole in the ground where nothing is.

    Parameters
    ----------
    span
        OpenTelemetry's span, None if nothing is recorded.
    """

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        """Add what became known only now; what is None is left out."""
        if self._span is not None:
            self._span.set_attributes(
                {name: value for name, value in attributes.items() if value is not None}
            )


@contextmanager
def span(name: str, /, **attributes: Attribute) -> Iterator[Recording]:
    """Record how long a block takes, under a name and with attributes.

    A block that raises is marked with the class of its error, never with the message: that may
    quote what a server said.

    Parameters
    ----------
    name
        What happens in it, such as ``"verify"``.
    **attributes
        What is known beforehand; names with dots go in as ``**{"gen_ai.system": "openai"}``.

    Yields
    ------
    Recording
        Takes what becomes known within the block.

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
    # Importing OpenTelemetry costs a tenth of a second, so only who wants spans pays for it.
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
    """Send spans to the configured endpoint, unless the program has a provider of its own."""
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
