"""The command ``llm-pv``; each command has its own file, imported when it is run."""

import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from typing import get_args

from cyclopts import (
    App,
    ArgumentCollection,
    CoercionError,
    CycloptsError,
    Group,
    Parameter,
    UnusedCliTokensError,
)

from llm_pv import __version__
from llm_pv.errors import ArgumentText, LLMPVError, RepairWarning

USAGE_ERROR = 2
INTERRUPTED = 130

COMMANDS = {
    "learn": "Learn a program from labelled rows, certify it and write it as a Python file.",
    "predict": "Add a prediction column to rows, the program confined.",
    "verify": "Score a program afresh on labelled rows, the program confined.",
    "ask": "Rank unlabelled rows by how well their labels would separate the possible programs.",
    "export": "Write a program as SQL, as a Python module or as an estimator file, checked.",
    "prompt": "Write the prompt for any chat window; learn reads the replies back.",
    "mcp": "Serve the verified loop to an assistant (Model Context Protocol), without a key.",
    "show": "Show an attempt of a run: the conversation with the model, its program, its scores.",
    "report": "Write a page, figures and tables about runs.",
    "compare": "Compare two runs on the test rows they share.",
    "doctor": "Show how untrusted code is confined here, and which extras and keys are available.",
}
"""The commands for a user's rows, in the order of their use."""

TRACKS = {
    "tasks": "List the benchmark's tasks: what each is, its lengths, an example of each class.",
    "data": "Write the data set of a benchmark task.",
    "synthesize": "Learn programs for a grid of benchmark tasks: functions by lengths by trials.",
    "icl": "Label inputs from examples in a model's prompt, in context, one at a time.",
    "finetune": "Train a language model, from scratch or pretrained, on a task or your own rows.",
    "sweep": "Train language models over a grid of options, one folder a job.",
    "baselines": "Fit classical learners on the benchmark's data sets, or on rows.",
    "agent": "Let a model explore training rows with a Python tool and hand in code.",
    "paper": "Measure the paper's table: the built-in search and every baseline.",
}
"""The commands for the benchmark and the methods compared on it."""


def _refuse_fractions(_app: App, _commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Refuse 7.5 as a whole number; cyclopts would round it."""
    for argument in arguments:
        kinds = set(_kinds(argument.hint))
        for token in argument.tokens if int in kinds and float not in kinds else ():
            _, _, fraction = token.value.partition(".")
            if fraction.strip("0"):
                raise CoercionError(argument=argument, token=token, target_type=int)


_NO_NEGATIVES = Parameter(negative="")
"""No option has a --no-... or an --empty-... beside it, unless it asks for one."""


def _kinds(hint: object) -> Iterator[object]:
    """Yield a type and those it is made of."""
    yield hint
    for part in get_args(hint):
        yield from _kinds(part)


_app = partial(
    App, help_format="plaintext", config=_refuse_fractions, default_parameter=_NO_NEGATIVES
)

app = _app(
    name="llm-pv",
    help=(
        "Learn a readable, certified program from labelled examples.\n\n"
        "Try first: llm-pv learn rows.csv --target COLUMN"
    ),
    help_epilogue="Every command takes --debug, which shows the traceback of an error.",
    version=__version__,
    group_commands=Group("Other", sort_key=3),
)
for _heading, _commands in (("Work with rows", COMMANDS), ("Benchmark and tracks", TRACKS)):
    _group = Group(_heading, sort_key=1 + int(_commands is TRACKS))
    for _place, (_name, _help) in enumerate(_commands.items()):
        _target = f"llm_pv.cli.{_name}:{_name}"
        app.command(_target, name=_name, help=_help, group=_group, sort_key=_place)


def published_app(name: str, summary: str) -> App:
    """Return the application of a command of the first version, to which its function is added."""
    return _app(name=name, help=summary, version_flags=[])


def run(arguments: Sequence[str]) -> int:
    """Run one command line of `llm-pv` and return its exit status."""
    from llm_pv.cli.variations import combinations, refused, run_all

    if why := refused(arguments):
        complain(why)
        return USAGE_ERROR
    if (several := combinations(arguments)) is not None:
        return run_all(*several, lambda words: run_app(app, words))
    return run_app(app, arguments)


def run_app(application: App, arguments: Sequence[str]) -> int:
    """Run one command line of an application and return its exit status.

    0 is success, 1 a negative answer (no program found), 2 an impossible request, explained in
    one line, and 130 an interruption by Ctrl-C or SIGTERM.
    """
    words = [word for word in arguments if word != "--debug"]
    application.suppress_keyboard_interrupt = False  # how to continue would not be shown
    with _stopped_by_signals(), _warnings_in_one_line():
        try:
            status = application(
                words, exit_on_error=False, print_error=False, result_action="return_value"
            )
            sys.stdout.flush()
        except BrokenPipeError:
            _give_up_output()  # the reader of a pipe has closed it, which is no error
            return 0
        except KeyboardInterrupt as interrupt:
            complain("; ".join(["interrupted", *map(str, interrupt.args)]))
            return INTERRUPTED
        except (CycloptsError, LLMPVError, OSError) as error:
            if "--debug" in arguments:
                raise
            if isinstance(error, CycloptsError):
                command = " ".join([application.name[0], *(error.command_chain or ())])
                complain(f"{_in_plain_words(error)} ({command} --help lists what there is)")
            elif isinstance(error, LLMPVError):
                complain(with_options(error, words, application))
            else:
                complain(f"the system refused: {error}")
                _give_up_output()
            return USAGE_ERROR
        return status if isinstance(status, int) else 0


def _in_plain_words(error: CycloptsError) -> str:
    """Return what is wrong with a command line, without the names of types of Python."""
    if isinstance(error, UnusedCliTokensError):
        words = ", ".join(map(repr, error.unused_tokens or ()))
        return f"{words} is not expected here: quote a value that holds spaces, or leave it out"
    text = " ".join(str(error).split())
    return text.replace(" into int.", " into a whole number.").replace(
        " into float.", " into a number."
    )


def with_options(error: LLMPVError, words: Sequence[str], application: App) -> str:
    """Return an error's message, which names arguments by the options of a command line."""
    if not error.parts:
        return str(error)
    _, commands, _ = application.parse_commands(words)
    arguments = commands[-1].assemble_argument_collection()
    options = {argument.keys[-1]: argument.name for argument in arguments if argument.keys}
    given = {word.partition("=")[0].replace("_", "-") for word in words}

    def shown(part: str) -> str:
        if not isinstance(part, ArgumentText):
            return part
        own = "--" + part.argument.replace("_", "-")
        option = own if own in given else options.get(part.argument)
        return f"{option} {part.rest}" if option else part

    return "".join(map(shown, error.parts))


@contextmanager
def resumable(how: str) -> Iterator[None]:
    """Show a user who interrupts the block how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how) from None


def main() -> None:
    """Run the command line of this process."""
    # Importing allocates many objects that stay: the usual threshold costs a sixth of its time.
    gc.set_threshold(50_000, 20, 100)
    repair_streams()
    status = run(sys.argv[1:])
    gc.freeze()  # the collections at Python's end look at all that was imported, for half a second
    sys.exit(status)


def repair_streams() -> None:
    """Make output safe if a stream is closed or its encoding lacks a character."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # the descriptor is free, and a file of the run would get it
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))
        elif mode == "w" and isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@dataclass
class _Signals:
    """What the signals of the running command do."""

    at_ctrl_c: Callable[[], bool] | None = None
    last: int = 2  # the signal with this number ends the process immediately


_signals = _Signals()


@contextmanager
def first_ctrl_c(end: Callable[[], bool]) -> Iterator[None]:
    """Let the first Ctrl-C of the block call a function; one that returns False is interrupted.

    The function is called between any two instructions of the main thread.
    """
    _signals.at_ctrl_c = end
    try:
        yield
    finally:
        _signals.at_ctrl_c = None


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end a command cleanly, and the next one of either immediately.

    Files are consistent at any moment, and the processes of the sandbox, of a grid and of a
    sweep end with this one. A signal that is ignored, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopping = False
    _signals.last = 2

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        if stopping:
            _end_at_once()
        end = _signals.at_ctrl_c if number == signal.SIGINT else None
        if end is not None and end():
            _signals.at_ctrl_c = None
            _signals.last = 3
            return
        stopping = True
        raise KeyboardInterrupt

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {
        number: signal.signal(number, stop)
        for number, handler in usual.items()
        if signal.getsignal(number) == handler
    }
    try:
        with _counted(before):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _counted(signals: Collection[int]) -> Iterator[None]:
    """End this process at the last signal, even while the main thread is not in Python code.

    Signal handlers run only between two instructions of Python; the wake-up pipe gets the number
    of a signal immediately, and a separate thread reads it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    others = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    end = 0  # no signal has this number

    def count() -> None:
        seen = 0
        while (number := os.read(reader, 1)[0]) != end:
            seen += number in signals
            if seen == _signals.last:
                _end_at_once()

    counter = threading.Thread(target=count, name="signals", daemon=True)
    counter.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(others)
        os.write(writer, bytes([end]))
        counter.join()
        os.close(reader)
        os.close(writer)


_FOR_PROGRAMMERS = (FutureWarning, DeprecationWarning, PendingDeprecationWarning)


def _end_at_once() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the cursor a progress bar has hidden
    os._exit(INTERRUPTED)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show warnings in the format of errors; hide libraries' warnings for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RepairWarning)

        def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
            if issubclass(category, RepairWarning):
                complain(str(message))
            elif not issubclass(category, _FOR_PROGRAMMERS):
                complain(f"{message} ({category.__name__})")

        warnings.showwarning = show
        yield


def _give_up_output() -> None:
    """Prevent Python's error at exit about standard output that cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str) -> None:
    """Write one line to standard error; control characters become escapes."""
    from llm_pv.programs.shown import escaped

    sys.stderr.write(f"llm-pv: {escaped(' '.join(message.split()))}\n")
