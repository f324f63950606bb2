"""What each call says in each state of a socket: a table that Linux fills in, and that the page must repeat.

An outcome is "ok", or what the call returned where that can be compared as text, or for an exception its
type, the name of its errno, and its message. Numbers in messages are left out: they differ between systems.
What CPython itself says is of those calls whose words have been the same since 3.11.
"""

import contextlib
import errno
import fcntl
import os
import re
import socket
import struct
import termios

from tests.contract import choose
from tests.contract.cases import bound_datagram, folder, listening, unused_path
from tests.contract.states import STATES

__all__ = ["CALLS", "STATES", "columns"]

WAITING = {"EAGAIN", "EALREADY"}
"""What a call says that would wait if the socket blocked."""


def columns(state, peers):
    """All outcomes in a state, by call: for a socket that does not block, and for one that does.

    What would wait is left out of the second.
    """
    patient = {}
    swift = {call: _outcome(state, call, peers, blocking=False) for call in CALLS}
    for call, outcome in swift.items():
        if (outcome[1] if isinstance(outcome, list) else outcome) not in WAITING:
            patient[call] = _outcome(state, call, peers, blocking=True)
    return {"does not block": swift, "blocks": patient}


def _outcome(state, call, peers, *, blocking):
    make = STATES[state]
    with make(**choose(make, peers)) as sock, contextlib.ExitStack() as stack:
        if sock.fileno() >= 0:
            sock.setblocking(blocking)
        try:
            result = CALLS[call](sock, Elsewhere(sock, stack))
        except Exception as error:  # noqa: BLE001  whatever it is, it is the outcome
            return [type(error).__name__, _errno_name(error), _message(error)]
    return result if isinstance(result, str) else "ok"


def _detached(sock):
    descriptor = sock.detach()
    if descriptor >= 0:
        os.close(descriptor)
    return str(descriptor >= 0)


def _errno_name(error):
    number = getattr(error, "errno", 0)
    if isinstance(error, socket.gaierror):
        return next(
            (name for name in dir(socket) if name[:4] == "EAI_" and getattr(socket, name) == number), None
        )
    return errno.errorcode.get(number)


def _message(error):
    return re.sub(r"\d+", "#", getattr(error, "strerror", None) or str(error))


class Elsewhere:
    """Addresses of others, of the kind that a socket deals with; made when they are asked for."""

    def __init__(self, sock, stack):
        self._family, self._kind, self._stack = sock.family, sock.type, stack

    @property
    def free(self):
        """An address that can be had."""
        return unused_path(self._folder()) if self._family == socket.AF_UNIX else (self._host, 0)

    @property
    def foreign(self):
        """An address that cannot be had here."""
        if self._family == socket.AF_UNIX:
            return str(self._folder() / "no folder" / "socket")
        return ("203.0.113.1" if self._family == socket.AF_INET else "2001:db8::1", 0)

    @property
    def answering(self):
        """Where one listens, or hears."""
        if self._kind == socket.SOCK_DGRAM:
            other = bound_datagram(self._family, self.free)
        else:
            other = listening(self._family, self.free)
        return self._stack.enter_context(other).getsockname()

    @property
    def deserted(self):
        """Where there was one who is gone."""
        with socket.socket(self._family, self._kind) as gone:
            gone.bind(self.free)
            return gone.getsockname()

    def at_port(self, port):
        return (self._host, port)

    @property
    def _host(self):
        return "127.0.0.1" if self._family == socket.AF_INET else "::1"

    def _folder(self):
        return self._stack.enter_context(folder())


# ── What calls return, as text ──────────────────────────────────────────────────────────────────────────


def place(address):
    """An address without what differs each time."""
    if isinstance(address, tuple):
        host, port, *rest = address
        return f"{host} {'a port' if port else 0} {rest}"
    return "a path" if address else repr(address)


def received(result):
    """What recvfrom and its kin return, likewise."""
    *parts, address = result
    return f"{parts} from {place(address)}"


def errno_of(number):
    return errno.errorcode.get(number, str(number))


def next_size(sock):
    return str(struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0])


# ── The calls ───────────────────────────────────────────────────────────────────────────────────────────

TOO_LONG = "x" * 200

CALLS = {
    # bind
    "bind a free address": lambda s, e: s.bind(e.free),
    "bind an address in use": lambda s, e: s.bind(e.answering),
    "bind a foreign address": lambda s, e: s.bind(e.foreign),
    "bind a number": lambda s, e: s.bind(5),
    "bind None": lambda s, e: s.bind(None),
    "bind text": lambda s, e: s.bind(TOO_LONG),
    "bind nothing": lambda s, e: s.bind(),
    "bind a list": lambda s, e: s.bind(["127.0.0.1", 0]),
    "bind a host without port": lambda s, e: s.bind(("127.0.0.1",)),
    "bind five parts": lambda s, e: s.bind(("127.0.0.1", 0, 0, 0, 0)),
    "bind a port too large": lambda s, e: s.bind(e.at_port(65536)),
    "bind a port too small": lambda s, e: s.bind(e.at_port(-1)),
    "bind a port of text": lambda s, e: s.bind(e.at_port("80")),
    "bind a host that is a number": lambda s, e: s.bind((5, 80)),
    # connect
    "connect": lambda s, e: s.connect(e.answering),
    "connect to whom nobody is": lambda s, e: s.connect(e.deserted),
    "connect to a number": lambda s, e: s.connect(5),
    "connect to None": lambda s, e: s.connect(None),
    "connect to text": lambda s, e: s.connect(TOO_LONG),
    "connect to nothing": lambda s, e: s.connect(),
    "connect to a host without port": lambda s, e: s.connect(("127.0.0.1",)),
    "connect to five parts": lambda s, e: s.connect(("127.0.0.1", 1, 0, 0, 0)),
    "connect to a port too large": lambda s, e: s.connect(e.at_port(65536)),
    "connect to a port too small": lambda s, e: s.connect(e.at_port(-1)),
    "connect to a port of text": lambda s, e: s.connect(e.at_port("80")),
    "connect to a host with a null": lambda s, e: s.connect(("a\0b", 80)),
    "connect_ex": lambda s, e: errno_of(s.connect_ex(e.answering)),
    "connect_ex to whom nobody is": lambda s, e: errno_of(s.connect_ex(e.deserted)),
    "connect_ex to a number": lambda s, e: errno_of(s.connect_ex(5)),
    # listen and accept
    "listen": lambda s, e: s.listen(),
    "listen with a backlog": lambda s, e: s.listen(5),
    "listen with a negative backlog": lambda s, e: s.listen(-1),
    "listen with text": lambda s, e: s.listen("x"),
    "listen with too much": lambda s, e: s.listen(2**70),
    "accept": lambda s, e: s.accept()[0].close(),
    "accept with an argument": lambda s, e: s.accept(1),
    # addresses
    "getsockname": lambda s, e: place(s.getsockname()),
    "getsockname with an argument": lambda s, e: s.getsockname(1),
    "getpeername": lambda s, e: place(s.getpeername()),
    # send
    "send": lambda s, e: str(s.send(b"x")),
    "send nothing": lambda s, e: str(s.send(b"")),
    "send text": lambda s, e: s.send("x"),
    "send a number": lambda s, e: s.send(5),
    "send without arguments": lambda s, e: s.send(),
    "send without waiting": lambda s, e: str(s.send(b"x", socket.MSG_DONTWAIT)),
    "send with flags of text": lambda s, e: s.send(b"x", "x"),
    "sendall": lambda s, e: s.sendall(b"x"),
    "sendall nothing": lambda s, e: s.sendall(b""),
    "sendall text": lambda s, e: s.sendall("x"),
    "sendto": lambda s, e: str(s.sendto(b"x", e.answering)),
    "sendto with flags": lambda s, e: str(s.sendto(b"x", socket.MSG_DONTWAIT, e.answering)),
    "sendto whom nobody is": lambda s, e: str(s.sendto(b"x", e.deserted)),
    "sendto nobody": lambda s, e: s.sendto(b"x"),
    "sendto a number": lambda s, e: s.sendto(b"x", 5),
    "sendto None": lambda s, e: s.sendto(b"x", None),
    "sendto a host without port": lambda s, e: s.sendto(b"x", ("127.0.0.1",)),
    "sendto a port too large": lambda s, e: s.sendto(b"x", e.at_port(65536)),
    "sendto a port of text": lambda s, e: s.sendto(b"x", e.at_port("80")),
    "sendto with text": lambda s, e: s.sendto("x", e.answering),
    "sendto with too many arguments": lambda s, e: s.sendto(b"x", 0, e.answering, 0),
    "sendto too much for a datagram": lambda s, e: (
        s.sendto(bytes(65508), e.answering)
        if s.type == socket.SOCK_DGRAM and s.family == socket.AF_INET
        else "of no interest"
    ),
    "sendmsg": lambda s, e: str(s.sendmsg([b"x", b"y"])),
    "sendmsg nothing": lambda s, e: str(s.sendmsg([])),
    "sendmsg with an address": lambda s, e: str(s.sendmsg([b"x"], [], 0, e.answering)),
    "sendmsg of numbers": lambda s, e: s.sendmsg([1]),
    "sendmsg of a number": lambda s, e: s.sendmsg(1),
    "sendmsg with ancillary data that is a number": lambda s, e: s.sendmsg([b"x"], 5),
    "sendmsg to a number": lambda s, e: s.sendmsg([b"x"], [], 0, 5),
    # receive
    "recv": lambda s, e: repr(s.recv(1)),
    "recv nothing": lambda s, e: repr(s.recv(0)),
    "recv less than nothing": lambda s, e: s.recv(-1),
    "recv far too much": lambda s, e: s.recv(2**70),
    "recv text": lambda s, e: s.recv("1"),
    "recv without arguments": lambda s, e: s.recv(),
    "recv without waiting": lambda s, e: repr(s.recv(1, socket.MSG_DONTWAIT)),
    "recv and leave": lambda s, e: repr(s.recv(1, socket.MSG_PEEK)),
    "recv with flags of text": lambda s, e: s.recv(1, "x"),
    "recv_into": lambda s, e: str(s.recv_into(bytearray(2))),
    "recv_into what is too small": lambda s, e: s.recv_into(bytearray(2), 3),
    "recv_into less than nothing": lambda s, e: s.recv_into(bytearray(2), -1),
    "recv_into what cannot be written": lambda s, e: s.recv_into(b"xx"),
    "recv_into a number": lambda s, e: s.recv_into(2),
    "recvfrom": lambda s, e: received(s.recvfrom(1)),
    "recvfrom less than nothing": lambda s, e: s.recvfrom(-1),
    "recvfrom_into": lambda s, e: received(s.recvfrom_into(bytearray(2))),
    "recvfrom_into what is too small": lambda s, e: s.recvfrom_into(bytearray(2), 3),
    "recvfrom_into what cannot be written": lambda s, e: s.recvfrom_into(b"xx"),
    "recvmsg": lambda s, e: received(s.recvmsg(1)),
    "recvmsg less than nothing": lambda s, e: s.recvmsg(-1),
    "recvmsg with less room than none": lambda s, e: s.recvmsg(1, -1),
    "recvmsg of text": lambda s, e: s.recvmsg("1"),
    "recvmsg_into": lambda s, e: received(s.recvmsg_into([bytearray(1), bytearray(2)])),
    "recvmsg_into what cannot be written": lambda s, e: s.recvmsg_into([b"xx"]),
    "recvmsg_into a number": lambda s, e: s.recvmsg_into(5),
    "ask how much can be read": lambda s, e: next_size(s),
    # shutdown
    "shutdown for reading": lambda s, e: s.shutdown(socket.SHUT_RD),
    "shutdown for writing": lambda s, e: s.shutdown(socket.SHUT_WR),
    "shutdown": lambda s, e: s.shutdown(socket.SHUT_RDWR),
    "shutdown in no known way": lambda s, e: s.shutdown(7),
    "shutdown with text": lambda s, e: s.shutdown("x"),
    "shutdown without arguments": lambda s, e: s.shutdown(),
    # options
    "get SO_ERROR": lambda s, e: errno_of(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)),
    "get SO_TYPE": lambda s, e: str(socket.SocketKind(s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))),
    "get SO_DOMAIN": lambda s, e: str(
        socket.AddressFamily(s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)) == s.family
    ),
    "get SO_PROTOCOL": lambda s, e: str(s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)),
    "get SO_ACCEPTCONN": lambda s, e: str(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)),
    "get SO_REUSEADDR": lambda s, e: str(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)),
    "get SO_LINGER": lambda s, e: repr(s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)),
    "get TCP_NODELAY": lambda s, e: str(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
    "get IP_TTL": lambda s, e: str(s.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)),
    "get IPV6_V6ONLY": lambda s, e: str(s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)),
    "get an unknown option": lambda s, e: s.getsockopt(socket.SOL_SOCKET, 9999),
    "get an option of an unknown level": lambda s, e: s.getsockopt(9999, 1),
    "get an unknown option of TCP": lambda s, e: s.getsockopt(socket.IPPROTO_TCP, 9999),
    "get an option as text": lambda s, e: s.getsockopt("x", 1),
    "get an option into less than nothing": lambda s, e: s.getsockopt(1, 1, -1),
    "get an option into far too much": lambda s, e: s.getsockopt(1, 1, 2000),
    "get without arguments": lambda s, e: s.getsockopt(),
    "set SO_REUSEADDR": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
    "set SO_KEEPALIVE": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "set SO_KEEPALIVE with True": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True),
    "set SO_KEEPALIVE with bytes": lambda s, e: s.setsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE, struct.pack("i", 1)
    ),
    "set SO_KEEPALIVE with too few bytes": lambda s, e: s.setsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE, b"x"
    ),
    "set SO_KEEPALIVE with text": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, "x"),
    "set SO_KEEPALIVE with None": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, None),
    "set SO_KEEPALIVE with too large a number": lambda s, e: s.setsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE, 2**40
    ),
    "set SO_KEEPALIVE to no value": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "set SO_KEEPALIVE to no value of a length": lambda s, e: s.setsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE, None, 4
    ),
    "set SO_LINGER": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5)),
    "set SO_LINGER with a number": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 1),
    "set SO_BROADCAST": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1),
    "set SO_RCVBUF": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536),
    "set SO_TYPE": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 1),
    "set SO_ERROR": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 1),
    "set SO_ACCEPTCONN": lambda s, e: s.setsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN, 1),
    "set TCP_NODELAY": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    "set TCP_KEEPIDLE": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    "set TCP_KEEPIDLE to nothing": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 0),
    "set TCP_KEEPIDLE too large": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 32768),
    "set TCP_KEEPCNT too large": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 128),
    "set IP_TTL": lambda s, e: s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 10),
    "set IP_TTL to nothing": lambda s, e: s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 0),
    "set IP_TTL too large": lambda s, e: s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 256),
    "set IP_MULTICAST_TTL": lambda s, e: s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1),
    "set IP_MULTICAST_IF to whom nobody is": lambda s, e: s.setsockopt(
        socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("203.0.113.1")
    ),
    "join what is no group": lambda s, e: s.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("127.0.0.1") * 2
    ),
    "join a group with too few bytes": lambda s, e: s.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, b"xx"
    ),
    "leave a group without joining": lambda s, e: s.setsockopt(
        socket.IPPROTO_IP,
        socket.IP_DROP_MEMBERSHIP,
        socket.inet_aton("239.255.77.78") + socket.inet_aton("127.0.0.1"),
    ),
    "set IPV6_V6ONLY": lambda s, e: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1),
    "set an unknown option": lambda s, e: s.setsockopt(socket.SOL_SOCKET, 9999, 1),
    "set an option of an unknown level": lambda s, e: s.setsockopt(9999, 1, 1),
    "set an unknown option of TCP": lambda s, e: s.setsockopt(socket.IPPROTO_TCP, 9999, 1),
    "set an unknown option of IP": lambda s, e: s.setsockopt(socket.IPPROTO_IP, 9999, 1),
    "set an option as text": lambda s, e: s.setsockopt("x", 1, 1),
    # the object itself
    "fileno": lambda s, e: str(s.fileno() >= 0),
    "detach": lambda s, e: _detached(s),
    "dup": lambda s, e: s.dup().close(),
    "close": lambda s, e: s.close(),
    "set a negative timeout": lambda s, e: s.settimeout(-1),
    "set a timeout that is no number": lambda s, e: s.settimeout(float("nan")),
    "set far too large a timeout": lambda s, e: s.settimeout(1e300),
    "set a timeout": lambda s, e: s.settimeout(5),
    "get the timeout": lambda s, e: str(s.gettimeout()),
    "get whether it blocks": lambda s, e: str(s.getblocking()),
    "make a file of a wrong mode": lambda s, e: s.makefile("x"),
    "make a file": lambda s, e: s.makefile("rb").close(),
    "get whether it is inherited": lambda s, e: str(s.get_inheritable()),
    "set whether it is inherited": lambda s, e: s.set_inheritable(False),
}
"""Calls by what they try, as functions of a socket and of `Elsewhere`."""
