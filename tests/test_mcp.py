"""The server for assistants, with the protocol's own client over every transport."""

import gzip
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent, TextResourceContents

from llm_pv.api import SplitSizes
from llm_pv.errors import ConfigurationError
from llm_pv.mcp.http import http_server, loopback_socket, token_from_environment
from llm_pv.mcp.server import build_server
from llm_pv.mcp.workspace import Workspace, WorkspaceSettings
from llm_pv.proposers.llm import LLMSettings
from llm_pv.proposers.llm.local_tool import LocalTool
from llm_pv.runs.reading import read_replies
from llm_pv.sandbox import Sandbox

ROWS = [f"{number:06b}" for number in range(64)]
PARITY = "def f(x):\n    return x.count('1') % 2"
ONES = "def f(x):\n    return 1"
TOKEN = "a token of this test alone"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def tool() -> Iterator[LocalTool]:
    with closing(LocalTool(LLMSettings(tool_functions=("check", "survey")))) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the 64 words of six bits, labelled with their parity."""
    here = tmp_path / "here"
    here.mkdir()
    lines = [f"{word},{word.count('1') % 2}" for word in ROWS]
    (here / "words.csv").write_text("\n".join(["word,odd", *lines]) + "\n")
    (tmp_path / "beside.csv").write_text("word,odd\n")
    (here / "link.csv").symlink_to(tmp_path / "beside.csv")
    return here


@pytest.fixture
def open_workspace(folder: Path, sandbox: Sandbox, tool: LocalTool) -> Callable[..., Workspace]:
    def opened(**settings: Any) -> Workspace:
        return Workspace(WorkspaceSettings(folder, folder / "runs", **settings), sandbox, tool)

    return opened


@pytest.fixture
def workspace(open_workspace: Callable[..., Workspace]) -> Iterator[Workspace]:
    with open_workspace() as opened:
        yield opened


def converse(
    server: Any, conversation: Callable[[Client], Awaitable[None]], **options: Any
) -> None:
    async def main() -> None:
        async with Client(server, **options) as client:
            await conversation(client)

    anyio.run(main)


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Return the structured answer of a tool."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content = result.structured_content
    return content.get("result", content) if isinstance(content, dict) else content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """Return the sentence with which a tool refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (sentence,) = result.content
    assert isinstance(sentence, TextContent)
    return sentence.text


async def resource(client: Client, address: str) -> str:
    """Return the text of a resource."""
    (content,) = (await client.read_resource(f"llm-pv://{address}")).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def opened(client: Client, **arguments: Any) -> str:
    """Open the file of words and return the run's name."""
    answer = await call(client, "open_file", **{"path": "words.csv", "target": "odd"} | arguments)
    return str(answer["run"])


async def whole_conversation(client: Client) -> None:
    """From opening a file to a certified program."""
    run = await opened(client, programs=3)
    page = await call(client, "read_rows", run=run, count=2)
    assert page["total"] == 26, "40 percent of 64"
    assert page["next"] == 2
    printed = await call(
        client, "run_python", run=run, code="all(x.count('1') % 2 == y for x, y in rows)"
    )
    assert printed == "True\n"
    first, second = await call(client, "submit", run=run, programs=[ONES, PARITY])
    assert (first["number"], second["number"], second["remaining"]) == (1, 2, 1)
    assert second["wrong"] == 0
    finished = await call(client, "finish", run=run)
    assert finished["program"].strip().startswith("def f(x)")
    assert finished["scores"]["test"]["accuracy"] == 1.0


def test_a_client_that_starts_the_command_learns_a_program(folder: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "llm_pv", "mcp", str(folder), "--workers", "1"],
        env={"PYTHONPATH": str(Path(__file__).parents[1] / "src")},
    )
    converse(command, whole_conversation)
    assert (folder / "runs" / "words-1" / "report.html").exists()


def test_http_serves_this_machine_and_whoever_has_the_token(workspace: Workspace) -> None:
    listening, address = loopback_socket(0)
    server = http_server(workspace, TOKEN)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    serving.start()

    async def main() -> None:
        async with httpx2.AsyncClient() as stranger:
            assert (await stranger.post(address, json={})).status_code == 401
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer of another"}) as guesser:
            assert (await guesser.post(address, json={})).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http_client,
            Client(streamable_http_client(address, http_client=http_client)) as client,
        ):
            await whole_conversation(client)

    try:
        anyio.run(main)
        assert listening.getsockname()[0] == "127.0.0.1"
    finally:
        server.should_exit = True
        serving.join()
        listening.close()


def test_the_token_is_new_unless_the_environment_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_PV_MCP_TOKEN", raising=False)
    (one, new), (other, _) = token_from_environment(), token_from_environment()
    assert new
    assert one != other
    monkeypatch.setenv("LLM_PV_MCP_TOKEN", TOKEN)
    assert token_from_environment() == (TOKEN, False)
    monkeypatch.setenv("LLM_PV_MCP_TOKEN", "short")
    with pytest.raises(ConfigurationError, match="too short"):
        token_from_environment()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_clients_of_the_newest_and_of_earlier_protocols_are_served(
    workspace: Workspace, mode: str
) -> None:
    converse(build_server(workspace), whole_conversation, mode=mode)


def test_nothing_of_the_rows_held_back_is_sent_before_the_end(workspace: Workspace) -> None:
    said: list[str] = []

    async def conversation(client: Client) -> None:
        async def hear(tool: str, **arguments: Any) -> Any:
            answer = await call(client, tool, **arguments)
            said.append(json.dumps(answer))
            return answer

        run = (await hear("open_file", path="words.csv", target="odd"))["run"]
        await hear("read_rows", run=run, count=200)
        await hear("run_python", run=run, code="print(rows, dir(), globals())")
        programs = ["def f(x):\n    raise ValueError(x)", "def f(x):\n    return x", ONES, PARITY]
        await hear("submit", run=run, programs=programs)
        said.append(await resource(client, f"runs/{run}/facts"))
        for what in ("program", "report"):
            with pytest.raises(MCPError, match="not finished"):
                await resource(client, f"runs/{run}/{what}")

    converse(build_server(workspace), conversation)
    (run,) = workspace.runs()
    splits = run.problem.splits
    assert len(splits.validation) + len(splits.test) == 38
    everything = " ".join(said)
    assert all(str(word) in everything for word in splits.train.inputs)
    held = [*splits.validation.inputs, *splits.test.inputs]
    assert [word for word in held if str(word) in everything] == []


def test_a_program_is_answered_by_its_training_mistakes(workspace: Workspace) -> None:
    async def conversation(client: Client) -> None:
        run = await opened(client)
        rows = (await call(client, "read_rows", run=run, count=200))["rows"]
        even = [row for row in rows if row.endswith("-> 0")]
        programs = [ONES, "I would say it is parity.", "def f(x):\n    return {}[x]"]
        ones, prose, raising = await call(client, "submit", run=run, programs=programs)
        assert ones["wrong"] == len(even)
        assert ones["training_accuracy"] == pytest.approx(1 - len(even) / len(rows))
        assert ones["mistakes"] == [f"{row}, your program: 1" for row in even[:10]]
        assert prose["wrong"] is None
        assert "holds no program" in prose["problem"]
        assert raising["wrong"] == len(rows)
        assert "KeyError" in raising["mistakes"][0]

    converse(build_server(workspace), conversation)


def test_a_program_without_a_mistake_does_not_end_the_run(workspace: Workspace) -> None:
    async def conversation(client: Client) -> None:
        run = await opened(client, programs=2)
        await call(client, "submit", run=run, programs=[PARITY])
        (answer,) = await call(client, "submit", run=run, programs=[ONES])
        assert answer["remaining"] == 0
        assert "call finish" in await refused(client, "submit", run=run, programs=[ONES])

    converse(build_server(workspace), conversation)


def test_a_finished_run_takes_nothing_more(
    open_workspace: Callable[..., Workspace], folder: Path
) -> None:
    async def conversation(client: Client) -> None:
        run = await opened(client)
        assert "no program was submitted" in await refused(client, "finish", run=run)
        await call(client, "submit", run=run, programs=[ONES])
        finished = await call(client, "finish", run=run)
        assert await call(client, "finish", run=run) == finished
        assert "takes no more" in await refused(client, "submit", run=run, programs=[PARITY])
        assert "takes no more" in await refused(client, "run_python", run=run, code="1")
        again = await refused(client, "open_file", path="words.csv", target="odd", run=run)
        assert "open already" in again
        assert "Certificate" in await resource(client, f"runs/{run}/program")
        for file in finished["files"]:
            assert (folder / file).is_file()

    async def reopen(client: Client) -> None:
        path = {"path": "words.csv", "target": "odd", "run": "words-1"}
        assert "finished run" in await refused(client, "open_file", **path)
        run = await opened(client)
        await call(client, "submit", run=run, programs=[PARITY])
        warnings = (await call(client, "finish", run=run))["warnings"]
        assert any("1 other run" in warning for warning in warnings), "of the server before"

    for one in (conversation, reopen):
        with open_workspace() as workspace:
            converse(build_server(workspace), one)


def test_a_run_that_was_left_goes_on_with_its_programs_and_calls(
    open_workspace: Callable[..., Workspace], folder: Path
) -> None:
    async def leave(client: Client) -> None:
        run = await opened(client, programs=3, run="mine")
        await call(client, "run_python", run=run, code="def odd(x): return x.count('1') % 2")
        await call(client, "submit", run=run, programs=[ONES])

    async def go_on(client: Client) -> None:
        words = {"path": "words.csv", "target": "odd", "run": "mine"}
        another = await refused(client, "open_file", path="words.csv", target="word")
        assert "target 'odd' before" in another
        assert "remove runs/opened-files.json" in another
        assert "programs=3" in await refused(client, "open_file", **words, programs=4)
        answer = await call(client, "open_file", **words, programs=3)
        assert answer["submitted"] == 1
        # What the first part defined is there, and `check` compares it with the training rows.
        assert "26" in await call(client, "run_python", run="mine", code="check(odd)")
        assert "used up" in await refused(client, "run_python", run="mine", code="print(3)")
        (second,) = await call(client, "submit", run="mine", programs=[PARITY])
        assert second["number"] == 2
        finished = await call(client, "finish", run="mine")
        assert "program 2" in finished["certificate"]

    for conversation in (leave, go_on):
        with open_workspace(python_calls=2) as workspace:
            converse(build_server(workspace), conversation)
    replies = read_replies(folder / "runs" / "mine")
    assert [reply["text"] for reply in replies] == [ONES, PARITY]
    assert replies[0]["note"].startswith("from mcp")


def test_several_runs_go_on_at_once(workspace: Workspace) -> None:
    async def conversation(client: Client) -> None:
        runs = [await opened(client) for _ in range(3)]
        assert runs == ["words-1", "words-2", "words-3"]
        counted = dict.fromkeys(runs, 0)

        async def work(run: str, programs: list[str]) -> None:
            answers = await call(client, "submit", run=run, programs=programs)
            counted[run] = len(answers)

        async with anyio.create_task_group() as group:
            for number, run in enumerate(runs, 1):
                group.start_soon(work, run, [PARITY] * number)
        assert counted == {"words-1": 1, "words-2": 2, "words-3": 3}
        await call(client, "finish", run="words-1")
        last = await call(client, "finish", run="words-2")
        assert any("1 other run" in warning for warning in last["warnings"])

    converse(build_server(workspace), conversation)


def test_progress_is_reported_after_each_program(workspace: Workspace) -> None:
    reported: list[tuple[float, float | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert message
        reported.append((progress, total))

    async def conversation(client: Client) -> None:
        run = await opened(client)
        arguments = {"run": run, "programs": [ONES, PARITY]}
        await client.call_tool("submit", arguments, progress_callback=on_progress)

    converse(build_server(workspace), conversation)
    assert reported == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "path", ["../beside.csv", "link.csv", "/etc/passwd", "a/../../beside.csv", "C:\\x", "x\0y"]
)
def test_paths_outside_the_folder_are_refused(workspace: Workspace, path: str) -> None:
    async def conversation(client: Client) -> None:
        assert "not inside the folder" in await refused(client, "open_file", path=path)

    converse(build_server(workspace), conversation)


def test_impossible_requests_are_answered_by_what_to_do(workspace: Workspace) -> None:
    async def conversation(client: Client) -> None:
        path = {"path": "words.csv"}
        assert "no file" in await refused(client, "open_file", path="none.csv")
        assert "odd" in await refused(client, "open_file", **path, target="even")
        assert "1 to 200" in await refused(client, "open_file", **path, target="odd", programs=500)
        name = await refused(client, "open_file", **path, target="odd", run="../mine")
        assert "letters, digits" in name
        assert "none yet" in await refused(client, "read_rows", run="mine")
        run = await opened(client, programs=2)
        assert "start is 0 to 25" in await refused(client, "read_rows", run=run, start=26)
        assert "only 2" in await refused(client, "submit", run=run, programs=[ONES] * 3)
        another = await refused(client, "open_file", **path, target="word")
        assert "target 'odd'" in another
        inside = await refused(client, "open_file", path=f"runs/{run}/replies.jsonl")
        assert "file of a run" in inside

    converse(build_server(workspace), conversation)


def test_an_argument_that_a_tool_does_not_have_is_refused_and_its_own_are_named(
    workspace: Workspace,
) -> None:
    async def conversation(client: Client) -> None:
        sentence = await refused(client, "open_file", path="words.csv", label="odd")
        assert sentence.startswith("open_file has no argument 'label': it takes path, target, ")
        tools = (await client.list_tools()).tools
        assert all(tool.input_schema["additionalProperties"] is False for tool in tools)
        assert all("context" not in tool.input_schema["properties"] for tool in tools)

    converse(build_server(workspace), conversation)


def test_rows_are_split_once_also_by_calls_at_once_and_in_a_copy(
    workspace: Workspace, folder: Path
) -> None:
    columns = ["a", "b", "c", "d"]
    lines = [",".join(str(number >> bit & 1) for bit in range(4)) for number in range(16)] * 4
    text = "\n".join([",".join(columns), *lines]) + "\n"
    (folder / "bits.csv").write_text(text)
    (folder / "copy.csv").write_text(text)
    (folder / "copy.csv.gz").write_bytes(gzip.compress(text.encode()))

    async def conversation(client: Client) -> None:
        answers = []

        async def open_bits(target: str) -> None:
            arguments = {"path": "bits.csv", "target": target}
            answers.append((await client.call_tool("open_file", arguments)).is_error)

        # An error of a call that opens nothing binds the file to nothing.
        await refused(client, "open_file", path="bits.csv", target="a", run="../mine")
        async with anyio.create_task_group() as calls:
            for target in ("b", "c", "d"):
                calls.start_soon(open_bits, target)
        assert sorted(answers) == [False, True, True]
        for path in ("copy.csv", "copy.csv.gz"):
            assert "held back" in await refused(client, "open_file", path=path, target="a")

    converse(build_server(workspace), conversation)


def test_tasks_and_rows_of_the_call_are_opened_too(
    open_workspace: Callable[..., Workspace],
) -> None:
    async def conversation(client: Client) -> None:
        tasks = json.loads(await resource(client, "tasks"))
        assert {"task": "fn_a", "lengths": tasks[0]["lengths"]} == tasks[0]
        task = await call(client, "open_task", task="fn_a", length=20, programs=1)
        assert (task["run"], task["training_rows"]) == ("fn_a-1", 20)
        rows = [{"word": word, "odd": word.count("1") % 2} for word in ROWS]
        sent = await call(client, "open_rows", rows=rows, target="odd", programs=1)
        assert "has seen every label" in sent["warnings"][-1]
        runs = json.loads(await resource(client, "runs"))
        assert [run["run"] for run in runs] == ["fn_a-1", "rows-1"]

    with open_workspace(sizes=SplitSizes(20, 20, 20)) as workspace:
        converse(build_server(workspace), conversation)


def test_prompts_lead_through_a_run(workspace: Workspace) -> None:
    async def conversation(client: Client) -> None:
        names = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert names == ["find_rule", "explain_run"]
        prompt = await client.get_prompt("find_rule", {"path": "words.csv", "target": "odd"})
        (message,) = prompt.messages
        assert isinstance(message.content, TextContent)
        assert "'words.csv'" in message.content.text
        assert "'odd'" in message.content.text

    converse(build_server(workspace), conversation)
