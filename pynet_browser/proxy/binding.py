"""Gives sockets addresses of the proxy's host, as far as the policy lets pages listen."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Iterator

from pynet_browser.proxy.policy import ANY_PORT, PORT_MAX, ForbiddenError, Policy, Protocol

__all__ = ["ANY_ADDRESS", "LOOPBACK", "bind", "check_listening"]

ATTEMPTS = 64
"""Ports that are tried one after another before all that the rules allow count as taken."""

ANY_ADDRESS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What every address is narrowed to where the rules allow no more."""

SHARING = [getattr(socket, name) for name in ("SO_REUSEADDR", "SO_REUSEPORT") if hasattr(socket, name)]


def bind(sock: socket.socket, policy: Policy, address: str, port: int, *, to_listen: bool = False) -> None:
    """Bind a socket, as far as the rules allow.

    A free port is one where pages may listen. If there is none, any will do to connect or send from.

    Args:
        sock: it.
        policy: says where pages may listen.
        address: numeric; empty for every address, or for loopback where pages may listen only there.
        port: 0 for a free one.
        to_listen: the socket must be allowed to listen there.

    Raises:
        OSError: ``EACCES`` with a sentence that says what to change, or the system's own.
    """
    protocol: Protocol = "tcp" if sock.type == socket.SOCK_STREAM else "udp"
    address = address or ANY_ADDRESS[socket.AddressFamily(sock.family)]
    if port:
        sock.bind((_narrowed(policy, protocol, address, port), port))
        return
    # A datagram socket without a port of its own is mostly there to send, and may want to send anywhere.
    narrow = LOOPBACK.get(address, address) if protocol == "tcp" else address
    for where in (address, narrow):
        if ports := policy.listening_ports(protocol, where):
            _bind_to_one_of(sock, policy, protocol, where, ports)
            return
    if to_listen:
        raise ForbiddenError(policy.decide_listen(protocol, address, ANY_PORT))
    sock.bind((address, 0))


def check_listening(sock: socket.socket, policy: Policy, *, any_port: bool) -> None:
    """Whether a socket may listen where it is bound. With ``any_port`` it did not matter which port it is.

    Raises:
        OSError: ``EACCES`` with a sentence that says what to change.
    """
    host, port = sock.getsockname()[:2]
    decision = policy.decide_listen("tcp", host, port)
    if not decision.allowed and any_port:
        decision = policy.decide_listen("tcp", host, ANY_PORT)
    if not decision.allowed:
        raise ForbiddenError(decision)


def _narrowed(policy: Policy, protocol: Protocol, address: str, port: int) -> str:
    """The address itself, or loopback where rules allow no more."""
    decision = policy.decide_listen(protocol, address, port)
    if decision.allowed:
        return address
    narrow = LOOPBACK.get(address, address)
    if policy.decide_listen(protocol, narrow, port).allowed:
        return narrow
    raise ForbiddenError(decision)


def _bind_to_one_of(
    sock: socket.socket, policy: Policy, protocol: Protocol, address: str, ports: list[range]
) -> None:
    if any(len(each) == PORT_MAX for each in ports):
        sock.bind((address, 0))
        return
    with _unshared(sock):
        for port in _from_somewhere(ports):
            if not policy.decide_listen(protocol, address, port).allowed:
                continue
            try:
                sock.bind((address, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
            else:
                return
    raise OSError(errno.EADDRINUSE, "no port where the proxy lets pages listen is free")


def _from_somewhere(ports: list[range]) -> Iterator[int]:
    """Some of the ports, in order, from a random one on."""
    total = sum(map(len, ports))
    start = random.randrange(total)
    for index in range(start, start + min(total, ATTEMPTS)):
        at = index % total
        for each in ports:
            if at < len(each):
                yield each[at]
                break
            at -= len(each)


@contextlib.contextmanager
def _unshared(sock: socket.socket) -> Iterator[None]:
    """The socket without the options that let it have a port which is not free."""
    values = [(option, sock.getsockopt(socket.SOL_SOCKET, option)) for option in SHARING]
    for option, _ in values:
        sock.setsockopt(socket.SOL_SOCKET, option, 0)
    try:
        yield
    finally:
        for option, value in values:
            sock.setsockopt(socket.SOL_SOCKET, option, value)
