"""Programs that attack the sandbox, and how each is expected to end.

Run as a script, it tries them all as whoever runs it and prints those that were not held: that
needs nothing but the package, so that another user's interpreter can do it.
"""

import json
import os
import sys
from dataclasses import dataclass
from textwrap import dedent, indent

from llm_pv.sandbox.execution import Execution, Limits, Outcome

LIMITS = Limits(cpu_seconds=0.4, wall_seconds=1.2, memory_bytes=256 * 1024 * 1024)
INPUTS = ["01", "11", "10"]
ESCAPED = "ESCAPED"

_REACH = """
import sys, time
load = sys.modules["builtins"].__import__
os, ctypes = load("os"), load("ctypes")
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *arguments)
    return result if result >= 0 else -ctypes.get_errno()
"""


@dataclass(frozen=True)
class Attack:
    """A hostile program, the outcomes that are right, and the answers it may give."""

    source: str
    outcomes: frozenset[Outcome]
    answers: tuple[str | None, ...] = (None, "held")


ATTACKS: dict[str, Attack] = {}

HARMLESS = (
    "reading /etc/passwd",
    "listing folders",
    "seeing whether a file exists",
    "reading the environment of the process",
    "any socket",
    "a memory file",
    "a pipe",
    "executable memory",
    "memory made executable",
    "importing through the interpreter",
)
"""Attempts that may succeed without harm where nothing confines them, which shows that they can."""


def _attack(
    name: str, source: str, *outcomes: Outcome, answers: tuple[str | None, ...] = (None, "held")
) -> None:
    ATTACKS[name] = Attack(dedent(source), frozenset(outcomes or {Outcome.FINISHED}), answers)


def _attempt(name: str, code: str, *outcomes: Outcome) -> None:
    """Add an attack that tries something in each call and says so when it worked."""
    lines = ["def f(x):", "    try:", indent(dedent(code).strip(), " " * 8)]
    lines += ["    except BaseException:", "        return 'held'", f"    return {ESCAPED!r}"]
    _attack(name, _REACH + "\n".join(lines), *outcomes)


def _forge(name: str, data: str) -> None:
    """Add an attack that leaves these bytes where the answers go, and ends."""
    source = f"""
    import sys
    def f(x):
        frame = sys._getframe()
        while "page" not in frame.f_locals:
            frame = frame.f_back
        data = {data}
        frame.f_locals["page"][10_008 : 10_008 + len(data)] = data
        sys.modules["os"]._exit(0)
    """
    _attack(f"forging the page with {name}", source, Outcome.MALFORMED, answers=(None,))


def escaped(attack: Attack, execution: Execution) -> str:
    """Say in what way an execution shows that an attack was not held; empty when it was."""
    if execution.outcome not in attack.outcomes:
        return f"ended as {execution.outcome.value}: {execution.reason}"
    wrong = set(execution.predictions) - set(attack.answers)
    return f"answered {wrong}" if wrong else ""


# Time
_attack("endless loop", "def f(x):\n    while True: pass", Outcome.TIMED_OUT)
_attack("endless loop while loading", "while True: pass", Outcome.TIMED_OUT)
_attack("endless loop that ignores signals", """
    import sys
    signal = sys.modules["signal"]
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except BaseException:
            pass
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        signal.setitimer(signal.ITIMER_PROF, 0)
    except BaseException:
        pass
    def f(x):
        while True:
            try:
                while True: pass
            except BaseException:
                pass
    """, Outcome.TIMED_OUT)  # fmt: skip
_attack("catastrophic regular expression", """
    import re
    def f(x):
        return re.match(r"(a+)+$", "a" * 60 + "b") is None
    """, Outcome.TIMED_OUT)  # fmt: skip
_attack(
    "power of huge integers",
    "def f(x):\n    return (7 ** (10 ** 9)) % 2",
    Outcome.TIMED_OUT,
    Outcome.OUT_OF_MEMORY,
)
_attack("sleeping forever", "import time\ndef f(x):\n    time.sleep(10**6)", Outcome.TIMED_OUT)
_attack(
    "waiting for a lock forever",
    """
    import sys
    def f(x):
        lock = sys.modules["_thread"].allocate_lock()
        return lock.acquire() and lock.acquire()
    """,
    Outcome.TIMED_OUT,
)
_attack("string conversion that never ends", """
    class Label(str):
        def __str__(self):
            while True: pass
        __repr__ = __len__ = __hash__ = __eq__ = __str__
    class Broken(Exception):
        def __str__(self):
            while True: pass
    def f(x):
        raise Broken
    """, Outcome.TIMED_OUT)  # fmt: skip

# Memory and processes
_attack(
    "memory bomb",
    "hoard = []\ndef f(x):\n    while True: hoard.append(bytes(10**7))",
    Outcome.OUT_OF_MEMORY,
)
_attack(
    "memory bomb at once", "def f(x):\n    return len(bytearray(10**11))", Outcome.OUT_OF_MEMORY
)
_attack("memory bomb that catches its error", """
    hoard = []
    def f(x):
        while True:
            try:
                hoard.append(bytearray(10**6))
            except BaseException:
                pass
    """, Outcome.TIMED_OUT)  # fmt: skip
_attempt("fork bomb", "while True: os.fork()")
_attempt("fork by vfork, clone and clone3", """
    for number in (56, 57, 58, 435) if sys.maxsize > 2**32 else ():
        if call(number, 17, 0, 0, 0, 0) == 0:
            libc._exit(0)
    assert False
    """)  # fmt: skip
_attempt("threads left running", """
    def spin():
        while True: pass
    for _ in range(10):
        sys.modules["_thread"].start_new_thread(spin, ())
    """)  # fmt: skip
_attack(
    "leaving by os._exit", "import sys\ndef f(x):\n    sys.modules['os']._exit(0)", Outcome.CRASHED
)
_attack(
    "leaving by os._exit while loading", "import sys\nsys.modules['os']._exit(91)", Outcome.CRASHED
)
_attack("deep recursion", "def f(x):\n    return f(x)")
_attack("deep recursion without a limit", """
    import sys
    sys.setrecursionlimit(10**9)
    def f(x):
        return [f(x)]
    """, Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT)  # fmt: skip
_attack("deep recursion in C", """
    import sys
    sys.setrecursionlimit(10**9)
    def f(x):
        nested = []
        for _ in range(10**6):
            nested = [nested]
        return repr(nested)
    """, Outcome.CRASHED, Outcome.FINISHED, Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY)  # fmt: skip
_attack(
    "writing to address 0",
    "import sys\ndef f(x):\n    sys.modules['ctypes'].memset(0, 1, 1)",
    Outcome.CRASHED,
)
_attack("abort", "import sys\ndef f(x):\n    sys.modules['os'].abort()", Outcome.CRASHED)
_attack("integer of a million digits", "def f(x):\n    return 1 << 3_321_928")
_attack(
    "integer of a million digits, limit lifted",
    """
    import sys
    sys.set_int_max_str_digits(0)
    def f(x):
        return 1 << 3_321_928
    """,
    Outcome.TIMED_OUT,
    Outcome.FINISHED,
)  # fmt: skip  (Python 3.12 prints it in time)
_attack(
    "source nested beyond the parser",
    "def f(x):\n    return " + "(" * 5000 + ")" * 5000,
    Outcome.FAILED_TO_LOAD,
    Outcome.OUT_OF_MEMORY,
    Outcome.CRASHED,
)
_attack(
    "source nested beyond the compiler",
    "def f(x):\n    return " + "-" * 300_000 + "1",
    Outcome.FAILED_TO_LOAD,
    Outcome.OUT_OF_MEMORY,
    Outcome.CRASHED,
)

# Output and answers
_attack("flood on stdout and stderr", """
    import sys
    def f(x):
        for _ in range(2000):
            print("x" * 10_000)
            print("y" * 10_000, file=sys.stderr)
        return "held"
    """)  # fmt: skip
_attack("flood on the descriptors", """
    import sys
    def f(x):
        for number in range(0, 64):
            try:
                sys.modules["os"].write(number, b"x" * 10**6)
            except OSError:
                pass
        return "held"
    """)  # fmt: skip
_attack("closing and exchanging every descriptor", """
    import sys
    os = sys.modules["os"]
    for number in range(0, 100):
        for other in (0, 1, 2, 3, 4, 5):
            try:
                os.dup2(other, number)
            except OSError:
                pass
    os.closerange(0, 1000)
    def f(x):
        return "held"
    """, Outcome.FINISHED, Outcome.CRASHED)  # fmt: skip
_attack("labels too long", "def f(x):\n    return 'x' * 10_000_000")
_attack(
    "labels of other kinds",
    "def f(x):\n    return [object(), [1], {1: 2}, None, print, float('nan'), b'1'][len(x)]",
)
_attack("strings that lie about themselves", """
    class Lie(str):
        def __str__(self): raise SystemExit
        def __len__(self): return -5
        def __hash__(self): return 1 // 0
        def __eq__(self, other): return 1 // 0
    def f(x):
        return Lie("held")
    """)  # fmt: skip
_attack("posing as numpy", """
    class Fake:
        shape = ()
        def item(self): raise KeyboardInterrupt
    Fake.__module__ = "num" + "py"  # the name alone would bring the real one
    def f(x):
        return Fake()
    """)  # fmt: skip
_forge("binary", r"b'\xff' * 100_000 + b',\n'")
_forge("JSON of other types", r"""b'1,\n{"a": 1},\n' * 100""")
_forge("deep JSON", r"b'[' * 500_000 + b',\n'")
_forge("more answers than rows", r"""b'"1",\n' * 1000""")
_forge("an early end", r"""b'{"finished": ""},\n'""")
_forge("a huge number", r"b'9' * 100_000 + b',\n'")
_forge("no numbers", r"b'NaN,\nInfinity,\n'")
_forge("a label too long", r"""b'"' + b'x' * 5000 + b'",\n'""")
_forge("an end that is no end", r"""b'{"won": "yes"},\n'""")
_forge("two ends", r"""b'{"finished": ""},\n' * 2""")
_forge("an error that is no text", r"b'[1],\n'")
_forge("no JSON", r"b'import os,\n'")
_attack("meddling with the size of the page", """
    import sys
    def f(x):
        frame = sys._getframe()
        while "page" not in frame.f_locals:
            frame = frame.f_back
        page = frame.f_locals["page"]
        page[0:8] = b"\\xff" * 8
        for size in (1, 10**12):
            try:
                page.resize(size)
            except BaseException:
                pass
        return "held"
    """)  # fmt: skip

# Files, network, privileges
_attempt("reading /etc/passwd", "open('/etc/passwd').read()")
_attempt("listing folders", "os.listdir('/')")
_attempt("seeing whether a file exists", "os.stat('/etc/passwd')")
_attempt("reading the environment of the process", "open('/proc/self/environ').read()")
_attempt("writing anywhere", """
    for folder in ("/tmp", "/", ".", "/dev/shm", "/var/tmp", os.path.expanduser("~")):
        try:
            open(folder + "/llm-pv-attack", "w").write("x")
            break
        except OSError:
            pass
    else:
        raise OSError
    """)  # fmt: skip
_attempt("sockets to loopback", "load('socket').create_connection(('127.0.0.1', 22), 0.1)")
_attempt("any socket", "load('socket').socket(load('socket').AF_UNIX)")
_attempt("a memory file", "os.memfd_create('x')")
_attempt("a pipe", "os.pipe()")
_attempt("another program", "os.execv('/bin/true', ['true'])")
_attempt(
    "another program by subprocess", "sys.modules['os'].posix_spawn('/bin/true', ['true'], {})"
)
_attempt("executable memory", "load('mmap').mmap(-1, 4096, prot=7)")
_attempt("memory made executable", """
    page = libc.mmap
    page.restype = ctypes.c_void_p
    where = page(None, 4096, 3, 34, -1, 0)
    assert libc.mprotect(ctypes.c_void_p(where), 4096, 7) == 0
    """)  # fmt: skip
_attempt("signals to everybody", "os.kill(-1, 9)")
_attempt("signals to the zygote and to process 1", """
    for pid in (1, 2, os.getppid(), 0):
        try:
            os.kill(pid, 19)
            break
        except OSError:
            pass
    else:
        raise OSError
    """)  # fmt: skip
_attempt("stopping itself", "os.kill(os.getpid(), 19)")
_attempt("raising limits", """
    resource = load("resource")
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    """)  # fmt: skip
_attempt("becoming root", "os.setuid(0)")
_attempt("a new namespace", "assert libc.unshare(0x10000000) == 0")
_attempt("mounting", "assert libc.mount(b'none', b'/', b'proc', 0, None) == 0")
_attempt("tracing the zygote", "assert libc.ptrace(16, 1, 0, 0) == 0")
_attempt("reading the zygote's memory", """
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))
    here = ctypes.create_string_buffer(8)
    mine = Piece(ctypes.addressof(here), 8)
    there = Piece(id(None), 8)
    assert libc.process_vm_readv(1, ctypes.byref(mine), 1, ctypes.byref(there), 1, 0) == 8
    """)  # fmt: skip
_attempt("calls that came with newer kernels, io_uring among them", """
    refused = (425, 426, 427, 434, 435, 437, 438, 444, 447, 449)
    assert any(call(number, 0, 0, 0, 0, 0) not in (-1, -38) for number in refused)
    """)  # fmt: skip
if os.uname().machine == "x86_64":
    _attempt("calls for files, tracing, userfaultfd, bpf, keys, seccomp, by number", """
        refused = (2, 41, 42, 59, 62, 101, 157, 200, 234, 248, 250, 257, 298, 310, 317, 319, 321)
        refused += (322, 323)
        assert any(call(number, 0, 0, 0, 0, 0) not in (-1, -38) for number in refused)
        """)  # fmt: skip
    _attempt("calls by another numbering", "call(0x40000000 + 39)", Outcome.CRASHED)
_attempt("importing modules outside the list", "import subprocess")
_attempt("importing through the interpreter", "load('xmlrpc.client')")
_attempt("importing the package itself", "import llm_pv")
_attempt("loading a shared library", "ctypes.CDLL('libssl.so.3')")

# Meddling with the runner
_attack("patching builtins", """
    import sys
    builtins = sys.modules["builtins"]
    for name in ("len", "isinstance", "str", "type", "BaseException", "ValueError", "print"):
        setattr(builtins, name, None)
    def f(x):
        return "held"
    """, Outcome.FINISHED, Outcome.CRASHED)  # fmt: skip
_attack("patching the runner's own modules", """
    import sys, json
    for name, module in list(sys.modules.items()):
        if name.startswith("llm_pv"):
            for key in list(vars(module)):
                setattr(module, key, None)
    json.dumps = None
    def f(x):
        return "held"
    """, Outcome.FINISHED, Outcome.CRASHED, Outcome.FAILED_TO_LOAD)  # fmt: skip
_attack("tracing the runner", """
    import sys
    def spy(frame, event, argument):
        raise RuntimeError
    sys.settrace(spy)
    sys.setprofile(spy)
    def f(x):
        return "held"
    """, Outcome.FINISHED, Outcome.CRASHED, Outcome.FAILED_TO_LOAD)  # fmt: skip
_attack("tricks at the end", """
    import sys
    class Last:
        def __del__(self):
            while True: pass
    keep = Last()
    try:
        sys.modules["atexit"].register(Last)
    except BaseException:
        pass
    def f(x):
        return "held"
    """)  # fmt: skip
_attack("walking frames and the heap for labels", """
    import sys
    def f(x):
        frame = sys._getframe()
        while frame:
            text = repr(frame.f_locals.get("labels")) + repr(frame.f_globals.get("labels"))
            if "SECRET" in text:
                return "ESCAPED"
            frame = frame.f_back
        for thing in sys.modules["gc"].get_objects():
            if type(thing) is dict and "SECRET_LABEL" in list(thing.values()):
                return "ESCAPED"
        return "held"
    """)  # fmt: skip
_attack("catching everything", """
    def f(x):
        raise [SystemExit, KeyboardInterrupt, GeneratorExit][len(x) % 3]
    """)  # fmt: skip


def main() -> int:
    """Try every attack here and now, as whoever runs this."""
    from llm_pv.sandbox.linux import LinuxWorker

    failures = {}
    worker = LinuxWorker()
    for name, attack in ATTACKS.items():
        problem = escaped(attack, worker.run(attack.source, INPUTS, LIMITS))
        after = worker.run("def f(x):\n    return x", INPUTS, LIMITS)
        if problem or after.predictions != ("01", "11", "10"):
            failures[name] = problem or f"the next program: {after}"
    active = worker.confinement.active
    worker.close()
    sys.stdout.write(json.dumps({"user": os.geteuid(), "active": active, "failures": failures}))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
