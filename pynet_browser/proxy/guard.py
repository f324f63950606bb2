"""Who may talk to the proxy: checks of the Host and Origin headers. Pure.

A WebSocket is not held back by the same-origin policy: any page a user visits can open one to a proxy on
that user's machine. So three locks stand side by side. The *Host* check stops names that were rebound to the
proxy's address, the *Origin* check stops pages nobody asked for, and the token stops anyone else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pynet_browser.proxy import addresses
from pynet_browser.proxy.config import Config

__all__ = ["Refusal", "check_host", "check_origin"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_HOST_HEADER = re.compile(r"(\[[^]]+]|[^:]*)(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in.

    Attributes:
        code: what was refused: ``"host"``, ``"origin"`` or ``"token"``.
        message: a sentence that says what to change.
    """

    code: str
    message: str


def check_host(header: str | None, config: Config) -> Refusal | None:
    """Refuses a request for a name the proxy does not go by.

    Numeric addresses are fine, whatever they are: nobody can make one mean something else.

    Args:
        header: the Host header, None when there is none.
        config: for the names the proxy goes by.
    """
    match = _HOST_HEADER.fullmatch(header or "")
    name = match[1].lower().removesuffix(".") if match else ""
    if not name:
        return Refusal("host", "the request does not say which host it is for")
    if addresses.literal(name.strip("[]")) is not None:
        return None
    known = {"localhost", *(known.lower() for known in (config.host, *config.hostnames))}
    if name in known or name.endswith(".localhost"):
        return None
    return Refusal(
        "host", f"the proxy does not go by the name {name!r}; if it should, start it with --hostname {name}"
    )


def check_origin(
    origin: str | None, own: str, origins: Iterable[str], *, wants_token: bool
) -> Refusal | None:
    """Refuses pages that were not given leave.

    Args:
        origin: the Origin header. None when there is none: a program, not a page, which must show the token.
        own: the proxy's own origin, as this request names it: ``scheme://host[:port]``.
        origins: pages that may connect beside the proxy's own.
        wants_token: whether a token is asked for, too.
    """
    if origin is None:
        if wants_token:
            return None
        return Refusal(
            "origin", "a proxy without a token serves pages only, and the request has no Origin header"
        )
    allowed = {_plain_origin(own), *(_plain_origin(given) for given in origins)}
    if "*" in allowed or _plain_origin(origin) in allowed:
        return None
    if origin == "null":
        return Refusal(
            "origin",
            "the proxy refuses pages that have no origin, such as files and sandboxed frames; serve the page "
            "over http, or start the proxy with --origin null",
        )
    return Refusal("origin", f"the proxy refuses pages from {origin}; start it with --origin {origin}")


def _plain_origin(text: str) -> str:
    """An origin in lower case, without the scheme's own port or a final slash; other text as it is."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return text
    if not parts.scheme or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        return text
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is None or port == DEFAULT_PORTS.get(parts.scheme):
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"
