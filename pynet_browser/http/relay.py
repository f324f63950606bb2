"""Requests that the proxy makes for this page: see docs/protocol.md, "Relayed requests"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pynet_browser.errors import (
    BrokenAnswerError,
    ProtocolError,
    ProxyRefusedError,
    ProxyUnreachableError,
    RequestError,
)
from pynet_browser.frames import Failed, Frame, Goaway, Hello, Refused, Relay, Response
from pynet_browser.frames import Request as RequestFrame
from pynet_browser.http.request import Request
from pynet_browser.http.transport import Head, Incoming, Sent, Transport, headers_of
from pynet_browser.settings import Options
from pynet_browser.stdlib.failures import failure
from pynet_browser.wire import MESSAGE_HEADER, VERSION, encode_frame, encode_message, frames_of

__all__ = ["RelayTransport"]

HEAD_MAX = 1 << 20
"""No answer of the proxy begins with a longer message."""

SLACK = 5.0
"""Seconds that the proxy has for saying that it waited in vain."""

PATIENT = 0.5
"""Where nothing has come for this part of the timeout the proxy has waited in vain: it cannot say why it
breaks an answer off. Its time began when it had the last piece, which this page may have read much later."""

OMITTED = {"mode": "cors", "credentials": "omit"}
"""The request to the proxy shows who asks by its token alone."""


class RelayTransport:
    """By the proxy, which is asked by requests of its own kind.

    Args:
        carrier: makes those.
        options: where the proxy is, and its token.
    """

    def __init__(self, carrier: Transport, options: Options) -> None:
        self._carrier = carrier
        self._options = options

    async def start(self, request: Request, sent: Sent | None) -> Incoming:
        """See ``Transport``; redirects are not followed."""
        address = self._options.url.replace("ws", "http", 1) + "/fetch"
        headers = (("Content-Type", "text/plain"),)  # for which no browser asks leave first
        patience = None if request.timeout is None else request.timeout + SLACK
        outer = Request("POST", address, headers, self._body(request), options=OMITTED, timeout=patience)
        try:
            incoming = await self._carrier.start(outer, sent)
        except RequestError as error:
            raise ProxyUnreachableError(
                error.errno, f"no proxy answers at {address} ({error.strerror}); is it running?"
            ) from None
        try:
            frame, rest = await _first_frame(incoming)
        except BaseException:
            incoming.close()
            raise
        match frame:
            case Response():
                pairs = list(zip(frame.headers[::2], frame.headers[1::2], strict=False))
                return _Relayed(
                    Head(frame.status, frame.reason, request.url, headers_of(pairs)),
                    rest,
                    incoming,
                    request.timeout,
                )
            case Failed(code=code, message=message):
                raise failure(code, message)
            case Refused(code=code, message=message):
                raise ProxyRefusedError(code, message)
            case Goaway(message=message):
                raise ProtocolError(message)
            case _:
                raise ProtocolError(f"the proxy answers a request with {type(frame).__name__}")

    def _body(self, request: Request) -> bytes:
        hello = Hello(0, VERSION, self._options.token, "", "", 0, 0, 0, (), self._options.agent)
        pairs = request.headers
        if request.header("user-agent") is None:
            pairs = (*pairs, ("User-Agent", self._options.agent))
        texts = tuple(text for pair in pairs for text in pair)
        milliseconds = int((request.timeout or 0) * 1000)
        body = request.body or b""
        asked = RequestFrame(0, len(body), milliseconds, request.method, request.url, texts)
        greeting = encode_message(0, 0, [encode_frame(hello), encode_frame(Relay(0))])
        return b"".join((greeting, encode_message(0, 0, [encode_frame(asked)]), body))


class _Relayed(Incoming):
    def __init__(self, head: Head, first: bytes, incoming: Incoming, timeout: float | None) -> None:
        self.head = head
        self._first = first
        self._incoming = incoming
        self._timeout = timeout

    async def next(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        with self._telling_timeout():
            return await self._incoming.next()

    async def rest(self) -> bytes:
        first, self._first = self._first, b""
        with self._telling_timeout():
            rest = await self._incoming.rest()
        return first + rest if first else rest

    @contextmanager
    def _telling_timeout(self) -> Iterator[None]:
        try:
            yield
        except BrokenAnswerError as error:
            if self._timeout is not None and error.silent >= PATIENT * self._timeout:
                raise TimeoutError("timed out") from error
            raise

    def close(self) -> None:
        self._incoming.close()


async def _first_frame(incoming: Incoming) -> tuple[Frame, bytes]:
    """What an answer of the proxy begins with, and what has come behind it.

    Raises:
        ProxyUnreachableError: that is no proxy's answer.
    """
    data, size = b"", MESSAGE_HEADER.size
    while len(data) < size:
        piece = await incoming.next()
        data += piece
        if len(data) >= MESSAGE_HEADER.size:
            size = MESSAGE_HEADER.size + MESSAGE_HEADER.unpack_from(data)[0]
        if not piece or size > HEAD_MAX:
            break
    with suppress(ProtocolError):
        for frame in frames_of(memoryview(data)[MESSAGE_HEADER.size : size]) if len(data) >= size else ():
            return frame, data[size:]
    head = incoming.head
    raise ProxyUnreachableError(
        None, f"what answers at {head.url} with HTTP status {head.status} is no proxy"
    )
