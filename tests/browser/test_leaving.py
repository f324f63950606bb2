"""Who leaves a page frees the sockets that it had at hosts: at once, not when the proxy has waited for it."""

from __future__ import annotations

import threading

import pytest

from tests.http_only import HttpOnly
from tests.peers import TcpPeer, chunks

SOON = 5.0
"""Seconds; the proxy would wait for a minute."""


class Deserted(TcpPeer):
    """Waits for the end of each of its connections."""

    def __init__(self):
        super().__init__()
        self._left = threading.Semaphore(0)

    def serve(self, connection):
        try:
            for _ in chunks(connection):
                pass
        finally:
            self._left.release()

    def lost(self, count: int) -> bool:
        """Whether so many connections end soon."""
        return all(self._left.acquire(timeout=SOON) for _ in range(count))


CONNECT = """
import builtins, socket
import pynet_browser
await pynet_browser.install(url, token=token)
builtins.connections = [socket.create_connection((host, port), 30) for _ in range(3)]
pynet_browser.status().carrier
"""

LEAVE = {
    "reloads": lambda page: page.evaluate("() => { setTimeout(() => location.reload()); }"),
    "goes elsewhere": lambda page: page.evaluate("() => { setTimeout(open, 0, 'about:blank', '_self'); }"),
    "is closed": lambda page: page.close(),
}


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    return start_proxy("--origin", proxy.url)


@pytest.fixture
def peer():
    with Deserted() as peer:
        yield peer


@pytest.mark.parametrize("carrier", ["WebSocket", "HTTP"])
@pytest.mark.parametrize("way", LEAVE)
def test_a_page_that_is_left_frees_its_sockets(open_python, behind, peer, carrier, way):
    python = open_python(install=False)
    with HttpOnly(behind.address) as network:
        through = behind if carrier == "WebSocket" else network
        url = f"ws://127.0.0.1:{through.port}/pynet"
        assert python.run(CONNECT, url=url, token=behind.token, host=peer.host, port=peer.port) == carrier
        LEAVE[way](python)
        assert peer.lost(3)
        python.close()


@pytest.mark.parametrize("way", [*LEAVE, "ends its worker"])
def test_a_worker_that_is_ended_frees_its_sockets(open_python, proxy, peer, way):
    python = open_python(thread="worker", install=False)
    used = python.run(CONNECT, url=proxy.ws_url, token=proxy.token, host=peer.host, port=peer.port)
    assert used == "WebSocket"
    if way in LEAVE:
        LEAVE[way](python)
    else:
        python.evaluate("() => worker.terminate()")
    assert peer.lost(3)
    python.close()
