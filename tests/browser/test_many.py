"""Many sockets in one page, and one that stands in nobody's way."""

from __future__ import annotations

import pytest

from tests.peers import Echo, Source


def test_two_hundred_sockets_are_open_at_once(python, echo_server):
    source = """
import select, socket
sockets = [socket.create_connection((host, port), 20) for _ in range(200)]
for index, each in enumerate(sockets):
    each.sendall(f"socket {index}".encode())
answers = {}
while len(answers) < 200:
    for each in select.select([s for s in sockets if s not in answers], [], [], 20)[0]:
        answers[each] = each.recv(100).decode()
right = all(answers[each] == f"socket {index}" for index, each in enumerate(sockets))
ports = len({each.getsockname()[1] for each in sockets})
for each in sockets:
    each.close()
[right, ports]
"""
    assert python.run(source, host=echo_server.host, port=echo_server.port, timeout=60) == [True, 200]
    assert echo_server.accepted == 200


def test_descriptors_and_names_of_closed_sockets_are_used_again(python, echo_server):
    source = """
import pynet_browser, socket
from pyodide_js import _module as module
def live(): return sum(1 for node in module.FS.nameTable if node)
before, numbers = live(), set()
for _ in range(50):
    with socket.create_connection((host, port), 10) as connection:
        numbers.add(connection.fileno())
[len(numbers), live() - before, len(pynet_browser.status().sockets)]
"""
    assert python.run(source, host=echo_server.host, port=echo_server.port) == [1, 0, 0]


def test_a_socket_nobody_reads_does_not_slow_another(python):
    source = """
import socket
unread = [socket.create_connection(large, 10) for _ in range(5)]
with socket.create_connection(echo, 10) as lively:
    for number in range(50):
        lively.sendall(b"x" * 10_000)
        data = b""
        while len(data) < 10_000:
            data += lively.recv(65536)
import pynet_browser
held = max(each.queued for each in pynet_browser.status().sockets)
# What was left unread is all there, once somebody reads.
count = 0
while piece := unread[0].recv(1 << 20):
    count += len(piece)
for each in unread:
    each.close()
[held, count]
"""
    with Source(20_000_000) as large, Echo() as echo:
        held, count = python.run(source, large=large.address, echo=echo.address, timeout=60)
    assert count == 20_000_000
    assert held <= 1 << 18  # the first window, which nobody's reading has opened further


def test_tasks_that_wait_in_sockets_do_not_disturb_each_other(python, echo_server):
    # Each suspended call has lent its C stack to the others; what they wait for must reach the right one.
    source = """
import asyncio, select, socket
async def talk(number):
    await asyncio.sleep(0)
    with socket.create_connection((host, port), 20) as connection:
        for turn in range(20):
            message = f"{number}:{turn};".encode() * 50
            connection.sendall(message)
            answer = bytearray()
            while len(answer) < len(message):
                if turn % 2:
                    poller = select.poll()
                    poller.register(connection, select.POLLIN)
                    assert poller.poll(20_000)[0][0] == connection.fileno()
                answer += connection.recv(4096)
            assert bytes(answer) == message
            await asyncio.sleep(0.001)
    return number
sorted(await asyncio.gather(*(talk(number) for number in range(25)))) == list(range(25))
"""
    assert python.run(source, host=echo_server.host, port=echo_server.port, timeout=60) is True


MIXED = """
import random, select, socket

class Kind:
    # What makes one socket of a kind ready, and what takes that back.
    def __init__(self, watched, wake, take):
        self.watched, self.wake, self.take = watched, wake, take

def stream():
    one = socket.create_connection(echo, 20)
    return Kind(one, lambda: one.sendall(b"!"), lambda: one.recv(10) == b"!")

def listener():
    one = socket.create_server(("127.0.0.1", 0))
    visitors = []
    def take():
        with visitors.pop() as visitor, one.accept()[0] as visited:
            return visited.getpeername() == visitor.getsockname()
    return Kind(one, lambda: visitors.append(socket.create_connection(one.getsockname(), 20)), take)

def datagram():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    address = one.getsockname()
    return Kind(one, lambda: one.sendto(b"?", address), lambda: one.recvfrom(10) == (b"?", address))

def pair():
    one, other = socket.socketpair()
    others.append(other)
    return Kind(one, lambda: other.send(b"."), lambda: one.recv(10) == b".")

others = []
kinds = {}
for make in (stream, listener, datagram, pair):
    for _ in range(125):
        kind = make()
        kinds[kind.watched] = kind
order = list(kinds)
random.Random(500).shuffle(order)
wrong = []
for turn, one in enumerate(order):
    kinds[one].wake()
    ready = select.select(list(kinds), [], [], 20)
    if ready != ([one], [], []) or not kinds[one].take():
        wrong.append(turn)
quiet = select.select(list(kinds), [], [], 0)
together = order[::7]
for one in together:
    kinds[one].wake()
seen = set()
while len(seen) < len(together):
    fresh = [one for one in select.select(list(kinds), [], [], 20)[0] if one not in seen]
    for one in fresh:
        seen.add(one)
        wrong.extend([] if kinds[one].take() else [one.fileno()])
for one in [*kinds, *others]:
    one.close()
[len(kinds), wrong, [len(each) for each in quiet], seen == set(together)]
"""


def test_five_hundred_sockets_of_every_kind_are_told_apart(anywhere):
    with Echo() as echo:
        result = anywhere.run(MIXED, echo=echo.address, timeout=90)
    assert result == [500, [], [0, 0, 0], True]


@pytest.mark.parametrize("call", ["of a socket", "of another kind"])
def test_garbage_is_collected_while_calls_wait_at_every_depth(python, call):
    """Each level has a frame on the C stack, where others write while it is suspended."""
    source = """
import asyncio, gc, socket
from pynet_browser.runtime import wait_for

def nested(depth, then):
    if depth == 0:
        return then()
    class Through:
        def __getattr__(self, name):
            return nested(depth - 1, then)
    return getattr(Through(), "x")

class Ring:
    def __init__(self):
        self.me = self

async def waiting(depth, turns):
    left, right = socket.socketpair()
    async def answer():
        for _ in range(turns):
            rings = [Ring() for _ in range(50)]
            await asyncio.sleep(0.002)
        right.send(b"x")
    task = asyncio.create_task(answer())
    await asyncio.sleep(0)
    if call == "of a socket":
        got = nested(depth, lambda: left.recv(1))
    else:
        nested(depth, lambda: wait_for(task))
        got = left.recv(1)
    nested(45 - depth, lambda: [Ring() for _ in range(200)])
    await task
    left.close()
    right.close()
    return got

thresholds = gc.get_threshold()
gc.set_threshold(20)
try:
    got = await asyncio.gather(*(waiting(1 + n * 7 % 40, 1 + n * 11 % 23) for n in range(60)))
finally:
    gc.set_threshold(*thresholds)
got.count(b"x")
"""
    assert python.run(source, call=call) == 60
