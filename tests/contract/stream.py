"""What a TCP client promises towards servers elsewhere."""

import contextlib
import errno
import hashlib
import select
import selectors
import socket
import time
import typing

from tests.contract.cases import pattern, raising, read_all, read_exactly, suite

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
def a_read_gives_what_is_there_and_no_more_than_asked(echo):
    with connected(echo) as connection:
        connection.sendall(b"abcdefgh")
        first = connection.recv(3)
        assert 1 <= len(first) <= 3
        assert first + read_exactly(connection, 8 - len(first)) == b"abcdefgh"
        assert connection.recv(0) == b""


@case
def recv_into_fills_the_buffer_it_is_given(echo):
    with connected(echo) as connection:
        connection.sendall(b"0123456789")
        buffer = bytearray(b"........................")
        count = connection.recv_into(memoryview(buffer)[4:], 10)
        while count < 10:
            count += connection.recv_into(memoryview(buffer)[4 + count :], 10 - count)
        assert bytes(buffer) == b"....0123456789.........."
        connection.sendall(b"xy")
        assert connection.recv_into(buffer, nbytes=1) == 1
        assert connection.recv_into(buffer) == 1


@case
def a_stream_names_no_sender(echo):
    with connected(echo) as connection:
        connection.sendall(b"a")
        assert connection.recvfrom(10) == (b"a", None)
        connection.sendall(b"b")
        buffer = bytearray(4)
        assert connection.recvfrom_into(buffer) == (1, None)
        assert buffer == b"b\0\0\0"


@case
def all_of_a_large_send_arrives(hashing):
    data = pattern(6_000_000)
    with connected(hashing, timeout=30) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).decode() == hashlib.sha256(data).hexdigest()


@case
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


@case
def a_send_takes_any_buffer(echo):
    import array

    with connected(echo) as connection:
        numbers = array.array("I", [1, 2, 3])
        assert connection.send(numbers) == 12
        assert read_exactly(connection, 12) == numbers.tobytes()
        connection.sendall(memoryview(b"abcdef")[1:4])
        assert read_exactly(connection, 3) == b"bcd"
        assert connection.send(b"") == 0
        connection.sendall(b"")
        with raising(TypeError):
            connection.send("text")
        with raising(TypeError):
            connection.sendall("text")


@case
def files_made_of_a_socket_read_lines_and_write(echo):
    with connected(echo) as connection:
        with connection.makefile("rw", encoding="utf-8", newline="\n") as file:
            file.write("one\ntwo\n")
            file.flush()
            assert [file.readline(), file.readline()] == ["one\n", "two\n"]
        with connection.makefile("rb", buffering=0) as raw:
            connection.sendall(b"raw")
            assert raw.read(3) == b"raw"


@case
def peeked_bytes_stay(echo):
    with connected(echo) as connection:
        connection.sendall(b"peek")
        first = connection.recv(4, socket.MSG_PEEK)
        assert first
        assert b"peek".startswith(first)
        assert read_exactly(connection, 4) == b"peek"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4, socket.MSG_PEEK) == b""


@case
def a_flagged_read_can_refuse_to_wait(echo):
    with connected(echo, timeout=None) as connection:
        for flags in (socket.MSG_DONTWAIT, socket.MSG_DONTWAIT | socket.MSG_PEEK):
            with raising(BlockingIOError, errno.EAGAIN):
                connection.recv(1, flags)
        assert connection.getblocking()
        connection.sendall(b"now")
        select.select([connection], [], [], 10)
        assert connection.recv(3, socket.MSG_DONTWAIT)[:1] == b"n"
    with connected(echo, timeout=0.2) as connection, raising(TimeoutError):
        connection.recv(1, socket.MSG_DONTWAIT)  # CPython waits by the timeout before it calls recv


@case
def a_flagged_read_can_wait_for_all(echo):
    with connected(echo, timeout=None) as connection:
        connection.sendall(b"x" * 100_000)
        assert len(connection.recv(100_000, socket.MSG_WAITALL)) == 100_000
        buffer = bytearray(50_000)
        connection.sendall(b"y" * 50_000)
        assert connection.recv_into(buffer, 0, socket.MSG_WAITALL) == 50_000
        assert buffer == b"y" * 50_000
        connection.sendall(b"end")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10, socket.MSG_WAITALL) == b"end"


# ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────


@case
def one_direction_can_end_before_the_other(hashing):
    with connected(hashing) as connection:
        connection.sendall(b"to be hashed")
        connection.shutdown(socket.SHUT_WR)
        with raising(BrokenPipeError, errno.EPIPE):
            connection.send(b"more")
        assert read_all(connection).decode() == hashlib.sha256(b"to be hashed").hexdigest()


@case
def after_its_reading_end_is_shut_a_socket_reads_the_end(echo):
    with connected(echo) as connection:
        connection.shutdown(socket.SHUT_RD)
        assert connection.recv(10) == b""


@case
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


@case
def a_closed_socket_has_no_descriptor(echo):
    connection = connected(echo)
    assert connection.fileno() >= 0
    connection.close()
    connection.close()
    assert connection.fileno() == -1
    for operation in (lambda: connection.recv(1), lambda: connection.send(b"x"), connection.getpeername):
        with raising(OSError, errno.EBADF):
            operation()


@case
def a_duplicate_keeps_the_connection(echo):
    connection = connected(echo)
    duplicate = connection.dup()
    assert duplicate.fileno() != connection.fileno()
    connection.close()
    with duplicate:
        duplicate.settimeout(10)
        duplicate.sendall(b"still here")
        assert read_exactly(duplicate, 10) == b"still here"


@case
def a_detached_descriptor_makes_a_socket_again(echo):
    connection = connected(echo)
    family, kind = connection.family, connection.type
    descriptor = connection.detach()
    assert connection.fileno() == -1
    with socket.socket(family, kind, fileno=descriptor) as again:
        again.settimeout(10)
        again.sendall(b"again")
        assert read_exactly(again, 5) == b"again"


# ── Connecting ──────────────────────────────────────────────────────────────────────────────────────────


@case
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
def a_refusal_is_an_error_for_a_socket_without_timeout_too(refusing):
    with socket.socket() as connection, raising(ConnectionRefusedError, errno.ECONNREFUSED):
        connection.connect(refusing)


@case
def a_connection_nobody_answers_times_out(unanswering):
    start = time.monotonic()
    with raising(TimeoutError):
        connected(unanswering, timeout=0.3)
    assert 0.25 < time.monotonic() - start < 5


@case
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
def ipv6_works_like_ipv4(echo6):
    with connected(echo6) as connection:
        assert connection.family == socket.AF_INET6
        assert connection.getpeername()[:2] == ("::1", echo6[1])
        assert connection.getsockname()[0] == "::1"
        connection.sendall(b"six")
        assert read_exactly(connection, 3) == b"six"


# ── Timeouts and sockets that do not block ──────────────────────────────────────────────────────────────


@case
def a_read_that_gets_nothing_times_out_and_the_socket_goes_on(echo):
    with connected(echo, timeout=0.2) as connection:
        start = time.monotonic()
        with raising(TimeoutError):
            connection.recv(1)
        assert 0.15 < time.monotonic() - start < 5
        connection.settimeout(10)
        connection.sendall(b"later")
        assert read_exactly(connection, 5) == b"later"


@case
def a_send_that_nobody_reads_times_out(silent):
    with connected(silent, timeout=0.5) as connection, raising(TimeoutError):
        connection.sendall(bytes(64 << 20))


@case
def a_socket_that_does_not_block_reports_instead_of_waiting(echo):
    with connected(echo) as connection:
        connection.setblocking(False)
        assert not connection.getblocking()
        with raising(BlockingIOError, errno.EAGAIN):
            connection.recv(1)
        assert connection.send(b"x") == 1
        assert select.select([connection], [], [], 10)[0] == [connection]
        assert connection.recv(1) == b"x"
        connection.settimeout(None)
        assert connection.getblocking()


@case
def a_send_that_does_not_block_takes_part_and_then_refuses(silent):
    with connected(silent) as connection:
        connection.setblocking(False)
        data, sent = bytes(1 << 20), 0
        with raising(BlockingIOError, errno.EAGAIN):
            while sent < 256 << 20:
                sent += connection.send(data)
        assert sent > 0
        assert select.select([], [connection], [], 0) == ([], [], [])


@case
def connecting_without_blocking_ends_in_so_error(echo, refusing):
    for address, number in ((echo, 0), (refusing, errno.ECONNREFUSED)):
        with socket.socket() as connection:
            connection.setblocking(False)
            assert connection.connect_ex(address) == errno.EINPROGRESS
            assert select.select([], [connection], [], 10)[1] == [connection]
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == number
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@case
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


@case
def select_checks_its_arguments(echo):
    with raising(ValueError):
        select.select([], [], [], -1)
    wrong: list[typing.Any] = [(["x"], [], [], 0), ([], [], [], "soon")]
    for arguments in wrong:
        with raising(TypeError):
            select.select(*arguments)
    with raising(ValueError):
        select.select([-1], [], [], 0)
    with connected(echo) as connection:
        descriptor = connection.fileno()
    with raising(OSError, errno.EBADF):
        select.select([descriptor], [], [], 0)
    assert select.select([], [], [], 0.01) == ([], [], [])


@case
def poll_reports_events_by_descriptor(echo):
    with connected(echo) as one, connected(echo) as other:
        poller = select.poll()
        poller.register(one, select.POLLIN)
        poller.register(other, select.POLLIN | select.POLLOUT)
        assert poller.poll(1000) == [(other.fileno(), select.POLLOUT)]
        poller.modify(other, select.POLLIN)
        assert poller.poll(0) == []
        one.sendall(b"x")
        assert poller.poll() == [(one.fileno(), select.POLLIN)]
        poller.unregister(one)
        assert poller.poll(50) == []
        descriptor = other.fileno()
        other.close()
        assert poller.poll(1000) == [(descriptor, select.POLLNVAL)]


@case
def poll_reports_how_a_connection_ended(hashing, resetting):
    poller = select.poll()
    with socket.socket() as fresh:
        poller.register(fresh, select.POLLIN | select.POLLOUT)
        assert poller.poll(0) == [(fresh.fileno(), select.POLLOUT | select.POLLHUP)]
        poller.unregister(fresh)
    with connected(hashing) as connection:
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)
        poller.register(connection, select.POLLIN | select.POLLOUT)
        [(_, events)] = poller.poll(1000)
        assert events == select.POLLIN | select.POLLOUT | select.POLLHUP
        poller.unregister(connection)
    with connected(resetting) as connection:
        read_exactly(connection, 1000)
        connection.sendall(b"0123456789")
        poller.register(connection, 0)
        [(_, events)] = poller.poll(10_000)
        assert events == select.POLLERR | select.POLLHUP


@case
def selectors_tell_whose_turn_it_is(echo):
    for kind in (selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector):
        with kind() as selector, connected(echo) as one, connected(echo) as other:
            selector.register(one, selectors.EVENT_READ, "one")
            selector.register(other, selectors.EVENT_READ | selectors.EVENT_WRITE, "other")
            assert [(key.data, events) for key, events in selector.select(5)] == [
                ("other", selectors.EVENT_WRITE)
            ]
            selector.modify(other, selectors.EVENT_READ, "other")
            assert selector.select(0.05) == []
            one.sendall(b"x")
            assert [(key.data, events) for key, events in selector.select()] == [
                ("one", selectors.EVENT_READ)
            ]
