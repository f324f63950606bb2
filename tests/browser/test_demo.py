"""The demo page as a visitor uses it, in a real browser with a real proxy."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.peers import Silent
from tests.servers import ROOT, ProxyProcess
from tests.static_host import StaticHost

BOOT = 60_000
"""Milliseconds: Pyodide starts on a machine that may have other things to do."""


class Demo:
    """The page, by the names a visitor sees.

    Attributes:
        page: Playwright's page.
        requests: every URL it asked for.
        problems: exceptions nobody caught, and what the console calls errors.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note_error)
        self.connection = page.locator("#connection")
        self.problem = page.get_by_role("alert")
        self.output = page.locator("#output")
        self.run_state = page.locator("#run-state")
        self.sockets = page.locator("#sockets tbody tr:not(.closed)")

    def _note_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{message.text} {message.location}")

    def open(self, url: str) -> None:
        self.page.goto(url)

    def wait_until(self, state: str) -> None:
        expect(self.connection).to_have_attribute("data-state", state, timeout=BOOT)

    def choose(self, example: str) -> None:
        self.page.get_by_role("button", name=re.compile(f"^{example}")).click()
        expect(self.page.locator("#examples [aria-current=true]")).to_contain_text(example)

    def write(self, program: str) -> None:
        self.page.get_by_role("textbox", name=re.compile("^Program")).fill(program)

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).click()

    def stop(self) -> None:
        self.page.get_by_role("button", name="Stop", exact=True).click()

    def connect(self, url: str, token: str = "") -> None:
        self.page.get_by_label("Proxy", exact=True).fill(url)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Connect", exact=True).click()


@contextlib.contextmanager
def opened(profile: BrowserContext) -> Iterator[Demo]:
    page = profile.new_page()
    try:
        page.set_viewport_size({"width": 1280, "height": 800})
        yield Demo(page)
    finally:
        page.close()


@pytest.fixture(scope="module")
def connected(profile: BrowserContext, proxy: ProxyProcess) -> Iterator[Demo]:
    """The page as its proxy serves it; the tests share it, for starting Python takes a while."""
    with opened(profile) as demo:
        demo.open(f"{proxy.url}/?token={proxy.token}")
        demo.wait_until("connected")
        yield demo


@pytest.fixture
def demo(profile: BrowserContext) -> Iterator[Demo]:
    """A page that is not open yet."""
    with opened(profile) as demo:
        yield demo


@pytest.fixture
def static_site(tmp_path: Path) -> Iterator[str]:
    """The page on a plain static host, with Pyodide beside it as everywhere; yields its origin."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    (tmp_path / "pyodide").symlink_to(ROOT / "build" / "pyodide")

    with StaticHost(tmp_path) as host:
        yield host.url


# ── As its proxy serves it ────────────────────────────────────────────────────────────────────────────────


def test_it_connects_by_itself_and_hides_the_token(connected: Demo, proxy: ProxyProcess):
    assert connected.page.url == f"{proxy.url}/demo/"
    expect(connected.connection).to_contain_text(f"Connected to {proxy.host}:{proxy.port}")
    expect(connected.connection).to_contain_text(re.compile(r"\d m?s"))
    assert proxy.token not in connected.page.content()


def test_the_echo_example_shows_a_conversation(connected: Demo):
    connected.choose("Echo")
    connected.run()
    expect(connected.run_state).to_contain_text("finished after")
    expect(connected.output).to_contain_text(re.compile(r"connected to 127\.0\.0\.1 port \d+"))
    expect(connected.output).to_contain_text("Hello from the browser.")
    expect(connected.output).to_contain_text("both ends are done: b''")


def test_the_clock_ticks_and_its_socket_is_shown_while_python_waits(connected: Demo):
    connected.choose("Clock")
    connected.run()
    ticks = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.+]+\s+){2}")
    expect(connected.output).to_contain_text(ticks)
    expect(connected.run_state).to_contain_text("running for")
    row = connected.sockets.first
    expect(row).to_contain_text(re.compile(r"127\.0\.0\.1:\d+"))
    expect(row).to_contain_text("established")
    expect(row.locator(".received")).to_have_text(re.compile(r"[1-9]\d* B"))
    expect(row.locator(".rate")).to_have_text(re.compile(r"[1-9]\d* B/s"))
    expect(connected.page.locator("#received-rate")).to_have_text(re.compile(r"[1-9]\d* B/s"))
    connected.stop()
    expect(connected.run_state).to_contain_text("stopped after")


def test_a_program_that_was_stopped_leaves_python_ready(connected: Demo):
    with Silent() as silent:
        connected.write(f"import socket\nsocket.create_connection({silent.address}).recv(1)")
        connected.run()
        expect(connected.sockets).to_have_count(1)
        connected.stop()
        expect(connected.run_state).to_contain_text("stopped after")
    expect(connected.sockets).to_have_count(0)
    expect(connected.page.locator("#sockets tr.closed").first).to_be_visible()
    connected.wait_until("connected")
    connected.choose("Echo")
    connected.run()
    expect(connected.output).to_contain_text("both ends are done")


def test_a_coroutine_can_be_stopped(connected: Demo):
    connected.write("import asyncio\nprint('waiting')\nawait asyncio.sleep(3600)")
    connected.run()
    expect(connected.output).to_contain_text("waiting")
    connected.stop()
    expect(connected.run_state).to_contain_text("stopped after")


def test_a_traceback_shows_the_users_frames_only(connected: Demo):
    connected.choose("Errors")
    connected.run()
    expect(connected.run_state).to_contain_text("failed after")
    expect(connected.output).to_contain_text("ECONNREFUSED")
    error = connected.output.locator(".error")
    expect(error).to_contain_text("in fetch_keys")
    expect(error).to_contain_text("start it with --allow 169.254.169.254:80")
    frames = re.findall(r'File "(.*)"', error.inner_text())
    assert set(frames) == {"program.py"}


@pytest.mark.parametrize(
    ("example", "shown"),
    [
        ("Web site", "Hello from the proxy's host"),
        ("Fetch", "60,000,000 bytes in memory"),
        ("Many sockets", "2000 answers, each to its own connection"),
        ("Download", "400,000,000 bytes in"),
        ("Names", "localhost: 127.0.0.1 port 80 (AF_INET)"),
        ("UDP", "100 of 100 came back"),
        ("Chat", "Hedy hears: hello from Ada"),
    ],
)
def test_the_other_examples_run(connected: Demo, example: str, shown: str):
    connected.choose(example)
    connected.run()
    expect(connected.run_state).to_contain_text("finished after", timeout=60_000)
    expect(connected.output).to_contain_text(shown)


def test_whoever_runs_a_program_at_once_has_it_run_when_the_connection_stands(
    demo: Demo, proxy: ProxyProcess
):
    demo.open(f"{proxy.url}/?token={proxy.token}")
    demo.choose("Fetch")
    demo.run()  # which waits until that can be clicked
    expect(demo.run_state).to_contain_text("finished after", timeout=60_000)
    expect(demo.output).to_contain_text("60,000,000 bytes in memory")


def test_the_redis_example_installs_its_package_and_runs(connected: Demo, redis_server):
    connected.choose("Redis")
    source = connected.page.locator("#source").input_value()
    connected.write(source.replace('("127.0.0.1", 6379)', repr(redis_server.address)))
    connected.run()
    expect(connected.output).to_contain_text("greeting: hello from the browser", timeout=20_000)
    expect(connected.output).to_contain_text("sum of 0 to 999: 499500")


KINDS = """
import asyncio, socket
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.bind(("127.0.0.1", 0))
bound = datagram.getsockname()[1]
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.connect(("127.0.0.1", bound))
asker.send(b"from port to port")
listener = socket.socket(socket.AF_UNIX)
listener.bind("/tmp/meeting")
listener.listen()
visitor = socket.socket(socket.AF_UNIX)
visitor.connect("/tmp/meeting")
visited, _ = listener.accept()
one, other = socket.socketpair(type=socket.SOCK_DGRAM)
one.send(b"x" * 1234)
print("ports:", bound, flush=True)
await asyncio.sleep(3600)
"""


def test_the_table_shows_sockets_of_every_kind(connected: Demo):
    connected.write(KINDS)
    connected.run()
    expect(connected.output).to_contain_text(re.compile(r"ports: \d+"))
    bound = connected.output.inner_text().rpartition(" ")[2].strip()
    expect(connected.sockets).to_have_count(7)
    rows = [row.locator("td").all_inner_texts()[1:4] for row in connected.sockets.all()]
    connected.stop()
    expect(connected.run_state).to_contain_text("stopped after")
    assert rows[::-1] == [
        [f"on 127.0.0.1:{bound}", "datagram", "0 B"],
        [f"127.0.0.1:{bound}", "datagram", "0 B"],
        ["on /tmp/meeting", "listening", "0 B"],
        ["/tmp/meeting", "established", "0 B"],
        ["on /tmp/meeting", "established", "0 B"],
        ["its pair", "datagram", "0 B"],
        ["its pair", "datagram", "1.23 kB"],
    ]


def test_datagrams_that_were_dropped_are_told(connected: Demo):
    connected.write(
        "import asyncio, socket\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 5000)\n"
        "one.bind(('127.0.0.1', 0))\n"
        "for _ in range(20): one.sendto(bytes(1000), one.getsockname())\n"
        "await asyncio.sleep(3600)"
    )
    connected.run()
    state = connected.sockets.first.locator(".state")
    expect(state).to_have_attribute("title", re.compile(r"[1-9]\d* datagrams were dropped"))
    connected.stop()
    expect(connected.run_state).to_contain_text("stopped after")


def test_the_page_on_which_two_meet_opens_with_the_token(connected: Demo, proxy: ProxyProcess):
    with connected.page.context.expect_page() as opened_page:
        connected.page.get_by_role("button", name="Two pages").click()
    meeting = opened_page.value
    expect(meeting.locator("#program")).to_contain_text("await meet(")
    expect(meeting).to_have_url(f"{proxy.url}/demo/meet.html")
    meeting.close()


def test_no_request_left_the_proxy_but_one_that_the_browser_tried_first(connected: Demo, proxy: ProxyProcess):
    assert connected.requests
    ours = f"{proxy.host}:{proxy.port}"
    elsewhere = [url for url in connected.requests if urlsplit(url).netloc != ours]
    # To the small web site, which shares its answers with no page: then the proxy asks.
    assert len(elsewhere) <= 1
    assert all(urlsplit(url).hostname == "127.0.0.1" for url in elsewhere)
    assert [problem for problem in connected.problems if not any(url in problem for url in elsewhere)] == []


def test_a_program_that_only_computes_is_stopped_by_starting_python_anew(demo: Demo, proxy: ProxyProcess):
    demo.open(f"{proxy.url}/?token={proxy.token}")
    demo.wait_until("connected")
    demo.write("print('busy', flush=True)\nwhile True: pass")
    demo.run()
    expect(demo.output).to_contain_text("busy")
    demo.stop()
    expect(demo.output).to_contain_text("Python was started anew")
    expect(demo.run_state).to_contain_text("stopped after")
    expect(demo.output).to_contain_text("ready after", timeout=BOOT)
    demo.wait_until("connected")
    demo.choose("Echo")
    demo.run()
    expect(demo.output).to_contain_text("both ends are done")


def test_a_wrong_token_is_refused_in_a_sentence_and_the_right_one_helps(demo: Demo, proxy: ProxyProcess):
    demo.open(f"{proxy.url}/?token=wrong")
    expect(demo.problem).to_contain_text("The token is not this proxy's", timeout=BOOT)
    demo.wait_until("off")
    demo.connect(f"{proxy.url}/?token={proxy.token}")
    demo.wait_until("connected")
    expect(demo.problem).to_be_hidden()
    # The tab remembers it, since the page's address no longer has it.
    demo.page.reload()
    demo.wait_until("connected")


def test_loading_shows_every_stage_with_its_size(demo: Demo, proxy: ProxyProcess):
    demo.page.goto(f"{proxy.url}/?token={proxy.token}", wait_until="commit")
    stages = demo.page.locator("#stages li")
    expect(stages).to_have_count(4)
    expect(demo.page.locator("#stages")).to_be_visible()
    expect(stages.nth(0)).to_contain_text(re.compile(r"MB.*\d m?s"))
    demo.wait_until("connected")
    expect(demo.page.locator("#stages")).to_be_hidden()
    expect(demo.output).to_contain_text(re.compile(r"Python 3\.\d+\.\d+ in Pyodide \d+"))


def test_a_program_that_takes_the_network_for_itself_is_said_to_have_done_so(demo: Demo, proxy: ProxyProcess):
    demo.open(f"{proxy.url}/?token={proxy.token}")
    demo.wait_until("connected")
    demo.write("import pynet_browser\nawait pynet_browser.install(None)")
    demo.run()
    expect(demo.problem).to_contain_text("The program has made this page its own network.")
    demo.wait_until("off")


# ── On a static host ──────────────────────────────────────────────────────────────────────────────────────


def test_it_works_from_a_static_host(demo: Demo, static_site: str, start_proxy: Callable[..., ProxyProcess]):
    proxy = start_proxy("--origin", static_site)
    demo.open(f"{static_site}/demo/")
    expect(demo.output).to_contain_text("start a proxy", timeout=BOOT)
    demo.connect(proxy.ws_url, proxy.token)
    demo.wait_until("connected")
    demo.run()
    expect(demo.output).to_contain_text("both ends are done")
    hosts = {urlsplit(url).hostname for url in demo.requests}
    assert hosts == {"127.0.0.1"}


def test_an_origin_that_the_proxy_refuses_is_told_what_to_change(
    demo: Demo, static_site: str, proxy: ProxyProcess
):
    demo.open(f"{static_site}/demo/")
    demo.connect(proxy.url, proxy.token)
    expect(demo.problem).to_contain_text(f"start it with --origin {static_site}", timeout=BOOT)


def test_an_address_without_a_proxy_is_named(demo: Demo, static_site: str, refusing_port):
    demo.open(f"{static_site}/demo/")
    demo.connect(f"http://127.0.0.1:{refusing_port.port}")
    expect(demo.problem).to_contain_text("No proxy answers at", timeout=BOOT)


# ── However it is looked at ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(demo: Demo, static_site: str, width: int):
    demo.page.set_viewport_size({"width": width, "height": 800})
    demo.open(f"{static_site}/demo/")
    expect(demo.page.locator("#examples button[data-file]")).to_have_count(11)
    assert demo.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_can_do_everything(connected: Demo):
    connected.choose("Echo")
    keyboard = connected.page.keyboard
    connected.page.locator("#source").focus()
    keyboard.press("Control+a")
    keyboard.type("for n in range(2):\nprint('line', n)")  # the editor indents
    keyboard.press("Control+Enter")
    expect(connected.output).to_contain_text("line 0\nline 1")
    keyboard.press("Tab")
    assert connected.page.locator("#source").input_value().endswith("    ")
    keyboard.press("Escape")
    keyboard.press("Tab")
    assert connected.page.evaluate("document.activeElement.id") != "source"
