"""Recognise transient errors of a call, retry after a delay, and translate final errors.

Every request is one try: the vendors' clients are configured not to retry by themselves.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
    UserError,
)
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from llm_pv.errors import CredentialError, ModelError
from llm_pv.models.connection import MOST_KEPT, SPARE, RequestMonitor
from llm_pv.models.credentials import Redactor

Result = TypeVar("Result")

TRANSIENT_STATUSES = (408, 409, 429)
"""HTTP statuses under 500 after which the same request may succeed."""

GATEWAY_TIMEOUTS = (408, 502, 504, 520, 524)
"""Statuses of a gateway that got no answer, or half of one: the model may have given it, billed."""

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Failures before the request was sent."""

REFUSED_KEY = (401, 403)

LONGEST_DETAIL = 300
"""The most characters of a server's explanation in an error."""


@dataclass(frozen=True)
class Backoff:
    """The delays between tries, in seconds."""

    first: float = 1.0
    longest: float = 60.0
    """The first and the longest delay; each doubles the last. A random share of up to half is
    subtracted, so that calls that failed together are not retried together."""
    longest_asked: float = 300.0
    "The longest delay that a server can request (``Retry-After``)."
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds before the next try."""
        backoff = min(self.first * 2.0 ** (state.attempt_number - 1), self.longest)
        # Calls that were refused together must not all be retried together.
        jitter = random.uniform(0.0, backoff / 2)  # noqa: S311 - no secret depends on it
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after", None)
        if asked is None:
            return backoff - jitter
        return min(float(asked), self.longest_asked) + jitter


def is_transient(error: BaseException) -> bool:
    """Return whether the error is transient: the same request may succeed later."""
    if isinstance(error, ModelQuotaExceededError) or own_error(error) is not None:
        return False
    if isinstance(error, ModelHTTPError):
        return error.status_code in TRANSIENT_STATUSES or error.status_code >= 500
    return isinstance(
        error,
        ModelConnectionError
        | ModelRateLimitError
        | ModelRequestTimeout
        | ModelServerError
        | ModelUnavailableError,
    )


async def call_with_retries(
    call: Callable[[], Coroutine[Any, Any, Result]],
    retries: int,
    backoff: Backoff,
    retry: Callable[[BaseException], bool] = is_transient,
) -> Result:
    """Make a call, and retry it after transient errors."""
    retrying = AsyncRetrying(
        stop=stop_after_attempt(retries + 1),
        retry=retry_if_exception(retry),
        wait=backoff.wait,
        sleep=backoff.sleep,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await call()
    raise AssertionError("a retry controller that makes no try")


def translate(
    error: Exception, name: str, redact: Redactor, monitor: RequestMonitor, variable: str
) -> ModelError:
    """Return an error of the library as one of this package, in one line without secrets.

    Parameters
    ----------
    variable
        The environment variable of the key, for the message.
    """
    after = f" after {monitor.sent} tries" if monitor.sent > 1 else ""
    body = _kept(monitor, redact)
    billed = monitor.possibly_billed
    own = own_error(error)
    if own is not None:
        said = f"{name}: {redact(str(own))}{after}"
        return type(own)(
            said, transient=own.transient, possibly_billed=billed, body=own.body or body
        )
    detail = redact(explanation(error))
    if isinstance(error, ModelQuotaExceededError):
        said = f"{name}: the account has no credit or quota left: {detail}"
        return CredentialError(said, possibly_billed=billed)
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    if status in REFUSED_KEY or isinstance(error, ModelAuthenticationError):
        shown = f" (HTTP {status})" if status else ""
        wrong = f"refused the key of {variable}" if redact.has_key else f"wants a key: {variable}"
        said = f"{name}: the server {wrong}{shown}: {detail}"
        return CredentialError(said, possibly_billed=billed)
    if status == 404:
        detail += " (is the model's name right, and --base-url, which mostly ends with /v1?)"
    if status is not None:
        said = f"{name}: HTTP {status}{after}: {detail}"
        return ModelError(said, transient=is_transient(error), possibly_billed=billed)
    transient = not isinstance(error, UserError)
    return ModelError(
        f"{name}: {detail}{after}", transient=transient, possibly_billed=billed, body=body
    )


def _kept(monitor: RequestMonitor, redact: Redactor) -> str:
    text = redact.reply(monitor.received.decode("utf-8", "replace"))
    return text if len(monitor.received) <= MOST_KEPT else text[: min(MOST_KEPT, len(text) - SPARE)]


def possibly_billed(error: BaseException) -> bool:
    """Return whether a try that failed with this error may be billed.

    The vendor may have generated the answer before the connection broke, the request or a gateway
    timed out, or the answer was damaged; not if it rejected the request or was never reached.
    """
    own = own_error(error)
    if own is not None:
        return own.maybe_paid
    if isinstance(error, ModelHTTPError):
        return error.status_code in GATEWAY_TIMEOUTS
    if isinstance(error, UserError):
        return False
    return not any(isinstance(each, NOT_SENT) for each in _chain(error))


def own_error(error: BaseException) -> ModelError | None:
    """Return the error of this package that a client wrapped in its own, if any."""
    return next((each for each in _chain(error) if isinstance(each, ModelError)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def explanation(error: Exception) -> str:
    """Return the message of the server or the network, in one line."""
    if isinstance(error, ModelHTTPError):
        said = _message(error.body)
    elif isinstance(error, ModelRequestTimeout):
        said = f"no answer within {error.timeout:g} seconds"
    elif isinstance(error, ModelConnectionError):
        *_, root = chain = list(_chain(error))
        notes = {note for each in chain for note in getattr(each, "__notes__", ())}
        said = f"the connection failed: {type(root).__name__} {root} {' '.join(notes)}"
    elif invalid := next((e for e in _chain(error) if isinstance(e, ValidationError)), None):
        said = f"a reply that cannot be read: {_lacking(invalid)}"
    elif isinstance(error, UnexpectedModelBehavior):
        said = f"a reply that cannot be read: {error}"
    elif isinstance(error, ModelAPIError | UserError):
        said = str(error)
    elif isinstance(error, TypeError | AttributeError | LookupError):
        said = (
            f"a reply that cannot be read: it is not in the vendor's form ({type(error).__name__})"
        )
    else:
        said = f"a reply that cannot be read: {type(error).__name__}: {error}"
    line = " ".join(said.split())
    return line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 3] + "..."


def _lacking(error: ValidationError) -> str:
    """Return the problem with a reply, without the library's own text and addresses."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "an object"
    return f"the reply lacks {'' if first['type'] == 'missing' else 'a valid '}{place}"


def _message(body: Any) -> str:
    """Return the message of an error body, whose place depends on the vendor."""
    if isinstance(body, list) and body:
        return _message(body[0])
    if isinstance(body, dict):
        for key in ("error", "message", "detail", "error_message"):
            if body.get(key):
                return _message(body[key])
    return str(body) if body else "no explanation"
