"""What host names and IP addresses mean, before any of them is trusted. Pure: nothing here does I/O.

The standard library's ``is_private`` and ``is_global`` differ between Python versions and miss carrier-grade
NAT, multicast, site-local addresses and every IPv6 address that carries an IPv4 one inside. So the networks
that are not the public internet are listed here, and ``reached`` looks inside an address.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

__all__ = [
    "METADATA",
    "SPECIAL",
    "IPAddress",
    "IPNetwork",
    "InvalidHostError",
    "bracketed",
    "canonical",
    "kind",
    "literal",
    "reached",
    "unmapped",
]

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

HOST_MAX = 253
"""Longest host name DNS can carry, in bytes."""

METADATA: tuple[IPAddress, ...] = tuple(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, Oracle, DigitalOcean, OpenStack …
        "169.254.170.2",  # AWS ECS tasks
        "169.254.170.23",  # AWS EKS pods
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server, an address of the public internet
        "192.0.0.192",  # Oracle, classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS pods
        "fd20:ce::254",  # Google
    )
)
"""Where clouds answer any process of a virtual machine with its credentials."""

SPECIAL: dict[IPNetwork, str] = {
    ipaddress.ip_network(text): meaning
    for text, meaning in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("255.255.255.255/32", "broadcast"),
        # Only 2000::/3 is global unicast. All the rest is listed, except 64::/16: NAT64's 64:ff9b::/96 lies
        # there, and it is as public as the IPv4 address inside it.
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        *((str(net), "reserved") for net in IPv6Network("::/8").address_exclude(IPv6Network("64::/16"))),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/8", "reserved"),  # 100::/64 discards what is sent to it
        ("200::/7", "reserved"),
        ("400::/6", "reserved"),
        ("800::/5", "reserved"),
        ("1000::/4", "reserved"),
        ("2001::/23", "protocol assignments"),  # Teredo, benchmarking and ORCHID among them
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("4000::/2", "reserved"),  # 5f00::/16 is segment routing
        ("8000::/2", "reserved"),
        ("c000::/3", "reserved"),
        ("e000::/4", "reserved"),
        ("f000::/5", "reserved"),
        ("f800::/6", "reserved"),
        ("fc00::/7", "private"),
        ("fe00::/9", "reserved"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
}
"""Every network that is not the public internet, and what it is (RFC 6890 and the IANA registries)."""

_UNSPECIFIED: dict[IPAddress, IPAddress] = {
    IPv4Address("0.0.0.0"): IPv4Address("127.0.0.1"),
    IPv6Address("::"): IPv6Address("::1"),
}
_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")

_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)


class InvalidHostError(ValueError):
    """The text is not a host name or IP address that anything should be asked about."""


def canonical(host: str) -> str:
    """The one spelling of a host: an address as ``ipaddress`` writes it, or a name in lower-case ASCII.

    International names become their ``xn--`` form and a final dot is dropped. Short, octal and hexadecimal
    IPv4 forms (``127.1``, ``0x7f.0.0.1``) are read as the operating system reads them, so that no rule can be
    passed by spelling an address oddly.

    Raises:
        InvalidHostError: It is empty, too long, has control characters, spaces, user names, ports or zone
            ids in it, or is not valid under IDNA.
    """
    address = literal(host)
    if address is not None:
        return str(address)
    if not host:
        raise InvalidHostError("the host name is empty")
    if len(host) > HOST_MAX + 1:  # and before IDNA, which is slow on long text
        raise InvalidHostError(f"a host name has at most {HOST_MAX} bytes, this one {len(host)}")
    if "%" in host and ":" in host:
        raise InvalidHostError(f"{host!r} has a zone id, which means nothing on another machine")
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise InvalidHostError(f"{host!r} is not a valid host name: {error}") from error
    if len(name) > HOST_MAX or not _HOST_NAME.fullmatch(name):
        raise InvalidHostError(f"{host!r} is not a host name")
    # Only now: full-width digits and dots have become ASCII.
    return _numeric(name) or name


def literal(text: str) -> IPAddress | None:
    """The address that ``text`` spells in the standard form, or None. A zone id is not accepted."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def bracketed(address: IPAddress | IPNetwork) -> str:
    """The address as it is written before a colon and a port."""
    return str(address) if isinstance(address, IPv4Address | IPv4Network) else f"[{address}]"


def kind(address: IPAddress) -> str | None:
    """What a special address is (``"private"``, ``"loopback"``, …), or None on the public internet.

    Only the address itself is judged, not what ``reached`` finds inside it; the narrowest network counts.
    """
    networks = [network for network in SPECIAL if address in network]
    return SPECIAL[max(networks, key=lambda network: network.prefixlen)] if networks else None


def reached(address: IPAddress) -> tuple[IPAddress, ...]:
    """Every address that a packet sent to ``address`` may arrive at. A policy must allow all of them.

    An IPv4-mapped address *is* its IPv4 address and is replaced by it. Tunnels and translators (6to4, Teredo,
    NAT64) add the IPv4 address they carry; the unspecified address adds the loopback address it connects to.
    """
    if isinstance(address, IPv4Address):
        inner = _UNSPECIFIED.get(address)
        return (address,) if inner is None else (address, inner)
    if address.scope_id:
        address = IPv6Address(int(address))
    if address.ipv4_mapped is not None:
        return reached(address.ipv4_mapped)
    return (address, *dict.fromkeys(_inside(address)))


def unmapped(network: IPNetwork) -> IPNetwork:
    """The IPv4 network that a network of IPv4-mapped addresses is; any other network is returned as it is."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    return IPv4Network((int(_ipv4(int(network.network_address))), network.prefixlen - _MAPPED.prefixlen))


def _inside(address: IPv6Address) -> list[IPAddress]:
    """The other addresses that ``address`` leads to."""
    value = int(address)
    if address in _UNSPECIFIED:
        return [_UNSPECIFIED[address]]
    if address in _NAT64 or address in _TRANSLATED:
        return [_ipv4(value)]
    if address in _COMPATIBLE and not address.is_loopback:
        return [_ipv4(value)]
    if address in _NAT64_LOCAL:
        # The network's owner chose the prefix length, so each place RFC 6052 allows is read. Bits 64 to 71
        # are never part of the address.
        joined = (value >> 64) << 56 | (value & (1 << 56) - 1)
        return [_ipv4(value), *(_ipv4(joined >> shift) for shift in (40, 32, 24))]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    return []


def _ipv4(value: int) -> IPv4Address:
    """The IPv4 address in the last 32 bits of ``value``."""
    return IPv4Address(value & 0xFFFFFFFF)


def _numeric(name: str) -> str | None:
    """The address the operating system sees in a name of digits, such as ``127.1``."""
    try:
        return str(IPv4Address(socket.inet_aton(name)))
    except OSError:
        return None
