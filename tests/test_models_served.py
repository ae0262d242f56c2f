"""Models behind a real OpenAI-compatible server, transformers' own, made on the spot."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_models
from llm_pv.models import (
    LanguageModel,
    ModelOptions,
    Request,
    ToolAnswer,
    ToolOffer,
    UserMessage,
    make_model,
)

pytestmark = [
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")),
        reason="transformers' server needs fastapi and uvicorn, which are not installed here",
    ),
    pytest.mark.timeout(300),
]
HELLO = [UserMessage("Say hello.")]
CALL = '<tool_call>\n{"name": "run_python", "arguments": {"code": "print(1)"}}\n</tool_call>'
PLAIN = "Hello there."
OFFER = ToolOffer(description="Runs Python.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that learned by heart to greet, and to call a tool where there is one."""
    tokenizer = tiny_models.make_tokenizer()
    folder = tmp_path_factory.mktemp("served-model")
    tiny_models.save(tiny_models.make_model(tokenizer), tokenizer, folder)
    sent = (
        served(folder, "http://127.0.0.1:9/v1", offline=True)
        .preview(Request(HELLO, tool=OFFER))
        .body
    )
    pairs = [
        (
            tokenizer.apply_chat_template(
                [{"role": "user", "content": HELLO[0].text}],
                tools=tools,
                add_generation_prompt=True,
                return_dict=False,
            ),
            [*tokenizer(text)["input_ids"], tokenizer.eos_token_id],
        )
        for tools, text in ((None, PLAIN), (sent["tools"], CALL))
    ]
    model = tiny_models.teach(tiny_models.make_model(tokenizer), pairs, steps=100, rate=4e-3)
    model.generation_config.update(max_new_tokens=150, do_sample=False)
    return tiny_models.save(model, tokenizer, folder)


@pytest.fixture(scope="module")
def base_url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            yield _ready(f"http://127.0.0.1:{port}", process, home / "log")
        finally:
            process.terminate()
            process.wait(30)


def _ready(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return f"{address}/v1"
    raise AssertionError(log.read_text()[-2000:])


def served(folder: Path, base_url: str, **more: object) -> LanguageModel:
    options = ModelOptions(
        reasoning_effort=None,
        verbosity=None,
        max_output_tokens=150,
        temperature=0.0,
        base_url=base_url,
        retries=0,
        **more,  # type: ignore[arg-type]
    )
    return make_model(f"openai-compatible:{folder}", options)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_served_model_says_what_it_says_in_this_process(
    folder: Path, base_url: str, api: str
) -> None:
    model = served(folder, base_url, api=api)
    (turn,) = model.complete(Request(HELLO))
    model.close()

    (here,) = make_model(
        f"hf:{folder}", ModelOptions(temperature=0.0, max_output_tokens=150)
    ).complete(Request(HELLO))
    assert turn.text == here.text == PLAIN
    assert turn.finish == "stop"
    assert turn.usage.input_tokens == here.usage.input_tokens
    assert turn.usage.output_tokens > 0
    assert turn.cost_usd is None


def test_a_served_model_calls_the_tool_and_is_given_its_answer(folder: Path, base_url: str) -> None:
    model = served(folder, base_url)
    (turn,) = model.complete(Request(HELLO, tool=OFFER))

    assert turn.finish == "tools"
    assert [(call.name, call.code) for call in turn.calls] == [("run_python", "print(1)")]
    (after,) = model.complete(Request([*HELLO, turn, ToolAnswer(turn.calls[0], "1\n")], tool=OFFER))
    model.close()
    assert after.usage.input_tokens > turn.usage.input_tokens
