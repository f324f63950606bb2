"""Values of configuration files and command lines: each reader returns one in its type. Pure."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pynet_browser.proxy import addresses
from pynet_browser.proxy.policy import Rule

__all__ = [
    "ConfigError",
    "Readers",
    "addresses_of_host",
    "flag",
    "integer",
    "listening_rules",
    "origins",
    "ports",
    "read_table",
    "require_positive",
    "rules",
    "seconds",
    "text",
    "texts",
]

Readers: TypeAlias = Mapping[str, Callable[[object], Any]]
"""For each key what makes its value, or raises ``ValueError``."""

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@\s]+/?", re.IGNORECASE)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key, where it stands, and what to change."""


def require_positive(holder: object, names: list[str]) -> None:
    """Refuses numbers that mean nothing as a bound; None stands for no bound.

    Raises:
        ConfigError: one is not more than 0, or not finite.
    """
    for name in names:
        value = getattr(holder, name)
        if value is not None and not 0 < value < math.inf:  # NaN is not, either
            raise ConfigError(f"{name} must be more than 0 and finite, not {value}")


def read_table(table: Mapping[str, object], readers: Readers, where: str) -> dict[str, Any]:
    """The values of a table, each in the type its attribute has.

    Raises:
        ConfigError: a key is unknown, or its value cannot be read; ``where`` is named.
    """
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
    return values


# ── Readers ───────────────────────────────────────────────────────────────────────────────────────────────


def text(value: object) -> str:
    """Text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def integer(value: object) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def seconds(value: object) -> float:
    """A number of seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number of seconds")
    return float(value)


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def origins(value: object) -> tuple[str, ...]:
    """Origins of pages."""
    found = texts(value)
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} must be scheme://host[:port], null or *")
    return found


def rules(value: object) -> tuple[Rule, ...]:
    """Rules for destinations."""
    return tuple(Rule.parse(each) for each in texts(value))


def listening_rules(value: object) -> tuple[Rule, ...]:
    """Rules for listening."""
    return tuple(rule for each in texts(value) for rule in Rule.parse_listening(each))


def addresses_of_host(value: object) -> tuple[str, ...]:
    """A list of IP addresses."""
    for each in (found := texts(value)):
        if addresses.literal(each) is None:
            raise ValueError(f"{each!r} is no IP address")
    return found


def ports(value: object) -> tuple[int, int]:
    """A port, or a range of them."""
    low, _, high = text(value).partition("-")
    if not low.isdecimal() or not (high or low).isdecimal():
        raise ValueError("must be a port, or low-high")
    found = int(low), int(high or low)
    if not 0 < found[0] <= found[1] <= 65535:  # noqa: PLR2004 - ports have 16 bits
        raise ValueError("must be within 1-65535, the lower first")
    return found
