"""Every decoder of what strangers send: what it is given, what it may raise, what must hold of its values."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Address
from pynet_browser.frames import FRAMES, Frame, Unrecognized
from pynet_browser.link import Link
from pynet_browser.proxy.carriers.http import BODY_MAX
from pynet_browser.proxy.carriers.incoming import GREETING_MAX, first_frames
from pynet_browser.proxy.compat import posix_calls, wisp_packets
from pynet_browser.proxy.compat.arrival import PayloadCounter
from pynet_browser.proxy.compat.targets import TargetError, parse_targets, target_of
from pynet_browser.proxy.policy import Rule, RuleError
from pynet_browser.tls.hello import ClientHello
from pynet_browser.tls.records import Records
from pynet_browser.wire import (
    FRAME_HEADER,
    MESSAGE_HEADER,
    MessageReader,
    encode_frame,
    encode_message,
    frames_of,
)
from tests.unit.vectors import bytes_of, vectors

__all__ = ["TARGETS", "Target", "UnstableError"]


class UnstableError(Exception):
    """What was accepted is another thing after it was encoded and decoded again."""


@dataclass(frozen=True)
class Target:
    """A decoder.

    Attributes:
        corpus: valid input.
        decode: finds in an input what can be compared, as JSON has it.
        allowed: exceptions with which it refuses an input.
        twin: whether JavaScript has the same.
        prepare: what becomes of a mutated input before it is decoded.
    """

    corpus: Sequence[bytes]
    decode: Callable[[bytes], Any]
    allowed: tuple[type[Exception], ...]
    twin: bool = False
    prepare: Callable[[bytes], bytes] = bytes


# ── Our own protocol ──────────────────────────────────────────────────────────────────────────────────────

WIRE = [bytes_of(case["hex"]) for case in vectors("wire")["messages"]]
SHORT = [each for each in WIRE if len(each) < 2000]
BODIES = [each[MESSAGE_HEADER.size :] for each in SHORT if len(each) > MESSAGE_HEADER.size]
PIECES = (0, 1, 7, 20, 33)
"""Sizes in which a stream may come; 0 for all at once. The first byte of an input chooses."""

ACCEPTED, REFUSED = "accepted", "refused"


def plain(frame: Frame) -> dict[str, Any]:
    """A frame as JSON has it."""
    values = {field.name: json_of(getattr(frame, field.name)) for field in fields(frame)}
    return {"type": type(frame).__name__.lower(), **values}


def json_of(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Address):
        return value._asdict()
    if isinstance(value, tuple):
        return [json_of(each) for each in value]
    return value


def stable(frames: list[Frame]) -> list[dict[str, Any]]:
    """The frames as JSON has them.

    Raises:
        UnstableError: see there.
    """
    found = [plain(frame) for frame in frames]
    known = [frame for frame in frames if not isinstance(frame, Unrecognized)]
    again = [plain(each) for frame in known for each in frames_of(memoryview(encode_frame(frame)))]
    if again != [each for each in found if each["type"] != "unrecognized"]:
        raise UnstableError(f"{found} became {again}")
    return found


def pieces_of(data: bytes) -> Iterator[bytes]:
    """The bytes behind the first one, in pieces of the size that it chooses."""
    size = PIECES[data[0] % len(PIECES)] if data else 0
    rest = data[1:]
    if not size:
        return iter((rest,))
    return (rest[at : at + size] for at in range(0, len(rest), size))


def decode_wire(data: bytes) -> Any:
    reader, found = MessageReader(), []
    try:
        for piece in pieces_of(data):
            for message in reader.feed(piece):
                head = [message.number, message.ack]
                frames: list[Frame] = []
                try:
                    frames += frames_of(message.body)
                finally:
                    found.append([*head, stable(frames)])
    except ProtocolError:
        return [REFUSED, found]
    return [ACCEPTED, found, reader.held]


def decode_frames(data: bytes) -> Any:
    frames = list(frames_of(memoryview(data)))
    return stable(frames)


def with_lengths(data: bytes) -> bytes:
    """A frame of a known kind and of these bytes, whatever they are: what is wrong is in its fields."""
    if len(data) < FRAME_HEADER.size:
        return data
    kinds = list(FRAMES)
    payload = data[FRAME_HEADER.size :]
    return FRAME_HEADER.pack(kinds[data[0] % len(kinds)], 0, 1, len(payload)) + payload


LINK_REPLAY = 10_000
LINK_PUSHED = 3


def decode_link(data: bytes) -> Any:
    """What a link that has sent three messages makes of those that come."""
    link, reader, found = Link(LINK_REPLAY), MessageReader(), []
    for number in range(LINK_PUSHED):
        link.push(encode_frame(FRAMES[0x14](number)))
        link.take(0.0)
    try:
        for at, message in enumerate(reader.feed(data)):
            acknowledged = link.acknowledge(message.ack)
            ready = link.receive(message, float(at)) if message.number else ()
            found.append([acknowledged, [[each.number, bytes(each.body).hex()] for each in ready]])
    except ProtocolError:
        return [REFUSED, found]
    return [ACCEPTED, found, link.received, link.buffered, link.room, link.ack_due]


def link_corpus() -> list[bytes]:
    end = encode_frame(FRAMES[0x14](1))
    orders = [(1, 2, 3), (1, 3, 2), (3, 2, 1), (1, 1, 2), (2, 0, 1), (5, 4, 3, 2, 1), (1, 40, 2), (0, 0)]
    return [
        b"".join(encode_message(number, at % 4, [end]) for at, number in enumerate(order)) for order in orders
    ]


LOOP = asyncio.new_event_loop()


def decode_exchange(data: bytes) -> Any:
    """The body of a request to /pynet/http: a greeting, then messages."""
    protocol = BaseProtocol(LOOP)
    content = StreamReader(protocol, 1 << 16, loop=LOOP)
    content.feed_data(data)
    content.feed_eof()
    frames = LOOP.run_until_complete(first_frames(content, GREETING_MAX, 5.0))
    reader = MessageReader(BODY_MAX)
    rest = LOOP.run_until_complete(content.read())
    return [stable(frames), [list(map(plain, frames_of(each.body))) for each in reader.feed(rest)]]


def exchange_corpus() -> list[bytes]:
    by_name = {case["name"]: bytes_of(case["hex"]) for case in vectors("wire")["messages"]}
    greetings = [data for data in by_name.values() if 0x01 in data[20:21] and len(data) < GREETING_MAX]
    return [greeting + message for greeting in greetings for message in SHORT[::8]] + greetings


# ── Others' protocols ─────────────────────────────────────────────────────────────────────────────────────

POSIX = [bytes_of(case["hex"]) for case in vectors("posix")["calls"]]
WISP = [bytes_of(case["hex"]) for case in vectors("wisp")["packets"] + vectors("wisp")["unknown"]]
CREDENTIALS = [bytes_of(case["hex"]) for case in vectors("wisp")["credentials"]]


def values_of(value: Any) -> Any:
    """A dataclass as a list: its name, its values."""
    if is_dataclass(value):
        return [type(value).__name__, *(json_of_any(getattr(value, each.name)) for each in fields(value))]
    return json_of_any(value)


def json_of_any(value: Any) -> Any:
    if is_dataclass(value):
        return values_of(value)
    return json_of(value) if not isinstance(value, tuple) else [json_of_any(each) for each in value]


def decode_posix(data: bytes) -> Any:
    if posix_calls.head_of(data) is None:
        return None
    return values_of(posix_calls.parse(data))


def decode_wisp(data: bytes) -> Any:
    packet = wisp_packets.decode(data)
    found = values_of(packet)
    if not isinstance(packet, wisp_packets.Unknown):
        again = values_of(wisp_packets.decode(wisp_packets.encode(packet)))
        if again != found:
            raise UnstableError(f"{found} became {again}")
    return found


def decode_credentials(data: bytes) -> Any:
    return values_of(wisp_packets.Credentials.of([(wisp_packets.Extension.PASSWORD, data)]))


def count_payload(data: bytes) -> Any:
    """How much of a WebSocket's messages these bytes are, whole and in crumbs."""
    whole, crumbs = PayloadCounter(), PayloadCounter()
    counted = whole.feed(data)
    if counted != sum(crumbs.feed(data[at : at + 1]) for at in range(len(data))) or counted > len(data):
        raise UnstableError(f"{counted} bytes of {len(data)}")
    return counted


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────────────

TEXTS = [
    b"example.com:80", b"tcp:*.example.com:*", b"udp:10.0.0.0/8:1000-2000", b"[2001:db8::]/32:443", b"*:*",
    b"[::1]:80", b"tcp:[::]:22", b"xn--bcher-kva.example:1-65535", b"B\xc3\xbccher.example:80",
    b"192.168.1.1:5900", b"0.0.0.0:0", b"8000-9000", b"[fe80::1%eth0]:80",
]  # fmt: skip
LINES = [b"one: 127.0.0.1:5900\n# two\n\ntwo: [::1]:80\n", b"a: tcp:b:1\r\nc: udp:d:2", b"x: y:65535"]


def rule(data: bytes) -> Any:
    found = Rule.parse(data.decode("utf-8", "replace"))
    if Rule.parse(str(found)) != found:
        raise UnstableError(f"{found!r} became {Rule.parse(str(found))!r}")
    return str(found)


def listening_rule(data: bytes) -> Any:
    return [str(each) for each in Rule.parse_listening(data.decode("utf-8", "replace"))]


def target(data: bytes) -> Any:
    return list(target_of(data.decode("utf-8", "replace")))


def targets(data: bytes) -> Any:
    return {name: list(each) for name, each in parse_targets(data.decode("utf-8", "replace")).items()}


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────────────


def hello_corpus() -> list[bytes]:
    """Client hellos, in one record and in two."""
    body = (
        b"\x03\x03"
        + bytes(32)
        + b"\x04abcd"
        + struct.pack(">H6s", 6, b"\x13\x01\x13\x02\xc0\x2f")
        + bytes(10)
    )
    message = b"\x01" + len(body).to_bytes(3) + body
    records = [message], [message[:20], message[20:]]
    return [b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts) for parts in records]


def client_hello(data: bytes) -> Any:
    whole = ClientHello()
    whole.feed(data)
    for suite in whole.suites:
        if len(suite) != 2:
            raise UnstableError(f"a suite of {len(suite)} bytes")
    return json_of(tuple(whole.suites))


def follow_records(data: bytes) -> Any:
    """Reads as a connection does: never more than is wanted."""
    records, at = Records(), 0
    while at < len(data):
        wanted = records.wanted
        if wanted <= 0:
            raise UnstableError(f"{wanted} bytes are wanted, and no end is reached")
        records.feed(data[at : at + wanted])
        at += wanted
    return records.complete


TARGETS = {
    "wire": Target([bytes([at % 5]) + each for at, each in enumerate(SHORT)], decode_wire, (), twin=True),
    "frames": Target(BODIES, decode_frames, (ProtocolError,), twin=True),
    "fields": Target(BODIES, decode_frames, (ProtocolError,), twin=True, prepare=with_lengths),
    "link": Target(link_corpus(), decode_link, (), twin=True),
    "exchange": Target(exchange_corpus(), decode_exchange, (ProtocolError,)),
    "posix": Target(POSIX, decode_posix, (posix_calls.CallError,)),
    "wisp": Target(WISP, decode_wisp, (ProtocolError,), twin=True),
    "credentials": Target(CREDENTIALS, decode_credentials, (ProtocolError,)),
    "payload": Target(
        [b"\x82\x83abcdxyz", b"\x01\x05hello\x80\x00", b"\x82\x7e\x01\x00" + bytes(256), b"\x89\x00\x02\x7f"],
        count_payload,
        (),
    ),
    "rule": Target(TEXTS, rule, (RuleError,)),
    "listening": Target(TEXTS, listening_rule, (RuleError,)),
    "target": Target(TEXTS, target, (TargetError,)),
    "targets": Target(LINES, targets, (TargetError,)),
    "hello": Target(hello_corpus(), client_hello, ()),
    "records": Target([*hello_corpus(), b"\x17\x03\x03\x00\x05hello" * 3], follow_records, ()),
}
