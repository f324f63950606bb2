from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from pynet_browser.fields import Address
from pynet_browser.frames import Failed, Resolve, Resolved
from pynet_browser.proxy.config import Limits
from tests.proxy.carrier import Carrier, hello
from tests.proxy.client import FailedError, SessionOverError
from tests.proxy.running import TOKEN, listening, running_proxy, until


async def code_of(request) -> str:
    with pytest.raises(FailedError) as caught:
        await request
    return caught.value.code


@pytest.fixture
def name_server(monkeypatch):
    """Names under .slow are answered when the event is set."""
    answering = threading.Event()
    ask = socket.getaddrinfo

    def answer(*question):
        if not str(question[0]).endswith(".slow"):
            return ask(*question)
        answering.wait()
        return ask("127.0.0.1", question[1], question[2], socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    yield answering
    answering.set()


async def test_a_name_has_addresses_and_a_service_a_port(page):
    answer = await page.resolve("localhost", "http", 4)
    assert (answer.port, answer.addresses) == (80, (Address(4, "127.0.0.1", 80),))
    assert answer.canonical == "localhost"


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", Address(4, "127.0.0.1", 25)), ("::1", Address(6, "::1", 25))]
)
async def test_an_address_is_its_own_address_and_a_number_its_own_port(page, host, address):
    assert (await page.resolve(host, "25")).addresses == (address,)


async def test_a_service_may_be_asked_for_alone(page):
    answer = await page.resolve("", "https")
    assert (answer.port, answer.addresses) == (443, ())


async def test_a_name_may_be_asked_for_alone(page):
    assert {each.port for each in (await page.resolve("localhost")).addresses} == {0}


async def test_what_is_not_known_fails_by_name(page):
    assert await code_of(page.resolve("no-such-name.invalid")) == "EAI_NONAME"
    assert await code_of(page.resolve("no such name")) == "EAI_NONAME"
    assert await code_of(page.resolve("localhost", "no-such-service")) == "EAI_SERVICE"
    assert await code_of(page.resolve("localhost", "http", family=5)) == "EAFNOSUPPORT"


async def test_an_address_has_a_name_and_a_port_a_service(page):
    answer = await page.reverse(Address(4, "127.0.0.1", 80))
    assert (answer.host, answer.service) == (socket.getnameinfo(("127.0.0.1", 0), 0)[0], "http")


async def test_what_has_no_name_is_empty(page):
    assert (await page.reverse(Address(4, "127.0.0.1", 2))).service == ""


async def test_a_text_that_is_no_address_has_no_name(page):
    assert await code_of(page.reverse(Address(4, "localhost", 80))) == "EAI_NONAME"


async def test_a_quick_answer_does_not_wait_for_a_slow_one(page, name_server):
    slow = asyncio.create_task(page.resolve("one.slow"))
    assert (await page.resolve("localhost", "", 4)).addresses
    assert not slow.done()
    name_server.set()
    assert (await slow).addresses == (Address(4, "127.0.0.1", 0),)


async def test_only_so_many_names_are_looked_up_at_once(page, proxy, name_server):
    most = proxy.sessions.config.limits.resolves_per_session
    waiting = [asyncio.create_task(page.resolve(f"{number}.slow")) for number in range(most)]
    await asyncio.sleep(0)  # let them ask first
    assert await code_of(page.resolve("localhost")) == "EAI_AGAIN"
    name_server.set()
    await asyncio.gather(*waiting)
    assert (await page.resolve("localhost")).addresses


async def test_two_requests_of_one_id_are_both_answered(proxy):
    carrier = await Carrier.open(proxy.url)
    await carrier.greet(hello(TOKEN))
    await carrier.send(Resolve(7, 0, "127.0.0.1", ""), Resolve(7, 0, "no name", ""), number=1)
    answers: list[object] = []
    while len(answers) < 2:
        answers += [type(frame) for _, frame in await carrier.receive()]
    assert set(answers) == {Resolved, Failed}
    await carrier.socket.close()


async def test_a_session_that_ends_asks_no_longer(page, name_server):
    tasks = asyncio.all_tasks()
    asking = asyncio.create_task(page.resolve("one.slow"))
    await until(lambda: len(asyncio.all_tasks() - tasks) == 2)  # the page's, and the proxy's
    await page.close()
    with pytest.raises(SessionOverError):
        await asking
    await until(lambda: asyncio.all_tasks() <= tasks)


# ── About one socket ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def listening_page():
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        yield page


async def test_requests_about_one_socket_are_answered_in_turn(listening_page, name_server):
    page, slow, quick = listening_page, listening_page.stream(), listening_page.stream()
    binding = asyncio.create_task(slow.bind("here.slow"))
    setting = asyncio.create_task(page.set_option(slow, "IP_TTL", 9))
    listening = asyncio.create_task(slow.listen())
    answered: list[object] = []
    for task in (binding, setting, listening):
        task.add_done_callback(answered.append)
    local = await quick.bind("127.0.0.1")
    assert await quick.listen() == local
    assert answered == []
    name_server.set()
    local = await listening
    assert local.host == "127.0.0.1"
    assert await binding == local
    assert answered == [binding, setting, listening]


async def test_a_request_whose_turn_comes_after_its_sockets_end_fails(listening_page, name_server):
    socket = listening_page.stream()
    waiting = [
        asyncio.create_task(code_of(request)) for request in (socket.bind("here.slow"), socket.listen())
    ]
    await asyncio.sleep(0)  # let them ask first
    socket.close()
    name_server.set()
    assert await asyncio.gather(*waiting) == ["EBADF", "EBADF"]


async def test_a_socket_that_connects_before_its_bind_was_answered_is_bound_no_more(
    listening_page, name_server, echo_server
):
    opened = listening_page.stream()
    binding = asyncio.create_task(code_of(opened.bind("here.slow")))
    await asyncio.sleep(0)
    socket = listening_page.connect_opened(opened, *echo_server.address)
    await socket.connected()
    name_server.set()
    assert await binding == "EINVAL"
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"


async def test_only_so_many_requests_about_sockets_wait_at_once(name_server):
    async with running_proxy(Limits(resolves_per_session=3)) as proxy, proxy.page() as page:
        socket, other = page.datagrams(), page.datagrams()
        waiting = [asyncio.create_task(socket.associate("here.slow", 9)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await code_of(page.set_option(socket, "IP_TTL", 9)) == "EAGAIN"
        assert await code_of(page.resolve("localhost")) == "EAI_AGAIN"
        await page.set_option(other, "IP_TTL", 9)
        name_server.set()
        for association in waiting:
            assert (await association).peer == Address(4, "127.0.0.1", 9)
        await page.set_option(socket, "IP_TTL", 9)


async def test_a_page_that_leaves_gives_up_what_it_has_asked_of_its_sockets(name_server):
    async with running_proxy() as proxy:
        async with proxy.page() as page:
            asking = asyncio.create_task(page.datagrams().associate("here.slow", 9))
            await until(lambda: proxy.sessions.sockets == 1)
        with pytest.raises(SessionOverError):
            await asking
