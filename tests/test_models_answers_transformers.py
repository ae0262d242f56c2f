"""Labels from a real model of transformers: the same with and without what prompts share."""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from llm_pv.data.examples import Classes
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import ModelOptions
from llm_pv.models.chat import Chat
from llm_pv.models.label_queries import AnswerMode, ChatUse, LabelAnswer, LabelForm, LabelQuery
from llm_pv.models.transformers_engine import TransformersModel
from llm_pv.tracks.icl.texts import read_label, write_prompts

LABELS = ("0", "1")
PUBLISHED = ModelOptions(temperature=0.2, top_p=0.95, max_output_tokens=32)
RAGGED = [f"Some rows.\nInput: {'01' * count}" for count in (1, 9, 4, 2, 7)]


def ask(
    folder: Path,
    prompts: Sequence[str],
    query: LabelQuery,
    *,
    batch_size: int | None = None,
    options: ModelOptions = PUBLISHED,
) -> list[LabelAnswer]:
    model = TransformersModel(str(folder), replace(options, batch_size=batch_size))
    groups = list(model.choose(prompts, query, seeds=list(range(len(prompts)))))
    model.close()
    answers = dict(answer for group in groups for answer in group)
    return [answers[position] for position in range(len(prompts))]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="session")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose second layer sees the last 8 tokens alone."""
    tokenizer = tiny_models.make_tokenizer()
    model = tiny_models.make_model(tokenizer, window=8)
    return tiny_models.save(model, tokenizer, tmp_path_factory.mktemp("windowed-model"))


@pytest.mark.parametrize("mode", ["generate", "constrained", "likelihood"])
@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize("chat", ["on", "off"])
def test_a_model_that_learned_to_copy_scores_in_every_way_of_asking(
    copier: Path, mode: AnswerMode, form: LabelForm, chat: ChatUse
) -> None:
    rows = tiny_models.copying_rows(60, random.Random(7))
    shown, asked = rows.take(range(12)), rows.take(range(12, 60))
    prompts = write_prompts(shown, Classes(LABELS, (0, 1)), asked.inputs, form=form)

    answers = ask(copier, prompts, LabelQuery(LABELS, mode, form, chat, 32))

    found = [read_label(answer.text, LABELS) for answer in answers]
    right = sum(one == label for one, label in zip(found, asked.labels, strict=True))
    assert right > 0.95 * len(asked)


def plain_log_probability(folder: Path, prompt: Sequence[int], more: Sequence[int]) -> float:
    """What a model gives to some tokens after a prompt, by one plain forward pass."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        scores = torch.log_softmax(model(torch.tensor([[*prompt, *more]])).logits[0], dim=-1)
    return sum(float(scores[len(prompt) + step - 1, token]) for step, token in enumerate(more))


@pytest.mark.parametrize("which", ["folder", "windowed"])
def test_likelihoods_are_those_of_a_plain_forward_pass(
    which: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    labels = ("1", "10", "2", "yes")
    query = LabelQuery(labels, "likelihood", "plain", "on")

    answers = ask(folder, RAGGED, query)

    chat = TransformersModel(str(folder), PUBLISHED).chat
    for prompt, answer in zip(RAGGED, answers, strict=True):
        start = chat.encode(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n")
        # "1" and "10" begin alike, so that what ends the answer tells them apart; "2" and the
        # first token of "yes" decide alone.
        ends = {"1": [2], "10": [], "2": [], "yes": []}
        tokens = {label: [*chat.encode(label), *end] for label, end in ends.items()}
        tokens["yes"] = tokens["yes"][:1]
        logs = {label: plain_log_probability(folder, start, more) for label, more in tokens.items()}
        total = sum(math.exp(log) for log in logs.values())
        expected = {label: math.exp(log) / total for label, log in logs.items()}
        assert answer.probabilities == pytest.approx(expected, rel=1e-3)
        assert answer.text == max(expected, key=lambda label: expected[label])


@pytest.mark.parametrize("which", ["folder", "windowed"])
@pytest.mark.parametrize("mode", ["generate", "constrained", "likelihood"])
def test_answers_do_not_depend_on_what_is_answered_beside_them(
    which: str, mode: AnswerMode, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    query = LabelQuery(("no", "yes"), mode, max_new_tokens=12)

    together = ask(folder, RAGGED, query)
    in_twos = ask(folder, RAGGED, query, batch_size=2)

    assert [answer.text for answer in together] == [answer.text for answer in in_twos]


def test_drawing_at_a_temperature_differs_by_seed_and_the_likeliest_does_not(folder: Path) -> None:
    query = LabelQuery(LABELS, max_new_tokens=12)
    same = [RAGGED[0]] * 4

    drawn = ask(folder, same, query, options=ModelOptions(temperature=1.0))
    likeliest = ask(folder, same, query, options=ModelOptions(temperature=0.0))

    assert len({answer.text for answer in drawn}) == 4
    assert len({answer.text for answer in likeliest}) == 1


def test_many_drawn_tokens_come_as_often_as_their_probabilities_say(folder: Path) -> None:
    query = LabelQuery(("0", "1"), "constrained", "plain", "on")
    (likelihood,) = ask(folder, RAGGED[:1], LabelQuery(LABELS, "likelihood", "plain", "on"))

    answers = ask(folder, RAGGED[:1] * 600, query, options=ModelOptions(temperature=1.0))

    ones = sum(answer.text == "1" for answer in answers)
    share = likelihood.probabilities["1"]
    # Five standard deviations of 600 draws.
    assert abs(ones / 600 - share) < 5 * math.sqrt(share * (1 - share) / 600)


def test_constrained_answers_are_labels_of_any_length(folder: Path) -> None:
    labels = ("a", "ab", "abc, d", 'with "quotes"', "Zürich", "10", "1")
    for form in tiny_models.FORMS:
        query = LabelQuery(labels, "constrained", form, "on")
        answers = ask(folder, RAGGED * 4, query, options=ModelOptions(temperature=1.0))
        assert {answer.text for answer in answers} <= set(query.written())
        assert len({answer.text for answer in answers}) > 1


def test_shared_tokens_count_as_cached(folder: Path) -> None:
    answers = ask(folder, RAGGED, LabelQuery(LABELS, "likelihood"))

    chat = TransformersModel(str(folder), PUBLISHED).chat
    shared = len(chat.encode("<|im_start|>user\nSome rows.\nInput: 01"))
    assert {answer.usage.cached_tokens for answer in answers} == {shared}
    assert answers[1].usage.input_tokens == answers[0].usage.input_tokens + 16


def test_one_prompt_alone_and_none_at_all_are_answered(folder: Path) -> None:
    assert len(ask(folder, RAGGED[:1], LabelQuery(LABELS, "likelihood"))) == 1
    assert ask(folder, [], LabelQuery(LABELS)) == []


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    sizes: list[int] = []
    original = TransformersModel._log_probabilities

    def cramped(
        self: TransformersModel, torch_: Any, model: Any, rows: Any, shared: Any, *, places: int
    ) -> Any:
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, torch_, model, rows, shared, places=places)

    monkeypatch.setattr(TransformersModel, "_log_probabilities", cramped)
    answers = ask(folder, RAGGED, LabelQuery(LABELS, "likelihood"))

    assert len(answers) == 5
    assert sizes[-7:] == [5, 2, 1, 1, 1, 1, 1]

    def full(*_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TransformersModel, "_log_probabilities", full)
    with pytest.raises(ModelError, match="out of memory in hf:"):
        ask(folder, RAGGED, LabelQuery(LABELS, "likelihood"))


def test_the_parts_of_many_labels_are_split_where_they_do_not_fit_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tuple(f"{one}{other}" for one in "012345" for other in "01")
    query = LabelQuery(labels, "likelihood", "plain", "on")
    whole = ask(folder, RAGGED, query)
    sizes: list[int] = []
    original = TransformersModel._log_probabilities

    def counted(self: TransformersModel, *given: Any, places: int) -> Any:
        sizes.append(len(given[2]))
        return original(self, *given, places=places)

    monkeypatch.setattr(TransformersModel, "_log_probabilities", counted)
    monkeypatch.setattr("llm_pv.models.transformers_engine._MOST_AT_ONCE", 4)
    split = ask(folder, RAGGED, query)

    # Six first digits for each prompt, four rows at once.
    assert sizes[-10:] == [4, 2] * 5
    for one, other in zip(whole, split, strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), rel=1e-3)


@pytest.fixture(scope="session")
def two_ends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that may end a turn with either of two tokens, as published ones may."""
    tokenizer = tiny_models.make_tokenizer()
    model = tiny_models.make_model(tokenizer)
    model.generation_config.eos_token_id = [2, 0]
    return tiny_models.save(model, tokenizer, tmp_path_factory.mktemp("two-ends"))


def test_every_token_that_ends_a_turn_counts_for_the_end_of_a_label(two_ends: Path) -> None:
    (answer,) = ask(two_ends, RAGGED[:1], LabelQuery(("1", "10"), "likelihood", "plain", "on"))

    chat = TransformersModel(str(two_ends), PUBLISHED).chat
    start = chat.encode(f"<|im_start|>user\n{RAGGED[0]}<|im_end|>\n<|im_start|>assistant\n")
    one, zero = chat.encode("1")[0], chat.encode("0")[0]
    ended = sum(math.exp(plain_log_probability(two_ends, start, [one, end])) for end in (2, 0))
    longer = math.exp(plain_log_probability(two_ends, start, [one, zero]))
    assert answer.probabilities["1"] == pytest.approx(ended / (ended + longer), rel=1e-3)


def test_constrained_answers_come_as_often_with_two_ends_as_their_probabilities_say(
    two_ends: Path,
) -> None:
    query = LabelQuery(("1", "10"), "constrained", "plain", "on")
    (likelihood,) = ask(two_ends, RAGGED[:1], LabelQuery(("1", "10"), "likelihood", "plain", "on"))

    answers = ask(two_ends, RAGGED[:1] * 300, query, options=ModelOptions(temperature=1.0))

    assert {answer.text for answer in answers} == {"1", "10"}
    share = likelihood.probabilities["1"]
    shorter = sum(answer.text == "1" for answer in answers)
    # Five standard deviations of 300 draws.
    assert abs(shorter / 300 - share) < 5 * math.sqrt(share * (1 - share) / 300)


def test_loading_and_the_first_answer_are_in_no_answers_seconds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [0.0]
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + late[0])
    loaded = TransformersModel._loaded

    def slowly(self: TransformersModel, torch: Any) -> Any:
        if self._model is None:
            late[0] += 10_000
        return loaded(self, torch)

    monkeypatch.setattr(TransformersModel, "_loaded", slowly)
    query = LabelQuery(LABELS, "likelihood")
    answers = ask(folder, RAGGED, query)
    assert late == [10_000]
    assert sum(answer.seconds for answer in answers) < 10_000

    model = TransformersModel(str(folder), PUBLISHED)
    assert model.prepare(query) >= 10_000
    assert model.prepare(query) == 0
    model.close()


@pytest.mark.parametrize("mode", ["constrained", "likelihood"])
def test_a_label_that_the_context_does_not_hold_is_refused(folder: Path, mode: AnswerMode) -> None:
    chat = TransformersModel(str(folder), PUBLISHED).chat
    start = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    longest = max(len(chat.encode(start.format(prompt))) for prompt in RAGGED)
    query = LabelQuery(("0", "1"), mode, "plain", "on")  # one token and the end of the turn

    fits = ModelOptions(context_tokens=longest + 2)
    assert len(ask(folder, RAGGED, query, options=fits)) == 5
    with pytest.raises(ModelError, match=f"a prompt has {longest} tokens and a label up to 2"):
        ask(folder, RAGGED, query, options=ModelOptions(context_tokens=longest + 1))


@pytest.fixture
def merging(tmp_path: Path) -> Path:
    """A model whose tokenizer puts a mark for a space before every text, and merges over words."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    core.normalizer = normalizers.Sequence(marks)
    core.decoder = decoders.Replace("▁", " ")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    core.train_from_iterator(["Answer: 1", "Answer: 0", "Input: 0101", "yes no"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="</s>", pad_token="</s>", unk_token="<unk>"
    )
    return tiny_models.save(tiny_models.make_model(tokenizer), tokenizer, tmp_path)


@pytest.mark.parametrize("form", ["json", "plain"])
def test_labels_are_the_tokens_that_the_tokenizer_writes_after_the_prompt(
    merging: Path, form: LabelForm
) -> None:
    model = TransformersModel(str(merging), PUBLISHED)
    query = LabelQuery(("0", "1", "yes"), "likelihood", form)
    encoded, labels = model._with_labels(RAGGED, query, [2])

    tokenizer = model.chat.tokenizer
    for prompt, start in zip(RAGGED, encoded, strict=True):
        for written, tokens in zip(query.written(), labels.tokens, strict=True):
            text = f"{prompt}\nAnswer: {written}\n"
            assert [*start, *tokens] == tokenizer(text, add_special_tokens=False)["input_ids"]
    # The end of the prompt is merged with what follows, which the labels begin with instead.
    assert len(encoded[0]) < len(tokenizer(f"{RAGGED[0]}\nAnswer:")["input_ids"])
    for mode in ("constrained", "likelihood"):
        for answer in ask(merging, RAGGED, LabelQuery(query.labels, mode, form)):
            assert answer.text in query.written()


def test_a_label_of_two_lines_can_be_written_without_a_template(folder: Path) -> None:
    query = LabelQuery(("one\ntwo", "one\nthree"), "constrained", "plain", "off")

    answers = ask(folder, RAGGED, query)

    assert {answer.text for answer in answers} <= set(query.labels)


@pytest.mark.parametrize("chat", ["on", "off"])
def test_prompts_of_several_beginnings_are_counted_with_each_read_once(
    folder: Path, chat: ChatUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = ["0110 -> 1\n0111 -> 0\n", "0111 -> 0\n0110 -> 1\n", "1 -> 1\n"]
    prompts = [f"{head}Input: {'01' * n}" for head in heads for n in range(1, 21)]
    query = LabelQuery(LABELS, chat=chat)
    model = TransformersModel(str(folder), PUBLISHED)
    alone = [model.count_prompts([prompt], query)[0] for prompt in prompts]
    read: list[str] = []
    encode = Chat.encode

    def noted(self: Chat, text: str) -> list[int]:
        read.append(text)
        return encode(self, text)

    monkeypatch.setattr(Chat, "encode", noted)
    assert model.count_prompts(prompts, query) == alone
    assert len(read) == len(heads)  # the first prompt of each as a whole


def test_a_chat_that_the_tokenizer_does_not_have_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.random_model(tmp_path, template=None)
    with pytest.raises(ConfigurationError, match="no chat template"):
        ask(folder, RAGGED, LabelQuery(LABELS, chat="on"))
    assert len(ask(folder, RAGGED, LabelQuery(LABELS, "likelihood", chat="auto"))) == 5


def test_what_would_be_sent_is_shown_and_counted(folder: Path) -> None:
    model = TransformersModel(str(folder), PUBLISHED)

    assert model.show_prompt("Hi", LabelQuery(LABELS)) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert model.show_prompt("Hi", LabelQuery(LABELS, chat="off")) == "Hi\nAnswer:"
    assert model.count_prompts(["01", "0101"], LabelQuery(LABELS, chat="off"))[1] == (
        model.count_prompts(["01"], LabelQuery(LABELS, chat="off"))[0] + 2
    )
