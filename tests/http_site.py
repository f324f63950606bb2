"""A small HTTP/1.1 site with the bodies that make trouble: large, chunked, slow, redirected, absent."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.peers import pattern

HELLO = b"hello from the HTTP server\n"


class SiteHandler(BaseHTTPRequestHandler):
    """The routes, by method and path.

    ``GET /``                  HELLO
    ``GET /large?bytes=N``     N bytes of `pattern`, with Content-Length
    ``GET /chunked?bytes=N``   the same, in chunks of unequal size
    ``GET /until-close?bytes=N`` the same, without a length: the connection's end is the body's end
    ``GET /cut?bytes=N``       announces N bytes, sends half, and closes
    ``GET /headers``           the request's header fields as JSON
    ``GET /status/CODE``       that status
    ``GET /redirect``          302 to /
    ``POST``, ``PUT``          the request's body comes back
    """

    protocol_version = "HTTP/1.1"
    timeout = 30  # a connection that a test forgot does not keep its thread

    def do_GET(self) -> None:
        """Finds the route."""
        url = urlsplit(self.path)
        size = int(parse_qs(url.query).get("bytes", ["0"])[0])
        match url.path.split("/")[1:]:
            case [""]:
                self.answer(HELLO)
            case ["large"]:
                self.answer(pattern(size))
            case ["chunked"]:
                self.answer_in_chunks(pattern(size))
            case ["until-close"]:
                self.answer_until_close(pattern(size), announced=None)
            case ["cut"]:
                self.answer_until_close(pattern(size // 2), announced=size)
            case ["headers"]:
                self.answer(json.dumps(dict(self.headers)).encode(), kind="application/json")
            case ["status", code]:
                self.answer(f"status {code}\n".encode(), status=int(code))
            case ["redirect"]:
                self.answer(b"", status=302, location="/")
            case _:
                self.answer(b"no such page\n", status=404)

    def do_POST(self) -> None:
        """Sends the body back."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.answer(body, kind=self.headers.get("Content-Type", "application/octet-stream"))

    do_PUT = do_POST  # noqa: N815 - the base class's name

    def answer(
        self,
        body: bytes,
        status: int = 200,
        kind: str = "application/octet-stream",
        location: str | None = None,
    ) -> None:
        """Sends a whole body, with its length."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def answer_in_chunks(self, body: bytes) -> None:
        """Sends a body with Transfer-Encoding: chunked."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        start, size = 0, 1
        while start < len(body):
            piece = body[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            start, size = start + size, size * 3 % 100_003
        self.wfile.write(b"0\r\n\r\n")

    def answer_until_close(self, body: bytes, announced: int | None) -> None:
        """Sends a body that the connection's end ends."""
        self.send_response(200)
        if announced is not None:
            self.send_header("Content-Length", str(announced))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing: a test prints what it has to say."""


class HttpSite:
    """The site in threads of this process."""

    def __init__(
        self,
        handler: type[SiteHandler] = SiteHandler,
        server: type[ThreadingHTTPServer] = ThreadingHTTPServer,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True  # a kept-alive connection does not delay the end
        self.host = "127.0.0.1"
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
