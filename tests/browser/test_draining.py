"""A proxy that is told to stop lets pages finish what they have begun; what is new goes to another."""

from __future__ import annotations

import hashlib
import socket
import time

import pytest

from tests.beside import Beside
from tests.peers import TcpPeer, pattern
from tests.relay import Relay
from tests.servers import ProxyProcess

SIZE = 20_000_000

OPEN = """
import builtins, socket
builtins.old = socket.create_connection((host, port), 30)
old.sendall(b"old")
assert old.recv(3, socket.MSG_WAITALL) == b"old"
None
"""

ANOTHER = """
import socket
with socket.create_connection((host, port), 30) as new:
    new.sendall(b"new")
    answer = new.recv(3, socket.MSG_WAITALL).decode()
answer
"""


@pytest.fixture
def start_behind(proxy, tmp_path):
    """``start_behind()`` starts a proxy that drains for long; all have one token."""
    started: list[ProxyProcess] = []

    def start(*arguments):
        config = tmp_path / "proxy.toml"
        config.write_text("drain = 60.0\n")
        token = [f"--token={started[0].token}"] if started else []
        behind = ProxyProcess("--origin", proxy.url, "--config", str(config), *token, *arguments)
        started.append(behind)
        return behind.__enter__()

    yield start
    for behind in started:
        behind.kill()
        behind.stop()


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


def told_to_stop(behind):
    """Until it says that it waits for its pages."""
    behind.tell_to_stop()
    deadline = time.monotonic() + 10
    while "Waiting up to" not in behind.log():
        assert time.monotonic() < deadline, behind.log()
        time.sleep(0.01)


def test_what_is_open_goes_on_and_what_is_new_goes_to_another_proxy(page, install, start_behind, echo_server):
    first, second = start_behind(), start_behind()
    where = {"host": echo_server.host, "port": echo_server.port}
    with Relay(first.address) as relay:
        install(relay, first)
        page.run(OPEN, **where)
        relay.redirect(second.address)
        told_to_stop(first)
        # What the proxy has announced comes before this answer.
        assert page.run("old.sendall(b'still'); old.recv(5, 256).decode()") == "still"
        assert page.run(ANOTHER, **where) == "new"
        assert relay.accepted == 2
        page.run("old.close()")
        assert first.status(timeout=10) == 0
        assert page.run(ANOTHER, **where) == "new"
        assert relay.accepted == 2


class Stopping(TcpPeer):
    """Sends a quarter of ``pattern(SIZE)``, and the rest when its proxy was told to stop."""

    def __init__(self, proxy: ProxyProcess) -> None:
        super().__init__()
        self._proxy = proxy

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(pattern(SIZE // 4))
        told_to_stop(self._proxy)
        connection.sendall(pattern(SIZE - SIZE // 4, SIZE // 4))


def test_a_transfer_in_progress_ends_whole(page, install, start_behind):
    behind = start_behind()
    source = """
import hashlib, socket
digest = hashlib.sha256()
with socket.create_connection((host, port), 30) as connection:
    while piece := connection.recv(100_000):
        digest.update(piece)
digest.hexdigest()
"""
    with Stopping(behind) as peer, Relay(behind.address) as relay:
        install(relay, behind)
        got = page.run(source, host=peer.host, port=peer.port, timeout=60)
        assert behind.status(timeout=10) == 0
        assert "Waiting up to" in behind.log()
    assert got == hashlib.sha256(pattern(SIZE)).hexdigest()


def test_what_is_new_waits_until_there_is_another_proxy(page, install, start_behind, echo_server):
    first, second = start_behind(), start_behind()
    where = {"host": echo_server.host, "port": echo_server.port}
    with Relay(first.address) as relay:
        install(relay, first)
        page.run(OPEN, **where)
        told_to_stop(first)

        def start_another():
            relay.wait_for(lambda relay: relay.accepted >= 3)  # which the first proxy does not let in
            relay.redirect(second.address)

        administrator = Beside(start_another)
        administrator.start()
        assert page.run(ANOTHER, **where) == "new"
        administrator.result()
        page.run("old.close()")
        assert first.status(timeout=10) == 0


def test_what_is_open_goes_on_where_python_cannot_be_suspended(page, install, start_behind, echo_server):
    behind = start_behind()
    with Relay(behind.address) as relay:
        install(relay, behind)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        told_to_stop(behind)
        source = "old.sendall(b'still'); answer = old.recv(5, 256).decode(); old.close(); answer"
        assert page.evaluate("source => pyodide.runPython(source)", source) == "still"
        assert behind.status(timeout=10) == 0
