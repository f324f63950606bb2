"""HTTP requests that the proxy makes for pages which cannot: other origins, headers that browsers forbid.

A relayed request passes the same policy as a socket, and is answered as the server answered it: redirects
are the page's to follow, so that each of them passes the policy too.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Failed, Frame, Goaway, Hello, Refused, Relay, Request, Response
from pynet_browser.proxy import addresses
from pynet_browser.proxy.audit import Voice
from pynet_browser.proxy.carriers.incoming import GREETING_MAX, first_frames
from pynet_browser.proxy.door import GreetingError, Visitor
from pynet_browser.proxy.endpoint import Traffic
from pynet_browser.proxy.limits import Paces
from pynet_browser.proxy.policy import Policy
from pynet_browser.proxy.resolver import DialError, Resolver
from pynet_browser.wire import encode_frame, encode_message

if TYPE_CHECKING:
    from pynet_browser.proxy.sessions import Everybody, Sessions
    from pynet_browser.proxy.tenants import Tenant

__all__ = ["Relays"]

AT_ONCE_MAX = 256
"""Requests under way at once, of all pages together."""

IDLE_TIMEOUT = 300.0
"""Seconds in which something has to happen, whatever the page says: the standard of aiohttp's client."""

GONE_CHECK = 0.5
"""Seconds after which a page that has given up waiting is noticed: aiohttp tells nobody."""

PIECE = 256 * 1024

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""What methods, and headers, are made of (RFC 9110 §5.6.2, §5.5): nothing that begins another line."""

NOT_RELAYED = frozenset(
    {
        "accept-encoding",  # what is coded is decoded here, and browsers code nothing of their own accord
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about one connection (RFC 9110 §7.6.1), and those that are made anew."""


class Errand:
    """One request of a page, for as long as it is under way.

    Args:
        request: of the page.
        tenant: whose token it has shown.
        everybody: how fast all together may move bytes.

    Attributes:
        receiving, sending: how fast it may move bytes from the server, and to it.
        connects: how fast requests may follow one another.
        dismissed: why the page must not go on.
        method, target: of the request, without what may be secret in it.
        traffic: bytes of bodies from the server, and to it.
        since: since when it is under way.
        status: what the server has answered; 0 while it has not.
        error: why there is no answer.
    """

    name = ""

    def __init__(self, request: web.Request, tenant: Tenant, everybody: Everybody, asked: Request) -> None:
        self._request = request
        self.tenant = tenant
        self.visitor = Visitor.of(request)
        self.method = asked.method
        self.target = _without_secrets(asked.url)
        self.traffic = Traffic()
        self.since = time.monotonic()
        self.status = 0
        self.error: DialError | None = None
        self.receiving = Paces(tenant.receiving, everybody.receiving)
        self.sending = Paces(tenant.sending, everybody.sending)
        self.connects = Paces(tenant.connects, everybody.connects)
        self.asking: asyncio.Task[aiohttp.ClientResponse] | None = None
        self.dismissed = ""

    @property
    def token(self) -> str:
        """The name of its token."""
        return self.tenant.name

    @property
    def voice(self) -> Voice:
        """Requests are no part of a session: those with one token share it."""
        return self.tenant.voice

    def dismiss(self, reason: str) -> None:
        """Its token is valid no more: fail, or break off."""
        self.dismissed = reason
        if self.asking and not self.asking.done():
            self.asking.cancel()
        elif self._request.transport:
            self._request.transport.abort()

    def bounds_changed(self) -> None:
        """What is under way goes on as it began."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer."""
        transport = self._request.transport
        return transport is None or transport.is_closing()


class Connections:
    """Connections to servers, which are used again: only by those who may reach the same.

    Attributes:
        policy: whose.
        client: has them.
        users: how many requests use them.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.policy: Policy = tenant.policy
        connector = aiohttp.TCPConnector(
            resolver=_Checking(tenant.resolver), use_dns_cache=False, limit=AT_ONCE_MAX, limit_per_host=0
        )
        self.client = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=PIECE, trust_env=False
        )
        self.users = 0


class Relays:
    """The requests of all pages.

    Args:
        sessions: let pages in.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._connect_timeout = sessions.config.connect_timeout
        self._connections: dict[Tenant, Connections] = {}
        self._retired: set[Connections] = set()
        self.under_way = 0
        """How many requests are."""

    async def close(self) -> None:
        """Let go of all connections."""
        for connections in (*self._connections.values(), *self._retired):
            await connections.client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request of a page."""
        try:
            tenant, asked = await self._admitted(request)
        except GreetingError as error:
            return _only(403, Refused(0, error.code, error.message))
        except ProtocolError as error:
            self._sessions.door.refused(GreetingError("greeting", str(error)), Visitor.of(request))
            return _only(400, Goaway(0, "protocol", str(error)))
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)
        errand = Errand(request, tenant, self._sessions.everybody, asked)
        connections = await self._connections_of(tenant)
        self.under_way += 1
        connections.users += 1
        tenant.errands.add(errand)
        try:
            return await self._relayed(request, asked, errand, connections)
        finally:
            self.under_way -= 1
            connections.users -= 1
            tenant.errands.discard(errand)
            self._tell_of(errand)

    def _tell_of(self, errand: Errand) -> None:
        carried = self._sessions.carried["relay"]
        carried.received += errand.traffic.sent
        carried.sent += errand.traffic.received
        self._sessions.moved(errand.tenant, "relay").add(errand.traffic)
        fields: dict[str, str | float] = {
            "method": errand.method,
            "target": errand.target,
            "bytes_received": errand.traffic.received,
            "bytes_sent": errand.traffic.sent,
            "seconds": round(time.monotonic() - errand.since, 3),
        }
        audit, error = self._sessions.audit, errand.error
        if errand.status:
            audit.decided(errand, "fetch", "allowed", status=errand.status, **fields)
        elif error and error.rule:
            audit.refused(errand, "fetch", error.rule, reason=error.code, **fields)
        else:
            reason = "token" if errand.dismissed else error.code if error else "left"
            audit.decided(errand, "fetch", "failed", reason=reason, **fields)

    async def _connections_of(self, tenant: Tenant) -> Connections:
        """Those that may be used again; the others are closed as soon as nobody uses them."""
        known = self._connections.get(tenant)
        if known and known.policy is tenant.policy:
            return known
        current = {each: each.policy for each in self._sessions.tenants}
        for other, connections in list(self._connections.items()):
            if current.get(other) is not connections.policy:
                self._retired.add(self._connections.pop(other))
        made = self._connections[tenant] = Connections(tenant)
        for connections in [each for each in self._retired if not each.users]:
            self._retired.discard(connections)
            await connections.client.close()
        return made

    async def _admitted(self, request: web.Request) -> tuple[Tenant, Request]:
        """Who asks that may ask, and for what.

        Raises:
            GreetingError: it may not.
            ProtocolError: that is no request.
        """
        sessions, visitor = self._sessions, Visitor.of(request)
        config = sessions.config
        sessions.door.check_origin(visitor)
        with sessions.unauthenticated(visitor):
            match await first_frames(request.content, GREETING_MAX, config.auth_timeout):
                case [Hello() as hello, Relay()]:
                    tenant = sessions.authenticate(hello, visitor)
                case _:
                    raise ProtocolError("the first message is no greeting")
        if self.under_way >= AT_ONCE_MAX:
            error = GreetingError("busy", f"{AT_ONCE_MAX} requests are under way; try again")
            raise sessions.door.refused(error, visitor, tenant)
        match await first_frames(request.content, config.limits.message_bytes, config.auth_timeout):
            case [Request() as asked]:
                return tenant, asked
            case _:
                raise ProtocolError("the message behind the greeting is no request")

    # ── To the server, and back ────────────────────────────────────────────────────────────────────

    async def _relayed(
        self, request: web.Request, asked: Request, errand: Errand, connections: Connections
    ) -> web.StreamResponse:
        asking = errand.asking = asyncio.create_task(self._ask(request, asked, errand, connections))
        try:
            while not asking.done():
                await asyncio.wait([asking], timeout=GONE_CHECK)
                if errand.gone:
                    return web.Response()
            if errand.dismissed:
                return _only(200, Failed(0, "EACCES", errand.dismissed))
            answer = asking.result()
        except (DialError, aiohttp.ClientError, OSError, ValueError) as error:
            # The traceback leads to frames that have the errand, which would need Python's collector.
            errand.error = _reason(error.with_traceback(None), asked.url)
            return _only(200, Failed(0, errand.error.code, errand.error.message))
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait([asking])
            errand.asking = None
        async with answer:
            return await self._passed_on(request, answer, errand)

    async def _ask(
        self, request: web.Request, asked: Request, errand: Errand, connections: Connections
    ) -> aiohttp.ClientResponse:
        """Make the request, and wait for what its answer begins with."""
        url = urlsplit(asked.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{asked.url!r} is no http or https address")
        if addresses.literal(url.hostname) is not None:  # which aiohttp asks no resolver about
            port = url.port or {"http": 80, "https": 443}[url.scheme]
            await errand.tenant.resolver.destination("tcp", url.hostname, port)
        if not TOKEN.fullmatch(asked.method) or asked.method.upper() == "CONNECT":
            raise ValueError(f"{asked.method!r} is no method")
        pairs = list(zip(asked.headers[::2], asked.headers[1::2], strict=True))
        for name, value in pairs:
            if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
                raise ValueError(f"{name!r}: {value!r} is no header")
        headers = [(name, value) for name, value in pairs if name.lower() not in NOT_RELAYED]
        if asked.size:
            headers.append(("Content-Length", str(asked.size)))
        patience = min(asked.timeout / 1000 or IDLE_TIMEOUT, IDLE_TIMEOUT)
        longest = self._connect_timeout
        if (delay := errand.connects.delay(time.monotonic(), longest)) >= longest:
            message = "too many connections are made (limits.connects_per_second_total, or the token's)"
            raise DialError("ETIMEDOUT", message, "limits.connects_per_second_total")
        await asyncio.sleep(delay)
        return await connections.client.request(
            asked.method,
            asked.url,
            headers=headers,
            data=_pieces(request, asked.size, errand) if asked.size else None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=patience),
            skip_auto_headers=("Content-Type", "User-Agent"),
        )

    async def _passed_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, errand: Errand
    ) -> web.StreamResponse:
        """Pass on an answer; where it breaks off, so does that to the page."""
        errand.status = answer.status
        response = web.StreamResponse(headers={"Cache-Control": "no-store, no-transform"})
        response.content_type = "text/plain"
        pairs = [str(text, "latin-1") for pair in answer.raw_headers for text in pair]
        head = Response(0, answer.status, answer.reason or "", tuple(pairs))
        try:
            await response.prepare(request)
            await response.write(_message(head))
            async for piece in answer.content.iter_any():
                await _keep_pace(errand.receiving, len(piece))
                await response.write(piece)
                errand.traffic.received += len(piece)
            await response.write_eof()
        except (aiohttp.ClientError, OSError):
            if request.transport:
                request.transport.abort()
        return response


class _Checking(AbstractResolver):
    """Gives aiohttp the addresses that the policy allows."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        version = {socket.AF_INET: 4, socket.AF_INET6: 6}.get(family, 0)
        return [
            ResolveResult(
                hostname=host,
                host=found,
                port=port,
                family=socket.AF_INET6 if ":" in found else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for found in await self._resolver.destinations("tcp", host, port, version)
        ]

    async def close(self) -> None:
        pass


async def _keep_pace(paces: Paces, size: int) -> None:
    """Wait until bytes may move, and count these."""
    while debt := paces.debt(time.monotonic()):  # noqa: ASYNC110 - when it ends is known
        await asyncio.sleep(debt)
    paces.spend(size, time.monotonic())


async def _pieces(request: web.Request, size: int, errand: Errand) -> AsyncIterator[bytes]:
    """The body that is to be passed on, as it comes."""
    while size:
        piece = (await request.content.readany())[:size]
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "the request's body ends early")
        size -= len(piece)
        await _keep_pace(errand.sending, len(piece))
        errand.traffic.sent += len(piece)
        yield piece


def _without_secrets(url: str) -> str:
    """An address without user, query and fragment."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return ""


def _reason(error: Exception, url: str) -> DialError:
    """The errno's name and a sentence."""
    if isinstance(error, DialError):
        return error
    return DialError(*_reason_of(error, url))


def _reason_of(error: Exception, url: str) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT", f"{url} did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError):
        return "EPROTO", f"no TLS with {url}: {error}"
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return errno.errorcode[number], f"{url}: {os.strerror(number)}"
    if isinstance(error, ValueError):
        return "EINVAL", str(error)
    return "ECONNRESET", f"{url}: {error}"


def _only(status: int, frame: Frame) -> web.Response:
    return web.Response(
        status=status,
        body=_message(frame),
        content_type="text/plain",
        headers={"Cache-Control": "no-store"},
    )


def _message(frame: Frame) -> bytes:
    return encode_message(0, 0, [encode_frame(frame)])
