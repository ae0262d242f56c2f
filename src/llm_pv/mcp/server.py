"""The tools, resources and prompts of the server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp_types import CallToolResult, InputRequiredResult, Tool, ToolAnnotations
from pydantic import Field

from llm_pv import __version__
from llm_pv.erm.result import LearnedProgram
from llm_pv.errors import LLMPVError
from llm_pv.mcp.open_run import MOST_ROWS, OpenRun, Page, SubmitResult
from llm_pv.mcp.workspace import Workspace, held_back
from llm_pv.proposers.llm.prompt.statement import MODULE

T = TypeVar("T")

INSTRUCTIONS = """\
llm-pv learns a short program from labelled rows and certifies it. You write the programs; this \
server keeps validation and test rows back, runs every program confined, and selects.

1. open_file, open_task or open_rows starts a run; `programs` is K, fixed then: the certificate \
holds for the best of K programs, and is stronger for a small K.
2. Read the facts in the answer and the training rows (read_rows), and test ideas with run_python.
3. submit programs. Each is answered by its mistakes on training rows, nothing else. Look for one \
simple rule: memorised rows lose on the rows held back.
4. finish selects by validation, certifies, scores the test rows once and saves the program. It \
cannot be undone, and the run takes nothing more.

Errors say what to do. Where one names an option such as --target, it is the argument `target` of \
the tool; --out is the run's name."""

_NOTE_CHARACTERS = 100
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

Programs = Annotated[
    int, Field(description="K, the most programs you can submit, fixed from now on", ge=1)
]
RunName = Annotated[
    str | None,
    Field(description="name of the run; that of an unfinished run resumes it with the same rows"),
]
Run = Annotated[str, Field(description="the run's name, from the answer that opened it")]


@dataclass(frozen=True)
class OpenedRun:
    """A run that was opened or resumed, and everything to begin with."""

    run: str
    programs: int
    submitted: int
    training_rows: int
    held_back: str
    inputs: str
    labels: str
    facts: str
    program: str
    warnings: list[str]


@dataclass(frozen=True)
class SplitScore:
    """How the selected program does on the rows of a split; limits at 95% where known."""

    rows: int
    right: int
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FinishedRun:
    """The result of a run."""

    run: str
    verdict: str
    program: str | None
    certificate: str | None
    scores: dict[str, SplitScore]
    majority_baseline: float | None
    warnings: list[str]
    files: list[str]


def build_server(workspace: Workspace, **options: Any) -> MCPServer[Any]:
    """Return the server over a workspace."""
    server = _StrictServer(
        "llm-pv",
        title="LLM-PV",
        description="Learn a certified program from labelled rows.",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        **options,
    )
    _add_opening_tools(server, workspace)
    _add_tools(server, workspace)
    _add_resources(server, workspace)
    _add_prompts(server)
    return server


def _add_opening_tools(server: MCPServer[Any], workspace: Workspace) -> None:
    async def begin(
        context: Context[Any, Any], open_: Callable[..., OpenRun], what: Any, **options: Any
    ) -> OpenedRun:
        client = context.session.client_params
        told = client and f"from {client.client_info.name} {client.client_info.version}"
        note = (told or "")[:_NOTE_CHARACTERS]
        await context.report_progress(0, 1, "reading and splitting the rows")
        run = await _in_thread(partial(open_, what, note=note, **options))
        await context.report_progress(1, 1, f"run {run.path.name} is open")
        return _opened(run)

    @server.tool(annotations=_WRITES)
    async def open_file(
        *,
        path: Annotated[str, Field(description="CSV, TSV, Parquet, JSONL or text, in the folder")],
        context: Context[Any, Any],
        target: Annotated[str | None, Field(description="column that holds the label")] = None,
        types: Annotated[
            dict[str, Literal["str", "int", "float", "bool"]] | None,
            Field(description="types of columns that are not to be inferred"),
        ] = None,
        groups: Annotated[str | None, Field(description="column that groups rows")] = None,
        programs: Programs = 20,
        run: RunName = None,
    ) -> OpenedRun:
        """Open a file of labelled rows under the server's folder, and start or resume a run."""
        options = {"target": target, "types": types or {}, "groups": groups}
        return await begin(
            context, workspace.open_file, path, **options, programs=programs, name=run
        )

    @server.tool(annotations=_WRITES)
    async def open_task(
        *,
        task: Annotated[str, Field(description="id or name, from the resource llm-pv://tasks")],
        context: Context[Any, Any],
        length: Annotated[int | None, Field(description="length of the inputs")] = None,
        sampler: Literal["paper", "hard"] = "paper",
        programs: Programs = 20,
        run: RunName = None,
    ) -> OpenedRun:
        """Open a data set of the benchmark, and start or resume a run."""
        options = {"length": length, "sampler": sampler}
        return await begin(
            context, workspace.open_task, task, **options, programs=programs, name=run
        )

    @server.tool(annotations=_WRITES)
    async def open_rows(
        *,
        rows: Annotated[list[dict[str, Any]], Field(description="an object for each row")],
        target: Annotated[str, Field(description="the key that holds the label")],
        context: Context[Any, Any],
        programs: Programs = 20,
        run: RunName = None,
    ) -> OpenedRun:
        """Open rows given here, and start or resume a run. Prefer open_file: you know no label."""
        options = {"target": target, "programs": programs, "name": run}
        return await begin(context, workspace.open_rows, rows, **options)


def _add_tools(server: MCPServer[Any], workspace: Workspace) -> None:
    @server.tool(annotations=_READS)
    async def read_rows(
        run: Run,
        start: Annotated[int, Field(description="the first row, from 0", ge=0)] = 0,
        count: Annotated[int, Field(description="how many rows", ge=1, le=MOST_ROWS)] = 50,
    ) -> Page:
        """Read a page of training rows, written input -> label."""
        with _errors_as(ToolError):
            return workspace.run(run).rows(start, count)

    @server.tool(description=workspace.tool.description, annotations=_WRITES)
    async def run_python(
        run: Run, code: Annotated[str, Field(description="a script that prints what you want")]
    ) -> str:
        with _errors_as(ToolError):
            opened = workspace.run(run)
        return await _in_thread(partial(opened.run_python, code))

    @server.tool(annotations=_WRITES)
    async def submit(
        run: Run,
        programs: Annotated[
            list[str],
            Field(
                description="sources of programs, each defining f(x)", min_length=1, max_length=20
            ),
        ],
        context: Context[Any, Any],
    ) -> list[SubmitResult]:
        """Submit programs; each counts towards K and is answered by its training mistakes."""
        with _errors_as(ToolError):
            opened = workspace.run(run)
            if len(programs) > opened.remaining > 0:
                raise ToolError(
                    f"{len(programs)} programs, but only {opened.remaining} can still be submitted"
                )
        answers: list[SubmitResult] = []
        for program in programs:
            answers.append(await _in_thread(partial(opened.submit, program)))
            done = f"program {answers[-1].number} is verified"
            await context.report_progress(len(answers), len(programs), done)
        return answers

    @server.tool(annotations=_WRITES)
    async def finish(run: Run, context: Context[Any, Any]) -> FinishedRun:
        """Select by validation, certify, score the test rows once, and save. Cannot be undone."""
        with _errors_as(ToolError):
            opened = workspace.run(run)
        await context.report_progress(0, 1, "selecting by validation, then scoring the test rows")
        await _in_thread(opened.finish)
        await context.report_progress(1, 1, "the program, its records and report.html are written")
        return _finished(workspace, opened)


def _add_resources(server: MCPServer[Any], workspace: Workspace) -> None:
    @server.resource("llm-pv://tasks", mime_type="application/json")
    def tasks() -> str:
        """Return the ids of the benchmark's tasks, and their lengths; not what their rules are."""
        from llm_pv.tasks import TASKS

        return json.dumps(
            [
                {"task": one.id or one.name, "lengths": list(one.lengths.default)}
                for one in TASKS.values()
            ]
        )

    @server.resource("llm-pv://runs", mime_type="application/json")
    def runs() -> str:
        """Return the runs opened since the server started, and what each still takes."""
        return json.dumps(
            [
                {"run": run.path.name, "finished": run.finished, "remaining": run.remaining}
                for run in workspace.runs()
            ]
        )

    @server.resource("llm-pv://runs/{run}/facts")
    def facts(run: str) -> str:
        """Return facts about the training rows of a run."""
        with _errors_as(ResourceError):
            return workspace.run(run).facts()

    @server.resource("llm-pv://runs/{run}/program", mime_type="text/x-python")
    def program(run: str) -> str:
        """Return the program that a finished run selected, as its file holds it."""
        with _errors_as(ResourceError):
            path = _result(workspace.run(run)).program_path
            if path is None:
                raise ResourceError(f"run {run} has selected no program")
            return path.read_text("utf-8")

    @server.resource("llm-pv://runs/{run}/report", mime_type="text/html")
    def report(run: str) -> str:
        """Return the page of a finished run."""
        with _errors_as(ResourceError):
            opened = workspace.run(run)
            _result(opened)
            return (opened.path / "report.html").read_text("utf-8")


def _add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt(title="Find the rule in a file")
    def find_rule(path: str, target: str = "", about: str = "") -> str:
        """Learn a rule from a file of labelled rows, and explain what was certified."""
        label = f" The column {target!r} holds the label." if target else ""
        context = f" About the rows: {about}." if about else ""
        return (
            f"Open {path!r} with llm-pv.{label}{context} Study the facts and the training rows, "
            "test hypotheses with run_python, and submit programs until one explains the training "
            "rows by a rule that is short and makes sense. Then finish, show me the program, say "
            "in plain words what it decides by, and quote its certificate and its test accuracy "
            "beside the majority baseline."
        )

    @server.prompt(title="Explain a finished run")
    def explain_run(run: str) -> str:
        """Explain the program of a finished run to somebody who does not program."""
        return (
            f"Read the resource llm-pv://runs/{run}/program and explain to somebody who does not "
            "program what it decides by, how sure its certificate is, and for which inputs it "
            "should not be trusted."
        )


def _opened(run: OpenRun) -> OpenedRun:
    splits = run.problem.splits
    return OpenedRun(
        run=run.path.name,
        programs=run.problem.programs,
        submitted=run.submitted,
        training_rows=len(splits.train),
        held_back=held_back(splits),
        inputs=run.notation.about_inputs(),
        labels=run.labels(),
        facts=run.facts(),
        program=MODULE.format(it="A program"),
        warnings=list(splits.warnings),
    )


def _finished(workspace: Workspace, run: OpenRun) -> FinishedRun:
    learned = run.finish()
    record = learned.record()
    low, high = learned.interval or (None, None)
    scores = {}
    for split in ("train", "validation", "test"):
        if score := record[split]:
            right = score["rows"] - score["errors"]
            limits = (low, high) if split == "test" else (None, None)
            scores[split] = SplitScore(score["rows"], right, score["accuracy"], *limits)
    warnings = list(learned.warnings)
    if earlier := workspace.earlier_runs(run):
        warnings.append(
            f"{earlier} other runs on the same rows are finished: what they said of validation "
            "rows may have steered this one, and its certificate does not count them"
        )
    files = [path for path in (learned.program_path, run.path / "report.html") if path]
    return FinishedRun(
        run.path.name,
        learned.verdict,
        record["program"],
        record["certificate_text"],
        scores,
        learned.baseline.test_accuracy,
        warnings,
        [workspace.shown(path) for path in files],
    )


def _result(run: OpenRun) -> LearnedProgram:
    if not run.finished:
        raise ResourceError(f"run {run.path.name} is not finished: call finish first")
    return run.finish()


async def _in_thread(work: Callable[[], T]) -> T:
    """Do something that blocks in a thread, so that the server keeps answering."""
    with _errors_as(ToolError):
        return await anyio.to_thread.run_sync(work)


@contextmanager
def _errors_as(kind: type[ToolError | ResourceError]) -> Iterator[None]:
    try:
        yield
    except (LLMPVError, OSError) as error:
        raise kind(str(error)) from error


class _StrictServer(MCPServer[Any]):
    """A server whose tools take their own arguments alone; the SDK's ignores others."""

    async def list_tools(self) -> list[Tool]:
        """Return the tools; their schemas allow no further arguments."""
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema = {**tool.input_schema, "additionalProperties": False}
        return tools

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        Raise ToolError if it has no argument of one of the names.
        """
        known = {
            tool.name: list(tool.input_schema["properties"]) for tool in await self.list_tools()
        }
        for argument in arguments:
            if name in known and argument not in known[name]:
                raise ToolError(
                    f"{name} has no argument {argument!r}: it takes {', '.join(known[name])}"
                )
        return await super().call_tool(name, arguments, context)
