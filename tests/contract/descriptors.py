"""What file descriptors of sockets promise: duplicates, and sockets made of a descriptor."""

import errno
import fcntl
import os
import select
import socket
import typing

from tests.contract.cases import (
    PATIENCE,
    accepting,
    await_events,
    bound_datagram,
    connecting,
    datagram_socket,
    equal,
    events_now,
    listening,
    raising,
    read_exactly,
    suite,
)
from tests.contract.ends import KINDS, over

CASES, case = suite()


@over(CASES, *KINDS)
def a_duplicate_keeps_the_connection(one, other):
    duplicate = one.dup()
    assert duplicate.fileno() != one.fileno()
    equal((duplicate.family, duplicate.type, duplicate.proto), (one.family, one.type, one.proto))
    equal(duplicate.gettimeout(), PATIENCE)
    one.close()
    with duplicate:
        duplicate.sendall(b"still here")
        equal(read_exactly(other, 10), b"still here")
        other.sendall(b"you too")
        equal(read_exactly(duplicate, 7), b"you too")
    equal(other.recv(1), b"")


@over(CASES, *KINDS)
def duplicates_read_one_stream(one, other):
    with one.dup() as duplicate:
        other.sendall(b"abcd")
        equal(read_exactly(one, 2) + read_exactly(duplicate, 2), b"abcd")
        duplicate.shutdown(socket.SHUT_WR)
        equal(other.recv(1), b"")
        with raising(BrokenPipeError, errno.EPIPE):
            one.send(b"x")


@over(CASES, *KINDS)
def duplicates_block_as_one(one, other):
    one.settimeout(None)
    duplicate = socket.socket(fileno=os.dup(one.fileno()))
    with duplicate:
        equal(os.get_blocking(duplicate.fileno()), True)
        one.setblocking(False)
        equal(os.get_blocking(duplicate.fileno()), False)
        equal(duplicate.getblocking(), True)  # what the object remembers
        with raising(BlockingIOError, errno.EAGAIN):
            duplicate.recv(1)
        fcntl.fcntl(duplicate, fcntl.F_SETFL, fcntl.fcntl(duplicate, fcntl.F_GETFL) & ~os.O_NONBLOCK)
        equal(os.get_blocking(one.fileno()), True)


@over(CASES, *KINDS)
def a_detached_descriptor_makes_a_socket_again(one, other):
    family, kind, proto = one.family, one.type, one.proto
    descriptor = one.detach()
    equal((one.fileno(), one.detach()), (-1, -1))
    with raising(OSError, errno.EBADF):
        one.send(b"x")
    with socket.socket(fileno=descriptor) as again:
        equal((again.family, again.type), (family, kind))
        equal(again.proto, socket.IPPROTO_TCP if family != socket.AF_UNIX else proto)
        equal(again.fileno(), descriptor)
        again.settimeout(PATIENCE)
        again.sendall(b"again")
        equal(read_exactly(other, 5), b"again")


@over(CASES, *KINDS)
def fromfd_makes_a_duplicate(one, other):
    with socket.fromfd(one.fileno(), one.family, one.type) as duplicate:
        assert duplicate.fileno() != one.fileno()
        one.close()
        duplicate.sendall(b"x")
        equal(other.recv(1), b"x")


@over(CASES, *KINDS)
def a_descriptor_reads_and_writes_like_a_file(one, other):
    equal(os.write(one.fileno(), b"written"), 7)
    equal(read_exactly(other, 7), b"written")
    other.sendall(b"answer")
    await_events(one)
    equal(os.read(one.fileno(), 100), b"answer")
    other.shutdown(socket.SHUT_WR)
    await_events(one)
    equal(os.read(one.fileno(), 100), b"")


@case
def duplicates_of_a_datagram_socket_read_one_queue():
    with bound_datagram() as one, bound_datagram() as other, other.dup() as duplicate:
        equal(duplicate.getsockname(), other.getsockname())
        one.sendto(b"1", other.getsockname())
        one.sendto(b"2", other.getsockname())
        equal([other.recv(1), duplicate.recv(1)], [b"1", b"2"])
        other.close()
        one.sendto(b"3", duplicate.getsockname())
        equal(duplicate.recv(1), b"3")


@case
def a_descriptor_tells_what_it_is():
    for make, found in (
        (socket.socket, (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)),
        (datagram_socket, (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)),
        (lambda: socket.socket(socket.AF_UNIX), (socket.AF_UNIX, socket.SOCK_STREAM, 0)),
        (lambda: datagram_socket(socket.AF_UNIX), (socket.AF_UNIX, socket.SOCK_DGRAM, 0)),
    ):
        with make() as sock, socket.socket(fileno=os.dup(sock.fileno())) as other:
            equal((other.family, other.type, other.proto), found)


@case
def a_listener_goes_on_in_its_duplicate():
    listener = listening()
    with listener.dup() as duplicate:
        listener.close()
        with connecting(duplicate), accepting(duplicate) as server:
            equal(server.getsockname(), duplicate.getsockname())


@case
def what_is_no_socket_makes_none():
    wrong: list[tuple[typing.Any, type[Exception]]] = [(-1, ValueError), ("x", TypeError), (1.5, TypeError)]
    for value, kind in wrong:
        with raising(kind):
            socket.socket(fileno=value)
    with socket.socket() as sock:
        descriptor = sock.fileno()
    with raising(OSError, errno.EBADF):
        socket.socket(fileno=descriptor)
    with raising(OSError, errno.EBADF):
        socket.close(descriptor)
    reading, writing = os.pipe()
    try:
        with raising(OSError, errno.ENOTSOCK):
            socket.socket(fileno=reading)
    finally:
        os.close(reading)
        os.close(writing)


@case
def kinds_that_do_not_exist_cannot_be_had():
    for arguments, number in (
        ((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP), errno.EPROTONOSUPPORT),
        ((socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_TCP), errno.EPROTONOSUPPORT),
        ((socket.AF_INET, socket.SOCK_SEQPACKET), errno.ESOCKTNOSUPPORT),
        ((socket.AF_INET, 99), errno.EINVAL),
        ((9999, socket.SOCK_STREAM), errno.EAFNOSUPPORT),
    ):
        with raising(OSError, number):
            socket.socket(*arguments)


@case
def a_socket_may_be_born_without_blocking():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        equal((sock.type, sock.gettimeout()), (socket.SOCK_DGRAM, 0.0))
        sock.bind(("127.0.0.1", 0))
        with raising(BlockingIOError, errno.EAGAIN):
            sock.recv(1)


@case
def a_descriptor_is_used_again():
    with socket.socket() as one:
        descriptor = one.fileno()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        equal(other.fileno(), descriptor)
        equal(events_now(other, select.POLLIN | select.POLLOUT), select.POLLOUT)
