"""What the programs of the contract are written with."""

import contextlib
import errno
import pathlib
import select
import socket
import struct
import tempfile

PATIENCE = 10
"""Seconds after which what must happen has failed to."""


def suite():
    """The cases of a suite, and the decorator that adds one under its sentence of a name."""
    cases = {}

    def case(function):
        cases[function.__name__] = function
        return function

    return cases, case


def needing(*capabilities):
    """Marks a case that asks of its network what some cannot do, such as ``half-close``."""

    def mark(function):
        function.capabilities = frozenset(capabilities)
        return function

    return mark


@contextlib.contextmanager
def raising(kind, number=None):
    """Expects an exception of exactly this kind, and this errno if one is given."""
    try:
        yield
    except kind as error:
        if number is None or error.errno == number:
            return
        raise AssertionError(f"{errno.errorcode.get(error.errno)}, not {errno.errorcode[number]}") from error
    raise AssertionError(f"{kind.__name__} was not raised")


def equal(found, expected):
    """An assertion that says what it found: in the page there is no pytest to do so."""
    assert found == expected, f"{found!r}, not {expected!r}"


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────


def pattern(size):
    """Little-endian 32-bit numbers counting up: what is lost or repeated shows."""
    return b"".join(number.to_bytes(4, "little") for number in range((size + 3) // 4))[:size]


def read_all(connection, size=65536):
    data = bytearray()
    while piece := connection.recv(size):
        data += piece
    return bytes(data)


def read_exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


def nothing_waits(sock):
    """There is nothing to read, as far as is known here."""
    with raising(BlockingIOError, errno.EAGAIN):
        timeout = sock.gettimeout()
        sock.setblocking(False)
        try:
            sock.recv(1)
        finally:
            sock.settimeout(timeout)


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────


def await_events(waitable, events=select.POLLIN):
    """Waits until poll reports any of the events; fails when nothing comes."""
    poller = select.poll()
    poller.register(waitable, events)
    ready = poller.poll(PATIENCE * 1000)
    assert ready, f"none of {event_names(events)} came"
    return ready[0][1]


def events_now(waitable, events):
    """What poll reports without waiting."""
    return events_within(waitable, events, 0)


def events_within(waitable, events, timeout):
    """What poll reports within ``timeout`` milliseconds."""
    poller = select.poll()
    poller.register(waitable, events)
    ready = poller.poll(timeout)
    return ready[0][1] if ready else 0


def event_names(events):
    """Events of poll by name, in one order: their numbers say little."""
    known = ("IN", "PRI", "OUT", "ERR", "HUP", "NVAL", "RDHUP")
    return " ".join(name for name in known if events & getattr(select, f"POLL{name}"))


# ── Sockets ─────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def folder():
    """A directory for the files of AF_UNIX sockets."""
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    """A socket that listens, and waits long enough for what must come."""
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    listener.settimeout(PATIENCE)
    return listener


def connecting(listener):
    """A socket that is connected to a listener, which need not have accepted."""
    client = socket.socket(listener.family)
    client.connect(listener.getsockname())
    client.settimeout(PATIENCE)
    return client


def accepting(listener):
    """The connection that came in first."""
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return connection


def datagram_socket(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    return sock


def bound_datagram(family=socket.AF_INET, address=("127.0.0.1", 0)):
    sock = datagram_socket(family)
    sock.bind(address)
    return sock


def reset(connection):
    """Closes so that the peer sees a RST: how a program asks for that is a linger time of zero."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def unused_path(where):
    """A path at which nothing is yet."""
    return str(where / f"socket{len(list(where.iterdir()))}")
