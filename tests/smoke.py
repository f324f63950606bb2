"""Small programs that show whether sockets work at all, wherever Python runs and however it is entered.

Each is plain synchronous Python, whose last expression is true if all is well. The names that none of them
defines are addresses of real servers: lists of host and port, or URLs of those that speak HTTP.
"""

from __future__ import annotations

__all__ = ["PROGRAMS"]

PROGRAMS = {
    "connect by address": """
import socket
with socket.create_connection(echo, 10) as connection:
    connection.sendall(b"hello")
    answer = connection.recv(5, socket.MSG_WAITALL)
answer == b"hello" and connection.fileno() == -1
""",
    "connect by name": """
import socket
with socket.create_connection(("localhost", echo[1]), 10) as connection:
    connection.sendall(b"by name")
    answer = connection.recv(7, socket.MSG_WAITALL)
answer == b"by name"
""",
    "timeout": """
import socket, time
with socket.create_connection(silent, 10) as connection:
    connection.settimeout(0.3)
    begin = time.monotonic()
    try:
        connection.recv(1)
    except TimeoutError as error:
        raised = str(error)
    waited = time.monotonic() - begin
raised == "timed out" and waited > 0.25
""",
    "refused": """
import errno, socket
try:
    socket.create_connection(refusing, 10)
except ConnectionRefusedError as error:
    number = error.errno
number == errno.ECONNREFUSED
""",
    "select": """
import select, socket
with socket.create_connection(echo, 10) as one, socket.create_connection(echo, 10) as other:
    nothing = select.select([one, other], [], [], 0.05)
    other.sendall(b"x")
    ready = select.select([one, other], [], [], 10)
    found = [each is other for each in ready[0]]
nothing == ([], [], []) and found == [True]
""",
    "megabytes": """
import hashlib, socket, sys
size = 1 << 20
data = b"".join(number.to_bytes(4, "little") for number in range(size // 4))
with socket.create_connection(download, 30) as down:
    received = b""
    while piece := down.recv(1 << 16):
        received += piece
with socket.create_connection(upload, 30) as up:
    up.sendall(data)
    up.shutdown(socket.SHUT_WR)
    digest = up.recv(64, socket.MSG_WAITALL).decode()
received == data and digest == hashlib.sha256(data).hexdigest()
""",
    "datagrams": """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.settimeout(10)
    sock.sendto(b"datagram", tuple(datagrams))
    answer = sock.recvfrom(100)
answer == (b"datagram", tuple(datagrams))
""",
    "a server in the page": """
import socket
server = socket.create_server(("127.0.0.1", 0))
with server, socket.create_connection(server.getsockname(), 10) as client:
    server.settimeout(10)
    accepted, address = server.accept()
    with accepted:
        client.sendall(b"question")
        question = accepted.recv(8, socket.MSG_WAITALL)
        accepted.sendall(question[::-1])
        answer = client.recv(8, socket.MSG_WAITALL)
        found = (address == client.getsockname(), answer)
found == (True, b"noitseuq")
""",
    "http.client": """
import http.client
connection = http.client.HTTPConnection(*site, timeout=10)
connection.request("GET", "/")
response = connection.getresponse()
body = response.read()
connection.close()
response.status == 200 and len(body) > 0
""",
    "urlopen": """
import json
from urllib.error import HTTPError
from urllib.request import urlopen
with urlopen(shared + "/large?bytes=300000") as response:
    size = len(response.read())
echo = json.load(urlopen(closed + "/echo"))  # which only the proxy may read
try:
    urlopen(shared + "/status/404")
except HTTPError as error:
    code = error.code
(size, echo["method"], code) == (300_000, "GET", 404)
""",
    "fetch": """
from pynet_browser.http import fetch_sync
found = []
for via in ("browser", "proxy"):
    found.append(fetch_sync(shared + "/echo", method="PUT", body=bytes(100_000), via=via).json()["size"])
    found.append(sum(map(len, fetch_sync(shared + "/chunked?bytes=300000", via=via))))
    try:
        found.append(fetch_sync(shared + "/break", via=via).bytes())
    except OSError:
        found.append("broken")
found == 2 * [100_000, 300_000, "broken"]
""",
    "a WebSocket": """
import pynet_browser
from pynet_browser.websocket.sync import connect
try:
    with connect(sockets + "/echo") as connection:
        connection.send("text")
        connection.send(bytes(100_000))
        found = [connection.recv(), len(connection.recv())]
except pynet_browser.BlockingError:
    found = ["text", 100_000] if pynet_browser.status().waiting == "xhr" else []
found == ["text", 100_000]
""",
    "a data channel, on the main thread": """
import js, pynet_browser
from pynet_browser.webrtc import PeerConnection
try:
    found = PeerConnection().create_data_channel("talk").ready_state
except pynet_browser.UnsupportedRuntimeError as error:
    found = str(error)
found == "connecting" if hasattr(js, "document") else "on a page's main thread only" in found
""",
    "redis": """
import redis
with redis.Redis(*store, socket_timeout=10) as client:
    client.set("smoke", "é")
    value = client.get("smoke").decode()
    many = client.pipeline().incr("counted").delete("counted").execute()
value == "é" and many == [1, 1]
""",
}
"""Source code by what it shows."""
