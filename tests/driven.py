"""Chromium or Firefox, driven by puppeteer.

Playwright drives no Firefox but its own builds. And it listens to Chromium's network, which makes WebSockets
ten times as slow as they are: pages that are clicked at are for Playwright, those that exchange bytes for
this.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias

from tests.machine import find_chromium, find_firefox
from tests.servers.process import required

DRIVER = Path(__file__).with_suffix(".js")
CLOSE_TIMEOUT = 10.0

Product: TypeAlias = Literal["Chromium", "Firefox"]

# A Chromium that talks to nobody but the page's own servers.
QUIET = [
    "--disable-background-networking",
    "--disable-back-forward-cache",  # a page that is left is gone, and does not wait to be shown again
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    # Some sessions of a browser profile their allocations for its makers. That walks beyond the end of the
    # stack of suspended Python, and the page crashes (seen in Chromium 156; always, where every
    # session profiles). A list of features to disable would replace the driver's; this comes to the same.
    "--enable-features=HeapProfilerReporting:stable-probability/0/nonstable-probability/0",
    "--no-first-run",
]

BY_ADDRESS = "--disable-features=WebRtcHideLocalIpsWithMdns"
"""Otherwise pages that meet by WebRTC tell each other names for their addresses, and mDNS would have to
resolve them. The driver adds this to the features that it disables itself."""

NO_SANDBOX = "--no-sandbox"
"""Chromium does not start as root with one."""


class ScriptError(Exception):
    """JavaScript threw in a page, or the page is gone.

    Attributes:
        stack: Where.
    """

    def __init__(self, message: str, stack: str) -> None:
        super().__init__(message)
        self.stack = stack


class Listener(Protocol):
    """Who hears what is said about a tab."""

    def hear(self, line: dict[str, str]) -> None:
        """``told``: what the page calls ``toldByPage`` with; ``console``, ``uncaught``: what it says."""


class DrivenBrowser:
    """A browser, driven by a process of its own; used with ``with``.

    Attributes:
        product: Which.
        version: What it calls itself.
        process: Its process.
        driver: That of the driver.
    """

    version: str
    process: int
    driver: int

    def __init__(self, product: Product, *arguments: str) -> None:
        """Takes more arguments for the browser."""
        self.product = product
        self._arguments = list(arguments)
        self._tabs: dict[int, Listener] = {}
        self._numbers = itertools.count(1)
        self._driver: subprocess.Popen[str]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pynet-test-"))
            self._driver = subprocess.Popen(
                ["node", str(DRIVER), *self._command()],
                env=os.environ | {"TMPDIR": directory},  # where the browser's profile lies
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(self._end)
            self.driver = self._driver.pid
            started = self._listen()
            self.process, self.version = started["process"], started["version"]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _command(self) -> list[str]:
        if self.product == "Firefox":
            return ["firefox", required(find_firefox, "firefox"), *self._arguments]
        root = [NO_SANDBOX] if os.geteuid() == 0 else []
        return ["chrome", required(find_chromium, "chromium"), *QUIET, BY_ADDRESS, *root, *self._arguments]

    def open(self, listener: Listener, url: str, *, own: bool = False) -> int:
        """Opens a tab; its number.

        Args:
            listener: Who hears of it.
            url: What it shows.
            own: Whether it has storage and caches of its own; otherwise it shares them with other tabs.
        """
        tab = next(self._numbers)
        self._tabs[tab] = listener
        self.ask("open", tab=tab, url=url, own=own)
        return tab

    def ask(self, action: str, **arguments: Any) -> Any:
        """Has the driver do something, and returns what comes of it.

        Raises:
            ScriptError: It fails.
            TimeoutError: The page has not answered in time.
        """
        assert self._driver.stdin is not None
        with suppress(BrokenPipeError):  # that the driver has ended is heard below
            self._driver.stdin.write(json.dumps({"do": action, **arguments}) + "\n")
            self._driver.stdin.flush()
        answer = self._listen()
        if answer.get("late"):
            raise TimeoutError
        if "error" in answer:
            raise ScriptError(answer["error"], answer["stack"] or "")
        return answer["value"]

    def _listen(self) -> dict[str, Any]:
        """The next line that is an answer; those about tabs are passed on."""
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            heard: dict[str, Any] = json.loads(line)
            if "tab" not in heard:
                return heard
            self._tabs[heard["tab"]].hear(heard)
        raise ConnectionError(f"the driver of {self.product} has ended")

    def _end(self) -> None:
        try:
            self._driver.communicate(timeout=CLOSE_TIMEOUT)  # without questions it closes the browser
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.communicate()
        # A driver that was killed leaves it behind; what it has started is in its group.
        with suppress(AttributeError, ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
