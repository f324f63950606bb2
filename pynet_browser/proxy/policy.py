"""Which destinations a page may reach and where it may listen: rules, and pure functions of (rules, request).

A rule is ``[tcp:|udp:]host:port``. The host is a name, a glob (``*.example.com``, ``*``), an address or a
network in CIDR form, IPv6 in brackets (``[2001:db8::]/32`` or ``[2001:db8::/32]``); the port is a number,
``low-high`` or ``*``.

Of the rules that fit a request the most specific decides:

1. by host: an exact address, then an exact name, then networks (longest prefix first), then globs (most
   literal characters first), then ``*``;
2. by port: one port, then ranges (narrowest first), then ``*``;
3. a rule that names its protocol before one that does not;
4. a rule of the user before a built-in one;
5. deny before allow.

Networks come before globs on purpose. Whoever owns a name decides which address it has; with
``--allow *.example.com:443`` a hostile name under that domain must not become a way into ``10.0.0.0/8``.
An exact name does open a private address, since the user means that one host; an exact address stands above
even that, so that no name leads to the metadata service of a cloud.

An IPv6 address that carries an IPv4 address inside needs both to be allowed: see ``addresses.reached``.
What no rule fits is allowed.

Pages listen nowhere unless a rule for listening allows it: ``[tcp:|udp:][address:]port``. Without an address,
and with ``localhost``, it is about loopback: ``127.0.0.0/8`` and ``::1``. ``0.0.0.0`` stands for every IPv4
address of the machine, ``*`` and ``[::]`` for every address (what listens on ``::`` may hear IPv4 too).
Networks are possible, names are not. Nothing is denied by rule, so that order and precision do not matter.
"""

from __future__ import annotations

import errno
import fnmatch
import ipaddress
import re
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pynet_browser.proxy import addresses
from pynet_browser.proxy.addresses import InvalidHostError, IPAddress, IPNetwork, bracketed

__all__ = ["ANY_PORT", "Decision", "ForbiddenError", "Policy", "Protocol", "Rule", "RuleError"]

Protocol: TypeAlias = Literal["tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")

PORT_MAX = 65535
ANY_PORT = 0
"""Not a port one connects to: only rules for every port fit it, and sentences write it as ``*``."""

ALWAYS_DENIED: tuple[str, ...] = (
    *(f"{bracketed(address)}:*" for address in addresses.METADATA),
    "metadata.google.internal:*",
)
"""Built-in rules that hold wherever the proxy listens."""

PUBLIC_DENIED: tuple[str, ...] = (
    *(f"{bracketed(network)}:*" for network in addresses.SPECIAL),
    "*:25",  # mail: what an open proxy is abused for first
    "*:465",
    "*:587",
)
"""Built-in rules for a proxy that listens beyond loopback."""

LOOPBACK: tuple[IPNetwork, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
EVERYWHERE: tuple[IPNetwork, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
LISTENING_HOSTS: dict[str, tuple[IPNetwork, ...]] = {
    "": LOOPBACK,
    "localhost": LOOPBACK,
    "0.0.0.0": EVERYWHERE[:1],
    "[::]": EVERYWHERE,
    "*": EVERYWHERE,
}
"""What a host means in a rule for listening, beside addresses and networks."""

_GRAMMAR = "a rule is [tcp:|udp:]host:port, the port a number, low-high or *"
_LISTENING_GRAMMAR = "a rule for listening is [tcp:|udp:][address:]port, the port a number, low-high or *"
_GLOB = re.compile(r"[a-z0-9_.*?-]+", re.ASCII)
_NUMERIC_GLOB = re.compile(r"[0-9.*?]*[0-9][0-9.*?]*", re.ASCII)


class RuleError(ValueError):
    """A rule's text does not follow the grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Destinations: hosts, ports and perhaps a protocol. ``parse`` makes it and ``str`` gives its text.

    Attributes:
        protocol: ``"tcp"``, ``"udp"`` or None for both.
        host: a network (one address is a network too), or a name or glob in lower case.
        low: first port; 0 when the rule is for any port.
        high: last port.
    """

    protocol: Protocol | None
    host: IPNetwork | str
    low: int
    high: int

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Reads one rule.

        Raises:
            RuleError: the text does not follow the grammar.
        """
        protocol, rest = _parse_protocol(text)
        host, colon, ports = rest.rpartition(":")
        if not colon or not host:
            raise RuleError(f"{text!r} is not a rule: {_GRAMMAR}")
        try:
            return cls(protocol, _parse_host(host), *_parse_ports(ports))
        except ValueError as error:
            raise RuleError(f"{text!r} is not a rule: {error}") from error

    @classmethod
    def parse_listening(cls, text: str) -> tuple[Rule, ...]:
        """Reads one rule about listening; it may stand for several networks.

        Raises:
            RuleError: the text does not follow the grammar.
        """
        protocol, rest = _parse_protocol(text)
        host, colon, ports = rest.rpartition(":")
        if colon and not host:
            raise RuleError(f"{text!r} is not a rule: {_LISTENING_GRAMMAR}")
        try:
            networks = LISTENING_HOSTS.get(host.lower()) or (_parse_own_address(host),)
            return tuple(cls(protocol, network, *_parse_ports(ports)) for network in networks)
        except ValueError as error:
            raise RuleError(f"{text!r} is not a rule: {error}") from error

    def __str__(self) -> str:
        protocol = f"{self.protocol}:" if self.protocol else ""
        ports = "*" if self.low == ANY_PORT else f"{self.low}-{self.high}"
        return f"{protocol}{self._host_text()}:{self.low if self.low == self.high else ports}"

    def fits_host(self, name: str | None, address: IPAddress) -> bool:
        """Whether the rule is about this host; ``name`` is None when the page asked for an address."""
        if not isinstance(self.host, str):
            return address in self.host
        return self.host == "*" or (name is not None and fnmatch.fnmatchcase(name, self.host))

    def fits(self, protocol: Protocol, port: int) -> bool:
        """Whether the rule is about this protocol and port."""
        return self.low <= port <= self.high and self.protocol in (None, protocol)

    def specificity(self) -> tuple[int, ...]:
        """Sorts rules: of two that fit a request the greater one is the more specific."""
        if not isinstance(self.host, str):
            exact = self.host.prefixlen == self.host.max_prefixlen
            host = (4, 0) if exact else (2, self.host.prefixlen)
        elif not _is_glob(self.host):
            host = (3, 0)
        elif self.host == "*":
            host = (0, 0)
        else:
            host = (1, sum(character not in "*?" for character in self.host))
        any_port = self.low == ANY_PORT
        return (*host, not any_port, self.low - self.high, self.protocol is not None)

    def _host_text(self) -> str:
        if isinstance(self.host, str):
            return self.host
        address = bracketed(self.host.network_address)
        exact = self.host.prefixlen == self.host.max_prefixlen
        return address if exact else f"{address}/{self.host.prefixlen}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says about one request.

    Attributes:
        allowed: whether the page may.
        rule: text of the rule that decided; empty when none fitted.
        reason: when refused, a sentence that says what to change.
    """

    allowed: bool
    rule: str
    reason: str


class ForbiddenError(PermissionError):
    """What the policy does not allow.

    Attributes:
        rule: text of the rule that refuses; ``"listen"`` where none allows to listen.
        message: a sentence that says what to change.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(errno.EACCES, decision.reason)
        self.rule = decision.rule or "listen"
        self.message = decision.reason


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule with what it does."""

    rule: Rule
    allow: bool
    built_in: bool

    def precedence(self) -> tuple[int, ...]:
        return (*self.rule.specificity(), not self.built_in, not self.allow)


class Policy:
    """Decides about destinations and listeners. All decisions, for TCP, UDP and names, come from here.

    Args:
        allow: the user's rules for what may be reached.
        deny: the user's rules for what may not.
        listen: the user's rules for where pages may listen.
        public: the proxy listens beyond loopback: this machine's and its network's own addresses are denied.
        own_port: the proxy's of TCP, where no page may listen.
    """

    def __init__(
        self,
        allow: Iterable[Rule],
        deny: Iterable[Rule],
        listen: Iterable[Rule] = (),
        *,
        public: bool,
        own_port: int | None = None,
    ) -> None:
        built_in = (*ALWAYS_DENIED, *PUBLIC_DENIED) if public else ALWAYS_DENIED
        self._entries = [
            *(_Entry(rule, allow=True, built_in=False) for rule in allow),
            *(_Entry(rule, allow=False, built_in=False) for rule in deny),
            *(_Entry(Rule.parse(text), allow=False, built_in=True) for text in built_in),
        ]
        self._sort()
        self._listen = tuple(listen)
        self._own_port = own_port
        self._extended: weakref.WeakSet[Policy] = weakref.WeakSet()

    def extended(self, allow: Iterable[Rule], deny: Iterable[Rule], listen: Iterable[Rule] = ()) -> Policy:
        """A policy with these rules of the user beside the built-in ones, those to come among them."""
        other = Policy(allow, deny, listen, public=False, own_port=self._own_port)
        other._entries = [entry for entry in other._entries if not entry.built_in]
        other._entries += [entry for entry in self._entries if entry.built_in]
        other._sort()
        self._extended.add(other)
        return other

    def add_built_in(self, *, allow: Iterable[Rule] = (), deny: Iterable[Rule] = ()) -> None:
        """Adds rules that are only known once the proxy has started, such as its own address and port."""
        entries = [_Entry(rule, allow=True, built_in=True) for rule in allow]
        entries += [_Entry(rule, allow=False, built_in=True) for rule in deny]
        for policy in (self, *self._extended):
            policy._entries += entries
            policy._sort()

    def decide(self, protocol: Protocol, host: str, address: str | IPAddress, port: int) -> Decision:
        """Whether ``address`` may be reached.

        Args:
            protocol: ``"tcp"`` or ``"udp"``.
            host: what the page asked for, as ``addresses.canonical`` spells it: a name, or the address again.
            address: where that would lead. It is this address, not the name, that must then be dialled.
            port: 0 to 65535.

        Raises:
            ValueError: ``address`` is not an IP address.
        """
        deciding = ""
        for subject, entries in self._entries_for(host, address):
            entry = next((entry for entry in entries if entry.rule.fits(protocol, port)), None)
            if entry is None:
                continue
            if not entry.allow:
                return Decision(False, str(entry.rule), _reason(entry, host, subject, port))
            deciding = deciding or str(entry.rule)
        return Decision(True, deciding, "")

    def may_reveal(self, host: str, address: str | IPAddress) -> bool:
        """Whether a page may learn that ``host`` has this address: some port of it is allowed.

        Arguments are those of ``decide``.
        """
        fitting = [entries for _, entries in self._entries_for(host, address)]
        # Decisions change only where a rule's ports begin or end; one port of each stretch is enough.
        rules = [entry.rule for entries in fitting for entry in entries]
        starts = {1, *(rule.low for rule in rules), *(rule.high + 1 for rule in rules)}
        return any(
            self.decide(protocol, host, address, port).allowed
            for protocol in PROTOCOLS
            for port in starts
            if 0 < port <= PORT_MAX
        )

    def decide_listen(self, protocol: Protocol, address: str | IPAddress, port: int) -> Decision:
        """Whether a page may listen.

        Args:
            protocol: ``"tcp"`` or ``"udp"``.
            address: of this machine, or the unspecified address for all of them.
            port: 1 to 65535, or ``ANY_PORT``: whether it may listen on whatever port there is.

        Raises:
            ValueError: ``address`` is not an IP address.
        """
        subject = _own(address)
        where = f"{bracketed(subject)}:{'*' if port == ANY_PORT else port}"
        if protocol == "tcp" and port == self._own_port:
            return Decision(False, "", f"{where} is the proxy's own port; let the page listen on another")
        for rule in self._listening_rules(protocol, subject):
            if rule.fits(protocol, port):
                return Decision(True, str(rule), "")
        return Decision(False, "", _listening_reason(protocol, subject, port, where))

    def listening_ports(self, protocol: Protocol, address: str | IPAddress) -> list[range]:
        """The ports on which a page may listen at ``address``, as far as rules go; ranges may overlap.

        Arguments are those of ``decide_listen``.
        """
        rules = self._listening_rules(protocol, _own(address))
        return [range(max(rule.low, 1), rule.high + 1) for rule in rules]

    def _listening_rules(self, protocol: Protocol, address: IPAddress) -> Iterator[Rule]:
        for rule in self._listen:
            # Every address is more than any network but the one that has them all.
            wide = not address.is_unspecified or rule.host in EVERYWHERE
            if wide and rule.protocol in (None, protocol) and rule.fits_host(None, address):
                yield rule

    def _sort(self) -> None:
        self._entries.sort(key=_Entry.precedence, reverse=True)

    def _entries_for(self, host: str, address: str | IPAddress) -> Iterator[tuple[IPAddress, list[_Entry]]]:
        """For each address that ``address`` reaches, the rules about it, the most specific first."""
        name = host if addresses.literal(host) is None else None
        for subject in addresses.reached(ipaddress.ip_address(address)):
            yield subject, [entry for entry in self._entries if entry.rule.fits_host(name, subject)]


def _reason(refusing: _Entry, host: str, subject: IPAddress, port: int) -> str:
    """The sentence for a refusal. A name's address is not told: it may be one of the proxy's own network."""
    literal = addresses.literal(host)
    asked = host if literal is None else bracketed(literal)
    asked_port = "*" if port == ANY_PORT else str(port)
    targets = [bracketed(subject)] if literal is not None else [host, bracketed(subject)]
    remedy = f"start it without --deny {refusing.rule}"
    for target in targets:
        wish = _Entry(Rule.parse(f"{target}:{asked_port}"), allow=True, built_in=False)
        if wish.precedence() > refusing.precedence():
            remedy = f"start it with --allow {wish.rule}"
            break
    return f"the proxy's policy refuses {asked}:{asked_port} (rule {refusing.rule}); {remedy}"


def _listening_reason(protocol: Protocol, address: IPAddress, port: int, where: str) -> str:
    """The sentence for a listener that is refused."""
    ports = "'*'" if port == ANY_PORT else str(port)  # quoted, since a shell would read it
    prefix = "" if protocol == "tcp" else f"{protocol}:"
    remedy = f"start it with --listen {prefix}{ports}"
    if address.is_unspecified:
        remedy += f", or for more than this machine --listen {prefix}{bracketed(address)}:{ports}"
    elif not address.is_loopback:
        remedy = f"start it with --listen {prefix}{bracketed(address)}:{ports}"
    return f"the proxy does not let pages listen on {where}; {remedy}"


def _own(address: str | IPAddress) -> IPAddress:
    """An address of this machine; an IPv4-mapped one is its IPv4 address."""
    own = ipaddress.ip_address(address)
    return own.ipv4_mapped or own if isinstance(own, ipaddress.IPv6Address) else own


def _parse_protocol(text: str) -> tuple[Protocol | None, str]:
    """A rule's protocol, and what stands behind it."""
    for name in PROTOCOLS:
        if text.startswith(f"{name}:"):
            return name, text.removeprefix(f"{name}:")
    return None, text


def _parse_own_address(text: str) -> IPNetwork:
    """Addresses of this machine.

    Raises:
        ValueError: it is neither an address nor a network.
    """
    host = _parse_host(text)
    if isinstance(host, str):
        raise ValueError(f"{text!r} is not an address; pages listen on addresses, localhost or *")
    return host


def _parse_host(text: str) -> IPNetwork | str:
    """A network, or a name or glob in lower case.

    Raises:
        ValueError: it is none of these.
    """
    bracketed = re.fullmatch(r"\[([^]/]+)(?:]/(\d+)|/(\d+)]|])", text)
    if bracketed:
        inside, *prefixes = bracketed.groups()
        prefix = next((prefix for prefix in prefixes if prefix), "128")
        return _parse_network(f"{inside}/{prefix}", version=6)
    if ":" in text or "[" in text:
        raise ValueError(f"an IPv6 address goes in brackets, as in [::1]:80; {_GRAMMAR}")
    if "/" in text or addresses.literal(text) is not None:
        return _parse_network(text, version=4)
    name = text.lower()
    if not _is_glob(name):
        return _parse_name(name)
    if not _GLOB.fullmatch(name):
        raise ValueError(f"{text!r} is not a glob: it is written in ASCII, other letters in their xn-- form")
    if _NUMERIC_GLOB.fullmatch(name):
        raise ValueError(f"{text!r} looks like addresses but fits names; write a network, such as 10.0.0.0/8")
    return name.removesuffix(".")


def _parse_network(text: str, *, version: int) -> IPNetwork:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone id, which means nothing in a rule")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network in CIDR form") from error
    if network.version != version:
        raise ValueError(f"{text!r} is not an IPv{version} network")
    if ipaddress.ip_interface(text).ip != network.network_address:
        raise ValueError(f"{text!r} has host bits set; the network is {network}")
    return addresses.unmapped(network)


def _parse_name(text: str) -> IPNetwork | str:
    try:
        name = addresses.canonical(text)
    except InvalidHostError as error:
        raise ValueError(str(error)) from error
    address = addresses.literal(name)
    return name if address is None else addresses.unmapped(ipaddress.ip_network(address))


def _parse_ports(text: str) -> tuple[int, int]:
    if text == "*":
        return ANY_PORT, PORT_MAX
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} is not a port: it is a number, low-high or *")
    low, high = int(match[1]), int(match[2] or match[1])
    if not 0 < low <= high <= PORT_MAX:
        raise ValueError(f"{text!r} is not a range within 1-{PORT_MAX}")
    return low, high


def _is_glob(name: str) -> bool:
    return "*" in name or "?" in name
