"""Models of transformers in this process, with a real one made on the spot."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import tiny_models
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models import (
    ModelOptions,
    Request,
    ToolAnswer,
    ToolOffer,
    Turn,
    UserMessage,
    make_model,
)
from llm_pv.models.transformers_engine import TransformersModel

OPTIONS = ModelOptions(max_output_tokens=24)
HELLO = [UserMessage("Say hello.")]
CALL = '<tool_call>{"name": "run_python", "arguments": {"code": "print(len(rows))"}}</tool_call>'
ANSWER = '{"code": "def f(x):\\n    return 1"}'


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_model(tmp_path_factory.mktemp("plain-model"), template=None)


@pytest.fixture(scope="session")
def tool_user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that learned one conversation by heart: a call, then an answer."""
    tokenizer = tiny_models.make_tokenizer()
    folder = tmp_path_factory.mktemp("tool-user")
    tiny_models.save(tiny_models.make_model(tokenizer), tokenizer, folder)
    engine = TransformersModel(str(folder), OPTIONS)
    pairs = [
        (engine.chat.encode(engine.chat.render(said, ToolOffer())), [*engine.chat.encode(text), 2])
        for said, text in ((HELLO, CALL), (after_the_call(), ANSWER))
    ]
    assert tokenizer.eos_token_id == 2
    model = tiny_models.teach(tiny_models.make_model(tokenizer), pairs, steps=120, rate=3e-3)
    return tiny_models.save(model, tokenizer, folder)


def after_the_call() -> list[UserMessage | Turn | ToolAnswer]:
    from llm_pv.models.tool_calls import read_reply

    calls = read_reply(CALL, tools=True, turn=1).calls
    return [*HELLO, Turn("", calls), ToolAnswer(calls[0], "100\n")]


def texts(turns: Sequence[Turn]) -> list[str]:
    return [turn.text for turn in turns]


def test_an_answer_is_counted_costs_nothing_and_is_cut_at_its_limit(folder: Path) -> None:
    with_model = make_model(f"hf:{folder}", OPTIONS)
    (turn,) = with_model.complete(Request(HELLO, seed=5))

    # <|im_start|> and <|im_end|> are one token each; the prompt is what preview shows.
    prompt = with_model.preview(Request(HELLO))
    assert prompt.body["prompt"] == (
        "<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert turn.usage.input_tokens == prompt.input_tokens > 10
    assert turn.usage.output_tokens <= 24
    assert (turn.finish == "length") == (turn.usage.output_tokens == 24)
    assert turn.cost_usd == 0.0
    assert "<|im" not in turn.text
    assert json.loads(json.dumps(dict(turn.raw)))["text"] == turn.text


def test_a_turn_may_be_allowed_less_than_the_model(folder: Path) -> None:
    model = make_model(f"hf:{folder}", OPTIONS)
    (turn,) = model.complete(Request(HELLO, seed=5, max_output_tokens=3))
    assert turn.usage.output_tokens <= 3
    assert model.preview(Request(HELLO, max_output_tokens=3)).body["max_new_tokens"] == 3
    assert model.preview(Request(HELLO, max_output_tokens=99)).body["max_new_tokens"] == 24


def test_a_seed_gives_the_same_answers_whatever_runs_beside(folder: Path) -> None:
    model = make_model(f"huggingface:{folder}", OPTIONS)
    alone = {seed: texts(model.complete(Request(HELLO, seed=seed, samples=2))) for seed in range(6)}

    with ThreadPoolExecutor(6) as threads:
        beside = dict(
            zip(
                alone,
                threads.map(
                    lambda s: texts(model.complete(Request(HELLO, seed=s, samples=2))), alone
                ),
                strict=True,
            )
        )

    assert beside == alone
    assert len({text for pair in alone.values() for text in pair}) > 6


def test_samples_come_from_one_call_with_the_usage_on_the_first(folder: Path) -> None:
    turns = make_model(f"hf:{folder}", OPTIONS).complete(Request(HELLO, samples=3))

    assert len(set(texts(turns))) == 3
    assert [turn.usage.total_tokens > 0 for turn in turns] == [True, False, False]
    assert 24 < turns[0].usage.output_tokens <= 72


def test_temperature_zero_takes_the_likeliest_tokens(folder: Path) -> None:
    model = make_model(f"hf:{folder}", replace(OPTIONS, temperature=0.0))

    assert texts(model.complete(Request(HELLO, seed=1))) == texts(
        model.complete(Request(HELLO, seed=2))
    )
    first, second = model.complete(Request(HELLO, samples=2))
    assert first.text == second.text
    assert first.usage.output_tokens <= 24


def test_the_random_state_of_the_process_is_left_alone(folder: Path) -> None:
    import torch

    model = make_model(f"hf:{folder}", OPTIONS)
    before = torch.random.get_rng_state()
    model.complete(Request(HELLO, seed=3))

    assert torch.equal(before, torch.random.get_rng_state())


def test_a_model_calls_the_tool_and_goes_on_from_its_answer(tool_user: Path) -> None:
    model = make_model(f"hf:{tool_user}", ModelOptions(max_output_tokens=100, temperature=0.0))

    (turn,) = model.complete(Request(HELLO, tool=ToolOffer()))
    assert turn.finish == "tools"
    assert [call.code for call in turn.calls] == ["print(len(rows))"]

    (end,) = model.complete(
        Request([*HELLO, turn, ToolAnswer(turn.calls[0], "100\n")], tool=ToolOffer())
    )
    assert (end.finish, end.text, end.calls) == ("stop", ANSWER, ())
    assert model.complete(Request(HELLO))[0].calls == ()  # nothing on offer, nothing to call


def test_a_model_without_a_template_continues_the_text_and_has_no_tool(plain_folder: Path) -> None:
    model = make_model(f"hf:{plain_folder}", OPTIONS)

    assert model.tool_places == frozenset({"none"})
    assert model.default_tool == "none"
    assert model.preview(Request(HELLO)).body["prompt"] == "Say hello."
    assert model.complete(Request(HELLO))[0].usage.output_tokens > 0
    with pytest.raises(ConfigurationError, match="has no local tool"):
        model.complete(Request(HELLO, tool=ToolOffer()))


def test_a_prompt_that_fills_the_context_is_refused_with_the_numbers(folder: Path) -> None:
    model = make_model(f"hf:{folder}", replace(OPTIONS, context_tokens=20))

    assert model.context_tokens == 20
    with pytest.raises(ModelError, match=r"the prompt has \d+ tokens .* holds 20"):
        model.complete(Request([UserMessage("long " * 50)]))


def test_an_answer_ends_where_the_context_does(folder: Path) -> None:
    size = make_model(f"hf:{folder}", OPTIONS).preview(Request(HELLO)).input_tokens
    model = make_model(f"hf:{folder}", replace(OPTIONS, context_tokens=size + 5))

    assert model.preview(Request(HELLO)).body["max_new_tokens"] == 5
    assert model.complete(Request(HELLO))[0].usage.output_tokens <= 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", "there is no such folder"),
        ("/no/where/at/all", "there is no such folder"),
    ],
)
def test_a_folder_that_is_not_there_is_told_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_model(f"hf:{name}")


def test_a_hub_name_without_a_network_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_pv.models import hub

    monkeypatch.setattr(hub, "_hub_answers", lambda: False)
    with pytest.raises(ConfigurationError, match="the hub cannot be reached") as caught:
        make_model("hf:nobody/has-such-a-model")
    assert "\n" not in str(caught.value)


def test_a_broken_folder_is_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot load the model"):
        make_model(f"hf:{tmp_path}")

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"nothing of use")
    model = make_model(f"hf:{tmp_path}", OPTIONS)
    with pytest.raises(ConfigurationError, match="cannot load the model") as caught:
        model.complete(Request(HELLO))
    assert "\n" not in str(caught.value)


def test_memory_that_runs_out_is_told_with_a_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    model = TransformersModel(str(folder), OPTIONS)
    model.complete(Request(HELLO))

    def burst(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(model._model, "generate", burst)
    with pytest.raises(ModelError, match=r"out of memory in hf:.*give a smaller model"):
        model.complete(Request(HELLO))


def test_the_identity_changes_with_the_weights_and_the_sampling(
    folder: Path, plain_folder: Path
) -> None:
    base = make_model(f"hf:{folder}", OPTIONS)

    assert base.identity == make_model(f"hf:{folder}", OPTIONS).identity
    assert base.identity != make_model(f"hf:{plain_folder}", OPTIONS).identity
    assert base.identity != make_model(f"hf:{folder}", replace(OPTIONS, temperature=0.5)).identity


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions(base_url="http://127.0.0.1:1"),
        ModelOptions(batch=True),
        ModelOptions(extra={"no_such_setting": 1}),
        ModelOptions(extra={"engine": 3}),
    ],
)
def test_options_that_do_not_fit_are_refused(folder: Path, options: ModelOptions) -> None:
    with pytest.raises(ConfigurationError):
        make_model(f"hf:{folder}", options)


def test_settings_reach_the_generation_and_the_template(folder: Path) -> None:
    options = replace(OPTIONS, extra={"top_k": 1, "engine": {"attn_implementation": "eager"}})
    model = make_model(f"hf:{folder}", options)

    assert texts(model.complete(Request(HELLO, seed=1))) == texts(
        model.complete(Request(HELLO, seed=2))
    )
    assert model.preview(Request(HELLO)).body["top_k"] == 1


def test_a_closed_model_says_so(folder: Path) -> None:
    model = make_model(f"hf:{folder}", OPTIONS)
    model.complete(Request(HELLO))
    model.close()

    with pytest.raises(ModelError, match="closed"):
        model.complete(Request(HELLO))


def test_tokens_are_counted_exactly_and_cost_nothing(folder: Path) -> None:
    model = make_model(f"hf:{folder}", OPTIONS)

    assert model.count_tokens("0110") == 4  # its tokenizer reads every digit alone
    assert model.price(model.complete(Request(HELLO))[0].usage) == 0.0
