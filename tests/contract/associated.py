"""What UDP sockets with one peer promise."""

import errno
import select
import socket

from tests.contract.cases import (
    await_events,
    bound_datagram,
    datagram_socket,
    equal,
    nothing_waits,
    raising,
    suite,
)

CASES, case = suite()


def closed_port():
    """An address of this machine at which there is no socket."""
    with bound_datagram() as sock:
        return sock.getsockname()


@case
def a_connected_socket_sends_without_an_address():
    with datagram_socket() as one, bound_datagram() as other:
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
    with bound_datagram() as one, bound_datagram() as peer, bound_datagram() as stranger:
        one.connect(peer.getsockname())
        stranger.sendto(b"stranger", one.getsockname())
        peer.sendto(b"peer", one.getsockname())
        equal(one.recvfrom(100), (b"peer", peer.getsockname()))
        nothing_waits(one)


@case
def a_connected_socket_may_change_its_peer():
    with bound_datagram() as one, bound_datagram() as first, bound_datagram() as second:
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
    with datagram_socket() as one, bound_datagram() as peer, bound_datagram() as other:
        one.connect(peer.getsockname())
        one.sendto(b"elsewhere", other.getsockname())
        equal(other.recvfrom(100), (b"elsewhere", one.getsockname()))
        one.send(b"peer")
        equal(peer.recvfrom(100), (b"peer", one.getsockname()))


@case
def what_came_before_connecting_stays():
    with bound_datagram() as one, bound_datagram() as peer, bound_datagram() as stranger:
        stranger.sendto(b"early", one.getsockname())
        await_events(one)
        one.connect(peer.getsockname())
        equal(one.recvfrom(100), (b"early", stranger.getsockname()))


@case
def a_port_without_socket_is_reported_once():
    with datagram_socket() as one:
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
    with datagram_socket() as one:
        one.connect(closed_port())
        one.send(b"x")
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            one.recv(1)


@case
def who_is_not_connected_hears_of_no_port_without_socket():
    with datagram_socket() as one, bound_datagram() as other:
        one.sendto(b"x", closed_port())
        one.sendto(b"y", other.getsockname())
        data, address = other.recvfrom(1)
        other.sendto(data, address)
        equal(one.recv(1), b"y")
        equal(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
