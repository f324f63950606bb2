"""Where records end, and what a client offers; no I/O."""

from __future__ import annotations

import pytest

from pynet_browser.tls.hello import ClientHello
from pynet_browser.tls.records import Records


def record(body: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2) + body


def reads(stream: bytes, *, at_most: int) -> list[int]:
    """Follow a stream that comes in pieces; where OpenSSL is to look, as offsets."""
    records, at, looks = Records(), 0, []
    while at < len(stream):
        piece = stream[at : at + min(records.wanted, at_most)]
        records.feed(piece)
        at += len(piece)
        if records.complete:
            looks.append(at)
    return looks


@pytest.mark.parametrize("at_most", [1, 2, 7, 1 << 20])
def test_a_look_at_the_end_of_each_record(at_most: int):
    stream = record(b"one") + record(b"") + record(bytes(16384 + 256), 23) + record(b"\x01\x00", 21)
    ends = [8, 13, 13 + 5 + 16384 + 256]
    assert reads(stream, at_most=at_most) == [*ends, ends[-1] + 7]


@pytest.mark.parametrize(
    "head", [b"HTTP/", b"\x16\x02\x00\x00\x01", b"\x16\x03\x03\x48\x01", b"\x13\x03\x03\x00\x01", bytes(5)]
)
def test_a_look_at_once_at_what_is_no_record(head: bytes):
    records = Records()
    records.feed(head)
    assert records.complete
    assert records.wanted > 0


def hello(suites: bytes, session: bytes = b"") -> bytes:
    body = b"\x03\x03" + bytes(32) + bytes([len(session)]) + session
    body += len(suites).to_bytes(2) + suites + b"\x01\x00"
    return b"\x01" + len(body).to_bytes(3) + body


@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
@pytest.mark.parametrize("split", [1, 10, 1 << 14])
def test_the_suites_that_a_client_offers(piece: int, split: int):
    message = hello(b"\x13\x01\x13\x03\xc0\x2b", session=bytes(32))
    stream = b"".join(record(message[at : at + split]) for at in range(0, len(message), split))
    found = ClientHello()
    for at in range(0, len(stream), piece):
        found.feed(stream[at : at + piece])
    assert found.suites == [b"\x13\x01", b"\x13\x03", b"\xc0\x2b"]


@pytest.mark.parametrize(
    "stream",
    [
        record(b"\x02" + hello(b"\x13\x01")[1:]),
        record(b"\x01\x00\x00\x02\x03\x03"),
        b"GET / HTTP/1.0",
        b"\x16" * 70000,
    ],
)
def test_what_is_no_hello_offers_nothing(stream: bytes):
    found = ClientHello()
    found.feed(stream)
    found.feed(stream)
    assert found.suites == []
