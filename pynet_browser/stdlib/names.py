"""Names and addresses: what ``socket.getaddrinfo`` and its kin answer, asked of the proxy's host.

Patched in ``_socket``, whose functions ``socket``'s own call, and in ``socket``, where programs find them.
What can be told without asking (numeric addresses, ports that are numbers) is told without asking.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
from typing import TYPE_CHECKING, Any, TypeAlias

from pynet_browser.errors import PolicyError
from pynet_browser.stdlib.patches import Patches

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["numeric_address", "patch"]

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
AddressInfo: TypeAlias = tuple[int, int, int, str, SocketAddress]

FAMILIES: dict[int, int] = {socket.AF_UNSPEC: 0, socket.AF_INET: 4, socket.AF_INET6: 6}
AF_OF: dict[int, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

PORT_MAX = 0xFFFF

KINDS = (
    (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    (socket.SOCK_RAW, socket.IPPROTO_IP),
)
"""What an address can be used for, in the order of glibc's answers."""

GAI_MESSAGES = {
    "EAI_NONAME": "Name or service not known",
    "EAI_AGAIN": "Temporary failure in name resolution",
    "EAI_FAIL": "Non-recoverable failure in name resolution",
    "EAI_FAMILY": "ai_family not supported",
    "EAI_SOCKTYPE": "ai_socktype not supported",
    "EAI_SERVICE": "Servname not supported for ai_socktype",
}
"""The sentences of glibc, which programs and people know."""


def patch(patches: Patches, network: Network) -> None:
    """Replace the look-ups of ``_socket`` and ``socket``."""
    names = Names(network)
    patches.set(_socket, "getaddrinfo", names.getaddrinfo)
    for name in (
        "gethostbyname",
        "gethostbyname_ex",
        "gethostbyaddr",
        "getnameinfo",
        "getservbyname",
        "getservbyport",
    ):
        patches.set(_socket, name, getattr(names, name))
        patches.set(socket, name, getattr(names, name))


class Names:
    """The look-ups, by one proxy."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def getaddrinfo(  # noqa: PLR0917  the standard library's signature
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002  the standard library's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Addresses of ``host`` as the proxy's host sees them; see ``socket.getaddrinfo``.

        Raises:
            socket.gaierror: with the EAI code of the proxy's resolver.
            PolicyError: the proxy's policy refuses every address of the host.
            BlockingError: the proxy must be asked, and waiting is impossible here.
        """
        if family not in FAMILIES:
            raise _gaierror("EAI_FAMILY")
        if type not in (0, *(kind for kind, _ in KINDS)):
            raise _gaierror("EAI_SOCKTYPE")
        name = _text(host)
        if name == "" or (name is None and port is None):
            raise _gaierror("EAI_NONAME")
        service, number = _service(port)
        if service and flags & socket.AI_NUMERICSERV:
            raise _gaierror("EAI_NONAME")
        canonical = name or ""
        addresses = _numeric(name, family, passive=bool(flags & socket.AI_PASSIVE))
        if not addresses and flags & socket.AI_NUMERICHOST:
            raise _gaierror("EAI_NONAME")
        if service or not addresses:
            answer = self._resolve("" if addresses else canonical, service, FAMILIES[family])
            number = answer["port"] if service else number
            if not addresses:
                canonical = answer["canonical"] or canonical
                addresses = [(AF_OF[each["family"]], each["host"]) for each in answer["addresses"]]
        if not flags & socket.AI_CANONNAME:
            canonical = ""
        found = [
            (each, kind, proto or protocol, _socket_address(each, address, number))
            for each, address in addresses
            for kind, protocol in KINDS
            if type in (0, kind) and (not proto or type or proto == protocol)
        ]
        if not found:
            raise _gaierror("EAI_NONAME")
        return [(*entry[:3], "" if index else canonical, entry[3]) for index, entry in enumerate(found)]

    def gethostbyname(self, hostname: str, /) -> str:
        """The first IPv4 address of a host."""
        if hostname == "":
            return "0.0.0.0"
        if hostname == "<broadcast>":
            return "255.255.255.255"
        return self.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]

    def gethostbyname_ex(self, hostname: str, /) -> tuple[str, list[str], list[str]]:
        """Canonical name, aliases (never known here) and IPv4 addresses of a host."""
        found = self.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)
        return found[0][3], [], [entry[4][0] for entry in found]

    def gethostbyaddr(self, ip_address: str, /) -> tuple[str, list[str], list[str]]:
        """The name of an address (or of a host's first address).

        Raises:
            socket.herror: the address has no name.
        """
        family, address = self._first_address(ip_address)
        name = self._reverse(family, address, 0, datagram=False)["host"]
        if not name:
            raise socket.herror(1, "Unknown host")
        return name, [], [address]

    def getnameinfo(self, sockaddr: SocketAddress, flags: int, /) -> tuple[str, str]:
        """Names of an address and a port; see ``socket.getnameinfo``."""
        host, port = sockaddr[0], sockaddr[1]
        numeric = _numeric(host, socket.AF_UNSPEC, passive=False)
        if not numeric:
            raise _gaierror("EAI_NONAME")
        family, address = numeric[0]
        numeric_host = flags & socket.NI_NUMERICHOST
        if numeric_host and flags & socket.NI_NUMERICSERV:
            return address, str(port)
        names = self._reverse(family, address, port, datagram=bool(flags & socket.NI_DGRAM))
        name = address if numeric_host else names["host"]
        if not name and flags & socket.NI_NAMEREQD:
            raise _gaierror("EAI_NONAME")
        service = "" if flags & socket.NI_NUMERICSERV else names["service"]
        return name or address, service or str(port)

    def getservbyname(self, servicename: str, _protocolname: str = "tcp", /) -> int:
        """The port of a service, by the proxy's host's table; what has one by TCP and UDP has the same."""
        answer = self._network.resolve("", servicename, 0)
        if "error" in answer:
            raise OSError("service/proto not found")
        return int(answer["port"])

    def getservbyport(self, port: int, protocolname: str = "tcp", /) -> str:
        """The service of a port, by the proxy's host's table."""
        if not 0 <= port <= PORT_MAX:
            raise OverflowError("getservbyport: port must be 0-65535.")
        service = self._reverse(socket.AF_INET, "127.0.0.1", port, datagram=protocolname == "udp")["service"]
        if not service:
            raise OSError("port/proto not found")
        return str(service)

    def _first_address(self, host: str) -> tuple[int, str]:
        numeric = _numeric(host, socket.AF_UNSPEC, passive=False)
        if numeric:
            return numeric[0]
        first = self.getaddrinfo(host, None, 0, socket.SOCK_STREAM)[0]
        return first[0], first[4][0]

    def _resolve(self, host: str, service: str, family: int) -> dict[str, Any]:
        return _checked(self._network.resolve(host, service, family))

    def _reverse(self, family: int, host: str, port: int, *, datagram: bool) -> dict[str, Any]:
        return _checked(self._network.reverse(FAMILIES[family], host, port, datagram=datagram))


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, or the exception that stands for it."""
    if "error" not in answer:
        return answer
    code, message = answer["error"], answer["message"]
    if code.startswith("EAI_"):
        raise _gaierror(code, message)
    number = getattr(errno, code, errno.EIO) if code.isupper() else errno.EIO
    if number == errno.EACCES:
        raise PolicyError(number, message)
    raise OSError(number, message or os.strerror(number))


def _gaierror(code: str, message: str = "") -> socket.gaierror:
    return socket.gaierror(getattr(socket, code, socket.EAI_FAIL), message or GAI_MESSAGES.get(code, code))


def _text(host: bytes | str | None) -> str | None:
    """The host's name in ASCII (IDNA), as the C library would be given it."""
    if host is None:
        return None
    if isinstance(host, bytes | bytearray):
        return bytes(host).decode("ascii")
    if not isinstance(host, str):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    if "\0" in host:
        raise ValueError("host name must not contain null character")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _service(port: bytes | str | int | None) -> tuple[str, int]:
    """A service's name to look up, or a port's number."""
    if port is None:
        return "", 0
    if isinstance(port, bytes):
        port = port.decode("ascii")
    if isinstance(port, str):
        return (port, 0) if port and not port.isdecimal() else ("", int(port or 0))
    if isinstance(port, int):
        return "", port & PORT_MAX
    raise OSError("Int or String expected")


def _numeric(host: str | None, family: int, *, passive: bool) -> list[tuple[int, str]]:
    """The addresses that need no look-up: numeric ones, and those of no host at all.

    Raises:
        socket.gaierror: the address is of another family than asked for.
    """
    if host is None:
        pairs = [
            (socket.AF_INET6, "::" if passive else "::1"),
            (socket.AF_INET, "0.0.0.0" if passive else "127.0.0.1"),
        ]
        return [(each, address) for each, address in pairs if family in (0, each)]
    address = numeric_address(host)
    if address is None:
        return []
    each, _ = address
    if family not in (0, each):
        raise _gaierror("EAI_ADDRFAMILY", "Address family for hostname not supported")
    return [address]


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


def _socket_address(family: int, address: str, port: int) -> SocketAddress:
    return (address, port) if family == socket.AF_INET else (address, port, 0, 0)
