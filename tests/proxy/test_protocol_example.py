"""The example of docs/protocol.md, made by its own bytes: whoever writes them by hand is understood."""

from __future__ import annotations

import re
import socket
import struct

import websockets

from tests.peers import TcpPeer, chunks
from tests.proxy.running import running_proxy
from tests.unit.vectors import ROOT

TEXT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
EXAMPLE = {
    name: bytes.fromhex(re.sub(";.*", "", lines))
    for name, lines in re.findall(r"^```hex (.+)\n([^`]*)^```$", TEXT, re.MULTILINE)
}
MESSAGE = struct.Struct(">IQQ")
FRAME = struct.Struct(">BBII")


class Answering(TcpPeer):
    """Waits for two bytes, answers, and sends no more.

    Attributes:
        received: what came before the answer.
    """

    received = b""

    def serve(self, connection: socket.socket) -> None:
        self.received = connection.recv(2, socket.MSG_WAITALL)
        connection.sendall(b"Hello")
        connection.shutdown(socket.SHUT_WR)
        for _ in chunks(connection):
            pass


def frames(message: bytes) -> tuple[int, int, list[tuple[int, int, bytes]]]:
    """Number, acknowledgement, and of each frame its kind, socket and payload, as the document has them."""
    size, number, ack = MESSAGE.unpack_from(message)
    assert len(message) == MESSAGE.size + size
    found, at = [], MESSAGE.size
    while at < len(message):
        kind, flags, about, length = FRAME.unpack_from(message, at)
        assert flags == 0
        at += FRAME.size + length
        found.append((kind, about, message[at - length : at]))
    return number, ack, found


def text(data: bytes, at: int) -> tuple[str, int]:
    """A text, and where it ends."""
    (length,) = struct.unpack_from(">H", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


async def test_the_bytes_of_the_example_are_a_session(monkeypatch):
    ask = socket.getaddrinfo

    def answer(host, *arguments, **named):
        return ask("127.0.0.1" if host == "example.com" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    protocol = websockets.Subprotocol("pynet.v1")
    with Answering() as host:
        async with (
            running_proxy(token="secret", webrtc=False) as proxy,
            websockets.connect(proxy.url, subprotocols=[protocol], compression=None) as page,
        ):
            await exchange(page, host)


async def exchange(page, host):
    await page.send(EXAMPLE["a client greets a new session"])
    welcome = await page.recv()
    number, ack, [(kind, about, payload)] = frames(welcome)
    assert (number, ack, kind, about) == (0, 0, 0x02, 0)
    version = struct.unpack_from(">H", payload)
    session, at = text(payload, 2)
    key, at = text(payload, at)
    seen, window, replay, grace, keepalive, features = struct.unpack_from(">QIIIIH", payload, at)
    at += 26
    for _ in range(features):  # what this proxy can do beyond what the document's can
        _, at = text(payload, at)
    agent, end = text(payload, at)
    assert (version, seen, end) == ((1,), 0, len(payload))
    assert (window, replay, grace, keepalive) == (262_144, 16_777_216, 60_000, 20_000)
    assert session
    assert key
    assert agent.startswith("pynet-browser/")

    # A test's host cannot have port 80: of all the bytes these two alone are others.
    connect = EXAMPLE["a connect by name, with data right behind it"]
    at = connect.index(b"\0\x50")
    await page.send(connect[:at] + struct.pack(">H", host.port) + connect[at + 2 :])

    seen_bytes, kinds, last = b"", [], 0
    while 0x14 not in kinds:
        number, ack, found = frames(await page.recv())
        assert ack == 1
        if not found:  # an acknowledgement may come first where the host takes its time
            assert number == 0
            continue
        last += 1
        assert number == last
        for kind, about, payload in found:
            assert about == 1
            kinds.append(kind)
            if kind == 0x11:
                ends = connected(payload)
            elif kind == 0x12:
                seen_bytes += payload
    assert [kind for kind in kinds if kind != 0x13] == [0x11, 0x12, 0x14]  # but for credit
    assert (seen_bytes, ends[1]) == (b"Hello", ("127.0.0.1", host.port))
    assert host.received == b"hi"

    close = EXAMPLE["the client lets go"]
    await page.send(close[:12] + struct.pack(">Q", last) + close[20:])
    assert await page.recv() == EXAMPLE["the proxy has nothing to add"]


def connected(payload: bytes) -> list[tuple[str, int]]:
    """The two addresses that ``connected`` tells."""
    ends, at = [], 0
    for _ in range(2):
        family, port = struct.unpack_from(">BH", payload, at)
        assert family == 4
        host, at = text(payload, at + 3)
        ends.append((host, port))
    assert at == len(payload)
    return ends
