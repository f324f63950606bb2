"""Named tokens: who may use the proxy, for what, how much, and until when. Pure.

They stand in a TOML file, each in a table of its own::

    [tokens.ada]
    sha256 = "…"                      # or token = "…", where the file may hold secrets
    allow = ["db.example:5432"]       # beside the rules that hold for all
    deny = ["*:*"]
    listen = ["8000-8999"]
    origins = ["https://school.example"]  # in the place of those that hold for all
    expires = 2026-12-31T00:00:00Z

    [tokens.ada.limits]
    sessions = 3
    bytes_per_second = 1_000_000
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field, fields
from datetime import datetime

from pynet_browser.proxy import values
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.values import ConfigError, Readers, read_table, require_positive

__all__ = ["Token", "TokenLimits", "digest_of", "parse_tokens", "table_of"]

_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""What stands in logs and metrics as it is."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, kw_only=True)
class TokenLimits:
    """How much all sessions of one token together may take; None for as much as the proxy's limits allow.

    Attributes:
        sessions: sessions and foreign clients that exist at once.
        sockets: open sockets, of every kind.
        connects_per_second: new connections, on average.
        connect_burst: new connections that may come at once; None for those of a second.
        bytes_per_second: bytes in each direction, on average.
        bytes_burst: bytes in each direction that may go at once; None for those of a second.
        visits: pages in rooms for WebRTC at once.
    """

    sessions: int | None = None
    sockets: int | None = None
    connects_per_second: int | None = None
    connect_burst: int | None = None
    bytes_per_second: int | None = None
    bytes_burst: int | None = None
    visits: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, [limit.name for limit in fields(self)])


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token, and what it opens.

    Attributes:
        name: what it is called in logs and metrics.
        digest: its SHA-256: enough to know it, and nobody can show it.
        allow, deny, listen: rules beside those that hold for all.
        origins: pages that may use it, beside the proxy's own; None for those that hold for all.
        expires: when it ends; None for never.
        limits: see ``TokenLimits``.
    """

    name: str
    digest: bytes = field(repr=False)
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    listen: tuple[Rule, ...] = ()
    origins: tuple[str, ...] | None = None
    expires: datetime | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token, which may have come from anywhere, lone surrogates included."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def parse_tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a file.

    Raises:
        ConfigError: it is not such a file; the message names the key and what to change, and no token.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"it is no TOML: {error}") from error
    tables = document.pop("tokens", None)
    if document:
        raise ConfigError(f"unknown key {next(iter(document))!r}; there is tokens")
    if not isinstance(tables, dict):  # half a file would lock everybody out
        raise ConfigError("it has no table [tokens]; write it, even if it shall name none")
    tokens = tuple(_token(name, table) for name, table in tables.items())
    owners: dict[bytes, str] = {}
    for token in tokens:
        if (other := owners.setdefault(token.digest, token.name)) != token.name:
            raise ConfigError(f"tokens.{token.name} has the token of tokens.{other}; give each its own")
    return tokens


def table_of(name: str, token: str) -> str:
    """What the file says of a token; it does not hold the token itself.

    Raises:
        ConfigError: it cannot have that name.
    """
    _check_name(name)
    return f'[tokens."{name}"]\nsha256 = "{digest_of(token).hex()}"\n'


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a token: up to 64 letters, digits and . _ @ - make one")


def _token(name: str, table: object) -> Token:
    where = f"tokens.{name}"
    _check_name(name)
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: must be a table, [{where}]")
    limits = table.pop("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(f"{where}.limits: must be a table, [{where}.limits]")
    read = read_table(table, _READERS, where)
    digests = [read.pop(key) for key in ("token", "sha256") if key in read]
    if len(digests) != 1:
        raise ConfigError(f"{where}: it needs either token or sha256")
    try:
        bounds = TokenLimits(**read_table(limits, _LIMIT_READERS, f"{where}.limits"))
    except ConfigError as error:
        message = str(error)
        raise ConfigError(message if message.startswith(where) else f"{where}.limits.{message}") from error
    return Token(name=name, digest=digests[0], limits=bounds, **read)


def _digest(value: object) -> bytes:
    token = values.text(value)
    if not token:
        raise ValueError("it is empty")
    return digest_of(token)


def _hexadecimal(value: object) -> bytes:
    digest = values.text(value)
    if not _SHA256.fullmatch(digest):
        raise ValueError("must be the 64 hexadecimal digits of a SHA-256")
    return bytes.fromhex(digest)


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("must be a moment with its offset, such as 2026-12-31T00:00:00Z")
    return value


_READERS: Readers = {
    "token": _digest,
    "sha256": _hexadecimal,
    "allow": values.rules,
    "deny": values.rules,
    "listen": values.listening_rules,
    "origins": values.origins,
    "expires": _moment,
}
_LIMIT_READERS: Readers = dict.fromkeys((limit.name for limit in fields(TokenLimits)), values.integer)
