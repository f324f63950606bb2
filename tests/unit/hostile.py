"""Two ends of a session joined by carriers that do whatever a network may do. Pure; chance is given.

``tests/js/hostile.js`` is this file's twin.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from pynet_browser.frames import Connect, Data, Hello, Welcome
from pynet_browser.link import Link
from pynet_browser.wire import Message, MessageReader, data_header, encode_frame, encode_message, frames_of

FRAME_MAX = 2000
"""Longest data pushed at once."""

CARRIERS_MAX = 3
EXCHANGES_MAX = 3

LIMITS = (0, 1, 500, 5000, 10**9)
"""How many bytes of messages an exchange may take along, or bring."""


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
            self.take(message, now)
        else:
            self._greeted(message, carrier)

    def take(self, message: Message, now: float) -> None:
        """Take in a message that is no greeting."""
        self.link.acknowledge(message.ack)
        if message.number:
            for each in self.link.receive(message, now):
                frames = frames_of(each.body)
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


class Exchange:
    """A request and its answer, beside all carriers; either may be lost."""

    def __init__(self, client: End, proxy: End, takes: int, brings: int) -> None:
        self.client, self.proxy, self.brings = client, proxy, brings
        self.sender = client
        self.under_way = client.link.received, client.link.outstanding(takes)

    def arrive(self, now: float) -> bool:
        """The request arrives, or the answer; tells whether that was the end."""
        receiver = self.proxy if self.sender is self.client else self.client
        seen, messages = self.under_way
        receiver.link.acknowledge(seen)
        reader = MessageReader()
        for piece in messages:
            for message in reader.feed(bytes(piece)):
                receiver.take(message, now)
        return receiver is self.client

    def answer(self) -> None:
        """The proxy has heard the request, and answers."""
        self.sender = self.proxy
        self.under_way = self.proxy.link.received, self.proxy.link.outstanding(self.brings)


class HostileWorld:
    """A session on carriers that deliver late, in crumbs, twice, in any order, or not at all."""

    def __init__(self, chance: Random, replay_limit: int) -> None:
        self.chance = chance
        self.now = 0.0
        self.client, self.proxy = End(Link(replay_limit)), End(Link(replay_limit))
        self.ends = (self.client, self.proxy)
        self.client.link.peer_replay = self.proxy.link.peer_replay = replay_limit
        self.carriers: list[Carrier] = []
        self.exchanges: list[Exchange] = []
        """Those of which a request or an answer is under way."""
        self.held: list[Exchange] = []
        """Those that are to be answered."""
        self._bytes_made = 0

    def step(self) -> None:
        """One thing happens."""
        end = self.chance.choice(self.ends)
        self.now += self.chance.choice((0, 0.001, 0.05))
        happening = self.chance.randrange(115)
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
        elif happening < 100:
            self._notice(end)
        else:
            self._exchange()
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

    def _exchange(self) -> None:
        """An exchange begins, goes on, or is lost."""
        under_way = len(self.exchanges) + len(self.held)
        if not under_way or (under_way < EXCHANGES_MAX and self.chance.random() < 0.3):
            takes, brings = self.chance.choice(LIMITS), self.chance.choice(LIMITS)
            self.exchanges.append(Exchange(self.client, self.proxy, takes, brings))
        elif self.held and self.chance.random() < 0.5:
            exchange = self.held.pop(self.chance.randrange(len(self.held)))
            exchange.answer()
            self.exchanges.append(exchange)
        elif self.exchanges:
            exchange = self.exchanges.pop(self.chance.randrange(len(self.exchanges)))
            if self.chance.random() < 0.7 and not exchange.arrive(self.now):
                self.held.append(exchange)

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

    def settle_by_exchanges(self) -> None:
        """All carriers are lost, and the network behaves from now on, for exchanges alone."""
        for carrier in self.carriers:
            carrier.lose()
        for end in self.ends:
            self._notice(end)
        for _ in range(100):
            self.now += 0.1
            exchange = Exchange(self.client, self.proxy, 10**9, 10**9)
            exchange.arrive(self.now)
            exchange.answer()
            exchange.arrive(self.now)
        self.check()

    def settle(self) -> None:
        """All exchanges are lost, and the network behaves from now on: everything arrives."""
        self.exchanges, self.held = [], []
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
