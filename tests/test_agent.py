"""The agent: explores with its tool within its steps and time, hands in a program or a model."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_pv.api import Search, learn
from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.errors import ConfigurationError, ProgramError
from llm_pv.models.base import Message, ToolAnswer, ToolCall, Turn, Usage, UserMessage
from llm_pv.programs.program import Program
from llm_pv.proposers.agent import Agent, submitted_source
from llm_pv.proposers.llm import LLMSettings
from llm_pv.runs.reading import read_attempts, read_summary
from llm_pv.sandbox import Sandbox, ToolLimits
from rows import parity_splits
from scripted_model import ScriptedModel, says, wants

PROGRAM = json.dumps({"code": "def f(x):\n    return x.count('1') % 2\n"})
NEAREST = """
Here is my model.
```python
import numpy as np

def fit(inputs, labels):
    table = np.array([[int(bit) for bit in text] for text in inputs])

    def predict(new):
        rows = np.array([[int(bit) for bit in text] for text in new])
        nearest = np.abs(rows[:, None] - table[None]).sum(-1).argmin(-1)
        return [labels[place] for place in nearest]

    return predict
```
"""
ROWS = Examples(["000", "111", "110"], ["no", "yes", "yes"])


def run_model(source: str, inputs: Sequence[str], sandbox: Sandbox) -> tuple[str | None, ...]:
    return sandbox.predict(source, inputs).predictions


def test_a_program_is_handed_in_as_it_is() -> None:
    assert submitted_source(PROGRAM, ROWS, Classes.of(["no", "yes"])) == PROGRAM


def test_a_model_learns_from_the_training_rows_inside_of_the_sandbox(sandbox: Sandbox) -> None:
    source = submitted_source(NEAREST, ROWS, Classes.of(["no", "yes"]))
    assert run_model(source, ["001", "111", "011"], sandbox) == ("no", "yes", "yes")


def test_a_model_may_be_an_object_that_predicts_and_learn_from_tables(sandbox: Sandbox) -> None:
    code = (
        "class Threshold:\n"
        "    def __init__(self, cut): self.cut = cut\n"
        "    def predict(self, new): return [int(row['size'] > self.cut) for row in new]\n"
        "def fit(inputs, labels):\n"
        "    ones = [row['size'] for row, label in zip(inputs, labels) if label == 1]\n"
        "    return Threshold(min(ones) - 1)\n"
    )
    tall: Input = {"size": float("inf"), "note": None}
    rows = Examples([{"size": 5.0, "note": "a'\\"}, {"size": 2.0, "note": None}, tall], "101")
    source = submitted_source(json.dumps({"code": code}), rows, Classes.of([0, 1]))
    found = sandbox.predict(source, [{"size": 4.5, "note": ""}, {"size": 3.0, "note": ""}, tall])
    assert found.predictions == ("1", "0", "1")


def test_a_model_that_uses_chance_learns_the_same_each_time(sandbox: Sandbox) -> None:
    code = (
        "import random\nimport numpy as np\n"
        "def fit(inputs, labels):\n"
        "    drawn = random.random() + np.random.random()\n"
        "    return lambda new: [str(drawn) for _ in new]\n"
    )
    source = submitted_source(f"```python\n{code}```", ROWS, Classes.of(["no", "yes"]))
    answers = {sandbox.predict(source, ["0"], seed=seed).predictions for seed in (0, 1, 2)}
    assert len(answers) == 1
    assert None not in next(iter(answers))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I give up.", "it defines neither f nor fit"),
        ("fit the data", "it defines neither f nor fit"),
        ("```python\ndef g(x):\n    return f'{x}'\n```", "it defines neither f nor fit"),
        ("```python\ndef fit(inputs, labels:\n    return 1\n```", "syntax error on line 1"),
        ("```python\ndef f(x:\n    return 1\n```", "syntax error on line 1"),
        (
            "```python\n#" + 50_000 * "x" + "\ndef fit(a, b):\n    return 1\n```",
            "characters, at mo",
        ),
    ],
)
def test_what_is_wrong_with_a_hand_in_is_said(reply: str, reason: str) -> None:
    with pytest.raises(ProgramError, match=reason):
        submitted_source(reply, ROWS, Classes.of(["no", "yes"]))


def test_fit_may_be_a_class_or_stand_in_a_block(sandbox: Sandbox) -> None:
    body = (
        "    class fit:\n"
        "        def __init__(self, inputs, labels): self.label = labels[0]\n"
        "        def predict(self, new): return [self.label for _ in new]\n"
    )
    source = submitted_source(f"```python\nif True:\n{body}```", ROWS, Classes.of(["no", "yes"]))
    assert run_model(source, ["1"], sandbox) == ("no",)


def test_a_model_carries_rows_far_beyond_the_longest_source(sandbox: Sandbox) -> None:
    chance = random.Random(0)
    rows = Examples([str(chance.randrange(10**299, 10**300)) for _ in range(1_000)], "ab" * 500)
    code = (
        "def fit(inputs, labels):\n    table = dict(zip(inputs, labels))\n    return lambda new: "
    )
    source = submitted_source(
        f"```python\n{code}[table[x] for x in new]\n```", rows, Classes.of(["a", "b"])
    )
    assert len(source) > 100_000
    assert Program.parse(source).source == source
    known = [str(rows.inputs[place]) for place in (0, 501, 999)]
    assert run_model(source, known, sandbox) == ("a", "b", "b")


def test_only_the_line_of_rows_is_free_of_the_limit() -> None:
    rows = '_training_rows = "' + "A" * 60_000 + '"\n'
    assert Program.parse("f = len\n" + rows).bits > 8 * 60_000
    for source in (rows.replace('"A', '"#A'), rows + rows, rows + "#" * 50_000):
        with pytest.raises(ProgramError, match="at most 50,000 are read"):
            Program.parse("f = len\n" + source)


def test_rows_that_no_program_can_carry_are_refused_before_anybody_is_asked() -> None:
    chance = random.Random(0)
    rows = Examples([f"{chance.getrandbits(4_000):01000x}" for _ in range(2_000)], "ab" * 1_000)
    model = ScriptedModel(says(PROGRAM))
    with Agent(model) as agent, pytest.raises(ConfigurationError, match="give fewer --train-size"):
        next(agent.propose(rows, Classes.of(["a", "b"]), seed=0))
    assert not model.asked


def test_a_run_explores_hands_in_and_is_scored_like_the_others(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    splits = parity_splits(40, 40, 40)
    model = ScriptedModel(says(wants("print(len(rows))"), wants("rows[0]"), PROGRAM))
    with Agent(model) as agent:
        learned = learn(splits, search=Search(agent), sandbox=sandbox, out=tmp_path / "run")
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    (row,) = read_summary(tmp_path / "run")
    assert (row["track"], row["method"], row["model"]) == ("agent", "agent", "scripted:model")
    assert float(row["cost_usd"]) == 1.5, "three turns of half a dollar"
    (attempt,) = [
        record for record in read_attempts(tmp_path / "run") if record["kind"] == "attempt"
    ]
    assert attempt["tool_calls"] == 2
    answers = [m.text for m in model.asked[-1] if isinstance(m, ToolAnswer)]
    assert answers[0].strip() == str(len(splits.train)), "the tool holds the training rows alone"
    said = " ".join(str(message) for conversation in model.asked for message in conversation)
    for part in (splits.validation, splits.test):
        assert not [text for text in part.inputs if str(text) in said]


def test_the_prompt_tells_steps_time_and_a_few_rows_of_all(sandbox: Sandbox) -> None:
    splits = parity_splits(40, 40, 40)
    model = ScriptedModel(says(PROGRAM))
    with Agent(model, steps=7, seconds=90, prompt_rows=3) as agent:
        learn(splits, search=Search(agent), sandbox=sandbox)
    first = model.asked[0][0]
    assert isinstance(first, UserMessage)
    assert "at most 7 steps and 90 seconds" in first.text
    assert f"3 of the {len(splits.train)} training rows" in first.text
    assert sum(str(text) in first.text for text in splits.train.inputs) == 3


def test_after_its_steps_the_agent_has_to_hand_in(sandbox: Sandbox) -> None:
    def script(conversation: Sequence[Message], seed: int) -> Turn:
        told = str(conversation[-1])
        if "That was the last of 3 calls" in told:
            return Turn(PROGRAM, usage=Usage(1, 1), cost_usd=0.0)
        return wants("1 + 1")

    model = ScriptedModel(script)
    with Agent(model, steps=3) as agent:
        learned = learn(parity_splits(40, 40, 40), search=Search(agent), sandbox=sandbox)
    assert learned.program is not None
    assert len(model.asked) == 4


def test_after_its_time_the_tool_runs_no_more(sandbox: Sandbox) -> None:
    def script(conversation: Sequence[Message], seed: int) -> Turn:
        if "The time is over" in str(conversation[-1]):
            return Turn(PROGRAM, usage=Usage(1, 1), cost_usd=0.0)
        return Turn("", (ToolCall("c", "print('ran')"),), "tools", Usage(1, 1), 0.0, seconds=400.0)

    model = ScriptedModel(script)
    with Agent(model, seconds=1_000) as agent:
        learned = learn(parity_splits(40, 40, 40), search=Search(agent), sandbox=sandbox)
    assert learned.program is not None
    assert len(model.asked) == 4, "at 400 and 800 seconds it goes on, at 1,200 it does not"
    assert sum("ran" in m.text for m in model.asked[-1] if isinstance(m, ToolAnswer)) == 2


def test_an_agent_hands_in_before_its_context_is_full(sandbox: Sandbox) -> None:
    def script(conversation: Sequence[Message], seed: int) -> Turn:
        sent = sum(len(message.text) for message in conversation)
        if "The context is nearly full" in str(conversation[-1]):
            return Turn(PROGRAM, usage=Usage(sent, 10), cost_usd=0.0)
        return Turn("", (ToolCall("c", "print('x' * 4_000)"),), "tools", Usage(sent, 10), 0.0)

    model = ScriptedModel(script, context_tokens=16_000)
    with Agent(model) as agent:
        learned = learn(parity_splits(40, 40, 40), search=Search(agent), sandbox=sandbox)
    assert learned.program is not None
    assert 3 <= len(model.asked) < 10
    longest = sum(len(message.text) for message in model.asked[-1])
    assert 11_500 < longest <= 12_200, "three quarters of the context, and the word to hand in"


def test_an_agent_that_never_hands_in_ends_without_a_program(sandbox: Sandbox) -> None:
    model = ScriptedModel(says(*[wants("1")] * 9))
    with Agent(model, steps=2) as agent:
        learned = learn(parity_splits(40, 40, 40), search=Search(agent), sandbox=sandbox)
    assert learned.program is None
    assert len(model.asked) == 4
    assert "still asked for the tool after 2 calls" in learned.verdict


def test_what_an_agent_cannot_do_without_is_said() -> None:
    blind = ScriptedModel(says(PROGRAM), tool_places=frozenset({"none"}))
    with pytest.raises(ConfigurationError, match="cannot call tools"):
        Agent(blind)
    with pytest.raises(ConfigurationError, match="steps is 0"):
        Agent(ScriptedModel(says(PROGRAM)), steps=0)
    with pytest.raises(ConfigurationError, match="seconds is nan"):
        Agent(ScriptedModel(says(PROGRAM)), seconds=float("nan"))


def test_the_prompt_lists_the_labels_of_the_training_rows_alone() -> None:
    with Agent(ScriptedModel(says(PROGRAM))) as agent:
        prompt, shown, _ = agent.prompt(ROWS, Classes.of(["maybe", "no", "yes"]), seed=0)
        assert agent.identity.startswith("agent: scripted:model; tool=local; refinements=0; ")
        assert agent.identity.endswith("; seconds=1800")
        assert (agent.name, agent.default_attempts) == ("agent:scripted:model", 1)
    assert shown == ROWS
    assert "Each label is one of: no, yes (and 1 that no example shows).\n3 of the 3" in prompt
    assert "000 -> no\n111 -> yes\n110 -> yes\n\nYou have at most 30 steps and 1,800 s" in prompt
    limits = ToolLimits(memory_bytes=2**28)
    settings = Agent(
        ScriptedModel(says(PROGRAM)), steps=1, tool_limits=limits, allow_unconfined=True,
        backend="wasm", prompt_rows=2, seconds=0.5,
    ).settings  # fmt: skip
    assert settings == LLMSettings(
        tool="local", prompt_rows=2, tool_calls=1, tool_limits=limits, most_seconds=0.5,
        allow_unconfined=True, backend="wasm",
    )  # fmt: skip
    for seconds in (0.0, float("inf")):
        with pytest.raises(ConfigurationError, match=f"seconds is {seconds}; give a positive"):
            Agent(ScriptedModel(says(PROGRAM)), seconds=seconds)


def test_rows_that_just_fit_into_a_program_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # The text that a program carries of these rows, which stands between quotes in its ending.
    source = submitted_source(NEAREST, ROWS, Classes.of(["no", "yes"]))
    size = len(source.split('_training_rows = "')[1].split('"')[0])
    for most, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr("llm_pv.proposers.agent.MAX_ROWS_CHARACTERS", most)
        with Agent(ScriptedModel(says(PROGRAM))) as agent:
            found = agent.propose(ROWS, Classes.of(["no", "yes"]), seed=0)
            if fits:
                assert next(found).text == PROGRAM
            else:
                with pytest.raises(ConfigurationError, match=f"are {size} characters, compressed"):
                    next(found)


def test_a_reply_that_failed_or_holds_nothing_is_a_failed_attempt() -> None:
    for reply, text, failure in (
        (Turn("", finish="refused"), "", "the model refused to answer"),
        (Turn("I give up."), "I give up.", "the reply holds no program: it defines neither f nor "
         "fit"),
    ):  # fmt: skip
        with Agent(ScriptedModel(says(reply))) as agent:
            [found] = agent.propose(ROWS, Classes.of(["no", "yes"]), seed=0)
        assert (found.text, found.failure) == (text, failure)
