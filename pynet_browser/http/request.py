"""What is asked for, checked and in one form, whoever carries it. Pure.

Names and defaults are those of the Fetch standard (https://fetch.spec.whatwg.org, §5.4 "RequestInit").
"""

from __future__ import annotations

import json as json_module
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

__all__ = ["SAFE_METHODS", "Body", "Headers", "Request"]

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class Readable(Protocol):
    """A file."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end, and then none."""
        ...


Plain: TypeAlias = bytes | bytearray | memoryview | str | Mapping[str, str]
Body: TypeAlias = Plain | Readable | Iterable[bytes] | AsyncIterable[bytes]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""What changes nothing on the server (RFC 9110 §9.2.1), so that it may be asked again."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NORMALISED = {"delete", "get", "head", "options", "post", "put"}
"""Methods that Fetch writes in capitals; others are taken as they are."""

_UNQUOTED = "!#$%&'()*+,/:;=?@[]~"
"""What stays in a URL as it is (RFC 3986 §2.2, and the percent sign of what is quoted already)."""

PIECE = 64 * 1024
"""Bytes of a file that go out at once."""

FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain;charset=UTF-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: as it goes out.
        url: absolute, of http or https, in ASCII, without a fragment.
        headers: names and values in the order they were given.
        body: None for none, or for one that is given by ``source``.
        source: the body in pieces, which can be had once; None where it is known as a whole.
        options: what only browsers know: ``mode``, ``credentials``, ``cache``, ``redirect``, ``referrer``,
            ``referrerPolicy``, ``integrity``, ``keepalive``, ``priority``.
        timeout: seconds in which something has to happen, again and again; None for no limit.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    source: AsyncIterable[bytes] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None

    @classmethod
    def make(
        cls,
        url: str,
        method: str = "GET",
        *,
        headers: Headers | None = None,
        body: Body | None = None,
        json: Any = None,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        base: str = "",
    ) -> Request:
        """Check what a program gave.

        Args:
            url: absolute, or relative to ``base``; what is no ASCII is quoted.
            method: any but CONNECT.
            headers: pairs, or a mapping.
            body: bytes as they are, text in UTF-8, a mapping as a form; its media type is set unless given.
                Or a file, or what gives bytes when it is iterated over, which is read as it goes out.
            json: what is sent as JSON, in place of ``body``.
            timeout: see the class.
            options: see the class.
            base: the page's address.

        Raises:
            ValueError: some of it cannot be sent; the message says what.
        """
        if not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
            raise ValueError(f"{method!r} is no method that can be sent")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout must be positive, or None for none, not {timeout!r}")
        pairs = tuple(_checked(headers.items() if isinstance(headers, Mapping) else headers or ()))
        source = _pieces(body)
        if source is not None and json is not None:
            raise ValueError("a request has a body or json, not both")
        content, media_type = (None, "") if source else _content(body, json)
        if media_type and not any(name.lower() == "content-type" for name, _ in pairs):
            pairs += (("Content-Type", media_type),)
        method = method.upper() if method.lower() in _NORMALISED else method
        if (content is not None or source) and method in ("GET", "HEAD"):
            raise ValueError(f"a {method} request has no body")
        return cls(method, absolute(url, base), pairs, content, source, dict(options or {}), timeout)

    async def collected(self) -> Request:
        """The same with a body that is known as a whole.

        Raises:
            TypeError: something in it is no bytes.
        """
        if self.source is None:
            return self
        return replace(self, body=b"".join([piece async for piece in self.source]), source=None)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def without(self, names: Iterable[str]) -> Request:
        """The same without these headers, whose names are in lower case."""
        dropped = frozenset(names)
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in dropped))

    def having(self, name: str, value: str) -> Request:
        """The same with this header in place of another of its name."""
        kept = self.without([name.lower()]).headers
        return replace(self, headers=(*kept, (name, value)))

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Scheme, host and port of the server."""
        return origin_of(self.url)


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; the port that goes with the scheme if there is none."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def absolute(url: str, base: str = "") -> str:
    """A URL as it is asked for.

    Raises:
        ValueError: it is none of http or https with a host.
    """
    parts = urlsplit(urljoin(base, url.strip()))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no http or https address")
    _ = parts.port  # which raises for what is none
    if parts.username or parts.password:
        raise ValueError("a name and password do not belong in the address: use the Authorization header")
    host = parts.netloc
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    path, query = (quote(part, safe=_UNQUOTED) for part in (parts.path or "/", parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def _checked(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in pairs:
        text = str(value).strip("\t \r\n")
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ValueError(f"{name!r}: {value!r} is no header")
        yield name, text


def _pieces(body: Any) -> AsyncIterable[bytes] | None:
    """What is read as it goes out; None for what is known as a whole."""
    if body is None or isinstance(body, str | bytes | bytearray | memoryview | Mapping):
        return None
    if isinstance(body, AsyncIterable):
        return _awaited(body)
    if hasattr(body, "read"):
        return _given(iter(partial(body.read, PIECE), b""))
    if isinstance(body, Iterable):
        return _given(body)
    raise TypeError(
        f"a body is bytes, str, a mapping, a file, or an iterable of bytes, not {type(body).__name__}"
    )


async def _awaited(pieces: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield _some_bytes(piece)


async def _given(pieces: Iterable[Any]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield _some_bytes(piece)


def _some_bytes(piece: Any) -> bytes:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise TypeError(f"a piece of a body is bytes, not {type(piece).__name__}")
    return bytes(piece)


def _content(body: Any, json: Any) -> tuple[bytes | None, str]:
    """The bytes of a body, and their media type if it follows from what they were."""
    if json is not None:
        if body is not None:
            raise ValueError("a request has a body or json, not both")
        return json_module.dumps(json).encode(), JSON
    if body is None:
        return None, ""
    if isinstance(body, str):
        return body.encode(), TEXT
    if isinstance(body, Mapping):
        return urlencode(body).encode(), FORM
    return bytes(body), ""
