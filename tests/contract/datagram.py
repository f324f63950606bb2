"""What UDP sockets promise."""

import errno
import fcntl
import select
import socket
import struct
import termios
import time

from tests.contract.cases import PATIENCE, await_events, equal, events_now, raising, suite

CASES, case = suite()

GROUP = "239.255.77.77"
"""A multicast address that stays within an organisation; here it stays on loopback."""


def bound(family=socket.AF_INET, address=("127.0.0.1", 0)):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.settimeout(PATIENCE)
    return sock


def fresh():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    return sock


def closed_port():
    """An address of this machine at which there is no socket."""
    with bound() as sock:
        return sock.getsockname()


def nothing_waits(sock):
    with raising(BlockingIOError, errno.EAGAIN):
        timeout = sock.gettimeout()
        sock.setblocking(False)
        try:
            sock.recv(1)
        finally:
            sock.settimeout(timeout)


# ── Sending and receiving ───────────────────────────────────────────────────────────────────────────────


@case
def a_datagram_arrives_whole_with_the_address_of_its_sender():
    with bound() as one, bound() as other:
        for data in (b"x", bytes(range(256)), b"\0" * 1400, bytes(9000)):
            equal(one.sendto(data, other.getsockname()), len(data))
            equal(other.recvfrom(65536), (data, one.getsockname()))


@case
def each_datagram_is_read_by_itself_in_order():
    with bound() as one, bound() as other:
        for number in range(50):
            one.sendto(b"%d" % number, other.getsockname())
        equal([other.recv(100) for _ in range(50)], [b"%d" % number for number in range(50)])


@case
def an_echo_comes_back_from_where_it_was_sent(datagram_echo):
    with fresh() as sock:
        for data in (b"there and back", bytes(1400), b""):
            sock.sendto(data, datagram_echo)
            equal(sock.recvfrom(2000), (data, datagram_echo))


@case
def a_datagram_can_be_sent_by_name(datagram_echo):
    with fresh() as sock:
        sock.sendto(b"by name", ("localhost", datagram_echo[1]))
        equal(sock.recvfrom(100), (b"by name", datagram_echo))


@case
def one_socket_talks_to_many(datagram_echo):
    with fresh() as sock, bound() as other:
        sock.sendto(b"to one", datagram_echo)
        equal(sock.recvfrom(100), (b"to one", datagram_echo))
        sock.sendto(b"to another", other.getsockname())
        data, address = other.recvfrom(100)
        equal(data, b"to another")
        other.sendto(b"answer", address)
        equal(sock.recvfrom(100), (b"answer", other.getsockname()))


@case
def the_first_datagram_gives_its_sender_a_port():
    with fresh() as sock, bound() as other:
        equal(sock.getsockname(), ("0.0.0.0", 0))
        sock.sendto(b"x", other.getsockname())
        host, port = sock.getsockname()
        equal(host, "0.0.0.0")
        equal(other.recvfrom(1), (b"x", ("127.0.0.1", port)))


@case
def what_does_not_fit_is_cut_off_and_lost():
    with bound() as one, bound() as other:
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
    with bound() as one, bound() as other:
        one.sendto(b"0123456789", other.getsockname())
        buffer = bytearray(4)
        equal(other.recv_into(buffer, 4, socket.MSG_TRUNC), 10)
        equal(bytes(buffer), b"0123")
        nothing_waits(other)


@case
def a_datagram_may_be_empty():
    with bound() as one, bound() as other:
        equal(one.sendto(b"", other.getsockname()), 0)
        equal(select.select([other], [], [], PATIENCE)[0], [other])
        equal(other.recvfrom(10), (b"", one.getsockname()))
        nothing_waits(other)


@case
def the_largest_datagram_arrives_and_a_larger_one_is_refused():
    with bound() as one, bound() as other:
        data = bytes(range(256)) * 255 + bytes(227)
        equal(len(data), 65507)
        equal(one.sendto(data, other.getsockname()), len(data))
        equal(other.recv(100_000), data)
        with raising(OSError, errno.EMSGSIZE):
            one.sendto(data + b"x", other.getsockname())
        nothing_waits(other)


@case
def a_peeked_datagram_stays_whole():
    with bound() as one, bound() as other:
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
    with bound() as one, bound() as other:
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
    with bound() as one, bound() as other:
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
    with bound() as one, bound() as other:
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
    with bound() as one:
        one.sendto(b"me", one.getsockname())
        equal(one.recvfrom(10), (b"me", one.getsockname()))


@case
def a_socket_bound_to_every_address_hears_each():
    with bound(address=("", 0)) as every, bound() as one:
        host, port = every.getsockname()
        equal(host, "0.0.0.0")
        one.sendto(b"x", ("127.0.0.1", port))
        equal(every.recvfrom(1), (b"x", one.getsockname()))
        every.sendto(b"y", one.getsockname())
        equal(one.recvfrom(1), (b"y", ("127.0.0.1", port)))


@case
def what_finds_no_room_is_lost_and_the_rest_is_whole():
    with bound() as one, bound() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        for number in range(200):
            equal(one.sendto(b"%1000d" % number, other.getsockname()), 1000)
        found: list[int] = []
        while events_now(other, select.POLLIN) or not found:
            found.append(int(other.recv(2000)))
        assert 0 < len(found) < 200, len(found)
        equal(found, sorted(found))
        one.sendto(b"room again", other.getsockname())
        data = other.recv(2000)
        while data.isspace() or data.strip().isdigit():  # on its way when the others were read
            data = other.recv(2000)
        equal(data, b"room again")


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_message_is_gathered_and_scattered():
    with bound() as one, bound() as other:
        equal(one.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"ef")], [], 0, other.getsockname()), 6)
        equal(other.recvmsg(100), (b"abcdef", [], 0, one.getsockname()))
        one.sendmsg([b"abc", b"def"], [], 0, other.getsockname())
        first, second = bytearray(2), bytearray(10)
        equal(other.recvmsg_into([first, second]), (6, [], 0, one.getsockname()))
        equal((bytes(first), bytes(second[:4])), (b"ab", b"cdef"))


@case
def a_message_says_whether_it_was_cut_off():
    with bound() as one, bound() as other:
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


# ── One peer ────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_connected_socket_sends_without_an_address():
    with fresh() as one, bound() as other:
        one.connect(other.getsockname())
        equal(one.getpeername(), other.getsockname())
        host, port = one.getsockname()
        equal(host, "127.0.0.1")
        assert port
        equal(one.send(b"send"), 4)
        one.sendall(b"sendall")
        equal(one.sendmsg([b"send", b"msg"]), 7)
        for data in (b"send", b"sendall", b"sendmsg"):
            equal(other.recvfrom(100), (data, (host, port)))
        other.sendto(b"back", (host, port))
        equal(one.recvfrom(100), (b"back", other.getsockname()))
        other.sendto(b"again", (host, port))
        equal(one.recv(100), b"again")


@case
def a_connected_socket_hears_its_peer_alone():
    with bound() as one, bound() as peer, bound() as stranger:
        one.connect(peer.getsockname())
        stranger.sendto(b"stranger", one.getsockname())
        peer.sendto(b"peer", one.getsockname())
        equal(one.recvfrom(100), (b"peer", peer.getsockname()))
        nothing_waits(one)


@case
def a_connected_socket_may_change_its_peer():
    with bound() as one, bound() as first, bound() as second:
        address = one.getsockname()
        for peer, other in ((first, second), (second, first)):
            one.connect(peer.getsockname())
            equal(one.getpeername(), peer.getsockname())
            equal(one.getsockname(), address)
            one.send(b"x")
            equal(peer.recvfrom(1), (b"x", address))
            other.sendto(b"stranger", address)
            peer.sendto(b"peer", address)
            equal(one.recv(100), b"peer")
            nothing_waits(one)


@case
def a_connected_socket_may_still_send_elsewhere():
    with fresh() as one, bound() as peer, bound() as other:
        one.connect(peer.getsockname())
        one.sendto(b"elsewhere", other.getsockname())
        equal(other.recvfrom(100), (b"elsewhere", one.getsockname()))
        one.send(b"peer")
        equal(peer.recvfrom(100), (b"peer", one.getsockname()))


@case
def what_came_before_connecting_stays():
    with bound() as one, bound() as peer, bound() as stranger:
        stranger.sendto(b"early", one.getsockname())
        await_events(one)
        one.connect(peer.getsockname())
        equal(one.recvfrom(100), (b"early", stranger.getsockname()))


@case
def a_port_without_socket_is_reported_once():
    with fresh() as one:
        one.connect(closed_port())
        for report in (lambda: one.recv(1), lambda: one.send(b"y"), lambda: one.recvfrom(1)):
            equal(one.send(b"x"), 1)
            await_events(one, select.POLLERR)
            with raising(ConnectionRefusedError, errno.ECONNREFUSED):
                report()
            nothing_waits(one)
        one.send(b"x")
        await_events(one, select.POLLERR)
        equal(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED)
        equal(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)


@case
def a_read_that_waits_is_woken_by_a_port_without_socket():
    with fresh() as one:
        one.connect(closed_port())
        one.send(b"x")
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            one.recv(1)


@case
def who_is_not_connected_hears_of_no_port_without_socket():
    with fresh() as one, bound() as other:
        one.sendto(b"x", closed_port())
        one.sendto(b"y", other.getsockname())
        data, address = other.recvfrom(1)
        other.sendto(data, address)
        equal(one.recv(1), b"y")
        equal(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)


# ── Errors ──────────────────────────────────────────────────────────────────────────────────────────────


@case
def without_a_peer_there_is_nowhere_to_send():
    with fresh() as one:
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
    with bound() as one, fresh() as other:
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
    with bound() as one:
        one.settimeout(None)
        for operation in (one.listen, one.accept):
            with raising(OSError, errno.EOPNOTSUPP):
                operation()


@case
def ends_can_be_shut():
    with fresh() as one, bound() as other:
        for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            with raising(OSError, errno.ENOTCONN):
                one.shutdown(how)
    with fresh() as one, bound() as other:
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


# ── Many at once ────────────────────────────────────────────────────────────────────────────────────────


@case
def broadcasting_must_be_allowed():
    with bound(address=("0.0.0.0", 0)) as listener, fresh() as one:
        port = listener.getsockname()[1]
        for host in ("255.255.255.255", "127.255.255.255"):
            with raising(PermissionError, errno.EACCES):
                one.sendto(b"x", (host, port))
            with raising(PermissionError, errno.EACCES):
                one.connect((host, port))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"to all", ("127.255.255.255", port))
        data, (host, _) = listener.recvfrom(100)
        equal((data, host), (b"to all", "127.0.0.1"))


@case
def a_group_hears_what_is_sent_to_it():
    membership = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
    with bound(address=("", 0)) as member, bound() as one:
        port = member.getsockname()[1]
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        with raising(OSError, errno.EADDRINUSE):
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        one.sendto(b"to the group", (GROUP, port))
        equal(member.recvfrom(100), (b"to the group", one.getsockname()))
        member.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, membership)
        with raising(OSError, errno.EADDRNOTAVAIL):
            member.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, membership)
        one.sendto(b"nobody", (GROUP, port))
        one.sendto(b"one", ("127.0.0.1", port))
        equal(member.recv(100), b"one")


@case
def a_sender_hears_its_own_group_only_if_it_wants_to():
    with bound(address=("", 0)) as member:
        port = member.getsockname()[1]
        member.setsockopt(
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1"),
        )
        member.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        member.sendto(b"heard", (GROUP, port))
        equal(member.recv(100), b"heard")


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────


@case
def poll_tells_what_a_datagram_socket_can_do():
    every = select.POLLIN | select.POLLOUT
    with fresh() as unbound:
        equal(events_now(unbound, every), select.POLLOUT)
    with bound() as one, bound() as other:
        equal(events_now(one, every), select.POLLOUT)
        other.sendto(b"x", one.getsockname())
        equal(await_events(one, select.POLLIN), select.POLLIN)
        equal(events_now(one, every), every)
        one.recv(1)
        equal(events_now(one, every), select.POLLOUT)
        equal(select.select([one, other], [one, other], [], 0), ([], [one, other], []))


@case
def the_size_of_the_next_datagram_can_be_asked():
    with bound() as one, bound() as other:

        def next_size():
            answer = fcntl.ioctl(other, termios.FIONREAD, bytes(4))
            return struct.unpack("i", answer)[0]

        equal(next_size(), 0)
        for data in (b"12345", b"12", b""):
            one.sendto(data, other.getsockname())
        await_events(other)
        for size in (5, 2, 0):
            equal(next_size(), size)
            equal(len(other.recv(100)), size)


# ── IPv6 ────────────────────────────────────────────────────────────────────────────────────────────────


@case
def ipv6_works_like_ipv4(host6):
    with bound(socket.AF_INET6, (host6, 0)) as one, bound(socket.AF_INET6, (host6, 0)) as other:
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
        bound(socket.AF_INET6, ("::", 0)) as both,
        bound() as four,
        bound(socket.AF_INET6, (host6, 0)) as six,
    ):
        port = both.getsockname()[1]
        four.sendto(b"four", ("127.0.0.1", port))
        data, address = both.recvfrom(100)
        equal((data, address), (b"four", ("::ffff:127.0.0.1", four.getsockname()[1], 0, 0)))
        both.sendto(b"back", address)
        equal(four.recvfrom(100), (b"back", ("127.0.0.1", port)))
        six.sendto(b"six", (host6, port))
        equal(both.recvfrom(100), (b"six", six.getsockname()))
