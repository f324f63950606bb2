"""The states that a socket can be in, each made with the other ends that it takes."""

import contextlib
import errno
import select
import socket
import typing

from tests.contract.cases import (
    await_events,
    bound_datagram,
    connecting,
    datagram_socket,
    equal,
    folder,
    listening,
    raising,
    reset,
    unused_path,
)
from tests.contract.ends import socketpair, tcp, tcp6, unix

STATES: dict[str, typing.Callable[..., contextlib.AbstractContextManager[socket.socket]]] = {}


def state(function):
    """Registers a state: a generator that yields the socket."""
    STATES[function.__name__] = contextlib.contextmanager(function)
    return function


# ── Streams ─────────────────────────────────────────────────────────────────────────────────────────────


@state
def fresh():
    with socket.socket() as sock:
        yield sock


@state
def bound():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@state
def listening_for_others():
    with listening() as listener:
        yield listener


@state
def listening_with_a_connection():
    with listening() as listener, connecting(listener):
        await_events(listener)
        yield listener


@state
def listening_no_more():
    with listening() as listener:
        listener.shutdown(socket.SHUT_RDWR)
        yield listener


@state
def connecting_to_silence(unanswering):
    with socket.socket() as sock:
        sock.setblocking(False)
        equal(sock.connect_ex(unanswering), errno.EINPROGRESS)
        yield sock


def fail_to_connect(sock):
    """The refusal has come, and nobody was told yet."""
    with socket.socket(sock.family) as silent:
        silent.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        equal(sock.connect_ex(silent.getsockname()), errno.EINPROGRESS)
        await_events(sock, select.POLLERR)


@state
def refused():
    with socket.socket() as sock:
        fail_to_connect(sock)
        yield sock


@state
def refused_and_told():
    with socket.socket() as sock:
        fail_to_connect(sock)
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED)
        yield sock


@state
def refused_while_blocking():
    with socket.socket() as silent, socket.socket() as sock:
        silent.bind(("127.0.0.1", 0))
        with raising(ConnectionRefusedError):
            sock.connect(silent.getsockname())
        yield sock


@state
def connected_without_blocking():
    with listening() as listener, socket.socket() as sock:
        sock.setblocking(False)
        equal(sock.connect_ex(listener.getsockname()), errno.EINPROGRESS)
        await_events(sock, select.POLLOUT)
        yield sock


@state
def connected():
    with tcp() as (client, _):
        yield client


@state
def accepted():
    with tcp() as (_, server):
        yield server


@state
def with_data():
    with tcp() as (client, server):
        server.sendall(b"data")
        await_events(client)
        yield client


@state
def peer_shut():
    with tcp() as (client, server):
        server.shutdown(socket.SHUT_WR)
        await_events(client)
        yield client


@state
def peer_closed():
    with tcp() as (client, server):
        server.close()
        await_events(client)
        yield client


@state
def peer_closed_after_data():
    with tcp() as (client, server):
        server.sendall(b"data")
        server.close()
        await_events(client, select.POLLRDHUP)
        yield client


@state
def peer_reset():
    with tcp() as (client, server):
        reset(server)
        await_events(client, select.POLLERR)
        yield client


@state
def peer_reset_and_told():
    with tcp() as (client, server):
        reset(server)
        with raising(ConnectionResetError):
            client.recv(1)
        yield client


@state
def shut_for_reading():
    with tcp() as (client, _):
        client.shutdown(socket.SHUT_RD)
        yield client


@state
def shut_for_writing():
    with tcp() as (client, _):
        client.shutdown(socket.SHUT_WR)
        yield client


@state
def shut():
    with tcp() as (client, _):
        client.shutdown(socket.SHUT_RDWR)
        yield client


@state
def shut_by_both():
    with tcp() as (client, server):
        server.shutdown(socket.SHUT_WR)
        await_events(client)
        client.shutdown(socket.SHUT_WR)
        yield client


@state
def closed():
    with tcp() as (client, _):
        client.close()
        yield client


@state
def fresh6(host6):
    with socket.socket(socket.AF_INET6) as sock:
        yield sock


@state
def connected6(host6):
    with tcp6(host6) as (client, _):
        yield client


# ── Datagrams ───────────────────────────────────────────────────────────────────────────────────────────


@state
def datagram():
    with datagram_socket() as sock:
        yield sock


@state
def datagram_bound():
    with bound_datagram() as sock:
        yield sock


@state
def datagram_connected():
    with bound_datagram() as sock, bound_datagram() as other:
        sock.connect(other.getsockname())
        yield sock


@state
def datagram_with_data():
    with bound_datagram() as sock, bound_datagram() as other:
        other.sendto(b"data", sock.getsockname())
        await_events(sock)
        yield sock


@state
def datagram_refused():
    with bound_datagram() as sock, bound_datagram() as other:
        sock.connect(other.getsockname())
        other.close()
        sock.send(b"x")
        await_events(sock, select.POLLERR)
        yield sock


@state
def datagram_shut():
    with bound_datagram() as sock, bound_datagram() as other:
        sock.connect(other.getsockname())
        sock.shutdown(socket.SHUT_RDWR)
        yield sock


@state
def datagram_closed():
    with bound_datagram() as sock:
        sock.close()
        yield sock


@state
def datagram6(host6):
    with bound_datagram(socket.AF_INET6, (host6, 0)) as sock:
        yield sock


# ── Sockets of this machine alone ───────────────────────────────────────────────────────────────────────


@state
def unix_fresh():
    with socket.socket(socket.AF_UNIX) as sock:
        yield sock


@state
def unix_bound():
    with folder() as where, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(unused_path(where))
        yield sock


@state
def unix_listening():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        yield listener


@state
def unix_connected():
    with unix() as (client, _):
        yield client


@state
def unix_accepted():
    with unix() as (_, server):
        yield server


@state
def unix_peer_closed():
    with unix() as (client, server):
        server.close()
        yield client


@state
def unix_peer_closed_without_reading():
    with unix() as (client, server):
        client.sendall(b"unread")
        server.close()
        yield client


@state
def unix_datagram():
    with datagram_socket(socket.AF_UNIX) as sock:
        yield sock


@state
def unix_datagram_bound():
    with folder() as where, bound_datagram(socket.AF_UNIX, unused_path(where)) as sock:
        yield sock


@state
def unix_datagram_connected():
    with (
        folder() as where,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
        datagram_socket(socket.AF_UNIX) as sock,
    ):
        sock.connect(other.getsockname())
        yield sock


@state
def pair():
    with socketpair() as (one, _):
        yield one


@state
def pair_peer_closed():
    with socketpair() as (one, other):
        other.close()
        yield one


@state
def pair_shut_for_writing():
    with socketpair() as (one, _):
        one.shutdown(socket.SHUT_WR)
        yield one


@state
def datagram_pair():
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with one, other:
        yield one


@state
def datagram_pair_peer_closed():
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with one, other:
        other.close()
        yield one
