"""Requests over Python's own sockets, whose TLS ends in this page: what carries them sees ciphertext."""

from __future__ import annotations

from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from pynet_browser.errors import BrokenAnswerError
from pynet_browser.http.request import Request
from pynet_browser.http.transport import Head, Incoming, Sent, headers_of

__all__ = ["SocketTransport"]

PIECE = 1 << 16


class SocketTransport:
    """By a connection of its own for each request; its calls block as those of sockets do.

    Args:
        agent: what this page calls itself, where the program does not say.
    """

    def __init__(self, agent: str) -> None:
        self._agent = agent

    async def start(self, request: Request, sent: Sent | None) -> Incoming:
        """See ``Transport``; redirects are not followed."""
        parts = urlsplit(request.url)
        connection = HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=request.timeout)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        try:
            connection.putrequest(
                request.method,
                target,
                skip_host=request.header("host") is not None,
                skip_accept_encoding=True,
            )
            for name, value in self._headers(request):
                connection.putheader(name, value)
            connection.endheaders(request.body)
            if sent and request.body:
                sent(len(request.body), len(request.body))
            return _Answer(request.url, connection)
        except HTTPException as error:
            connection.close()
            raise BrokenAnswerError(f"{parts.netloc} answers no HTTP: {error!r}") from error
        except BaseException:
            connection.close()
            raise

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        """What the program wants, and what it must not decide (RFC 9110, section 7.6.1)."""
        own = {"connection", "accept-encoding", "content-length", "transfer-encoding"}
        headers = list(request.without(own).headers)
        headers += [("Connection", "close"), ("Accept-Encoding", "identity")]
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(request.body or b""))))
        if request.header("user-agent") is None:
            headers.append(("User-Agent", self._agent))
        return headers


class _Answer(Incoming):
    def __init__(self, url: str, connection: HTTPSConnection) -> None:
        self._connection = connection
        self._response: Any = connection.getresponse()
        pairs = self._response.getheaders()
        self.head = Head(self._response.status, self._response.reason, url, headers_of(pairs))

    async def next(self) -> bytes:
        try:
            data: bytes = self._response.read1(PIECE)
        except (HTTPException, ConnectionError) as error:
            raise BrokenAnswerError(str(error)) from error
        if not data and self._response.length:  # http.client lets that pass for an end
            raise BrokenAnswerError(f"{self._response.length} bytes are missing")
        return data

    def close(self) -> None:
        self._response.close()
        self._connection.close()
