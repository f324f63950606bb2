"""What TLS costs in a page: ``PYNET_TEST_WHEELS=… python -m bench.tls``, beside plain TCP in the same run.

Handshakes and bulk, from a server of the standard library's, through TLS that ends in the page, TLS that ends
at the proxy, and none.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.browser.conftest import make
from tests.browser.engine import distribution
from tests.driven import DrivenBrowser
from tests.page_python import PagePython
from tests.servers import ROOT, ProxyProcess
from tests.tls.certificates import make as certificate

SIZE = 16_000_000
ROUNDS = 2
HANDSHAKES = 20

PROGRAM = """
import socket, ssl, statistics
from time import perf_counter

context = ssl.create_default_context(cadata=ca)
context.set_ciphers("ECDH+CHACHA20" if cipher == "ChaCha20" else "ECDH+AESGCM")
if cipher:
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where ciphers can be chosen

def connected():
    plain = socket.create_connection(("127.0.0.1", port))
    return context.wrap_socket(plain, server_hostname="localhost") if secured else plain

times = []
for _ in range(handshakes):
    start = perf_counter()
    with connected() as connection:
        connection.sendall(bytes(8))
        connection.recv(1)
        times.append(perf_counter() - start)
with connected() as connection:
    start = perf_counter()
    connection.sendall(size.to_bytes(8))
    left = size
    buffer = bytearray(1 << 18)
    while left:
        left -= connection.recv_into(buffer)
    bulk = perf_counter() - start
[statistics.median(times) * 1000, size / bulk / 1e6]
"""


def serve(identity: str) -> None:
    """Sends as much as it is asked for, and a byte at least; the first port is plain, the second is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    piece = bytes(1 << 18)

    def talk(connection: socket.socket, secured: bool) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) if secured else connection as peer:
                left = int.from_bytes(peer.recv(8)) or 1
                while left > 0:
                    peer.sendall(piece[:left])
                    left -= len(piece)
                peer.recv(1)
        except OSError:
            connection.close()

    def listen(listener: socket.socket, secured: bool) -> None:
        while True:
            connection, _ = listener.accept()
            # Its tickets and its first byte would wait for each other's acknowledgement, 40 ms (Nagle).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=talk, args=(connection, secured), daemon=True).start()

    for secured in (False, True):
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=listen, args=(listener, secured), daemon=True).start()
    sys.stdin.read()


def main() -> None:
    make("wheel")
    with tempfile.TemporaryDirectory() as directory:
        root = certificate(Path(directory), "Root", authority=True)
        identity = certificate(Path(directory), "good", "localhost", issuer=root)
        command = [sys.executable, "-m", "bench.tls", "serve", str(identity.file)]
        server = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT)
        assert server.stdout
        plain, secured = (int(server.stdout.readline()) for _ in range(2))
        try:
            measure(root.pem, plain, secured)
        finally:
            server.communicate("")


def measure(ca: str, plain: int, secured: int) -> None:
    """Each in turn, so that what else the machine does hits all alike."""
    kinds = [
        ("TCP without TLS", "page", plain, ""),
        ("TLS in the page, as agreed", "page", secured, ""),
        ("TLS in the page, ChaCha20", "page", secured, "ChaCha20"),
        ("TLS in the page, AES-GCM", "page", secured, "AES"),
        ("TLS at the proxy", "proxy", secured, ""),
    ]
    [wheel] = (ROOT / "dist").glob("pynet_browser-*.whl")
    found: dict[str, list[list[float]]] = {title: [] for title, *_ in kinds}
    with (
        ProxyProcess("--tls-proxy", "--pyodide", str(distribution())) as proxy,
        DrivenBrowser("Chromium") as browser,
    ):
        pages = {}
        for side in ("page", "proxy"):
            pages[side] = PagePython(browser, f"{proxy.url}/healthz")
            pages[side].run(
                "import micropip; await micropip.install(wheel); import pynet_browser\n"
                "await pynet_browser.install(url, token=token, tls=side)",
                wheel=f"{proxy.url}/dist/{wheel.name}",
                url=proxy.ws_url,
                token=proxy.token,
                side=side,
                timeout=60,
            )
        for count in range(ROUNDS + 1):
            for title, side, port, cipher in kinds:
                values = pages[side].run(
                    PROGRAM,
                    ca=ca,
                    port=port,
                    cipher=cipher,
                    secured=port == secured,
                    handshakes=HANDSHAKES,
                    size=SIZE,
                    timeout=60,
                )
                if count:  # the first warms up
                    found[title].append(values)
    print("| | connected until the first byte, ms | bulk received, MB/s |\n| --- | --- | --- |")
    for title, values in found.items():
        milliseconds, speed = (statistics.median(each) for each in zip(*values, strict=True))
        print(f"| {title} | {milliseconds:.1f} | {speed:.0f} |")


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1:2] == ["serve"] else main()
