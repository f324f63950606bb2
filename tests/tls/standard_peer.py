"""A server made of the standard library's own ``ssl``, in a process of its own: ours is patched elsewhere.

Its settings come as JSON on the command line; it prints its port, and serves until its input ends.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from typing import Any


def main() -> None:
    asked: dict[str, Any] = json.loads(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for file in asked["identities"]:
        context.load_cert_chain(file)
    context.minimum_version = ssl.TLSVersion[asked.get("minimum", "TLSv1_2")]
    context.maximum_version = ssl.TLSVersion[asked.get("maximum", "MAXIMUM_SUPPORTED")]
    if "alpn" in asked:
        context.set_alpn_protocols(asked["alpn"])
    if "client_ca" in asked:
        context.load_verify_locations(asked["client_ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=serve, args=(listener, context, asked), daemon=True).start()
    sys.stdin.read()


def serve(listener: socket.socket, context: ssl.SSLContext, asked: dict[str, Any]) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection, context, asked), daemon=True).start()


def converse(plain: socket.socket, context: ssl.SSLContext, asked: dict[str, Any]) -> None:
    """Echo; ``bye`` ends TLS with a close_notify, ``cut`` without; ``who`` tells of this side."""
    try:
        if asked.get("starttls"):
            plain.sendall(b"220 ready\r\n")
            assert plain.recv(100) == b"STARTTLS\r\n"
            plain.sendall(b"220 go\r\n")
        with context.wrap_socket(plain, server_side=True) as secured:
            while data := secured.recv(1 << 16):
                if data == b"bye":
                    rest = secured.unwrap()
                    rest.sendall(b"plain again")
                    return
                if data == b"cut":
                    secured.shutdown(socket.SHUT_RDWR)
                    return
                secured.sendall(told(secured) if data == b"who" else data)
    except OSError:
        plain.close()


def told(secured: ssl.SSLSocket) -> bytes:
    facts = {
        "version": secured.version(),
        "cipher": secured.cipher(),
        "alpn": secured.selected_alpn_protocol(),
        "reused": secured.session_reused,
        "peer": secured.getpeercert(),
        "binding": (secured.get_channel_binding() or b"").hex(),
    }
    return json.dumps(facts).encode()


if __name__ == "__main__":
    main()
