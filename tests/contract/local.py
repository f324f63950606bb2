"""What socket pairs and sockets with paths as addresses (AF_UNIX) promise."""

import errno
import os
import select
import socket
import stat
import time

from tests.contract.cases import (
    PATIENCE,
    accepting,
    await_events,
    bound_datagram,
    connecting,
    datagram_socket,
    equal,
    events_now,
    folder,
    listening,
    nothing_waits,
    raising,
    read_all,
    suite,
    unused_path,
)

CASES, case = suite()


# ── Pairs ───────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_pair_is_of_this_machines_own_family():
    one, other = socket.socketpair()
    with one, other:
        for sock in (one, other):
            equal((sock.family, sock.type, sock.proto), (socket.AF_UNIX, socket.SOCK_STREAM, 0))
            equal((sock.getsockname(), sock.getpeername()), ("", ""))
            equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN), socket.AF_UNIX)
            equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE), socket.SOCK_STREAM)
            equal((sock.gettimeout(), sock.get_inheritable()), (None, False))


@case
def a_pair_may_be_named_in_full():
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    with one, other:
        one.sendall(b"x")
        equal(other.recv(1), b"x")


@case
def a_pair_of_the_internet_cannot_be_had():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with raising(OSError, errno.EOPNOTSUPP):
            socket.socketpair(socket.AF_INET, kind)


@case
def a_pair_has_the_default_timeout():
    socket.setdefaulttimeout(0.1)
    try:
        one, other = socket.socketpair()
    finally:
        socket.setdefaulttimeout(None)
    with one, other:
        equal((one.gettimeout(), other.gettimeout()), (0.1, 0.1))
        with raising(TimeoutError):
            one.recv(1)


@case
def a_pair_of_datagrams_keeps_their_borders():
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with one, other:
        for data in (b"one", b"", b"three"):
            one.send(data)
        equal([other.recv(100) for _ in range(3)], [b"one", b"", b"three"])
        one.send(b"0123456789")
        equal(other.recv(4), b"0123")
        nothing_waits(other)
        one.send(b"x")
        equal(other.recvfrom(1), (b"x", None))
        one.send(b"0123456789")
        equal(other.recvmsg(4), (b"0123", [], socket.MSG_TRUNC, None))


@case
def a_pair_of_datagrams_has_no_end():
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with one, other:
        other.send(b"last")
        other.close()
        equal(one.recv(10), b"last")
        nothing_waits(one)
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            one.send(b"x")


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────────────


@case
def binding_makes_a_file_that_stays():
    with folder() as where:
        path = unused_path(where)
        with socket.socket(socket.AF_UNIX) as sock:
            equal(sock.getsockname(), "")
            sock.bind(path)
            equal(sock.getsockname(), path)
            assert stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116  addresses are text
        assert os.path.exists(path)  # noqa: PTH110
        with socket.socket(socket.AF_UNIX) as again:
            with raising(OSError, errno.EADDRINUSE):
                again.bind(path)
            os.unlink(path)  # noqa: PTH108
            again.bind(path)


@case
def a_path_may_be_bytes():
    with folder() as where:
        path = unused_path(where)
        with listening(socket.AF_UNIX, path.encode()) as listener:
            equal(listener.getsockname(), path)
            with connecting(listener) as client:
                equal(client.getpeername(), path)


@case
def a_path_must_be_possible():
    with folder() as where, socket.socket(socket.AF_UNIX) as sock:
        with raising(FileNotFoundError, errno.ENOENT):
            sock.bind(str(where / "no folder" / "socket"))
        with raising(OSError):
            sock.bind(str(where / ("x" * 200)))
        (where / "file").write_bytes(b"")
        with raising(OSError, errno.EADDRINUSE):
            sock.bind(str(where / "file"))
        sock.bind(unused_path(where))
        with raising(OSError, errno.EINVAL):
            sock.bind(unused_path(where))


@case
def connecting_needs_one_who_listens():
    with folder() as where:
        path = unused_path(where)
        with socket.socket(socket.AF_UNIX) as client:
            with raising(FileNotFoundError, errno.ENOENT):
                client.connect(path)
            with socket.socket(socket.AF_UNIX) as silent:
                silent.bind(path)
                with raising(ConnectionRefusedError, errno.ECONNREFUSED):
                    client.connect(path)
            with raising(ConnectionRefusedError, errno.ECONNREFUSED):
                client.connect(path)  # there is a file, and nobody behind it
            (where / "file").write_bytes(b"")
            with raising(ConnectionRefusedError, errno.ECONNREFUSED):
                client.connect(str(where / "file"))
            with (
                bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
                raising(OSError, errno.EPROTOTYPE),
            ):
                client.connect(other.getsockname())
            with listening(socket.AF_UNIX, unused_path(where)) as listener:
                client.connect(listener.getsockname())


@case
def a_listener_whose_file_is_gone_cannot_be_found():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        path = listener.getsockname()
        with connecting(listener) as early:
            os.unlink(path)  # noqa: PTH108
            with socket.socket(socket.AF_UNIX) as late, raising(FileNotFoundError, errno.ENOENT):
                late.connect(path)
            with accepting(listener) as server:
                early.sendall(b"x")
                equal(server.recv(1), b"x")


@case
def a_file_that_moved_leads_to_the_same_listener():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        moved = str(where / "moved")
        os.rename(listener.getsockname(), moved)  # noqa: PTH104
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(moved)
            with accepting(listener):
                equal(client.getpeername(), listener.getsockname())


@case
def an_abstract_name_is_no_file():
    name = b"\0pynet-browser contract"
    with listening(socket.AF_UNIX, name) as listener:
        equal(listener.getsockname(), name)
        with socket.socket(socket.AF_UNIX) as other, raising(OSError, errno.EADDRINUSE):
            other.bind(name)
        with connecting(listener) as client, accepting(listener) as server:
            equal((client.getpeername(), server.getsockname()), (name, name))
            client.sendall(b"x")
            equal(server.recv(1), b"x")
    with socket.socket(socket.AF_UNIX) as client, raising(ConnectionRefusedError, errno.ECONNREFUSED):
        client.connect(name)


# ── Listeners ───────────────────────────────────────────────────────────────────────────────────────────


@case
def a_connection_tells_the_paths_that_there_are():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        path = listener.getsockname()
        with connecting(listener) as client:
            server, address = listener.accept()
            with server:
                equal(address, "")
                equal((client.getsockname(), client.getpeername()), ("", path))
                equal((server.getsockname(), server.getpeername()), (path, ""))
        with socket.socket(socket.AF_UNIX) as client:
            own = unused_path(where)
            client.bind(own)
            client.connect(path)
            server, address = listener.accept()
            with server:
                equal((address, server.getpeername()), (own, own))
                client.sendall(b"x")
                equal(server.recvfrom(1), (b"x", own))


@case
def what_was_sent_before_accept_is_not_lost():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        with connecting(listener) as client:
            client.sendall(b"early")
        with accepting(listener) as server:
            equal(read_all(server), b"early")


@case
def a_full_queue_turns_away_who_will_not_wait():
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        listener.listen(0)
        clients = []
        with raising(BlockingIOError, errno.EAGAIN):
            for _ in range(10):
                client = socket.socket(socket.AF_UNIX)
                clients.append(client)
                client.setblocking(False)
                client.connect(listener.getsockname())
        assert len(clients) > 1
        accepting(listener).close()
        clients[-1].connect(listener.getsockname())
        for client in clients:
            client.close()


@case
def a_listener_that_is_closed_ends_its_queue():
    with folder() as where:
        listener = listening(socket.AF_UNIX, unused_path(where))
        with connecting(listener) as client:
            listener.close()
            with raising(ConnectionResetError, errno.ECONNRESET):
                client.recv(1)


@case
def a_listener_is_readable_while_connections_wait():
    every = select.POLLIN | select.POLLOUT | select.POLLRDHUP
    with folder() as where, listening(socket.AF_UNIX, unused_path(where)) as listener:
        equal(events_now(listener, every), 0)
        with raising(BlockingIOError, errno.EAGAIN):
            listener.setblocking(False)
            listener.accept()
        listener.settimeout(0.2)
        start = time.monotonic()
        with raising(TimeoutError):
            listener.accept()
        assert 0.15 < time.monotonic() - start < 5
        with connecting(listener):
            equal(await_events(listener, every), select.POLLIN)
            accepting(listener).close()


@case
def who_does_not_listen_does_not_accept():
    with folder() as where, socket.socket(socket.AF_UNIX) as sock:
        for operation in (sock.accept, sock.listen):
            with raising(OSError, errno.EINVAL):
                operation()
        sock.bind(unused_path(where))
        with raising(OSError, errno.EINVAL):
            sock.accept()


# ── Datagrams ───────────────────────────────────────────────────────────────────────────────────────────


@case
def datagrams_go_from_path_to_path():
    with (
        folder() as where,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as one,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
    ):
        one.sendto(b"x", other.getsockname())
        equal(other.recvfrom(10), (b"x", one.getsockname()))
        other.sendmsg([b"y", b"z"], [], 0, one.getsockname())
        equal(one.recvmsg(10), (b"yz", [], 0, other.getsockname()))


@case
def a_datagram_of_a_nameless_socket_has_no_sender():
    with (
        folder() as where,
        datagram_socket(socket.AF_UNIX) as one,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
    ):
        one.sendto(b"x", other.getsockname())
        equal(other.recvfrom(10), (b"x", None))
        equal(one.getsockname(), "")


@case
def a_datagram_needs_one_who_hears():
    with folder() as where, datagram_socket(socket.AF_UNIX) as one:
        path = unused_path(where)
        with raising(FileNotFoundError, errno.ENOENT):
            one.sendto(b"x", path)
        bound_datagram(socket.AF_UNIX, path).close()
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            one.sendto(b"x", path)
        with raising(OSError, errno.ENOTCONN):
            one.send(b"x")
        with (
            listening(socket.AF_UNIX, unused_path(where)) as listener,
            raising(OSError, errno.EPROTOTYPE),
        ):
            one.sendto(b"x", listener.getsockname())


@case
def a_connected_datagram_socket_has_one_peer():
    with (
        folder() as where,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as one,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as stranger,
    ):
        one.connect(other.getsockname())
        equal(one.getpeername(), other.getsockname())
        one.send(b"x")
        equal(other.recvfrom(1), (b"x", one.getsockname()))
        with raising(PermissionError, errno.EPERM):
            stranger.sendto(b"no", one.getsockname())
        other.sendto(b"yes", one.getsockname())
        equal(one.recv(10), b"yes")


@case
def a_sender_waits_for_room():
    with (
        folder() as where,
        datagram_socket(socket.AF_UNIX) as one,
        bound_datagram(socket.AF_UNIX, unused_path(where)) as other,
    ):
        one.connect(other.getsockname())
        one.setblocking(False)
        sent = 0
        with raising(BlockingIOError, errno.EAGAIN):
            while sent < 100_000:
                one.send(b"%d" % sent)
                sent += 1
        assert sent > 0
        equal(select.select([], [one], [], 0), ([], [], []))
        equal([other.recv(100) for _ in range(sent)], [b"%d" % number for number in range(sent)])
        equal(select.select([], [one], [], PATIENCE)[1], [one])
