"""Sockets over servers that others wrote: the document's example, and what is said where those cannot."""

from __future__ import annotations

import re

import pytest

from tests.page_python import PageError
from tests.peers import Echo
from tests.servers import ROOT
from tests.servers.gateways import Websockify, WispJs


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


@pytest.fixture(scope="module")
def wisp():
    with WispJs() as server:
        yield server


@pytest.fixture(scope="module")
def echo():
    with Echo() as peer:
        yield peer


def install(page, url, **options):
    page.run(
        "import pynet_browser; await pynet_browser.install(url, **options); None", url=url, options=options
    )


@pytest.mark.parametrize("kind", ["wisp", "websockify"])
def test_the_example_runs_as_it_stands(page, wisp, redis_server, kind):
    [example] = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "servers.md").read_text("utf-8"), re.DOTALL
    )
    with Websockify([redis_server.address]) as websockify:
        servers = {"wisp": wisp.url, "websockify": websockify.url}
        for there, here in {"wisp://127.0.0.1:6001/": servers[kind], "6379": str(redis_server.port)}.items():
            assert there in example
            example = example.replace(there, here)
        page.run(example)
    assert "+PONG" in "\n".join(page.console[-3:])
    assert page.run("import pynet_browser; pynet_browser.status().kind") == kind


LIMITS = """
import errno, socket

def failure(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        if isinstance(error, socket.gaierror):
            return "gaierror", error.strerror
        code = errno.errorcode[error.errno]
        return "EOPNOTSUPP" if code == "ENOTSUP" else code, error.strerror  # two names for one number
    return "nothing", ""

found = {}
with socket.create_connection(tuple(address), timeout=10) as connection, socket.socket() as fresh:
    found["half"] = failure(connection.shutdown, socket.SHUT_WR)
    connection.sendall(b"goes on")
    found["echo"] = connection.recv(100).decode(), ""
    connection.shutdown(socket.SHUT_RDWR)
    found["end"] = connection.recv(100).decode(), ""
    found["bind"] = failure(fresh.bind, ("127.0.0.1", 0))
    fresh.bind(("", 0))
    found["listen"] = failure(fresh.listen)
found["service"] = failure(socket.getaddrinfo, "localhost", "http")
with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
    found["datagrams"] = failure(datagrams.sendto, b"x", ("127.0.0.1", 9))
standing = socket.getaddrinfo("db.example", 80, type=socket.SOCK_STREAM)[0][4][0]
found["name"] = socket.gethostbyaddr(standing)[0], ""
found
"""


@pytest.mark.parametrize("kind", ["wisp", "websockify"])
def test_what_such_a_server_cannot_do_is_said(page, wisp, echo, kind):
    with Websockify([echo.address]) as websockify:
        install(page, {"wisp": wisp.url, "websockify": websockify.url}[kind])
        found = page.run(LIMITS, address=echo.address)
    server = {"wisp": "a Wisp server", "websockify": "a websockify"}[kind]
    assert {name: code for name, (code, _) in found.items()} == {
        "half": "EOPNOTSUPP",
        "echo": "goes on",
        "end": "",
        "bind": "EADDRNOTAVAIL",
        "listen": "EOPNOTSUPP",
        "service": "gaierror",
        "datagrams": "nothing" if kind == "wisp" else "EPROTONOSUPPORT",
        "name": "db.example",
    }
    said = [sentence for code, sentence in found.values() if sentence]
    assert all(sentence.startswith(server) for sentence in said)


ASYNCIO = """
import asyncio

async def ask(number):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"%d" % number)
    answer = await reader.readexactly(len(str(number)))
    writer.close()
    await writer.wait_closed()
    return int(answer)

await asyncio.gather(*map(ask, range(30)))
"""


def test_asyncio_has_many_connections_over_one_web_socket(page, wisp, echo):
    install(page, wisp.url)
    assert page.run(ASYNCIO, address=echo.address) == list(range(30))


def test_where_python_cannot_be_suspended_a_blocking_call_says_so(page, wisp, echo):
    install(page, wisp.url)
    connect = "import socket; socket.create_connection(tuple(address), timeout=5).recv(1)"
    with pytest.raises(PageError, match=r"BlockingError.*would have to wait"):
        page.run(connect, entry="sync", address=echo.address)
    assert "with a Wisp server" in page.run("import pynet_browser; pynet_browser.status().why", entry="sync")


LOSING = """
import errno, socket
found = []
connection = socket.create_connection(tuple(address), timeout=10)
tell("connected")
try:
    connection.recv(1)
except OSError as error:
    found.append((errno.errorcode[error.errno], str(error)))
connection.close()
try:
    socket.create_connection(tuple(address), timeout=10)
except OSError as error:
    found.append((errno.errorcode[error.errno], str(error)))
found
"""


def test_a_server_that_goes_takes_its_sockets_with_it(page, echo):
    with WispJs() as server:
        install(page, server.url)
        found = page.run(LOSING, address=echo.address, tell=lambda _: server.kill())
    (first, lost), (second, unreachable) = found
    assert (first, second) == ("ECONNRESET", "ENETUNREACH")
    assert "lost" in lost
    assert "no Wisp server answers" in unreachable


def test_a_server_that_is_not_there_or_does_not_let_in_is_told_by_install(page, start_proxy, proxy):
    with pytest.raises(
        PageError, match=r"ProxyUnreachableError.*no Wisp server answers at ws://127\.0\.0\.1:9/"
    ):
        install(page, "wisp://127.0.0.1:9/")
    ours = start_proxy("--origin", proxy.url)
    address = f"wisp://127.0.0.1:{ours.port}/wisp/"
    with pytest.raises(PageError, match=r"ProxyRefusedError.*wants a password"):
        install(page, address)
    with pytest.raises(PageError, match=r"ProxyRefusedError.*does not take this user and password"):
        install(page, address, token="wrong")
    install(page, address.replace("wisp://", f"wisp://anybody:{ours.token}@"))
    shown = page.run("import pynet_browser; str(pynet_browser.status())")
    assert shown.startswith(f"ws://127.0.0.1:{ours.port}/wisp/ (Wisp 2): attached over WebSocket")


@pytest.mark.parametrize("option", ["blocking='xhr'", "http='proxy'"])
def test_what_only_a_proxy_of_ours_can_do_is_refused(page, option):
    with pytest.raises(PageError, match=r"ValueError.*needs pynet-browser's own proxy"):
        page.run(f"import pynet_browser; await pynet_browser.install('wisp://127.0.0.1:9/', {option})")
