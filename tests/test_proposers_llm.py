"""Programs proposed by a model: order, tool, refinement, failures, resuming, spending."""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.erm.attempts import programs_of
from llm_pv.errors import BudgetError, ConfigurationError, CredentialError, ModelError, RunError
from llm_pv.models.base import Message, ToolAnswer, Turn, Usage, UserMessage
from llm_pv.proposers.base import Context, Mistake, Proposal
from llm_pv.proposers.llm import LLM, LLMSettings, alphabet_of
from llm_pv.proposers.round_robin import RoundRobin
from llm_pv.proposers.spending import Budget
from rows import FIRST_BIT, PARITY, parity_splits
from scripted_model import Script, ScriptedModel, says, wants

SPLITS = parity_splits()


class Kept:
    """A run's memory: what a proposer wrote, to be handed to the next one."""

    def __init__(self) -> None:
        self.turns: list[dict[str, Any]] = []
        self.prompts: dict[str, str] = {}
        self.failures: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self.lock = threading.Lock()

    def write(self, records: Sequence[Any]) -> None:
        with self.lock:
            self.turns += json.loads(json.dumps(list(records)))

    def context(self, **changes: Any) -> Context:
        return replace(
            Context(
                turns=tuple(self.turns),
                write_turns=self.write,
                write_prompt=self.prompts.__setitem__,
                write_failure=lambda number, reason: self.failures.append((number, reason)),
                warn=self.warnings.append,
            ),
            **changes,
        )


def proposals(llm: LLM, kept: Kept | None = None, **changes: Any) -> list[Proposal]:
    context = (kept or Kept()).context(**changes)
    return list(llm.propose_in(SPLITS.train, SPLITS.classes, seed=7, context=context))


def asking(script: Script, attempts: int = 1, **settings: Any) -> tuple[LLM, ScriptedModel]:
    model = ScriptedModel(script)
    return LLM(model, attempts=attempts, settings=LLMSettings(**settings)), model


def test_every_attempt_is_asked_the_same_prompt_of_training_rows_alone() -> None:
    llm, model = asking(says(PARITY), attempts=3)
    kept = Kept()
    assert [each.origin for each in proposals(llm, kept)] == ["1", "2", "3"]
    (prompt,) = kept.prompts.values()
    assert model.asked == [(UserMessage(prompt),)] * 3
    for row, label in zip(SPLITS.train.inputs, SPLITS.train.labels, strict=True):
        assert f"{row} -> {label}\n" in prompt
    for hidden in (*SPLITS.validation.inputs, *SPLITS.test.inputs):
        assert str(hidden) not in prompt


def test_attempts_run_side_by_side_and_are_read_in_their_order() -> None:
    barrier = threading.Barrier(3, timeout=20)

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        barrier.wait()  # passes only if all three are under way at once
        return Turn(str(seed))

    llm, _ = asking(script, attempts=3)
    found = proposals(llm)
    assert [each.origin for each in found] == ["1", "2", "3"]
    assert len({each.text for each in found}) == 3, "each attempt has a seed of its own"


def test_no_more_attempts_are_under_way_than_are_admitted() -> None:
    llm, model = asking(says(PARITY), attempts=6)
    rounds = RoundRobin({"cell": 0}, slots=2)
    proposals(llm, admission=rounds.cell("cell"))
    assert 1 <= model.most_at_once <= 2
    rounds.cell("other").acquire(1)
    rounds.cell("other").acquire(2)  # both slots are free again


@pytest.mark.parametrize("early_stop", [True, False])
def test_a_slot_waits_for_the_verification_only_where_it_may_end_the_run(early_stop: bool) -> None:
    second = threading.Event()

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        if len(model.asked) == 2:
            second.set()
        return Turn(PARITY)

    llm, model = asking(script, attempts=2)
    admission = RoundRobin({"cell": 0}, slots=1).cell("cell")
    context = Kept().context(admission=admission, early_stop=early_stop)
    stream = llm.propose_in(SPLITS.train, SPLITS.classes, seed=7, context=context)
    next(stream)  # and it is being verified
    assert second.wait(0.3 if early_stop else 20) is not early_stop
    assert len(list(stream)) == 1


def test_after_an_early_stop_what_has_begun_is_still_read_and_nothing_else_begins() -> None:
    third = threading.Event()
    stopping = threading.Event()

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        if len(model.asked) == 2:
            third.wait(20)
        return Turn(PARITY)

    llm, model = asking(script, attempts=5)
    rounds = RoundRobin({"cell": 0}, slots=2)
    context = Kept().context(admission=rounds.cell("cell"), stopping=stopping)
    stream = llm.propose_in(SPLITS.train, SPLITS.classes, seed=7, context=context)
    first = next(stream)
    stopping.set()
    third.set()
    rest = list(stream)
    assert first.origin == "1"
    assert len(rest) + 1 == len(model.asked) < 5


def test_the_tool_runs_on_the_training_rows_and_its_output_goes_back() -> None:
    code = "print(len(rows), rows[0])"
    llm, model = asking(says(wants(code), wants("1/0"), PARITY), tool="local")
    with llm:
        (found,) = proposals(llm)
    assert found.text == PARITY
    assert found.tool_calls == 2
    assert found.usage == Usage(300, 30)
    assert found.cost_usd == 1.5
    *_, answer, _, error = model.asked[-1]
    assert isinstance(answer, ToolAnswer)
    assert isinstance(error, ToolAnswer)
    label = int(SPLITS.train.labels[0])
    assert answer.text.strip() == f"20 ({SPLITS.train.inputs[0]!r}, {label})"
    assert "ZeroDivisionError" in error.text
    assert all(offer is not None and "rows" in offer.description for offer in model.offers)


def tool_texts(model: ScriptedModel) -> list[str]:
    return [each.text for each in model.asked[-1] if isinstance(each, ToolAnswer)]


def test_definitions_stay_within_an_attempt_and_check_compares_with_the_training_rows() -> None:
    code = "import math\nlimit = 1\ndef f(x):\n    return x.count('1') % 2"
    script = says(wants(code), wants("check(f, show=0)\nmath.pi > 3, limit"), PARITY)
    llm, model = asking(script, attempts=2, tool="local", tool_functions=("check", "survey"))
    with llm:
        proposals(llm)
        defined, checked = tool_texts(model)
    assert "printed nothing" in defined
    assert checked.startswith("right on 20 of 20 rows (100.0%)")
    assert "NameError: name 'limit' is not defined" in checked
    assert all(len(each) == 1 for each in model.asked[:1]), "the first message is the prompt alone"
    (prompt,) = {each[0].text for each in model.asked if isinstance(each[0], UserMessage)}
    assert "`check(f)`" in prompt
    assert "`survey()`" in prompt


def test_a_resumed_attempt_finds_the_definitions_of_calls_that_are_on_disk() -> None:
    turns = (wants("def half(x):\n    return x / 2"), wants("half(3)"), PARITY)
    whole = Kept()
    llm, first = asking(says(*turns), tool="local")
    with llm:
        proposals(llm, whole)
    kept = Kept()
    kept.turns = [dict(each) for each in whole.turns if (each["kind"], each["turn"]) in CUT]
    llm, model = asking(says(*turns), tool="local")
    with llm:
        proposals(llm, kept)
    assert len(model.asked) == 1, "two turns are on disk"
    assert tool_texts(model) == tool_texts(first) == ["[the code printed nothing]", "1.5\n"]


CUT = {("turn", 1), ("tool", 1), ("turn", 2)}


def test_the_survey_tells_of_training_rows_alone_and_is_made_once() -> None:
    script = says(wants("survey()"), wants("survey()"), PARITY)
    llm, model = asking(script, tool="local", tool_functions=("survey",))
    with llm:
        proposals(llm)
    one, two = tool_texts(model)
    assert one == two
    assert one.startswith("Survey of 20 training rows.")
    ones = SPLITS.train.labels.count("1")
    best = one.splitlines()[3]
    assert "% 2" in best
    assert best.endswith(f"1: {ones} | 0: {20 - ones}")
    for hidden in (*SPLITS.validation.inputs, *SPLITS.test.inputs):
        assert str(hidden) not in one


def test_validation_and_test_rows_are_not_within_reach_of_the_tool() -> None:
    """The code walks through whatever it can reach, looking for digests of rows."""
    hidden = [*SPLITS.validation.inputs, *SPLITS.test.inputs]
    digests = {hashlib.sha256(str(row).encode()).hexdigest() for row in hidden}
    known = {hashlib.sha256(str(row).encode()).hexdigest() for row in SPLITS.train.inputs}
    search = f"""
import hashlib, sys
wanted, known, found, seen = {digests!r}, {known!r}, set(), set()
heap, frame = [dict(sys.modules), rows], sys._getframe()
while frame is not None:
    heap += [frame.f_globals, frame.f_locals]
    frame = frame.f_back
while heap and len(seen) < 200_000:
    thing = heap.pop()
    if id(thing) in seen:
        continue
    seen.add(id(thing))
    if isinstance(thing, str):
        found.add(hashlib.sha256(thing.encode("utf-8", "replace")).hexdigest())
    elif isinstance(thing, dict):
        heap += [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set, frozenset)):
        heap += thing
    elif type(thing).__module__.startswith("llm_pv") or type(thing).__name__ == "module":
        heap += list(vars(thing).values()) if hasattr(thing, "__dict__") else []
print(len(found & known), len(found & wanted))
"""
    llm, model = asking(says(wants(search), PARITY), tool="local")
    with llm:
        proposals(llm)
    answer = model.asked[-1][-1]
    assert isinstance(answer, ToolAnswer)
    assert answer.text.strip() == f"{len(known)} 0", "training rows are found, no others"


def test_a_call_without_code_is_answered_with_what_was_wrong() -> None:
    llm, model = asking(says(wants(None, "the arguments were no JSON"), PARITY), tool="local")
    with llm:
        proposals(llm)
    answer = model.asked[-1][-1]
    assert isinstance(answer, ToolAnswer)
    assert "the arguments were no JSON" in answer.text


def test_the_tool_loop_ends_at_the_stated_number_of_calls() -> None:
    turns = [wants("print(1)")] * 9
    llm, model = asking(says(*turns), tool="local", tool_calls=2)
    with llm:
        (found,) = proposals(llm)
    assert found.failure == "still asked for the tool after 2 calls"
    last = [message.text for message in model.asked[-1] if isinstance(message, ToolAnswer)]
    assert "last of 2 calls" in last[1]
    assert last[2].startswith("No more calls are allowed")
    assert len(model.asked) == 4
    assert found.tool_calls == 2


def test_a_refinement_after_too_many_calls_leaves_no_call_unanswered() -> None:
    turns = [wants("print(1)")] * 4 + [wants("print(2)"), Turn(PARITY)]
    llm, model = asking(says(*turns), tool="local", tool_calls=2, refinements=1)
    with llm:
        first, second = proposals(llm, mistakes=lambda source: [])
    assert first.failure
    assert (second.text, second.failure, second.tool_calls) == (PARITY, "", 1)
    for conversation in model.asked:
        calls = sum(len(message.calls) for message in conversation if isinstance(message, Turn))
        assert calls == sum(isinstance(message, ToolAnswer) for message in conversation)


def test_a_program_wrong_on_training_rows_is_sent_back_so_often() -> None:
    llm, model = asking(says(FIRST_BIT, PARITY, FIRST_BIT), refinements=2)
    seen: list[str] = []

    def mistakes(source: str) -> list[Mistake]:
        seen.append(source)
        return [] if source.strip() == PARITY.strip() else [Mistake("0111", "1", "0")]

    found = proposals(llm, mistakes=mistakes)
    assert [each.origin for each in found] == ["1", "1.1"]
    assert [each.text for each in found] == [FIRST_BIT, PARITY]
    complaint = model.asked[1][-1]
    assert isinstance(complaint, UserMessage)
    assert "0111 -> 1, your program: 0" in complaint.text
    assert llm.default_attempts == 3


def test_each_program_of_a_reply_is_a_proposal_and_the_best_one_is_sent_back() -> None:
    other = "def f(x):\n    return int(len(x) > 3)\n"
    reply = "".join(f"```python\n{each}```\nor\n" for each in (FIRST_BIT, other, PARITY, other))
    settings: dict[str, Any] = {"refinements": 1, "answer_format": "python"}
    llm, model = asking(says(reply, "f = len"), programs_per_reply=3, **settings)
    wrong = {PARITY: 1, other: 2, FIRST_BIT: 3}

    def mistakes(source: str) -> list[Mistake]:
        return [Mistake(source.strip()[-8:], "1", "0")] * wrong[source]

    found = proposals(llm, mistakes=mistakes)
    assert [(each.origin, each.text) for each in found] == [
        ("1", reply),
        ("1/2", PARITY),
        ("1/3", FIRST_BIT),
        ("1.1", "f = len"),
    ]
    assert [program.source for program, _ in programs_of(found) if program] == [
        other,
        PARITY,
        FIRST_BIT,
        "f = len\n",
    ]
    assert [each.cost_usd for each in found] == [0.5, 0.0, 0.0, 0.5]
    complaint = model.asked[1][-1].text
    assert "Your program is wrong on 1 of the" in complaint
    assert "up to 3 programs that differ" in complaint
    assert llm.default_attempts == 1 * 2 * 3
    alone, _ = asking(says(reply), programs_per_reply=1, answer_format="python")
    assert [each.origin for each in proposals(alone)] == ["1"]


def test_a_program_that_was_given_before_is_told_so() -> None:
    llm, model = asking(says(FIRST_BIT, FIRST_BIT.replace("x", "word"), PARITY), refinements=2)
    proposals(llm, mistakes=lambda source: [Mistake("0111", "1", "0")])
    first, second = model.asked[1][-1].text, model.asked[2][-1].text
    assert first.startswith("Your program is wrong")
    assert second.startswith("You gave this program before. Your program is wrong")
    assert "Find another rule" in second


def test_with_wrong_labels_as_many_mistakes_are_no_reason_to_ask_again() -> None:
    # 10% of 20 training rows are two.
    for wrong, asked in ((2, 1), (3, 2)):
        llm, model = asking(says(FIRST_BIT, PARITY), refinements=1, noise=0.1)
        proposals(llm, mistakes=lambda source, wrong=wrong: [Mistake("0", "1", "0")] * wrong)
        assert len(model.asked) == asked
    assert "as far as their labels are right" in model.asked[1][-1].text


def test_a_reply_without_a_program_is_sent_back_too() -> None:
    llm, model = asking(says("I cannot tell.", PARITY), refinements=1)
    found = proposals(llm, mistakes=lambda source: [])
    assert [each.text for each in found] == ["I cannot tell.", PARITY]
    complaint = model.asked[1][-1]
    assert isinstance(complaint, UserMessage)
    assert "no program" in complaint.text


@pytest.mark.parametrize(
    ("turn", "failure"),
    [
        (
            Turn("def f(", finish="length", usage=Usage(100, 1_000)),
            "the reply was cut off after 1,000 tokens",
        ),
        (Turn("", finish="refused"), "the model refused to answer"),
        (Turn(" \n"), "the reply was empty"),
        (Turn(PARITY), ""),
    ],
)
def test_what_was_wrong_with_a_reply_is_told(turn: Turn, failure: str) -> None:
    llm, _ = asking(says(turn))
    (found,) = proposals(llm)
    assert found.failure == failure


def test_a_resumed_run_asks_for_nothing_that_was_answered() -> None:
    code = "print(rows[0])"
    script = says(wants(code), FIRST_BIT, PARITY)
    settings: dict[str, Any] = {"tool": "local", "refinements": 1}

    def mistakes(source: str) -> list[Mistake]:
        return [Mistake("0111", "1", "0")]

    whole, first = Kept(), asking(script, attempts=2, **settings)
    with first[0]:
        expected = proposals(first[0], whole, mistakes=mistakes)
    assert len(first[1].asked) == 6
    for recorded in range(len(whole.turns) + 1):
        kept = Kept()
        kept.turns = whole.turns[:recorded]
        again, model = asking(script, attempts=2, **settings)
        with again:
            found = proposals(again, kept, mistakes=mistakes)
        assert [each.text for each in found] == [each.text for each in expected]
        assert [each.origin for each in found] == [each.origin for each in expected]
        answered = sum(record["kind"] == "turn" for record in whole.turns[:recorded])
        assert len(model.asked) == 6 - answered
        kinds = [
            [each["kind"] for each in run.turns if each["kind"] != "call"] for run in (kept, whole)
        ]
        assert sorted(kinds[0]) == sorted(kinds[1])


def test_proposals_a_run_has_read_are_not_handed_over_again() -> None:
    kept = Kept()
    llm, _ = asking(says(PARITY), attempts=3)
    proposals(llm, kept)
    again, model = asking(says(PARITY), attempts=3)
    found = proposals(again, kept, known=(("", "1"), ("", "3")))
    assert [each.origin for each in found] == ["2"]
    assert model.asked == []


def test_attempts_that_were_paid_for_are_read_even_after_an_early_stop() -> None:
    kept = Kept()
    llm, _ = asking(says(PARITY), attempts=2)
    proposals(llm, kept)
    stopping = threading.Event()
    stopping.set()
    again, model = asking(says(PARITY), attempts=4)
    assert len(proposals(again, kept, stopping=stopping)) == 2
    assert model.asked == []


def failing(*errors: Exception | None) -> Script:
    """Return a script that raises for the n-th request of the run, or answers."""
    left = list(errors)

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return Turn(PARITY)

    return script


def test_an_attempt_whose_call_fails_is_recorded_and_the_others_go_on() -> None:
    kept = Kept()
    llm, _ = asking(failing(ModelError("HTTP 500", transient=True)), attempts=3)
    rounds = RoundRobin({"cell": 0}, slots=1)
    found = proposals(llm, kept, admission=rounds.cell("cell"))
    assert [each.origin for each in found] == ["2", "3"]
    assert kept.failures == [(1, "HTTP 500")]


def test_a_call_that_would_fail_again_ends_the_cell() -> None:
    llm, model = asking(failing(*[ModelError("HTTP 404: no such model")] * 9), attempts=9)
    rounds = RoundRobin({"cell": 0}, slots=1)
    with pytest.raises(ModelError, match="no such model"):
        proposals(llm, admission=rounds.cell("cell"))
    assert len(model.asked) < 9


def test_a_call_refused_in_the_middle_of_one_conversation_leaves_the_others_alone() -> None:
    def script(conversation: Sequence[Message], seed: int) -> Turn:
        if len(conversation) == 1:
            return wants("print(1)") if len(model.asked) == 1 else Turn(PARITY)
        raise ModelError("HTTP 400: too long for the context")

    kept = Kept()
    llm, model = asking(script, attempts=4, tool="local")
    with llm:
        found = proposals(llm, kept, admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
    assert [each.origin for each in found] == ["2", "3", "4"]
    assert kept.failures == [(1, "HTTP 400: too long for the context")]


def test_a_model_that_refuses_what_all_begin_with_is_asked_no_more_and_replies_are_kept() -> None:
    llm, model = asking(failing(None, *[ModelError("HTTP 404: gone")] * 9), attempts=4)
    kept = Kept()
    found = proposals(llm, kept, admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
    assert [each.origin for each in found] == ["1"]
    assert kept.failures == [(2, "HTTP 404: gone")]
    assert len(model.asked) == 2


def test_a_refused_key_ends_the_run_at_once() -> None:
    llm, model = asking(failing(None, *[CredentialError("key refused")] * 9), attempts=9)
    rounds = RoundRobin({"cell": 0}, slots=1)
    with pytest.raises(CredentialError):
        proposals(llm, admission=rounds.cell("cell"))
    assert len(model.asked) < 9


def test_with_a_tool_a_few_telling_rows_are_shown_and_without_one_as_many_as_fit() -> None:
    texts = [f"{number:012b}" for number in range(2_000)]
    rows = Examples(texts, [str(text.count("1") % 2) for text in texts])
    shown = {}
    for tool in ("local", "none"):
        llm, _ = asking(says(PARITY), tool=tool, prompt_rows="auto", facts=True)
        prompt, some, warnings = llm.prompt(rows, SPLITS.classes, seed=0)
        assert len(prompt) <= 16_000  # this model counts characters as tokens
        assert "2,000 training examples in all" in prompt
        shown[tool] = len(some), len(warnings)
        llm.close()
    assert shown["local"] == (24, 0)
    assert shown["none"][0] > 500
    assert shown["none"][1] == 1


def test_what_is_asked_by_default_is_what_the_paper_asks() -> None:
    llm, _ = asking(says(PARITY))
    prompt, _, _ = llm.prompt(SPLITS.train, SPLITS.classes, seed=0)
    assert "Answer with one JSON object and nothing else:" in prompt
    assert "training examples in all" not in prompt
    assert "answer=" not in llm.identity
    wide, _ = asking(says(PARITY), answer_format="python", facts=True, about="bits")
    assert "answer=python" in wide.identity
    assert "about='bits'" in wide.identity


def test_samples_of_one_call_are_so_many_attempts() -> None:
    model = ScriptedModel(lambda conversation, seed: Turn(f"x = {seed}"), most_samples=4)
    llm = LLM(model, attempts=6, settings=LLMSettings(samples_per_call=4))
    kept = Kept()
    found = proposals(llm, kept, admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
    assert [each.origin for each in found] == ["1", "2", "3", "4", "5", "6"]
    assert len(model.asked) == 2
    assert len({each.text for each in found}) == 6
    again = ScriptedModel(lambda conversation, seed: Turn("never"), most_samples=4)
    proposals(LLM(again, attempts=6, settings=LLMSettings(samples_per_call=4)), kept)
    assert again.asked == []


def test_a_budget_stops_before_it_is_crossed() -> None:
    # One call may take at most the prompt and 1,000 tokens; it is answered with 110 and $0.5.
    kept = Kept()
    llm, model = asking(says(PARITY), attempts=10)
    prompt = len(next(iter(_prompts(llm))))
    worst = prompt + 220 + 1_000
    llm = LLM(model, attempts=10, budget=Budget(tokens=worst + 250))
    found = proposals(llm, kept)
    # After n calls 110 n tokens are gone; the next fits while 110 n + worst <= worst + 250.
    assert len(found) == 3
    assert llm.tracker.spent_tokens == 330
    assert "tokens are spent" in kept.failures[0][1]


def _prompts(llm: LLM) -> list[str]:
    return [llm.prompt(SPLITS.train, SPLITS.classes, seed=7)[0]]


def test_a_budget_that_covers_no_call_is_an_error() -> None:
    model = ScriptedModel(says(PARITY))
    with pytest.raises(BudgetError, match=r"\$0 of \$0.001 is spent"):
        proposals(LLM(model, budget=Budget(usd=0.001)))
    assert model.asked == []


def test_what_an_earlier_part_of_the_run_spent_counts() -> None:
    kept = Kept()
    llm, _ = asking(says(PARITY), attempts=2)
    proposals(llm, kept)
    later = LLM(ScriptedModel(says(PARITY)), budget=Budget(usd=1.2))
    later.open(kept.turns)
    assert later.tracker.spent_usd == 1.0
    assert later.tracker.spent_tokens == 220


def test_a_failed_call_that_may_have_been_paid_counts_at_its_worst() -> None:
    kept = Kept()
    llm, _ = asking(failing(ModelError("timed out", transient=True, maybe_paid=True)), attempts=2)
    proposals(llm, kept, admission=RoundRobin({"cell": 0}, slots=1).cell("cell"))
    assert llm.tracker.spent_tokens > 1_000
    later, _ = asking(says(PARITY))
    later.open(kept.turns)
    assert later.tracker.spent_tokens == llm.tracker.spent_tokens, "after a kill too"


def test_tries_that_may_have_been_paid_count_beside_the_one_that_was() -> None:
    paid = Turn(PARITY, usage=Usage(100, 10), cost_usd=0.5, tries=3, possibly_billed=2)
    kept = Kept()
    llm, _ = asking(says(paid))
    (prompt,) = _prompts(llm)
    proposals(llm, kept)
    assert llm.tracker.spent_tokens == 110 + 2 * (len(prompt) + 220 + 1_000)
    later, _ = asking(says(PARITY))
    later.open(kept.turns)
    assert later.tracker.spent_tokens == llm.tracker.spent_tokens


def test_a_call_under_way_at_a_kill_counts_at_its_worst() -> None:
    class Killed(BaseException):
        pass

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        raise Killed

    kept = Kept()
    llm = LLM(ScriptedModel(script), attempts=1, budget=Budget(tokens=10_000))
    (prompt,) = _prompts(llm)
    with pytest.raises(Killed):
        proposals(llm, kept)
    later, _ = asking(says(PARITY))
    later.open(kept.turns)
    assert later.tracker.spent_tokens == len(prompt) + 220 + 1_000


def test_a_conversation_is_not_gone_on_with_under_another_prompt() -> None:
    kept = Kept()
    proposals(asking(says(PARITY))[0], kept)
    with pytest.raises(RunError, match="the run began with another prompt"):
        proposals(asking(says(PARITY), prompt_variant=2)[0], kept)


def test_an_answer_is_shortened_to_what_the_context_leaves() -> None:
    model = ScriptedModel(says(PARITY), max_output_tokens=20_000)
    whole = len(LLM(model).prompt(SPLITS.train, SPLITS.classes, seed=7)[0])
    model.context_tokens = 3 * whole
    kept = Kept()
    proposals(LLM(model, attempts=1), kept)
    assert "leaves an answer less than the 20,000 tokens" in kept.warnings[0]
    assert model.limits == [3 * whole - whole - 220]


def test_a_money_budget_needs_a_known_price() -> None:
    model = ScriptedModel(says(PARITY), priced=False)
    with pytest.raises(ConfigurationError, match="price of scripted:model is not known"):
        LLM(model, budget=Budget(usd=1.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tool": "hosted"}, "cannot use --tool hosted; give one of local, none"),
        ({"samples_per_call": 2}, "returns at most 1 answer a call"),
        ({"refinements": -1}, "^refinements is -1"),
        ({"tool_calls": 0}, "^tool_calls is 0"),
        ({"prompt_rows": 0}, "^prompt_rows is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LLM(ScriptedModel(says(PARITY)), settings=LLMSettings(**settings))


def test_no_attempts_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="attempts is 0"):
        LLM(ScriptedModel(says(PARITY)), attempts=0)


def test_any_tool_means_hosted_where_there_is_one() -> None:
    hosted = ScriptedModel(says(PARITY), tool_places=frozenset({"none", "local", "hosted"}))
    assert LLM(hosted, settings=LLMSettings(tool="any")).tool_place == "hosted"
    local = ScriptedModel(says(PARITY), default_tool="local")
    assert LLM(local, settings=LLMSettings(tool="any")).tool_place == "local"


def test_the_prompt_shows_so_many_rows_and_the_tool_holds_all() -> None:
    llm, model = asking(says(wants("print(len(rows))"), PARITY), tool="local", prompt_rows=6)
    kept = Kept()
    with llm:
        proposals(llm, kept)
    (prompt,) = kept.prompts.values()
    assert sum(f"{row} -> " in prompt for row in SPLITS.train.inputs) == 6
    answer = model.asked[-1][-1]
    assert isinstance(answer, ToolAnswer)
    assert answer.text.strip() == "20"
    assert kept.warnings == ["the prompt shows 6 of 20 training rows; --prompt-rows sets how many"]


def test_rows_that_do_not_fit_the_context_are_left_out_with_a_warning() -> None:
    model = ScriptedModel(says(PARITY))
    whole = len(LLM(model).prompt(SPLITS.train, SPLITS.classes, seed=7)[0])
    model.context_tokens = 1_000 + 200 + whole - 40
    kept = Kept()
    proposals(LLM(model, attempts=1), kept)
    (prompt,) = kept.prompts.values()
    assert 10 <= sum(f"{row} -> " in prompt for row in SPLITS.train.inputs) < 20
    assert "training rows fit into the prompt" in kept.warnings[0]


def test_a_damaged_record_is_a_run_error() -> None:
    kept = Kept()
    kept.turns = [{"kind": "turn", "conversation": 1, "turn": 1}]
    with pytest.raises(RunError, match="conversation 1 is damaged"):
        proposals(asking(says(PARITY))[0], kept)


def test_the_identity_tells_what_decides_the_replies(tmp_path: Path) -> None:
    wording = tmp_path / "prompt.txt"
    wording.write_text("{examples} {contract}")
    one = asking(says(PARITY), prompt_variant=wording)[0].identity
    wording.write_text("{examples} rule! {contract}")
    two = asking(says(PARITY), prompt_variant=wording)[0].identity
    assert one != two
    assert str(tmp_path) not in one
    assert asking(says(PARITY))[0].identity == asking(says(PARITY), attempts=3)[0].identity


def test_closing_closes_the_model() -> None:
    llm, model = asking(says(PARITY))
    with llm:
        pass
    assert model.closed


@pytest.mark.parametrize(
    ("inputs", "alphabet"),
    [
        (["01", "1"], "binary"),
        (["01", "2"], "decimal"),
        (["u1v2"], "graph"),
        (["u1v2", "x"], ""),
        ([{"a": 1.0}], "table"),
        (["", "1"], ""),
    ],
)
def test_the_alphabet_is_told_from_training_rows(inputs: list[Any], alphabet: str) -> None:
    assert alphabet_of(inputs) == alphabet


def test_many_classes_and_labels_of_any_kind_reach_the_tool() -> None:
    train = Examples(["a", "b", "c"], ["x", "True", "2.5"])
    classes = Classes(("2.5", "True", "x"), (2.5, True, "x"))
    llm, model = asking(says(wants("print(rows)"), PARITY), tool="local")
    with llm:
        list(llm.propose_in(train, classes, seed=0, context=Kept().context()))
    answer = model.asked[-1][-1]
    assert isinstance(answer, ToolAnswer)
    assert answer.text.strip() == "[('a', 'x'), ('b', True), ('c', 2.5)]"
