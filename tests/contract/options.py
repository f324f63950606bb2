"""What socket options promise, as far as Linux and a page can promise the same."""

import errno
import select
import socket
import struct
import typing

from tests.contract.cases import (
    accepting,
    bound_datagram,
    datagram_socket,
    equal,
    listening,
    raising,
    read_exactly,
    suite,
)
from tests.contract.ends import INTERNET, KINDS, over, tcp

CASES, case = suite()

SWITCHES = (
    (socket.SOL_SOCKET, "SO_REUSEADDR"),
    (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    (socket.SOL_SOCKET, "SO_BROADCAST"),
    (socket.IPPROTO_TCP, "TCP_NODELAY"),
)
"""Options that are on or off, and off at first."""


def number(name):
    """Constants by name when a case runs: not every Python has them when it starts."""
    return getattr(socket, name)


def is_on(sock, level, name):
    return bool(sock.getsockopt(level, number(name)))


# ── On or off ───────────────────────────────────────────────────────────────────────────────────────────


@case
def switches_are_off_until_they_are_set():
    with socket.socket() as sock:
        for level, name in SWITCHES:
            equal((name, is_on(sock, level, name)), (name, False))
            for value in (1, 0, True, 5, struct.pack("i", 0), struct.pack("i", 1), b"\1\0\0\0\0\0\0\0"):
                sock.setsockopt(level, number(name), value)
                wanted = value not in (0, struct.pack("i", 0))
                equal((name, value, is_on(sock, level, name)), (name, value, wanted))


@over(CASES, *INTERNET)
def switches_can_be_set_on_a_connection(one, other):
    for level, name in SWITCHES:
        one.setsockopt(level, number(name), 1)
        equal((name, is_on(one, level, name), is_on(other, level, name)), (name, True, False))
        one.setsockopt(level, number(name), 0)
        equal((name, is_on(one, level, name)), (name, False))
    one.sendall(b"x")
    equal(other.recv(1), b"x")


@case
def what_was_set_before_connecting_stays():
    with listening() as listener, socket.socket() as client:
        for level, name in SWITCHES:
            client.setsockopt(level, number(name), 1)
        client.connect(listener.getsockname())
        with accepting(listener):
            for level, name in SWITCHES:
                equal((name, is_on(client, level, name)), (name, True))


@case
def duplicates_share_their_options():
    with socket.socket() as one, one.dup() as other:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        equal(is_on(other, socket.SOL_SOCKET, "SO_KEEPALIVE"), True)


# ── Numbers ─────────────────────────────────────────────────────────────────────────────────────────────


@case
def keepalive_is_tuned_within_its_bounds():
    with tcp() as (client, _), socket.socket() as fresh:
        for sock in (client, fresh):
            for name, top in (("TCP_KEEPIDLE", 32767), ("TCP_KEEPINTVL", 32767), ("TCP_KEEPCNT", 127)):
                for value in (1, 30, top):
                    sock.setsockopt(socket.IPPROTO_TCP, number(name), value)
                    equal(sock.getsockopt(socket.IPPROTO_TCP, number(name)), value)
                for value in (0, -1, top + 1):
                    with raising(OSError, errno.EINVAL):
                        sock.setsockopt(socket.IPPROTO_TCP, number(name), value)
                equal(sock.getsockopt(socket.IPPROTO_TCP, number(name)), top)


@case
def keepalive_starts_as_linux_has_it():
    with socket.socket() as sock:
        for name, value in (("TCP_KEEPIDLE", 7200), ("TCP_KEEPINTVL", 75), ("TCP_KEEPCNT", 9)):
            equal(sock.getsockopt(socket.IPPROTO_TCP, number(name)), value)


@case
def buffers_are_twice_what_was_asked_for():
    for sock in (socket.socket(), datagram_socket(), socket.socket(socket.AF_UNIX)):
        with sock:
            for name in ("SO_RCVBUF", "SO_SNDBUF"):
                assert sock.getsockopt(socket.SOL_SOCKET, number(name)) > 0
                for size in (8192, 65536):
                    sock.setsockopt(socket.SOL_SOCKET, number(name), size)
                    equal(sock.getsockopt(socket.SOL_SOCKET, number(name)), 2 * size)
                sock.setsockopt(socket.SOL_SOCKET, number(name), 0)
                assert sock.getsockopt(socket.SOL_SOCKET, number(name)) > 0


@over(CASES, *KINDS)
def a_small_buffer_still_carries_everything(one, other):
    for sock in (one, other):
        for name in ("SO_RCVBUF", "SO_SNDBUF"):
            sock.setsockopt(socket.SOL_SOCKET, number(name), 4096)
    data = bytes(range(256)) * 400
    one.setblocking(False)
    sent, received = 0, bytearray()
    while len(received) < len(data):
        wanted = [one] if sent < len(data) else []
        readable, writable, _ = select.select([other], wanted, [], 10)
        assert readable or writable
        if writable:
            sent += one.send(data[sent : sent + 1000])
        if readable:
            received += other.recv(65536)
    equal(bytes(received), data)


@case
def hops_are_counted():
    with socket.socket() as sock, datagram_socket() as other:
        for each in (sock, other):
            equal(each.getsockopt(socket.IPPROTO_IP, socket.IP_TTL), 64)
            each.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 17)
            equal(each.getsockopt(socket.IPPROTO_IP, socket.IP_TTL), 17)
            for value in (0, 256, -2):
                with raising(OSError, errno.EINVAL):
                    each.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, value)
            each.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
            equal(each.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), 0x10)


# ── What a socket is ────────────────────────────────────────────────────────────────────────────────────


@case
def a_socket_tells_what_it_is():
    for family, kind, protocol in (
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP),
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
    ):
        with socket.socket(family, kind) as sock:
            found = [
                sock.getsockopt(socket.SOL_SOCKET, option)
                for option in (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL, socket.SO_ERROR)
            ]
            equal(found, [family, kind, protocol, 0])
            for option in (
                socket.SO_DOMAIN,
                socket.SO_TYPE,
                socket.SO_PROTOCOL,
                socket.SO_ERROR,
                socket.SO_ACCEPTCONN,
            ):
                with raising(OSError, errno.ENOPROTOOPT):
                    sock.setsockopt(socket.SOL_SOCKET, option, 1)


@case
def an_error_is_told_once():
    with bound_datagram() as gone, datagram_socket() as sock:
        sock.connect(gone.getsockname())
        gone.close()
        sock.send(b"x")
        poller = select.poll()
        poller.register(sock, 0)
        assert poller.poll(10_000)
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED)
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
        equal(poller.poll(0), [])


# ── Linger ──────────────────────────────────────────────────────────────────────────────────────────────


@case
def linger_is_a_structure_of_two_numbers():
    with socket.socket() as sock:
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8), struct.pack("ii", 0, 0))
        for value in ((1, 5), (1, 0), (0, 7)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *value))
            on, seconds = struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
            equal(on, value[0])
            if on:
                equal(seconds, value[1])
        wrong: tuple[int | bytes, ...] = (1, b"\1\0\0\0", b"")
        for form in wrong:
            with raising(OSError, errno.EINVAL):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, form)


@over(CASES, *INTERNET)
def closing_without_linger_resets(one, other):
    other.sendall(b"unread")
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    equal(read_exactly(one, 6), b"unread")
    other.close()
    with raising(ConnectionResetError, errno.ECONNRESET):
        one.recv(1)


@over(CASES, *KINDS)
def closing_with_linger_delivers(one, other):
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    other.sendall(b"delivered")
    other.close()
    equal(read_exactly(one, 9), b"delivered")
    equal(one.recv(1), b"")


# ── Many at once ────────────────────────────────────────────────────────────────────────────────────────


@case
def multicast_options_have_bounds():
    with datagram_socket() as sock:
        for option, first in ((socket.IP_MULTICAST_TTL, 1), (socket.IP_MULTICAST_LOOP, 1)):
            equal(sock.getsockopt(socket.IPPROTO_IP, option), first)
            for value in (0, 1, struct.pack("i", 0), struct.pack("B", 1)):
                sock.setsockopt(socket.IPPROTO_IP, option, value)
                wanted = value if isinstance(value, int) else value[0]
                equal(sock.getsockopt(socket.IPPROTO_IP, option), wanted)
        for value in (256, -2):
            with raising(OSError, errno.EINVAL):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, value)
        with raising(OSError, errno.EINVAL):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("127.0.0.1") * 2)
        with raising(OSError, errno.EINVAL):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, b"\xef\1")
        with raising(OSError, errno.EADDRNOTAVAIL):
            sock.setsockopt(
                socket.IPPROTO_IP,
                socket.IP_DROP_MEMBERSHIP,
                socket.inet_aton("239.255.77.79") + socket.inet_aton("127.0.0.1"),
            )


@case
def the_interface_for_multicast_is_remembered():
    with datagram_socket() as sock:
        equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4), bytes(4))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4), socket.inet_aton("127.0.0.1"))
        with raising(OSError, errno.EADDRNOTAVAIL):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("203.0.113.1"))


# ── IPv6 ────────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_socket_of_ipv6_may_refuse_ipv4(host6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, kind) as sock:
            equal(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 0)
            for value in (1, 0, 1):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, value)
                equal(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), value)
            sock.bind((host6, 0))
            with raising(OSError, errno.EINVAL):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)


@case
def hops_are_counted_in_ipv6_too(host6):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        equal(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS), 64)
        for option in (socket.IPV6_UNICAST_HOPS, socket.IPV6_MULTICAST_HOPS):
            sock.setsockopt(socket.IPPROTO_IPV6, option, 17)
            equal(sock.getsockopt(socket.IPPROTO_IPV6, option), 17)
            with raising(OSError, errno.EINVAL):
                sock.setsockopt(socket.IPPROTO_IPV6, option, 256)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        equal(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP), 0)


@case
def ipv4_has_no_options_of_ipv6():
    with socket.socket() as sock, raising(OSError, errno.ENOPROTOOPT):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


# ── How options are asked for ───────────────────────────────────────────────────────────────────────────


@case
def an_option_may_be_asked_for_as_bytes():
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for length, found in (
            (0, 1),
            (1, b"\1"),
            (2, b"\1\0"),
            (4, b"\1\0\0\0"),
            (100, b"\1\0\0\0"),
            (1024, b"\1\0\0\0"),
        ):
            equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, length), found)
        for length in (-1, 1025):
            with raising(OSError):
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, length)


@case
def an_option_nobody_knows_is_an_error():
    with socket.socket() as sock, datagram_socket() as datagram:
        for each in (sock, datagram):
            for level in (socket.SOL_SOCKET, socket.IPPROTO_IP):
                with raising(OSError, errno.ENOPROTOOPT):
                    each.setsockopt(level, 9999, 1)
                with raising(OSError, errno.ENOPROTOOPT):
                    each.getsockopt(level, 9999)
            with raising(OSError, errno.ENOPROTOOPT):
                each.setsockopt(9999, 1, 1)
            with raising(OSError, errno.EOPNOTSUPP):
                each.getsockopt(9999, 1)
        with raising(OSError, errno.ENOPROTOOPT):
            sock.setsockopt(socket.IPPROTO_TCP, 9999, 1)
        with raising(OSError, errno.ENOPROTOOPT):
            datagram.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@case
def wrong_values_are_errors():
    with socket.socket() as sock:
        wrong: list[tuple[tuple[typing.Any, ...], type[Exception]]] = [
            ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, "1"), TypeError),
            ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1.0), TypeError),
            ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, None), TypeError),
            ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), TypeError),
            ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1, 4), TypeError),
            (("SOL_SOCKET", socket.SO_KEEPALIVE, 1), TypeError),
            ((socket.SOL_SOCKET, 2**40, 1), OverflowError),
        ]
        for arguments, kind in wrong:
            with raising(kind):
                sock.setsockopt(*arguments)
        for value in (b"", b"1", b"\1\0\0"):
            with raising(OSError, errno.EINVAL):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, value)
        equal(is_on(sock, socket.SOL_SOCKET, "SO_KEEPALIVE"), False)
