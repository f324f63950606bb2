"""Sockets that do not block, and buffers that a program moves itself."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from tests.relay import Relay
from tests.tls.certificates import Authority
from tests.tls.conftest import HOST, Serve, connected, trusting


@pytest.fixture(autouse=True)
def _ours(layer: Patches) -> None:
    """All here is about our layer."""


def until(client: ssl.SSLSocket, call: Any, *args: Any) -> Any:
    """Call again when the socket is ready, as programs with an event loop do."""
    while True:
        try:
            return call(*args)
        except ssl.SSLWantReadError:
            assert select.select([client], [], [], 10)[0]
        except ssl.SSLWantWriteError:
            assert select.select([], [client], [], 10)[1]


def test_a_handshake_step_by_step(authority: Authority, serve: Serve):
    plain = socket.create_connection(serve(authority.good), timeout=10)
    plain.setblocking(False)
    with pytest.raises(ValueError, match="do_handshake_on_connect"):
        trusting(authority).wrap_socket(plain, server_hostname=HOST)
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(Relay(serve(authority.good)))
        plain = socket.create_connection(relay.address, timeout=10)
        plain.setblocking(False)
        client = stack.enter_context(
            trusting(authority).wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False)
        )
        relay.freeze(newcomers=True)  # the server shall not have answered before it is asked for
        with pytest.raises(ssl.SSLWantReadError, match="did not complete") as caught:
            client.do_handshake()
        relay.thaw()
        assert caught.value.errno == ssl.SSL_ERROR_WANT_READ
        with pytest.raises(ValueError, match="handshake not done yet"):
            client.getpeercert()
        assert client.version() is None
        until(client, client.do_handshake)
        assert until(client, client.send, b"hello") == 5
        assert until(client, client.recv, 100) == b"hello"


def test_what_is_ready_is_seen_by_select(authority: Authority, serve: Serve):
    """Nothing is read ahead: a program that selects must not miss a record."""
    with connected(serve(authority.good), trusting(authority)) as client:
        for _ in range(3):
            client.sendall(b"x" * 16384)
        for _ in range(3):
            got = 0
            while got < 16384:
                if not client.pending():
                    assert select.select([client], [], [], 10)[0]
                got += len(client.recv(16384))


def test_a_large_write_is_taken_up_where_it_stopped(authority: Authority, serve: Serve):
    data = bytes(range(256)) * 64_000
    plain = socket.socket()
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        plain.setsockopt(socket.SOL_SOCKET, buffer, 1 << 16)
    plain.settimeout(10)
    plain.connect(serve(authority.good))
    with trusting(authority).wrap_socket(plain, server_hostname=HOST) as client:
        client.setblocking(False)
        received = bytearray()
        waits = 0
        while True:
            try:
                assert client.send(data) == len(data)
                break
            except ssl.SSLWantWriteError:
                waits += 1
                ready = select.select([client], [client], [], 10)
                assert ready[0] or ready[1]
                if ready[0]:
                    received += until(client, client.recv, 1 << 16)
        while len(received) < len(data):
            received += until(client, client.recv, 1 << 16)
        assert waits
        assert received == data


class Pair:
    """A client and a server in one program, with buffers between them."""

    def __init__(self, authority: Authority) -> None:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serving.load_cert_chain(authority.good.file)
        self.up, self.down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = trusting(authority).wrap_bio(self.down, self.up, server_hostname=HOST)
        self.server = serving.wrap_bio(self.up, self.down, server_side=True)

    def step(self, *calls: Any) -> list[Any]:
        """Call both in turns until each has its answer."""
        answers: dict[int, Any] = {}
        for _ in range(20):
            for number, call in enumerate(calls):
                if number not in answers:
                    try:
                        answers[number] = call()
                    except ssl.SSLWantReadError:
                        continue
            if len(answers) == len(calls):
                return [answers[number] for number in range(len(calls))]
        raise AssertionError("they do not come together")


def test_two_ends_in_one_program(authority: Authority):
    pair = Pair(authority)
    pair.step(pair.client.do_handshake, pair.server.do_handshake)
    assert pair.client.write(b"ping") == 4
    assert pair.server.read() == b"ping"
    assert pair.client.session is not None
    assert pair.server.shared_ciphers()
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.read()
    pair.step(pair.client.unwrap, pair.server.unwrap)


def test_only_its_own_records_are_taken_from_a_buffer(authority: Authority):
    pair = Pair(authority)
    pair.step(pair.client.do_handshake, pair.server.do_handshake)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.up.write(b"plain again")
    assert pair.server.read() == b""
    assert pair.up.read() == b"plain again"


def test_a_buffer_that_ended_is_a_connection_cut_off(authority: Authority):
    pair = Pair(authority)
    pair.step(pair.client.do_handshake, pair.server.do_handshake)
    pair.up.write_eof()
    with pytest.raises(ssl.SSLEOFError):
        pair.server.read()


def test_a_buffer():
    buffer: Any = ssl.MemoryBIO()
    assert buffer.write(memoryview(b"abcdef")) == 6
    assert (buffer.pending, buffer.read(2), buffer.pending, buffer.eof) == (6, b"ab", 4, False)
    buffer.write_eof()
    assert not buffer.eof
    assert buffer.read() == b"cdef"
    assert buffer.eof
    with pytest.raises(ssl.SSLError, match="write_eof"):
        buffer.write(b"x")
    with pytest.raises(TypeError):
        buffer.write("text")
