"""Every error a user can meet, each message saying what to do about it."""

from typing import Any


class LLMPVError(Exception):
    """Base of all errors the package raises on purpose.

    The command line prints the message in one line and exits with status 2; ``--debug`` shows the
    traceback. A message names the value, the rule it broke and the way out.

    Attributes
    ----------
    ends_run
        Whether no other cell of a run can do better, so that the whole run ends with this error.

    Examples
    --------
    >>> import pickle
    >>> pickle.loads(pickle.dumps(MissingExtraError("ray", "ray", "run on a cluster"))).args[0]
    "ray is needed to run on a cluster: pip install 'llm-pv[ray]'"
    """

    ends_run = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Past __init__, which may take other arguments than the finished message.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[LLMPVError], args: tuple[Any, ...], state: dict[str, Any]) -> LLMPVError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class WorkerLostError(LLMPVError, RuntimeError):
    """A process, here or on another machine, ended before it answered."""


class ExecutorClosedError(WorkerLostError):
    """The executor was closed while something was computed there, or before."""

    ends_run = True


class DataError(LLMPVError, ValueError):
    """Rows that cannot be read, labelled or split as asked."""


class ConfigurationError(LLMPVError, ValueError):
    """An option, or a combination of options, that cannot work."""


class ProgramError(LLMPVError, ValueError):
    """A candidate that is not a program: no code, no entry point ``f``, or a syntax error."""


class SandboxError(LLMPVError, RuntimeError):
    """The sandbox itself failed; what a candidate does wrong is an `Execution`, never an error."""


class ConfinementError(SandboxError):
    """Untrusted code cannot be confined here, and running it unconfined was not allowed."""

    ends_run = True


class RunError(LLMPVError, RuntimeError):
    """A run directory that cannot be written, read or resumed."""

    ends_run = True


class ClusterError(LLMPVError, RuntimeError):
    """A cluster that cannot be reached, or whose machines cannot do what is asked of them."""

    ends_run = True


class RepairWarning(UserWarning):
    """A log cut short, or a finished cell that had lost records or files, was mended; no error."""


class ModelError(LLMPVError, RuntimeError):
    """A call of a language model that failed for good, after its retries.

    Parameters
    ----------
    message
        What happened, in one line without secrets.
    passing
        Whether the same call may succeed at another time.
    maybe_paid
        Whether the vendor may charge for it although no answer came.
    possibly_billed
        How many of its tries the vendor may charge for; None for one if ``maybe_paid``.
    body
        What the server sent where it could not be read, cut and without secrets.

    Examples
    --------
    >>> ModelError("no answer within 5 seconds", maybe_paid=True).possibly_billed
    1
    >>> ModelError("HTTP 400", possibly_billed=2).maybe_paid
    True
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = False,
        maybe_paid: bool = False,
        possibly_billed: int | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.possibly_billed = int(maybe_paid) if possibly_billed is None else possibly_billed
        self.maybe_paid = maybe_paid or self.possibly_billed > 0
        self.body = body


class BudgetError(LLMPVError, RuntimeError):
    """A budget that does not cover the next call of a language model."""


class CredentialError(ModelError):
    """A key that is missing or refused; no other call of the run can do better."""

    ends_run = True


class MissingExtraError(LLMPVError, ImportError):
    """An optional dependency is needed and not installed.

    Parameters
    ----------
    package
        The name on the package index, such as ``"pyarrow"``.
    extra
        The extra of this package that brings it, such as ``"parquet"``.
    purpose
        What it is needed for, as the end of the sentence "... is needed to ...".

    Examples
    --------
    >>> str(MissingExtraError("pyarrow", "parquet", "read Parquet files"))
    "pyarrow is needed to read Parquet files: pip install 'llm-pv[parquet]'"
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed to {purpose}: pip install 'llm-pv[{extra}]'")
