"""What a connected stream promises, whatever connects it."""

import array
import contextlib
import errno
import fcntl
import select
import socket
import struct
import termios
import time

from tests.contract.cases import (
    PATIENCE,
    await_events,
    equal,
    nothing_waits,
    pattern,
    raising,
    read_all,
    read_exactly,
    reset,
    suite,
)
from tests.contract.ends import INTERNET, KINDS, LOCAL, over

CASES, _ = suite()


# ── Reading and writing ─────────────────────────────────────────────────────────────────────────────────


@over(CASES, *KINDS)
def bytes_arrive_as_they_were_sent_both_ways(one, other):
    for data in (b"x", bytes(range(256)), b"\0" * 1000, "é€😀".encode()):
        one.sendall(data)
        equal(read_exactly(other, len(data)), data)
        other.sendall(data[::-1])
        equal(read_exactly(one, len(data)), data[::-1])


@over(CASES, *KINDS)
def a_read_gives_what_is_there_and_no_more_than_asked(one, other):
    other.sendall(b"abcdefgh")
    first = one.recv(3)
    assert 1 <= len(first) <= 3
    equal(first + read_exactly(one, 8 - len(first)), b"abcdefgh")
    equal(one.recv(0), b"")
    nothing_waits(one)


@over(CASES, *KINDS)
def a_stream_has_no_borders(one, other):
    for _ in range(10):
        other.send(b"ten bytes.")
    equal(read_exactly(one, 100), b"ten bytes." * 10)


@over(CASES, *KINDS)
def recv_into_fills_the_buffer_it_is_given(one, other):
    other.sendall(b"0123456789")
    buffer = bytearray(b"........................")
    count = one.recv_into(memoryview(buffer)[4:], 10)
    while count < 10:
        count += one.recv_into(memoryview(buffer)[4 + count :], 10 - count)
    equal(bytes(buffer), b"....0123456789..........")
    other.sendall(b"xy")
    equal(one.recv_into(buffer, nbytes=1), 1)
    equal(one.recv_into(buffer), 1)


@over(CASES, "tcp", "tcp6", "socketpair")
def a_stream_names_no_sender(one, other):
    other.sendall(b"a")
    equal(one.recvfrom(10), (b"a", None))
    other.sendall(b"b")
    buffer = bytearray(4)
    equal(one.recvfrom_into(buffer), (1, None))
    equal(bytes(buffer), b"b\0\0\0")


@over(CASES, *KINDS)
def a_send_takes_any_buffer(one, other):
    numbers = array.array("I", [1, 2, 3])
    equal(one.send(numbers), 12)
    equal(read_exactly(other, 12), numbers.tobytes())
    one.sendall(memoryview(b"abcdef")[1:4])
    equal(read_exactly(other, 3), b"bcd")
    equal(one.send(b""), 0)
    one.sendall(b"")
    with raising(TypeError):
        one.send("text")
    with raising(TypeError):
        one.sendall("text")
    nothing_waits(other)


@over(CASES, *KINDS)
def messages_are_gathered_and_scattered(one, other):
    equal(one.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"ef")]), 6)
    await_events(other)
    data, ancillary, flags, _ = other.recvmsg(100)
    equal((data, ancillary, flags), (b"abcdef", [], 0))
    one.sendmsg([b"abcdef"])
    await_events(other)
    first, second = bytearray(2), bytearray(10)
    equal(other.recvmsg_into([first, second])[:3], (6, [], 0))
    equal((bytes(first), bytes(second[:4])), (b"ab", b"cdef"))
    one.sendall(b"peek")
    await_events(other)
    equal(other.recvmsg(2, 0, socket.MSG_PEEK)[0], b"pe")
    equal(other.recvmsg(4)[0], b"peek")


@over(CASES, *KINDS)
def files_made_of_a_socket_read_lines_and_write(one, other):
    with one.makefile("rw", encoding="utf-8", newline="\n") as file:
        file.write("one\ntwo\n")
        file.flush()
        equal(read_exactly(other, 8), b"one\ntwo\n")
        other.sendall(b"three\nfour\n")
        equal([file.readline(), file.readline()], ["three\n", "four\n"])
    with one.makefile("rb", buffering=0) as raw:
        other.sendall(b"raw")
        equal(raw.read(3), b"raw")
    with one.makefile("rb") as file:
        other.sendall(b"to the end")
        other.shutdown(socket.SHUT_WR)
        equal(file.read(), b"to the end")


@over(CASES, *KINDS)
def peeked_bytes_stay(one, other):
    other.sendall(b"peek")
    await_events(one)
    first = one.recv(4, socket.MSG_PEEK)
    assert first
    assert b"peek".startswith(first)
    buffer = bytearray(2)
    equal(one.recv_into(buffer, 2, socket.MSG_PEEK), 2)
    equal(read_exactly(one, 4), b"peek")
    other.shutdown(socket.SHUT_WR)
    equal(one.recv(4, socket.MSG_PEEK), b"")


@over(CASES, *KINDS)
def a_flagged_read_can_refuse_to_wait(one, other):
    one.settimeout(None)
    for flags in (socket.MSG_DONTWAIT, socket.MSG_DONTWAIT | socket.MSG_PEEK):
        with raising(BlockingIOError, errno.EAGAIN):
            one.recv(1, flags)
    assert one.getblocking()
    other.sendall(b"now")
    await_events(one)
    equal(one.recv(3, socket.MSG_DONTWAIT)[:1], b"n")
    one.settimeout(0.2)
    with raising(TimeoutError):
        read_exactly(one, 3)
        one.recv(1, socket.MSG_DONTWAIT)  # CPython waits by the timeout before it calls recv


@over(CASES, *KINDS)
def a_flagged_read_can_wait_for_all(one, other):
    one.settimeout(None)
    for part in (b"x" * 10_000, b"y" * 10_000):
        other.sendall(part)
    equal(one.recv(20_000, socket.MSG_WAITALL), b"x" * 10_000 + b"y" * 10_000)
    buffer = bytearray(5000)
    other.sendall(b"z" * 5000)
    equal(one.recv_into(buffer, 0, socket.MSG_WAITALL), 5000)
    equal(bytes(buffer), b"z" * 5000)
    other.sendall(b"end")
    other.shutdown(socket.SHUT_WR)
    equal(one.recv(10, socket.MSG_WAITALL), b"end")


@over(CASES, *KINDS)
def what_can_be_read_can_be_counted(one, other):
    def available():
        return struct.unpack("i", fcntl.ioctl(one, termios.FIONREAD, bytes(4)))[0]

    equal(available(), 0)
    other.sendall(b"12345")
    await_events(one)
    equal(one.recv(2), b"12")
    equal(available(), 3)
    equal(one.recv(3), b"345")
    equal(available(), 0)


@over(CASES, *KINDS)
def much_can_be_on_its_way_in_both_directions(one, other):
    data = pattern(3_000_000)
    sent = {one: 0, other: 0}
    read = {one: bytearray(), other: bytearray()}
    one.setblocking(False)
    other.setblocking(False)
    while any(len(each) < len(data) for each in read.values()):
        unsent = [sock for sock in sent if sent[sock] < len(data)]
        readable, writable, _ = select.select([one, other], unsent, [], PATIENCE)
        assert readable or writable
        for sock in writable:
            with contextlib.suppress(BlockingIOError):
                sent[sock] += sock.send(memoryview(data)[sent[sock] : sent[sock] + 100_000])
        for sock in readable:
            read[sock] += sock.recv(200_000)
    equal(read[one] == data, True)
    equal(read[other] == data, True)


# ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────


@over(CASES, *KINDS)
def one_direction_can_end_before_the_other(one, other):
    one.sendall(b"last")
    one.shutdown(socket.SHUT_WR)
    with raising(BrokenPipeError, errno.EPIPE):
        one.send(b"more")
    equal(read_all(other), b"last")
    equal(other.recv(1), b"")
    other.sendall(b"answer")
    equal(read_exactly(one, 6), b"answer")
    other.shutdown(socket.SHUT_WR)
    equal(one.recv(1), b"")


@over(CASES, *KINDS)
def what_was_sent_before_a_close_can_be_read_after_it(one, other):
    other.sendall(b"x" * 5000)
    other.close()
    equal(read_all(one), b"x" * 5000)
    equal(one.recv(10), b"")
    equal(one.recv_into(bytearray(4)), 0)


@over(CASES, *KINDS)
def after_its_reading_end_is_shut_a_socket_reads_the_end(one, other):
    one.shutdown(socket.SHUT_RD)
    equal(one.recv(10), b"")
    one.sendall(b"still sends")
    equal(read_exactly(other, 11), b"still sends")


@over(CASES, *LOCAL)
def who_shuts_its_reading_end_is_written_to_no_more(one, other):
    one.shutdown(socket.SHUT_RD)
    with raising(BrokenPipeError, errno.EPIPE):
        other.send(b"x")


@over(CASES, *INTERNET)
def a_reset_by_the_peer_is_reported_once_and_then_the_end(one, other):
    reset(other)
    with raising(ConnectionResetError, errno.ECONNRESET):
        one.recv(1)
    equal(one.recv(1), b"")
    with raising(BrokenPipeError, errno.EPIPE):
        one.send(b"x")


@over(CASES, *KINDS)
def a_close_with_bytes_unread_resets(one, other):
    one.sendall(b"nobody reads this")
    await_events(other)
    other.close()
    with raising(ConnectionResetError, errno.ECONNRESET):
        one.recv(1)
    equal(one.recv(1), b"")


@over(CASES, *LOCAL)
def writing_to_who_is_gone_fails_at_once(one, other):
    other.close()
    for _ in range(2):
        with raising(BrokenPipeError, errno.EPIPE):
            one.send(b"x")
    equal(one.recv(1), b"")


@over(CASES, *INTERNET)
def writing_to_who_is_gone_is_answered_by_a_reset(one, other):
    other.close()
    equal(one.recv(1), b"")
    equal(one.send(b"x"), 1)
    await_events(one, select.POLLERR | select.POLLHUP)
    with raising(BrokenPipeError, errno.EPIPE):
        one.send(b"y")


@over(CASES, *KINDS)
def a_closed_socket_has_no_descriptor(one, other):
    assert one.fileno() >= 0
    one.close()
    one.close()
    equal(one.fileno(), -1)
    for operation in (lambda: one.recv(1), lambda: one.send(b"x"), one.getpeername):
        with raising(OSError, errno.EBADF):
            operation()


@over(CASES, *KINDS)
def a_file_keeps_the_connection_of_a_socket_that_is_closed(one, other):
    file = one.makefile("rwb")
    one.close()
    other.sendall(b"line\n")
    equal(file.readline(), b"line\n")
    file.write(b"answer")
    file.close()
    equal(read_all(other), b"answer")


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────────────


@over(CASES, *INTERNET)
def the_ends_have_each_others_addresses(one, other):
    equal(one.getsockname(), other.getpeername())
    equal(other.getsockname(), one.getpeername())
    assert one.getsockname() != other.getsockname()


@over(CASES, *INTERNET)
def a_connection_cannot_be_made_again(one, other):
    for sock, address in ((one, other.getsockname()), (other, one.getsockname())):
        sock.settimeout(None)
        with raising(OSError, errno.EISCONN):
            sock.connect(address)


# ── Timeouts and sockets that do not block ──────────────────────────────────────────────────────────────


@over(CASES, *KINDS)
def a_read_that_gets_nothing_times_out_and_the_socket_goes_on(one, other):
    one.settimeout(0.2)
    start = time.monotonic()
    with raising(TimeoutError):
        one.recv(1)
    assert 0.15 < time.monotonic() - start < 5
    one.settimeout(PATIENCE)
    other.sendall(b"later")
    equal(read_exactly(one, 5), b"later")


@over(CASES, *KINDS)
def a_send_that_nobody_reads_times_out(one, other):
    one.settimeout(0.3)
    with raising(TimeoutError):
        one.sendall(bytes(64 << 20))


@over(CASES, *KINDS)
def a_socket_that_does_not_block_reports_instead_of_waiting(one, other):
    one.setblocking(False)
    assert not one.getblocking()
    with raising(BlockingIOError, errno.EAGAIN):
        one.recv(1)
    other.sendall(b"x")
    await_events(one)
    equal(one.recv(1), b"x")
    one.settimeout(None)
    assert one.getblocking()


def fill(sock, piece):
    """Sends until there is no room, nor any made by what moves on meanwhile; returns how many bytes."""
    sent = 0
    while select.select([], [sock], [], 0.2)[1]:
        before = sent
        with raising(BlockingIOError, errno.EAGAIN):
            while sent < 256 << 20:
                sent += sock.send(piece)
        assert sent > before, "it is writable, and refuses"
    return sent


@over(CASES, *KINDS)
def a_send_that_finds_no_room_refuses_until_there_is_some(one, other):
    one.setblocking(False)
    left = fill(one, bytes(100_000))
    assert left > 0
    while left:
        left -= len(other.recv(min(left, 1 << 20)))
    equal(select.select([], [one], [], PATIENCE)[1], [one])
    assert one.send(b"x") == 1
    equal(other.recv(1), b"x")


@over(CASES, *KINDS)
def the_ends_block_independently(one, other):
    one.setblocking(False)
    equal((one.gettimeout(), other.gettimeout()), (0.0, PATIENCE))
    other.settimeout(None)
    equal((one.getblocking(), other.getblocking()), (False, True))
