"""asyncio where Python cannot be suspended, and nothing may wait in another way: nothing of it needs that."""

from __future__ import annotations

import pytest

from tests.page_python import PageError


@pytest.fixture(scope="module")
def page(open_python, listening_proxy):
    python = open_python(listening_proxy, install=False, suspends=False)
    source = """
import pynet_browser
await pynet_browser.install(url, token=token, blocking="jspi")
pynet_browser.status().waiting
"""
    assert python.run(source, url=listening_proxy.ws_url, token=listening_proxy.token) == "none"
    return python


def test_streams_connect_by_name_and_carry_data_both_ways(page, echo_server):
    source = """
import asyncio
reader, writer = await asyncio.open_connection("localhost", port)
writer.write(b"x" * 300_000)
await writer.drain()
writer.write_eof()
data = await reader.read()
peer = writer.get_extra_info("peername")[1]
writer.close()
await writer.wait_closed()
[len(data), peer]
"""
    assert page.run(source, port=echo_server.port) == [300_000, echo_server.port]


def test_a_server_is_bound_and_reached_through_the_proxy(page):
    source = """
import asyncio
async def shout(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
    writer.close()
server = await asyncio.start_server(shout, "127.0.0.1", 0)
host, port = server.sockets[0].getsockname()
reader, writer = await asyncio.open_connection(host, port)
writer.write(b"hello\\n")
writer.write_eof()
answer = await reader.read()
writer.close()
server.close()
await server.wait_closed()
[host, port > 0, answer.decode()]
"""
    assert page.run(source) == ["127.0.0.1", True, "HELLO\n"]


def test_an_address_in_use_is_an_error_of_create_server(page, echo_server):
    source = """
import asyncio, errno, pynet_browser
loop = asyncio.get_running_loop()
try:
    await loop.create_server(asyncio.Protocol, "127.0.0.1", port)
except OSError as error:
    found = errno.errorcode[error.errno]
[found, len(pynet_browser.status().sockets)]
"""
    assert page.run(source, port=echo_server.port) == ["EADDRINUSE", 0]


def test_datagrams_go_between_endpoints_with_true_addresses(page):
    source = """
import asyncio
loop = asyncio.get_running_loop()
heard = loop.create_future()
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        self.transport.sendto(data[::-1], address)
class Asking(asyncio.DatagramProtocol):
    def datagram_received(self, data, address):
        heard.set_result([data.decode(), list(address)])
server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
address = server.get_extra_info("socket").getsockname()
client, _ = await loop.create_datagram_endpoint(Asking, remote_addr=address)
client.sendto(b"abc")
answer, sender = await asyncio.wait_for(heard, 10)
server.close()
client.close()
[answer, sender == list(address)]
"""
    assert page.run(source) == ["cba", True]


def test_a_port_without_socket_reaches_the_protocol(page):
    source = """
import asyncio, socket
loop = asyncio.get_running_loop()
class Asking(asyncio.DatagramProtocol):
    def error_received(self, error):
        failed.set_result(type(error).__name__)
failed = loop.create_future()
client, _ = await loop.create_datagram_endpoint(Asking, remote_addr=("127.0.0.1", port))
client.sendto(b"x")
name = await asyncio.wait_for(failed, 10)
client.close()
name
"""
    import socket

    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert page.run(source, port=port) == "ConnectionRefusedError"


def test_sock_calls_and_readers_work_on_sockets_without_a_transport(page, echo_server):
    source = """
import asyncio, socket
loop = asyncio.get_running_loop()
sock = socket.socket()
sock.setblocking(False)
await loop.sock_connect(sock, (host, port))
await loop.sock_sendall(sock, b"0123456789")
buffer = bytearray(4)
count = await loop.sock_recv_into(sock, buffer)
rest = b""
while len(rest) < 10 - count:
    rest += await loop.sock_recv(sock, 100)
readable = loop.create_future()
loop.add_reader(sock, lambda: readable.done() or readable.set_result(sock.recv(10)))
await loop.sock_sendall(sock, b"again")
seen = await asyncio.wait_for(readable, 10)
loop.remove_reader(sock)
sock.close()
[bytes(buffer[:count]) + rest == b"0123456789", seen.decode()]
"""
    assert page.run(source, host=echo_server.host, port=echo_server.port) == [True, "again"]


def test_paths_and_pairs_need_no_network(page):
    source = """
import asyncio, os, socket
async def echo(reader, writer):
    writer.write(await reader.read())
    writer.close()
server = await asyncio.start_unix_server(echo, "/tmp/echo.socket")
reader, writer = await asyncio.open_unix_connection("/tmp/echo.socket")
writer.write(b"by path")
writer.write_eof()
answer = await reader.read()
writer.close()
server.close()
await server.wait_closed()
one, other = socket.socketpair()
one.setblocking(False)
other.setblocking(False)
loop = asyncio.get_running_loop()
waiting = asyncio.ensure_future(loop.sock_recv(other, 10))
await loop.sock_sendall(one, b"pair")
pair = await waiting
one.close()
other.close()
[answer.decode(), os.path.exists("/tmp/echo.socket"), pair.decode()]
"""
    assert page.run(source) == ["by path", False, "pair"]


def test_a_call_that_must_wait_says_what_to_do(page, silent_server):
    source = "import socket; socket.create_connection((host, port), 5); None"
    with pytest.raises(PageError, match="JSPI") as caught:
        page.run(source, host=silent_server.host, port=silent_server.port)
    assert caught.value.type == "BlockingError"
