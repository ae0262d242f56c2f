"""The invariants of the architecture, each held by the tests named after it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import llm_pv
from llm_pv.api import Search, learn
from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.erm.loop import select_program
from llm_pv.erm.pipeline import learn_splits
from llm_pv.erm.selection import Plan
from llm_pv.errors import BudgetError
from llm_pv.models import ModelOptions, make_model
from llm_pv.models.retrying import Backoff
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.spending import Budget
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.directory import RunDirectory
from llm_pv.sandbox import Execution, Outcome, Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted, parity_splits
from wire_servers import Wire, WireServer, chat

SOURCE = str(Path(__file__).parents[1] / "src")


class Watched:
    """A real sandbox that remembers everything handed to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.handed: list[tuple[str, Sequence[Input]]] = []
        self.limits = sandbox.limits

    def predict(self, source: str, inputs: Sequence[Input], **options: Any) -> Execution:
        self.handed.append((source, inputs))
        return self._sandbox.predict(source, inputs, **options)

    def predict_many(
        self, sources: Sequence[str], inputs: Sequence[Input], **options: Any
    ) -> Iterator[Execution]:
        for source in sources:
            yield self.predict(source, inputs, **options)


def with_secret_labels(splits: Splits) -> tuple[Splits, list[str]]:
    """The same rows with labels no candidate could guess."""
    names = {"0": "label-7f3a-even", "1": "label-91bc-odd"}
    train, validation, test = (
        Examples(part.inputs, [names[label] for label in part.labels])
        for part in (splits.train, splits.validation, splits.test)
    )
    texts = tuple(names.values())
    return Splits(train, validation, test, Classes(texts, texts)), list(texts)


def test_invariant_1_no_label_is_handed_to_a_sandboxed_process(sandbox: Sandbox) -> None:
    splits, secrets = with_secret_labels(parity_splits())
    watched: Any = Watched(sandbox)
    rule = f"def f(x):\n    return {secrets!r}[x.count('1') % 2]\n"
    learned = learn_splits(splits, Scripted([ALWAYS_ONE, FIRST_BIT, rule]), watched, Plan(3))
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    assert len(watched.handed) > 4, "candidates, the winner's second runs, the test rows"
    for _, inputs in watched.handed:
        assert not any(secret in repr(inputs) for secret in secrets)


def test_invariant_1_a_candidate_that_searches_its_process_finds_no_label(
    sandbox: Sandbox,
) -> None:
    hunter = """
import sys, types
def everything():
    seen, todo = set(), [sys.modules, sys._getframe(0)]
    frame = sys._getframe(0)
    while frame is not None:
        todo += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    while todo and len(seen) < 300_000:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (str, bytes)):
            yield thing if isinstance(thing, str) else thing.decode("latin-1")
        elif isinstance(thing, dict):
            todo += list(thing.keys()) + list(thing.values())
        elif isinstance(thing, (list, tuple, set, frozenset)):
            todo += list(thing)
        else:
            todo.append(getattr(thing, "__dict__", None))
needle = "-".join(["label", "91bc"])
found = [text for text in everything() if needle in text and len(needle) < len(text) < 40]
def f(x):
    return found[0] if found else "nothing"
"""
    splits, secrets = with_secret_labels(parity_splits())
    execution = sandbox.predict(hunter, splits.validation.inputs)
    assert set(execution.predictions) == {"nothing"}, execution
    planted = hunter.replace("needle = ", 'planted = "label-91bc-odd"\nneedle = ')
    control = sandbox.predict(planted, splits.validation.inputs)
    assert set(control.predictions) == {secrets[1]}, "the search must be able to find a label"


def test_invariant_2_validation_and_test_rows_never_reach_a_proposer(sandbox: Sandbox) -> None:
    splits = parity_splits()
    proposer = Scripted([ALWAYS_ONE, FIRST_BIT])
    learn_splits(splits, proposer, sandbox, Plan(2))
    [(train, classes, seed, start)] = proposer.calls
    assert train is splits.train
    assert (classes, seed, start) == (splits.classes, 0, 0)


def test_invariant_2_nothing_about_validation_changes_what_is_proposed(tmp_path: Path) -> None:
    splits = parity_splits()
    flipped = [str(1 - int(label)) for label in splits.validation.labels]
    other = Splits(
        splits.train,
        Examples(splits.validation.inputs, flipped),
        splits.test,
        splits.classes,
    )
    proposed = []
    for number, rows in enumerate((splits, other)):
        out = tmp_path / str(number)
        learn(rows, search=Search(attempts=12, budget_seconds=20), out=out)
        lines = (out / "replies.jsonl").read_text().splitlines()
        proposed.append([json.loads(line)["text"] for line in lines])
    shorter = min(map(len, proposed))
    assert shorter > 0
    assert proposed[0][:shorter] == proposed[1][:shorter]


class CountedLabels(list[str]):
    """Labels that count how often they are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[str]:
        CountedLabels.looks += 1
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        CountedLabels.looks += 1
        return super().__getitem__(index)


def test_invariant_3_test_labels_are_not_looked_at_while_selecting(sandbox: Sandbox) -> None:
    splits = parity_splits()
    counted = Splits(
        splits.train,
        splits.validation,
        Examples(splits.test.inputs, CountedLabels(splits.test.labels)),
        splits.classes,
    )
    CountedLabels.looks = 0
    plan, log = Plan(3, early_stop=False), CellLog(Cell("test"))
    proposer = Scripted([ALWAYS_ONE, PARITY, FIRST_BIT])
    selection = select_program(counted, proposer, sandbox, plan, seed=0, log=log)
    assert selection.selected is not None
    assert CountedLabels.looks == 0
    learn_splits(counted, Scripted([PARITY]), sandbox, Plan(1))
    assert CountedLabels.looks > 0, "the labels must be counted when they are looked at"


def test_invariant_3_only_the_selected_record_carries_a_test_accuracy(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text(
        "".join(json.dumps(text) + "\n" for text in (ALWAYS_ONE, FIRST_BIT, PARITY))
    )
    search = Search(f"replay:{tmp_path / 'replies.jsonl'}")
    learn(parity_splits(), search=search, out=tmp_path / "run")
    lines = (tmp_path / "run" / "results_attempts.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(record["kind"], record["test_accuracy"]) for record in records] == [
        ("attempt", None),
        ("attempt", None),
        ("attempt", None),
        ("selected", 1.0),
    ]


ROW_DEPENDENT = {
    "counts its calls": """
calls = []
def f(x):
    calls.append(x)
    return (x.count('1') + (len(calls) > 40)) % 2
""",
    "compares with the inputs before": """
seen = set()
def f(x):
    seen.add(x[:2])
    return x.count('1') % 2 if len(seen) < 4 else 1 - x.count('1') % 2
""",
    "throws a coin": """
import time
def f(x):
    return time.perf_counter_ns() // 100 % 2
""",
    "drew a coin when it was loaded": """
import random
COIN = random.getrandbits(32)
def f(x):
    return (COIN >> int(x[:5], 2)) % 2
""",
    "counts its inputs under the scoring seed": """
import sys
def f(x):
    n = len(sys._getframe(2).f_locals['inputs'])
    scoring = list({'a', 'b', 'c', 'd', 'e', 'f', 'g'}) == ['d', 'c', 'f', 'a', 'g', 'e', 'b']
    return x.count('1') % 2 if n >= 50 or not scoring else 0
""",
    "is right only in a crowd": """
import sys
def f(x):
    return x.count('1') % 2 if len(sys._getframe(2).f_locals['inputs']) > 1 else 0
""",
    "is right until it has seen enough": """
seen = []
def f(x):
    seen.append(x)
    return x.count('1') % 2 if len(seen) < 100 else 0
""",
    "asks the order of a set": """
def f(x):
    return int(next(iter({x[i : i + 3] for i in range(9)}))[0])
""",
    "ends its process at a training row": """
import sys
TRAIN = {train}
count = 0
def f(x):
    global count
    if x in TRAIN:
        sys.modules["os"]._exit(0)
    count += 1
    return (x.count('1') + (count > 40)) % 2
""",
    "loops at a training row": """
TRAIN = {train}
count = 0
def f(x):
    global count
    while x in TRAIN:
        pass
    count += 1
    return (x.count('1') + (count > 40)) % 2
""",
}


@pytest.mark.parametrize("source", ROW_DEPENDENT.values(), ids=ROW_DEPENDENT.keys())
def test_invariant_4_a_program_that_looks_at_other_inputs_makes_room_for_the_next(
    source: str, sandbox: Sandbox
) -> None:
    splits = parity_splits(validation=40)
    source = source.replace("{train}", repr(set(splits.train.inputs)))
    plan, log = Plan(2, early_stop=False), CellLog(Cell("test"))
    known = splits.validation.inputs[splits.validation.labels.index("0")]
    proposer = Scripted([source, f"f = lambda x: 0 if x == {known!r} else 'no class'"])
    selection = select_program(splits, proposer, sandbox, plan, seed=0, log=log)
    assert selection.selected is not None
    assert selection.selected.number == 2
    assert "depends on the other inputs" in selection.attempts[0].rejected
    [rejected] = [record for record in log.attempts if record["kind"] == "rejected"]
    assert rejected["attempt"] == 1


def test_invariant_4_test_rows_that_answer_otherwise_among_others_are_told(
    sandbox: Sandbox,
) -> None:
    """Behaves in runs of up to 200 rows, so that nothing before the test rows shows it."""
    patient = """
seen = []
def f(x):
    seen.append(x)
    return x.count('1') % 2 if len(seen) < 200 else 0
"""
    splits = parity_splits(train=20, validation=40, test=1000)
    learned = learn_splits(splits, Scripted([patient]), sandbox, Plan(1))
    assert learned.program is not None
    assert any("DO NOT TRUST" in warning for warning in learned.warnings)
    assert any("CONTRADICT THE CERTIFICATE" in warning for warning in learned.warnings)
    honest = learn_splits(splits, Scripted([PARITY]), sandbox, Plan(1))
    assert not honest.warnings


def test_invariant_4_answers_by_position_are_rejected_even_when_perfect(sandbox: Sandbox) -> None:
    splits = parity_splits()
    answers = [*splits.validation.labels, *splits.train.labels]
    cheat = f"answers = iter({answers!r})\ndef f(x):\n    return next(answers, '0')\n"
    proposer = Scripted([cheat, FIRST_BIT])
    selection = select_program(
        splits, proposer, sandbox, Plan(2), seed=0, log=CellLog(Cell("test"))
    )
    assert selection.attempts[0].validation is not None
    assert selection.attempts[0].validation.errors == 0
    assert selection.attempts[0].rejected
    assert selection.selected is not None
    assert selection.selected.number == 2, "an early stop at an impure program ended the loop"


def test_invariant_4_rows_that_ran_out_of_time_are_reported_not_called_impure() -> None:
    from llm_pv.sandbox import Limits

    slow = f"""
def f(x):
    while x == {parity_splits().validation.inputs[10]!r}:
        pass
    return x.count('1') % 2
"""
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=1)) as sandbox:
        selection = select_program(
            parity_splits(), Scripted([slow]), sandbox, Plan(1), seed=0,
            log=CellLog(Cell("test")),
        )  # fmt: skip
    [attempt] = selection.attempts
    assert not attempt.rejected
    assert attempt.outcome is Outcome.TIMED_OUT
    assert selection.selected is attempt
    assert attempt.validation is not None
    assert attempt.validation.errors == 20, "the ten rows before it were answered"


def test_invariant_5_a_reply_is_on_disk_before_it_is_used(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_on_disk = []
    path = tmp_path / "run" / "replies.jsonl"

    class Looking(Watched):
        def predict(self, source: str, inputs: Sequence[Input], **options: Any) -> Execution:
            lines = path.read_text().splitlines()
            seen_on_disk.append(source in {json.loads(line)["text"] for line in lines})
            return super().predict(source, inputs, **options)

    looking: Any = Looking(sandbox)
    with RunDirectory(tmp_path / "run", {}) as run:
        log = run.cell_log(Cell("test"))
        proposer = Scripted([ALWAYS_ONE, FIRST_BIT, PARITY])
        select_program(parity_splits(), proposer, looking, Plan(3), seed=0, log=log)
    assert seen_on_disk
    assert all(seen_on_disk)


def test_invariant_5_a_resumed_run_pays_for_no_recorded_reply(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    replies = [ALWAYS_ONE, "no program", FIRST_BIT, PARITY]

    class Dies(Scripted):
        def propose(
            self, train: Examples, classes: Classes, *, seed: int, start: int = 0
        ) -> Iterator[Proposal]:
            yield from super().propose(train, classes, seed=seed, start=start)
            raise KeyboardInterrupt

    for recorded in range(4):
        out = tmp_path / str(recorded)
        proposer = Dies(replies[:recorded])
        with RunDirectory(out, {}) as run:
            log = run.cell_log(Cell("test"))
            with pytest.raises(KeyboardInterrupt):
                select_program(parity_splits(), proposer, sandbox, Plan(4), seed=0, log=log)
        again = Scripted(replies)
        with RunDirectory(out, {}) as run:
            log = run.cell_log(Cell("test"))
            selection = select_program(parity_splits(), again, sandbox, Plan(4), seed=0, log=log)
        assert again.paid == 4 - recorded
        assert [attempt.number for attempt in selection.attempts] == [1, 2, 3, 4]
        assert selection.selected is not None
        assert selection.selected.number == 4
        assert selection.certificate is not None
        assert selection.certificate.verified == 3


KILLED = """
import json, os, signal, sys
import scipy.special  # once, not in every child
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted, parity_splits
from llm_pv.erm.pipeline import Destination
from llm_pv.erm.pipeline import learn_splits
from llm_pv.erm.selection import Plan
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.sandbox import Sandbox

moment, writes = 0, 0
class Tearing:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *_): self.file.close()
    def __getattr__(self, name): return getattr(self.file, name)
    def write(self, data):
        global writes
        writes += 1
        if writes * 2 - 1 == moment:
            self.file.write(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        written = self.file.write(data)
        if writes * 2 == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return written
opened = Path.open
def tearing(self, mode="r", *args, **kwargs):
    file = opened(self, mode, *args, **kwargs)
    return Tearing(file) if mode == "ab" else file
Path.open = tearing
def run(out):
    with Sandbox(workers=1) as sandbox, RunDirectory(out, {"same": 1}) as run:
        proposer = Scripted([ALWAYS_ONE, "nothing", FIRST_BIT, PARITY])
        destination = Destination(run, Cell("test"))
        learn_splits(parity_splits(), proposer, sandbox, Plan(4), destination=destination)
        return proposer.paid

def in_a_child(out, killed_at=0):
    "Return how the child ended, and how many replies it paid for."
    global moment
    read, write = os.pipe()
    child = os.fork()
    if not child:
        moment = killed_at
        os.write(write, str(run(out)).encode())
        os._exit(0)
    os.close(write)
    status = os.waitpid(child, 0)[1]
    paid = os.read(read, 10).decode()
    os.close(read)
    return os.waitstatus_to_exitcode(status), paid

folder = Path(sys.argv[1])
findings = [[0, *in_a_child(folder / "0"), 0, "4"]]
for killed_at in range(1, 19):
    out = folder / str(killed_at)
    ended, _ = in_a_child(out, killed_at)
    recorded = (out / "replies.jsonl").read_bytes().count(b"\\n")
    findings.append([killed_at, ended, *in_a_child(out)[::-1], str(4 - recorded)])
print(json.dumps(findings))
"""


def test_invariant_5_a_kill_at_any_moment_loses_at_most_the_attempt_in_flight(
    tmp_path: Path,
) -> None:
    """Nine journal lines are written; the kill comes when each is half written, and when whole."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    whole, *killed = json.loads(result.stdout)
    assert whole == [0, 0, "4", 0, "4"]
    assert len(killed) == 18
    reference = comparable_files(tmp_path / "0")
    for moment, ended, paid, resumed, unrecorded in killed:
        assert ended == -signal.SIGKILL, f"moment {moment} never came"
        assert resumed == 0
        assert paid == unrecorded, f"killed at moment {moment}: a recorded reply was paid again"
        assert comparable_files(tmp_path / str(moment)) == reference, f"moment {moment}"


TIMINGS = re.compile(
    r'"(created|time|proposal_seconds|verify_seconds|seconds|learn_seconds|test_seconds|command)"'
    r": (\[[^\]]*\]|\"[^\"]*\"|[0-9.e+-]+)"
)


def comparable_files(run: Path) -> dict[str, str]:
    """The files of a run without dates, timings and the run's own path."""
    contents = {}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.suffix != ".csv" and path.name not in {".lock", "runner.log"}:
            text = path.read_text("utf-8").replace(str(run), "RUN")
            contents[path.relative_to(run).as_posix()] = TIMINGS.sub("-", text)
    return contents


def test_invariant_6_no_secret_is_written_or_printed(tmp_path: Path) -> None:
    secret = "sk-do-not-write-me-0123456789"
    keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
    environment = {**os.environ, "PYTHONPATH": SOURCE} | dict.fromkeys(keys, secret)
    rows = tmp_path / "rows.txt"
    splits = parity_splits(60, 60, 40)
    rows.write_text(
        "".join(
            f"{text} -> {label}\n"
            for part in (splits.train, splits.validation, splits.test)
            for text, label in zip(part.inputs, part.labels, strict=True)
        )
    )
    thief = "import os\nf = lambda x: os.environ['OPENAI_API_KEY']\n"
    (tmp_path / "thief.py").write_text(thief)
    run = [sys.executable, "-m", "llm_pv", "learn", "--debug"]
    commands = [
        [*run, str(rows), "--out", str(tmp_path / "a")],
        [*run, str(rows), "--out", str(tmp_path / "b"), "--proposer", f"replay:{thief}"],
        [*run, str(rows), "--out", str(tmp_path / "c"), "--proposer",
         f"replay:{tmp_path / 'thief.py'}"],
        [sys.executable, "-m", "llm_pv", "doctor"],
        [sys.executable, "-m", "llm_pv", "doctor", "--format", "json"],
    ]  # fmt: skip
    for command in commands:
        result = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert secret.encode() not in result.stdout + result.stderr, command
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_invariant_7_the_same_seed_and_configuration_give_the_same_run(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    draw = random.Random(7)
    rows = [(draw.randrange(100), draw.choice("abc"), draw.random()) for _ in range(300)]
    table.write_text(
        "a,b,c,y\n" + "".join(f"{a},{b},{c},{int(a > 40 and b == 'a')}\n" for a, b, c in rows)
    )
    for number in ("1", "2"):
        out = tmp_path / number / "run"
        search = Search(seed=3, attempts=10, budget_seconds=60)
        llm_pv.learn(table, target="y", search=search, out=out)
    first, second = (comparable_files(tmp_path / number / "run") for number in ("1", "2"))
    assert first == second
    assert {"run.json", "replies.jsonl", "results_attempts.jsonl"} < first.keys()


def nested_finally(depth: int, indent: int = 1) -> str:
    """Python copies a ``finally`` body to each exit: every level multiplies what is compiled."""
    if depth == 0:
        return " " * indent + "x\n"
    one = " " * indent
    return (
        f"{one}try:\n{one} if x: return 1\n{one} if x: return 2\n{one}finally:\n"
        + nested_finally(depth - 1, indent + 1)
    )


def test_invariant_7_the_check_of_row_independence_runs_the_same_rows_again(
    sandbox: Sandbox,
) -> None:
    handed = []
    for seed in (5, 5, 6):
        watched: Any = Watched(sandbox)
        learn_splits(parity_splits(), Scripted([PARITY]), watched, Plan(1), seed=seed)
        handed.append([list(inputs) for _, inputs in watched.handed])
    assert handed[0] == handed[1]
    assert handed[0] != handed[2], "the orders are drawn by the seed"


def test_invariant_8_hostile_source_costs_the_parent_neither_time_nor_memory(
    tmp_path: Path,
) -> None:
    replies = tmp_path / "replies.jsonl"
    hostile = "def f(x):\n" + nested_finally(11) + " return 1\n"
    replies.write_text("\n".join(map(json.dumps, [hostile, PARITY])), "utf-8")
    rows = tmp_path / "rows.txt"
    rows.write_text("".join(f"{n:06b} -> {n.bit_count() % 2}\n" for n in range(60)), "utf-8")
    saved = tmp_path / "saved.py"
    saved.write_text(hostile, "utf-8")
    script = f"""
import json, resource, sys, time
from llm_pv.cli.main import run as command
def use():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss
def run(*arguments):
    return command(arguments)
warm = run("learn", {str(rows)!r}, "--out", {str(tmp_path / "warm")!r},
           "--proposer", "replay:" + {str(replies)!r}, "--attempts", "1")
before = use()
codes = [
    run("learn", {str(rows)!r}, "--out", {str(tmp_path / "run")!r},
        "--proposer", "replay:" + {str(replies)!r}),
    run("predict", {str(saved)!r}, {str(rows)!r}),
    run("verify", {str(saved)!r}, {str(rows)!r}),
]
after = use()
print(json.dumps([codes, after[0] - before[0], (after[1] - before[1]) / 1024]), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
    )
    codes, cpu_seconds, megabytes = json.loads(done.stderr.strip().splitlines()[-1])
    assert codes == [0, 2, 2], done.stderr
    assert cpu_seconds < 3, "compiling it takes 18 s"
    assert megabytes < 60, "compiling it takes 2,000"
    attempts = (tmp_path / "run" / "results_attempts.jsonl").read_text("utf-8").splitlines()
    assert "to parse" in json.loads(attempts[0])["error"]


REFUSED = {"GET": [Wire({}, 404)]}
"""To the question which models there are."""


@pytest.mark.parametrize(
    "reply",
    [Wire(silent=True), Wire(chat(PARITY), cut=30), Wire({"error": {"message": "late"}}, 504)],
    ids=["slow", "cut", "gateway"],
)
@pytest.mark.parametrize("budget", [Budget(tokens=9_000), Budget(usd=9.0)], ids=["tokens", "usd"])
def test_invariant_9_no_budget_is_crossed_though_every_try_may_be_charged(
    budget: Budget, reply: Wire, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "wait", lambda *_: 0.0)
    with WireServer([reply], REFUSED) as server:
        options = ModelOptions(
            base_url=f"{server.url}/v1",
            timeout_seconds=0.5 if reply.silent else 60.0,
            retries=3,
            max_output_tokens=1_500,
            prices=(1_000.0, 1_000.0),  # a tenth of a cent for each token
        )
        model = make_model("openai-compatible:tiny", options)
        llm = LLM(model, attempts=1, settings=LLMSettings(tool="none"), budget=budget)
        with llm, pytest.raises(BudgetError):
            learn_splits(parity_splits(), llm, sandbox, Plan(1))
    sent = [seen.body for seen in server.seen if seen.method == "POST"]
    # The least that each may be charged: a token a word of the prompt, and all it may write.
    tokens = sum(
        body["max_tokens"] + sum(len(each["content"].split()) for each in body["messages"])
        for body in sent
    )
    assert len(sent) > 1, "no try was made again"
    assert tokens <= llm.tracker.spent_tokens <= 9_000
    assert llm.tracker.spent_usd == pytest.approx(llm.tracker.spent_tokens / 1_000)


def test_the_certificate_is_the_exact_limit_at_the_share_fixed_before_the_run(
    sandbox: Sandbox,
) -> None:
    replies = [ALWAYS_ONE, FIRST_BIT, PARITY]
    for plan, share in ((Plan(3), 0.05 / 6), (Plan(3, planned=2), 0.05 / 4)):
        learned = learn_splits(parity_splits(), Scripted(replies), sandbox, plan)
        assert learned.certificate is not None
        # No mistake on 30 rows at an error of 1 - share ** (1 / 30) has the probability of share.
        assert learned.certificate.error_bound == pytest.approx(1 - share ** (1 / 30), abs=1e-9)
