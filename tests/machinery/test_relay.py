"""The relay does to connections what it is told, and nothing else."""

import math
import select
import socket
import threading
import time
from contextlib import suppress

import pytest

from tests.cuts import Cut, Meter, Way
from tests.peers import Echo, Source, pattern
from tests.relay import Relay

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LATENCY = 0.05


def connected(relay: Relay) -> socket.socket:
    return socket.create_connection(relay.address, 10)


def readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def passed(meter: Meter, way: Way, data: bytes, step: int) -> bytes:
    """What a connection passes on of data that comes in steps."""
    passed = b""
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        passed += piece[: meter.allowed(way, piece)]
    return passed


# ── Where a cut is ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_bytes_are_counted_from_the_start_or_from_the_end_of_the_head(step):
    data = HEAD + b"greeting" * 20
    assert passed(Meter(Cut(after=12, way="up")), "up", data, step) == data[:12]
    assert (
        passed(Meter(Cut(after=12, way="up", behind_head=True)), "up", data, step) == data[: len(HEAD) + 12]
    )
    assert passed(Meter(Cut(after=0, way="up", behind_head=True)), "up", data, step) == HEAD
    assert passed(Meter(Cut(after=12, way="down")), "up", data, step) == data
    assert passed(Meter(None), "up", data, step) == data


def test_both_directions_are_counted_together_where_none_is_named():
    meter = Meter(Cut(after=10))
    assert [meter.allowed("up", b"123456"), meter.allowed("down", b"123456"), meter.allowed("up", b"1")] == [
        6,
        4,
        0,
    ]


# ── What comes through ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("latency", "rate"), [(0.0, math.inf), (0.01, math.inf), (0.0, 2e7), (0.01, 2e7)])
def test_what_is_not_cut_comes_whole_and_so_does_its_end(latency, rate):
    with Source(5_000_000) as source, Relay(source.address, latency=latency, rate=rate) as relay:
        with connected(relay) as connection:
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert received == pattern(5_000_000)
        assert (relay.accepted, relay.cuts) == (1, 0)


def test_the_end_of_one_direction_leaves_the_other(echo_server):
    with Relay(echo_server.address) as relay, connected(relay) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100, socket.MSG_WAITALL) == b"last words"


@pytest.mark.parametrize("gently", [False, True])
def test_each_connection_is_cut_where_its_own_cut_says(echo_server, gently):
    cuts = [Cut(after=10, way="down", gently=gently), None, Cut(after=0, way="up", gently=gently)]
    received = []
    with Relay(echo_server.address, cuts) as relay:
        for _ in range(4):
            with connected(relay) as connection:
                connection.sendall(b"x" * 20)
                data = b""
                with suppress(ConnectionResetError):
                    while len(data) < 20 and (piece := connection.recv(20)):
                        data += piece
                received.append(len(data))
        relay.wait_for(lambda relay: relay.cuts == 2)
    assert received == [10, 20, 0, 20]


# ── What it is told meanwhile ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gently", [False, True])
def test_all_are_cut_with_a_reset_or_gently_with_an_end(echo_server, gently):
    with Relay(echo_server.address) as relay:
        connections = [connected(relay) for _ in range(3)]
        for connection in connections:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
        cutting = threading.Thread(target=relay.cut, kwargs={"gently": gently})
        cutting.start()
        for connection in connections:
            if gently:
                assert connection.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
            connection.close()
        cutting.join()
        assert relay.cuts == 3
        with connected(relay) as connection:
            connection.sendall(b"y")
            assert connection.recv(1) == b"y"


def test_what_is_frozen_passes_nothing_and_closes_nothing_until_it_thaws(echo_server):
    with Relay(echo_server.address) as relay, connected(relay) as old:
        old.sendall(b"1")
        assert old.recv(1) == b"1"
        relay.freeze()
        old.sendall(b"2")
        with connected(relay) as new:
            new.sendall(b"3")
            assert new.recv(1) == b"3"
            # The newer connection has made the whole way; the older one's byte was sent before.
            assert not readable(old)
        relay.freeze(newcomers=True)
        with connected(relay) as new:
            new.sendall(b"4")
            relay.wait_for(lambda relay: relay.accepted == 3)
            assert not readable(new)
            relay.thaw()
            assert (old.recv(1), new.recv(1)) == (b"2", b"4")
        assert relay.cuts == 0


def test_a_frozen_connection_can_be_cut(echo_server):
    with Relay(echo_server.address) as relay, connected(relay) as connection:
        relay.wait_for(lambda relay: relay.accepted == 1)
        relay.freeze()
        relay.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_nobody_is_let_in_until_it_admits_again(echo_server):
    with Relay(echo_server.address) as relay:
        relay.refuse()
        with pytest.raises(ConnectionResetError), connected(relay) as connection:
            connection.recv(1)
        relay.admit()
        with connected(relay) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
        assert (relay.refused, relay.accepted) == (1, 1)


def test_a_target_that_is_gone_resets(refusing_port):
    with (
        Relay(refusing_port.address) as relay,
        pytest.raises(ConnectionResetError),
        connected(relay) as connection,
    ):
        connection.recv(1)


def test_new_connections_go_where_it_was_redirected_and_older_ones_stay(echo_server):
    with Echo() as other, Relay(echo_server.address) as relay, connected(relay) as old:
        old.sendall(b"x")
        assert old.recv(1) == b"x"
        relay.redirect(other.address)
        with connected(relay) as new:
            new.sendall(b"y")
            assert new.recv(1) == b"y"
        old.sendall(b"z")
        assert old.recv(1) == b"z"
        assert (echo_server.accepted, other.accepted) == (1, 1)


def test_a_latency_delays_each_direction(echo_server):
    with Relay(echo_server.address, latency=LATENCY) as relay, connected(relay) as connection:
        start = time.monotonic()
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert time.monotonic() - start >= 2 * LATENCY


def test_a_rate_bounds_what_comes_in_a_second():
    with Source(1_000_000) as source, Relay(source.address, rate=5_000_000) as relay:
        start = time.monotonic()
        with connected(relay) as connection:
            while connection.recv(65536):
                pass
        assert time.monotonic() - start >= 0.19
