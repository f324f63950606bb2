"""Peers that do not play by the rules: an error in time, and never a connection that was not verified."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from pynet_browser.stdlib.patches import Patches
from tests.tls.certificates import Authority
from tests.tls.conftest import HOST, Serve, connected, trusting

Talk = Callable[[socket.socket], object]


@pytest.fixture(autouse=True)
def _ours(layer: Patches) -> None:
    """All here is about our layer."""


@pytest.fixture
def peer() -> Iterator[Callable[[Talk], tuple[str, int]]]:
    """Start servers for one connection, which say what they are told to."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def start(talk: Talk) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as connection:
                talk(connection)
                over.wait(20)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        address: tuple[str, int] = listener.getsockname()
        return address

    yield start
    over.set()
    for thread in threads:
        thread.join()


GARBAGE = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "a record too long": b"\x16\x03\x03\xff\xff" + bytes(4096),
    "a record as long as may be, of nothing": b"\x16\x03\x03\x40\x00" + bytes(16384),
    "a hello that is cut off": b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
    "application data first": b"\x17\x03\x03\x00\x20" + bytes(32),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_ends_the_handshake(what: str, peer, authority: Authority):
    def talk(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(GARBAGE[what])
        connection.shutdown(socket.SHUT_WR)

    with pytest.raises(ssl.SSLError) as caught:
        connected(peer(talk), trusting(authority))
    assert not isinstance(caught.value, ssl.SSLWantReadError)


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x03\x00"])
def test_an_early_end_is_an_error(sent: bytes, peer, authority: Authority):
    def talk(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)

    with pytest.raises(ssl.SSLEOFError, match="EOF occurred in violation of protocol"):
        connected(peer(talk), trusting(authority))


def test_a_silent_peer_has_the_sockets_timeout(peer, authority: Authority):
    with socket.create_connection(peer(lambda _: None), timeout=10) as plain:
        plain.settimeout(0.05)
        with pytest.raises(TimeoutError, match="The handshake operation timed out"):
            trusting(authority).wrap_socket(plain, server_hostname=HOST)


def test_a_peer_that_sends_byte_by_byte_has_no_more_time(peer, authority: Authority):
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not ended.wait(0.02):
            try:
                connection.sendall(b"\0")
            except OSError:
                return

    with socket.create_connection(peer(talk), timeout=10) as plain:
        plain.settimeout(0.2)  # never as long between two bytes
        try:
            with pytest.raises(TimeoutError, match="handshake"):
                trusting(authority).wrap_socket(plain, server_hostname=HOST)
        finally:
            ended.set()


def test_reading_has_the_sockets_timeout_too(authority: Authority, serve: Serve):
    with connected(serve(authority.good), trusting(authority)) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError, match="The read operation timed out"):
            client.recv(1)
        client.settimeout(10)
        client.sendall(b"still there")
        assert client.recv(100) == b"still there"


def test_a_record_that_was_tampered_with_is_refused(peer, authority: Authority, serve: Serve):
    behind = serve(authority.good)

    def relay(connection: socket.socket) -> None:
        """Pass everything on, but flip a bit in the answer to what has 25 bytes."""
        server = socket.create_connection(behind, timeout=10)
        flips = threading.Event()

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := server.recv(1 << 16):
                    if flips.is_set():
                        data = data[:-1] + bytes([data[-1] ^ 1])
                    connection.sendall(data)

        thread = threading.Thread(target=back)
        thread.start()
        with server, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                if len(data) == 42 + 5:
                    flips.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        thread.join()

    with connected(peer(relay), trusting(authority)) as client:
        client.sendall(b"y")
        assert client.recv(1) == b"y"  # the handshake's last message is through: the next record comes alone
        client.sendall(b"x" * 25)  # a record of 47 bytes
        with pytest.raises(ssl.SSLError) as caught:
            client.recv(100)
        # The second since OpenSSL 3.2.
        assert caught.value.reason in ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "RECORD_LAYER_FAILURE")


def test_nothing_falls_back_to_plain(peer, authority: Authority):
    seen = []

    def talk(connection: socket.socket) -> None:
        seen.append(connection.recv(1 << 16))
        with contextlib.suppress(OSError):  # they have left
            connection.sendall(b"220 plain is fine with me\r\n")
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                seen.append(data)

    with pytest.raises(ssl.SSLError):
        connected(peer(talk), trusting(authority)).sendall(b"secret")
    assert b"secret" not in b"".join(seen)


def test_a_client_of_ours_that_speaks_no_tls_harms_no_server(authority: Authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.good.file)
    for said in (b"GET / HTTP/1.0\r\n\r\n", b"\x80\x2e\x01\x00\x02" + bytes(41), b""):
        client, server = socket.socketpair()
        with client, server:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(server, server_side=True)
