"""HTTP requests that the proxy makes for pages: what it passes on, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from pynet_browser.frames import Failed, Frame, Goaway, Refused, Relay, Request, Response
from pynet_browser.proxy import relay
from pynet_browser.proxy.policy import Rule
from pynet_browser.wire import MESSAGE_HEADER, frames_of
from tests.peers import pattern
from tests.proxy.carrier import hello
from tests.proxy.exchanges import message
from tests.proxy.running import EVERY_LOOP, TOKEN, RunningProxy, running_proxy, until
from tests.web_site import WebSite

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

GREETING = message(hello(TOKEN), Relay(0))


@pytest.fixture(scope="module")
def site() -> Iterator[WebSite]:
    with WebSite(cors=False) as site:
        yield site


def asked(url: str, method: str = "GET", *headers: str, size: int = 0, timeout: int = 0) -> bytes:
    return message(Request(0, size, timeout, method, url, headers))


@asynccontextmanager
async def answered(
    proxy: RunningProxy, *parts: bytes, origin: str | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """What comes back for these bytes."""
    headers = {"Content-Type": "text/plain"} | ({"Origin": origin} if origin else {})
    url = proxy.url.replace("ws", "http", 1) + "/fetch"
    async with (
        aiohttp.ClientSession() as client,
        client.post(url, data=io.BytesIO(b"".join(parts)), headers=headers) as answer,
    ):
        yield answer


async def ask(proxy: RunningProxy, *parts: bytes, origin: str | None = None) -> tuple[int, Frame, bytes]:
    """Status, first frame, and what follows."""
    async with answered(proxy, *parts, origin=origin) as answer:
        body = await answer.read()
        size = MESSAGE_HEADER.size + MESSAGE_HEADER.unpack_from(body)[0]
        [frame] = frames_of(memoryview(body)[MESSAGE_HEADER.size : size])
        return answer.status, frame, body[size:]


def headers_of(frame: Frame) -> list[tuple[str, str]]:
    assert isinstance(frame, Response)
    return list(zip(frame.headers[::2], frame.headers[1::2], strict=True))


# ── What it passes on ─────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_request_and_its_answer_are_passed_on(proxy, site):
    body = pattern(3_000_000)
    headers = ["X-A", "b", "Cookie", "c=d", "Referer", "http://e/"]
    request = asked(f"{site.url}/echo?a=b", "POST", *headers, size=len(body))
    status, frame, content = await ask(proxy, GREETING, request, body)
    assert status == 200
    assert isinstance(frame, Response)
    assert (frame.status, frame.reason) == (200, "OK")
    echo = json.loads(content)
    assert (echo["method"], echo["path"], echo["size"]) == ("POST", "/echo?a=b", len(body))
    assert echo["sha256"] == hashlib.sha256(body).hexdigest()
    names = ("x-a", "cookie", "referer", "content-type", "user-agent")
    assert [echo["headers"].get(name) for name in names] == ["b", "c=d", "http://e/", None, None]


@every_loop
@pytest.mark.parametrize("path", ["large", "chunked", "until-close", "gzip"])
async def test_bodies_come_whole_and_decoded(proxy, site, path):
    _, _, content = await ask(proxy, GREETING, asked(f"{site.url}/{path}?bytes=1000001"))
    assert content == pattern(1_000_001)


async def test_headers_that_come_twice_stay_two_and_no_cookie_is_kept(proxy, site):
    _, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/cookies?set=a%3D1"))
    cookies = [value for name, value in headers_of(frame) if name == "Set-Cookie"]
    assert cookies == ["a=1; Path=/", "second=2; Path=/"]
    _, _, content = await ask(proxy, GREETING, asked(f"{site.url}/cookies"))
    assert content == b""


async def test_redirects_are_the_pages_to_follow(proxy, site):
    _, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/go/302?to=/echo"))
    assert isinstance(frame, Response)
    assert frame.status == 302
    assert ("Location", "/echo") in headers_of(frame)


async def test_headers_about_one_connection_are_made_anew(proxy, site):
    headers = [
        "Connection",
        "X-Secret",
        "Transfer-Encoding",
        "chunked",
        "Content-Length",
        "7",
        "Upgrade",
        "h2c",
    ]
    _, _, content = await ask(proxy, GREETING, asked(f"{site.url}/echo", "GET", *headers))
    echo = json.loads(content)
    assert not {"transfer-encoding", "upgrade", "content-length"} & set(echo["headers"])


@every_loop
async def test_an_answer_that_breaks_off_is_broken_off(proxy, site):
    for path in ("cut?bytes=1000000", "break"):
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(proxy, GREETING, asked(f"{site.url}/{path}"))


@every_loop
async def test_a_page_that_goes_away_ends_its_request(proxy, site):
    async with answered(proxy, GREETING, asked(f"{site.url}/drip?pieces=200&pause=0.05")) as answer:
        await answer.content.readany()
        assert proxy.relays.under_way == 1
        answer.close()
    await until(lambda: proxy.relays.under_way == 0)


# ── What it refuses ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_without_the_token_nothing_is_asked_for(proxy, site, token):
    site.requests.clear()
    greeting = message(hello(token), Relay(0))
    status, frame, _ = await ask(proxy, greeting, asked(f"{site.url}/"))
    assert status == 403
    assert isinstance(frame, Refused)
    assert frame.code == "token"
    assert site.requests == []


async def test_pages_of_other_origins_are_refused(proxy, site):
    status, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/"), origin="http://evil.example")
    assert status == 403
    assert isinstance(frame, Refused)
    assert frame.code == "origin"


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"nonsense that is no message at all"],
        [GREETING],
        [message(hello(TOKEN)), asked("http://127.0.0.1/")],
        [GREETING, message(Goaway(0, "", ""))],
        [GREETING, asked("http://127.0.0.1/")[:-3]],
        [message(hello(TOKEN), Relay(0), number=1), asked("http://127.0.0.1/")],
    ],
)
async def test_what_is_no_request_is_refused(proxy, parts):
    async with answered(proxy, *parts) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254/", "EACCES"),
        ("http://[fd00:ec2::254]/", "EACCES"),
        ("http://[::ffff:169.254.169.254]/", "EACCES"),
        ("http://0xa9.254.169.254/", "EACCES"),
        ("http://2852039166/", "EINVAL"),  # no canonical address: browsers make one of it before they ask
        ("http://no-such-name.invalid/", "EAI_NONAME"),
        ("http://127.0.0.1:9/", "ECONNREFUSED"),
        ("ftp://127.0.0.1/", "EINVAL"),
        ("http://", "EINVAL"),
        ("http://127.0.0.1:99999/", "EINVAL"),
    ],
)
async def test_what_cannot_be_reached_is_said(proxy, url, code):
    status, frame, _ = await ask(proxy, GREETING, asked(url))
    assert status == 200
    assert isinstance(frame, Failed)
    assert frame.code == code
    assert frame.message


async def test_the_policy_holds_for_names_and_addresses(site):
    async with running_proxy(deny=(Rule.parse("127.0.0.0/8:*"),)) as proxy:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433"):
            _, frame, _ = await ask(proxy, GREETING, asked(f"http://{host}:{site.port}/"))
            assert isinstance(frame, Failed), host
            assert frame.code in ("EACCES", "EINVAL"), host


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GE T", ()), ("GET", ("a b", "c")), ("GET", ("a", "b\r\nc: d")), ("GET", ("odd",)), ("A\r\nB: c", ())],
)
async def test_what_would_break_the_request_is_refused(proxy, site, method, headers):
    site.requests.clear()
    _, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/echo", method, *headers))
    assert isinstance(frame, Failed)
    assert frame.code == "EINVAL"
    assert site.requests == []


@every_loop
async def test_a_server_that_says_nothing_is_given_up(proxy, site):
    _, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/stall", timeout=300))
    assert isinstance(frame, Failed)
    assert frame.code == "ETIMEDOUT"


async def test_a_body_that_is_shorter_than_announced_is_no_request(proxy, site):
    site.requests.clear()
    _, frame, _ = await ask(proxy, GREETING, asked(f"{site.url}/echo", "POST", size=10), b"short")
    assert isinstance(frame, Failed)


async def test_so_many_at_once_and_no_more(proxy, site, monkeypatch):
    monkeypatch.setattr(relay, "AT_ONCE_MAX", 2)
    slow = asked(f"{site.url}/drip?pieces=200&pause=0.05")
    async with answered(proxy, GREETING, slow) as one, answered(proxy, GREETING, slow) as other:
        for answer in (one, other):
            assert answer.status == 200
        for _, frame, _ in await asyncio.gather(*(ask(proxy, GREETING, slow) for _ in range(2))):
            assert isinstance(frame, Refused)
        assert proxy.relays.under_way == 2
    await until(lambda: proxy.relays.under_way == 0)
