"""Python in a page of a real browser, run from a test as if it were here."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page

# Runs in the page. The source may use top-level await; the value of its last expression is the result.
RUNNER = """
import errno, json, traceback
from js import toldByPage
from pyodide.code import eval_code_async

def tell(value):
    toldByPage(json.dumps(value))

async def run_for_test(source, names, filename):
    try:
        namespace = {"__name__": "__main__", "tell": tell, **json.loads(names)}
        value = await eval_code_async(source, namespace, filename=filename)
        return json.dumps({"value": value})
    except BaseException as error:
        return json.dumps({
            "kind": type(error).__qualname__,
            "message": str(error),
            "traceback": traceback.format_exc(),
            "errno": errno.errorcode.get(getattr(error, "errno", None)),
        })

run_for_test
"""

BOOT = """async () => {
    const { loadPyodide } = await import("/pyodide/pyodide.mjs");
    globalThis.pyodide = await loadPyodide({ indexURL: "/pyodide/", packages: ["micropip"] });
}"""

PREPARE = "source => { globalThis.runForTest = pyodide.runPython(source); }"

# Python that never returns must not leave the test waiting without a name.
CALL = """async ([source, names, filename, milliseconds]) => {
    const call = { source, names, filename };
    const result = pyodide.runPythonAsync("await run_for_test(source, names, filename)", {
        globals: pyodide.toPy({ ...call, run_for_test: runForTest }),
    });
    let timer;
    const late = new Promise(resolve => { timer = setTimeout(resolve, milliseconds, null); });
    try {
        return await Promise.race([result, late]);
    } finally {
        clearTimeout(timer);
    }
}"""


class PageError(Exception):
    """An exception that left the Python code in the page.

    Attributes:
        type: The name of its class.
        message: Its sentence.
        traceback: The whole traceback.
        errno: The name of its error number, such as "ECONNREFUSED"; numbers differ between platforms.
    """

    def __init__(self, kind: str, message: str, traceback: str, errno: str | None = None) -> None:
        super().__init__(f"{kind}: {message}\n{traceback}")
        self.type = kind
        self.message = message
        self.traceback = traceback
        self.errno = errno


class PageTimeoutError(Exception):
    """The Python code in the page did not end in time; it may still be running there."""


class PagePython:
    """A page with Pyodide in it.

    Attributes:
        page: Playwright's page.
        console: What the page has printed.
        page_errors: The exceptions nobody caught; a test that provokes one clears the list.
    """

    def __init__(self, browser: Browser, url: str, *, suspends: bool = True) -> None:
        """Opens ``url``, whose origin must serve ``/pyodide/``, and boots Pyodide in it.

        Without ``suspends`` Pyodide finds a browser that cannot suspend Python (JSPI), as Safari 26 is.
        """
        self.console: list[str] = []
        self.page_errors: list[str] = []
        self._numbers = itertools.count(1)
        self._tell: Callable[[Any], None] | None = None
        self._context = browser.new_context()
        self.page: Page = self._context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.page_errors.append(f"{error}\n{error.stack or ''}"))
        self.page.expose_function("toldByPage", self._on_told)
        self.page.goto(url)
        if not suspends:
            self.page.evaluate("() => { delete WebAssembly.Suspending; delete WebAssembly.promising; }")
        self.page.evaluate(BOOT)
        self.page.evaluate(PREPARE, RUNNER)

    def run(
        self,
        source: str,
        *,
        timeout: float = 30,
        tell: Callable[[Any], None] | None = None,
        **names: Any,
    ) -> Any:
        """Runs ``source`` in the page and returns the value of its last expression.

        Args:
            source: Python code; it may use ``await``. It is dedented.
            timeout: How many seconds it may take.
            tell: What ``tell(value)`` in the code calls, while it runs; it must not wait for anything. The
                value must be JSON.
            **names: Global variables for it, which must be JSON.

        Raises:
            PageError: The code raised.
            PageTimeoutError: It took longer than ``timeout``.
        """
        filename = f"<run {next(self._numbers)}>"
        self._tell = tell
        arguments = [textwrap.dedent(source), json.dumps(names), filename, timeout * 1000]
        try:
            answer = self.page.evaluate(CALL, arguments)
        except Error as error:  # not Python's exception: the interpreter died, or the page
            raise PageError("JavaScript", error.message, error.stack or "") from error
        if answer is None:
            msg = f"after {timeout} s:\n{textwrap.dedent(source).strip()}"
            raise PageTimeoutError(msg)
        result = json.loads(answer)
        if "kind" in result:
            raise PageError(**result)
        return result["value"]

    def close(self) -> None:
        """Closes the page, whatever runs in it."""
        self._context.close()

    def _on_told(self, value: str) -> None:
        assert self._tell is not None, f"nobody is there to be told {value}"
        self._tell(json.loads(value))

    def _on_console(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")
