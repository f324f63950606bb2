"""What a TCP client promises towards servers elsewhere."""

import contextlib
import errno
import hashlib
import select
import socket
import time

from tests.contract.cases import needing, pattern, raising, read_all, read_exactly, suite

CASES, case = suite()


def connected(address, timeout=10):
    return socket.create_connection(address, timeout)


# ── Reading and writing ─────────────────────────────────────────────────────────────────────────────────


@case
def bytes_come_back_as_they_were_sent(echo):
    with connected(echo) as connection:
        for data in (b"x", bytes(range(256)), b"\0" * 1000, "é€😀".encode()):
            connection.sendall(data)
            assert read_exactly(connection, len(data)) == data


@case
@needing("half-close")
def all_of_a_large_send_arrives(hashing):
    data = pattern(6_000_000)
    with connected(hashing, timeout=30) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).decode() == hashlib.sha256(data).hexdigest()


@case
@needing("draining")
def what_was_sent_before_a_close_arrives(recorder, recorded):
    data = pattern(300_000)
    with connected(recorder) as connection:
        connection.sendall(data)
    with connected(recorded, timeout=20) as connection:
        connection.sendall(hashlib.sha256(data).hexdigest().encode())
        assert connection.recv(3) == b"yes"


@case
def a_stream_ends_with_an_empty_read_again_and_again(source):
    with connected(source, timeout=30) as connection:
        data = read_all(connection)
        assert connection.recv(10) == b""
        assert connection.recv_into(bytearray(4)) == 0
    assert hashlib.sha256(data).digest() == hashlib.sha256(pattern(2_000_003)).digest()


# ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────


@case
@needing("half-close")
def one_direction_can_end_before_the_other(hashing):
    with connected(hashing) as connection:
        connection.sendall(b"to be hashed")
        connection.shutdown(socket.SHUT_WR)
        with raising(BrokenPipeError, errno.EPIPE):
            connection.send(b"more")
        assert read_all(connection).decode() == hashlib.sha256(b"to be hashed").hexdigest()


@case
@needing("resets")
def a_reset_by_the_peer_is_reported_once_and_then_the_end(resetting):
    with connected(resetting) as connection:
        assert read_exactly(connection, 1000) == pattern(1000)
        connection.sendall(b"0123456789")  # the tenth byte makes the peer reset
        with raising(ConnectionResetError, errno.ECONNRESET):
            while connection.recv(100):
                pass
        assert connection.recv(100) == b""
        with raising(BrokenPipeError, errno.EPIPE):
            connection.send(b"x")


# ── Connecting ──────────────────────────────────────────────────────────────────────────────────────────


@case
@needing("addresses")
def both_ends_have_addresses(echo):
    with connected(echo) as connection:
        assert connection.getpeername() == echo
        host, port = connection.getsockname()
        assert host == "127.0.0.1"
        assert 0 < port < 65536


@case
def a_connection_by_name_reaches_the_host(echo):
    _, port = echo
    with socket.socket() as connection:
        connection.settimeout(10)
        connection.connect(("localhost", port))
        assert connection.getpeername() == ("127.0.0.1", port)
        connection.sendall(b"by name")
        assert read_exactly(connection, 7) == b"by name"


@case
@needing("confirmation")
def a_refused_connection_is_an_error_and_the_socket_can_try_again(refusing, echo):
    with socket.socket() as connection:
        connection.settimeout(10)
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            connection.connect(refusing)
        connection.settimeout(None)
        connection.connect_ex(refusing)  # after a timed one, Linux reports once more
        assert connection.connect_ex(refusing) == errno.ECONNREFUSED
        connection.connect(echo)
        connection.sendall(b"ok")
        assert read_exactly(connection, 2) == b"ok"


@case
@needing("confirmation")
def a_refusal_is_an_error_for_a_socket_without_timeout_too(refusing):
    with socket.socket() as connection, raising(ConnectionRefusedError, errno.ECONNREFUSED):
        connection.connect(refusing)


@case
@needing("confirmation")
def a_connection_nobody_answers_times_out(unanswering):
    start = time.monotonic()
    with raising(TimeoutError):
        connected(unanswering, timeout=0.3)
    assert 0.25 < time.monotonic() - start < 5


@case
@needing("look-ups")
def a_name_that_does_not_exist_is_a_gaierror():
    with raising(socket.gaierror, socket.EAI_NONAME):
        socket.getaddrinfo("no-such-host.invalid", 80)
    with raising(socket.gaierror, socket.EAI_NONAME), socket.socket() as connection:
        connection.connect(("no-such-host.invalid", 80))


@case
def a_connected_socket_cannot_connect_again(echo):
    with connected(echo, timeout=None) as connection, raising(OSError, errno.EISCONN):
        connection.connect(echo)


@case
def a_socket_that_never_connected_says_so():
    with socket.socket() as fresh:
        for operation in (lambda: fresh.recv(1), fresh.getpeername, lambda: fresh.shutdown(socket.SHUT_WR)):
            with raising(OSError, errno.ENOTCONN):
                operation()
        with raising(BrokenPipeError, errno.EPIPE):
            fresh.send(b"x")
        assert fresh.getsockname() == ("0.0.0.0", 0)


@case
def wrong_arguments_are_pythons_own_errors():
    with socket.socket() as fresh:
        for address, kind in (
            (("127.0.0.1", 70000), OverflowError),
            (("127.0.0.1", -1), OverflowError),
            (("127.0.0.1", "80"), TypeError),
            ("127.0.0.1", TypeError),
            (("127.0.0.1",), TypeError),
        ):
            with raising(kind):
                fresh.connect(address)
        with raising(ValueError):
            fresh.recv(-1)
        with raising(ValueError):
            fresh.settimeout(-1)


@case
@needing("addresses")
def ipv6_works_like_ipv4(echo6):
    with connected(echo6) as connection:
        assert connection.family == socket.AF_INET6
        assert connection.getpeername()[:2] == ("::1", echo6[1])
        assert connection.getsockname()[0] == "::1"
        connection.sendall(b"six")
        assert read_exactly(connection, 3) == b"six"


# ── Timeouts and sockets that do not block ──────────────────────────────────────────────────────────────


@case
@needing("back-pressure")
def a_send_that_nobody_reads_times_out(silent):
    with connected(silent) as connection, raising(TimeoutError):
        connection.settimeout(0.5)
        connection.sendall(bytes(64 << 20))


@case
def a_send_that_does_not_block_takes_part_and_then_refuses(silent):
    with connected(silent) as connection:
        connection.setblocking(False)
        data, sent = bytes(1 << 20), 0
        with raising(BlockingIOError, errno.EAGAIN):
            while sent < 256 << 20:
                sent += connection.send(data)
        assert sent > 0


@case
@needing("confirmation")
def connecting_without_blocking_ends_in_so_error(echo, refusing):
    for address, number in ((echo, 0), (refusing, errno.ECONNREFUSED)):
        with socket.socket() as connection:
            connection.setblocking(False)
            assert connection.connect_ex(address) == errno.EINPROGRESS
            assert select.select([], [connection], [], 10)[1] == [connection]
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == number
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@case
@needing("confirmation")
def a_second_connect_while_the_first_goes_on_is_refused(unanswering):
    with socket.socket() as connection:
        connection.setblocking(False)
        with raising(BlockingIOError, errno.EINPROGRESS):
            connection.connect(unanswering)
        with raising(BlockingIOError, errno.EALREADY):
            connection.connect(unanswering)
        with raising(BlockingIOError, errno.EAGAIN):
            connection.recv(1)
        assert select.select([connection], [connection], [], 0) == ([], [], [])


# ── Waiting for several ─────────────────────────────────────────────────────────────────────────────────


@case
def select_returns_with_the_first_that_is_ready(echo):
    with contextlib.ExitStack() as stack:
        quiet = [stack.enter_context(connected(echo)) for _ in range(20)]
        assert select.select(quiet, [], [], 0) == ([], [], [])
        start = time.monotonic()
        assert select.select(quiet, [], [], 0.2) == ([], [], [])
        assert 0.15 < time.monotonic() - start < 5
        quiet[7].sendall(b"x")
        assert select.select(quiet, [], quiet, 10) == ([quiet[7]], [], [])
        assert select.select([], quiet, [], 10)[1] == quiet
        assert select.select([quiet[7].fileno()], [], []) == ([quiet[7].fileno()], [], [])
