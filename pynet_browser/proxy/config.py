"""What the proxy was told at its start: from the command line, a TOML file, or the program that embeds it."""

from __future__ import annotations

import difflib
import math
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from pynet_browser.proxy import addresses
from pynet_browser.proxy.compat.targets import parse_targets
from pynet_browser.proxy.policy import Rule

__all__ = ["Config", "ConfigError", "Limits"]

MIB = 1 << 20

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@\s]+/?", re.IGNORECASE)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key, where it stands, and what to change."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one page, and all pages together, may take. Sizes are in bytes.

    Attributes:
        sessions: sessions that exist at once, those waiting for their page to come back among them.
        unauthenticated: carriers at once that have not shown their token yet.
        sockets_per_session: open sockets of one session, of every kind.
        sockets: open sockets of all sessions. Where there are as many, nothing that comes in is accepted.
        connects_per_second: new connections of one session, on average.
        connect_burst: new connections of one session that may come at once.
        datagrams_per_second: datagrams of one session in each direction, on average; others are dropped.
        datagram_burst: datagrams of one session in each direction that may come at once.
        resolves_per_session: names being looked up at once for one session.
        resolves: names being looked up at once for all sessions.
        buffered_per_session: data held for one session that its page or its peers have not taken.
        buffered_total: the same for all sessions.
        peer_connections: data channels of WebRTC that exist at once or are being made; each may hold
            half a MiB.
        message_bytes: one message of a page.
        posix_message_bytes: one message of a program with Emscripten's POSIX sockets, which has all that it
            sends in one call in it.
        rooms: rooms in which two pages meet.
        room_message_bytes: one message in a room.
        room_messages_per_second: messages of one page in a room, on average.
        room_burst: messages of one page in a room that may come at once.
        room_idle: seconds that a page may be in a room and say nothing.
        room_lifetime: seconds that a page may be in a room at all.
    """

    sessions: int = 256
    unauthenticated: int = 64
    sockets_per_session: int = 1024
    sockets: int = 8192
    connects_per_second: int = 200
    connect_burst: int = 400
    datagrams_per_second: int = 20_000
    datagram_burst: int = 20_000
    resolves_per_session: int = 32
    resolves: int = 128
    buffered_per_session: int = 64 * MIB
    buffered_total: int = 512 * MIB
    peer_connections: int = 128
    message_bytes: int = MIB
    posix_message_bytes: int = 16 * MIB
    rooms: int = 256
    room_message_bytes: int = 64 * 1024
    room_messages_per_second: int = 20
    room_burst: int = 100
    room_idle: int = 600
    room_lifetime: int = 3600

    def __post_init__(self) -> None:
        _require_positive(self, [limit.name for limit in fields(self)])


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything the proxy can be told. Times are in seconds.

    Attributes:
        host: address or name to listen on.
        port: port to listen on; 0 lets the system choose.
        token: what a page must show; None lets every page of an allowed origin in. ``repr`` leaves it out.
        origins: pages that may connect beside the proxy's own: ``scheme://host[:port]``, ``null`` or ``*``.
        hostnames: names under which the proxy is known, beside ``host`` and ``localhost``.
        allow: rules for what pages may reach; see ``policy``.
        deny: rules for what they may not.
        listen: rules for where they may listen; there are none at first.
        connect_timeout: for resolving a name and making a connection, together.
        auth_timeout: for a new carrier to show its token.
        grace: how long a session without a carrier is kept.
        keepalive: between signs of life on a quiet carrier; many routers forget one after a minute.
        drain: how long open sockets may go on when the proxy is told to stop; 0 ends them at once.
        pyodide: directory with a Pyodide distribution to serve; None looks for the one of a checkout.
        demo: whether to serve the demo and its built-in services.
        websockify: whether to serve clients of websockify.
        websockify_targets: file of targets they may name: lines ``name: host:port``.
        wisp: whether to serve clients of Wisp.
        posix: whether to serve programs with Emscripten's POSIX sockets.
        signal: whether to serve rooms in which pages meet for WebRTC.
        tls_proxy: whether pages may have TLS end here, where all that it carries can be read.
        webrtc: whether datagrams of pages may come by WebRTC; it needs aiortc.
        webrtc_addresses: where pages reach this machine by UDP; at first, where it listens.
        webrtc_ports: lowest and highest of the UDP ports for that, of which one is used; None is any.
        limits: see ``Limits``.

    Raises:
        ConfigError: The values do not go together.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    origins: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    listen: tuple[Rule, ...] = ()
    connect_timeout: float = 15.0
    auth_timeout: float = 5.0
    grace: float = 60.0
    keepalive: float = 20.0
    drain: float = 5.0
    pyodide: Path | None = None
    demo: bool = True
    websockify: bool = True
    websockify_targets: Path | None = None
    wisp: bool = True
    posix: bool = True
    signal: bool = True
    tls_proxy: bool = False
    webrtc: bool = True
    webrtc_addresses: tuple[str, ...] = ()
    webrtc_ports: tuple[int, int] | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - ports have 16 bits
            raise ConfigError(f"port must be within 0-65535, not {self.port}")
        _require_positive(self, ["connect_timeout", "auth_timeout", "grace", "keepalive"])
        if not 0 <= self.drain < math.inf:
            raise ConfigError(f"drain must be 0 or more and finite, not {self.drain}")
        if self.token is not None and not self.token:
            raise ConfigError("the token is empty; leave it out to have one made, or say --no-token")
        if self.token is None and self.public:
            raise ConfigError(
                f"without a token anyone who reaches {self.host} could use this machine's network: "
                "leave out --no-token, or listen on --host 127.0.0.1"
            )

    @property
    def public(self) -> bool:
        """Whether other machines may be able to reach the proxy."""
        address = addresses.literal(self.host)
        if address is None:
            return self.host.lower() != "localhost"
        return addresses.kind(address) != "loopback"

    @classmethod
    def load(cls, options: Mapping[str, object], file: Path | None = None) -> Self:
        """Makes a configuration from a command line and a TOML file.

        Args:
            options: what the command line says, by attribute name; None stands for an option not given.
                One value wins over the file's; lists are added to the file's.
            file: TOML with the attributes as keys, ``limits`` as a table; ``no_token = true`` for no token.

        Raises:
            ConfigError: The file cannot be read, or a key or value is wrong.
        """
        values = _read_file(file) if file is not None else {}
        given = {name: value for name, value in options.items() if value is not None}
        for name, value in _read_values(given, _READERS, "the command line").items():
            values[name] = (*values.get(name, ()), *value) if isinstance(value, tuple) else value
        try:
            return cls(**values | {"limits": Limits(**values.get("limits", {}))})
        except ConfigError as error:
            source = f"{file} and the command line" if file is not None else "the command line"
            raise ConfigError(f"{error} (from {source})") from error


def _require_positive(holder: object, names: list[str]) -> None:
    for name in names:
        value = getattr(holder, name)
        if not 0 < value < math.inf:  # NaN is not, either
            raise ConfigError(f"{name} must be more than 0 and finite, not {value}")


# ── Reading values: each reader returns the attribute's value or raises ValueError ─────────────────────────


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number of seconds")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _addresses(value: object) -> tuple[str, ...]:
    for text in (found := _texts(value)):
        if addresses.literal(text) is None:
            raise ValueError(f"{text!r} is no IP address")
    return found


def _ports(value: object) -> tuple[int, int]:
    low, _, high = _text(value).partition("-")
    if not low.isdecimal() or not (high or low).isdecimal():
        raise ValueError("must be a port, or low-high")
    found = int(low), int(high or low)
    if not 0 < found[0] <= found[1] <= 65535:  # noqa: PLR2004 - ports have 16 bits
        raise ValueError("must be within 1-65535, the lower first")
    return found


def _origins(value: object) -> tuple[str, ...]:
    origins = _texts(value)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} must be scheme://host[:port], null or *")
    return origins


def _rules(value: object) -> tuple[Rule, ...]:
    return tuple(Rule.parse(text) for text in _texts(value))


def _listening_rules(value: object) -> tuple[Rule, ...]:
    return tuple(rule for text in _texts(value) for rule in Rule.parse_listening(text))


def _directory(value: object) -> Path:
    path = Path(_text(value)).expanduser()
    if not path.is_dir():
        raise ValueError(f"{path} is not a directory")
    return path


def _targets_file(value: object) -> Path:
    path = Path(_text(value)).expanduser()
    try:
        parse_targets(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return path


_Readers = Mapping[str, Callable[[object], Any]]

_READERS: _Readers = {
    "host": _text,
    "port": _integer,
    "token": _text,
    "no_token": _flag,
    "origins": _origins,
    "hostnames": _texts,
    "allow": _rules,
    "deny": _rules,
    "listen": _listening_rules,
    "connect_timeout": _seconds,
    "auth_timeout": _seconds,
    "grace": _seconds,
    "keepalive": _seconds,
    "drain": _seconds,
    "pyodide": _directory,
    "demo": _flag,
    "websockify": _flag,
    "websockify_targets": _targets_file,
    "wisp": _flag,
    "posix": _flag,
    "signal": _flag,
    "tls_proxy": _flag,
    "webrtc": _flag,
    "webrtc_addresses": _addresses,
    "webrtc_ports": _ports,
}
_LIMIT_READERS: _Readers = dict.fromkeys((limit.name for limit in fields(Limits)), _integer)


def _read_values(table: Mapping[str, object], readers: _Readers, where: str) -> dict[str, Any]:
    """The values of a table, each in the type its attribute has."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        reader = readers.get(name)
        if reader is None:
            near = difflib.get_close_matches(name, readers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(readers)}"
            raise ConfigError(f"{where}: unknown key {name!r}; {hint}")
        try:
            values[name] = reader(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {name}: {error}") from error
    if values.pop("no_token", False):
        values["token"] = None
    return values


def _read_file(file: Path) -> dict[str, Any]:
    """The attributes a TOML file gives."""
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    limits = table.pop("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(f"{file}: limits: must be a table, [limits]")
    values = _read_values(table, _READERS, str(file))
    values["limits"] = _read_values(limits, _LIMIT_READERS, f"{file}: limits")
    return values
