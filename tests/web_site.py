"""A site as pages of other origins meet it: with CORS or without, with all that HTTP has to offer."""

from __future__ import annotations

import gzip
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from queue import Queue
from urllib.parse import parse_qs, unquote, urlsplit

from tests.http_site import HttpSite, SiteHandler
from tests.peers import pattern

HELD_MAX = 20.0
"""Seconds after which a connection that is held ends by itself."""

BROTLI_HELLO = bytes.fromhex("0b028068656c6c6f03")
"""``hello`` in brotli (RFC 7932)."""


class WebHandler(SiteHandler):
    """The routes of ``SiteHandler``, and these:

    ``/echo`` by any method      method, path, headers and the body's size and digest, as JSON
    ``/gzip``, ``/br``           bodies that are compressed
    ``/drip?pieces=N&pause=S``   N bytes, S seconds apart
    ``/stall``                   nothing at all
    ``/break``                   one chunk of several, and the connection's end
    ``/break?held=1``            the same, but its end comes when ``WebSite.let_break`` is set
    ``/go/CODE?to=URL``          that redirect
    ``/loop``                    redirects to itself
    ``/cookies``                 what cookies came; with ``?set=name%3Dvalue`` it sets one
    ``/range``                   1000 bytes of ``pattern``, or the range that was asked for
    ``/charset``                 text in latin-1
    ``/empty``                   204
    """

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        """Finds the route."""
        self.note()
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        routes: dict[str, Callable[[], None]] = {
            "br": lambda: self.answer_coded("br", BROTLI_HELLO),
            "break": lambda: self.break_off(held="held" in given),
            "charset": lambda: self.answer("Grüße".encode("latin-1"), kind="text/plain; charset=iso-8859-1"),
            "cookies": lambda: self.cookies(given.get("set")),
            "drip": lambda: self.drip(int(given["pieces"]), float(given["pause"])),
            "echo": self.echo,
            "empty": lambda: self.send_empty(204),
            "go": lambda: self.answer(b"elsewhere\n", int(url.path.split("/")[2]), location=given["to"]),
            "gzip": lambda: self.answer_coded("gzip", gzip.compress(pattern(int(given["bytes"])))),
            "loop": lambda: self.answer(b"", status=302, location="/loop"),
            "range": lambda: self.ranged(pattern(1000)),
            "stall": self.stall,
        }
        routes.get(url.path.split("/")[1], super().do_GET)()

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        """Whatever has a body."""
        self.note()
        if self.path.startswith("/echo"):
            self.echo()
        elif self.path.startswith("/go/"):
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = urlsplit(self.path)
            self.answer(b"", status=int(url.path.split("/")[2]), location=parse_qs(url.query)["to"][0])
        else:
            super().do_POST()

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the base class's names

    def break_off(self, *, held: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3e8\r\n" + pattern(1000) + b"\r\n")
        if held:
            self.site.let_break.wait(HELD_MAX)
        self.close_connection = True

    def stall(self) -> None:
        time.sleep(5)
        self.close_connection = True

    def send_empty(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def do_HEAD(self) -> None:  # noqa: N802
        """Headers alone."""
        self.note()
        if self.path == "/loop":
            self.answer(b"", status=302, location="/loop")
            return
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_OPTIONS(self) -> None:  # noqa: N802 - the base class's name
        """A preflight, which is answered with leave where there is CORS."""
        self.note()
        self.send_response(204 if self.site.cors else 405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @property
    def site(self) -> WebSite:
        assert isinstance(self.server, _Server)
        return self.server.site

    def note(self) -> None:
        self.site.requests.append(f"{self.command} {self.path}")

    def end_headers(self) -> None:
        """With leave for every origin, where there is CORS."""
        if self.site.cors:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Methods", "*")
            self.send_header("Access-Control-Allow-Headers", "*")
            self.send_header("Access-Control-Expose-Headers", "*")
        super().end_headers()

    def echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        told = {
            "method": self.command,
            "path": unquote(self.path),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        self.answer(json.dumps(told).encode(), kind="application/json")

    def answer_coded(self, coding: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", coding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, pieces: int, pause: float) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(pieces))
        self.end_headers()
        for _ in range(pieces):
            try:
                self.wfile.write(b"x")
            except ConnectionError:
                self.site.broken.put(self.path)
                self.close_connection = True
                return
            time.sleep(pause)

    def cookies(self, given: str | None) -> None:
        body = (self.headers.get("Cookie") or "").encode()
        self.send_response(200)
        if given:
            self.send_header("Set-Cookie", f"{given}; Path=/")
            self.send_header("Set-Cookie", "second=2; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ranged(self, body: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self.answer(body)
            return
        first, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(body[first : last + 1])


class _Server(ThreadingHTTPServer):
    site: WebSite


class WebSite(HttpSite):
    """The site in threads of this process.

    Attributes:
        cors: whether pages of other origins may read its answers.
        requests: what has come: method and path of each.
        let_break: set when connections that are held may end.
        broken: paths of drips whose clients went before their end.
    """

    def __init__(self, *, cors: bool, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(WebHandler, _Server, tls)
        assert isinstance(self._server, _Server)
        self._server.site = self
        self.cors = cors
        self.requests: list[str] = []
        self.let_break = threading.Event()
        self.broken: Queue[str] = Queue()
