"""Choose the proxy for a server, by the environment variables that curl also reads.

The proxy is looked up for each request, so that an unusable one does not affect servers that
``NO_PROXY`` covers, and network errors name the proxy used.
"""

import ipaddress
import os
import ssl
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from llm_pv.errors import ConfigurationError, MissingExtraError

SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, None for no proxy."""
    proxies = getproxies()
    address = urlsplit(url)
    host = address.hostname or ""
    proxy = (proxies.get(address.scheme) or proxies.get("all") or "").strip()
    if not proxy or proxy_bypass(address.netloc) or _excepted(host, proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excepted(host: str, proxies: dict[str, str]) -> bool:
    """Return whether NO_PROXY names an address itself, in brackets, or as part of a network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in proxies.get("no", "").split(","):
        try:
            if address in ipaddress.ip_network(entry.strip().strip("[]"), strict=False):
                return True
        except ValueError:
            continue
    return False


def check_connection(url: str) -> None:
    """Raise an error if the environment's proxy or certificates cannot be used.

    Raise ConfigurationError if the proxy is of an unknown kind or no address, or the file of
    certificates is not there or holds none. Raise MissingExtraError if the proxy needs a package
    that is not installed.
    """
    proxy = proxy_for(url)
    if proxy is not None:
        _check(proxy)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and (fault := _certificate_fault(Path(path), is_file=name.endswith("FILE"))):
            raise ConfigurationError(
                f"{name} is {path}, which {fault}; name the certificates, or unset {name}"
            )


def _certificate_fault(path: Path, *, is_file: bool) -> str:
    if not path.exists():
        return "does not exist"
    if not (path.is_file() if is_file else path.is_dir()):
        return "is no file" if is_file else "is no folder"
    try:
        if is_file:
            _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        return f"holds no certificates that can be read ({error.strerror or error})"
    return ""


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


def _check(proxy: str) -> None:
    scheme = proxy.partition(":")[0].lower()
    try:
        usable = scheme in SCHEMES and bool(httpx2.URL(proxy).host) and urlsplit(proxy).port != 0
    except (httpx2.InvalidURL, ValueError):  # brackets that do not match, a port above 65,535
        usable = False
    if not usable:
        raise ConfigurationError(
            f"the proxy {shown(proxy)} of the environment cannot be used: give an address that "
            f"begins with {', '.join(SCHEMES)}, or name the server in NO_PROXY"
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise MissingExtraError("socksio", "llm", f"go through the proxy {shown(proxy)}")


def shown(proxy: str) -> str:
    """Return a proxy's address without user name and password.

    Examples
    --------
    >>> shown("http://me:secret@proxy.example:3128")
    'http://proxy.example:3128'
    """
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


@lru_cache(maxsize=4)
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return the certificates of the environment; reading them takes 30 ms, so all models share."""
    return httpx2.create_ssl_context()


class RoutedTransport(httpx2.AsyncBaseTransport):
    """Sends each request directly or through its proxy."""

    def __init__(self, limits: httpx2.Limits) -> None:
        self._limits = limits
        self._transports: dict[str | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; a network error names the proxy."""
        proxy = proxy_for(str(request.url))
        transport = self._transports.get(proxy)
        if transport is None:
            check_connection(str(request.url))
            trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
            transport = httpx2.AsyncHTTPTransport(trusted, limits=self._limits, proxy=proxy)
            self._transports[proxy] = transport
        try:
            return await transport.handle_async_request(request)
        except httpx2.TransportError as error:
            if proxy is not None:
                error.add_note(f"through the proxy {shown(proxy)}")
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()
