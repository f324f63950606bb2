"""What the address means that ``install`` is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

__all__ = ["Kind", "Server", "server_at"]

Kind: TypeAlias = Literal["proxy", "wisp", "websockify"]

SCHEMES: dict[str, tuple[Kind, str]] = {
    "ws": ("proxy", "ws"),
    "wss": ("proxy", "wss"),
    "http": ("proxy", "ws"),
    "https": ("proxy", "wss"),
    "wisp": ("wisp", "ws"),
    "wisps": ("wisp", "wss"),
    "websockify": ("websockify", "ws"),
    "websockifys": ("websockify", "wss"),
}
"""By scheme: what kind of server there is, and the scheme of its WebSocket."""

SESSION_PATH = "/pynet"

USER_MAX = 255
"""Bytes of a user's name that Wisp has room for."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that carries this page's sockets.

    Attributes:
        kind: ``proxy``, ours; ``wisp`` or ``websockify``, one that others wrote.
        url: of its WebSocket; for a websockify a template, in which ``{host}`` and ``{port}`` stand for what
            is connected to.
        token: what the address holds of a token, or of a password; or nothing.
        user: the user's name in the address of a Wisp server; or nothing.
    """

    kind: Kind
    url: str
    token: str = ""
    user: str = ""


def server_at(url: str) -> Server:
    """The server meant by an address.

    Raises:
        ValueError: it is none of a scheme that is known, with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.port == 0:  # a port that is none raises too
        raise ValueError(
            f"{url!r} is no address of a proxy; expected something like ws://127.0.0.1:8765/pynet, "
            "or the http:// address that the proxy prints when it starts; other servers have addresses like "
            "wisp://host:port/ and websockify://host:port/"
        )
    kind, scheme = SCHEMES[parts.scheme]
    if kind == "proxy":
        token = parse_qs(parts.query).get("token", [""])[0]
        path = parts.path if parts.path not in ("", "/") else SESSION_PATH
        return Server(kind, urlunsplit((scheme, parts.netloc, path, "", "")), token)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if kind == "websockify" and (user or password):
        raise ValueError(f"a websockify takes no user and password from a page: {parts.hostname}")
    if len(user.encode()) > USER_MAX:
        raise ValueError(f"the user's name has more than the {USER_MAX} bytes that Wisp has room for")
    host = parts.netloc.rpartition("@")[2]
    # Wisp servers take an address that does not end with a slash for something else.
    path = parts.path if kind == "websockify" or parts.path.endswith("/") else f"{parts.path}/"
    return Server(kind, urlunsplit((scheme, host, path, parts.query, "")), password, user)
