"""Much comes in by a streaming answer beside the WebSocket, and moves between the two are seen by nobody."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack

import pytest

from tests.browser.exchange import WAITING, digests
from tests.browser.test_resume import MIB, RATE, SOCKETS, random_cuts
from tests.peers import Echo, Exchange, Source, pattern
from tests.relay import Relay

SIZE = 48 * MIB

DOWNLOAD = """
import hashlib, socket
import pynet_browser
with socket.create_connection(tuple(peer), 30) as connection:
    digest, seen = hashlib.sha256(), {}
    while data := connection.recv(1 << 20):
        digest.update(data)
        status = pynet_browser.status()
        seen.setdefault(status.bulk, str(status))
[digest.hexdigest(), seen]
"""

# Streams begin and end every few milliseconds; some are given up, and what they had brought is sent again.
MOVE = """
import pynet_browser
from pyodide.code import run_js
run_js('''(uplink, milliseconds) => {
    let turn = 0;
    globalThis.moving = setInterval(() => {
        const { downlink, carrier } = uplink.current;
        if (downlink.state === "resting" && carrier === "WebSocket") downlink.open();
        else if (downlink.state === "streaming") ++turn % 3 ? downlink.close() : downlink.giveUp("a test");
        globalThis.moves = turn;
    }, milliseconds);
}''')(pynet_browser._network._js.uplink, milliseconds)
None
"""

MOVES = "import js; js.clearInterval(js.moving); js.moves"

# Streams go another way than the WebSocket.
STREAMS_BY = """
from pyodide.code import run_js
run_js('''(port) => {
    const { fetch } = globalThis;
    globalThis.fetch = (url, init) => fetch(String(url).replace(/:[0-9]+/, `:${port}`), init);
}''')(port)
None
"""

UNTIL_STREAM = """
import asyncio, pynet_browser
downlink = pynet_browser._network._js.uplink.current.downlink
while pynet_browser.status().bulk != "stream":
    if downlink.state == "resting":
        downlink.open()
    await asyncio.sleep(0.02)
"""

UNTIL_IDLE = """
import asyncio, pynet_browser
while pynet_browser.status().bulk == "stream":
    await asyncio.sleep(0.1)
pynet_browser.status().why_bulk
"""


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    """A proxy that pages reach through relays."""
    return start_proxy("--origin", proxy.url)


@pytest.fixture
def page(open_python):
    """A page without a network."""
    page = open_python(install=False)
    yield page
    page.close()


INSTALL = "import pynet_browser; await pynet_browser.install(url, token=token, bulk=bulk); None"


def sha256_of(size: int) -> str:
    return hashlib.sha256(pattern(size)).hexdigest()


def test_a_download_moves_to_a_stream_and_back_when_it_is_over(page, proxy):
    page.run(INSTALL, url=proxy.ws_url, token=proxy.token, bulk="auto")
    seen: dict[str, str] = {}
    with Source(SIZE) as peer:
        while "stream" not in seen:  # a busy machine may bring less than what is bulk (js/bulk.js)
            digest, seen = page.run(DOWNLOAD, peer=peer.address)
            assert digest == sha256_of(SIZE)
    assert "over WebSocket and a stream" in seen["stream"]
    # Which of them was found to be the faster is the machine's affair.
    assert page.run(UNTIL_IDLE, timeout=20) in ("", "the WebSocket is faster")


def test_who_wants_no_streams_has_none(page, proxy):
    page.run(INSTALL, url=proxy.ws_url, token=proxy.token, bulk="off")
    with Source(SIZE // 4) as peer:
        digest, seen = page.run(DOWNLOAD, peer=peer.address)
    assert (digest, list(seen)) == (sha256_of(SIZE // 4), ["WebSocket"])
    assert "bulk=" in page.run("import pynet_browser; pynet_browser.status().why_bulk")


def test_calls_that_wait_by_synchronous_requests_get_along_with_a_stream(page, proxy):
    page.run(INSTALL, url=proxy.ws_url, token=proxy.token, bulk="auto")
    program = """
import builtins, hashlib, socket
import pynet_browser
if begin:
    builtins.connection = socket.create_connection(tuple(peer), 30)
    builtins.digest = hashlib.sha256()
    builtins.received = 0
while received < until and (data := connection.recv(65536)):
    digest.update(data)
    builtins.received += len(data)
[digest.hexdigest(), pynet_browser.status().waiting]
"""
    with Source(SIZE) as peer:
        found = []
        for turn in range(8):
            entry = "sync" if turn % 2 else "async"
            until = (turn + 1) * SIZE // 8
            found.append(page.run(program, entry=entry, peer=peer.address, begin=turn == 0, until=until))
            if turn == 0:
                page.run(UNTIL_STREAM)
    assert found[-1][0] == sha256_of(SIZE)
    assert [waiting for _, waiting in found] == ["jspi", "xhr"] * 4


@pytest.mark.parametrize("thread", ["page", "worker"])
def test_moves_every_few_milliseconds_lose_and_repeat_nothing(open_python, proxy, thread):
    page = open_python(thread=thread)
    page.run(MOVE, milliseconds=3)
    total = SIZE // SOCKETS & ~3
    with Exchange(total, MIB) as peer:
        names = {"peer": peer.address, "sockets": SOCKETS, "size": total, "ahead": MIB}
        result = page.run(WAITING, timeout=100, **names)
    assert result["digests"] == digests(SOCKETS, total)
    assert page.run(MOVES) > 20
    page.close()


def test_cuts_of_streams_and_websockets_lose_and_repeat_nothing(page, behind):
    total = 16 * MIB // SOCKETS & ~3
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(behind.address, random_cuts(7, 100, mean=150_000), rate=RATE))
        page.run(INSTALL, url=f"ws://127.0.0.1:{relay.port}/pynet", token=behind.token, bulk="auto")
        page.run(MOVE, milliseconds=20)
        peer = stack.enter_context(Exchange(total, 16 * 1024))
        names = {"peer": peer.address, "sockets": SOCKETS, "size": total, "ahead": 16 * 1024}
        result = page.run(WAITING, timeout=110, **names)
        assert relay.cuts >= 50
    assert result["digests"] == digests(SOCKETS, total)
    assert page.run(MOVES) > 5


SLOW = """
import asyncio, hashlib
import pynet_browser

async def download(pause):
    reader, writer = await asyncio.open_connection(*peer)
    digest = hashlib.sha256()
    while data := await reader.read(256 * 1024):
        digest.update(data)
        await asyncio.sleep(pause)
    writer.close()
    return digest.hexdigest()

await asyncio.gather(*(download(pause) for pause in (0, 0, 0.01, 0.02)))
"""


def test_readers_that_are_slow_lose_nothing_and_hold_up_nobody(page, proxy):
    page.run(INSTALL, url=proxy.ws_url, token=proxy.token, bulk="auto")
    with Source(SIZE // 2) as peer:
        assert page.run(SLOW, timeout=60, peer=peer.address) == [sha256_of(SIZE // 2)] * 4


def test_a_stream_that_is_frozen_is_given_up(page, behind):
    """Its relay stops passing anything on; the WebSocket goes another way."""
    exchange = """
import asyncio, socket
import pynet_browser
connection.sendall(message.encode())
[connection.recv(100).decode(), pynet_browser.status().bulk, pynet_browser.status().reconnects]
"""
    with Relay(behind.address) as relay, Echo() as echo:
        page.run(INSTALL, url=behind.ws_url, token=behind.token, bulk="auto")
        page.run(STREAMS_BY, port=relay.port)
        page.run(
            "import builtins, socket; builtins.connection = socket.create_connection(tuple(peer), 20); None",
            peer=echo.address,
        )
        while page.run(exchange, message="streamed") != ["streamed", "stream", 0]:
            page.run(UNTIL_STREAM)
        relay.freeze()
        assert page.run(exchange, message="frozen", timeout=20) == ["frozen", "WebSocket", 0]
        relay.thaw()
        assert page.run(exchange, message="thawed") == ["thawed", "WebSocket", 0]
