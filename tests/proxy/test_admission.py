from __future__ import annotations

import logging
from typing import Any

import pytest

from pynet_browser.proxy.compat.admission import offers_of
from pynet_browser.proxy.config import Limits
from tests.proxy.foreign import ENCODED_TOKEN, connect, handshake, refusal
from tests.proxy.running import TOKEN, running_proxy


@pytest.fixture
def paths(echo_server):
    """Where each kind of client connects, without its token."""
    return [f"/websockify/{echo_server.host}/{echo_server.port}", *ENDPOINTS]


ENDPOINTS = ["/wisp/", "/posix", "/signal/room"]


@pytest.mark.parametrize(
    ("headers", "protocols", "token"),
    [
        ([], (), None),
        (["binary"], ("binary",), None),
        (["base64, binary"], ("base64", "binary"), None),
        ([" a ,b,  c"], ("a", "b", "c"), None),
        (["a", "b, token.x%20%2Fy"], ("a", "b"), "x /y"),
        (["token.a, token.b"], (), "a"),
        (["", " , ,a"], ("a",), None),
        (["a b, c\x80"], (), None),
        (["token."], (), ""),
    ],
)
def test_offers_are_read_with_blanks_wherever_they_are(headers, protocols, token):
    offers = offers_of(headers)
    assert (offers.protocols, offers.token) == (protocols, token)


@pytest.mark.parametrize(
    ("header", "preferred", "chosen"),
    [
        ("", "binary", ()),
        ("base64, binary", "binary", ("binary",)),
        ("chat, more", "binary", ("chat",)),
        ("chat, more", "", ("chat",)),
        ("token.x, binary", "binary", ("binary",)),
        ("token.x, chat", "binary", ("chat",)),
        ("token.x", "binary", ("token.x",)),
    ],
)
def test_an_offer_is_always_met_and_the_token_repeated_only_where_nothing_else_is_offered(
    header, preferred, chosen
):
    assert offers_of([header]).choose(preferred) == chosen


async def test_the_token_comes_in_the_query_or_as_a_subprotocol(proxy, paths):
    for path in paths:
        async with connect(proxy, f"{path}?token={ENCODED_TOKEN}") as socket:
            assert socket.subprotocol is None
        async with connect(proxy, path, [f"token.{ENCODED_TOKEN}", "binary"]) as socket:
            assert socket.subprotocol == "binary"
        async with connect(proxy, path, [f"token.{ENCODED_TOKEN}"]) as socket:
            assert socket.subprotocol == f"token.{ENCODED_TOKEN}"


async def test_without_the_token_nobody_is_let_in(proxy, paths):
    for path in paths:
        assert (await refusal(proxy, path))[0] == 403
        status, text = await refusal(proxy, f"{path}?token=wrong")
        assert (status, text[:32]) == (403, "the token is not this proxy's; i")
        assert (await refusal(proxy, path, ["binary", "token.wrong"]))[0] == 403
        # A wrong one is not made good by a right one somewhere else.
        assert (await refusal(proxy, f"{path}?token={ENCODED_TOKEN}", ["token.wrong"]))[0] == 403


async def test_a_proxy_without_a_token_wants_an_origin(paths):
    async with running_proxy(token=None, origins=("https://a.example",)) as proxy:
        for path in paths:
            assert (await refusal(proxy, path))[0] == 403
            async with connect(proxy, path, origin="https://a.example"):
                pass


async def test_pages_of_other_origins_are_refused_whatever_they_know(proxy, paths):
    for path in paths:
        status, text = await refusal(proxy, f"{path}?token={ENCODED_TOKEN}", origin="https://evil.example")
        assert (status, text) == (
            403,
            "the proxy refuses pages from https://evil.example; start it with --origin https://evil.example",
        )
        async with connect(proxy, f"{path}?token={ENCODED_TOKEN}", origin=proxy.base.replace("ws", "http")):
            pass


async def test_names_that_were_rebound_are_refused(proxy, paths):
    for path in paths:
        status, _ = await handshake(proxy, f"{path}?token={ENCODED_TOKEN}", Host="evil.example")
        assert status == 421


async def test_foreign_clients_count_among_sessions(paths):
    async with running_proxy(Limits(sessions=1)) as proxy:
        for path in paths:
            if path.startswith("/signal"):  # it has limits of its own
                continue
            async with connect(proxy, f"{path}?token={ENCODED_TOKEN}"):
                status, text = await refusal(proxy, f"{path}?token={ENCODED_TOKEN}")
                assert (status, text) == (
                    503,
                    "the proxy has 1 sessions, the most it allows (limits.sessions)",
                )


async def test_a_proxy_that_stops_takes_nobody_and_says_so_to_those_it_has(paths):
    async with running_proxy() as proxy:
        for path in paths:
            async with connect(proxy, f"{path}?token={ENCODED_TOKEN}") as socket:
                await proxy.end_all()
                await socket.wait_closed()
                assert (socket.close_code, socket.close_reason) == (1001, "the proxy was stopped")
        proxy.sessions.drain()
        for path in paths:
            assert (await refusal(proxy, f"{path}?token={ENCODED_TOKEN}"))[0] == 503


async def test_the_token_is_in_no_log(proxy, paths, caplog):
    caplog.set_level(logging.DEBUG)
    for path in paths:
        async with connect(proxy, f"{path}?token={ENCODED_TOKEN}", ["binary"]):
            pass
        async with connect(proxy, path, [f"token.{ENCODED_TOKEN}"]):
            pass
    for path in [f"/websockify/{ENCODED_TOKEN}", f"/nowhere/{ENCODED_TOKEN}/"]:
        assert (await refusal(proxy, path))[0] == 404
    ours = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("pynet_browser", "aiohttp"))
    ]
    assert len(ours) > 10
    for line in ours:
        assert TOKEN not in line
        assert ENCODED_TOKEN not in line


@pytest.mark.parametrize("name", ["websockify", "wisp", "posix", "signal"])
async def test_each_kind_can_be_switched_off(paths, name):
    switched_off: dict[str, Any] = {name: False}
    async with running_proxy(**switched_off) as proxy:
        for path in paths:
            if path.startswith(f"/{name}"):
                assert (await refusal(proxy, f"{path}?token={ENCODED_TOKEN}"))[0] == 404
            else:
                async with connect(proxy, f"{path}?token={ENCODED_TOKEN}"):
                    pass
