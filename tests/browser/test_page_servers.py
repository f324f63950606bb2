"""Unmodified servers of the standard library in the page, and real clients on the host: curl and sockets."""

from __future__ import annotations

import hashlib
import socket

import pytest

from tests.curl import REPORT, curl
from tests.peers import chunks, pattern

# ── http.server ─────────────────────────────────────────────────────────────────────────────────────────

HTTP_SERVER = """
import hashlib, http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = []

    def do_GET(self):
        if self.path == "/stop":
            self.answer(b"stopping")
            raise KeyboardInterrupt  # as from the keyboard, where people stop such a server
        if self.path == "/missing":
            return self.send_error(404)
        self.answer(b"x" * int(self.path.removeprefix("/")))

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(body).hexdigest().encode() + body)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        self.log.append(f"{self.command} {self.path.lstrip('/')} {int(code)}")
"""


def test_http_server_keeps_a_connection_for_several_requests(serve, tmp_path):
    source = (
        HTTP_SERVER
        + """
with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
    tell(server.server_port)
    server.handle_request()  # one connection, whatever is asked for on it
Handler.log
"""
    )
    body, upload, echo = pattern(3_000_001), tmp_path / "upload", tmp_path / "echo"
    upload.write_bytes(body)

    def client(port):
        url = f"http://127.0.0.1:{port}"
        return curl(
            *(f"{url}/10", *REPORT, "/dev/null", "--next"),
            *(f"{url}/3000000", *REPORT, "/dev/null", "--next"),
            *("--head", f"{url}/1000", *REPORT, "/dev/null", "--next"),
            *("--data-binary", f"@{upload}", f"{url}/", *REPORT, str(echo), "--next"),
            *(f"{url}/0", *REPORT, "/dev/null"),
        )

    log, transfers = serve(source, client)
    assert transfers == ["200 1 10", "200 0 3000000", "200 0 0", "200 0 3000065", "200 0 0"]
    assert echo.read_bytes() == hashlib.sha256(body).hexdigest().encode() + body
    assert log == ["GET 10 200", "GET 3000000 200", "HEAD 1000 200", "POST  200", "GET 0 200"]


def test_http_server_serves_forever_until_it_is_interrupted(serve):
    source = (
        HTTP_SERVER
        + """
with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
    tell(server.server_port)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        Handler.log.append("interrupted")
Handler.log
"""
    )

    def client(port):
        return [
            curl(f"http://127.0.0.1:{port}/{path}", *REPORT, "/dev/null")[0].rsplit(" ", 1)[0]
            for path in ("1", "missing", "2", "stop")
        ]

    log, transfers = serve(source, client)
    assert transfers == ["200 1", "404 1", "200 1", "200 1"]
    assert log == ["GET 1 200", "GET missing 404", "GET 2 200", "GET stop 200", "interrupted"]


def test_http_server_serves_the_files_of_a_directory(serve, tmp_path):
    source = """
import functools, http.server, pathlib, tempfile
with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "notes").mkdir()
    pathlib.Path(directory, "notes", "größe.txt").write_text("three\\n" * 3)
    pathlib.Path(directory, "large").write_bytes(bytes(range(256)) * 8192)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            log.append(f"{self.path} {int(code)}")

    log = []
    handler = functools.partial(Handler, directory=directory)
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        tell(server.server_port)
        for _ in range(4):
            server.handle_request()
log
"""

    def client(port):
        url = f"http://127.0.0.1:{port}"
        listing = curl(f"{url}/notes", "--location")  # two requests: the first is redirected to /notes/
        curl(f"{url}/large", "--output", str(tmp_path / "large"))
        return listing, curl(f"{url}/notes/gr%C3%B6%C3%9Fe.txt")

    log, (listing, text) = serve(source, client)
    assert any('<a href="gr%C3%B6%C3%9Fe.txt">größe.txt</a>' in line for line in listing)
    assert text == ["three"] * 3
    assert (tmp_path / "large").read_bytes() == bytes(range(256)) * 8192
    assert log == ["/notes 301", "/notes/ 200", "/large 200", "/notes/gr%C3%B6%C3%9Fe.txt 200"]


def test_http_server_survives_a_client_that_hangs_up(serve):
    source = (
        HTTP_SERVER
        + """
import sys

class Server(http.server.HTTPServer):
    def handle_error(self, request, client_address):
        errors.append(isinstance(sys.exception(), ConnectionError))

errors = []
with Server(("127.0.0.1", 0), Handler) as server:
    tell(server.server_port)
    for _ in range(2):
        server.handle_request()
[Handler.log, errors]
"""
    )

    def client(port):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET /50000000 HTTP/1.1\r\nHost: page\r\n\r\n")
            connection.recv(1)  # it has begun
            linger = (1).to_bytes(4, "little") + bytes(4)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # closing resets
        return curl(f"http://127.0.0.1:{port}/5")

    (log, errors), answer = serve(source, client)
    assert answer == ["xxxxx"]
    assert log == ["GET 50000000 200", "GET 5 200"]
    assert errors == [True]


def test_wsgiref_serves_an_application(serve):
    source = """
import urllib.parse, wsgiref.simple_server, wsgiref.validate

class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    asked = [environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["REMOTE_ADDR"], str(len(body))]
    start_response("418 I'm a teapot", [("Content-Type", "text/plain; charset=utf-8")])
    return [" ".join(asked).encode(), b"\\n", urllib.parse.unquote_to_bytes(environ["QUERY_STRING"])]

checked = wsgiref.validate.validator(application)
with wsgiref.simple_server.make_server("127.0.0.1", 0, checked, handler_class=Quiet) as server:
    tell(server.server_port)
    for _ in range(2):
        server.handle_request()
"""

    def client(port):
        url = f"http://127.0.0.1:{port}"
        show = ["--write-out", r"\n%{http_code} %{content_type}"]
        return curl(f"{url}/tea?gr%C3%BCn", *show), curl(f"{url}/", "--data", "x" * 100_000, *show)

    _, (got, posted) = serve(source, client)
    assert got == ["GET /tea 127.0.0.1 0", "grün", "418 text/plain; charset=utf-8"]
    assert posted == ["POST / 127.0.0.1 100000", "", "418 text/plain; charset=utf-8"]


# ── socketserver and socket ─────────────────────────────────────────────────────────────────────────────


def test_socketserver_answers_lines_over_tcp(serve):
    source = """
import socketserver

class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
        clients.append(self.client_address)

clients = []
with socketserver.TCPServer(("127.0.0.1", 0), Upper) as server:
    tell(server.server_address)
    for _ in range(3):
        server.handle_request()
clients
"""

    def client(address):
        # All three are there before the first is done: two wait in the listener's queue.
        connections = [socket.create_connection(tuple(address), 20) for _ in range(3)]
        answers = []
        for number, connection in enumerate(connections):
            with connection:
                name = connection.getsockname()
                connection.sendall(f"hello {number}\n".encode() * 1000)
                connection.shutdown(socket.SHUT_WR)
                answers.append((list(name), b"".join(chunks(connection)).decode()))
        return answers

    clients, answers = serve(source, client)
    assert [answer for _, answer in answers] == [f"HELLO {number}\n" * 1000 for number in range(3)]
    assert clients == [name for name, _ in answers]


def test_socketserver_answers_datagrams(serve):
    source = """
import socketserver

class Reverse(socketserver.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read()[::-1])

with socketserver.UDPServer(("127.0.0.1", 0), Reverse) as server:
    server.max_packet_size = 65536
    tell(server.server_address)
    for _ in range(6):
        server.handle_request()
"""

    def client(address):
        answers = []
        for size in (0, 1, 1400, 9000, 40_000, 65_507):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:  # each is another client
                one.settimeout(10)
                one.sendto(pattern(size), tuple(address))
                answer, sender = one.recvfrom(65536)
                answers.append((sender == tuple(address), answer[::-1] == pattern(size)))
        return answers

    _, answers = serve(source, client)
    assert answers == [(True, True)] * 6


def test_a_server_of_plain_sockets_serves_its_clients_together(serve):
    source = """
import hashlib, select, socket
with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
    tell(server.getsockname())
    digests, finished = {}, []
    while len(finished) < 20:
        for each in select.select([server, *digests], [], [], 20)[0]:
            if each is server:
                connection, _ = server.accept()
                digests[connection] = hashlib.sha256()
            elif data := each.recv(65536):
                digests[each].update(data)
            else:
                with each:
                    each.sendall(digests.pop(each).hexdigest().encode())
                finished.append(each)
len(finished)
"""

    def client(address):
        connections = [socket.create_connection(tuple(address), 20) for _ in range(20)]
        for start in range(0, 100_000, 10_000):  # in turns, so that all are under way together
            for number, connection in enumerate(connections):
                connection.sendall(pattern(10_000, start + number))
        digests = []
        for connection in connections:
            with connection:
                connection.shutdown(socket.SHUT_WR)
                digests.append(b"".join(chunks(connection)).decode())
        return digests

    count, digests = serve(source, client)
    assert count == 20
    sent = [
        b"".join(pattern(10_000, start + number) for start in range(0, 100_000, 10_000))
        for number in range(20)
    ]
    assert digests == [hashlib.sha256(each).hexdigest() for each in sent]


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_server_closes_with_data_still_under_way(serve, size):
    source = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    tell(server.getsockname())
    connection, peer = server.accept()
    with connection:
        connection.sendall(bytes(size))
list(peer)
"""

    def client(address):
        with socket.create_connection(tuple(address), 20) as connection:
            return list(connection.getsockname()), sum(map(len, chunks(connection)))

    peer, (name, received) = serve(source, client, size=size)
    assert received == size
    assert peer == name
