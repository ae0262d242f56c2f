"""`learn`: rows from everywhere, sandboxes and proposers of one's own, resuming."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_pv import LearnedProgram, Search, SplitSizes, learn
from llm_pv.api import read_splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.metrics import Metric
from llm_pv.errors import ConfigurationError, DataError, LLMPVError, RunError
from llm_pv.programs.program import Program
from llm_pv.runs.reading import read_attempts
from llm_pv.sandbox import Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted, parity_splits

TEXTS = [f"{number:06b}" for number in range(64)]
ODD = [text.count("1") % 2 for text in TEXTS]
PAIRS = [[number % 8, number // 8] for number in range(64)]
ABOVE = [int(pair[0] > 4) for pair in PAIRS]
RULE = "def f(x):\n    return int(x['x0'] > 4)\n"


def scripted(*programs: str, **options: Any) -> Search:
    return Search(Scripted(programs), **options)


def outcome(learned: LearnedProgram) -> dict[str, Any]:
    """Everything told of a result but how long it took and where it is."""
    record = learned.record()
    return {
        key: value
        for key, value in record.items()
        if key not in {"learn_seconds", "test_seconds", "run", "program_file"}
    }


@pytest.mark.parametrize(
    ("rows", "labels", "rule"),
    [
        (TEXTS, ODD, PARITY),
        (np.array(TEXTS), np.array(ODD), PARITY),
        (PAIRS, ABOVE, RULE),
        (np.array(PAIRS), pd.Series(ABOVE) == 1, RULE),
        (pd.DataFrame(PAIRS, columns=["x0", "x1"]), ABOVE, RULE),
        ([{"x0": pair[0], "x1": pair[1]} for pair in PAIRS], ABOVE, RULE),
    ],
    ids=["strings", "array of strings", "lists", "array", "frame", "dicts"],
)
def test_rows_with_labels_beside_them(rows: Any, labels: Any, rule: str, sandbox: Sandbox) -> None:
    learned = learn(rows, labels, search=scripted(rule), sandbox=sandbox)
    assert learned.program is not None
    assert learned.program.source == rule
    assert learned.test is not None
    assert (learned.test.rows, learned.test.errors) == (13, 0)
    assert learned.name == "rows"


def test_labels_in_a_column_of_a_frame(sandbox: Sandbox) -> None:
    frame = pd.DataFrame(PAIRS, columns=["x0", "x1"]).assign(y=np.where(ABOVE, "yes", "no"))
    rule = "def f(x):\n    return 'yes' if x['x0'] > 4 and 'y' not in x else 'no'\n"
    learned = learn(frame, target="y", search=scripted(rule), sandbox=sandbox)
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    assert learned.classes.values == ("no", "yes")


def test_rows_in_files(tmp_path: Path, sandbox: Sandbox) -> None:
    lines = [f"{text} -> {odd}\n" for text, odd in zip(TEXTS, ODD, strict=True)]
    path = tmp_path / "parity.txt"
    path.write_text("".join(lines))
    learned = learn(str(path), search=scripted(PARITY), sandbox=sandbox)
    assert learned.name == "parity.txt"
    assert learned.test is not None
    assert learned.test.rows == 13
    disguised = tmp_path / "table.dat"
    disguised.write_text("a\tz\n" + "".join(f"{a}\t{a % 2}\n" for a in range(20)))
    rule = "def f(x):\n    return int(x[-1] in '13579')\n"
    learned = learn(
        disguised,
        target="z",
        types={"a": "str"},
        data_format="tsv",
        search=scripted(rule),
        sandbox=sandbox,
    )
    assert learned.test is not None
    assert learned.test.accuracy == 1.0


def test_ready_made_splits_are_taken_as_they_are(tmp_path: Path, sandbox: Sandbox) -> None:
    splits = parity_splits()
    learned = learn(splits, search=scripted(PARITY), sandbox=sandbox)
    assert learned.test is not None
    assert learned.test.rows == len(splits.test)
    assert read_splits(splits) is splits


def test_ready_made_validation_and_test_rows(tmp_path: Path) -> None:
    def file(name: str, start: int, stop: int) -> Path:
        path = tmp_path / name
        pairs = zip(TEXTS[start:stop], ODD[start:stop], strict=True)
        path.write_text("".join(f"{text} -> {odd}\n" for text, odd in pairs))
        return path

    train, validation, test = file("a.txt", 0, 30), file("b.txt", 30, 50), file("c.txt", 50, 64)
    splits = read_splits(train, validation=validation, test=test)
    assert sorted(splits.train.inputs, key=str) == TEXTS[:30]
    assert sorted(splits.validation.inputs, key=str) == TEXTS[30:50]
    assert sorted(splits.test.inputs, key=str) == TEXTS[50:]


def test_sizes_and_seed_decide_the_split() -> None:
    sizes = SplitSizes(train=10, validation=20, test=5)
    first, again, other = (read_splits(TEXTS, ODD, sizes=sizes, seed=seed) for seed in (1, 1, 2))
    assert [len(part) for part in (first.train, first.validation, first.test)] == [10, 20, 5]
    assert first.digest() == again.digest() != other.digest()


def test_a_sandbox_of_ones_own_is_left_open(sandbox: Sandbox) -> None:
    learn(TEXTS, ODD, search=scripted(PARITY), sandbox=sandbox)
    assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)


def test_a_proposer_of_ones_own_sees_training_rows_and_seed(sandbox: Sandbox) -> None:
    proposer = Scripted([PARITY])
    learned = learn(TEXTS, ODD, search=Search(proposer, seed=9), sandbox=sandbox)
    [(train, classes, seed, start)] = proposer.calls
    assert len(train) == 26
    assert classes.texts == ("0", "1")
    assert (seed, start) == (9, 0)
    assert learned.proposer == "scripted"
    assert learned.seed == 9


def test_each_attempt_is_told_when_it_is_done(sandbox: Sandbox) -> None:
    told: list[Attempt] = []
    search = scripted(ALWAYS_ONE, "no code", PARITY, FIRST_BIT)
    learned = learn(TEXTS, ODD, search=search, sandbox=sandbox, on_attempt=told.append)
    assert [attempt.number for attempt in told] == [1, 2, 3], "early stop at the third"
    assert tuple(told) == learned.selection.attempts


def test_attempts_are_the_proposers_default_unless_asked(sandbox: Sandbox) -> None:
    assert scripted(PARITY).resolve()[1].attempts == 5
    assert scripted(PARITY, attempts=2).resolve()[1].attempts == 2
    learned = learn(
        TEXTS, ODD, search=scripted(ALWAYS_ONE, FIRST_BIT, PARITY, attempts=2), sandbox=sandbox
    )
    assert len(learned.selection.attempts) == 2
    assert learned.certificate is not None
    assert learned.certificate.planned == 2


def test_a_finished_run_is_read_back_without_a_new_proposal(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    out = tmp_path / "run"
    first = learn(TEXTS, ODD, search=scripted(ALWAYS_ONE, PARITY), sandbox=sandbox, out=out)
    before = (out / "replies.jsonl").read_bytes()
    proposer = Scripted([ALWAYS_ONE, PARITY])
    again = learn(TEXTS, ODD, search=Search(proposer), sandbox=sandbox, out=str(out))
    assert (proposer.paid, proposer.calls) == (0, [])
    assert outcome(again) == outcome(first)
    assert again.path == first.path == out
    assert again.program_path is not None
    assert PARITY in again.program_path.read_text("utf-8")
    assert (out / "replies.jsonl").read_bytes() == before


def test_an_unfinished_run_is_resumed_where_it_stopped(tmp_path: Path, sandbox: Sandbox) -> None:
    programs = [ALWAYS_ONE, FIRST_BIT, PARITY]
    whole = learn(TEXTS, ODD, search=scripted(*programs), sandbox=sandbox, out=tmp_path / "whole")

    def stop(attempt: Attempt) -> None:
        if attempt.number == 2:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        learn(TEXTS, ODD, search=scripted(*programs), sandbox=sandbox, out=out, on_attempt=stop)
    proposer = Scripted(programs)
    resumed = learn(TEXTS, ODD, search=Search(proposer), sandbox=sandbox, out=out)
    assert proposer.paid == 1, "two of three were on disk"
    assert outcome(resumed) == outcome(whole)


def test_a_run_of_other_rows_or_options_is_not_resumed(tmp_path: Path, sandbox: Sandbox) -> None:
    out = tmp_path / "run"
    learn(TEXTS, ODD, search=scripted(PARITY), sandbox=sandbox, out=out)
    with pytest.raises(RunError):
        learn(TEXTS, ODD, search=scripted(PARITY, seed=1), sandbox=sandbox, out=out)
    with pytest.raises(RunError):
        learn(TEXTS[:50], ODD[:50], search=scripted(PARITY), sandbox=sandbox, out=out)


def test_the_configuration_on_disk_is_plain_and_complete(tmp_path: Path, sandbox: Sandbox) -> None:
    out = tmp_path / "run"
    labels = np.array(ABOVE, dtype=bool)
    learn(np.array(PAIRS), labels, search=scripted(RULE), sandbox=sandbox, out=out, name="a/b.csv")
    configuration = json.loads((out / "run.json").read_text("utf-8"))["configuration"]
    assert configuration["planned_attempts"] == 5
    assert configuration["proposer"] == "scripted"
    assert configuration["columns"] == ["x0", "x1"]
    assert configuration["class_values"] == [False, True]
    assert configuration["sizes"] == [26, 25, 13]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: learn(TEXTS), DataError, "no labels"),
        (lambda: learn(TEXTS, ODD[:5]), DataError, "64 rows and 5 labels"),
        (lambda: learn(7, ODD), DataError, "give a DataFrame"),
        (lambda: learn("absent.csv"), DataError, "no such file"),
        (lambda: learn(TEXTS, ODD, sizes=SplitSizes(train=1.5)), ConfigurationError,  # type: ignore[arg-type]
         "train size 1.5"),
        (lambda: learn(TEXTS, ODD, search=Search("magic")), ConfigurationError, "magic"),
        (lambda: learn(TEXTS, ODD, search=Search(attempts=0)), ConfigurationError, "at least 1"),
        (lambda: learn(TEXTS, ODD, search=Search(delta=1.0)), ConfigurationError, "between 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_a_one_line_error(
    call: Any, kind: type[LLMPVError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_finished_run_goes_on_with_more_attempts_and_its_k_stays(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    replies = [ALWAYS_ONE, FIRST_BIT, PARITY]

    def run(attempts: int) -> LearnedProgram:
        search = Search(Scripted(replies), attempts=attempts, early_stop=False)
        return learn(TEXTS, ODD, search=search, sandbox=sandbox, out=tmp_path / "run")

    first = run(2)
    assert len(first.selection.attempts) == 2
    assert run(2).already_finished
    more = run(3)
    assert not more.already_finished
    assert more.program is not None
    assert more.program.source == first_program(PARITY)
    assert more.certificate is not None
    # Program 3 is the first beyond K = 2: delta / (2 * 1 * 2).
    assert (more.certificate.planned, more.certificate.position) == (2, 3)
    assert more.certificate.share == pytest.approx(0.05 / 4)
    assert run(3).already_finished
    kinds = [record["kind"] for record in read_attempts(tmp_path / "run")]
    assert (kinds.count("attempt"), kinds.count("selected")) == (3, 1)


def first_program(source: str) -> str:
    return Program.parse(source).source


def test_the_programs_of_another_run_come_first_and_count_with_all_it_had_planned(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    before = Search(Scripted([ALWAYS_ONE, PARITY]), attempts=7)
    learn(TEXTS, ODD, search=before, sandbox=sandbox, out=tmp_path / "before")
    warm = Search(
        Scripted([FIRST_BIT]), attempts=1, early_stop=False, warm_start=tmp_path / "before"
    )
    learned = learn(TEXTS, ODD, search=warm, sandbox=sandbox, out=tmp_path / "after")
    tried = [attempt.program.source for attempt in learned.selection.attempts if attempt.program]
    assert tried == [first_program(text) for text in (ALWAYS_ONE, PARITY, FIRST_BIT)]
    certificate = learned.certificate
    assert certificate is not None
    # The first run planned 7 and stopped at its second program; this one adds one attempt.
    assert (certificate.planned, certificate.verified, certificate.position) == (8, 3, 2)
    assert certificate.share == pytest.approx(0.05 / 16)
    assert any("count in the certificate" in warning for warning in learned.warnings)
    again = learn(TEXTS, ODD, search=warm, sandbox=sandbox, out=tmp_path / "after")
    assert again.already_finished
    with pytest.raises(ConfigurationError, match="holds no program"):
        Search(Scripted([]), warm_start=tmp_path / "nothing").resolve()


def test_a_search_ends_at_the_accuracy_that_is_enough(sandbox: Sandbox) -> None:
    replies = [ALWAYS_ONE, PARITY]
    enough = Search(Scripted(replies), attempts=2, stop_at=0.4)
    learned = learn(TEXTS, ODD, search=enough, sandbox=sandbox)
    assert len(learned.selection.attempts) == 1
    stricter = Search(Scripted(replies), attempts=2, stop_at=0.9)
    assert len(learn(TEXTS, ODD, search=stricter, sandbox=sandbox).selection.attempts) == 2
    with pytest.raises(ConfigurationError, match=r"stop_at is 1\.5"):
        Search(Scripted(replies), stop_at=1.5).resolve()


def test_rare_and_dear_classes_are_selected_for(sandbox: Sandbox) -> None:
    rows = [f"{n:04d}" for n in range(200)]
    rare = [int(n % 20 == 0) for n in range(200)]
    never = "def f(x):\n    return 0\n"
    often = "def f(x):\n    return int(int(x) % 5 == 0)\n"  # finds all, and 3 times as many others

    def selected(**how: Any) -> str:
        search = Search(Scripted([never, often]), attempts=2, **how)
        learned = learn(rows, rare, search=search, sandbox=sandbox)
        assert learned.program is not None
        return learned.program.source

    assert selected() == first_program(never)
    assert selected(metric=Metric("balanced-accuracy")) == first_program(often)
    assert selected(metric=Metric("f1")) == first_program(often)
    dear = Metric("cost", {("1", "0"): 10.0})
    assert selected(metric=dear) == first_program(often)
    assert selected(class_weight="balanced") == first_program(often)
    assert selected(class_weight={1: 2.0}) == first_program(never)
    with pytest.raises(ConfigurationError, match="class_weight of 7"):
        selected(class_weight={7: 2.0})
    with pytest.raises(ConfigurationError, match="class_weight of 1 is inf"):
        selected(class_weight={1: float("inf")})
    with pytest.raises(ConfigurationError, match="all weights are 0"):
        selected(class_weight={0: 0.0, 1: 0.0})


def test_scores_on_inputs_that_training_lacks_are_told_apart(sandbox: Sandbox) -> None:
    rows = ["a", "b"] * 40 + [f"c{n}" for n in range(20)]
    labels = [int(row == "a") for row in rows]
    rule = "def f(x):\n    return int(x == 'a' or x == 'c7')\n"
    learned = learn(rows, labels, search=scripted(rule), sandbox=sandbox)
    new = list(learned.unseen.values())
    assert set(learned.unseen) == {"validation", "test"}
    assert all(count < total for (count, _), total in zip(new, (40, 20), strict=True))
    assert sum(wrong for _, wrong in new) <= 1
    assert any("also occurs in training" in warning for warning in learned.warnings)
