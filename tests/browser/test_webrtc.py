"""Data channels between two pages of a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.driven import DrivenBrowser
from tests.page_python import PagePython
from tests.servers import ROOT, ProxyProcess
from tests.webrtc_peer import echo_one


@pytest.fixture(scope="module")
def ada(open_python: Callable[..., PagePython]) -> PagePython:
    """Nothing is installed: the strings are carried by the test."""
    return open_python(install=False)


@pytest.fixture(scope="module")
def bob(open_python: Callable[..., PagePython]) -> PagePython:
    return open_python(install=False)


OFFER = """
    import builtins
    from pynet_browser.webrtc import PeerConnection
    builtins.connection = PeerConnection()
    builtins.channel = connection.create_data_channel("talk", **options)
    await connection.create_offer()
"""
ANSWER = """
    import builtins
    from pynet_browser.webrtc import PeerConnection
    builtins.connection = PeerConnection(**options)
    await connection.accept(offer)
"""
TAKE = "import builtins; builtins.channel = await connection.channel(timeout=10); channel.label"


def meet(ada: PagePython, bob: PagePython, made: dict[str, Any] | None = None, **taken: Any) -> None:
    """Give both pages a `connection` and a `channel`."""
    offer = ada.run(OFFER, options=made or {})
    answer = bob.run(ANSWER, offer=offer, options=taken)
    ada.run("await connection.set_remote_description(answer)", answer=answer)
    assert bob.run(TAKE) == "talk"


def test_text_and_bytes_of_every_size_come_back(ada, bob):
    meet(ada, bob)
    bob.run("""
        import asyncio, builtins
        async def echo():
            async for message in channel:
                await channel.send(message)
        builtins.echoing = asyncio.create_task(echo())
        None
    """)
    source = """
        wrong = []
        for size in [0, 1, 1199, 65536, 262144]:
            data = (bytes(range(256)) * (size // 256 + 1))[:size]
            for message in (data, "ä" * (size // 2), bytearray(data), memoryview(data)):
                await channel.send(message)
                back = await channel.recv(timeout=10)
                if back != message or type(back) is not (str if isinstance(message, str) else bytes):
                    wrong.append(size)
        clean = await channel.close()
        [wrong, clean, channel.ready_state, connection.connection_state]
    """
    assert ada.run(source) == [[], True, "closed", "connected"]
    assert bob.run("await echoing; await connection.close(); channel.ready_state") == "closed"


def test_twenty_megabytes_arrive_whole_while_the_sender_waits_for_the_browser(ada, bob):
    meet(ada, bob)
    bob.run("""
        import asyncio, builtins, hashlib
        async def hashed():
            digest, size = hashlib.sha256(), 0
            async for message in channel:
                digest.update(message)
                size += len(message)
            return [size, digest.hexdigest()]
        builtins.hashing = asyncio.create_task(hashed())
        None
    """)
    source = """
        import asyncio, hashlib, random
        digest, most = hashlib.sha256(), 0
        turns = 0
        async def others():
            global turns
            while True:
                await asyncio.sleep(0)
                turns += 1
        other = asyncio.create_task(others())
        for number in range(320):
            piece = random.randbytes(65536)
            digest.update(piece)
            await channel.send(piece)
            most = max(most, channel.buffered_amount)
        other.cancel()
        await connection.close()
        [digest.hexdigest(), most, turns > 10]
    """
    sent, most, others_ran = ada.run(source, timeout=60)
    assert bob.run("await hashing") == [320 * 65536, sent]
    assert (1 << 20) < most <= (1 << 20) + 65536  # there was a brake, and it has held
    assert others_ran


def test_what_was_sent_last_arrives_when_the_connection_is_closed_at_once(ada, bob):
    meet(ada, bob)
    ada.run("""
        for number in range(20):
            await channel.send(bytes([number]) * 50_000)
        await connection.close()
    """)
    heard = bob.run("[[message[0], len(message)] async for message in channel]")
    assert heard == [[number, 50_000] for number in range(20)]
    told = bob.run("""
        from pynet_browser.webrtc import ChannelClosedOK
        told = []
        for call in (lambda: channel.recv(), lambda: channel.send("late"), lambda: channel.wait_open()):
            try:
                await call()
            except ChannelClosedOK as error:
                told.append([isinstance(error, ConnectionError), str(error)])
        told
    """)
    assert told == [[True, "the channel was closed"]] * 3


def test_a_channel_may_be_unordered_and_unreliable(ada, bob):
    meet(ada, bob, {"ordered": False, "max_retransmits": 0, "protocol": "game"})
    traits = "[channel.ordered, channel.max_retransmits, channel.max_packet_life_time, channel.protocol]"
    assert ada.run(traits) == bob.run(traits) == [False, 0, None, "game"]
    assert ada.run("channel.id == 0 or channel.id") == bob.run("channel.id == 0 or channel.id")
    bob.run("""
        import asyncio, builtins
        async def heard():
            return [int(message) async for message in channel]
        builtins.hearing = asyncio.create_task(heard())
        None
    """)
    ada.run("for number in range(500): await channel.send(str(number))\nawait connection.close()")
    heard = bob.run("await hearing")
    assert len(heard) == len(set(heard)) <= 500
    assert set(heard) <= set(range(500))
    assert len(heard) > 250  # nothing else is on this line


def test_candidates_may_follow_the_descriptions(ada, bob):
    offer = ada.run(OFFER.replace("create_offer()", "create_offer(gathered=False)"), options={})
    ours = ada.run("[each async for each in connection.candidates()]")
    assert ours
    answer = bob.run(ANSWER.replace("(offer)", "(offer, gathered=False)"), offer=offer, options={})
    theirs = bob.run(
        """
        for each in ours:
            await connection.add_candidate(each)
        [each async for each in connection.candidates()]
        """,
        ours=ours,
    )
    source = """
        await connection.set_remote_description(answer)
        for each in theirs:
            await connection.add_candidate(each)
        await channel.send("hello")
    """
    ada.run(source, answer=answer, theirs=theirs)
    assert bob.run("(await (await connection.channel(10)).recv(10))") == "hello"
    bob.run("""
        import asyncio, builtins
        async def labels():
            return [each.label async for each in connection.channels()]
        builtins.more = asyncio.create_task(labels())
        None
    """)
    ada.run("""
        for label in ("one", "two"):
            made = connection.create_data_channel(label)
            await made.wait_open(timeout=10)
            assert await made.close()  # the other side has had it
        await connection.close()
    """)
    assert bob.run("await connection.close(); await more") == ["one", "two"]


def test_messages_that_nobody_reads_close_the_channel_and_what_had_come_is_read(ada, bob):
    meet(ada, bob, inbox_bytes=1 << 20)
    sent = ada.run(
        """
        from pynet_browser.webrtc import ChannelClosed
        sent = 0
        try:
            while sent < 1000:
                await channel.send(bytes(65536))
                sent += 1
        except ChannelClosed:
            pass
        sent
        """,
        timeout=60,
    )
    assert 16 <= sent < 1000
    count, error = bob.run("""
        from pynet_browser.webrtc import ChannelClosedError
        count = 0
        try:
            while True:
                await channel.recv()
                count += 1
        except ChannelClosedError as error:
            told = str(error)
        [count, told]
    """)
    assert count == 16  # with what a message counts beside its bytes, the sixteenth is too much
    assert "faster than they were read" in error


def test_what_cannot_be_sent_is_refused_and_the_channel_goes_on(ada, bob):
    meet(ada, bob)
    told = ada.run("""
        told = []
        for message in (bytes(connection_max := int(connection.message_max) + 1), "ä" * connection_max,
                        "\\ud800", 7, None):
            try:
                await channel.send(message)
            except (ValueError, TypeError) as error:
                told.append([type(error).__name__, str(error)])
        await channel.send("still here")
        told
    """)
    assert [kind for kind, _ in told] == [
        "ValueError",
        "ValueError",
        "UnicodeEncodeError",
        "TypeError",
        "TypeError",
    ]
    assert told[0][1] == (
        "the message has 262145 bytes, and the other side takes at most 262144 in one: send it in pieces"
    )
    assert bob.run("await channel.recv(10)") == "still here"
    ada.run("await connection.close()")


def test_what_makes_no_sense_is_a_value_error(ada):
    told = ada.run("""
        from pynet_browser.webrtc import PeerConnection
        told = []
        async def refused(call):
            try:
                await call
            except ValueError as error:
                told.append(str(error))
        async def made(**options):
            PeerConnection(**options)
        async def channel(**options):
            connection.create_data_channel(**options)
        async with PeerConnection() as connection:
            await refused(connection.create_offer())
            await refused(connection.create_answer())
            await refused(connection.accept("no JSON"))
            await refused(connection.accept("{}"))
            await refused(connection.accept('{"type": "answer", "sdp": "v=0"}'))
            await refused(connection.add_candidate('{"candidate": "nonsense", "sdpMid": "0"}'))
            await refused(made(ice_servers=["http://no.example"]))
            await refused(channel(max_retransmits=1, max_packet_life_time=1))
            await refused(channel(label="x" * 70_000))
        try:
            connection.create_data_channel()
        except ConnectionError as error:
            told.append(str(error))
        told
    """)
    assert len(told) == 10
    assert told[0] == "make a data channel first: an offer without one connects nothing"
    assert told[-1] == "the connection was closed here"


def test_waiting_has_a_timeout(ada, bob):
    meet(ada, bob)
    told = ada.run("""
        from pynet_browser.webrtc import PeerConnection
        told = []
        alone = PeerConnection()
        never = alone.create_data_channel()
        for call in (channel.recv, connection.channel, never.wait_open):
            try:
                await call(timeout=0.05)
            except TimeoutError:
                told.append("late")
        clean = await never.close()
        await alone.close()
        await connection.close()
        [told, clean]
    """)
    assert told == [["late"] * 3, False]


# ── In a room of the proxy ────────────────────────────────────────────────────────────────────────────────


START = """
    import asyncio, builtins
    from pynet_browser.webrtc import meet
    builtins.meeting = asyncio.create_task(meet(room, proxy_url=url, **options))
    await asyncio.sleep(0)
"""

MET = "import builtins; builtins.channel = await meeting; channel.ready_state"

FAILED = """
    try:
        await meeting
        told = ["met"]
    except Exception as error:
        told = [type(error).__name__, str(error)]
    told
"""


@pytest.fixture
def start(proxy: ProxyProcess) -> Callable[..., None]:
    """`start(page, room)` has a page begin to meet another; there, `await meeting` gives the channel."""

    def begin(page: PagePython, room: str, **options: Any) -> None:
        url = f"{proxy.url}/?token={proxy.token}"
        page.run(START, room=room, url=url, options={"timeout": 15} | options)

    return begin


@pytest.fixture
def ghost(proxy: ProxyProcess) -> Callable[[str], ClientConnection]:
    """`ghost(room)` is somebody in a room who does not behave as pages do."""
    url = proxy.ws_url.replace("/pynet", "/signal")
    return lambda room: connect(f"{url}/{room}?token={quote(proxy.token, safe='')}")


def test_two_pages_meet_whoever_comes_first_and_the_room_is_free_again(ada, bob, start):
    for first, second in ((ada, bob), (bob, ada)):
        start(first, "Küche 7/8", label="a", max_retransmits=3)
        start(second, "Küche 7/8", label="b")
        assert [first.run(MET), second.run(MET)] == ["open", "open"]
        assert second.run("await channel.send('Grüße'); [channel.label, channel.max_retransmits]") == [
            "b",
            None,
        ]
        assert first.run("[await channel.recv(10), channel.label, channel.max_retransmits]") == [
            "Grüße",
            "a",
            3,
        ]
        closed = "await channel.close(), channel.connection.connection_state"
        assert first.run(closed) == [True, "closed"]
        assert second.run(closed) == [True, "closed"]


def test_pages_meet_at_the_proxy_that_is_installed(ada, proxy):
    source = """
        import asyncio, pynet_browser
        from pynet_browser.webrtc import meet
        async def say(room, number):
            async with await meet(room, timeout=15) as channel:
                await channel.send(f"{room} {number}")
                return await channel.recv(timeout=10)
        await pynet_browser.install(url, token=token)
        try:
            heard = await asyncio.gather(*(say(f"room {n // 2}", n % 2) for n in range(10)))
        finally:
            pynet_browser.uninstall()
        sorted(heard)
    """
    heard = ada.run(source, url=proxy.ws_url, token=proxy.token)
    assert heard == [f"room {number // 2} {number % 2}" for number in range(10)]


def test_the_example_of_the_document_runs_as_it_stands(ada, bob, proxy):
    [example] = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "webrtc.md").read_text("utf-8"), re.DOTALL
    )
    address = "http://127.0.0.1:8765/?token=…"
    assert address in example
    source = example.replace(address, f"{proxy.url}/?token={proxy.token}")
    beside = """
        import asyncio, builtins
        from pyodide.code import eval_code_async
        builtins.running = asyncio.ensure_future(eval_code_async(program, {}))
        None
    """
    ada.run(beside, program=source)
    bob.run(source)
    ada.run("await running")
    for page in (ada, bob):
        page.run("import pynet_browser; pynet_browser.uninstall()")
        assert [line.partition(": ")[2] for line in page.console[-2:]] == [
            "hello from the other page",
            "b'\\x00\\xff'",
        ]


def test_whoever_stays_in_the_room_meets_the_next_who_comes(ada, bob, start, ghost):
    with ghost("haunted") as first:
        start(ada, "haunted")
        assert first.recv(10) == "joined"
        first.send(json.dumps({"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}))
    with ghost("haunted") as second:
        word, _, offer = str(second.recv(10)).partition(" ")
        assert (word, json.loads(offer)["type"]) == ("message", "offer")
    start(bob, "haunted")
    assert [ada.run(MET), bob.run(MET)] == ["open", "open"]
    assert [ada.run("await channel.close()"), bob.run("await channel.close()")] == [True, True]


@pytest.mark.parametrize("first", [True, False])
def test_the_other_need_not_be_a_browser(ada, start, proxy, first):
    url = f"{proxy.ws_url.replace('/pynet', '/signal')}/bare?token={quote(proxy.token, safe='')}"
    with ThreadPoolExecutor() as threads:
        if first:
            start(ada, "bare")
        echoed = threads.submit(echo_one, url)
        if not first:
            start(ada, "bare")
        assert ada.run(MET) == "open"
        source = "await channel.send('Grüße'); [await channel.recv(10), await channel.close()]"
        assert ada.run(source) == ["Grüße", True]
        assert echoed.result() == "Grüße"


def test_a_third_is_refused_with_a_sentence(ada, start, ghost):
    with ghost("full"), ghost("full"):
        start(ada, "full")
        kind, message = ada.run(FAILED)
    assert (kind, message.partition("; ")[0]) == (
        "ConnectionRefusedError",
        "[Errno 14] room 'full': two are in this room",
    )


@pytest.mark.parametrize("said", ["nonsense", "[]", '{"type": "offer"}', "[" * 50_000])
def test_who_talks_nonsense_ends_the_meeting_with_an_error(ada, start, ghost, said):
    with ghost("nonsense") as other:
        start(ada, "nonsense")
        assert other.recv(10) == "joined"  # what is said before is heard by nobody
        other.send(said)
        kind, message = ada.run(FAILED)
    assert (kind, "makes no sense" in message) == ("ConnectionAbortedError", True)


def test_who_waits_in_vain_is_told_for_what(ada, start, ghost):
    start(ada, "lonely", timeout=0.3)
    assert ada.run(FAILED) == ["TimeoutError", "room 'lonely': nobody else came within 0.3 s"]
    with ghost("lonely"):
        start(ada, "lonely", timeout=0.3)
        assert ada.run(FAILED)[1] == "room 'lonely': nobody else came within 0.3 s"
        # Whoever was there first would have to begin.
    with ghost("mute") as other:
        start(ada, "mute", timeout=5)
        assert other.recv(10) == "joined"
    with ghost("mute"):
        _, message = ada.run(FAILED)
    assert message == "room 'mute': the other side came, and no connection came about within 5 s"


def test_a_meeting_that_is_given_up_leaves_the_room(ada, start, ghost):
    with ghost("left") as other:
        start(ada, "left")
        assert other.recv(10) == "joined"
        ada.run("meeting.cancel()")
        assert other.recv(10) == "left"


def test_where_nobody_can_meet_is_said(ada, start, proxy):
    start(ada, "")
    assert ada.run(FAILED)[1].startswith("a room's name has 1 to 64")
    start(ada, "room", max_retransmits=1, max_packet_life_time=1)
    assert ada.run(FAILED)[0] == "ValueError"
    for token, kind, message in (
        ("wrong", "ProxyUnreachableError", "print(await pynet_browser.diagnose("),
        (proxy.token, "TimeoutError", "nobody else came"),
    ):
        start(ada, "room", token=token, timeout=0.1)
        told = ada.run(FAILED)
        assert (told[0], message in told[1]) == (kind, True)
    told = ada.run(
        "from pynet_browser.webrtc import meet\nmeeting = meet('room')" + FAILED.replace("\n    ", "\n")
    )
    assert told[0] == "ValueError"
    assert "install(url) first, or say proxy_url" in told[1]


class Tab:
    """A page that runs its own Python."""

    def __init__(self, driven: DrivenBrowser, url: str) -> None:
        self._driven = driven
        self.heard: list[dict[str, str]] = []
        self._tab = driven.open(self, url)

    def hear(self, line: dict[str, str]) -> None:
        self.heard.append(line)

    def evaluate(self, code: str) -> Any:
        return self._driven.ask("evaluate", tab=self._tab, code=code, argument=None, milliseconds=20_000)

    def close(self) -> None:
        self._driven.ask("close", tab=self._tab)


SAY = """async () => {
    const field = document.querySelector("#say input");
    while (field.disabled) await new Promise((resolve) => setTimeout(resolve, 10));
    field.value = "Grüße";
    document.querySelector("#say button").click();
    return document.querySelector("#state").textContent;
}"""

HEARD = """async () => {
    while (!document.querySelector("#said li")) await new Promise((resolve) => setTimeout(resolve, 10));
}"""

SAID = "() => [...document.querySelectorAll('#said li')].map((item) => item.textContent)"


def test_the_page_of_the_demo_meets_python_elsewhere(ada, driven, proxy, start):
    tab = Tab(driven, f"{proxy.url}/demo/meet.html?token={proxy.token}#attic")
    start(ada, "attic", timeout=30)
    assert ada.run(MET, timeout=40) == "open"
    ada.run("await channel.send('hello')")
    tab.evaluate(HEARD)
    assert tab.evaluate(SAY) == "The other page is here."
    assert ada.run("await channel.recv(10)") == "Grüße"
    assert tab.evaluate(SAID) == ["hello", "Grüße"]
    assert ada.run("await channel.close()")
    tab.close()
    assert [line for line in tab.heard if "uncaught" in line] == []


def test_firefox_and_chromium_meet(ada, open_python, start):
    fox = open_python(install=False, browser="Firefox")
    start(fox, "zoo")
    start(ada, "zoo")
    assert [ada.run(MET), fox.run(MET)] == ["open", "open"]
    fox.run("await channel.send(bytes(200_000)); await channel.send('Grüße')")
    heard = ada.run("[len(await channel.recv(10)), await channel.recv(10)]")
    assert heard == [200_000, "Grüße"]
    ada.run("await channel.send('und zurück')")
    assert fox.run("[await channel.recv(10), await channel.close()]") == ["und zurück", True]
    assert ada.run("await channel.close()")


def test_a_page_that_is_left_ends_the_channel_with_an_error(ada, bob):
    meet(bob, ada)
    bob.run("await channel.send('bye')")
    bob.close()
    told = ada.run(
        """
        from pynet_browser.webrtc import ChannelClosed
        heard = [await channel.recv(10)]
        try:
            await channel.recv(timeout=5)
        except ChannelClosed as error:
            heard += [type(error).__name__, str(error)]
        heard
        """
    )
    assert told[:2] == ["bye", "ChannelClosedError"]
    assert told[2].startswith("the channel broke, or the other side is gone")
