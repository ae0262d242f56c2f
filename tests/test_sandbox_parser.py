"""Untrusted source is parsed in a process of its own, whatever it costs there."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from llm_pv.erm.attempts import programs_of
from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program, parse_here
from llm_pv.programs.replies import read_program, read_programs
from llm_pv.proposers.base import Proposal
from llm_pv.sandbox import parser
from llm_pv.sandbox.parser import ask, ask_one, packages_imported

if sys.platform != "linux":
    pytest.skip("counts the parent's memory as Linux does", allow_module_level=True)


def nested_finally(depth: int, indent: int = 1) -> str:
    if depth == 0:
        return " " * indent + "x\n"
    one = " " * indent
    return (
        f"{one}try:\n{one} if x: return 1\n{one} if x: return 2\n{one}finally:\n"
        + nested_finally(depth - 1, indent + 1)
    )


def nested_blocks(header: str, depth: int) -> str:
    return "".join(" " * level + header + "\n" for level in range(depth)) + " " * depth + "x\n"


HOSTILE = {
    "nested finally": "def f(x):\n" + nested_finally(11) + " return 1\n",
    "nested finally, deeper": "def f(x):\n" + nested_finally(14) + " return 1\n",
    "nested with": "def f(x):\n" + nested_blocks("with x:", 90).replace("\n", "\n "),
    "parentheses": "f = " + "(" * 24_000 + "x" + ")" * 24_000,
    "brackets": "f = " + "[" * 190 + "x" + "]" * 190,
    "a comparison chain": "f=" + "a<" * 24_990 + "a",
    "semicolons": "f = 1\n" + "f;" * 24_900,
    "only semicolons": ";" * 50_000,
    "a huge power": "f = 2 ** 10 ** 8",
    "powers of powers": "f = " + "9 ** " * 2_000 + "9",
    "a huge string": "f = 'x' * 10 ** 10",
    "huge tuples": "f = (((0,) * 200) * 200) * 200",
    "a huge shift": "f = 1 << 10 ** 10",
    "digits": "f = " + "9" * 49_000,
    "hexadecimal digits": "f = 0x" + "f" * 49_000,
    "f-strings": "f = f'" + "{x:" * 2_000 + "}" * 2_000 + "'",
    "decorators": "@f\n" * 16_000 + "def f(x): return 1\n",
    "match patterns": "def f(x):\n match x:\n  case " + "[" * 150 + "a" + "]" * 150 + ": pass\n",
    "alternatives": "def f(x):\n match x:\n  case " + "|".join(["(0|1)"] * 8_000) + ": pass\n",
    "lambdas": "f = " + "lambda:" * 7_000 + "1",
    "unary operators": "f = " + "-" * 49_000 + "1",
    "nots": "f = " + "not " * 12_000 + "1",
    "attributes": "f = x" + ".x" * 24_000,
    "calls": "f = x" + "()" * 24_000,
    "conditions": "f = " + "1 if x else " * 4_000 + "1",
    "additions": "f = " + "x+" * 24_000 + "x",
    "comprehensions": "f = [0 " + "for a in x " * 4_500 + "]",
    "nested comprehensions": "f = " + "[" * 80 + "x" + " for x in x]" * 80,
    "functions": "".join(" " * n + "def f(x):\n" for n in range(99)) + " " * 99 + "x\n",
    "elif": "def f(x):\n if x: 1\n" + " elif x: 1\n" * 4_000,
    "unpacking": "f = 1\n" + "*a, = " * 8_000 + "x",
    "names": "f = " + ",".join(f"a{n}" for n in range(8_000)),
    "a dictionary": "f = {" + "**x," * 12_000 + "}",
    "a name of one letter each": "f = " + "\N{MATHEMATICAL BOLD SMALL A}" * 40_000,
    "an unfinished string": "f = '''" + "x\n" * 24_000,
    "backslashes": "f = 1\n" + "\\\n" * 24_000,
    "null": "f = 1\0",
    "half a surrogate pair": "f = '\ud800'",
    "a pair of halves": "f = '\ud83d' '\ude00'",
}
READERS: dict[str, Callable[[str], object]] = {
    "a source": Program.parse,
    "a reply": lambda text: read_program(f"```python\n{text}\n```"),
    "imports": lambda text: ask_one("imports", text),
    "a saved program": lambda text: ask_one("escaped", text),
    "a summary": lambda text: ask_one("body_summary", text),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_source_is_read_costs_the_parent_little(reader: str) -> None:
    read = READERS[reader]
    with_errors: dict[str, str] = {}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dear = reader in {"a reply", "a saved program"}  # what they parse is parsed as a source too
    for name, source in list(HOSTILE.items())[:: 3 if dear else 1]:
        cpu = time.process_time()
        try:
            read(source)
        except ProgramError as error:
            with_errors[name] = str(error)
        assert time.process_time() - cpu < 0.7, name
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 80 * 1024, "kilobytes"
    for reason in with_errors.values():
        assert "\n" not in reason
        assert len(reason) < 300
    read("def f(x): return 1")


def test_a_source_that_takes_too_long_fails_and_the_next_is_read() -> None:
    answers = Program.parse_many(["f = len", HOSTILE["nested finally, deeper"], "f = max"])
    first, hostile, last = answers
    assert isinstance(first, Program)
    assert isinstance(last, Program)
    assert str(hostile) in {
        "it took too long to parse: stopped after 2 s of CPU time",
        "it takes more than 512 MiB to parse",
    }


def test_the_memory_of_a_source_is_told_from_that_of_the_process_that_started_the_parser() -> None:
    code = (
        "import sys\n"
        "held = bytearray(b'x') * (700 << 20)\n"  # more than the parser may take
        "from llm_pv.programs.program import Program\n"
        "for answer in Program.parse_many(sys.argv[1:]): print(answer)\n"
    )
    source = HOSTILE["nested finally, deeper"]
    arguments = [sys.executable, "-c", code, source]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert printed.stdout.strip() in {
        "it took too long to parse: stopped after 2 s of CPU time",
        "it takes more than 512 MiB to parse",
    }


def parse_here_or_refuse(source: str) -> Program | ProgramError:
    try:
        return parse_here(source)
    except ProgramError as error:
        return error


def told(answer: Program | ProgramError) -> object:
    return str(answer) if isinstance(answer, ProgramError) else answer


def test_a_batch_gives_what_single_sources_give() -> None:
    sources = ["f = len", "f = (", "g = 1", "def f(x):\r\n  return x", "x" * 50_001, "f = '\0'"]
    assert list(map(told, Program.parse_many(sources))) == [
        told(parse_here_or_refuse(source)) for source in sources
    ]
    assert Program.parse_many([]) == []
    assert read_programs([]) == []


def test_large_batches_are_read_in_parts() -> None:
    sources = [f"f = '{n:01}{'x' * 49_000}'" for n in range(200)]
    found = Program.parse_many(sources)
    assert len({one.digest for one in found if isinstance(one, Program)}) == 200


def test_a_process_that_was_killed_is_replaced() -> None:
    Program.parse("f = 1")
    process = parser._parser._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert Program.parse("f = 2").bits > 0


def test_a_process_killed_in_the_middle_of_a_source_blames_that_source() -> None:
    Program.parse("f = 1")
    process = parser._parser._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    timer = threading.Timer(0.3, process.kill)
    timer.start()
    first, second = Program.parse_many(["f = 1", "f = 2"])
    timer.join()
    assert "took too long" in str(first)
    assert isinstance(second, Program)


def test_a_process_that_does_not_answer_is_ended_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parser, "_WALL_SECONDS", 0.3)
    Program.parse("f = 1")
    process = parser._parser._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ProgramError, match=r"too long to parse: stopped after 0\.3 s"):
        Program.parse("f = 1")


def test_threads_wait_for_each_other() -> None:
    found: list[int] = []

    def read(number: int) -> None:
        for _ in range(20):
            program = Program.parse(f"f = {number}")
            found.append(program.source == f"f = {number}\n" and number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([1, 2, 3, 4] * 20)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_of_the_owner_has_a_process_of_its_own() -> None:
    Program.parse("f = 1")
    process = parser._parser._process
    pid = os.fork()
    if pid == 0:
        try:
            sound = Program.parse("f = 2").source == "f = 2\n"
            os._exit(0 if sound and parser._parser._process is not process else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert Program.parse("f = 3").source == "f = 3\n"
    assert parser._parser._process is process


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_slow_parse_ends_the_owner_at_once(sent: signal.Signals) -> None:
    script = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be inherited as ignored
from llm_pv.programs.program import Program
Program.parse("f = 1")
print("ready", flush=True)
Program.parse({HOSTILE["nested finally, deeper"]!r})
print("read", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(sent)
    started = time.monotonic()
    status = process.wait(20)
    assert status == (-sent if sent == signal.SIGTERM else -signal.SIGINT)
    assert time.monotonic() - started < 15
    assert process.stdout.read() == b""
    process.stdin.close()
    process.stdout.close()


def test_an_interrupted_call_does_not_leave_its_answer_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(process: object) -> bytes:
        raise KeyboardInterrupt

    Program.parse("f = 1")
    with monkeypatch.context() as patch:
        patch.setattr(parser, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Program.parse("f = 1")
    assert Program.parse("g = f = 2").source == "g = f = 2\n"


def test_what_the_process_may_do_is_little() -> None:
    """Read off the kernel's own account of the process."""
    Program.parse("f = 1")
    process = parser._parser._process
    assert process is not None
    with open(f"/proc/{process.pid}/status") as file:  # noqa: PTH123
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == 0
    if os.geteuid() == 0:
        assert set(status["Uid"].split()) == {"65534"}


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        ("# numpy sympy networkx\nf = 'numpy'", ()),
        ("def f(x):\n    '''import numpy'''\n", ()),
        ("numpy = 1\nf = numpy.sympy", ()),
        ("import numpy.linalg as a", ("numpy",)),
        ("def f(x):\n    from sympy.ntheory import isprime\n", ("sympy",)),
        ("import networkx as nx, numpy", ("numpy", "networkx")),
        ("from . import numpy", ()),
        ("f = __import__('numpy').sum", ("numpy",)),
        ("exec('import sympy')", ("sympy",)),
        ("import numpy (", ()),
    ],
)
def test_packages_are_found_by_imports(source: str, packages: tuple[str, ...]) -> None:
    assert packages_imported(source) == packages


def test_a_text_beyond_any_limit_is_never_sent() -> None:
    (answer,) = ask("imports", [["x" * 2_000_001]])
    assert str(answer) == "the text has 2,000,001 characters; at most 2,000,000 are parsed"


def test_what_is_not_parsed_by_a_deadline_is_left_out_and_ends_the_process_that_parses_it() -> None:
    hostile = HOSTILE["nested finally, deeper"]
    assert ask("imports", [["import re"]], deadline=time.monotonic() + 1_000) == [["re"]]
    assert ask("imports", [["import re"]], deadline=time.monotonic()) == []
    assert ask("program", [[hostile]], deadline=time.monotonic() + 0.2) == []
    assert ask("imports", [["import re"]]) == [["re"]]


def test_replies_are_read_up_to_the_first_that_a_deadline_ends() -> None:
    read_programs(["f = len"])  # its process is started
    hostile = [HOSTILE["nested finally, deeper"]] * 8  # over half a second each
    replies = ["f = len", "x" * 2_000_000, *hostile, "f = max"]
    program, too_long, *others = read_programs(replies, deadline=time.monotonic() + 1.0)
    assert len(others) < len(hostile)
    assert isinstance(program, Program)
    assert program.source == "f = len\n"
    assert "2,000,000 characters" in str(too_long)
    failed = Proposal("", failure="refused")
    assert programs_of([failed, Proposal("f = len")], deadline=0.0) == [(None, "refused")]
