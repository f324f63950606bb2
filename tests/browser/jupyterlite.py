"""JupyterLite in a page, used as people use it: its notebook and its console."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Browser, ConsoleMessage, Locator, expect

from tests.servers import ROOT

NOTEBOOKS = ROOT / "demo" / "jupyterlite"

KERNEL = 60_000
"""Milliseconds: the kernel starts on a machine that may have other things to do, and the cell runs."""


class JupyterLite:
    """A tab with one of JupyterLite's applications.

    Attributes:
        page: Playwright's page.
        console: what the tab has printed.
        requests: every URL that it asked for, its kernel included.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        # Cells that are out of sight are left out of the page: this window has room for all.
        self._context = browser.new_context(viewport={"width": 1280, "height": 3000})
        self.console: list[str] = []
        self.requests: list[str] = []
        self._context.on("request", lambda request: self.requests.append(request.url))
        self.page = self._context.new_page()
        self.page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        self.page.goto(url)

    def wait_until_run(self, cells: Locator, numbers: list[re.Pattern[str]]) -> None:
        """Returns when these cells have ended; their numbers are shown then."""
        try:
            expect(cells.locator(".jp-InputArea-prompt")).to_have_text(numbers, timeout=KERNEL)
        except AssertionError as error:
            error.add_note("\n".join(self.console))  # a kernel that cannot start shows nothing in the page
            raise

    def close(self) -> None:
        self._context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")


class Notebook(JupyterLite):
    """A notebook of the site in Jupyter Notebook."""

    def __init__(self, browser: Browser, site: str, name: str) -> None:
        super().__init__(browser, f"{site}notebooks/?path={name}")
        self.cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        cells = json.loads((NOTEBOOKS / name).read_text("utf-8"))["cells"]
        count = sum(cell["cell_type"] == "code" for cell in cells)
        expect(self.cells).to_have_count(count, timeout=KERNEL)  # they appear one after the other

    def write(self, cell: int, source: str) -> None:
        """Puts something else into a code cell."""
        self.cells.nth(cell).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)

    def run_all(self) -> None:
        """Runs every cell, and returns when the last has ended."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        numbers = range(1, self.cells.count() + 1)
        self.wait_until_run(self.cells, [re.compile(rf"\[{number}\]:") for number in numbers])

    def output(self, cell: int) -> Locator:
        """What a code cell has printed and shown."""
        return self.cells.nth(cell).locator(".jp-OutputArea")


class Console(JupyterLite):
    """A kernel of its own, in JupyterLite's console."""

    def __init__(self, browser: Browser, site: str) -> None:
        super().__init__(browser, f"{site}repl/?kernel=python")
        self._prompt = self.page.locator(".jp-CodeConsole-promptCell")
        self._ended = self.page.locator(".jp-CodeConsole-content .jp-CodeCell")
        expect(self._prompt).to_be_visible(timeout=KERNEL)

    def run(self, source: str) -> str:
        """Runs a cell; what it has printed and shown."""
        cell = self._ended.nth(self._ended.count())
        self._prompt.locator(".cm-content").click()
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        self.wait_until_run(cell, [re.compile(r"\[\d+\]:")])
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())
