"""What the contract suites in tests/contract need from outside."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TypeAlias

from tests.peers import (
    DatagramEcho,
    Echo,
    HashAtEnd,
    Recorded,
    Recorder,
    Refusing,
    ResetAfter,
    Silent,
    Source,
    TcpPeer,
    Unanswering,
)

Peers: TypeAlias = dict[str, tuple[str, int] | str]


GROUP = "239.255.77.77"
"""A multicast address that stays within an organisation; here it stays on loopback."""


@contextlib.contextmanager
def contract_peers() -> Iterator[Peers]:
    """Runs every peer that a case may ask for; gives their addresses by name.

    ``host6`` is this machine's loopback address in IPv6. It is missing, as are the peers there, where the
    machine has none. ``multicast`` is a group's address, for cases that need groups.
    """
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Recorder())
        peers: dict[str, TcpPeer | DatagramEcho | Refusing | Unanswering] = {
            "datagram_echo": DatagramEcho(),
            "echo": Echo(),
            "hashing": HashAtEnd(),
            "recorded": Recorded(recorder),
            "refusing": Refusing(),
            "resetting": ResetAfter(send=1000, read=10),
            "silent": Silent(receive_buffer=65536),
            "source": Source(2_000_003),
            "unanswering": Unanswering(),
        }
        found: Peers = {"multicast": GROUP, "recorder": recorder.address}
        if _has_ipv6():
            peers["datagram_echo6"] = DatagramEcho("::1")
            peers["echo6"] = Echo("::1")
            found["host6"] = "::1"
        for name, peer in peers.items():
            stack.enter_context(peer)
            found[name] = peer.address
        yield found


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
