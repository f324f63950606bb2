"""What listening TCP sockets promise."""

import errno
import select
import socket
import time

from tests.contract.cases import (
    PATIENCE,
    accepting,
    await_events,
    connecting,
    equal,
    events_now,
    listening,
    raising,
    read_all,
    read_exactly,
    reset,
    suite,
)

CASES, case = suite()


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────────────


@case
def binding_gives_an_address():
    with socket.socket() as sock:
        equal(sock.getsockname(), ("0.0.0.0", 0))
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        equal(host, "127.0.0.1")
        assert 0 < port < 65536
        sock.listen()
        equal(sock.getsockname(), (host, port))
        with raising(OSError, errno.EINVAL):
            sock.bind(("127.0.0.1", 0))
        with raising(OSError, errno.ENOTCONN):
            sock.getpeername()


@case
def listening_without_binding_gives_a_port():
    with socket.socket() as sock:
        sock.listen()
        host, port = sock.getsockname()
        equal(host, "0.0.0.0")
        with socket.create_connection(("127.0.0.1", port), PATIENCE), accepting(sock) as server:
            equal(server.getsockname(), ("127.0.0.1", port))


@case
def an_empty_host_is_every_address():
    with listening(address=("", 0)) as listener:
        host, port = listener.getsockname()
        equal(host, "0.0.0.0")
        with socket.create_connection(("127.0.0.1", port), PATIENCE), accepting(listener) as server:
            equal(server.getsockname(), ("127.0.0.1", port))


@case
def a_name_is_as_good_as_an_address():
    with listening(address=("localhost", 0)) as listener:
        equal(listener.getsockname()[0], "127.0.0.1")


@case
def both_ends_tell_the_same_addresses_crosswise():
    with listening() as listener, connecting(listener) as client:
        server, address = listener.accept()
        with server:
            equal(address, client.getsockname())
            equal(server.getpeername(), client.getsockname())
            equal(server.getsockname(), client.getpeername())
            equal(server.getsockname(), listener.getsockname())
            equal((server.family, server.type, server.proto), (listener.family, listener.type, 0))


@case
def a_client_may_choose_its_address():
    with listening() as listener, socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        address = client.getsockname()
        client.settimeout(PATIENCE)
        client.connect(listener.getsockname())
        equal(client.getsockname(), address)
        with accepting(listener) as server:
            equal(server.getpeername(), address)


@case
def create_connection_may_choose_its_address():
    with (
        listening() as listener,
        socket.create_connection(listener.getsockname(), PATIENCE, ("127.0.0.1", 0)) as client,
        accepting(listener) as server,
    ):
        equal(server.getpeername(), client.getsockname())


@case
def an_address_belongs_to_one_listener():
    with listening() as listener:
        for reuse in (0, 1):
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
                with raising(OSError, errno.EADDRINUSE):
                    other.bind(listener.getsockname())


@case
def two_sockets_that_reuse_an_address_may_be_bound_but_only_one_listens():
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        one.listen()
        with raising(OSError, errno.EADDRINUSE):
            other.listen()


@case
def two_sockets_that_do_not_reuse_an_address_cannot_both_be_bound():
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        with raising(OSError, errno.EADDRINUSE):
            other.bind(one.getsockname())


@case
def a_server_may_come_back_to_its_port_at_once():
    address = ("127.0.0.1", 0)
    for _ in range(3):
        with socket.create_server(address) as listener:  # which sets SO_REUSEADDR
            address = listener.getsockname()
            with connecting(listener) as client:
                accepting(listener).close()  # who closes first has the port in TIME_WAIT
                equal(client.recv(1), b"")


@case
def an_address_of_another_machine_cannot_be_had():
    with socket.socket() as sock, raising(OSError, errno.EADDRNOTAVAIL):
        sock.bind(("203.0.113.1", 0))


# ── Accepting ───────────────────────────────────────────────────────────────────────────────────────────


@case
def a_connection_carries_bytes_both_ways():
    with listening() as listener, connecting(listener) as client, accepting(listener) as server:
        client.sendall(b"question")
        equal(read_exactly(server, 8), b"question")
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        equal(read_all(client), b"answer")
        client.close()
        equal(server.recv(1), b"")


@case
def accept_waits_as_long_as_it_may():
    with listening() as listener:
        listener.settimeout(0.2)
        start = time.monotonic()
        with raising(TimeoutError):
            listener.accept()
        assert 0.15 < time.monotonic() - start < 5
        listener.settimeout(0)
        with raising(BlockingIOError, errno.EAGAIN):
            listener.accept()
        listener.settimeout(None)
        with connecting(listener):
            accepting(listener).close()


@case
def connections_are_accepted_in_the_order_in_which_they_came():
    with listening() as listener:
        clients = [connecting(listener) for _ in range(5)]
        servers = [accepting(listener) for _ in clients]
        equal(
            [server.getpeername() for server in servers],
            [client.getsockname() for client in clients],
        )
        for sock in (*clients, *servers):
            sock.close()


@case
def many_connections_are_served_one_after_another():
    with listening() as listener:
        for number in range(30):
            with connecting(listener) as client, accepting(listener) as server:
                client.sendall(b"%d" % number)
                client.shutdown(socket.SHUT_WR)
                server.sendall(read_all(server))
                server.shutdown(socket.SHUT_WR)
                equal(read_all(client), b"%d" % number)


@case
def what_was_sent_before_accept_is_not_lost():
    with listening() as listener, connecting(listener) as client:
        client.sendall(b"early")
        with accepting(listener) as server:
            equal(read_exactly(server, 5), b"early")


@case
def a_client_that_went_away_before_accept_is_accepted_all_the_same():
    with listening() as listener:
        client = connecting(listener)
        address = client.getsockname()
        client.sendall(b"bye")
        client.close()
        server, found = listener.accept()
        with server:
            server.settimeout(PATIENCE)
            equal(found, address)
            equal(read_all(server), b"bye")


@case
def a_client_that_reset_before_accept_is_accepted_too():
    with listening() as listener:
        client = connecting(listener)
        await_events(listener)
        reset(client)
        with accepting(listener) as server, raising(ConnectionResetError, errno.ECONNRESET):
            server.recv(1)


@case
def an_accepted_socket_blocks_by_the_default_alone():
    with listening() as listener:
        for timeout in (PATIENCE, 0.0, None):
            with connecting(listener):
                await_events(listener)
                listener.settimeout(timeout)
                server, _ = listener.accept()
                with server:
                    equal((server.gettimeout(), server.getblocking()), (None, True))
                    equal(server.get_inheritable(), False)
        with connecting(listener):
            socket.setdefaulttimeout(PATIENCE)
            try:
                server, _ = listener.accept()
            finally:
                socket.setdefaulttimeout(None)
            with server:
                equal(server.gettimeout(), PATIENCE)


@case
def an_accepted_socket_has_the_options_of_its_listener():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with connecting(listener), accepting(listener) as server:
            equal(server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
            equal(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
            equal(server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 0)


@case
def a_listener_says_that_it_is_one():
    with socket.socket() as sock:
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 0)
        sock.bind(("127.0.0.1", 0))
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 0)
        sock.listen()
        equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)


@case
def listening_again_is_allowed():
    with listening() as listener:
        address = listener.getsockname()
        for backlog in (50, 1, 0, -1):
            listener.listen(backlog)
            equal(listener.getsockname(), address)
            with connecting(listener), accepting(listener):
                pass


@case
def a_duplicate_accepts_too():
    with listening() as listener, listener.dup() as duplicate:
        duplicate.settimeout(PATIENCE)
        with connecting(listener), accepting(duplicate) as server:
            equal(server.getsockname(), listener.getsockname())
        address = listener.getsockname()
        listener.close()
        with socket.create_connection(address, PATIENCE), accepting(duplicate):
            pass


# ── What a listener cannot do ───────────────────────────────────────────────────────────────────────────


@case
def who_does_not_listen_does_not_accept():
    with socket.socket() as sock:
        sock.settimeout(None)
        with raising(OSError, errno.EINVAL):
            sock.accept()
        sock.bind(("127.0.0.1", 0))
        with raising(OSError, errno.EINVAL):
            sock.accept()
    with listening() as listener, connecting(listener) as client, accepting(listener) as server:
        for sock in (client, server):
            sock.settimeout(None)
            with raising(OSError, errno.EINVAL):
                sock.accept()
            with raising(OSError, errno.EINVAL):
                sock.listen()


@case
def a_listener_neither_connects_nor_carries_bytes():
    with listening() as listener, listening() as other:
        listener.settimeout(None)
        with raising(OSError, errno.EISCONN):
            listener.connect(other.getsockname())
        with raising(OSError, errno.ENOTCONN):
            listener.recv(1)
        with raising(BrokenPipeError, errno.EPIPE):
            listener.send(b"x")


@case
def a_bound_socket_that_does_not_listen_refuses():
    with socket.socket() as bound, socket.socket() as client:
        bound.bind(("127.0.0.1", 0))
        with raising(ConnectionRefusedError, errno.ECONNREFUSED):
            client.connect(bound.getsockname())


# ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_closed_listener_refuses():
    listener = listening()
    address = listener.getsockname()
    listener.close()
    with raising(OSError, errno.EBADF):
        listener.accept()
    with socket.socket() as client, raising(ConnectionRefusedError, errno.ECONNREFUSED):
        client.connect(address)


@case
def connections_that_nobody_took_are_reset_with_their_listener():
    listener = listening()
    with connecting(listener) as client, connecting(listener) as other:
        await_events(listener)
        listener.close()
        for sock in (client, other):
            with raising(ConnectionResetError, errno.ECONNRESET):
                sock.recv(1)


@case
def connections_outlive_their_listener():
    with listening() as listener, connecting(listener) as client, accepting(listener) as server:
        listener.close()
        client.sendall(b"still here")
        equal(read_exactly(server, 10), b"still here")


@case
def a_listener_that_is_shut_accepts_no_more():
    with listening() as listener:
        address = listener.getsockname()
        listener.shutdown(socket.SHUT_RD)
        listener.settimeout(None)
        with raising(OSError, errno.EINVAL):
            listener.accept()
        with socket.socket() as client, raising(ConnectionRefusedError, errno.ECONNREFUSED):
            client.connect(address)
        with raising(OSError, errno.ENOTCONN):
            listener.shutdown(socket.SHUT_RD)


@case
def a_listener_has_no_end_for_writing():
    with listening() as listener:
        listener.shutdown(socket.SHUT_WR)
        with connecting(listener), accepting(listener):
            pass


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────


@case
def a_listener_is_readable_while_connections_wait():
    every = select.POLLIN | select.POLLOUT | select.POLLRDHUP
    with listening() as listener:
        equal(events_now(listener, every), 0)
        equal(select.select([listener], [listener], [listener], 0), ([], [], []))
        with connecting(listener), connecting(listener):
            equal(await_events(listener, every), select.POLLIN)
            equal(select.select([listener], [listener], [listener], 0), ([listener], [], []))
            with accepting(listener), accepting(listener):
                equal(events_now(listener, every), 0)


@case
def a_loop_without_blocking_serves_clients_and_server_alike():
    with listening() as listener:
        listener.setblocking(False)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            equal(client.connect_ex(listener.getsockname()), errno.EINPROGRESS)
        unsent = list(clients)
        servers: list[socket.socket] = []
        answers: dict[socket.socket, bytes] = {}
        while len(answers) < len(clients):
            readable, writable, _ = select.select([listener, *clients, *servers], unsent, [], PATIENCE)
            assert readable or writable
            for sock in writable:
                equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
                equal(sock.send(b"x"), 1)
                unsent.remove(sock)
            for sock in readable:
                if sock is listener:
                    servers.append(listener.accept()[0])
                elif sock in servers:
                    sock.send(sock.recv(1) + b"!")
                    sock.close()
                    servers.remove(sock)
                elif data := sock.recv(2):
                    answers[sock] = data
        equal(set(answers.values()), {b"x!"})
        for client in clients:
            client.close()


# ── IPv6 ────────────────────────────────────────────────────────────────────────────────────────────────


@case
def ipv6_works_like_ipv4(host6):
    with listening(socket.AF_INET6, (host6, 0)) as listener, connecting(listener) as client:
        server, address = listener.accept()
        with server:
            equal(len(address), 4)
            equal(address, client.getsockname())
            equal(server.getsockname(), client.getpeername())
            equal(server.getsockname()[0], host6)
            client.sendall(b"six")
            equal(read_exactly(server, 3), b"six")


@case
def a_server_of_both_families_accepts_both(host6):
    assert socket.has_dualstack_ipv6()
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        host, port = listener.getsockname()[:2]
        equal(host, "::")
        for target, found in ((host6, host6), ("127.0.0.1", "::ffff:127.0.0.1")):
            with (
                socket.create_connection((target, port), PATIENCE) as client,
                accepting(listener) as server,
            ):
                equal(server.getsockname()[0], found)
                equal(server.getpeername()[:2], (found, client.getsockname()[1]))


@case
def a_server_of_ipv6_alone_leaves_ipv4_to_others(host6):
    with socket.socket() as other, socket.socket() as client:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with socket.create_server(("", port), family=socket.AF_INET6) as listener:
            equal(listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 1)
            with raising(ConnectionRefusedError, errno.ECONNREFUSED):
                client.connect(("127.0.0.1", port))
            with socket.create_connection((host6, port), PATIENCE), accepting(listener):
                pass
