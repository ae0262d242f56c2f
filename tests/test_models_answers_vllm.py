"""Labels from vLLM's offline engine, where it is installed: the same as from transformers."""

import importlib.util
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tiny_models
from llm_pv.data.examples import Classes
from llm_pv.icl.prompt import write_prompts
from llm_pv.icl.reading import read_label
from llm_pv.models import ModelOptions
from llm_pv.models.answers import (
    Answer,
    AnsweringModel,
    AnswerMode,
    Asking,
    ChatUse,
    LabelForm,
    open_answering_model,
)

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"
    ),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # vLLM and what it stands on warn of one another
]
LABELS = ("0", "1")
OPTIONS = ModelOptions(temperature=0.2, top_p=0.95, context_tokens=1024, max_output_tokens=32)


@pytest.fixture(scope="module")
def model(copier: Path) -> Iterator[AnsweringModel]:
    options = ModelOptions(
        temperature=0.2,
        top_p=0.95,
        context_tokens=1024,
        max_output_tokens=32,
        extra={"engine": {"dtype": "float32"}},
    )
    opened = open_answering_model(f"vllm:{copier}", options)
    yield opened
    opened.close()


def ask(model: AnsweringModel, prompts: Sequence[str], asking: Asking) -> list[Answer]:
    groups = model.answers(prompts, asking, seeds=range(len(prompts)))
    answers = dict(answer for group in groups for answer in group)
    return [answers[position] for position in range(len(prompts))]


@pytest.mark.parametrize("mode", ["generate", "constrained", "likelihood"])
@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize("chat", ["on", "off"])
def test_a_model_that_learned_to_copy_scores_in_every_way_of_asking(
    model: AnsweringModel, mode: AnswerMode, form: LabelForm, chat: ChatUse
) -> None:
    rows = tiny_models.copying_rows(60, random.Random(7))
    shown, asked = rows.take(range(12)), rows.take(range(12, 60))
    prompts = write_prompts(shown, Classes(LABELS, (0, 1)), asked.inputs, form=form)

    answers = ask(model, prompts, Asking(LABELS, mode, form, chat, 32))

    found = [read_label(answer.text, LABELS) for answer in answers]
    right = sum(one == label for one, label in zip(found, asked.labels, strict=True))
    assert right > 0.95 * len(asked)
    # Whole blocks of 128 tokens are cached on a CPU, and every prompt has more in common.
    assert sum(answer.usage.cached_tokens for answer in answers) > 0


def test_likelihoods_are_those_of_transformers(model: AnsweringModel, copier: Path) -> None:
    asking = Asking(("1", "10", "2", "yes"), "likelihood", "plain", "on")
    prompts = [f"Input: {'01' * count}" for count in (1, 5, 3)]

    here = ask(model, prompts, asking)
    there = ask(open_answering_model(f"hf:{copier}", OPTIONS), prompts, asking)

    for one, other in zip(here, there, strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), rel=0.02, abs=1e-6)
