"""Serve over streamable HTTP, for this machine alone and with a token."""

import hmac
import os
import secrets
import socket

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

from llm_pv.errors import ConfigurationError
from llm_pv.mcp.server import build_server
from llm_pv.mcp.workspace import Workspace

TOKEN_VARIABLE = "LLM_PV_MCP_TOKEN"  # noqa: S105 - a name
_HOST = "127.0.0.1"


class SingleTokenVerifier:
    """Accepts one bearer token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return a grant for the right token, None for any other."""
        if not hmac.compare_digest(token.encode(), self._token):
            return None
        return AccessToken(token=token, client_id="llm-pv", scopes=[])


def token_from_environment() -> tuple[str, bool]:
    """Return the token of the environment, or a new one, and whether it is new.

    Raise ConfigurationError if the token of the environment is too short to be one.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        return secrets.token_urlsafe(32), True
    if len(token) < 16:
        raise ConfigurationError(
            f"{TOKEN_VARIABLE} is too short to be a secret: give 16 characters or more, or none"
        )
    return token, False


def http_server(workspace: Workspace, token: str) -> uvicorn.Server:
    """Return a server for a socket of this machine."""
    # The issuer is required but not used: the token is given out here, not by an OAuth server.
    auth = AuthSettings(issuer_url=AnyHttpUrl(f"http://{_HOST}"), resource_server_url=None)
    server = build_server(workspace, auth=auth, token_verifier=SingleTokenVerifier(token))
    app = server.streamable_http_app(host=_HOST)
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))


def loopback_socket(port: int) -> tuple[socket.socket, str]:
    """Return a socket that this machine alone can connect to, and the address of the server.

    Raise ConfigurationError if the port cannot be used.
    """
    try:
        opened = socket.create_server((_HOST, port))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"port {port} of {_HOST} cannot be used ({error}); give another, or 0 for a free one"
        ) from error
    return opened, f"http://{_HOST}:{opened.getsockname()[1]}/mcp"
