"""The way to a server: proxies of the environment, certificates, and modules that are missing."""

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import certifi
import httpx2
import pytest

from llm_pv.errors import ConfigurationError, MissingExtraError, ModelError
from llm_pv.models import ModelOptions, Request, UserMessage, make_model, proxies
from llm_pv.models.proxies import check_connection, proxy_for
from wire_servers import Wire, WireServer, chat

SERVER = "http://api.example/v1"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "OPENAI_COMPATIBLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def ask(url: str) -> str:
    options = ModelOptions(base_url=url, retries=0, timeout_seconds=5.0)
    model = make_model("openai-compatible:tiny", options)
    try:
        return model.complete(Request([UserMessage("hi")]))[0].text
    finally:
        model.close()


@pytest.mark.parametrize(
    ("excepted", "url", "proxied"),
    [
        ("", SERVER, True),
        ("api.example", SERVER, False),
        (".example", SERVER, False),
        ("other.example", SERVER, True),
        ("*", SERVER, False),
        ("api.example:8000", "http://api.example:8000/v1", False),
        ("api.example:9000", "http://api.example:8000/v1", True),
        ("127.0.0.1", "http://127.0.0.1:8000/v1", False),
        ("10.0.0.0/8,192.168.1.1", "http://10.1.2.3/v1", False),
        ("10.0.0.0/8,192.168.1.1", "http://11.1.2.3/v1", True),
        ("::1", "http://[::1]:8000/v1", False),
    ],
)
def test_no_proxy_is_honoured(
    excepted: str, url: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://proxy.example:1080")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert proxy_for(url) == ("socks5h://proxy.example:1080" if proxied else None)


def test_a_blank_proxy_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", " ")
    assert proxy_for("https://api.example/v1") is None


def test_a_proxy_without_a_scheme_is_one_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for("https://api.example/v1") == "http://proxy.example:3128"
    assert proxy_for("http://api.example/v1") is None


@pytest.mark.parametrize("proxy", ["socks5h://127.0.0.1:9", "socks4://127.0.0.1:9", "nonsense://"])
def test_a_proxy_disturbs_no_server_that_no_proxy_covers(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WireServer([Wire(chat())]) as server:
        assert ask(server.url + "/v1") == "hello"


@pytest.mark.parametrize(
    "proxy",
    [
        *("socks4://me:secret@p.example:1080", "ftp://p.example", "http://"),
        *("socks5://me:secret@[::1", "http://p.example:99999", "p.example:port", "http://p:0"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_line(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="of the environment cannot be used") as caught:
        ask(SERVER)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_socks_support_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://p.example:1080")
    monkeypatch.setattr(proxies, "find_spec", lambda _name: None)
    with pytest.raises(
        MissingExtraError, match=r"socksio is needed to go through the proxy socks5"
    ):
        ask(SERVER)


def test_an_error_of_the_network_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{port}")
    with pytest.raises(
        ModelError, match=rf"through the proxy http://127\.0\.0\.1:{port}"
    ) as caught:
        ask(SERVER)
    assert "secret" not in str(caught.value)


@pytest.fixture
def socks_proxy() -> Iterator[tuple[int, list[bytes]]]:
    """A SOCKS5 proxy of a few lines: it forwards everything to where it is asked to."""
    asked: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            return

    def serve(client: socket.socket) -> None:
        with client:
            client.recv(64)
            client.sendall(b"\x05\x00")
            request = client.recv(262)
            asked.append(request)
            port = int.from_bytes(request[-2:], "big")
            client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            with socket.create_connection(("127.0.0.1", port)) as server:
                threading.Thread(target=pump, args=(server, client), daemon=True).start()
                pump(client, server)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], asked


@pytest.mark.skipif(find_spec("socksio") is None, reason="needs socksio")
def test_a_call_goes_through_a_socks_proxy(
    socks_proxy: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = socks_proxy
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{port}")
    with WireServer([Wire(chat())]) as server:
        assert ask(server.url.replace("127.0.0.1", "api.example") + "/v1") == "hello"
    assert b"api.example" in asked[0]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/no/such/place")
    with pytest.raises(ConfigurationError, match=f"{name} is /no/such/place, which does not exist"):
        check_connection("https://api.example/v1")


def test_what_holds_no_certificates_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.pem").write_text("no certificate\n")
    for path, fault in ((tmp_path, "is no file"), (tmp_path / "none.pem", "holds no certificates")):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(ConfigurationError, match=f"SSL_CERT_FILE is {path}, which {fault}"):
            check_connection("https://api.example/v1")
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    check_connection("https://api.example/v1")


def test_certificates_are_read_once_for_all_models_and_again_where_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    read = httpx2.create_ssl_context

    def reading(*args: Any, **options: Any) -> ssl.SSLContext:
        if not (args or "verify" in options):
            made.append(os.environ["SSL_CERT_FILE"])
        return read(*args, **options)

    monkeypatch.setattr("httpx2.create_ssl_context", reading)
    files = [shutil.copy(certifi.where(), tmp_path / name) for name in ("a.pem", "b.pem")]
    with WireServer([Wire(chat())]) as server:
        for file in (files[0], files[0], files[1]):
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            assert ask(server.url + "/v1") == "hello"
    assert made == [str(file) for file in files]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ModuleNotFoundError("gone", name="pydantic_ai"), MissingExtraError, "pydantic-ai-slim is"),
        (ModuleNotFoundError("gone", name="openai"), MissingExtraError, "openai is needed to call"),
        (ImportError("cannot import name 'x'"), ConfigurationError, "cannot import name 'x'"),
    ],
)
def test_only_a_module_that_is_missing_is_said_to_be_needed(
    error: ImportError, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def importing(name: str) -> None:
        assert name == "llm_pv.models.openai_api"
        raise error

    monkeypatch.setattr("llm_pv.models.registry.import_module", importing)
    with pytest.raises(kind, match=said):
        make_model("openai-compatible:tiny", ModelOptions(base_url=SERVER))
