"""Clients that send mutated messages, each its own way: over our carriers, and as those that others wrote."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random
from urllib.parse import quote

import aiohttp
import websockets
from websockets import ConnectionClosed

from pynet_browser.fields import Address
from pynet_browser.frames import (
    Associate,
    Bind,
    Close,
    Connect,
    Data,
    Datagram,
    Frame,
    Listen,
    Open,
    Option,
    Ping,
    Poll,
    Relay,
    Request,
    Reset,
    Resolve,
    Reverse,
    Shutdown,
    Window,
)
from pynet_browser.proxy.compat import wisp_packets
from pynet_browser.wire import encode_frame, encode_message
from tests.fuzz.mutator import mutated
from tests.proxy.carrier import Carrier, hello
from tests.unit.vectors import bytes_of, vectors

__all__ = ["FOREIGN", "Ending", "conversation", "torment", "torment_as", "torment_by_http", "torment_relay"]

ANSWER_TIME = 0.02
"""Seconds in which a proxy that is going to complain has."""

Ending = tuple[int, str] | None
"""Code and reason with which the proxy has closed a WebSocket; None if it has not."""

LOOPBACK = Address(4, "127.0.0.1", 80)


def _message(*frames: Frame, number: int = 1, ack: int = 0) -> bytes:
    return encode_message(number, ack, [encode_frame(frame) for frame in frames])


def conversation(port: int) -> list[bytes]:
    """Messages of a page that does a bit of everything; what it connects to is at ``port``."""
    frames: list[list[Frame]] = [
        [Connect(1, 0, port, 0, "127.0.0.1"), Data(1, b"hello")],
        [Connect(3, 4, port, 1000, "127.0.0.1"), Connect(5, 0, port, 0, "localhost")],
        [Resolve(1, 0, "localhost", "http"), Reverse(2, LOOPBACK, 0)],
        [Data(3, bytes(1000)), Data(5, b""), Window(1, 1000)],
        [Shutdown(1), Close(3), Reset(5, "ECONNRESET", "")],
        [Open(7, 0, 4), Bind(3, 7, 0, "127.0.0.1"), Option(4, 7, "SO_REUSEADDR", ("1",)), Listen(5, 7, 5)],
        [
            Open(9, 1, 4),
            Datagram(9, Address(4, "127.0.0.1", port), b"hello"),
            Associate(6, 9, port, "127.0.0.1"),
        ],
        [Window(7, 3), Open(11, 0, 6), Option(7, 9, "IP_TTL", ("9",)), Connect(11, 6, port, 0, "localhost")],
        [Close(7), Datagram(9, Address(4, "127.0.0.1", port), bytes(3000)), Close(9)],
    ]
    numbered = [_message(*each, number=number) for number, each in enumerate(frames, 1)]
    return [_message(Ping(0, 1), number=0), *numbered, _message(number=0, ack=2)]


async def torment(url: str, token: str, messages: Sequence[bytes], chance: Random) -> Ending:
    """A session of messages of which some are mutated."""
    carrier = await Carrier.open(url)
    await carrier.greet(hello(token))
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        for each in messages:
            await carrier.send_bytes(mutated(each, chance, messages) if chance.random() < 0.5 else each)
        async with asyncio.timeout(ANSWER_TIME):
            while True:
                await carrier.next_message()
    if carrier.socket.close_code is None:
        carrier.cut()
        return None
    return carrier.socket.close_code, carrier.socket.close_reason or ""


async def torment_by_http(
    client: aiohttp.ClientSession, url: str, token: str, messages: Sequence[bytes], chance: Random
) -> int:
    """The same in the body of one request over HTTP, its greeting now and then mutated too; the status."""
    greeting = _message(hello(token), Poll(0, 0, 1000), number=0)
    if chance.random() < 0.3:
        greeting = mutated(greeting, chance)
    rest = b"".join(messages[:-1])  # the last acknowledges what nobody has heard yet
    if chance.random() < 0.7:
        rest = mutated(rest, chance, messages)
    async with client.post(url, data=greeting + rest, headers={"Content-Type": "text/plain"}) as answer:
        await answer.read()
        return answer.status


async def torment_relay(
    client: aiohttp.ClientSession, url: str, token: str, port: int, chance: Random
) -> int:
    """A request for the proxy to make, mutated behind its greeting; the status."""
    target = f"http://127.0.0.1:{port}/"
    request = _message(Request(0, 5, 1000, "POST", target, ("X-Header", "value")), number=0) + b"hello"
    body = _message(hello(token), Relay(0), number=0) + mutated(request, chance)
    async with client.post(url, data=body, headers={"Content-Type": "text/plain"}) as answer:
        with contextlib.suppress(aiohttp.ClientPayloadError):  # the host is no HTTP server
            await answer.read()
        return answer.status


FOREIGN = ("wisp", "posix", "websockify")


def _foreign(kind: str, token: str, port: int) -> tuple[str, list[bytes]]:
    """Path, and messages of a client that others wrote."""
    known = quote(token, safe="")
    if kind == "websockify":
        return f"/websockify/127.0.0.1/{port}?token={known}", [b"hello", bytes(1000)]
    if kind == "posix":
        return f"/posix?token={known}", [bytes_of(case["hex"]) for case in vectors("posix")["calls"]]
    connect = wisp_packets.encode(wisp_packets.Connect(1, 1, port, "127.0.0.1"))
    data = wisp_packets.encode(wisp_packets.Data(1, b"hello"))
    return f"/wisp/{known}/", [connect, data, *(bytes_of(case["hex"]) for case in vectors("wisp")["packets"])]


async def torment_as(kind: str, base: str, token: str, port: int, chance: Random) -> Ending:
    """A client of one of ``FOREIGN``, whose messages are mutated."""
    path, messages = _foreign(kind, token, port)
    socket = await websockets.connect(f"{base}{path}", compression=None, max_size=None, proxy=None)
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        for each in chance.sample(messages, min(6, len(messages))):
            await socket.send(mutated(each, chance, messages) if chance.random() < 0.7 else each)
        async with asyncio.timeout(ANSWER_TIME):
            while True:
                await socket.recv()
    if socket.close_code is None:
        socket.transport.abort()
        return None
    return socket.close_code, socket.close_reason or ""
