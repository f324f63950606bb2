"""Whether a host is an address: such a host is checked as one and never sent as a name (RFC 6066). Pure."""

from __future__ import annotations

from ipaddress import ip_address

__all__ = ["packed"]


def packed(host: str) -> bytes | None:
    """The address in network order; None for a name."""
    try:
        return ip_address(host).packed
    except ValueError:
        return None
