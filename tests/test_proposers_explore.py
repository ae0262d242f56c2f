"""Exploring: later attempts see earlier programs with their accuracy on training rows alone."""

import threading
from collections.abc import Sequence

import pytest

from llm_pv.cli.model_options import AskingOptions, ModelChoice, open_proposer
from llm_pv.cli.options import SandboxOptions
from llm_pv.erm.verification import training_mistakes
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import Message, Turn
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Mistake
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.llm.earlier_programs import EarlierPrograms
from llm_pv.proposers.llm.prompt.statement import prompt_digest
from llm_pv.proposers.round_robin import RoundRobin
from llm_pv.sandbox import Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY
from scripted_model import ScriptedModel, says
from test_proposers_llm import SPLITS, Kept, asking, proposals

RENAMED = "def f(text):\n    ones = text.count('1')\n    return ones % 2\n"


def mistakes_of(source: str) -> list[Mistake]:
    """Trust the source: the programs of this file alone, in this process."""
    names: dict[str, object] = {}
    exec(source, names)
    function = names["f"]
    assert callable(function)
    pairs = zip(SPLITS.train.inputs, SPLITS.train.labels, strict=True)
    got = [(row, label, str(function(row))) for row, label in pairs]
    return [Mistake(row, label, answer) for row, label, answer in got if answer != label]


def in_turn(*replies: str | ModelError) -> tuple[list[str], object]:
    """A script in which attempt n gets the n-th reply."""
    asked: list[str] = []

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        asked.append(conversation[-1].text)
        reply = replies[len(asked) - 1]
        if isinstance(reply, ModelError):
            raise reply
        return Turn(reply, cost_usd=0.5)

    return asked, script


def explored(kept: Kept, *replies: str | ModelError, attempts: int | None = None) -> list[str]:
    """Explore with one attempt at a time; return what the model was asked."""
    asked, script = in_turn(*replies)
    llm, _ = asking(script, attempts=attempts or len(replies), explore=True)  # type: ignore[arg-type]
    admission = RoundRobin({"cell": 0}, slots=1).cell("cell")
    with llm:
        proposals(llm, kept, mistakes=mistakes_of, admission=admission)
    return asked


def test_later_attempts_see_what_earlier_ones_gave_and_how_right_it_is_in_training() -> None:
    kept = Kept()
    first, second, third = explored(kept, ALWAYS_ONE, PARITY, FIRST_BIT)
    ones = SPLITS.train.labels.count("1")
    assert "Earlier attempts" not in first
    assert second.startswith(first)
    assert second.removeprefix(first) == (
        "\nEarlier attempts gave 1 program. Here it is, with its accuracy on the training "
        f"examples:\n\nRight on {ones} of 20 training examples:\n```python\nf = lambda x: 1\n"
        "```\n\nFind something else: another kind of rule, not one of these with a small change.\n"
    )
    shown = third.removeprefix(first)
    assert shown.index("Right on 20 of 20") < shown.index(f"Right on {ones} of 20")
    assert "can still be wrong on other inputs" in shown
    for hidden in (*SPLITS.validation.inputs, *SPLITS.test.inputs):
        assert str(hidden) not in third
    assert "valid" not in shown


def test_programs_that_answer_alike_are_shown_once_and_counted() -> None:
    *_, last = explored(Kept(), PARITY, RENAMED, FIRST_BIT)
    shown = last.partition("Earlier attempts")[2]
    assert "1 of them answered every training example as another one did" in shown
    assert "Right on 20 of 20 training examples, given 2 times:" in shown
    assert "return x.count('1') % 2" in shown
    assert "ones" not in shown


def test_a_program_that_answers_as_one_of_another_attempt_is_told_so() -> None:
    llm, model = asking(says(FIRST_BIT, PARITY), attempts=2, explore=True, refinements=1)
    admission = RoundRobin({"cell": 0}, slots=1).cell("cell")
    with llm:
        proposals(llm, mistakes=mistakes_of, admission=admission)
    complaints = [each[-1].text for each in model.asked if len(each) == 3]
    assert [text.startswith("An earlier program of this run") for text in complaints] == [
        False,
        True,
    ]


def test_without_the_option_every_attempt_is_asked_the_same() -> None:
    asked, script = in_turn(ALWAYS_ONE, PARITY)
    llm, _ = asking(script, attempts=2)  # type: ignore[arg-type]
    with llm:
        proposals(llm, mistakes=mistakes_of)
    assert asked[0] == asked[1]
    assert "explore" not in llm.identity


@pytest.mark.parametrize("cut", range(7))
def test_a_resumed_run_shows_every_attempt_what_an_unbroken_one_does(cut: int) -> None:
    replies = (ALWAYS_ONE, FIRST_BIT, PARITY)
    whole = Kept()
    expected = explored(whole, *replies)
    records = [each for each in whole.turns if each["kind"] in {"shown", "turn"}]
    assert [each["kind"] for each in records] == ["shown", "turn"] * 3
    kept = Kept()
    kept.turns = records[:cut]
    done = sum(each["kind"] == "turn" for each in kept.turns)
    assert explored(kept, *replies[done:], attempts=3) == expected[done:]
    assert {prompt_digest(each) for each in expected[max(done, 1) :]} <= kept.prompts.keys() | {
        each["prompt_digest"] for each in records[:cut]
    }


def test_what_attempts_at_once_were_shown_is_kept_even_if_others_have_ended_since() -> None:
    """The second starts before the first has ended, and is resumed after it has."""
    both = threading.Barrier(2, timeout=20)

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        both.wait()
        return Turn(ALWAYS_ONE)

    llm, model = asking(script, attempts=2, explore=True)
    kept = Kept()
    with llm:
        proposals(llm, kept, mistakes=mistakes_of)
    assert model.asked[0] == model.asked[1]
    shown = [each for each in kept.turns if each["kind"] == "shown"]
    assert [each["text"] for each in shown] == ["", ""]
    kept.turns = [
        each for each in kept.turns if (each["kind"], each["conversation"]) != ("turn", 2)
    ]
    again, other = asking(says(PARITY), attempts=2, explore=True)
    with again:
        proposals(again, kept, mistakes=mistakes_of)
    assert other.asked == model.asked[:1]


def test_an_attempt_without_a_program_adds_nothing() -> None:
    failed = ModelError("no answer", transient=True)
    *_, last = explored(Kept(), failed, "I do not know.", PARITY, FIRST_BIT)
    assert "Earlier attempts gave 1 program." in last


def test_what_is_shown_is_bounded_in_programs_and_tokens() -> None:
    earlier = EarlierPrograms(20, len, most_tokens=1_000)
    programs = [Program.parse(f"f = lambda x: {n}") for n in range(9)]
    for number, program in enumerate(programs):
        earlier.add([program], [[Mistake(str(row), "1", "0") for row in range(number)]])
    assert earlier.note().count("```python") == 4
    assert "The best of those that differ" in earlier.note()
    long = Program.parse("def f(x):\n    return " + " + ".join(["len(x)"] * 400))
    small = EarlierPrograms(20, len, most_tokens=1_000)
    small.add([long], [[]])
    assert "```" not in small.note()
    assert len(small.note()) < 1_000


def test_the_accuracy_is_that_of_the_confined_program_on_training_rows() -> None:
    with Sandbox(workers=1) as sandbox:
        wrong = training_mistakes(FIRST_BIT, SPLITS.train, SPLITS.classes, sandbox)
    earlier = EarlierPrograms(20, len)
    assert earlier.add([Program.parse(FIRST_BIT)], [wrong]) == [False]
    assert earlier.add([Program.parse(FIRST_BIT)], [mistakes_of(FIRST_BIT)]) == [True]
    assert f"Right on {20 - len(wrong)} of 20" in earlier.note()


def test_attempts_that_one_call_starts_are_shown_the_same_and_resumed_alike() -> None:
    replies = [ALWAYS_ONE, FIRST_BIT, PARITY, RENAMED]

    def started(kept: Kept) -> list[str]:
        asked: list[str] = []

        def script(conversation: Sequence[Message], seed: int) -> Turn:
            # The model is asked once for two attempts, which get different replies.
            asked.append(conversation[-1].text)
            return Turn(replies[len(asked) - 1 + (2 if "Earlier" in asked[0] else 0)])

        model = ScriptedModel(script, most_samples=2)
        settings = LLMSettings(explore=True, samples_per_call=2)
        admission = RoundRobin({"cell": 0}, slots=1).cell("cell")
        with LLM(model, attempts=4, settings=settings) as llm:
            found = proposals(llm, kept, mistakes=mistakes_of, admission=admission)
        assert [each.text for each in found] == replies
        return asked

    kept = Kept()
    first, second, third, fourth = started(kept)
    assert first == second
    assert third == fourth
    assert third.count("```python") - first.count("```python") == 2
    again = Kept()
    again.turns = [each for each in kept.turns if each["conversation"] <= 2]
    assert started(again) == [third, fourth]


def test_one_attempt_at_a_time_unless_more_are_asked_for_and_none_in_a_batch() -> None:
    assert AskingOptions().slots == 5
    assert AskingOptions(explore=True).slots == 1
    assert AskingOptions(explore=True, concurrency=3).slots == 3
    choice = ModelChoice(model="openai:gpt-5.4", batch=True)
    with pytest.raises(ConfigurationError, match="omit --explore"):
        open_proposer(
            choice, AskingOptions(explore=True), SandboxOptions(), attempts=2, budget_seconds=None
        )


def programs(*sources: str) -> list[Program]:
    return [Program(source, "", 0) for source in sources]


def test_what_is_shown_is_written_line_by_line() -> None:
    earlier = EarlierPrograms(1_000, len)
    assert earlier.note() == ""
    failed = [Mistake("0", "1", "ValueError", failed=True), Mistake("1", "1", "0")]
    other = [Mistake("0", "1", "KeyError", failed=True), Mistake("1", "1", "0")]
    assert earlier.add(programs("f = lambda x: len(x)\n"), [failed]) == [False]
    assert earlier.add(programs("f = len\n", "f = max\n"), [other, []]) == [True, False]
    assert earlier.add(programs("f = min\n", "f = min \n"), [other[:1]] * 2) == [False, False]
    assert earlier.note() == (
        "\nEarlier attempts gave 5 programs. 2 of them answered every training example as another "
        "one did: other words for the same rule are no new rule. Those that differ, with their "
        "accuracy on the training examples:\n\n"
        "Right on 1,000 of 1,000 training examples:\n```python\nf = max\n```\n\n"
        "Right on 999 of 1,000 training examples, given 2 times:\n```python\nf = min\n```\n\n"
        "Right on 998 of 1,000 training examples, given 2 times:\n```python\nf = len\n```\n\n"
        "Find something else: another kind of rule, not one of these with a small change. "
        "A program that is right on all of them can still be wrong on other inputs.\n"
    )


def test_programs_are_shown_as_far_as_tokens_allow_the_best_first() -> None:
    def noted(most: int) -> str:
        earlier = EarlierPrograms(10, len, most_tokens=most)
        for number, source in enumerate(("f = 1", f"f = '{'2' * 90}'", "f = 3")):
            earlier.add(programs(source), [[Mistake("", "1", "0")] * (number + 1)])
        return earlier.note()

    whole = noted(10_000)
    assert whole.count("```python") == 3
    # A sentence is counted that is said only if a program is right on all of them.
    perfect = " A program that is right on all of them can still be wrong on other inputs."
    size = len(whole) + len(perfect)
    assert noted(size) == whole
    less = noted(size - 1)
    assert ("f = 1" in less, "222" in less, "f = 3" in less) == (True, True, False)
    without = noted(size - 40)
    assert ("f = 1" in without, "222" in without, "f = 3" in without) == (True, True, False)
    assert "The best of those that differ, with" in without
    least = noted(size - 100)
    assert ("f = 1" in least, "222" in least, "f = 3" in least) == (True, False, True)
