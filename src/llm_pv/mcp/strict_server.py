"""A server that refuses arguments which its tools do not have; the SDK's ignores them."""

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult, Tool


class StrictServer(MCPServer[Any]):
    """A server whose tools take their own arguments alone."""

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
