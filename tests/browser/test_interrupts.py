"""Ctrl-C ends a blocking call, however it waits: memory that page and worker share tells of it."""

from __future__ import annotations

import pytest

from tests.page_python import PagePython
from tests.servers import ROOT
from tests.static_host import ISOLATED, StaticHost

PRESS = "() => { setTimeout(() => { interrupts[0] = 2; }, 300); }"
"""Presses Ctrl-C while Python waits, which it does without end."""


@pytest.fixture(scope="module")
def python(profile, start_proxy, wheel, tmp_path_factory):
    """Python in a worker of an isolated page, with a connection."""
    site = tmp_path_factory.mktemp("site")
    for name, target in {"pyodide": "build/pyodide", "dist": "dist"}.items():
        (site / name).symlink_to(ROOT / target)
    (site / "index.html").write_text("<!doctype html><title>A page that shares memory</title>")
    with StaticHost(site, ISOLATED) as host:
        proxy = start_proxy("--origin", host.url)
        python = PagePython(profile, f"{host.url}/index.html", thread="worker")
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
            url=proxy.ws_url,
            token=proxy.token,
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
    python.page.evaluate(PRESS)
    source = "import socket" + WAIT.format(WAITS[wait])
    assert python.run(source, entry=entry, timeout=20) == [waiting, "interrupted", "goes on"]
