"""Names and addresses: what ``socket.getaddrinfo`` and its kin answer, asked of the proxy's host.

Patched in ``_socket``, whose functions ``socket``'s own call, and in ``socket``, where programs find them.
What can be told without asking (numeric addresses, ports that are numbers) is told without asking.

Look-ups are generators: they yield what is to be asked and are sent the answer, so that one piece of code
serves those who wait by suspending and those who await.
"""

from __future__ import annotations

import _socket
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pynet_browser.stdlib.addresses import numeric_address
from pynet_browser.stdlib.failures import checked, gaierror
from pynet_browser.stdlib.patches import Patches

if TYPE_CHECKING:
    from pynet_browser.runtime import Network, Reply

__all__ = ["Names", "patch"]

T = TypeVar("T")

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
AddressInfo: TypeAlias = tuple[int, int, int, str, SocketAddress]
LookUp: TypeAlias = "Generator[Reply, dict[str, Any], T]"

FAMILIES: dict[int, int] = {socket.AF_UNSPEC: 0, socket.AF_INET: 4, socket.AF_INET6: 6}
AF_OF: dict[int, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

PORT_MAX = 0xFFFF

KINDS = (
    (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    (socket.SOCK_RAW, socket.IPPROTO_IP),
)
"""What an address can be used for, in the order of glibc's answers."""

CONTRADICTIONS = {
    (socket.SOCK_STREAM, socket.IPPROTO_UDP),
    (socket.SOCK_DGRAM, socket.IPPROTO_TCP),
}
"""What glibc knows no use for."""


def patch(patches: Patches, names: Names) -> None:
    """Replace the look-ups of ``_socket`` and ``socket``."""
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
        return _waited(self._getaddrinfo(host, port, family, type, proto, flags))

    async def getaddrinfo_async(  # noqa: PLR0917
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """The same for coroutines: it never needs to suspend."""
        return await _awaited(self._getaddrinfo(host, port, family, type, proto, flags))

    def _getaddrinfo(  # noqa: PLR0917
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int,
        type: int,  # noqa: A002
        proto: int,
        flags: int,
    ) -> LookUp[list[AddressInfo]]:
        if family not in FAMILIES:
            raise gaierror("EAI_FAMILY")
        if type not in (0, *(kind for kind, _ in KINDS)):
            raise gaierror("EAI_SOCKTYPE")
        if proto and type and (type, proto) in CONTRADICTIONS:
            raise gaierror("EAI_SOCKTYPE")
        name = _text(host)
        if name == "" or (name is None and port is None):
            raise gaierror("EAI_NONAME")
        service, number = _service(port)
        if service and flags & socket.AI_NUMERICSERV:
            raise gaierror("EAI_NONAME")
        canonical = name or ""
        addresses = _numeric(name, family, passive=bool(flags & socket.AI_PASSIVE))
        if not addresses and flags & socket.AI_NUMERICHOST:
            raise gaierror("EAI_NONAME")
        if service or not addresses:
            answer = yield from self._resolve("" if addresses else canonical, service, FAMILIES[family])
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
            raise gaierror("EAI_NONAME")
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
        name = _waited(self._reverse(family, address, 0, datagram=False))["host"]
        if not name:
            raise socket.herror(1, "Unknown host")
        return name, [], [address]

    def getnameinfo(self, sockaddr: SocketAddress, flags: int, /) -> tuple[str, str]:
        """Names of an address and a port; see ``socket.getnameinfo``."""
        return _waited(self._getnameinfo(sockaddr, flags))

    async def getnameinfo_async(self, sockaddr: SocketAddress, flags: int = 0) -> tuple[str, str]:
        """The same for coroutines: it never needs to suspend."""
        return await _awaited(self._getnameinfo(sockaddr, flags))

    def _getnameinfo(self, sockaddr: SocketAddress, flags: int) -> LookUp[tuple[str, str]]:
        host, port = sockaddr[0], sockaddr[1]
        numeric = _numeric(host, socket.AF_UNSPEC, passive=False)
        if not numeric:
            raise gaierror("EAI_NONAME")
        family, address = numeric[0]
        numeric_host = flags & socket.NI_NUMERICHOST
        if numeric_host and flags & socket.NI_NUMERICSERV:
            return address, str(port)
        names = yield from self._reverse(family, address, port, datagram=bool(flags & socket.NI_DGRAM))
        name = address if numeric_host else names["host"]
        if not name and flags & socket.NI_NAMEREQD:
            raise gaierror("EAI_NONAME")
        service = "" if flags & socket.NI_NUMERICSERV else names["service"]
        return name or address, service or str(port)

    def getservbyname(self, servicename: str, _protocolname: str = "tcp", /) -> int:
        """The port of a service, by the proxy's host's table; what has one by TCP and UDP has the same."""
        answer = self._network.resolve("", servicename, 0).wait()
        if "error" in answer:
            raise OSError("service/proto not found")
        return int(answer["port"])

    def getservbyport(self, port: int, protocolname: str = "tcp", /) -> str:
        """The service of a port, by the proxy's host's table."""
        if not 0 <= port <= PORT_MAX:
            raise OverflowError("getservbyport: port must be 0-65535.")
        names = _waited(self._reverse(socket.AF_INET, "127.0.0.1", port, datagram=protocolname == "udp"))
        service = names["service"]
        if not service:
            raise OSError("port/proto not found")
        return str(service)

    def _first_address(self, host: str) -> tuple[int, str]:
        numeric = _numeric(host, socket.AF_UNSPEC, passive=False)
        if numeric:
            return numeric[0]
        first = self.getaddrinfo(host, None, 0, socket.SOCK_STREAM)[0]
        return first[0], first[4][0]

    def _resolve(self, host: str, service: str, family: int) -> LookUp[dict[str, Any]]:
        return checked((yield self._network.resolve(host, service, family)))

    def _reverse(self, family: int, host: str, port: int, *, datagram: bool) -> LookUp[dict[str, Any]]:
        return checked((yield self._network.reverse(FAMILIES[family], host, port, datagram=datagram)))


def _waited(look_up: LookUp[T]) -> T:
    """The result of a look-up, whose questions are waited for."""
    answer: Any = None
    try:
        while True:
            answer = look_up.send(answer).wait()
    except StopIteration as done:
        result: T = done.value
        return result


async def _awaited(look_up: LookUp[T]) -> T:
    """The result of a look-up, whose questions are awaited."""
    answer: Any = None
    while True:
        try:
            reply = look_up.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        answer = await reply


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
        # glibc's order: a server binds IPv4 first, a client tries IPv6 first.
        four, six = (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")
        pairs = [four, six] if passive else [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
        return [(each, address) for each, address in pairs if family in (0, each)]
    address = numeric_address(host)
    if address is None:
        return []
    each, _ = address
    if family not in (0, each):
        raise gaierror("EAI_ADDRFAMILY")
    return [address]


def _socket_address(family: int, address: str, port: int) -> SocketAddress:
    return (address, port) if family == socket.AF_INET else (address, port, 0, 0)
