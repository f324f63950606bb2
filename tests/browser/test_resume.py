"""A cut between page and proxy is no more than a delay: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.browser.exchange import SELECTING, WAITING, digests
from tests.cuts import HANDSHAKE, Cut, Way
from tests.http_only import HttpOnly
from tests.peers import Exchange
from tests.relay import Relay

pytestmark = pytest.mark.timeout(240)

MIB = 1 << 20
SOCKETS = 20
TOTAL = 64 * MIB // SOCKETS & ~3
"""Bytes of each socket in each direction."""

REPLAY = 16 * MIB
"""What a link keeps until it is acknowledged (docs/protocol.md, "Sizes and times")."""

RATE = 10_000_000
"""Bytes per second: on loopback alone megabytes would be under way whenever a carrier is cut."""

HASTE = "import js; js.eval('{ const random = Math.random; Math.random = () => random() / 5; }'); None"
"""Has a page wait a fifth of the time before it comes back (js/attempts.js): cuts are what is tested."""

TIMEOUT = 220
"""Seconds that an exchange may take."""

HANDSHAKES = 0.1
"""The share of carriers that are cut before they carry a session."""


def random_cuts(
    seed: int, count: int, mean: int, ways: Sequence[Way | None] = ("up", "down")
) -> Iterator[Cut]:
    """Cuts after ``mean`` bytes in either direction, on average, and some during the handshake."""
    chance = random.Random(seed)
    for _ in range(count):
        if chance.random() < HANDSHAKES:
            cut = chance.choice(list(HANDSHAKE.values()))
        else:
            size = int(chance.expovariate(1 / mean))
            cut = Cut(after=size, way=chance.choice(ways), behind_head=True)
        yield replace(cut, gently=chance.random() < 0.5)


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    """A proxy that pages reach through relays."""
    return start_proxy("--origin", proxy.url)


@pytest.fixture
def exchange(open_python, behind):
    """``exchange(program, relay, ahead=…)`` runs it in a page behind the relay; also tells the carrier."""
    pages = []

    def run(program, relay, *, ahead, total=TOTAL, entry="async"):
        page = open_python(install=False)
        pages.append(page)
        page.run(HASTE)
        page.run(
            "import pynet_browser; await pynet_browser.install(url, token=token); None",
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
        )
        with Exchange(total, ahead) as peer:
            names = {"peer": peer.address, "sockets": SOCKETS, "size": total, "ahead": ahead}
            result = page.run(program, entry=entry, timeout=TIMEOUT, **names)
            assert peer.accepted == SOCKETS
        return result, page.run("import pynet_browser; pynet_browser.status().carrier")

    yield run
    for page in pages:
        page.close()


def test_a_thousand_cuts_lose_and_repeat_nothing(exchange, behind):
    # So little is under way at once that the transfer lasts for all of them. As elsewhere a few are to spare:
    # what the page itself lets go of is not cut.
    cuts = random_cuts(1, 1020, mean=40_000)
    with Relay(behind.address, cuts, rate=RATE) as relay:
        result, _ = exchange(WAITING, relay, ahead=16 * 1024)
    assert result["digests"] == digests(SOCKETS, TOTAL)
    assert relay.cuts >= 1000


def test_what_waits_for_the_next_carrier_stays_within_its_bound(exchange, behind):
    cuts = random_cuts(2, 105, mean=200_000)
    with Relay(behind.address, cuts, rate=2 * RATE) as relay:
        result, _ = exchange(WAITING, relay, ahead=TOTAL, total=TOTAL // 2 & ~3)
    assert result["digests"] == digests(SOCKETS, TOTAL // 2 & ~3)
    assert relay.cuts >= 100
    # The windows have opened, and one message may go beyond.
    assert 4 * MIB < result["held"] <= REPLAY + MIB


def test_cuts_lose_and_repeat_nothing_where_only_http_gets_through(exchange, behind):
    # One connection brings most of what comes down, another takes most of what goes up; an answer comes whole
    # or not at all.
    cuts = random_cuts(3, 105, mean=110_000, ways=[None])
    with HttpOnly(behind.address) as network, Relay(network.address, cuts, rate=RATE) as relay:
        result, carrier = exchange(WAITING, relay, ahead=4 * 1024, total=TOTAL // 8 & ~3)
    assert result["digests"] == digests(SOCKETS, TOTAL // 8 & ~3)
    assert carrier == "HTTP"
    assert relay.cuts >= 50  # where one connection is cut the page lets go of the other


def test_cuts_lose_and_repeat_nothing_where_python_waits_by_synchronous_requests(exchange, behind):
    # An exchange comes whole or not at all.
    cuts = random_cuts(4, 52, mean=65_000)
    with Relay(behind.address, cuts, rate=RATE) as relay:
        result, _ = exchange(SELECTING, relay, ahead=4 * 1024, total=TOTAL // 16 & ~3, entry="sync")
    assert result["digests"] == digests(SOCKETS, TOTAL // 16 & ~3)
    assert relay.cuts >= 50
