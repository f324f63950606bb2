"""Python in a page of Debian's Firefox, driven by puppeteer: Playwright drives none but its own builds."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from tests.machine import find_firefox
from tests.page_python import BrowserPython, PageError, Thread
from tests.servers import required

DRIVER = Path(__file__).with_suffix(".js")
CLOSE_TIMEOUT = 10.0


class Firefox:
    """A Firefox, driven by a process of its own; used with ``with``.

    Attributes:
        version: What it calls itself.
        process: Its process.
        driver: That of the driver.
    """

    version: str
    process: int
    driver: int

    def __init__(self) -> None:
        self._tabs: dict[int, FirefoxPython] = {}
        self._numbers = itertools.count(1)
        self._driver: subprocess.Popen[str]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        path = required(find_firefox, "firefox")
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pynet-test-"))
            self._driver = subprocess.Popen(
                ["node", str(DRIVER), path],
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

    def open(self, python: FirefoxPython, url: str) -> int:
        """Opens a tab, of which ``python`` hears; its number."""
        tab = next(self._numbers)
        self._tabs[tab] = python
        self.ask("open", tab=tab, url=url)
        return tab

    def ask(self, action: str, **arguments: Any) -> Any:
        """Has the driver do something, and returns what comes of it.

        Raises:
            PageError: It fails.
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
            raise PageError("JavaScript", answer["error"], answer["stack"] or "")
        return answer["value"]

    def _listen(self) -> dict[str, Any]:
        """The next line that is an answer; those about tabs are passed on."""
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            heard: dict[str, Any] = json.loads(line)
            if "tab" not in heard:
                return heard
            self._tabs[heard["tab"]].hear(heard)
        raise ConnectionError("the driver of Firefox has ended")

    def _end(self) -> None:
        try:
            self._driver.communicate(timeout=CLOSE_TIMEOUT)  # without questions it closes the browser
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.communicate()
        # A driver that was killed leaves it behind; what it has started is in its group.
        with suppress(AttributeError, ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


class FirefoxPython(BrowserPython):
    """A page of Firefox."""

    def __init__(self, firefox: Firefox, url: str, *, thread: Thread = "page", suspends: bool = True) -> None:
        """Opens ``url`` and boots Pyodide there; see `boot`."""
        super().__init__()
        self._firefox = firefox
        self._tab = firefox.open(self, url)
        self.boot(thread=thread, suspends=suspends)

    def evaluate(self, function: str, argument: Any, timeout: float) -> Any:
        return self._firefox.ask(
            "evaluate", tab=self._tab, code=function, argument=argument, milliseconds=timeout * 1000
        )

    def close(self) -> None:
        self._firefox.ask("close", tab=self._tab)

    def hear(self, line: dict[str, str]) -> None:
        """Takes what the driver says about the page."""
        if "told" in line:
            self._on_told(line["told"])
        elif "uncaught" in line:
            self.page_errors.append(line["uncaught"])
        else:
            self.console.append(line["console"])
