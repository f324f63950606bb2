"""What is known of the machine that the proxy runs on."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["machine_addresses"]


def machine_addresses(family: int) -> set[str]:
    """Addresses of this machine: loopback, those of its name, and the one it reaches the internet from.

    Others may exist; no portable call lists them.
    """
    found = {"127.0.0.1"} if family == socket.AF_INET else {"::1"}
    anywhere = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"
    with contextlib.suppress(OSError):
        found.update(str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, family))
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((anywhere, 9))  # only chooses a route: a datagram socket sends nothing here
        found.add(probe.getsockname()[0])
    return {text for text in found if "%" not in text}  # not link-local: nobody dials it without a zone
