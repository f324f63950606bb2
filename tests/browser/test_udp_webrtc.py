"""Datagrams over WebRTC in Chromium: what the data channel carries; who has none, and says why."""

from __future__ import annotations

import pytest

from tests import contract
from tests.browser.contract_page import bring_contract
from tests.contract_peers import contract_peers
from tests.relay import Relay
from tests.servers.process import free_port
from tests.udp_relay import UdpRelay

INSTALL = "import pynet_browser; await pynet_browser.install(url, token=token, udp=udp); None"

UNTIL_OPEN = """
import asyncio, pynet_browser, socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
    first.sendto(b"", ("127.0.0.1", 9))
    until = time.monotonic() + 25
    while time.monotonic() < until and pynet_browser.status().udp != "webrtc":
        await asyncio.sleep(0.02)
        first.setblocking(False)
        try:
            first.recv(1)
        except OSError:
            pass
(pynet_browser.status().udp, pynet_browser.status().why_udp)
"""


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def page(open_python, start_proxy):
    """A page whose datagrams go over WebRTC."""
    proxy = start_proxy("--listen", "*:*")
    python = open_python(proxy, install=False)
    bring_contract(python)
    python.run(INSTALL, url=proxy.ws_url, token=proxy.token, udp="webrtc")
    assert python.run(UNTIL_OPEN) == ["webrtc", ""]
    return python


CASES = [case for case in contract.names() if case[0] in {"datagram", "associated", "groups"}]


@pytest.mark.parametrize("entry", ["async", "sync"])
@pytest.mark.parametrize(("suite", "name"), CASES)
def test_datagrams_over_webrtc_keep_the_contract(suite, name, entry, page, peers):
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    source = "from tests import contract; contract.run(suite, name, peers)"
    page.run(source, entry=entry, suite=suite, name=name, peers=peers)
    assert page.run("import pynet_browser; pynet_browser.status().udp") == "webrtc"


def test_programs_ask_names_over_it(page, dns_server):
    page.run("import micropip; await micropip.install('dnspython'); None", timeout=60)
    source = """
import dns.asyncquery, dns.message, dns.query, pynet_browser
question = dns.message.make_query("host.example.test", "A")
one = dns.query.udp(question, host, port=port, timeout=10)
other = await dns.asyncquery.udp(question, host, port=port, timeout=10)
[answer.answer[0][0].to_text() for answer in (one, other)], pynet_browser.status().udp
"""
    found = page.run(source, host=dns_server.host, port=dns_server.port)
    assert found == [["192.0.2.7"] * 2, "webrtc"]


# ── Who has none ────────────────────────────────────────────────────────────────────────────────────────────

ECHO = """
import pynet_browser, socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(10)
    sock.sendto(b"there?", tuple(echo))
    answer = sock.recv(100).decode()
status = pynet_browser.status()
[answer, status.udp, status.why_udp]
"""

REFUSED = """
import errno, pynet_browser
try:
    await pynet_browser.install(url, token=token, udp="webrtc")
except OSError as error:
    said = [error.errno == errno.EOPNOTSUPP, str(error)]
said
"""


@pytest.fixture(scope="module")
def bare(open_python):
    return open_python(install=False)


def test_a_worker_goes_by_the_websocket_and_says_why(open_python, proxy, peers):
    worker = open_python(proxy, thread="worker")
    answer, udp, why = worker.run(ECHO, echo=peers["datagram_echo"])
    assert (answer, udp) == ("there?", "session")
    assert "worker" in why
    supported, message = worker.run(REFUSED, url=proxy.ws_url, token=proxy.token)
    assert supported
    assert "worker" in message


def test_so_does_a_page_whose_proxy_has_no_webrtc(bare, start_proxy, proxy, peers):
    without = start_proxy("--no-webrtc", "--listen", "*:*", "--origin", proxy.url)
    bare.run(INSTALL, url=without.ws_url, token=without.token, udp="auto")
    # The send that finds this out is within a system call, where nothing may call Python.
    assert bare.run(FIRST_SEND) == "EDESTADDRREQ"
    answer, udp, why = bare.run(ECHO, echo=peers["datagram_echo"])
    assert (answer, udp) == ("there?", "session")
    assert "pip install 'pynet-browser[webrtc]'" in why
    supported, message = bare.run(REFUSED, url=without.ws_url, token=without.token)
    assert supported
    assert "does not offer WebRTC" in message


def test_so_does_one_that_wants_none(bare, proxy, peers):
    bare.run(INSTALL, url=proxy.ws_url, token=proxy.token, udp="stream")
    answer, udp, why = bare.run(ECHO, echo=peers["datagram_echo"])
    assert (answer, udp, why) == ("there?", "session", 'install(udp="stream") asked for it')


def test_a_page_without_datagrams_makes_no_channel(bare, proxy):
    bare.run(INSTALL, url=proxy.ws_url, token=proxy.token, udp="auto")
    why = bare.run("import pynet_browser; pynet_browser.status().why_udp")
    assert why == "no datagram socket was used yet"


FIRST_SEND = """
import errno, socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    try:
        sock.send(b"to whom?")
    except OSError as error:
        said = errno.errorcode[error.errno]
said
"""

BY_CHANNEL = """
import asyncio, pynet_browser, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
sock.connect(tuple(echo))
until = time.monotonic() + 25
while time.monotonic() < until and pynet_browser.status().udp != "webrtc":
    sock.send(b"warm")
    sock.recv(100)
    await asyncio.sleep(0.05)
await asyncio.sleep(1.2)  # until then some go by the session, behind those that it still carries
sock.send(b"routed")
sock.recv(100)
sys.kept = sock  # for the next program
pynet_browser.status().udp
"""


TWENTY = """
import sys
with sys.kept as sock:
    echoes = [(sock.send(b"%d" % number), sock.recv(100).decode())[1] for number in range(20)]
echoes
"""


def test_datagrams_go_on_while_the_websocket_stands_still(bare, start_proxy, peers):
    proxy = start_proxy("--origin", "*")
    with Relay((proxy.host, proxy.port)) as relay:
        bare.run(INSTALL, url=f"ws://127.0.0.1:{relay.port}/pynet", token=proxy.token, udp="auto")
        assert bare.run(BY_CHANNEL, echo=peers["datagram_echo"]) == "webrtc"
        relay.freeze()
        assert bare.run(TWENTY) == [str(number) for number in range(20)]
        relay.thaw()
        bare.run("import pynet_browser; pynet_browser.uninstall()")


def test_where_no_udp_gets_through_datagrams_go_by_the_websocket(bare, start_proxy, peers):
    port = free_port()
    with UdpRelay(("127.0.0.1", port), "127.0.0.2", port) as relay:
        proxy = start_proxy("--origin", "*", "--webrtc-ports", str(port), "--webrtc-address", "127.0.0.2")
        bare.run(INSTALL, url=proxy.ws_url, token=proxy.token, udp="auto")
        relay.loss = 1
        assert bare.run(ECHO, echo=peers["datagram_echo"])[:2] == ["there?", "session"]
        assert bare.run("import pynet_browser; pynet_browser.status().why_udp") == "it is being made"
        assert bare.run(ECHO, echo=peers["datagram_echo"])[:2] == ["there?", "session"]


UNTIL_BACK = """
import pynet_browser, sys, time
sock = sys.kept
sock.settimeout(0.2)
start, back = time.monotonic(), ""
while time.monotonic() - start < 30 and not back:
    sock.send(b"back?")
    try:
        back = sock.recv(100).decode()
    except TimeoutError:
        pass
sock.close()
[back, pynet_browser.status().udp, pynet_browser.status().why_udp]
"""


def test_a_channel_that_is_cut_is_done_without_after_a_while(bare, start_proxy, peers):
    port = free_port()
    with UdpRelay(("127.0.0.1", port), "127.0.0.2", port) as relay:
        proxy = start_proxy("--origin", "*", "--webrtc-ports", str(port), "--webrtc-address", "127.0.0.2")
        bare.run(INSTALL, url=proxy.ws_url, token=proxy.token, udp="auto")
        assert bare.run(BY_CHANNEL, echo=peers["datagram_echo"]) == "webrtc"
        relay.loss = 1
        why = "no UDP gets through between this page and the proxy"
        assert bare.run(UNTIL_BACK, timeout=40) == ["back?", "session", why]
