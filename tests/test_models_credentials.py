"""Keys: where they come from, and that they go nowhere but to the vendor."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import ConfigurationError, CredentialError, MissingExtraError, ModelError
from llm_pv.models import LanguageModel, ModelOptions, Request, UserMessage, make_model
from llm_pv.models.credentials import Redactor, find_key, with_texts
from wire_servers import Wire, WireServer, chat

HI = Request([UserMessage("hi")])

VARIABLES = ("OPENAI", "ANTHROPIC", "GOOGLE", "GEMINI", "OPENAI_COMPATIBLE")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai:gpt-5.4", "OPENAI_API_KEY"),
        ("anthropic:claude-opus-4-8", "ANTHROPIC_API_KEY"),
        ("google:gemini-3.5-flash", "GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("gemini:gemini-3.5-flash", "GOOGLE_API_KEY or GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(name: str, variable: str) -> None:
    with pytest.raises(CredentialError, match=f"set {variable} in the environment") as caught:
        make_model(name)
    assert "\n" not in str(caught.value)


def test_no_key_is_needed_to_look_at_a_request() -> None:
    model = make_model("openai:gpt-5.4", ModelOptions(offline=True))
    try:
        assert model.preview(HI).body["input"] == [{"role": "user", "content": "hi"}]
        with pytest.raises(ModelError, match="cannot be called"):
            model.complete(HI)
    finally:
        model.close()


def test_the_environment_wins_over_the_file_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text('ANTHROPIC_API_KEY="from-$HOME"\nGEMINI_API_KEY=from-file\n')
    assert find_key(["ANTHROPIC_API_KEY"]) == "from-$HOME"
    assert find_key(["GOOGLE_API_KEY", "GEMINI_API_KEY"]) == "from-file"
    monkeypatch.setenv("GEMINI_API_KEY", "from-environment")
    assert find_key(["GOOGLE_API_KEY", "GEMINI_API_KEY"]) == "from-environment"
    assert "ANTHROPIC_API_KEY" not in os.environ


@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_a_blank_key_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    assert find_key(["OPENAI_API_KEY"]) is None


@pytest.mark.parametrize("value", ["sk-ключ", "sk-one two", "sk-\x07bell"])
def test_a_key_no_header_can_carry_is_refused_without_being_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(CredentialError, match="OPENAI_API_KEY holds characters") as caught:
        make_model("openai:gpt-5.4")
    assert "sk-" not in str(caught.value)


def test_a_vendors_key_does_not_go_to_a_server_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    with WireServer([Wire(chat())]) as server:
        options = ModelOptions(base_url=f"{server.url}/v1")
        _ask(make_model("openai-compatible:tiny", options))
        monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "its-own-key")
        _ask(make_model("openai-compatible:tiny", options))
    first, second = server.seen
    assert "sk-of-openai" not in json.dumps(dict(first.headers))
    assert second.headers["authorization"] == "Bearer its-own-key"


def _ask(model: LanguageModel) -> None:
    try:
        model.complete(HI)
    finally:
        model.close()


def test_a_model_shows_its_key_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-very-secret-4711"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    model = make_model("openai:gpt-5.4", ModelOptions(extra={"user": key}))
    try:
        assert key not in repr(model) + str(model) + model.name + model.identity
        assert "\n" not in model.identity
    finally:
        model.close()


def test_the_identity_names_what_decides_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-4711")
    plain = ModelOptions()
    decisive = [
        replace(plain, reasoning_effort="low"),
        replace(plain, verbosity=None),
        replace(plain, temperature=0.5),
        replace(plain, max_output_tokens=1_000),
        replace(plain, api="chat"),
        replace(plain, extra={"top_k": 1}),
    ]
    indifferent = [
        replace(plain, retries=1),
        replace(plain, timeout_seconds=5.0),
        replace(plain, batch=True),
    ]
    assert len({_identity(options) for options in (plain, *decisive)}) == 7
    assert {_identity(options) for options in (plain, *indifferent)} == {_identity(plain)}


def _identity(options: ModelOptions) -> str:
    model = make_model("openai:gpt-5.4", options)
    try:
        return model.identity
    finally:
        model.close()


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("openai-compatible:tiny", ModelOptions(), "needs --base-url"),
        ("openai-compatible:tiny", ModelOptions(base_url="localhost:8000"), "is no address"),
        ("openai-compatible:tiny", ModelOptions(base_url="http://u:p@h/v1"), "no user, password"),
        ("openai-compatible:tiny", ModelOptions(base_url="http://h/v1?k=1"), "no user, password"),
        ("openai:gpt-5.4", ModelOptions(reasoning_effort="huge"), "'huge' is none of minimal"),
        ("openai:gpt-5.4", ModelOptions(verbosity="chatty"), "'chatty' is none of low"),
        ("anthropic:claude", ModelOptions(api="chat"), "between OpenAI's interfaces"),
        ("gpt-5.4", ModelOptions(), "is no PROVIDER:MODEL"),
        ("nobody:gpt-5.4", ModelOptions(), "is no PROVIDER:MODEL"),
    ],
)
def test_options_that_cannot_work_are_refused_in_one_line(
    name: str, options: ModelOptions, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as caught:
        make_model(name, options)
    assert "\n" not in str(caught.value)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_model("openai-compatible:tiny", ModelOptions(base_url="ftp://u:pa55word@h/v1"))
    assert "pa55word" not in str(caught.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    for name in list(sys.modules):
        if name.startswith("llm_pv.models.") and name.endswith(("vendor_model", "openai_api")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llm-pv\[llm\]'"):
        make_model("openai:gpt-5.4")


def test_naming_models_imports_no_client() -> None:
    code = (
        "import sys, llm_pv.models, llm_pv.models.vendors\n"
        "print({'pydantic_ai', 'openai', 'httpx2', 'opentelemetry', 'dotenv'} & set(sys.modules))"
    )
    source = Path(__file__).parents[1] / "src"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=source
    )
    assert ran.stdout == "set()\n"


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=8, max_size=60),
    st.text(max_size=80),
    st.text(max_size=80),
)
def test_no_error_text_holds_a_key(key: str, before: str, after: str) -> None:
    said = Redactor(key)(f"{before}{key}{after}")
    assert key not in said
    assert key not in Redactor(key).reply(f"{before}{key}{after}")


KEY = "sk-0123456789abcdefghij"


def test_six_characters_of_a_key_in_a_row_are_taken_out_and_five_are_not() -> None:
    redact = Redactor(KEY)
    assert redact("it ends with efghij, or so") == "it ends with [redacted] or so"
    assert redact("it ends with fghij, or so") == "it ends with fghij, or so"
    assert redact.reply("x == 'efghij'") == "x == '[redacted]'"
    assert redact.reply("x == 'fghij'") == "x == 'fghij'"
    assert redact.reply("sk-0123 and 56789a") == "[redacted] and [redacted]"
    assert (
        redact.reply("a = ['sk-012', '3456', 'x0123456x']")
        == "a = ['[redacted]', '3456', 'x[redacted]x']"
    )


def test_fragments_of_what_was_sent_are_left_in_replies_but_never_the_whole_key() -> None:
    redact = Redactor(KEY)
    assert redact.reply("x == '012345'", ["0123456 -> 1"]) == "x == '012345'"
    assert redact.reply("x == '01234567'", ["0123456 -> 1"]) == "x == '01[redacted]'"
    assert redact.reply(f"x == '{KEY}'", [KEY]) == "x == '[redacted]'"


def test_a_key_of_fifteen_characters_is_taken_out_of_replies_as_a_whole_alone() -> None:
    redact = Redactor(KEY[:15])
    assert redact.reply(f"{KEY[:15]} 0123456789ab") == "[redacted] 0123456789ab"
    assert Redactor(KEY[:16]).reply("56789a") == "[redacted]"
    assert redact("no 012345 here") == "no [redacted] here"


@pytest.mark.parametrize(
    "word",
    [
        "x",
        "EMPTY",
        "none",
        "test",
        "ollama",
        "1234567",
        "lm-studio",
        "sk-no-key-required",
        "not-needed",
        "your-api-key",
    ],
)
def test_a_word_that_is_no_secret_is_left_everywhere(word: str) -> None:
    text = f"def f({word}): return {word}"
    redact = Redactor(word)
    assert redact(text) == redact.reply(text) == text
    assert with_texts({word: [word]}, redact.reply) == {word: [word]}
    assert redact.has_key


@given(st.text(max_size=200))
def test_without_a_key_nothing_is_changed(text: str) -> None:
    assert Redactor(None)(text) == Redactor(None).reply(text) == text


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("openai:gpt-5.4", "api.openai.com"),
        ("anthropic:claude-opus-4-8", "api.anthropic.com"),
        ("google:gemini-3.5-flash", "generativelanguage.googleapis.com"),
    ],
)
def test_no_variable_of_the_environment_sends_a_key_elsewhere(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")
    model = make_model(name, ModelOptions(offline=True))
    assert model.preview(HI).url.startswith(f"https://{host}/")
    assert model.destination == host
    model.close()


@pytest.mark.parametrize("option", ["model", "n", "max_tokens", "messages", "stream", "tools"])
def test_what_budgets_rely_on_is_not_passed_through(option: str) -> None:
    options = ModelOptions(extra={option: 1}, offline=True)
    with pytest.raises(ConfigurationError, match=f"--model-option {option} is not passed through"):
        make_model("openai:gpt-5.4", options)


def test_googles_limit_is_not_passed_through_either() -> None:
    options = ModelOptions(extra={"generationConfig": {"maxOutputTokens": 9}}, offline=True)
    with pytest.raises(ConfigurationError, match="give --max-output-tokens"):
        make_model("google:gemini-3.5-flash", options)
