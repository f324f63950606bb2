"""Two ends of a session joined by carriers that do whatever a network may do. Pure; chance is given.

``tests/js/hostile.js`` is this file's twin.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from pynet_browser.link import Link
from pynet_browser.wire import (
    Connect,
    Data,
    Hello,
    Message,
    MessageReader,
    Welcome,
    data_header,
    encode_frame,
    encode_message,
    frames_of,
)

FRAME_MAX = 2000
"""Longest data pushed at once."""

CARRIERS_MAX = 3


class Pipe:
    """One direction of a carrier: bytes under way, and the reader at their end."""

    def __init__(self, carrier: Carrier, receiver: End) -> None:
        self.carrier = carrier
        self.receiver = receiver
        self.under_way = bytearray()
        self.reader = MessageReader()

    def send(self, messages: Iterable[bytes]) -> None:
        """Bytes written to a carrier that is cut are gone; its owner may not know yet."""
        for message in messages:
            if not self.carrier.cut:
                self.under_way += message

    def deliver(self, size: int, now: float) -> None:
        """The next ``size`` bytes arrive."""
        piece, self.under_way = bytes(self.under_way[:size]), self.under_way[size:]
        for message in self.reader.feed(piece):
            self.receiver.receive(message, self.carrier, now)


class Carrier:
    """Two pipes that live and die together."""

    def __init__(self, client: End, proxy: End) -> None:
        self.cut = False
        self.to = {client: Pipe(self, client), proxy: Pipe(self, proxy)}

    def pipe_from(self, sender: End) -> Pipe:
        """Where ``sender`` writes."""
        return next(pipe for end, pipe in self.to.items() if end is not sender)

    def lose(self) -> None:
        """What is under way never arrives, not even the rest of a message that began to."""
        self.cut = True
        for pipe in self.to.values():
            pipe.under_way.clear()


class End:
    """What a page or a proxy does around a link, and no more."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.carriers: list[Carrier] = []
        """Those that are greeted, as far as this end knows."""
        self.pushed: list[bytes] = []
        self.delivered: list[bytes] = []

    def push(self, data: bytes) -> None:
        """Queue data, and now and then another frame, as far as there is room."""
        if self.link.room > 0:
            self.link.push(data_header(1, len(data)), data)
            if len(data) % 7 == 0:
                self.link.push(encode_frame(Connect(1, 4, 80, 0, "host.example")))
            self.pushed.append(data)

    def flush(self, carrier: Carrier, now: float) -> list[bytes]:
        """Send what is to be sent; returns it."""
        messages = list(self.link.take(now))
        carrier.pipe_from(self).send(messages)
        return messages

    def receive(self, message: Message, carrier: Carrier, now: float) -> None:
        """Take in a message: a greeting if the carrier is new here."""
        if carrier in self.carriers:
            self.link.acknowledge(message.ack)
            if message.number:
                for each in self.link.receive(message, now):
                    self._deliver(each)
        else:
            self._greeted(message, carrier)

    def _deliver(self, message: Message) -> None:
        frames = frames_of(message.body)
        self.delivered += [bytes(frame.data) for frame in frames if isinstance(frame, Data)]

    def _greeted(self, message: Message, carrier: Carrier) -> None:
        (greeting,) = frames_of(message.body)
        pipe = carrier.pipe_from(self)
        if isinstance(greeting, Hello):
            pipe.send([self._welcome()])
        else:
            assert isinstance(greeting, Welcome)
        self.carriers.append(carrier)
        pipe.send(self.link.replay(greeting.seen))

    def hello(self, carrier: Carrier) -> None:
        """Greet on a new carrier."""
        greeting = Hello(0, 1, "token", "s", "k", self.link.received, 0, 0, (), "")
        carrier.pipe_from(self).send([encode_message(0, 0, [encode_frame(greeting)])])

    def _welcome(self) -> bytes:
        greeting = Welcome(0, 1, "s", "k", self.link.received, 0, 0, 0, 0, (), "")
        return encode_message(0, 0, [encode_frame(greeting)])

    def notice_loss(self, carrier: Carrier) -> None:
        """A carrier is gone: what it may have taken with it goes out on another."""
        if carrier in self.carriers:
            self.carriers.remove(carrier)
            if self.carriers:
                self.carriers[-1].pipe_from(self).send(self.link.replay())


class HostileWorld:
    """A session on carriers that deliver late, in crumbs, twice, in any order, or not at all."""

    def __init__(self, chance: Random, replay_limit: int) -> None:
        self.chance = chance
        self.now = 0.0
        self.client, self.proxy = End(Link(replay_limit)), End(Link(replay_limit))
        self.ends = (self.client, self.proxy)
        self.client.link.peer_replay = self.proxy.link.peer_replay = replay_limit
        self.carriers: list[Carrier] = []
        self._bytes_made = 0

    def step(self) -> None:
        """One thing happens."""
        end = self.chance.choice(self.ends)
        self.now += self.chance.choice((0, 0.001, 0.05))
        happening = self.chance.randrange(100)
        if happening < 30:
            end.push(self._data())
        elif happening < 55:
            self._flush(end)
        elif happening < 92:
            self._deliver(crumbs=happening < 70)
        elif happening < 95:
            self._attach()
        elif happening < 97:
            self._cut()
        else:
            self._notice(end)
        self.check()

    def _data(self) -> bytes:
        """Bytes that tell where they belong."""
        size = self.chance.choice((0, 1, 10, 100, FRAME_MAX))
        start = self._bytes_made
        self._bytes_made += size
        return bytes(at * 31 % 251 for at in range(start, start + size))

    def _flush(self, end: End) -> None:
        if end.carriers:
            carrier = self.chance.choice(end.carriers)
            messages = end.flush(carrier, self.now)
            if self.chance.random() < 0.2:
                self.chance.choice(end.carriers).pipe_from(end).send(messages)

    def _deliver(self, *, crumbs: bool) -> None:
        pipes = [pipe for carrier in self.carriers for pipe in carrier.to.values() if pipe.under_way]
        if pipes:
            pipe = self.chance.choice(pipes)
            pipe.deliver(self.chance.randint(1, 9) if crumbs else len(pipe.under_way), self.now)

    def _attach(self) -> None:
        if sum(not carrier.cut for carrier in self.carriers) < CARRIERS_MAX:
            self.carriers.append(Carrier(self.client, self.proxy))
            self.client.hello(self.carriers[-1])

    def _cut(self) -> None:
        """A carrier goes, more often than not in the middle of a message."""
        alive = [carrier for carrier in self.carriers if not carrier.cut]
        if alive:
            carrier = self.chance.choice(alive)
            for pipe in carrier.to.values():
                pipe.deliver(self.chance.randint(0, len(pipe.under_way)), self.now)
            carrier.lose()

    def _notice(self, end: End) -> None:
        for carrier in self.carriers:
            if carrier.cut:
                end.notice_loss(carrier)

    def check(self) -> None:
        """What must hold at every moment."""
        for end, peer in (self.ends, reversed(self.ends)):
            assert end.delivered == peer.pushed[: len(end.delivered)]
            kept = end.link.replay_limit - end.link.room
            assert kept <= end.link.replay_limit + FRAME_MAX + 200
            assert end.link.buffered - kept <= end.link.peer_replay + FRAME_MAX + 200

    def settle(self) -> None:
        """The network behaves from now on: everything arrives."""
        for end in self.ends:
            self._notice(end)
        self.carriers = [carrier for carrier in self.carriers if not carrier.cut]
        self.carriers.append(Carrier(self.client, self.proxy))
        self.client.hello(self.carriers[-1])
        for _ in range(100):
            for carrier in self.carriers:
                for pipe in carrier.to.values():
                    pipe.deliver(len(pipe.under_way), self.now)
            self.now += 0.1
            for end in self.ends:
                if end.carriers:
                    end.flush(end.carriers[-1], self.now)
            if not any(pipe.under_way for carrier in self.carriers for pipe in carrier.to.values()):
                break
        self.check()
