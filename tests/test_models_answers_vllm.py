"""Labels from vLLM's offline engine, or a stand-in where it is not: those of transformers."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tiny_models
import vllm_stand_in
from llm_pv.data.examples import Classes
from llm_pv.models import ModelOptions
from llm_pv.models.label_queries import AnswerMode, ChatUse, LabelAnswer, LabelForm, LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import make_model
from llm_pv.tracks.icl.texts import read_label, write_prompts

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # vLLM and what it stands on warn of one another
]
LABELS = ("0", "1")
OPTIONS = ModelOptions(temperature=0.2, top_p=0.95, context_tokens=1024, max_output_tokens=32)


@pytest.fixture(scope="module")
def model(copier: Path) -> Iterator[LanguageModel]:
    options = ModelOptions(
        temperature=0.2,
        top_p=0.95,
        context_tokens=1024,
        max_output_tokens=32,
        extra={"engine": {"dtype": "float32"}},
    )
    with pytest.MonkeyPatch.context() as patch:
        vllm_stand_in.install(patch)
        opened = make_model(f"vllm:{copier}", options)
        yield opened
        opened.close()


def ask(model: LanguageModel, prompts: Sequence[str], query: LabelQuery) -> list[LabelAnswer]:
    groups = model.choose(prompts, query, seeds=range(len(prompts)))
    answers = dict(answer for group in groups for answer in group)
    return [answers[position] for position in range(len(prompts))]


@pytest.mark.parametrize("mode", ["generate", "constrained", "likelihood"])
@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize("chat", ["on", "off"])
def test_a_model_that_learned_to_copy_scores_in_every_way_of_asking(
    model: LanguageModel, mode: AnswerMode, form: LabelForm, chat: ChatUse
) -> None:
    rows = tiny_models.copying_rows(60, random.Random(7))
    shown, asked = rows.take(range(12)), rows.take(range(12, 60))
    prompts = write_prompts(shown, Classes(LABELS, (0, 1)), asked.inputs, form=form)

    answers = ask(model, prompts, LabelQuery(LABELS, mode, form, chat, 32))

    found = [read_label(answer.text, LABELS) for answer in answers]
    right = sum(one == label for one, label in zip(found, asked.labels, strict=True))
    assert right > 0.95 * len(asked)
    # Whole blocks of 128 tokens are cached on a CPU, and every prompt has more in common.
    assert sum(answer.usage.cached_tokens for answer in answers) > 0


def test_likelihoods_are_those_of_transformers(model: LanguageModel, copier: Path) -> None:
    query = LabelQuery(("1", "10", "2", "yes"), "likelihood", "plain", "on")
    prompts = [f"Input: {'01' * count}" for count in (1, 5, 3)]

    here = ask(model, prompts, query)
    there = ask(make_model(f"hf:{copier}", OPTIONS), prompts, query)

    for one, other in zip(here, there, strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), rel=0.02, abs=1e-6)


def test_answers_come_in_small_groups_and_a_prompts_tokens_count_once(
    model: LanguageModel,
) -> None:
    prompts = [f"Rows.\nInput: {number:06b}" for number in range(40)]
    query = LabelQuery(("1", "10", "2"), "likelihood", "plain", "on")

    groups = list(model.choose(prompts, query, seeds=range(40)))

    assert [len(group) for group in groups] == [1, 32, 7]
    used = {position: answer.usage.input_tokens for group in groups for position, answer in group}
    assert [used[position] for position in range(40)] == model.count_prompts(prompts, query)


def test_every_token_that_ends_a_turn_counts_as_in_transformers(tmp_path: Path) -> None:
    tokenizer = tiny_models.make_tokenizer()
    weights = tiny_models.make_model(tokenizer)
    weights.generation_config.eos_token_id = [2, 0]
    folder = tiny_models.save(weights, tokenizer, tmp_path)
    extra = {"engine": {"dtype": "float32"}}
    query = LabelQuery(("1", "10"), "likelihood", "plain", "on")
    with pytest.MonkeyPatch.context() as patch:
        vllm_stand_in.install(patch)
        here_model = make_model(f"vllm:{folder}", ModelOptions(context_tokens=1024, extra=extra))
        (here,) = ask(here_model, ["Input: 01"], query)
        here_model.close()
    (there,) = ask(make_model(f"hf:{folder}", OPTIONS), ["Input: 01"], query)

    assert here.probabilities == pytest.approx(dict(there.probabilities), rel=0.02)
