"""What a cut does at each moment of a carrier, of a socket, and of the time that a session is kept."""

from __future__ import annotations

import hashlib
import random
import socket
from concurrent.futures import Future
from contextlib import ExitStack

import pytest

from tests.beside import Beside
from tests.cuts import HANDSHAKE, Cut, Way
from tests.http_only import HttpOnly
from tests.page_python import PageError
from tests.peers import Recorder, TcpPeer, chunks, pattern
from tests.relay import Relay
from tests.servers.process import free_port

CONNECTS = 25
CLOSES = 15
GREETING = 150
"""Bytes of hello and of welcome, roughly: what is behind them in each direction is of the session."""


@pytest.fixture(scope="module")
def start_behind(start_proxy, proxy, tmp_path_factory):
    """``start_behind("grace = 1.0")`` starts a proxy that pages reach through relays."""

    def start(settings="", *arguments):
        config = tmp_path_factory.mktemp("proxy") / "proxy.toml"
        config.write_text(settings)
        return start_proxy("--origin", proxy.url, "--config", str(config), *arguments)

    return start


@pytest.fixture(scope="module")
def behind(start_behind):
    return start_behind()


@pytest.fixture(scope="module")
def page(open_python):
    """Python without a network; each test installs its own in place of the one before."""
    return open_python(install=False)


class Talker(TcpPeer):
    """Says what it is told to say to its one client."""

    def __init__(self):
        super().__init__()
        self._client: Future[socket.socket] = Future()

    def say(self, data: bytes) -> None:
        self._client.result(10).sendall(data)

    def serve(self, connection):
        self._client.set_result(connection)
        for _ in chunks(connection):
            pass


OPEN = """
import builtins, socket
builtins.connection = socket.create_connection((host, port), 30)
connection.sendall(b"before")
assert connection.recv(6, socket.MSG_WAITALL) == b"before"
None
"""

GO_ON = """
import socket
import pynet_browser
connection.sendall(b"after")
[connection.recv(5, socket.MSG_WAITALL).decode(), pynet_browser.status().reconnects]
"""


# ── Of a carrier ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gently", [False, True], ids=["reset", "gently"])
def test_sockets_that_are_quiet_outlive_a_cut(page, install, behind, echo_server, gently):
    with Relay(behind.address) as relay:
        install(relay, behind)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        for number in range(1, 4):
            relay.cut(gently=gently)
            assert page.run(GO_ON) == ["after", number]
    assert echo_server.accepted == 1


@pytest.mark.parametrize("moment", HANDSHAKE)
def test_a_cut_during_the_handshake_is_followed_by_another_attempt(
    page, install, behind, echo_server, moment
):
    cuts = [None, HANDSHAKE[moment], HANDSHAKE[moment], None]
    with Relay(behind.address, cuts) as relay:
        install(relay, behind)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        relay.cut()
        assert page.run(GO_ON) == ["after", 1]
        assert relay.accepted == len(cuts)
    assert echo_server.accepted == 1


@pytest.mark.parametrize("moment", HANDSHAKE)
def test_a_cut_of_the_first_handshake_is_no_reason_to_give_up(page, install, behind, echo_server, moment):
    with Relay(behind.address, [HANDSHAKE[moment]]) as relay:
        install(relay, behind)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        assert page.run(GO_ON)[0] == "after"


@pytest.mark.parametrize("carrier", ["WebSocket", "HTTP"])
def test_a_carrier_that_is_frozen_is_given_up_and_replaced(page, install, start_behind, echo_server, carrier):
    behind = start_behind("keepalive = 1.0")
    with HttpOnly(behind.address) as network, ExitStack() as stack:
        relay = stack.enter_context(Relay(behind.address if carrier == "WebSocket" else network.address))
        install(relay, behind)
        assert page.run("import pynet_browser; pynet_browser.status().carrier") == carrier
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        relay.freeze()
        assert page.run(GO_ON, timeout=15) == ["after", 1]
        # What was frozen comes late, on a carrier that means nothing any more.
        relay.thaw()
        assert page.run(GO_ON) == ["after", 1]
    assert echo_server.accepted == 1


def test_a_request_that_is_frozen_is_given_up_in_a_worker(open_python, start_behind, echo_server):
    """A page's own thread may set no timeout for synchronous requests: it would wait as long as TCP does."""
    behind = start_behind()
    worker = open_python(thread="worker", install=False)
    with Relay(behind.address) as relay:
        source = "import pynet_browser; await pynet_browser.install(url, token=token); None"
        worker.run(source, url=f"ws://127.0.0.1:{relay.port}/pynet", token=behind.token)
        worker.run(OPEN, host=echo_server.host, port=echo_server.port)
        worker.run("connection.settimeout(2); None")

        def freeze():
            relay.wait_for(lambda relay: relay.accepted >= 2)
            relay.freeze()

        freezing = Beside(freeze)
        freezing.start()
        source = """
try:
    connection.recv(1)
except TimeoutError as error:
    found = str(error)
found
"""
        assert worker.run(source, entry="sync") == "timed out"
        freezing.result()
        assert (
            worker.run("connection.sendall(b'after'); connection.recv(5, 256).decode()", entry="sync")
            == "after"
        )
    worker.close()


# ── Of a socket ───────────────────────────────────────────────────────────────────────────────────────────


def test_connects_are_made_once_each_however_their_carriers_are_cut(page, install, behind, echo_server):
    chance = random.Random(5)
    ways: list[Way] = ["up", "down"]
    cuts = [
        Cut(after=chance.randrange(GREETING, 2 * GREETING), way=way, behind_head=True)
        for way in ways * CONNECTS
    ]
    source = """
import socket
answers = []
for number in range(count):
    with socket.create_connection((host, port), 60) as connection:
        connection.sendall(f"message {number}".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(100):
            answer += data
    answers.append(answer.decode())
answers
"""
    with Relay(behind.address, cuts) as relay:
        install(relay, behind)
        answers = page.run(source, host=echo_server.host, port=echo_server.port, count=CONNECTS, timeout=60)
        assert relay.cuts >= CONNECTS
    assert answers == [f"message {number}" for number in range(CONNECTS)]
    assert echo_server.accepted == CONNECTS


def test_what_was_written_before_close_arrives_whole(page, install, behind):
    chance = random.Random(6)
    size = 300_000
    cuts = (
        Cut(after=int(chance.expovariate(1 / 200_000)), way="up", behind_head=True) for _ in range(3 * CLOSES)
    )
    source = """
import socket
from array import array
for number in range(count):
    connection = socket.create_connection((host, port), 60)
    connection.sendall(array("I", range(number * size // 4, (number + 1) * size // 4)).tobytes())
    connection.close()
"""
    with Recorder() as recorder, Relay(behind.address, cuts, rate=10_000_000) as relay:
        install(relay, behind)
        page.run(source, host=recorder.host, port=recorder.port, count=CLOSES, size=size, timeout=60)
        with recorder.changed:
            recorder.changed.wait_for(lambda: len(recorder.digests) >= CLOSES, 30)
        assert relay.cuts >= CLOSES
    written = {hashlib.sha256(pattern(size, number * size)).hexdigest() for number in range(CLOSES)}
    assert recorder.digests == written
    assert recorder.accepted == CLOSES


# ── Of the time that the proxy keeps a session ────────────────────────────────────────────────────────────


def test_while_the_network_is_away_sockets_only_wait(page, install, behind):
    with Talker() as peer, Relay(behind.address) as relay:
        install(relay, behind)
        page.run(
            "import builtins, socket; builtins.connection = socket.create_connection((host, port), 60); None",
            host=peer.host,
            port=peer.port,
        )
        relay.refuse()
        relay.cut()
        peer.say(b"meanwhile")

        def come_back():
            relay.wait_for(lambda relay: relay.refused >= 4)
            relay.admit()

        network = Beside(come_back)
        network.start()
        assert page.run("connection.recv(9).decode()", timeout=60) == "meanwhile"
        network.result()
        assert page.run("import pynet_browser; pynet_browser.status().state") == "attached"


AFTER_THE_PERIOD = """
import errno, select, socket
import pynet_browser
first, second, third = connections

def failure(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]

found = {
    "waiting": failure(lambda: first.recv(1)),
    "afterwards": first.recv(1).decode(),
    "sending": failure(lambda: second.send(b"x")),
    "sending more": failure(lambda: second.send(b"x")),
    "ready": [len(each) for each in select.select([third], [third], [], 0)],
    "SO_ERROR": errno.errorcode[third.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)],
    "SO_ERROR again": third.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
}
found
"""


def test_after_the_period_each_socket_fails_once_and_new_ones_work(page, install, start_behind, echo_server):
    behind = start_behind("grace = 1.0")
    with Relay(behind.address) as relay:
        install(relay, behind)
        page.run(
            """
            import builtins, socket
            builtins.connections = [socket.create_connection((host, port), 30) for _ in range(3)]
            None
            """,
            host=echo_server.host,
            port=echo_server.port,
        )
        relay.refuse()
        relay.cut()
        assert page.run(AFTER_THE_PERIOD) == {
            "waiting": "ETIMEDOUT",
            "afterwards": "",
            "sending": "ETIMEDOUT",
            "sending more": "EPIPE",
            "ready": [1, 1, 0],
            "SO_ERROR": "ETIMEDOUT",
            "SO_ERROR again": 0,
        }
        relay.admit()
        page.run(OPEN, host=echo_server.host, port=echo_server.port)


def test_a_proxy_that_was_restarted_breaks_sockets_at_once_and_makes_new_ones(
    page, install, start_behind, echo_server
):
    behind = start_behind("", "--port", str(free_port()))
    with Relay(behind.address) as relay:
        install(relay, behind)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        behind.kill()
        again = start_behind("", "--port", str(behind.port), f"--token={behind.token}")
        assert again.port == behind.port
        with pytest.raises(PageError) as caught:
            page.run("connection.recv(1)")
        assert caught.value.errno == "ECONNRESET"
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
