"""Programs in C, compiled by Emscripten as they are, whose sockets the proxy makes or carries."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.machine import find_emscripten
from tests.peers import DatagramEcho, Echo, HashAtEnd, Refusing, Silent, pattern
from tests.servers import ROOT, ProxyProcess
from tests.static_host import ISOLATED, StaticHost

SOURCES = ROOT / "tests" / "emscripten"

FLAGS = {
    "posix": ["-lwebsocket.js", "-sPROXY_POSIX_SOCKETS", "-pthread", "-sPROXY_TO_PTHREAD", "-sEXIT_RUNTIME"],
    "emulated": [],
}
"""What each program is compiled with."""

PATIENCE = 30.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    """The compiled programs, on an origin of their own whose pages may have threads."""
    compiler = find_emscripten()
    if compiler is None:
        pytest.skip("Emscripten is not installed (on Debian: apt-get install emscripten), nor could it be")
    directory: Path = tmp_path_factory.mktemp("emscripten")
    for program, flags in FLAGS.items():
        source, target = SOURCES / f"{program}.c", directory / f"{program}.js"
        made = subprocess.run(
            [compiler, str(source), "-o", str(target), *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr
    shutil.copy(SOURCES / "page.html", directory)
    with StaticHost(directory, ISOLATED) as host:
        yield host


@pytest.fixture(scope="module")
def proxy(start_proxy: Callable[..., ProxyProcess], site: StaticHost) -> ProxyProcess:
    return start_proxy("--listen", "*", "--origin", site.url)


class Running:
    """A program in a page."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def lines(self, last: str) -> list[str]:
        """What it has printed, once a line begins so."""
        self._page.wait_for_function(
            "last => lines.some((line) => line.startsWith(last))", arg=last, timeout=PATIENCE * 1000
        )
        lines: list[str] = self._page.evaluate("lines")
        return lines


@pytest.fixture
def run(profile, site):
    """``run("posix", "an argument")`` starts a program in a page of its own."""
    pages = []

    def start(program: str, *arguments: object, websocket: object = None) -> Running:
        page = profile.new_page()
        pages.append(page)
        told = {"program": program, "args": [str(each) for each in arguments], "websocket": websocket}
        page.goto(f"{site.url}/page.html#{quote(json.dumps(told))}")
        return Running(page)

    yield start
    for page in pages:
        page.close()


def test_a_program_with_proxied_sockets_makes_every_call_it_has(run, proxy):
    with (
        Echo() as echo,
        HashAtEnd() as hashing,
        DatagramEcho() as datagrams,
        Refusing() as refusing,
        Silent() as silent,
    ):
        peers = [each.address[1] for each in (echo, hashing, datagrams, refusing, silent)]
        program = run("posix", f"ws://127.0.0.1:{proxy.port}/posix?token={quote(proxy.token)}", *peers)
        listening = next(line for line in program.lines("listening") if line.startswith("listening"))
        *results, port = listening.split()[1:]
        assert results == ["0", "0", "0"]
        program.lines("MSG_DONTWAIT")  # the last of the other thread's: who waits to accept stops nobody
        with socket.create_connection(("127.0.0.1", int(port)), 10) as client:
            client.sendall(b"from outside")
            assert client.recv(100) == bytes(byte ^ 0x20 for byte in b"from outside")
        found = dict(line.partition(": ")[::2] for line in program.lines("done"))
    assert found == {
        "bridge": "1",
        "listening": listening.partition(": ")[2],
        "served": "12",
        "echo": "sent 5, received 5: hello",
        "large": hashlib.sha256(pattern(1_000_000)).hexdigest(),
        "datagrams": "sent 8, received 8: datagram, from there",
        "localhost": "0 127.0.0.1 80",
        "no name": "0 0.0.0.0",
        "no such name": "EAI_NONAME",
        "refused": "-1 ECONNREFUSED",
        "SO_KEEPALIVE": "0 1",
        "SO_TYPE": "SOCK_STREAM",
        "TCP_NODELAY": "0",
        "SO_RCVTIMEO": "0 -1 EAGAIN",
        "MSG_DONTWAIT": "-1 EAGAIN",
        "done": "",
    }


def test_emulated_sockets_reach_hosts_through_websockify(run, proxy):
    token = quote(proxy.token)
    with Echo() as echo, DatagramEcho() as datagrams:
        base = f"ws://127.0.0.1:{proxy.port}/websockify"
        over_tcp = {"url": f"{base}/127.0.0.1/{echo.port}?token={token}"}
        assert run("emulated", "tcp", echo.port, websocket=over_tcp).lines("done") == [
            "sent 8",
            "received 8: over tcp",
            "done",
        ]
        port = datagrams.address[1]
        over_udp = {"url": f"{base}/udp/127.0.0.1/{port}?token={token}"}
        # The first message tells the port it is bound to, and is not passed on: only the second comes back.
        assert run("emulated", "udp", port, websocket=over_udp).lines("done") == [
            "bound 0",
            "sent 8",
            "received 8: over udp",
            "done",
        ]
