"""Socket addresses as Python writes them: what ``_socket`` does for the families it was built with."""

from __future__ import annotations

import operator
import os
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["AF_UNIX", "End", "is_name", "numeric_address", "parse", "written"]

End: TypeAlias = tuple[str, int]
"""Host and port; the host of a family without ports is a path."""

AF_UNIX = 1  # Pyodide's socket module does not have it

PORT_MAX = 0xFFFF
PATH_MAX = 108
"""Bytes of ``sun_path`` (unix(7)), the final NUL included; abstract names need none."""

ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def parse(sock: socket.socket, address: Any, call: str) -> End:
    """Host and port of an address that was given to ``call``; see the standard library's ``socket``.

    Raises:
        TypeError, OverflowError, ValueError, OSError: with CPython's own sentences.
    """
    return PARSERS.get(sock.family, _parse_unknown)(address, call)


def written(family: int, end: End | None) -> Any:
    """An address as Python writes it; None is what nameless senders have."""
    if end is None:
        return None
    host, port = end
    if family == AF_UNIX:
        return os.fsencode(host) if host.startswith("\0") else host
    if family == socket.AF_INET6:
        import ipaddress  # here, since it takes longer to import than the rest of this package

        return str(ipaddress.IPv6Address(host)), port, 0, 0
    return host, port


def is_name(family: int, host: str) -> bool:
    """Whether a host must be looked up to send a datagram to it: it is no address of the family."""
    if family == AF_UNIX:
        return False
    numeric = numeric_address(host)
    return numeric is None or numeric[0] != family


def numeric_address(host: str) -> tuple[int, str] | None:
    """Family and usual form of a numeric address; None for a name.

    Pyodide's ``inet_pton`` knows no IPv6.
    """
    if ":" not in host:
        try:
            return socket.AF_INET, socket.inet_ntoa(socket.inet_pton(socket.AF_INET, host))
        except OSError:
            return None
    import ipaddress  # here, since it takes longer to import than the rest of this package

    try:
        return socket.AF_INET6, str(ipaddress.IPv6Address(host.partition("%")[0]))
    except ValueError:
        return None


def _parse_inet(address: Any, call: str) -> End:
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): AF_INET address must be tuple, not {type(address).__name__}")
    if len(address) != 2:  # noqa: PLR2004  host and port
        raise TypeError("AF_INET address must be a pair (host, port)")
    host, port = _host(address[0]), _port(address[1], call)
    if host == "<broadcast>":
        host = "255.255.255.255"
    return host or ANY[socket.AF_INET], port


def _parse_inet6(address: Any, call: str) -> End:
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): AF_INET6 address must be tuple, not {type(address).__name__}")
    if len(address) not in range(2, 5):
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    host, port = _host(address[0]), _port(address[1], call)
    flow, _scope = (operator.index(number) & 0xFFFFFFFF for number in (*address[2:], 0, 0)[:2])
    if flow > 0xFFFFF:  # noqa: PLR2004  20 bits
        raise OverflowError(f"{call}(): flowinfo must be 0-1048575.")
    return host.partition("%")[0] or ANY[socket.AF_INET6], port


def _parse_unix(address: Any, _call: str) -> End:
    try:
        path = os.fsencode(address) if isinstance(address, str) else bytes(memoryview(address))
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not '{type(address).__name__}'") from None
    if len(path) > PATH_MAX - (not path.startswith(b"\0")):
        raise OSError("AF_UNIX path too long")
    return os.fsdecode(path), 0


def _parse_unknown(_address: Any, call: str) -> End:
    raise OSError(f"{call}(): bad family")


PARSERS: dict[int, Callable[[Any, str], End]] = {
    socket.AF_INET: _parse_inet,
    socket.AF_INET6: _parse_inet6,
    AF_UNIX: _parse_unix,
}


def _host(host: Any) -> str:
    """The host's name in ASCII (IDNA), as CPython's ``idna_converter`` makes it."""
    if isinstance(host, bytes | bytearray):
        text = bytes(host).decode("latin-1")
    elif isinstance(host, str):
        try:
            text = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError:
            raise TypeError("encoding of hostname failed") from None
    else:
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if "\0" in text:
        raise TypeError("host name must not contain null character")
    return text


def _port(port: Any, call: str) -> int:
    number = operator.index(port)
    if not 0 <= number <= PORT_MAX:
        raise OverflowError(f"{call}(): port must be 0-65535.")
    return int(number)
