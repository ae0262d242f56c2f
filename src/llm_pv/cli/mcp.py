"""``llm-pv mcp``: a server through which an assistant proposes programs, without a key."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from llm_pv.cli.grid_options import DEFAULT_SIZE_OPTIONS, SPLITS, SizeOptions
from llm_pv.cli.main import complain
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, SandboxOptions, option_group
from llm_pv.errors import MissingExtraError

if TYPE_CHECKING:
    from llm_pv.mcp.workspace import Workspace

_BUDGETS = Group("Budgets", sort_key=1)


@option_group(_BUDGETS)
@dataclass(frozen=True)
class ServerOptions:
    """Limits of a client's runs."""

    programs: int = 200
    "The largest K a client may choose: the most programs it can submit in a run."
    python_calls: int = 100
    "Calls of the Python tool in a run."
    seed: Annotated[int, Parameter(group=SPLITS)] = 0
    "Seed of the splits."


def mcp(
    folder: Path = Path(),
    /,
    *,
    http: int | None = None,
    out: Path | None = None,
    options: ServerOptions = ServerOptions(),
    sizes: SizeOptions = DEFAULT_SIZE_OPTIONS,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Serve the verified loop to an assistant (Model Context Protocol): it writes the programs.

    The client opens rows, reads training rows, runs Python on them, submits programs and
    finishes. Validation and test rows stay here until then. Without --http the client starts
    this command itself and talks to it over standard input and output.

    Parameters
    ----------
    folder
        Folder whose files may be opened; default the working directory.
    http
        Serve streamable HTTP on this port of this machine (0 for a free one), with a bearer token:
        that of LLM_PV_MCP_TOKEN, or a new one that is shown.
    out
        Folder of the run directories; default runs under the folder.
    """
    try:
        from llm_pv.mcp.workspace import Workspace, WorkspaceSettings
    except ModuleNotFoundError as error:
        raise MissingExtraError("mcp", "mcp", "serve an assistant") from error
    from llm_pv.proposers.llm import LLMSettings
    from llm_pv.proposers.llm.local_tool import LocalTool

    settings = WorkspaceSettings(
        folder,
        folder / "runs" if out is None else out,
        programs=options.programs,
        python_calls=options.python_calls,
        sizes=sizes.split,
        seed=options.seed,
    )
    tool_settings = LLMSettings(
        tool="local",
        tool_functions=("check", "survey"),
        allow_unconfined=sandbox.allow_unconfined,
        backend=sandbox.sandbox,
    )
    with (
        sandbox.open() as opened,
        closing(LocalTool(tool_settings)) as tool,
        Workspace(settings, opened, tool) as workspace,
    ):
        if http is None:
            from llm_pv.mcp.server import build_server

            build_server(workspace).run("stdio")
        else:
            _serve_http(workspace, http)
    return 0


def _serve_http(workspace: "Workspace", port: int) -> None:
    from llm_pv.mcp.http import TOKEN_VARIABLE, http_server, loopback_socket, token_from_environment

    token, is_new = token_from_environment()
    listening, address = loopback_socket(port)
    with listening:
        shown = token if is_new else f"that of {TOKEN_VARIABLE}"
        complain(f"serving {address}, bearer token: {shown}")
        http_server(workspace, token).run(sockets=[listening])
