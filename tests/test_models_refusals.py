"""Servers that refuse what they cannot do: the call goes on with what they can."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import BudgetError, ModelError, ToolRefusedError
from llm_pv.models import ModelOptions, Request, ToolOffer, UserMessage, make_model
from llm_pv.models.adaptation import Refusal, refusal_of
from llm_pv.proposers.base import Context, Proposal
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.llm.turns import TURN
from llm_pv.proposers.round_robin import Admission, RoundRobin, StoppedError
from llm_pv.proposers.spending import Budget
from scripted_model import ScriptedModel, says
from wire_servers import Wire, WireServer, chat

HI = Request([UserMessage("hi")])

TRAIN, CLASSES = Examples(["0", "1"], ["0", "1"]), Classes.of(["0", "1"])
GOOD = Wire(chat('```python\ndef f(x):\n    return x == "1"\n```'))
NO_MODELS = {"GET": [Wire({}, 404)]}

NAME = [
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    "max_tokens is deprecated, use max_completion_tokens",
    "Extra inputs are not permitted: max_tokens",
    "property max_tokens is unsupported",
]
TOOLS = [
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "registry.ollama.ai/library/gemma:latest does not support tools",
    "tools is not supported",
    "tools param requires --jinja flag",
    "litellm.UnsupportedParamsError: openai does not support parameters: ['tools'], for model=x",
    "No endpoints found that support tool use",
    "Tool use is not supported for this model",
    "Function calling is not available for this model",
    "Unrecognized request argument supplied: tools",
    "{'type': 'extra_forbidden', 'loc': ('body', 'tools'), "
    "'msg': 'Extra inputs are not permitted'}",
    "tool_choice: 'auto' not permitted",
]
SEED = [
    "Unrecognized request argument supplied: seed",
    "{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}",
    "seed is not supported",
]
# An 8,192 token context with 1,000 sent leaves 7,192, less 16 that a template may add.
CONTEXT = [
    "This model's maximum context length is 8192 tokens. However, you requested 21000 tokens (1000 "
    "in the messages, 20000 in the completion). Please reduce the length of the messages.",
    "'max_tokens' or 'max_completion_tokens' is too large: 20000. This model's maximum context "
    "length is 8192 tokens and your request has 1000 input tokens (20000 > 8192 - 1000).",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 1000 "
    "`inputs` tokens and 20000 `max_new_tokens`",
    "Requested token count exceeds the model's maximum context length of 8192 tokens. You "
    "requested a total of 21000 tokens: 1000 tokens from the input messages and 20000 for the "
    "completion.",
    "the request exceeds the available context size (8192 tokens); the prompt has 1000 tokens",
    "input length and `max_tokens` exceed context limit: 1000 + 20000 > 8192, decrease input "
    "length or `max_tokens` and try again",
]
# Limits on the output alone: nothing is subtracted.
OUTPUT = [
    (
        "max_tokens is too large: 20000. This model supports at most 16384 completion tokens.",
        16_384,
    ),
    (
        "max_tokens: 20000 > 8192, which is the maximum allowed number of output tokens for it",
        8_192,
    ),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8_192),
    ("Range of max_tokens should be [1, 4096]", 4_096),
    ("max_tokens must be less than or equal to 4096", 4_096),
    (
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is "
        "less than the `context_window` for this model",
        8_192,
    ),
    ("it must be ≤ 8192, the maximum value for `max_tokens`", 8_192),
]


def read(said: str, tools: bool = True) -> Refusal | None:
    return refusal_of(
        said, asked=20_000, sent=3_000, limit_name="max_tokens", tools=tools, seeded=True
    )


def test_refusals_are_read_in_every_servers_words() -> None:
    assert {read(said) for said in NAME} == {Refusal("name")}
    assert {read(said) for said in TOOLS} == {Refusal("tools")}
    assert {read(said) for said in CONTEXT} == {Refusal("limit", 7_176)}
    assert {read(said) for said in SEED} == {Refusal("seed")}
    for said, most in OUTPUT:
        assert read(said) == Refusal("limit", most), said


@pytest.mark.parametrize(
    "said",
    [
        "no such thing",
        "The model `x` does not exist",
        "temperature is not supported",
        "unexpected tool_call_id: no such call",
        "",
    ],
)
def test_other_refusals_are_left_alone(said: str) -> None:
    assert read(said) is None


def test_a_request_without_a_tool_is_not_refused_for_one() -> None:
    assert read(TOOLS[0], tools=False) is None


def bodies(server: WireServer) -> list[Any]:
    return [seen.body for seen in server.seen if seen.method == "POST"]


def ask(said: str, calls: int = 2, status: int = 400) -> tuple[list[Any], list[tuple[str, ...]]]:
    """Ask a server that refuses its first request; return the requests and what was noticed."""
    refused = Wire({"error": {"message": said}}, status)
    with WireServer([refused, GOOD], NO_MODELS) as server:
        model = make_model("openai-compatible:m", ModelOptions(base_url=server.url + "/v1"))
        notices = [model.complete(HI)[0].notices for _ in range(calls)]
        model.close()
        return bodies(server), notices


def test_a_gateway_that_wants_the_other_name_of_the_limit_gets_it_from_then_on() -> None:
    sent, notices = ask(NAME[0])
    assert [body.get("max_tokens") for body in sent] == [20_000, None, None]
    assert [body.get("max_completion_tokens") for body in sent] == [None, 20_000, 20_000]
    assert [len(each) for each in notices] == [1, 0]


@pytest.mark.parametrize("said", CONTEXT)
def test_output_tokens_are_lowered_to_what_fits_and_it_is_said(said: str) -> None:
    sent, notices = ask(said)
    assert [body["max_tokens"] for body in sent] == [20_000, 7_176, 7_176]
    assert "takes at most 7,176 output tokens a call" in notices[0][0]
    assert notices[1] == ()


@pytest.mark.parametrize(("said", "most"), OUTPUT)
def test_a_cap_on_output_tokens_is_used_exactly(said: str, most: int) -> None:
    sent, notices = ask(said)
    assert [body["max_tokens"] for body in sent] == [20_000, most, most]
    assert [len(each) for each in notices] == [1, 0]


def test_what_was_sent_and_asked_for_is_subtracted_from_the_context() -> None:
    # 8,192 less 1,323 less 16 that a template may add.
    said = "input length and `max_tokens` exceed context limit: 1323 + 8192 > 8192"
    assert [body["max_tokens"] for body in ask(said)[0]] == [20_000, 6_853, 6_853]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("said", SEED)
def test_a_server_without_seeds_is_asked_without_one(said: str, status: int) -> None:
    sent, notices = ask(said, status=status)
    assert ["seed" in body for body in sent] == [True, False, False]
    assert [body["max_tokens"] for body in sent] == [20_000] * 3
    assert "takes no seed" in notices[0][0]
    assert notices[1] == ()


def test_a_request_without_a_limit_gets_none_when_its_seed_is_refused() -> None:
    with WireServer([Wire({"error": {"message": SEED[0]}}, 400), GOOD], NO_MODELS) as server:
        options = ModelOptions(base_url=server.url + "/v1", capped=False)
        model = make_model("openai-compatible:m", options)
        model.complete(HI)
        model.close()
        sent = bodies(server)
    assert [("seed" in body, "max_tokens" in body) for body in sent] == [
        (True, False),
        (False,) * 2,
    ]


def test_a_server_that_refuses_both_names_of_the_limit_is_asked_without_it() -> None:
    refused = [
        Wire({"error": {"message": f"property {name} is unsupported"}}, 400)
        for name in ("max_tokens", "max_completion_tokens")
    ]
    with WireServer([*refused, GOOD], NO_MODELS) as server:
        model = make_model("openai-compatible:m", ModelOptions(base_url=server.url + "/v1"))
        notices = [model.complete(HI)[0].notices for _ in range(2)]
        model.close()
        sent = bodies(server)
    assert [body.get("max_tokens") for body in sent] == [20_000, None, None, None]
    assert [body.get("max_completion_tokens") for body in sent] == [None, 20_000, None, None]
    assert "takes no limit on output tokens" in notices[0][1]
    assert notices[1] == ()


def test_a_conversation_that_leaves_no_room_says_what_to_do() -> None:
    full = "maximum context length is 1024 tokens, you requested 21000 (1000 in the messages)"
    with pytest.raises(ModelError, match="give fewer --prompt-rows, or --context-tokens"):
        ask(full)


def proposals(
    said: Any, tool: Any, status: int = 400, turns: tuple[Any, ...] = ()
) -> tuple[list[Proposal], list[Any], list[str], list[Any], list[str]]:
    """Ask a server that refuses every request with a tool."""
    warnings: list[str] = []
    records: list[Any] = []
    failures: list[str] = []
    refused = Wire({"error": {"message": said}}, status)
    with WireServer([refused, GOOD], NO_MODELS) as server:
        options = ModelOptions(base_url=server.url + "/v1", retries=0)
        model = make_model("openai-compatible:m", options)
        settings = LLMSettings(tool=tool)
        with LLM(model, attempts=2, settings=settings) as llm:
            context = Context(
                warn=warnings.append,
                write_turns=records.extend,
                write_failure=lambda _number, reason: failures.append(reason),
                turns=turns,
                admission=RoundRobin({"cell": 0}, 1).cell("cell"),
            )
            found = list(llm.propose_in(TRAIN, CLASSES, seed=0, context=context))
        return found, bodies(server), warnings, records, failures


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (TOOLS[0], 400),
        (TOOLS[3], 500),
        ("No endpoints found that support tool use", 404),
        ("Function calling is not available for this model", 422),
        ("Unrecognized request argument supplied: tools", 400),
        ([{"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Extra inputs"}], 422),
        ("tool_choice: 'auto' not permitted", 400),
    ],
)
def test_a_server_without_tools_is_asked_without_them(said: Any, status: int) -> None:
    found, sent, warnings, records, failures = proposals(said, None, status)
    assert len(found) == 2
    assert ["tools" in body for body in sent] == [True, False, False]
    assert "run_python" not in str(sent[1])
    assert "takes no tool" in warnings[-1]
    assert failures == []
    # A resumed run knows the turns of the prompt without the tool again.
    again, sent, _, _, _ = proposals(said, None, status, tuple(records))
    assert [each.text for each in again] == [each.text for each in found]
    assert sent == []
    assert sum(record["kind"] == TURN for record in records) == 2


def test_a_tool_that_was_asked_for_is_not_dropped() -> None:
    with pytest.raises(ToolRefusedError, match="give --tool none"):
        proposals(TOOLS[0], "local")


class Stopped(Admission):
    """An admission that is stopped while its second attempt waits."""

    def __init__(self) -> None:
        super().__init__(RoundRobin({}, slots=9), "cell")
        self.left = 0

    def acquire(self, number: int) -> None:
        if number == 2:
            raise StoppedError

    def release(self) -> None:
        self.left += 1


def test_a_stop_while_waiting_for_admission_ends_the_cell_after_what_had_begun() -> None:
    admission = Stopped()
    with LLM(ScriptedModel(says("def f(x): return 1")), attempts=3) as llm:
        context = Context(admission=admission)
        found = llm.propose_in(TRAIN, CLASSES, seed=0, context=context)
        assert next(found).origin == "1"
        with pytest.raises(StoppedError):
            next(found)


def test_an_early_stop_while_waiting_for_admission_gives_the_place_back() -> None:
    stopping = threading.Event()

    class Waiting(Stopped):
        def acquire(self, number: int) -> None:
            if number == 2:
                stopping.set()  # the first program turned out to be perfect meanwhile

    admission = Waiting()
    model = ScriptedModel(says("def f(x): return 1"))
    with LLM(model, attempts=2) as llm:
        context = Context(admission=admission, stopping=stopping)
        found: Iterator[Proposal] = llm.propose_in(TRAIN, CLASSES, seed=0, context=context)
        assert [each.origin for each in found] == ["1"]
    assert len(model.asked) == 1
    assert admission.left >= 1


STREAM = [
    "This model only supports stream mode, please enable the stream parameter",
    "stream must be set to true",
    "non-streaming requests are not supported",
    "parameter.enable_thinking only support stream call",
]


def test_a_server_that_only_streams_is_asked_for_a_stream() -> None:
    assert {read(said) for said in STREAM} == {Refusal("stream")}
    pieces = [{"content": "hel"}, {"content": "lo"}]
    chunks: list[Any] = [{"choices": [{"delta": piece}]} for piece in pieces]
    chunks.append({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    stream = Wire(body, headers={"Content-Type": "text/event-stream"})
    refused = Wire({"error": {"message": STREAM[0]}}, 400)
    with WireServer([refused, stream, stream], routes=NO_MODELS) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0)
        model = make_model("openai-compatible:tiny", options)
        turns = [model.complete(HI)[0] for _ in range(2)]
        model.close()
    assert [turn.text for turn in turns] == ["hello", "hello"]
    assert [turn.usage.total_tokens for turn in turns] == [18, 18]
    assert [len(turn.notices) for turn in turns] == [1, 0]
    assert [body["stream"] for body in server.bodies] == [False, True, True]
    assert server.bodies[2]["stream_options"] == {"include_usage": True}


def test_a_server_that_lets_no_tool_be_forbidden_is_asked_without_it() -> None:
    refused = Wire({"error": {"message": "tool_choice 'none' is not supported"}}, 400)
    offer = ToolOffer(description="Runs Python.", forbidden=True)
    with WireServer([refused, Wire(chat("f = len"))], routes=NO_MODELS) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0)
        model = make_model("openai-compatible:tiny", options)
        [turn] = model.complete(Request([UserMessage("hi")], tool=offer))
        model.close()
    assert (turn.text, turn.calls) == ("f = len", ())
    assert [body.get("tool_choice") for body in server.bodies] == ["none", "auto"]


def test_own_prices_let_a_budget_in_dollars_hold_at_any_server() -> None:
    with WireServer([Wire(chat("f = len"))], routes=NO_MODELS) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0, prices=(1_000.0, 2_000.0))
        model = make_model("openai-compatible:tiny", options)
        [turn] = model.complete(HI)
        # A token sent costs a tenth of a cent, one written a fifth: 11 and 7 of them.
        assert turn.cost_usd == pytest.approx(0.025)
        llm = LLM(model, attempts=2, settings=LLMSettings(tool="none"), budget=Budget(0.5))
        with llm, pytest.raises(BudgetError):  # 20,000 tokens written would be 40 dollars
            list(llm.propose(TRAIN, CLASSES, seed=0))
    assert len([body for body in server.bodies if body]) == 1


@pytest.mark.parametrize("said", [NAME[0], NAME[1], STREAM[0], CONTEXT[0]])
def test_calls_that_are_refused_together_all_go_on(said: str) -> None:
    barrier = threading.Barrier(4, timeout=30)

    def refusal() -> dict[str, Any]:
        barrier.wait()  # all four were sent before the first is refused
        return {"error": {"message": said}}

    with WireServer([*[Wire(refusal, 400)] * 4, Wire(chat("f = len"))], NO_MODELS) as server:
        options = ModelOptions(base_url=f"{server.url}/v1", retries=0)
        model = make_model("openai-compatible:tiny", options)
        with ThreadPoolExecutor(4) as threads:
            turns = list(threads.map(lambda _: model.complete(HI)[0], range(4)))
        model.close()
    assert [turn.text for turn in turns] == ["f = len"] * 4
    assert len({notice for turn in turns for notice in turn.notices}) == 1
    assert sum(len(turn.notices) for turn in turns) == 1
    assert len(bodies(server)) == 8
