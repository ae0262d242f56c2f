"""Labels from models behind an API, over real connections to a server on loopback."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from copying_server import CopyingServer
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import ModelOptions
from llm_pv.models.label_queries import AnswerMode, ChatUse, LabelAnswer, LabelForm, LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import make_model

LABELS = ("0", "1")
PROMPTS = [f"Answer with one JSON object.\nInput: {number:04b}" for number in range(16)]
BARE = [f"Input: {number:04b}" for number in range(16)]


def opened(server: CopyingServer, **more: Any) -> LanguageModel:
    options = ModelOptions(
        reasoning_effort=None,
        verbosity=None,
        base_url=server.base_url,
        retries=0,
        concurrency=4,
        **more,
    )
    return make_model("openai-compatible:copier", options)


def ask(model: LanguageModel, prompts: Sequence[str], query: LabelQuery) -> list[LabelAnswer]:
    groups = model.choose(prompts, query, seeds=range(100, 100 + len(prompts)))
    answers = dict(answer for group in groups for answer in group)
    model.close()
    return [answers[position] for position in range(len(prompts))]


def test_free_answers_come_in_order_one_request_each() -> None:
    with CopyingServer() as server:
        answers = ask(opened(server, temperature=0.2, top_p=0.95), PROMPTS, LabelQuery(LABELS))

    assert [answer.text for answer in answers] == [
        json.dumps({"label": prompt[-1]}) for prompt in PROMPTS
    ]
    assert len(server.bodies) == 16
    assert server.bodies[0]["messages"][-1]["content"] == PROMPTS[0]  # alone, to fill the cache
    assert {body["temperature"] for body in server.bodies} == {0.2}
    assert sorted(body["seed"] for body in server.bodies) == list(range(100, 116))
    assert sum(answer.usage.input_tokens for answer in answers) == 1600


def test_constrained_answers_are_asked_for_by_a_schema_of_the_labels() -> None:
    with CopyingServer() as server:
        ask(opened(server), BARE, LabelQuery(("0", "1", "2"), "constrained"))

    schema = server.bodies[5]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["label"]["enum"] == ["0", "1", "2"]
    assert schema["schema"]["required"] == ["label"]


def test_likelihoods_are_read_off_the_likeliest_first_tokens() -> None:
    with CopyingServer() as server:
        answers = ask(opened(server), BARE, LabelQuery(LABELS, "likelihood", "plain"))

    assert [answer.text for answer in answers] == [prompt[-1] for prompt in BARE]
    # The other label is not among the likeliest tokens and gets next to nothing.
    assert answers[0].probabilities["0"] == pytest.approx(1.0)
    assert answers[0].probabilities["1"] < 1e-40
    body = server.bodies[0]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)


def test_tokens_that_no_label_begins_with_give_no_label() -> None:
    from llm_pv.models.base import Turn
    from llm_pv.models.vendor_choosing import answer_of_logprobs

    def scored(labels: tuple[str, ...], *tokens: tuple[str, float]) -> LabelAnswer:
        told = [{"token": token, "logprob": log} for token, log in tokens]
        first = {**told[0], "top_logprobs": told}
        turn = Turn("said", raw={"provider_details": {"logprobs": [first]}})
        return answer_of_logprobs(turn, LabelQuery(labels, "likelihood", "plain"))

    assert scored(LABELS, ("I", -0.1)).text == "said"
    assert scored(LABELS, ("I", -0.1), (" 1", -2.0), ("0", -3.0)).text == "1"
    assert scored(("setosa", "virginica"), ("set", -0.5), ("vir", -0.4)).text == "virginica"
    # Every spelling of a label counts, each once although the one written is told twice.
    spelt = scored(LABELS, ("0", math.log(0.3)), ("1", math.log(0.2)), (" 1", math.log(0.25)))
    assert dict(spelt.probabilities) == pytest.approx({"0": 0.4, "1": 0.6})
    # "v" begins both, which decides nothing, and "1" may go on to "10".
    assert scored(("versicolor", "virginica"), ("v", -0.1)).text == ""
    prefix = scored(("1", "10", "100"), ("1", math.log(0.6)), ("100", math.log(0.2)))
    assert (prefix.text, dict(prefix.probabilities)) == ("", {})
    # What is undecided is too little to make another label the likeliest.
    sure = scored(("1", "10", "2"), ("2", math.log(0.6)), ("1", math.log(0.2)))
    assert sure.text == "2"


def test_a_server_that_tells_no_probabilities_is_told_so() -> None:
    with (
        CopyingServer(tells_logprobs=False) as server,
        pytest.raises(ModelError, match="returned no probabilities"),
    ):
        ask(opened(server), BARE, LabelQuery(LABELS, "likelihood", "plain"))


def test_a_server_that_goes_away_ends_the_answers_and_keeps_those_it_gave() -> None:
    with CopyingServer(goes_away_after=6) as server:
        model = opened(server)
        kept: list[int] = []
        groups = model.choose(PROMPTS, LabelQuery(LABELS), seeds=range(16))
        with pytest.raises(ModelError) as caught:
            kept.extend(position for group in groups for position, _ in group)
        model.close()

    assert "\n" not in str(caught.value)
    assert len(kept) == server.answered == 6
    assert len(server.bodies) <= 6 + 4  # what was under way, and no more


@pytest.mark.parametrize(
    ("name", "mode", "form", "chat", "message"),
    [
        ("openai-compatible:m", "generate", "json", "off", "--chat off"),
        ("openai-compatible:m", "constrained", "plain", "auto", "--label-form json"),
        ("openai-compatible:m", "likelihood", "json", "auto", "--label-form plain"),
        ("openai:gpt-5.4", "likelihood", "plain", "auto", "--api chat"),
        ("anthropic:claude-x", "likelihood", "plain", "auto", "does not return probabilities"),
        ("google:gemini-x", "likelihood", "plain", "auto", "does not return probabilities"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_any_call(
    name: str, mode: AnswerMode, form: LabelForm, chat: ChatUse, message: str
) -> None:
    url = "http://127.0.0.1:9/v1" if name.startswith("openai-compatible") else None
    options = ModelOptions(reasoning_effort=None, verbosity=None, base_url=url, offline=True)
    model = make_model(name, options)
    with pytest.raises(ConfigurationError, match=message):
        model.check_query(LabelQuery(LABELS, mode, form, chat))
    model.close()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("openai:gpt-5.4", ("text", "format", "schema")),
        ("anthropic:claude-opus-4-8", ("output_config", "format", "schema")),
        ("google:gemini-3.5-flash", ("generationConfig", "responseJsonSchema")),
    ],
)
def test_every_vendor_is_sent_the_labels_in_its_own_way(name: str, where: Sequence[str]) -> None:
    options = ModelOptions(reasoning_effort=None, verbosity=None, offline=True)
    model = make_model(name, options)
    shown = model.show_prompt("Input: 01", LabelQuery(("a", "b"), "constrained"))
    model.close()

    value = json.loads(shown.split("\n", 1)[1])
    for key in where:
        value = value[key]
    assert value["properties"]["label"]["enum"] == ["a", "b"]


def test_the_context_comes_from_the_server_and_tokens_are_estimated() -> None:
    with CopyingServer() as server:
        model = opened(server)
        assert model.context_tokens == 4_000
        assert not model.counts_exactly
        assert model.count_prompts(["0101"], LabelQuery(LABELS)) == [4]
        assert model.destination == f"127.0.0.1:{server.base_url.split(':')[2].split('/')[0]}"
        model.close()


@pytest.mark.parametrize("option", [{"concurrency": 0}, {"batch_size": 0}])
def test_numbers_that_cannot_be_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="give 1 or more"):
        make_model("hf:x", ModelOptions(**option))
