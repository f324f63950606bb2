"""What asyncio promises of transports and of sockets in its care, here and in the page."""

from __future__ import annotations

OPENING = '''
import asyncio, socket
loop = asyncio.get_running_loop()

class Recording(asyncio.Protocol):
    """Keeps what happens; a test waits for `changed`."""
    def __init__(self):
        self.calls, self.data, self.changed = [], bytearray(), asyncio.Event()
    def note(self, call):
        self.calls.append(call)
        self.changed.set()
    def connection_made(self, transport):
        self.transport = transport
        self.note("made")
    def data_received(self, data):
        self.data += data
        self.changed.set()
    def eof_received(self):
        self.note("eof")
        return True
    def pause_writing(self):
        self.held = self.transport.get_write_buffer_size()
        self.note("pause")
    def resume_writing(self):
        self.note("resume")
    def connection_lost(self, error):
        self.note(f"lost {type(error).__name__}")
    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

async def connected():
    """A server and the protocols of both ends of one connection to it."""
    accepted = loop.create_future()
    def serve():
        accepted.set_result(Recording())
        return accepted.result()
    server = await loop.create_server(serve, "127.0.0.1", 0)
    _, client = await loop.create_connection(Recording, *server.sockets[0].getsockname())
    peer = await accepted
    await peer.until(lambda: peer.calls)
    return server, client, peer

async def closed(server, *ends):
    server.close()
    for end in ends:
        end.transport.close()
        await end.until(lambda: end.calls[-1].startswith("lost"))
'''


def test_a_reader_that_pauses_stops_its_writer_and_nothing_is_lost(anywhere):
    source = """
server, client, peer = await connected()
peer.transport.pause_reading()
client.transport.set_write_buffer_limits(high=100_000, low=10_000)
sent = 0
while "pause" not in client.calls:
    client.transport.write(b"%07d." % (sent // 8) * 8192)
    sent += 8 * 8192
    await asyncio.sleep(0)
paused = [peer.transport.is_reading(), client.held > 100_000, len(peer.data) < sent]
peer.transport.resume_reading()
await client.until(lambda: "resume" in client.calls)
await peer.until(lambda: len(peer.data) == sent)
client.transport.close()
await client.until(lambda: "lost NoneType" in client.calls)
peer.transport.close()
await peer.until(lambda: peer.calls[-1].startswith("lost"))
server.close()
[paused, client.calls, client.transport.is_closing()]
"""
    paused, calls, closing = anywhere.run(OPENING + source, timeout=60)
    assert paused == [False, True, True]
    assert calls == ["made", "pause", "resume", "lost NoneType"]
    assert closing


def test_one_direction_can_end_before_the_other(anywhere):
    source = """
server, client, peer = await connected()
client.transport.write(b"last words")
able = client.transport.can_write_eof()
client.transport.write_eof()
await peer.until(lambda: "eof" in peer.calls)
peer.transport.write(b"answer")
peer.transport.close()
await client.until(lambda: "eof" in client.calls)
client.transport.close()
await client.until(lambda: client.calls[-1].startswith("lost"))
server.close()
[able, bytes(peer.data).decode(), bytes(client.data).decode()]
"""
    assert anywhere.run(OPENING + source) == [True, "last words", "answer"]


def test_an_abort_throws_away_what_was_not_sent(anywhere):
    source = """
server, client, peer = await connected()
peer.transport.pause_reading()
client.transport.write(bytes(32 << 20))
held = client.transport.get_write_buffer_size() > 0
client.transport.abort()
await client.until(lambda: client.calls[-1].startswith("lost"))
peer.transport.resume_reading()
await peer.until(lambda: peer.calls[-1] == "eof" or peer.calls[-1].startswith("lost"))
peer.transport.close()
await peer.until(lambda: peer.calls[-1].startswith("lost"))
server.close()
[held, client.calls[-1], len(peer.data) < 32 << 20]
"""
    assert anywhere.run(OPENING + source, timeout=60) == [True, "lost NoneType", True]


def test_both_ends_tell_who_they_are(anywhere):
    source = """
server, client, peer = await connected()
mine, its = client.transport.get_extra_info, peer.transport.get_extra_info
found = [
    mine("sockname") == its("peername"),
    mine("peername") == its("sockname"),
    mine("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
    mine("nothing", "default"),
]
await closed(server, client, peer)
found
"""
    assert anywhere.run(OPENING + source) == [True, True, 1, "default"]


def test_files_are_sent_by_transports_and_by_sockets(anywhere):
    source = """
import os, tempfile
server, client, peer = await connected()
content = os.urandom(300_000)
with tempfile.TemporaryFile() as file:
    file.write(content)
    file.flush()
    first = await loop.sendfile(client.transport, file, 0, 100_000)
    second = await loop.sendfile(client.transport, file, 100_000)
    await peer.until(lambda: len(peer.data) == 300_000)
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    file.seek(0)
    sending = asyncio.ensure_future(loop.sock_sendfile(one, file, 0, 200_000))
    received = b""
    while len(received) < 200_000:
        received += await loop.sock_recv(other, 65536)
    third = await sending
one.close()
other.close()
await closed(server, client, peer)
[first, second, third, bytes(peer.data) == content, received == content[:200_000]]
"""
    assert anywhere.run(OPENING + source) == [100_000, 200_000, 200_000, True, True]


def test_a_socket_that_was_accepted_by_hand_gets_a_transport(anywhere):
    source = """
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
opening = asyncio.ensure_future(loop.create_connection(Recording, *listener.getsockname()))
accepted, address = await loop.sock_accept(listener)
_, peer = await loop.connect_accepted_socket(Recording, accepted)
_, client = await opening
client.transport.write(b"hello")
await peer.until(lambda: len(peer.data) == 5)
same = client.transport.get_extra_info("sockname") == address
await closed(listener, client, peer)
[bytes(peer.data).decode(), same]
"""
    assert anywhere.run(OPENING + source) == ["hello", True]


def test_datagrams_by_sock_calls_carry_addresses(anywhere):
    source = """
one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
for each in (one, other):
    each.setblocking(False)
    each.bind(("127.0.0.1", 0))
count = await loop.sock_sendto(one, b"question", other.getsockname())
data, address = await loop.sock_recvfrom(other, 100)
await loop.sock_sendto(other, data[::-1], address)
buffer = bytearray(100)
size, sender = await loop.sock_recvfrom_into(one, buffer)
found = [count, address == one.getsockname(), bytes(buffer[:size]).decode(), sender == other.getsockname()]
one.close()
other.close()
found
"""
    assert anywhere.run(OPENING + source) == [8, True, "noitseuq", True]


def test_a_writer_and_a_reader_are_called_until_they_are_removed(anywhere):
    source = """
one, other = socket.socketpair()
for each in (one, other):
    each.setblocking(False)
calls = []
done = loop.create_future()
def writable():
    calls.append("writable")
    if calls.count("writable") == 3:
        loop.remove_writer(one)
        one.send(b"xyz")
def readable():
    calls.append(other.recv(1).decode())  # what is left calls again
    if len(calls) == 6:
        done.set_result(loop.remove_reader(other))
loop.add_writer(one, writable)
loop.add_reader(other, readable)
removed = await asyncio.wait_for(done, 10)
again = loop.remove_reader(other)
one.close()
other.close()
[calls, removed, again]
"""
    assert anywhere.run(OPENING + source) == [["writable"] * 3 + ["x", "y", "z"], True, False]
