"""Python in a page of a real browser, run from a test as if it were here."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tests.driven import DrivenBrowser, ScriptError

Thread: TypeAlias = Literal["page", "worker"]
"""Where Python runs: on the page's own thread, or in a module worker of the page."""

Entry: TypeAlias = Literal["async", "sync", "callback"]
"""How Python is entered: by runPythonAsync, by runPython, or by a timer that calls one of its functions. It
can be suspended in the first alone."""

BOOT_TIMEOUT = 60.0

# Runs in the page, or in its worker. The value of a program's last expression is the result.
RUNNER = """
import errno, js, json, traceback
from pyodide.code import eval_code, eval_code_async

def tell(value):
    js.tell(json.dumps(value))

def namespace(names):
    return {"__name__": "__main__", "tell": tell, **json.loads(names)}

def failure(error):
    return json.dumps({
        "kind": type(error).__qualname__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "errno": errno.errorcode.get(getattr(error, "errno", None)),
    })

async def run(source, names, filename):
    try:
        return json.dumps({"value": await eval_code_async(source, namespace(names), filename=filename)})
    except BaseException as error:
        return failure(error)

def run_now(source, names, filename, answered=lambda answer: answer):
    try:
        answer = json.dumps({"value": eval_code(source, namespace(names), filename=filename)})
    except BaseException as error:
        answer = failure(error)
    return answered(answer)

run, run_now
"""

PROGRAM = Path(__file__).with_suffix(".js")

BOOT = """async ([program, options]) => {
    const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    const { boot } = await import(url);
    await boot(options);
    return true;
}"""

CALL = "call => python.call(call)"

INTERRUPT = "() => { interrupts[0] = 2; return true; }"


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
        browser: Where it is.
        console: What the page has printed.
        page_errors: The exceptions nobody caught; a test that provokes one clears the list.
    """

    def __init__(
        self,
        browser: DrivenBrowser,
        url: str,
        *,
        thread: Thread = "page",
        suspends: bool = True,
        own: bool = False,
    ) -> None:
        """Opens a page and boots Pyodide, which its origin must serve at ``/pyodide/``.

        Args:
            browser: In which.
            url: The page.
            thread: Where Python runs.
            suspends: If not, Pyodide finds a browser that cannot suspend Python (JSPI), as Safari 26 is.
            own: Whether storage and caches are the page's own; otherwise it shares them with other pages.
        """
        self.console: list[str] = []
        self.page_errors: list[str] = []
        self._numbers = itertools.count(1)
        self._tell: Callable[[Any], None] | None = None
        self.browser = browser
        # Firefox keeps no compiled code: nothing is won by what its pages would share.
        self._tab = browser.open(self, url, own=own or browser.product == "Firefox")
        self._closed = False
        options = {"thread": thread, "suspends": suspends, "runner": RUNNER}
        self.evaluate(BOOT, [PROGRAM.read_text("utf-8"), options], BOOT_TIMEOUT)

    def run(
        self,
        source: str,
        *,
        entry: Entry = "async",
        timeout: float = 30,
        tell: Callable[[Any], None] | None = None,
        **names: Any,
    ) -> Any:
        """Runs ``source`` in the page and returns the value of its last expression.

        Args:
            source: Python code, which is dedented; where it is entered by ``async`` it may use ``await``.
            entry: How Python is entered.
            timeout: How many seconds it may take.
            tell: What ``tell(value)`` in the code calls, while it runs; it must not wait for anything. The
                value must be JSON. Code that keeps the page's own thread may be heard only at its end.
            **names: Global variables for it, which must be JSON.

        Raises:
            PageError: The code raised.
            PageTimeoutError: It took longer than ``timeout``.
        """
        self._tell = tell
        call = {
            "entry": entry,
            "source": textwrap.dedent(source),
            "names": json.dumps(names),
            "filename": f"<run {next(self._numbers)}>",
        }
        try:
            answer = self.evaluate(CALL, call, timeout)
        except TimeoutError:
            msg = f"after {timeout} s:\n{call['source'].strip()}"
            raise PageTimeoutError(msg) from None
        result = json.loads(answer)
        if "kind" in result:
            raise PageError(**result)
        return result["value"]

    def interrupt(self) -> None:
        """Interrupts Python in the worker of a page that is cross-origin isolated, as Ctrl-C does."""
        self.evaluate(INTERRUPT, None, BOOT_TIMEOUT)

    def evaluate(self, function: str, argument: Any = None, timeout: float = 30) -> Any:
        """What a function of JavaScript's, or a promise of it, gives in the page; it must be JSON.

        Raises:
            PageError: It throws, or the page is gone.
            TimeoutError: It takes longer than so many seconds, whatever keeps the page.
        """
        code, milliseconds = function, timeout * 1000
        try:
            return self._ask("evaluate", code=code, argument=argument, milliseconds=milliseconds)
        except ScriptError as error:
            raise PageError("JavaScript", str(error), error.stack) from error

    def devtools(self, command: str, file: Path | None = None, **parameters: Any) -> Any:
        """Gives a command to Chromium's DevTools: what it answers, unless that is to be in a file."""
        return self._ask("devtools", command=command, parameters=parameters, file=file and str(file))

    def close(self) -> None:
        """Closes the page, whatever runs in it."""
        if not self._closed:
            self._closed = True
            self._ask("close")

    def hear(self, line: dict[str, str]) -> None:
        """Takes what the driver says about the page."""
        if "told" in line:
            assert self._tell is not None, f"nobody is there to be told {line['told']}"
            self._tell(json.loads(line["told"]))
        elif "uncaught" in line:
            self.page_errors.append(line["uncaught"])
        else:
            self.console.append(line["console"])

    def _ask(self, action: str, **arguments: Any) -> Any:
        return self.browser.ask(action, tab=self._tab, **arguments)
