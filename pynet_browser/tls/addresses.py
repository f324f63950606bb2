"""What a host is: TLS checks an address as one, and never sends it as a name (RFC 6066). Pure."""

from __future__ import annotations

from ipaddress import ip_address

__all__ = ["is_loopback", "packed"]


def packed(host: str) -> bytes | None:
    """The address in network order; None for a name."""
    try:
        return ip_address(host).packed
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether it is this machine: an address of loopback, or a name that stands for one (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
