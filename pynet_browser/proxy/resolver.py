"""Names and connections on the proxy's host: resolve once, check every answer, dial only what was checked."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeAlias, TypeVar

import aiohappyeyeballs

from pynet_browser.proxy import addresses
from pynet_browser.proxy.addresses import InvalidHostError, bracketed
from pynet_browser.proxy.policy import ANY_PORT, Policy, Protocol

__all__ = ["DialError", "Lookups", "Resolution", "Resolver"]

P = ParamSpec("P")
T = TypeVar("T")
AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
"""What getaddrinfo answers: family, kind, protocol, canonical name, socket address."""

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds before the next address is tried beside one that has not answered (RFC 8305)."""

FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""What this host alone knows. It tells less than the answer of a host that another address did reach."""

EAI_NAMES = {value: name for name, value in vars(socket).items() if name.startswith("EAI_")}


class DialError(Exception):
    """A name or a connection could not be had.

    Attributes:
        code: name of an errno (``"ECONNREFUSED"``, ``"EACCES"`` when the policy refuses …) or of a resolver
            error (``"EAI_NONAME"`` …). Names, since the numbers differ between the page and this host.
        message: a sentence for people.
        rule: of the configuration, or the name of a limit, if that is what refuses; empty if nothing does.
    """

    def __init__(self, code: str, message: str, rule: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name stands for.

    Attributes:
        canonical: the name that other names are aliases of; the name itself when nothing else is known.
        addresses: numeric addresses, in the host's order of preference; at least one.
    """

    canonical: str
    addresses: tuple[str, ...]


@dataclass(slots=True)
class Lookups:
    """How many names and addresses were found, were not, and are being looked up."""

    found: int = 0
    failed: int = 0
    under_way: int = 0


class Resolver:
    """Resolves names and makes TCP connections, as far as the policy lets pages see and reach them.

    Args:
        policy: decides which addresses may be revealed and dialled.
        timeout: seconds for one look-up, and for one ``dial`` that does not say.
        at_once: look-ups that run at the same time; others wait for their turn within their timeout.

    Attributes:
        lookups: how many there were, those of resolvers made from this one among them.
    """

    def __init__(self, policy: Policy, *, timeout: float = 15.0, at_once: int = 128) -> None:
        self._policy = policy
        self._timeout = timeout
        self._turns = asyncio.Semaphore(at_once)
        self.lookups = Lookups()

    def under(self, policy: Policy) -> Resolver:
        """One that asks another policy; look-ups of both count together."""
        other = copy.copy(self)
        other._policy = policy
        return other

    async def resolve(self, host: str, family: int = 0) -> Resolution:
        """Looks a name up.

        Args:
            host: a name or a numeric address.
            family: 4 or 6 for one family of addresses, 0 for both.

        Raises:
            DialError: ``EAI_…`` when there is no answer, or none that the policy lets pages see.
        """
        name = _canonical(host)
        async with _deadline(self._timeout, "EAI_AGAIN", f"{host!r} could not be resolved"):
            infos = await self._look_up(name, 0, family)
        seen = [info for info in infos if self._policy.may_reveal(name, info[4][0])]
        if not seen:
            hidden = self._policy.decide("tcp", name, infos[0][4][0], ANY_PORT)
            reason = hidden.reason or f"the proxy's policy hides {name!r}"
            raise DialError("EAI_NONAME", reason, hidden.rule or "hidden")
        return Resolution(infos[0][3] or name, tuple(dict.fromkeys(str(info[4][0]) for info in seen)))

    async def reverse(self, address: str, port: int, *, datagram: bool = False) -> tuple[str, str]:
        """Looks up the name of an address and of a port's service; one that has none is empty.

        An address the policy hides has no name here.

        Raises:
            DialError: ``EAI_NONAME`` for text that is no address, ``EAI_…`` when the look-up itself failed.
        """
        numeric = addresses.literal(address)
        if numeric is None:
            raise DialError("EAI_NONAME", f"{address!r} is not a numeric address")
        where = (str(numeric), port)
        protocol = socket.NI_DGRAM if datagram else 0
        async with _deadline(self._timeout, "EAI_AGAIN", f"the name of {address} could not be found"):
            host = ""
            if self._policy.may_reveal(str(numeric), numeric):
                host, _ = await self._name_info(where, protocol | socket.NI_NUMERICSERV | socket.NI_NAMEREQD)
            _, service = await self._name_info(where, protocol | socket.NI_NUMERICHOST)
        return host, "" if service == str(port) else service

    async def service_port(self, service: str, *, datagram: bool = False) -> int:
        """The port of a service such as ``"http"``, or of a number written as text.

        Raises:
            DialError: ``EAI_SERVICE`` when it is not known.
        """
        kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
        if not service.isascii() or not service.isprintable():
            raise DialError("EAI_SERVICE", f"there is no service {service!r}")
        async with _deadline(self._timeout, "EAI_AGAIN", f"service {service!r} could not be looked up"):
            try:
                infos = await self._in_thread(socket.getaddrinfo, None, service, 0, kind)
            except OSError as error:
                raise DialError("EAI_SERVICE", f"the proxy's host knows no service {service!r}") from error
        return int(infos[0][4][1])

    async def destination(self, protocol: Protocol, host: str, port: int, family: int = 0) -> str:
        """The first address of a host that may be reached; see ``destinations``."""
        return (await self.destinations(protocol, host, port, family))[0]

    async def destinations(self, protocol: Protocol, host: str, port: int, family: int = 0) -> list[str]:
        """The addresses of a host that may be reached.

        Args:
            protocol: ``"tcp"`` or ``"udp"``.
            host: a name or a numeric address.
            port: 0 to 65535.
            family: 4 or 6 for one family of addresses, 0 for both.

        Raises:
            DialError: ``EACCES`` when the policy refuses every address, ``EAI_…`` when there is none.
        """
        name = _canonical(host)
        async with _deadline(self._timeout, "EAI_AGAIN", f"{host!r} could not be resolved"):
            infos = await self._look_up(name, port, family)
        return [str(info[4][0]) for info in self._allowed(protocol, name, port, infos)]

    async def dial(
        self,
        host: str,
        port: int,
        *,
        family: int = 0,
        timeout: float | None = None,
        bound: socket.socket | None = None,
    ) -> socket.socket:
        """Makes a TCP connection.

        The name is resolved once and each address is checked; one that the policy refuses is not tried.

        Args:
            host: a name or a numeric address.
            port: 0 to 65535.
            family: 4 or 6 for one family of addresses, 0 for both.
            timeout: seconds for resolving and connecting together; None for the resolver's own.
            bound: the socket to connect, non-blocking and of that family; None makes one. It is good for one
                attempt: after that it need not have its address any more.

        Returns:
            A connected, non-blocking socket; ``TCP_NODELAY`` is set on one made here.

        Raises:
            DialError: ``EACCES`` when the policy refuses every address, ``ETIMEDOUT``, ``EAI_…`` or the errno
                of the connection.
        """
        name = _canonical(host)
        target = f"{_in_rule(name)}:{port}"
        async with _deadline(timeout or self._timeout, "ETIMEDOUT", f"{target} could not be connected to"):
            allowed = self._allowed("tcp", name, port, await self._look_up(name, port, family))
            try:
                if bound is not None:
                    await asyncio.get_running_loop().sock_connect(bound, allowed[0][4])
                    return bound
                connection = await aiohappyeyeballs.start_connection(
                    allowed, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY
                )
            except (OSError, RuntimeError) as error:  # RuntimeError: uvloop, for an address it cannot use
                raise _connection_error(target, error) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _allowed(
        self, protocol: Protocol, name: str, port: int, infos: Sequence[AddressInfo]
    ) -> list[AddressInfo]:
        """The answers that may be reached."""
        decisions = [(info, self._policy.decide(protocol, name, info[4][0], port)) for info in infos]
        allowed = [info for info, decision in decisions if decision.allowed]
        if not allowed:
            raise DialError("EACCES", decisions[0][1].reason, decisions[0][1].rule)
        return allowed

    async def _look_up(self, name: str, port: int, family: int) -> Sequence[AddressInfo]:
        if family not in FAMILIES:
            raise DialError("EAFNOSUPPORT", f"an address family is 4, 6 or 0 for both, not {family}")
        numeric = addresses.literal(name) is not None
        flags = socket.AI_NUMERICHOST if numeric else socket.AI_CANONNAME
        arguments = (name, port, FAMILIES[family], socket.SOCK_STREAM, socket.IPPROTO_TCP, flags)
        try:
            if numeric:
                return socket.getaddrinfo(*arguments)  # asks nobody, so it needs no thread
            return await self._in_thread(socket.getaddrinfo, *arguments)
        except OSError as error:
            raise _resolver_error(name, error) from error

    async def _name_info(self, where: tuple[str, int], flags: int) -> tuple[str, str]:
        try:
            return await self._in_thread(socket.getnameinfo, where, flags)
        except OSError as error:
            if error.errno == socket.EAI_NONAME:
                return "", ""
            raise _resolver_error(where[0], error) from error

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking look-up in a thread of its own.

        The loop's own threads would not do: uvloop has four, and asyncio waits for its own at exit. A look-up
        whose name server is silent takes half a minute, and nothing can interrupt it; it must delay neither
        others nor the end of the process. Its turn ends when it does, not when its caller gives up.
        """
        await self._turns.acquire()
        self.lookups.under_way += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(setter: Callable[[Any], None], value: object) -> None:
            self._turns.release()
            self.lookups.under_way -= 1
            if setter == answer.set_result:
                self.lookups.found += 1
            else:
                self.lookups.failed += 1
            if not answer.done():
                setter(value)

        def run() -> None:
            try:
                outcome: tuple[Callable[[Any], None], object] = answer.set_result, function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                outcome = answer.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
                loop.call_soon_threadsafe(settle, *outcome)

        try:
            threading.Thread(target=run, daemon=True, name="pynet-resolve").start()
        except RuntimeError as error:
            self._turns.release()
            self.lookups.under_way -= 1
            raise OSError(errno.EAGAIN, "the proxy's host has no thread left") from error
        return await answer


@contextlib.asynccontextmanager
async def _deadline(seconds: float, code: str, what: str) -> AsyncIterator[None]:
    """Turns running out of time into an error that says so."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DialError(code, f"{what} within {seconds:g} s") from error


def _canonical(host: str) -> str:
    try:
        return addresses.canonical(host)
    except InvalidHostError as error:
        raise DialError("EAI_NONAME", str(error)) from error


def _in_rule(name: str) -> str:
    """A canonical host as it stands before a port."""
    address = addresses.literal(name)
    return name if address is None else bracketed(address)


def _resolver_error(name: str, error: OSError) -> DialError:
    if isinstance(error, socket.gaierror) and error.errno in EAI_NAMES:
        return DialError(EAI_NAMES[error.errno], f"{name!r}: {error.strerror}")
    return DialError(errno.errorcode.get(error.errno or 0, "EAI_FAIL"), f"{name!r}: {error}")


def _connection_error(target: str, error: OSError | RuntimeError) -> DialError:
    """The error of a connection; where several addresses failed in several ways, the most telling one."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        # aiohappyeyeballs joins differing errors into one text, "[Errno 101] …, [Errno 111] …".
        numbers = [int(digits) for digits in re.findall(r"\[Errno (\d+)]", str(error))] or [errno.EIO]
        number = next((number for number in numbers if number not in UNREACHABLE), numbers[0])
    return DialError(errno.errorcode.get(number, "EIO"), f"{target}: {os.strerror(number)}")
