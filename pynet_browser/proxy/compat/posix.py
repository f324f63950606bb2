"""Programs whose sockets Emscripten proxies: built with ``-lwebsocket.js -sPROXY_POSIX_SOCKETS -pthread``.

Each of their threads makes one call at a time and waits for its answer, for ever if there is none. So every
call is answered, also those that cannot be understood, and none keeps others waiting.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeAlias

from aiohttp import web

from pynet_browser.proxy import addresses
from pynet_browser.proxy.app import CONFIG
from pynet_browser.proxy.binding import bind, check_listening
from pynet_browser.proxy.compat import admission, posix_options
from pynet_browser.proxy.compat.channel import Channel
from pynet_browser.proxy.compat.client import AHEAD, Client
from pynet_browser.proxy.compat.posix_calls import (
    EVENTS,
    INET,
    INET6,
    Accept,
    AddressInfo,
    CallError,
    Function,
    Getaddrinfo,
    Getsockopt,
    Name,
    Recv,
    Recvfrom,
    Send,
    Sendto,
    Setsockopt,
    Shutdown,
    SockAddr,
    Socket,
    ToAddress,
    address_infos,
    answer,
    head_of,
    parse,
    received_from,
    with_address,
)
from pynet_browser.proxy.compat.posix_errno import EAI, ERRNO, errno_of
from pynet_browser.proxy.compat.posix_sockets import WAITALL, PosixSocket
from pynet_browser.proxy.endpoint import authority, host_error, open_socket
from pynet_browser.proxy.policy import Decision, ForbiddenError
from pynet_browser.proxy.policy import Protocol as Transport
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.tcp import READ_MAX
from pynet_browser.proxy.tenants import Tenant

__all__ = ["PosixClient", "add_routes"]

log = logging.getLogger(__name__)

FIRST_FD = 100
"""Above the descriptors that a program has of its own, and most below 1024, which ``FD_SETSIZE`` is."""

CALLS_MAX = 1024
"""Calls of one program under way; it has one for each of its threads."""

NUMBER_MAX = 0xFFFFFFFF

NAMES_MAX = 1024
"""Addresses of which the name is remembered that they were found by."""

STREAM, DGRAM, RAW = 1, 2, 3
TYPE_MASK = 0xF  # above are SOCK_NONBLOCK and SOCK_CLOEXEC, of which a program notices nothing
UNIX = 1
SHUT_BOTH = 2

KINDS = {STREAM: socket.SOCK_STREAM, DGRAM: socket.SOCK_DGRAM}
PROTOCOLS = {STREAM: 6, DGRAM: 17}
TRANSPORTS: dict[int, Transport] = {STREAM: "tcp", DGRAM: "udp"}
VERSIONS = {0: 0, INET: 4, INET6: 6}
HOWS = {0: socket.SHUT_RD, 1: socket.SHUT_WR, SHUT_BOTH: socket.SHUT_RDWR}

AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST = 0x1, 0x2, 0x4

Result: TypeAlias = tuple[int, bytes | memoryview]
"""What a call returns, and what is answered beside that."""


def add_routes(app: web.Application) -> None:
    """Serve programs with proxied sockets."""
    app.router.add_get("/posix", _handle)
    app.router.add_get("/posix/", _handle)


async def _handle(request: web.Request) -> web.StreamResponse:
    offers = admission.offers_of(request.headers.getall("Sec-WebSocket-Protocol", ()))
    tenant = admission.check(request, admission.given_token(request, offers))
    limit = request.app[CONFIG].limits.posix_message_bytes
    channel = await Channel.accept(request, "posix", offers.choose("binary"), limit)
    await PosixClient(request, channel, tenant).run()
    return channel.socket


class PosixClient(Client[PosixSocket]):
    """One program.

    Attributes:
        piece: most bytes that one call reads where it need not read all.
    """

    KIND = "posix"
    piece = READ_MAX

    def __init__(self, request: web.Request, channel: Channel, tenant: Tenant) -> None:
        super().__init__(request, channel, tenant)
        self._limits = request.app[CONFIG].limits
        self._newest = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._lookups = 0
        self._names: dict[str, str] = {}
        self._room_made = asyncio.Event()

    # ── Calls ──────────────────────────────────────────────────────────────────────────────────────

    async def read(self) -> None:
        """Answer calls until there are no more."""
        while (message := await self.channel.receive()) is not None:
            if self.channel.finished or isinstance(message, str):  # the client sends no text
                continue
            head = head_of(message)
            if head is None:
                self._answer_unnumbered()
            else:
                self._newest = max(self._newest, head[0])
                self._begin(*head, message)
            del message
            await self.until(lambda: self.channel.waiting < AHEAD)

    def _answer_unnumbered(self) -> None:
        """A call whose message was cut to nothing by a slip of the client: ``getsockname``, ``getpeername``.

        Its number can only be the one behind the newest.
        """
        self._newest = (self._newest + 1) & NUMBER_MAX
        self._reply(self._newest, Function.GETSOCKNAME, -1, ERRNO["ENOSYS"])

    def _begin(self, number: int, function: int, message: bytes) -> None:
        if len(self._calls) >= CALLS_MAX:
            self._reply(number, function, -1, ERRNO["EAGAIN"])
            return
        task = asyncio.create_task(self._call(number, function, message))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(self, number: int, function: int, message: bytes) -> None:
        """Make one call, and answer it whatever comes of that."""
        size = len(message)
        try:
            if not self.hold(size):
                raise host_error(errno.ENOBUFS)
            handler = self._HANDLERS.get(function)
            result, extra = await handler(self, parse(message)) if handler else _no_function(function)
        except CallError as error:
            self._reply(number, function, -1, ERRNO[error.errno])
        except DialError as error:
            self.failed(EVENTS.get(function, "call"), error)
            self._reply(number, function, -1, ERRNO.get(error.code, ERRNO["EIO"]))
        except OSError as error:
            if isinstance(error, ForbiddenError):
                self.refused(EVENTS.get(function, "call"), error.rule, message=error.message)
            self._reply(number, function, -1, errno_of(error.errno))
        except Exception:
            log.exception("%s: call %d of function %d failed", self.name, number, function)
            self._reply(number, function, -1, ERRNO["EIO"])
        else:
            self._reply(number, function, result, 0, extra)
        finally:
            self.released(size)

    def _reply(
        self, number: int, function: int, result: int, error: int, extra: bytes | memoryview = b""
    ) -> None:
        self.channel.push(answer(number, function, result, error, extra))
        self._account()

    async def until_room(self) -> None:
        """Wait until an answer may be made that is large."""
        while self.room <= 0 and not self._stopping:
            self._room_made.clear()
            if self.receiving is not None:
                self.receiving.wait(self._room_made.set)
            await self._room_made.wait()

    def _sent(self, about: int, size: int) -> None:
        super()._sent(about, size)
        self._changed.set()
        self._room_made.set()

    def go_on(self) -> None:
        """There is room again."""
        super().go_on()
        self._room_made.set()

    def _abort_all(self) -> None:
        for task in list(self._calls):
            task.cancel()
        super()._abort_all()

    # ── Sockets ────────────────────────────────────────────────────────────────────────────────────

    def _find(self, fd: int) -> PosixSocket:
        found = self.socket(fd)
        if found is None:
            raise host_error(errno.EBADF)
        return found

    def _find_bindable(self, fd: int) -> PosixSocket:
        found = self._find(fd)
        if not isinstance(found.host.getsockname(), tuple):  # half a pair
            raise host_error(errno.EOPNOTSUPP)
        return found

    def _keep(self, host: socket.socket) -> PosixSocket:
        """Give a socket of the host the lowest number that is free, as POSIX does."""
        host.setblocking(False)
        number = next(fd for fd in itertools.count(FIRST_FD) if fd not in self._sockets)
        made = PosixSocket(self, number, host)
        self.keep(made)
        return made

    def _check_number(self) -> None:
        if refusal := self.refusal:
            raise refusal

    async def _socket(self, call: Socket) -> Result:
        kind = _kind(call)
        family = {INET: 4, INET6: 6}.get(call.domain)
        if family is None:
            raise host_error(errno.EAFNOSUPPORT)
        self._check_number()
        made = self._keep(open_socket(family, kind))
        return made.id, b""

    async def _socketpair(self, call: Socket) -> Result:
        kind = _kind(call)
        if call.domain != UNIX or kind is not socket.SOCK_STREAM:
            raise host_error(errno.EOPNOTSUPP)
        self._check_number()
        ends = [self._keep(end) for end in socket.socketpair()]
        return 0, b"".join(end.id.to_bytes(4, "little") for end in ends)

    async def _shutdown(self, call: Shutdown) -> Result:
        """Shut down; both ways that closes, since the client has no call for closing."""
        found = self._find(call.fd)
        if call.how not in HOWS:
            raise host_error(errno.EINVAL)
        try:
            found.host.shutdown(HOWS[call.how])
        finally:
            if call.how == SHUT_BOTH:
                found.shut = True
                found.abort()
        return 0, b""

    async def _bind(self, call: ToAddress) -> Result:
        found, address = self._find_bindable(call.fd), call.address
        if found.host.getsockname()[1]:
            raise host_error(errno.EINVAL)
        bind(found.host, self.policy, address.host, address.port)
        found.any_port = not address.port
        if found.peers:
            found.peers.know_port()
        return 0, b""

    async def _listen(self, call: Shutdown) -> Result:
        found = self._find_bindable(call.fd)
        if not found.stream:
            raise host_error(errno.EOPNOTSUPP)
        if found.host.getsockname()[1]:
            check_listening(found.host, self.policy, any_port=found.any_port)
        else:
            bind(found.host, self.policy, "", 0, to_listen=True)
        found.host.listen(max(0, min(call.how, socket.SOMAXCONN)))
        host, port = found.host.getsockname()[:2]
        where = found.stands(authority(host, port), "listener")
        self.decided("listen", "allowed", protocol="tcp", address=where)
        return 0, b""

    async def _accept(self, call: Accept) -> Result:
        self._check_number()
        listener = self._find(call.fd)
        host, name = await listener.accept()
        try:
            self._check_number()  # others may have been made in the meantime
        except DialError:
            host.close()
            raise
        made = self._keep(host)
        peer = made.stands(authority(str(name[0]), name[1]))
        self.decided("accept", "allowed", protocol="tcp", target=peer, address=listener.where)
        return made.id, with_address(_address(name), call.room) if call.room else bytes(4)

    async def _connect(self, call: ToAddress) -> Result:
        found, address = self._find_bindable(call.fd), call.address
        if (address.family == INET6) != (found.host.family == socket.AF_INET6):
            raise host_error(errno.EAFNOSUPPORT)
        transport: Transport = "tcp" if found.stream else "udp"
        name = self._allowed(transport, address)
        if found.peers:
            found.peers.connect(address.host, address.port, name)
            return 0, b""
        longest = min(found.send_timeout or self.connect_timeout, self.connect_timeout)
        left = await self.turn(self.connects.delay(time.monotonic()), longest)
        await found.connect((address.host, address.port), left)
        found.stands(authority(name, address.port))
        where = authority(address.host, address.port)
        self.decided("connect", "allowed", protocol="tcp", target=found.where, address=where)
        return 0, b""

    def _allowed(self, transport: Transport, address: SockAddr) -> str:
        """As whom an address may be reached: as itself, or by the name that it was found by.

        Raises:
            DialError: not at all.
        """
        for name in (address.host, self._names.get(address.host)):
            if name is not None:
                decision: Decision = self.policy.decide(transport, name, address.host, address.port)
                if decision.allowed:
                    return name
        raise DialError("EACCES", decision.reason, decision.rule)

    async def _getsockname(self, call: Name) -> Result:
        return 0, with_address(_address(self._find(call.fd).host.getsockname()), call.room)

    async def _getpeername(self, call: Name) -> Result:
        return 0, with_address(_address(self._find(call.fd).host.getpeername()), call.room)

    # ── Data ───────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, call: Send) -> Result:
        return await self._find(call.fd).send(call.data, call.flags), b""

    async def _sendto(self, call: Sendto) -> Result:
        found = self._find(call.fd)
        if call.address is None or found.stream:
            return await found.send(call.data, call.flags), b""
        if (call.address.family == INET6) != (found.host.family == socket.AF_INET6):
            raise host_error(errno.EAFNOSUPPORT)
        peer = found.destination(call.address.host, call.address.port)
        return found.send_datagram(call.data, peer), b""

    async def _recv(self, call: Recv) -> Result:
        data, _ = await self._find(call.fd).receive(self._size(call.length, call.flags), call.flags)
        return len(data), data

    async def _recvfrom(self, call: Recvfrom) -> Result:
        data, name = await self._find(call.fd).receive(self._size(call.length, call.flags), call.flags)
        return len(data), received_from(data, _address(name) if name else None, call.room)

    def _size(self, claimed: int, flags: int) -> int:
        """How much one call reads, whatever room the program claims to have."""
        return min(claimed, self._limits.posix_message_bytes if flags & WAITALL else self.piece)

    # ── Options ────────────────────────────────────────────────────────────────────────────────────

    async def _getsockopt(self, call: Getsockopt) -> Result:
        """Its answer has the value where others have a length: there the client looks for it."""
        found = self._find(call.fd)
        if which := posix_options.timeout_option(call.level, call.name):
            seconds = found.receive_timeout if which == "receive" else found.send_timeout
            return 0, posix_options.pack_timeout(seconds, call.room)[: call.room]
        return 0, posix_options.get_option(found.host, call.level, call.name, call.room)

    async def _setsockopt(self, call: Setsockopt) -> Result:
        found = self._find(call.fd)
        if which := posix_options.timeout_option(call.level, call.name):
            seconds = posix_options.unpack_timeout(call.value)
            if which == "receive":
                found.receive_timeout = seconds
            else:
                found.send_timeout = seconds
            return 0, b""
        if group := posix_options.joined_group(call.level, call.name, call.value):
            found = self._find_bindable(call.fd)
            decision = self.policy.decide("udp", group, group, found.host.getsockname()[1])
            if not decision.allowed:
                raise DialError("EACCES", decision.reason, decision.rule)
        posix_options.set_option(found.host, call.level, call.name, call.value)
        return 0, b""

    # ── Names ──────────────────────────────────────────────────────────────────────────────────────

    async def _getaddrinfo(self, call: Getaddrinfo) -> Result:
        """What it returns is no errno but a code of its own."""
        if self._lookups >= self._limits.resolves_per_session:
            return EAI["EAI_AGAIN"], b""
        self._lookups += 1
        try:
            canonical, infos = await self._look_up(call)
        except DialError as error:
            if error.rule:
                self.failed("resolve", error, target=call.node)
            return EAI.get(error.code, EAI["EAI_FAIL"]), b""
        finally:
            self._lookups -= 1
        return 0, address_infos(canonical if call.flags & AI_CANONNAME else "", infos)

    async def _look_up(self, call: Getaddrinfo) -> tuple[str, list[AddressInfo]]:
        if call.family not in VERSIONS:
            raise DialError("EAI_FAMILY", f"family {call.family}")
        kinds = [call.socktype] if call.socktype else [STREAM, DGRAM]
        if call.protocol:
            kinds = [kind for kind in kinds if PROTOCOLS.get(kind) == call.protocol]
        if not kinds or kinds[0] not in PROTOCOLS:
            raise DialError("EAI_SOCKTYPE", f"socket type {call.socktype}, protocol {call.protocol}")
        if not call.node and not call.service:
            raise DialError("EAI_NONAME", "neither a name nor a service")
        port = 0
        if call.service:
            port = await self.resolver.service_port(call.service, datagram=kinds == [DGRAM])
        canonical, hosts = await self._hosts(call)
        infos = [
            AddressInfo(kind, PROTOCOLS[kind], SockAddr(INET6 if ":" in host else INET, host, port))
            for host in hosts
            for kind in kinds
        ]
        return canonical, infos

    async def _hosts(self, call: Getaddrinfo) -> tuple[str, list[str]]:
        version = VERSIONS[call.family]
        if not call.node:
            own = {4: "0.0.0.0", 6: "::"} if call.flags & AI_PASSIVE else {4: "127.0.0.1", 6: "::1"}
            return "", [host for family, host in own.items() if version in (0, family)]
        if call.flags & AI_NUMERICHOST and addresses.literal(call.node) is None:
            raise DialError("EAI_NONAME", f"{call.node!r} is not a numeric address")
        found = await self.resolver.resolve(call.node, version)
        name = addresses.canonical(call.node)
        for host in found.addresses:
            self._names.pop(host, None)
            if len(self._names) >= NAMES_MAX:
                del self._names[next(iter(self._names))]
            self._names[host] = name
        return found.canonical, list(found.addresses)

    _HANDLERS: ClassVar[dict[int, Callable[[PosixClient, Any], Awaitable[Result]]]] = {
        Function.SOCKET: _socket,
        Function.SOCKETPAIR: _socketpair,
        Function.SHUTDOWN: _shutdown,
        Function.BIND: _bind,
        Function.CONNECT: _connect,
        Function.LISTEN: _listen,
        Function.ACCEPT: _accept,
        Function.GETSOCKNAME: _getsockname,
        Function.GETPEERNAME: _getpeername,
        Function.SEND: _send,
        Function.RECV: _recv,
        Function.SENDTO: _sendto,
        Function.RECVFROM: _recvfrom,
        Function.GETSOCKOPT: _getsockopt,
        Function.SETSOCKOPT: _setsockopt,
        Function.GETADDRINFO: _getaddrinfo,
    }


def _no_function(function: int) -> Result:
    raise CallError("ENOSYS", f"function {function}")


def _kind(call: Socket) -> socket.SocketKind:
    type_ = call.type & TYPE_MASK
    if type_ == RAW:
        raise host_error(errno.EPERM)
    if type_ not in KINDS:
        raise host_error(errno.ESOCKTNOSUPPORT)
    if call.protocol not in (0, PROTOCOLS[type_]):
        raise host_error(errno.EPROTONOSUPPORT)
    return KINDS[type_]


def _address(name: tuple[Any, ...] | str | bytes) -> SockAddr | None:
    """An address of the host's; none for halves of a pair."""
    if isinstance(name, str | bytes):
        return None
    host = str(name[0]).partition("%")[0]
    return SockAddr(INET6 if ":" in host else INET, host, int(name[1]))
