"""Ctrl-C ends a blocking call, however it waits: memory that page and worker share tells of it."""

from __future__ import annotations

import pytest

from tests.page_python import PagePython
from tests.relay import Relay
from tests.servers import ROOT
from tests.static_host import ISOLATED, StaticHost
from tests.websocket_site import WebSocketSite

PRESS = """() => {
    const { toldByPage } = globalThis;
    globalThis.toldByPage = () => {
        globalThis.toldByPage = toldByPage;
        setTimeout(() => { interrupts[0] = 2; }, 300);
    };
}"""
"""Presses Ctrl-C soon after Python has told that it begins to wait, which it does without end."""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A site whose pages are isolated."""
    site = tmp_path_factory.mktemp("site")
    for name, target in {"pyodide": "build/pyodide", "dist": "dist"}.items():
        (site / name).symlink_to(ROOT / target)
    (site / "index.html").write_text("<!doctype html><title>A page that shares memory</title>")
    with StaticHost(site, ISOLATED) as host:
        yield host


@pytest.fixture(scope="module")
def proxy_of_python(start_proxy, host):
    return start_proxy("--origin", host.url)


@pytest.fixture(scope="module")
def python(driven, proxy_of_python, host, wheel):
    """Python in a worker of an isolated page, with a connection."""
    python = PagePython(driven, f"{host.url}/index.html", thread="worker")
    python.run(
        """
        import micropip
        await micropip.install(wheel)
        import pynet_browser
        await pynet_browser.install(url, token=token)
        None
        """,
        timeout=60,
        wheel=f"{host.url}/dist/{wheel.name}",
        url=proxy_of_python.ws_url,
        token=proxy_of_python.token,
    )
    yield python
    python.close()


CONNECT = """
import builtins, socket
builtins.connection = socket.create_connection((host, port), 10)
connection.settimeout(None)
None
"""

WAITS = {
    "recv": "connection.recv(1)",
    "select": "import select; select.select([connection], [], [])",
    "timeout": "connection.settimeout(60); connection.recv(1)",
}

WAIT = """
import pynet_browser
waiting = pynet_browser.status().waiting
try:
    tell("waiting")
    {}
except KeyboardInterrupt:
    ended = "interrupted"
connection.settimeout(10)
connection.sendall(b"goes on")
[waiting, ended, connection.recv(7, socket.MSG_WAITALL).decode()]
"""


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize(("entry", "waiting"), [("async", "jspi"), ("sync", "xhr")])
def test_a_wait_ends_and_its_socket_goes_on(python, echo_server, entry, waiting, wait):
    python.run(CONNECT, host=echo_server.host, port=echo_server.port)
    python.evaluate(PRESS)
    source = "import socket" + WAIT.format(WAITS[wait])
    assert python.run(source, entry=entry, timeout=20) == [waiting, "interrupted", "goes on"]


def test_a_request_ends_too(python, silent_server):
    """Where Python is suspended; a synchronous request is out of everybody's reach."""
    python.evaluate(PRESS)
    source = """
        from pynet_browser.http import fetch_sync
        from urllib.request import urlopen
        try:
            tell("waiting")
            urlopen(url)
        except KeyboardInterrupt:
            ended = "interrupted"
        [ended, fetch_sync(page).status]
    """
    url = f"http://{silent_server.host}:{silent_server.port}/"
    page = python.evaluate("() => location.href")
    assert python.run(source, timeout=20, url=url, page=page) == ["interrupted", 200]


def test_a_look_up_ends_too(python, proxy_of_python):
    with Relay(proxy_of_python.address) as relay:
        install = "import pynet_browser; await pynet_browser.install(url, token=token); None"
        python.run(install, url=f"ws://127.0.0.1:{relay.port}/pynet", token=proxy_of_python.token)
        relay.freeze()
        python.evaluate(PRESS)
        source = """
            import socket
            try:
                tell("waiting")
                socket.getaddrinfo("localhost", 80)
            except KeyboardInterrupt:
                ended = "interrupted"
            ended
        """
        assert python.run(source, timeout=20) == "interrupted"
        python.run(install, url=proxy_of_python.ws_url, token=proxy_of_python.token)


def test_a_websocket_ends_its_wait_and_goes_on(python):
    with WebSocketSite() as site:
        python.evaluate(PRESS)
        source = """
            from pynet_browser.websocket.sync import connect
            with connect(url) as connection:
                try:
                    tell("waiting")
                    connection.recv()
                except KeyboardInterrupt:
                    ended = "interrupted"
                connection.send("goes on")
                answer = connection.recv()
            [ended, answer]
        """
        assert python.run(source, timeout=20, url=f"{site.url}/echo") == ["interrupted", "goes on"]
