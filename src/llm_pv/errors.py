"""The errors of this package; each message includes the remedy."""

from typing import Any, Self


class ArgumentText(str):
    """A part of a message that begins with the name of an argument.

    Examples
    --------
    >>> ArgumentText("attempts", "is 0; give 1 or more")
    'attempts is 0; give 1 or more'
    """

    __slots__ = ("argument", "rest")
    argument: str
    rest: str

    def __new__(cls, argument: str, rest: str) -> Self:
        """Return the text of both, with a blank between."""
        text = super().__new__(cls, f"{argument} {rest}")
        text.argument, text.rest = argument, rest
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return ArgumentText, (self.argument, self.rest)


class LLMPVError(Exception):
    """Base class of the errors of this package.

    The command line prints the message in one line and exits with status 2; ``--debug`` shows the
    traceback. A message names the value, the rule it violates and the remedy.

    Attributes
    ----------
    ends_run
        Whether every other cell would fail too, so that the whole run ends with this error.
    parts
        The parts of its message, if some of them name an argument, of which the command line shows
        the option instead.

    Examples
    --------
    >>> import pickle
    >>> pickle.loads(pickle.dumps(MissingExtraError("ray", "ray", "run on a cluster"))).args[0]
    "ray is needed to run on a cluster: pip install 'llm-pv[ray]'"
    """

    ends_run = False
    parts: tuple[str, ...] = ()

    @classmethod
    def of_parts(cls, *parts: str) -> Self:
        """Return the error of a message with these parts."""
        error = cls("".join(parts))
        error.parts = parts
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through __init__, which may take other arguments than the finished message.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[LLMPVError], args: tuple[Any, ...], state: dict[str, Any]) -> LLMPVError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class WorkerLostError(LLMPVError, RuntimeError):
    """Raised if a process, here or on another machine, ends before it answers."""


class ExecutorClosedError(WorkerLostError):
    """Raised if the executor is closed before or during a computation."""

    ends_run = True


class DataError(LLMPVError, ValueError):
    """Raised if rows cannot be read, labelled or split as requested."""


class ConfigurationError(LLMPVError, ValueError):
    """Raised for an invalid option or combination of options.

    Parameters
    ----------
    reason
        The message; without its first word, the argument, where one is named.
    argument
        The argument that is invalid; the command line shows its option instead.

    Examples
    --------
    >>> str(ConfigurationError("is 0; give 1 or more", "attempts"))
    'attempts is 0; give 1 or more'
    """

    def __init__(self, reason: str, argument: str = "") -> None:
        text = ArgumentText(argument, reason) if argument else reason
        super().__init__(str(text))
        self.parts = (text,)


class ProgramError(LLMPVError, ValueError):
    """Raised if a text is not a program: no code, no entry point ``f``, or a syntax error."""


class SandboxError(LLMPVError, RuntimeError):
    """Raised if the sandbox itself fails; failures of a candidate are in its `Execution`."""


class ConfinementError(SandboxError):
    """Raised if untrusted code cannot be confined and running it unconfined is not allowed."""

    ends_run = True


class RunError(LLMPVError, RuntimeError):
    """Raised if a run directory cannot be written, read or resumed."""

    ends_run = True


class ClusterError(LLMPVError, RuntimeError):
    """Raised if a cluster cannot be reached, or its machines lack what a task needs."""

    ends_run = True


class RepairWarning(UserWarning):
    """Warning that an incomplete log, or a finished cell with missing files, was repaired."""


class ModelError(LLMPVError, RuntimeError):
    """Raised if a call of a language model fails finally, after its retries.

    Parameters
    ----------
    message
        The reason, in one line without secrets.
    transient
        Whether the same call may succeed at another time.
    maybe_paid
        Whether the failed call may be billed.
    possibly_billed
        The number of its tries that may be billed; None for one if ``maybe_paid``.
    body
        The unreadable reply of the server, cut and without secrets.

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


class ToolRefusedError(ModelError):
    """Raised if the server of a language model offers no tools."""


class BudgetError(LLMPVError, RuntimeError):
    """Raised if the budget does not cover the next call of a language model."""


class CredentialError(ModelError):
    """Raised if a key is missing or rejected, as it would be for every call of the run."""

    ends_run = True


class MissingExtraError(LLMPVError, ImportError):
    """Raised if an optional dependency is needed and not installed.

    Parameters
    ----------
    package
        The name on the package index, such as ``"pyarrow"``.
    extra
        The extra of this package that installs it, such as ``"parquet"``.
    purpose
        What it is needed for, as the end of the sentence "... is needed to ...".

    Examples
    --------
    >>> str(MissingExtraError("pyarrow", "parquet", "read Parquet files"))
    "pyarrow is needed to read Parquet files: pip install 'llm-pv[parquet]'"
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed to {purpose}: pip install 'llm-pv[{extra}]'")
