"""SIGTERM stops a command as Ctrl-C does; a second signal ends it at once, with all it began."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llm_pv.cli.main import INTERRUPTED, run
from rows import ALWAYS_ONE, FIRST_BIT, PARITY

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
ENDLESS = "def f(x):\n    while True:\n        pass\n"
SIGNALS = [signal.SIGINT, signal.SIGTERM]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """A function that starts Python on a script; what is still running at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(script: str, *words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *words], text=True, env=ENVIRONMENT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


COMMAND = "import sys; from llm_pv.cli.main import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture
def words(tmp_path: Path) -> dict[str, list[str]]:
    """Commands that verify one program and then get caught in an endless one."""
    rows = tmp_path / "rows.txt"
    texts = [f"{number:07b}" for number in range(100)]
    rows.write_text("".join(f"{text} -> {text.count('1') % 2}\n" for text in texts))
    replies = tmp_path / "replies.jsonl"
    replies.write_text("".join(json.dumps(text) + "\n" for text in (FIRST_BIT, ENDLESS, PARITY)))
    common = [
        "--proposer", f"replay:{replies}", "--wall-seconds", "600", "--cpu-seconds", "600",
        "--workers", "1", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    grid = [
        "--functions", "fn_a", "--lengths", "20", "--trials", "1", "--test-size", "20",
        "--dataset-dir", str(tmp_path / "datasets"), "--no-transfer",
    ]  # fmt: skip
    return {"learn": ["learn", str(rows), *common], "synthesize": ["synthesize", *grid, *common]}


def wait_for_first_attempt(process: "subprocess.Popen[str]", run_directory: Path) -> list[str]:
    """Wait until one program is verified and the endless one is under way."""
    replies, attempts = (run_directory / n for n in ("replies.jsonl", "results_attempts.jsonl"))
    while process.poll() is None:
        if attempts.exists() and replies.exists() and len(lines(replies)) == 3 and lines(attempts):
            break
        time.sleep(0.01)  # between two looks; nothing depends on how long
    return lines(attempts)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def end_the_endless(run_directory: Path) -> None:
    """What is on disk is not asked for again: put an end to the recorded loop."""
    replies = run_directory / "replies.jsonl"
    replies.write_text(replies.read_text().replace(json.dumps(ENDLESS), json.dumps(ALWAYS_ONE)))


@pytest.mark.parametrize("command", ["learn", "synthesize"])
def test_sigterm_stops_cleanly_and_the_same_command_goes_on(
    tmp_path: Path, words: dict[str, list[str]], command: str, start: Start
) -> None:
    process = start(COMMAND, *words[command])
    before = wait_for_first_attempt(process, tmp_path / "run")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    shown, complaint = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED == 130
    assert shown == ""
    assert complaint.splitlines()[-1] == (
        f"llm-pv: interrupted; the same command with --out {tmp_path / 'run'} continues from here"
    )
    assert "Traceback" not in complaint
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == []
    end_the_endless(tmp_path / "run")
    assert run(words[command]) == 0
    after = lines(tmp_path / "run" / "results_attempts.jsonl")
    assert after[: len(before)] == before
    assert len(list((tmp_path / "run" / "programs").iterdir())) == 1


STUCK = """
    import sys, threading
    from llm_pv.cli.main import run
    from llm_pv.sandbox.worker_pool import WorkerPool
    def close(self):
        print("closing", file=sys.stderr, flush=True)
        while not threading.Event().wait(0.1):  # a signal gets its turn in between
            pass
    WorkerPool.close = close
    sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("command", "second"), [("learn", signal.SIGINT), ("synthesize", signal.SIGTERM)]
)
def test_a_second_signal_ends_a_stop_that_takes_long_and_leaves_no_process(
    tmp_path: Path,
    words: dict[str, list[str]],
    command: str,
    second: signal.Signals,
    start: Start,
) -> None:
    process = start(STUCK, *words[command])
    before = wait_for_first_attempt(process, tmp_path / "run")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "closing" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(second)
    assert process.wait(60) == INTERRUPTED
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == []
    end_the_endless(tmp_path / "run")
    assert run(words[command]) == 0
    assert lines(tmp_path / "run" / "results_attempts.jsonl")[: len(before)] == before


IN_C = """
    import ctypes, os, signal, sys
    from contextlib import suppress
    from cyclopts import App
    from llm_pv.cli.main import run_app

    app = App(name="caught")
    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)

    @app.command
    def wait():
        library.pthread_mutex_lock(mutex)
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        print("begun", flush=True)
        library.pthread_mutex_lock(mutex)  # for ever, and no signal wakes it

    sys.exit(run_app(app, ["wait"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a mutex of zeros is one on Linux")
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_ends_what_never_comes_back_from_c(
    second: signal.Signals, start: Start
) -> None:
    process = start(IN_C)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
        assert process.poll() is None
    process.send_signal(second)
    assert process.wait(60) == INTERRUPTED


IN_A_CALL = """
    import os, sys, threading, time
    import psutil
    from llm_pv.runs.executors.local import WorkerProcesses
    workers = WorkerProcesses(1)
    threading.Thread(target=workers.call, args=(time.sleep, 10**6), daemon=True).start()
    while not psutil.Process().children():
        pass
    print("begun", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""

UNCONFINED = """
    import os, sys, threading
    from llm_pv.sandbox import Limits, Sandbox
    sandbox = Sandbox(Limits(wall_seconds=10**5), backend="unconfined", allow_unconfined=True,
                      workers=1)
    threading.Thread(
        target=sandbox.predict, args=("while True: pass", ["a"]), daemon=True
    ).start()
    (worker,) = sandbox._pool._workers
    while worker._process is None:
        pass
    print("begun", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""


@pytest.mark.parametrize("script", [IN_A_CALL, UNCONFINED], ids=["grid worker", "unconfined"])
def test_a_process_in_the_middle_of_its_work_ends_with_its_owner(script: str, start: Start) -> None:
    process = start(script)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "begun\n"
    children = psutil.Process(process.pid).children(recursive=True)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.wait(60) == 1
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_signals_are_as_they_were_after_a_command(capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    assert run(["tasks"]) == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_ignored(start: Start) -> None:
    script = """
        import os, signal, sys
        from llm_pv.cli import main
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        main.app = lambda *words, **options: os.kill(os.getpid(), signal.SIGINT)
        sys.exit(main.run([]))
    """
    process = start(script)
    assert process.wait(60) == 0


def test_the_tests_interrupt_commands_where_sigint_is_inherited_as_ignored() -> None:
    script = "import conftest, os, signal; os.kill(os.getpid(), signal.SIGINT)"
    ended = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert "KeyboardInterrupt" in ended.stderr
