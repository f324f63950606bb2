"""Where websockify's clients may be led by name: lines ``name: host:port``. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from pynet_browser.proxy.policy import PORT_MAX, Protocol

__all__ = ["Target", "TargetError", "parse_targets", "target_of"]

_TARGET = re.compile(r"(?:(tcp|udp):)?(\[[^]]+]|.+):([0-9]{1,5})", re.ASCII)
_LINE = re.compile(r"([^:\s]+)\s*:\s+(\S+)")


class TargetError(ValueError):
    """The text is no target; the message says where."""


class Target(NamedTuple):
    """Where to.

    Attributes:
        protocol: ``"tcp"`` or ``"udp"``.
        host: a name or an address, an IPv6 one without brackets.
        port: 1 to 65535.
    """

    protocol: Protocol
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}:{self.host!r}:{self.port}"


def target_of(text: str) -> Target:
    """Reads ``[tcp:|udp:]host:port``, an IPv6 address with or without brackets.

    Raises:
        TargetError: it is none.
    """
    match = _TARGET.fullmatch(text)
    if match is None or not 0 < int(match[3]) <= PORT_MAX:
        raise TargetError(f"{text!r} is no target: [tcp:|udp:]host:port, the port within 1-{PORT_MAX}")
    return Target("udp" if match[1] == "udp" else "tcp", match[2].strip("[]"), int(match[3]))


def parse_targets(text: str) -> dict[str, Target]:
    """Reads a file of targets: one on a line, blank lines and those that begin with ``#`` aside.

    Raises:
        TargetError: a line is none, or a name stands there twice.
    """
    targets: dict[str, Target] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise TargetError(f"line {number} is not `name: host:port`")
        if match[1] in targets:
            raise TargetError(f"line {number}: there is a target {match[1]!r} already")
        try:
            targets[match[1]] = target_of(match[2])
        except TargetError as error:
            raise TargetError(f"line {number}: {error}") from error
    return targets
