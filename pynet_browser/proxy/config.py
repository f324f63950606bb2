"""What the proxy was told at its start: from the command line, a TOML file, or the program that embeds it."""

from __future__ import annotations

import math
import secrets
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar, get_args

from pynet_browser.proxy import addresses, values
from pynet_browser.proxy.compat.targets import parse_targets
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tokens import Token, TokenLimits, digest_of, parse_tokens
from pynet_browser.proxy.values import ConfigError, Readers, require_positive

__all__ = ["Config", "ConfigError", "Limits", "MetricsAccess"]

MIB = 1 << 20

WORKERS_MAX = 64

AnyLimits = TypeVar("AnyLimits", "Limits", TokenLimits)

MetricsAccess: TypeAlias = Literal["off", "token", "loopback", "open"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one page, and all pages together, may take. Sizes are in bytes.

    Of what all together may take each of several workers has an equal part, rounded up: ``TOTALS``.

    Attributes:
        sessions: sessions that exist at once, those waiting for their page to come back among them.
        unauthenticated: carriers at once that have not shown their token yet.
        sockets_per_session: open sockets of one session, of every kind.
        sockets: open sockets of all sessions. Where there are as many, nothing that comes in is accepted.
        connects_per_second: new connections of one session, on average.
        connect_burst: new connections of one session that may come at once.
        connects_per_second_total: the same of all sessions, on average; None for any number.
        bytes_per_second: bytes of one session in each direction, on average; None for any number. Connections
            wait for their turn, and datagrams are dropped.
        bytes_burst: bytes of one session in each direction that may go at once; None for those of a second.
        bytes_per_second_total: bytes of all sessions in each direction, on average; None for any number.
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
    connects_per_second_total: int | None = None
    bytes_per_second: int | None = None
    bytes_burst: int | None = None
    bytes_per_second_total: int | None = None
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
        require_positive(self, [limit.name for limit in fields(self)])


TOTALS = (
    "sessions",
    "unauthenticated",
    "sockets",
    "connects_per_second_total",
    "bytes_per_second_total",
    "resolves",
    "buffered_total",
    "peer_connections",
    "rooms",
)
"""The limits on all sessions together; the others are on one."""

TOKEN_TOTALS = tuple(limit.name for limit in fields(TokenLimits))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything the proxy can be told. Times are in seconds.

    Attributes:
        host: address or name to listen on.
        port: port to listen on; 0 lets the system choose.
        token: what a page must show, unless it shows one of ``tokens``; ``repr`` leaves it out. None where
            there are none either lets every page of an allowed origin in.
        tokens: named ones, each with rules, limits and an end of its own; None for no such. A file that names
            them, read by ``load``, leaves none without a name unless ``token`` is given.
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
        behind_balancer: whether other machines reach the proxy through something in front of it, so that the
            rules hold as where it listens for them.
        tls_proxy: whether pages may have TLS end here, where all that it carries can be read.
        metrics: who may read ``/metrics``: nobody, whoever shows ``metrics_token`` or ``token``, programs on
            this machine, or everybody.
        metrics_token: opens ``/metrics`` and nothing else; ``repr`` leaves it out.
        webrtc: whether datagrams of pages may come by WebRTC; it needs aiortc.
        webrtc_addresses: where pages reach this machine by UDP; at first, where it listens.
        webrtc_ports: lowest and highest of the UDP ports for that; each worker uses one; None is any.
        workers: processes that serve; each session is at one of them, and each has its part of the limits.
        limits: see ``Limits``.

    Raises:
        ConfigError: The values do not go together.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    tokens: tuple[Token, ...] | None = None
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
    behind_balancer: bool = False
    tls_proxy: bool = False
    metrics: MetricsAccess = "token"
    metrics_token: str | None = field(default=None, repr=False)
    webrtc: bool = True
    webrtc_addresses: tuple[str, ...] = ()
    webrtc_ports: tuple[int, int] | None = None
    workers: int = 1
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - ports have 16 bits
            raise ConfigError(f"port must be within 0-65535, not {self.port}")
        require_positive(self, ["connect_timeout", "auth_timeout", "grace", "keepalive"])
        if not 0 <= self.drain < math.inf:
            raise ConfigError(f"drain must be 0 or more and finite, not {self.drain}")
        if not 1 <= self.workers <= WORKERS_MAX:
            raise ConfigError(f"workers must be within 1-{WORKERS_MAX}, not {self.workers}")
        if self.workers > 1 and sys.platform == "win32":
            raise ConfigError("workers must be 1 on Windows, where processes cannot pass on connections")
        if self.webrtc and self.webrtc_ports is not None:
            low, high = self.webrtc_ports
            if high - low + 1 < self.workers:
                raise ConfigError(
                    f"webrtc_ports {low}-{high} are too few: each of {self.workers} workers needs one of its "
                    "own; give more, fewer workers, or --no-webrtc"
                )
        if self.token is not None and not self.token:
            raise ConfigError("the token is empty; leave it out to have one made, or say --no-token")
        for token in self.tokens or ():
            if self.token is not None and token.digest == digest_of(self.token):
                raise ConfigError(f"tokens.{token.name} is the token without a name; give it its own")
        if self.metrics_token is not None and not self.metrics_token:
            raise ConfigError("metrics_token is empty; leave it out to have none")
        if not self.wants_token and self.public:
            raise ConfigError(
                f"without a token anyone who reaches {self.host} could use this machine's network: "
                "leave out --no-token, or listen on --host 127.0.0.1 with no balancer in front"
            )

    @property
    def wants_token(self) -> bool:
        """Whether nobody gets in without a token."""
        return self.token is not None or self.tokens is not None

    @property
    def public(self) -> bool:
        """Whether other machines may be able to reach the proxy."""
        if self.behind_balancer:
            return True
        address = addresses.literal(self.host)
        if address is None:
            return self.host.lower() != "localhost"
        return addresses.kind(address) != "loopback"

    def share(self) -> Self:
        """What one of the workers is to keep to, so that all of them together keep to this."""
        tokens = self.tokens
        if tokens is not None:
            tokens = tuple(
                replace(each, limits=_divided(each.limits, TOKEN_TOTALS, self.workers)) for each in tokens
            )
        return replace(self, limits=_divided(self.limits, TOTALS, self.workers), tokens=tokens)

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
        read = _read_file(file) if file is not None else {}
        given = {name: value for name, value in options.items() if value is not None}
        for name, value in _read_values(given, "the command line").items():
            joins = isinstance(value, tuple) and name != "tokens"
            read[name] = (*read.get(name, ()), *value) if joins else value
        if read.get("tokens") is not None:
            read.setdefault("token", None)  # nobody shall have to think of one more that opens everything
        try:
            return cls(**read | {"limits": Limits(**read.get("limits", {}))})
        except ConfigError as error:
            source = f"{file} and the command line" if file is not None else "the command line"
            raise ConfigError(f"{error} (from {source})") from error


def _divided(limits: AnyLimits, names: Iterable[str], parts: int) -> AnyLimits:
    """Limits of which those are only one of equal parts, rounded up."""
    values = {name: getattr(limits, name) for name in names}
    return replace(
        limits, **{name: -(-value // parts) for name, value in values.items() if value is not None}
    )


# ── Readers of what this machine has ──────────────────────────────────────────────────────────────────────


def _directory(value: object) -> Path:
    path = Path(values.text(value)).expanduser()
    if not path.is_dir():
        raise ValueError(f"{path} is not a directory")
    return path


def _targets_file(value: object) -> Path:
    path = Path(values.text(value)).expanduser()
    try:
        parse_targets(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return path


def _tokens_file(value: object) -> tuple[Token, ...]:
    path = Path(values.text(value)).expanduser()
    try:
        return parse_tokens(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _metrics_access(value: object) -> str:
    access = values.text(value)
    if access not in get_args(MetricsAccess):
        raise ValueError(f"must be one of {', '.join(get_args(MetricsAccess))}, not {access!r}")
    return access


_READERS: Readers = {
    "host": values.text,
    "port": values.integer,
    "token": values.text,
    "no_token": values.flag,
    "tokens": _tokens_file,
    "origins": values.origins,
    "hostnames": values.texts,
    "allow": values.rules,
    "deny": values.rules,
    "listen": values.listening_rules,
    "connect_timeout": values.seconds,
    "auth_timeout": values.seconds,
    "grace": values.seconds,
    "keepalive": values.seconds,
    "drain": values.seconds,
    "pyodide": _directory,
    "demo": values.flag,
    "websockify": values.flag,
    "websockify_targets": _targets_file,
    "wisp": values.flag,
    "posix": values.flag,
    "signal": values.flag,
    "behind_balancer": values.flag,
    "tls_proxy": values.flag,
    "webrtc": values.flag,
    "webrtc_addresses": values.addresses_of_host,
    "webrtc_ports": values.ports,
    "workers": values.integer,
    "metrics": _metrics_access,
    "metrics_token": values.text,
}
_LIMIT_READERS: Readers = dict.fromkeys((limit.name for limit in fields(Limits)), values.integer)


def _read_values(table: Mapping[str, object], where: str) -> dict[str, Any]:
    """The attributes that a table gives."""
    read = values.read_table(table, _READERS, where)
    if read.pop("no_token", False):
        read["token"] = None
    return read


def _read_file(file: Path) -> dict[str, Any]:
    """The attributes that a TOML file gives."""
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    limits = table.pop("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(f"{file}: limits: must be a table, [limits]")
    read = _read_values(table, str(file))
    read["limits"] = values.read_table(limits, _LIMIT_READERS, f"{file}: limits")
    return read
