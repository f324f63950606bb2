"""What the standard library's servers need."""

import errno
import socket
import socketserver

from tests.contract.cases import accepting, connecting, datagram_socket, equal, raising, read_all, suite

CASES, case = suite()


@case
def create_server_listens():
    with socket.create_server(("127.0.0.1", 0), backlog=5) as listener:
        equal(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)
        equal(bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)), True)
        with connecting(listener), accepting(listener):
            pass
        with raising(OSError, errno.EADDRINUSE):
            socket.create_server(listener.getsockname())


class Shout(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(100).upper())


class Whisper(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().lower())


@case
def socketserver_handles_requests():
    for handler, question, answer in ((Shout, b"shout", b"SHOUT"), (Whisper, b"WHISPER\n", b"whisper\n")):
        with socketserver.TCPServer(("127.0.0.1", 0), handler) as server, connecting(server.socket) as client:
            client.sendall(question)
            server.handle_request()
            equal(read_all(client), answer)


@case
def socketserver_stops_waiting_in_time():
    class Impatient(socketserver.TCPServer):
        timeout = 0.2
        waited = False

        def handle_timeout(self):
            self.waited = True

    with Impatient(("127.0.0.1", 0), Shout) as server:
        server.handle_request()
        assert server.waited


@case
def socketserver_answers_datagrams():
    class Mirror(socketserver.BaseRequestHandler):
        def handle(self):
            data, sock = self.request
            sock.sendto(data[::-1], self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Mirror) as server, datagram_socket() as client:
        client.sendto(b"abc", server.server_address)
        server.handle_request()
        equal(client.recvfrom(100), (b"cba", server.server_address))
