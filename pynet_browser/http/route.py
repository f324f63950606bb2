"""Which way a request takes: the browser's own, or through the proxy. Pure.

A browser sends no header that Fetch forbids (§2.2.2), lets a page read only what the server shares with its
origin (CORS), and makes no plain request from a page that came by https (Mixed Content §5.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pynet_browser.http.request import SAFE_METHODS, Request, origin_of
from pynet_browser.http.transport import Head
from pynet_browser.tls.addresses import is_loopback

__all__ = [
    "Mode",
    "Place",
    "Via",
    "barred",
    "denied",
    "may_repeat",
    "mixed",
    "needs_preflight",
    "preflight",
    "ready_for_browser",
]

Mode: TypeAlias = Literal["auto", "browser", "proxy"]
Via: TypeAlias = Literal["browser", "proxy", "storage"]

IDLE_HEADERS = frozenset(
    [
        "accept-charset",
        "accept-encoding",
        "connection",
        "content-length",
        "keep-alive",
        "transfer-encoding",
        "user-agent",
    ]
)
"""What a browser sets by itself, and libraries set without being asked to: dropped there without a word."""

FORBIDDEN_HEADERS = frozenset(
    [
        "access-control-request-headers",
        "access-control-request-method",
        "access-control-request-private-network",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "upgrade",
        "via",
    ]
)
FORBIDDEN_PREFIXES = ("proxy-", "sec-")
FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})

SIMPLE_METHODS = frozenset({"GET", "HEAD", "POST"})
SIMPLE_HEADERS = frozenset({"accept", "accept-language", "content-language"})
SIMPLE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
SIMPLE_VALUE_MAX = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is.

    Attributes:
        url: its address.
    """

    url: str

    @property
    def secure(self) -> bool:
        """Whether plain requests from it are mixed content."""
        return self.url.startswith("https:")

    @property
    def origin(self) -> str:
        """What a browser tells servers of it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def shares_origin(self, request: Request) -> bool:
        """Whether the request is for the page's own server."""
        return origin_of(self.url) == request.origin


def ready_for_browser(request: Request) -> Request:
    """Without what a browser sets by itself."""
    kept = _headers_for_browser(request)
    return request if len(kept) == len(request.headers) else replace(request, headers=kept)


def _headers_for_browser(request: Request) -> tuple[tuple[str, str], ...]:
    host = urlsplit(request.url).netloc
    return tuple(
        (name, value)
        for name, value in request.headers
        if (lower := name.lower()) not in IDLE_HEADERS and not (lower == "host" and value == host)
    )


def barred(request: Request, place: Place) -> str:
    """Why a browser cannot make a request; empty if it can, as far as that is known before."""
    if request.method.upper() in FORBIDDEN_METHODS:
        return f"browsers make no {request.method} requests"
    for name, _ in _headers_for_browser(request):
        lower = name.lower()
        if lower in FORBIDDEN_HEADERS or lower.startswith(FORBIDDEN_PREFIXES):
            return f"browsers do not let pages set the header {name}"
    if mixed(request, place):
        return "a page that came by https may make no plain http request (mixed content)"
    return ""


def mixed(request: Request, place: Place) -> bool:
    """Whether the request is mixed content, which browsers do not send."""
    return (
        place.secure
        and request.url.startswith("http:")
        and not is_loopback(urlsplit(request.url).hostname or "")
    )


def needs_preflight(request: Request) -> bool:
    """Whether a browser asks another origin for leave before it sends this (Fetch §4.10)."""
    if request.method not in SIMPLE_METHODS:
        return True
    return bool(_unsafe_names(request))


def _simple(name: str, value: str) -> bool:
    """Whether a header is CORS-safelisted (Fetch §2.2.2)."""
    if len(value) > SIMPLE_VALUE_MAX:
        return False
    if name == "content-type":
        return value.partition(";")[0].strip().lower() in SIMPLE_TYPES
    return name in SIMPLE_HEADERS


def preflight(request: Request, place: Place) -> Request:
    """What a browser asks the server before it makes this request (Fetch §4.9)."""
    asked = [("Origin", place.origin), ("Access-Control-Request-Method", request.method)]
    if names := _unsafe_names(request):
        asked.append(("Access-Control-Request-Headers", ",".join(names)))
    return Request("OPTIONS", request.url, tuple(asked), timeout=request.timeout)


def denied(request: Request, place: Place, answer: Head) -> bool:
    """Whether a browser that gets this answer to its preflight does not make the request."""

    def allowed(header: str) -> set[str]:
        values = answer.headers.get(header, "").split(",")
        return {value.strip().lower() for value in values}

    origins, methods, names = map(
        allowed,
        ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"),
    )
    credentials = request.options.get("credentials") == "include"
    wildcard = set() if credentials else {"*"}
    if not 200 <= answer.status <= 299 or not origins & ({place.origin.lower()} | wildcard):  # noqa: PLR2004
        return True
    if request.method not in SIMPLE_METHODS and not methods & ({request.method.lower()} | wildcard):
        return True
    return any(
        name not in names and ("*" not in names or credentials or name == "authorization")
        for name in _unsafe_names(request)
    )


def _unsafe_names(request: Request) -> list[str]:
    headers = _headers_for_browser(request)
    return sorted({name.lower() for name, value in headers if not _simple(name.lower(), value)})


def may_repeat(request: Request) -> bool:
    """Whether a request may be made once more although it may have arrived."""
    return request.method in SAFE_METHODS
