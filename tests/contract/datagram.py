"""What UDP sockets promise."""

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
    bound_datagram,
    datagram_socket,
    equal,
    events_now,
    events_within,
    needing,
    nothing_waits,
    raising,
    suite,
)

CASES, case = suite()


# ── Sending and receiving ───────────────────────────────────────────────────────────────────────────────


@case
def a_datagram_arrives_whole_with_the_address_of_its_sender():
    with bound_datagram() as one, bound_datagram() as other:
        for data in (b"x", bytes(range(256)), b"\0" * 1400, bytes(9000)):
            equal(one.sendto(data, other.getsockname()), len(data))
            equal(other.recvfrom(65536), (data, one.getsockname()))


@case
def each_datagram_is_read_by_itself_in_order():
    with bound_datagram() as one, bound_datagram() as other:
        for number in range(50):
            one.sendto(b"%d" % number, other.getsockname())
        equal([other.recv(100) for _ in range(50)], [b"%d" % number for number in range(50)])


@case
@needing("datagrams")
def an_echo_comes_back_from_where_it_was_sent(datagram_echo):
    with datagram_socket() as sock:
        for data in (b"there and back", bytes(1400), b""):
            sock.sendto(data, datagram_echo)
            equal(sock.recvfrom(2000), (data, datagram_echo))


@case
@needing("datagrams")
def a_datagram_can_be_sent_by_name(datagram_echo):
    with datagram_socket() as sock:
        sock.sendto(b"by name", ("localhost", datagram_echo[1]))
        equal(sock.recvfrom(100), (b"by name", datagram_echo))


@case
@needing("datagrams", "both-ends")
def one_socket_talks_to_many(datagram_echo):
    with datagram_socket() as sock, bound_datagram() as other:
        sock.sendto(b"to one", datagram_echo)
        equal(sock.recvfrom(100), (b"to one", datagram_echo))
        sock.sendto(b"to another", other.getsockname())
        data, address = other.recvfrom(100)
        equal(data, b"to another")
        other.sendto(b"answer", address)
        equal(sock.recvfrom(100), (b"answer", other.getsockname()))


@case
def the_first_datagram_gives_its_sender_a_port():
    with datagram_socket() as sock, bound_datagram() as other:
        equal(sock.getsockname(), ("0.0.0.0", 0))
        sock.sendto(b"x", other.getsockname())
        host, port = sock.getsockname()
        equal(host, "0.0.0.0")
        equal(other.recvfrom(1), (b"x", ("127.0.0.1", port)))


@case
def what_does_not_fit_is_cut_off_and_lost():
    with bound_datagram() as one, bound_datagram() as other:
        address = other.getsockname()
        one.sendto(b"0123456789", address)
        one.sendto(b"next", address)
        equal(other.recv(4), b"0123")
        equal(other.recv(100), b"next")
        one.sendto(b"0123456789", address)
        one.sendto(b"next", address)
        buffer = bytearray(6)
        equal(other.recv_into(buffer), 6)
        equal(bytes(buffer), b"012345")
        equal(other.recvfrom_into(buffer, 3), (3, one.getsockname()))
        equal(bytes(buffer), b"nex345")
        one.sendto(b"0123456789", address)
        equal(other.recvfrom(0), (b"", one.getsockname()))
        nothing_waits(other)


@case
def a_read_can_tell_the_true_length():
    with bound_datagram() as one, bound_datagram() as other:
        one.sendto(b"0123456789", other.getsockname())
        buffer = bytearray(4)
        equal(other.recv_into(buffer, 4, socket.MSG_TRUNC), 10)
        equal(bytes(buffer), b"0123")
        nothing_waits(other)


@case
def a_datagram_may_be_empty():
    with bound_datagram() as one, bound_datagram() as other:
        equal(one.sendto(b"", other.getsockname()), 0)
        equal(select.select([other], [], [], PATIENCE)[0], [other])
        equal(other.recvfrom(10), (b"", one.getsockname()))
        nothing_waits(other)


@case
def the_largest_datagram_arrives_and_a_larger_one_is_refused():
    with bound_datagram() as one, bound_datagram() as other:
        data = bytes(range(256)) * 255 + bytes(227)
        equal(len(data), 65507)
        equal(one.sendto(data, other.getsockname()), len(data))
        equal(other.recv(100_000), data)
        with raising(OSError, errno.EMSGSIZE):
            one.sendto(data + b"x", other.getsockname())
        nothing_waits(other)


@case
def a_peeked_datagram_stays_whole():
    with bound_datagram() as one, bound_datagram() as other:
        one.sendto(b"0123456789", other.getsockname())
        equal(other.recv(4, socket.MSG_PEEK), b"0123")
        equal(other.recvfrom(100, socket.MSG_PEEK), (b"0123456789", one.getsockname()))
        buffer = bytearray(4)
        equal(other.recvfrom_into(buffer, 4, socket.MSG_PEEK), (4, one.getsockname()))
        equal(other.recv_into(buffer, 4, socket.MSG_PEEK | socket.MSG_TRUNC), 10)
        equal(other.recvfrom(100), (b"0123456789", one.getsockname()))
        nothing_waits(other)


@case
def a_flagged_read_can_refuse_to_wait():
    with bound_datagram() as one, bound_datagram() as other:
        one.settimeout(None)
        for flags in (socket.MSG_DONTWAIT, socket.MSG_DONTWAIT | socket.MSG_PEEK):
            for read in (one.recv, one.recvfrom):
                with raising(BlockingIOError, errno.EAGAIN):
                    read(1, flags)
            with raising(BlockingIOError, errno.EAGAIN):
                one.recvmsg(1, 0, flags)
        other.sendto(b"now", one.getsockname())
        await_events(one)
        equal(one.recv(3, socket.MSG_DONTWAIT), b"now")
        equal(one.sendto(b"x", socket.MSG_DONTWAIT, other.getsockname()), 1)
        equal(other.recv(1), b"x")


@case
def a_read_that_gets_nothing_times_out_and_the_socket_goes_on():
    with bound_datagram() as one, bound_datagram() as other:
        one.settimeout(0.2)
        for read in (one.recv, one.recvfrom, one.recvmsg):
            start = time.monotonic()
            with raising(TimeoutError):
                read(1)
            assert 0.15 < time.monotonic() - start < 5
        one.settimeout(PATIENCE)
        other.sendto(b"later", one.getsockname())
        equal(one.recv(10), b"later")


@case
def a_socket_that_does_not_block_reports_instead_of_waiting():
    with bound_datagram() as one, bound_datagram() as other:
        one.setblocking(False)
        for read in (one.recv, one.recvfrom, one.recvmsg):
            with raising(BlockingIOError, errno.EAGAIN):
                read(1)
        other.sendto(b"x", one.getsockname())
        await_events(one)
        equal(one.recvfrom(1), (b"x", other.getsockname()))
        equal(one.sendto(b"y", other.getsockname()), 1)
        equal(other.recv(1), b"y")


@case
def a_socket_hears_itself():
    with bound_datagram() as one:
        one.sendto(b"me", one.getsockname())
        equal(one.recvfrom(10), (b"me", one.getsockname()))


@case
def a_socket_bound_to_every_address_hears_each():
    with bound_datagram(address=("", 0)) as every, bound_datagram() as one:
        host, port = every.getsockname()
        equal(host, "0.0.0.0")
        one.sendto(b"x", ("127.0.0.1", port))
        equal(every.recvfrom(1), (b"x", one.getsockname()))
        every.sendto(b"y", one.getsockname())
        equal(one.recvfrom(1), (b"y", ("127.0.0.1", port)))


@case
def what_finds_no_room_is_lost_and_the_rest_is_whole():
    with bound_datagram() as one, bound_datagram() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        for number in range(200):
            equal(one.sendto(b"%1000d" % number, other.getsockname()), 1000)
        found: list[int] = []
        while events_now(other, select.POLLIN) or not found:
            found.append(int(other.recv(2000)))
        assert 0 < len(found) < 200, len(found)
        equal(found, sorted(found))
        # Others may have been on their way when those were read, and fill the room once more.
        while not events_within(other, select.POLLIN, 100) or other.recv(2000) != b"room again":
            one.sendto(b"room again", other.getsockname())


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_message_is_gathered_and_scattered():
    with bound_datagram() as one, bound_datagram() as other:
        equal(one.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"ef")], [], 0, other.getsockname()), 6)
        equal(other.recvmsg(100), (b"abcdef", [], 0, one.getsockname()))
        one.sendmsg([b"abc", b"def"], [], 0, other.getsockname())
        first, second = bytearray(2), bytearray(10)
        equal(other.recvmsg_into([first, second]), (6, [], 0, one.getsockname()))
        equal((bytes(first), bytes(second[:4])), (b"ab", b"cdef"))


@case
def a_message_says_whether_it_was_cut_off():
    with bound_datagram() as one, bound_datagram() as other:
        for flags in (socket.MSG_PEEK, 0):
            if flags:
                one.sendto(b"0123456789", other.getsockname())
            equal(other.recvmsg(4, 0, flags), (b"0123", [], socket.MSG_TRUNC, one.getsockname()))
        one.sendto(b"0123456789", other.getsockname())
        parts = [bytearray(3), bytearray(3)]
        equal(other.recvmsg_into(parts), (6, [], socket.MSG_TRUNC, one.getsockname()))
        equal(b"".join(parts), b"012345")
        one.sendmsg([], [], 0, other.getsockname())
        equal(other.recvmsg(4), (b"", [], 0, one.getsockname()))


# ── Errors ──────────────────────────────────────────────────────────────────────────────────────────────


@case
def without_a_peer_there_is_nowhere_to_send():
    with datagram_socket() as one:
        for send in (
            lambda: one.send(b"x"),
            lambda: one.send(b""),
            lambda: one.sendall(b"x"),
            lambda: one.sendmsg([b"x"]),
        ):
            with raising(OSError, errno.EDESTADDRREQ):
                send()
        with raising(OSError, errno.ENOTCONN):
            one.getpeername()
        nothing_waits(one)


@case
def an_address_belongs_to_one_socket():
    with bound_datagram() as one, datagram_socket() as other:
        with raising(OSError, errno.EADDRINUSE):
            other.bind(one.getsockname())
        with raising(OSError, errno.EINVAL):
            one.bind(("127.0.0.1", 0))
        with raising(OSError, errno.EADDRNOTAVAIL):
            other.bind(("203.0.113.1", 0))
        other.bind(("127.0.0.1", 0))
        one.sendto(b"x", other.getsockname())
        equal(other.recv(1), b"x")


@case
def sockets_that_reuse_an_address_share_it():
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        for sock in (one, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        equal(other.getsockname(), one.getsockname())


@case
def a_datagram_socket_does_not_listen():
    with bound_datagram() as one:
        one.settimeout(None)
        for operation in (one.listen, one.accept):
            with raising(OSError, errno.EOPNOTSUPP):
                operation()


@case
def ends_can_be_shut():
    with datagram_socket() as one, bound_datagram() as other:
        for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            with raising(OSError, errno.ENOTCONN):
                one.shutdown(how)
    with datagram_socket() as one, bound_datagram() as other:
        one.connect(other.getsockname())
        other.sendto(b"here", one.getsockname())
        await_events(one)
        one.shutdown(socket.SHUT_RD)
        equal(one.recv(10), b"here")
        nothing_waits(one)
        one.settimeout(None)
        equal(one.recv(10), b"")
        equal(one.recv(10), b"")
        equal(one.send(b"still sends"), 11)
        equal(other.recv(100), b"still sends")
        one.shutdown(socket.SHUT_WR)
        with raising(BrokenPipeError, errno.EPIPE):
            one.send(b"x")


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────


@case
def poll_tells_what_a_datagram_socket_can_do():
    every = select.POLLIN | select.POLLOUT
    with datagram_socket() as unbound:
        equal(events_now(unbound, every), select.POLLOUT)
    with bound_datagram() as one, bound_datagram() as other:
        equal(events_now(one, every), select.POLLOUT)
        other.sendto(b"x", one.getsockname())
        equal(await_events(one, select.POLLIN), select.POLLIN)
        equal(events_now(one, every), every)
        one.recv(1)
        equal(events_now(one, every), select.POLLOUT)
        equal(select.select([one, other], [one, other], [], 0), ([], [one, other], []))


@case
def the_size_of_the_next_datagram_can_be_asked():
    with bound_datagram() as one, bound_datagram() as other:

        def next_size():
            answer = fcntl.ioctl(other, termios.FIONREAD, bytes(4))
            return struct.unpack("i", answer)[0]

        equal(next_size(), 0)
        for data in (b"12345", b"12", b""):
            one.sendto(data, other.getsockname())
        for size in (5, 2, 0):
            await_events(other)
            equal(next_size(), size)
            equal(len(other.recv(100)), size)


# ── IPv6 ────────────────────────────────────────────────────────────────────────────────────────────────


@case
def ipv6_works_like_ipv4(host6):
    with (
        bound_datagram(socket.AF_INET6, (host6, 0)) as one,
        bound_datagram(socket.AF_INET6, (host6, 0)) as other,
    ):
        host, port, flow, scope = one.getsockname()
        equal((host, flow, scope), (host6, 0, 0))
        one.sendto(b"six", other.getsockname())
        equal(other.recvfrom(100), (b"six", (host6, port, 0, 0)))
        other.sendto(b"short address", (host6, port))
        equal(one.recvmsg(100), (b"short address", [], 0, other.getsockname()))
        one.connect(other.getsockname())
        equal(one.getpeername(), other.getsockname())
        one.send(b"connected")
        equal(other.recvfrom(100), (b"connected", one.getsockname()))


@case
@needing("datagrams")
def an_echo_comes_back_by_ipv6(datagram_echo6):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        equal(sock.getsockname(), ("::", 0, 0, 0))
        sock.sendto(b"six", datagram_echo6)
        data, address = sock.recvfrom(100)
        equal((data, address[:2]), (b"six", datagram_echo6))


@case
def a_socket_of_both_families_hears_both(host6):
    with (
        bound_datagram(socket.AF_INET6, ("::", 0)) as both,
        bound_datagram() as four,
        bound_datagram(socket.AF_INET6, (host6, 0)) as six,
    ):
        port = both.getsockname()[1]
        four.sendto(b"four", ("127.0.0.1", port))
        data, address = both.recvfrom(100)
        equal((data, address), (b"four", ("::ffff:127.0.0.1", four.getsockname()[1], 0, 0)))
        both.sendto(b"back", address)
        equal(four.recvfrom(100), (b"back", ("127.0.0.1", port)))
        six.sendto(b"six", (host6, port))
        equal(both.recvfrom(100), (b"six", six.getsockname()))
