"""The peers that the contract suites in tests/contract talk to."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from tests.peers import (
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


@contextlib.contextmanager
def stream_peers() -> Iterator[dict[str, tuple[str, int]]]:
    """Runs every peer of tests/contract/stream.py; gives their addresses by name."""
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Recorder())
        peers: dict[str, TcpPeer | Refusing | Unanswering] = {
            "echo": Echo(),
            "hash": HashAtEnd(),
            "recorded": Recorded(recorder),
            "refusing": Refusing(),
            "resetting": ResetAfter(send=1000, read=10),
            "silent": Silent(receive_buffer=65536),
            "source": Source(2_000_003),
            "unanswering": Unanswering(),
        }
        if _has_ipv6():
            peers["echo6"] = Echo("::1")
        for peer in peers.values():
            stack.enter_context(peer)
        yield {**{name: peer.address for name, peer in peers.items()}, "recorder": recorder.address}


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
