"""Our layer in this process, its peers in others."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch
from tests.tls.certificates import Authority, Identity

HERE = Path(__file__).parent
HOST = "localhost"


@pytest.fixture
def layer() -> Iterator[Patches]:
    """The standard ``ssl`` module is ours for one test."""
    patches = Patches()
    patch.apply(patches)
    yield patches
    patches.undo()


Serve = Callable[..., tuple[str, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers of the standard library's; each tells its address."""
    running: list[subprocess.Popen[str]] = []

    def start(*identities: Identity, **asked: Any) -> tuple[str, int]:
        asked["identities"] = [str(each.file) for each in identities]
        process = subprocess.Popen(
            [sys.executable, str(HERE / "standard_peer.py"), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout
        return "127.0.0.1", int(process.stdout.readline())

    yield start
    for process in running:
        process.communicate("")  # its input ends, and so does it


def trusting(authority: Authority) -> ssl.SSLContext:
    """A client's context of whichever ``ssl`` there is now."""
    return ssl.create_default_context(cafile=str(authority.root.file))


def connected(
    address: tuple[str, int], context: ssl.SSLContext, hostname: str | None = HOST, **how: Any
) -> ssl.SSLSocket:
    """A client's connection; nothing here waits for more than some seconds."""
    plain = socket.create_connection(address, timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname=hostname, **how)
    finally:
        plain.close()  # the wrapped one has its descriptor
