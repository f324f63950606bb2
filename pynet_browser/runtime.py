"""The seam to Pyodide, Python's half: the only module here that imports ``js`` or ``pyodide``.

With ``js/sockfs.js`` it holds all that is known of Pyodide's internals, and says clearly when they are not
what it knows (Pyodide 314.0 or newer).
"""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Awaitable, Callable, Generator
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pynet_browser.errors import (
    BlockingError,
    NotInBrowserError,
    ProxyRefusedError,
    ProxyUnreachableError,
    UnsupportedRuntimeError,
)
from pynet_browser.settings import Options

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "Network",
    "Reply",
    "Watchlist",
    "callback",
    "can_suspend",
    "examine",
    "fetch_engine",
    "open_network",
    "open_network_sync",
    "page_error",
    "page_side",
    "to_page",
    "wait_for",
]

T = TypeVar("T")

IN_PAGE = sys.platform == "emscripten"


class Reply:
    """An answer of the page's side that may still be on its way: plain values in a dictionary.

    An answer that says what failed has ``error`` (an errno or EAI name) and ``message``.
    """

    def __init__(self, call: str, js_network: Any, answer: Any) -> None:
        self._call = call
        self._js = js_network
        self._answer = answer
        self._pending = answer if hasattr(answer, "promise") else None

    @property
    def settled(self) -> bool:
        """Whether the answer is here."""
        if self._pending is not None and (answer := self._pending.answer) is not None:
            self._answer, self._pending = answer, None
        return self._pending is None

    @property
    def suspends(self) -> bool:
        """Whether ``wait`` would let other tasks run meanwhile, or not wait at all."""
        return self.settled or bool(self._js.suspends)

    def wait(self) -> dict[str, Any]:
        """The answer.

        Raises:
            BlockingError: it is not here, and waiting is impossible.
            KeyboardInterrupt: a signal has come.
        """
        while not self.settled:
            if self._js.suspends:
                wait_for(self._answer.promise)
            elif not self._js.block(self._pending):
                raise BlockingError(self._call)
        return cast(dict[str, Any], self._answer.to_py())

    def __await__(self) -> Generator[Any, Any, dict[str, Any]]:
        answer = self._answer if self.settled else (yield from self._answer.promise.__await__())
        return cast(dict[str, Any], answer.to_py())


class Watchlist:
    """Descriptors that an event loop watches for events of ``select.poll``; see ``js/watchlist.js``."""

    def __init__(self, js_network: Any, wake: Callable[[], None]) -> None:
        from pyodide.ffi import create_proxy

        self._wake = create_proxy(wake)
        self._js = js_network.watchlist(self._wake)

    def watch(self, fd: int, events: int) -> str:
        """Watch for these events instead of those before; the name of an errno, or nothing."""
        return str(self._js.watch(fd, events))

    def forget(self, fd: int) -> None:
        """Watch it no more."""
        self._js.forget(fd)

    def take(self) -> list[tuple[int, int]]:
        """What is ready: descriptors and events. It counts as handled when ``rearm`` is called."""
        return [tuple(each) for each in self._js.take().to_py()]

    def rearm(self) -> None:
        """What was taken has been handled; what is still ready wakes again."""
        self._js.rearm()

    def close(self) -> None:
        """Watch nothing any more."""
        self._js.clear()
        self._wake.destroy()


class Network:
    """What the page's side offers to the standard modules, in Python's types."""

    def __init__(self, js_network: Any) -> None:
        self._js = js_network

    def mount(self) -> None:
        """Put our sockets in place of Emscripten's."""
        self._js.mount()

    def close(self) -> None:
        """Give Emscripten its sockets back and end the session; sockets that are open fail."""
        self._js.close()

    @property
    def suspends(self) -> bool:
        """Whether a call made now may suspend the interpreter."""
        return bool(self._js.suspends)

    @property
    def waits(self) -> bool:
        """Whether a blocking call made now could wait, in whatever way."""
        return str(self._js.waiting) != "none"

    def resolve(self, host: str, service: str, family: int) -> Reply:
        """Ask for addresses.

        Args:
            host: a name, or empty.
            service: a service's name, or empty.
            family: 4, 6 or 0 for either.

        Returns:
            ``canonical``, ``port`` and ``addresses`` (each ``family``, ``host``, ``port``).
        """
        return self._reply("getaddrinfo", self._js.resolve(host, service, family))

    def reverse(self, family: int, host: str, port: int, *, datagram: bool) -> Reply:
        """Ask for the names of an address and a port: ``host`` and ``service``."""
        return self._reply("getnameinfo", self._js.reverse(family, host, port, datagram))

    def describe(self, fd: int) -> tuple[int, int, int] | None:
        """Family, kind and protocol of one of our sockets."""
        described = self._js.describe(fd)
        return cast(tuple[int, int, int], tuple(described)) if described else None

    def pair(self, kind: int) -> tuple[int, int] | str:
        """Descriptors of two sockets connected within the page, or the name of an errno."""
        pair = self._js.pair(kind)
        return pair if isinstance(pair, str) else (pair[0], pair[1])

    def bind(self, fd: int, host: str, port: int) -> Reply:
        """Ask for an address: an empty host for every address, port 0 for a free one."""
        return self._reply("bind", self._js.bind(fd, host, port))

    def listen(self, fd: int, backlog: int) -> Reply:
        """Ask to accept connections."""
        return self._reply("listen", self._js.listen(fd, backlog))

    def accept(self, fd: int) -> int | str:
        """The descriptor of a connection that came in, or the name of an errno."""
        return cast(int | str, self._js.accept(fd))

    def connect(self, fd: int, host: str, port: int) -> Reply:
        """Start to connect a stream, which is decided when it is writable; or ask for a datagram's peer."""
        return self._reply("connect", self._js.connect(fd, host, port))

    def addresses(self, fd: int) -> tuple[tuple[str, int], tuple[str, int] | None] | None:
        """This end and the other end of one of our sockets, as far as there are."""
        addresses = self._js.addresses(fd)
        if not addresses:
            return None
        local, peer = addresses.to_py()
        return (local[0], local[1]), (peer[0], peer[1]) if peer else None

    def settled(self, fd: int) -> Reply | None:
        """To wait until the addresses are known that are still being asked for; None if none are."""
        answer = self._js.settled(fd)
        return self._reply("getsockname", answer) if answer else None

    def option(self, fd: int, name: str) -> list[str] | None:
        """What an option was set to."""
        values = self._js.option(fd, name)
        return cast(list[str], values.to_py()) if values is not None else None

    def set_option(self, fd: int, name: str, values: list[str]) -> Reply:
        """Set an option by its name in C; docs/protocol.md says which values each has."""
        from pyodide.ffi import to_js

        return self._reply("setsockopt", self._js.setOption(fd, name, to_js(values)))

    @property
    def ends_tls(self) -> bool:
        """Whether the proxy speaks TLS for pages."""
        return "tls" in self.status()["features"]

    def start_tls(self, fd: int, wanted: dict[str, Any]) -> Reply:
        """Ask the proxy to speak TLS on a connection; see docs/protocol.md, "TLS at the proxy"."""
        return self._reply("do_handshake", self._js.startTls(fd, to_page(wanted)))

    def listening(self, fd: int) -> bool:
        """Whether it accepts connections."""
        return bool(self._js.listening(fd))

    def explain(self, fd: int) -> tuple[str, str] | None:
        """Code and sentence of the last error that the socket reported."""
        explained = self._js.explain(fd)
        return (explained[0], explained[1]) if explained else None

    def peek(self, fd: int, limit: int) -> bytes | None:
        """Bytes that could be read now, left where they are; None where there are none."""
        data = self._js.peek(fd, limit)
        return cast(bytes, data.to_bytes()) if data is not None else None

    def sender(self, fd: int) -> tuple[str, int, int] | None:
        """Whence the datagram came that was read or seen last, host and port, and how long it was."""
        sender = self._js.sender(fd)
        return (sender[0], sender[1], sender[2]) if sender else None

    def send_to(self, fd: int, data: memoryview, host: str, port: int) -> int | str:
        """Send one datagram to a numeric address; the number of bytes, or the name of an errno."""
        from pyodide.ffi import create_proxy

        proxy = create_proxy(data)
        try:
            return cast(int | str, self._js.sendTo(fd, proxy, host, port))
        finally:
            proxy.destroy()

    def watchlist(self, wake: Callable[[], None]) -> Watchlist:
        """What an event loop watches descriptors with; ``wake`` is called when some have become ready."""
        return Watchlist(self._js, wake)

    def _reply(self, call: str, answer: Any) -> Reply:
        return Reply(call, self._js, answer)

    def status(self) -> dict[str, Any]:
        """The connection to the proxy and each open socket, as plain values."""
        return cast(dict[str, Any], self._js.status().to_py())


async def fetch_engine() -> None:
    """Have OpenSSL in this page: Pyodide's own ``cryptography``, the pyOpenSSL that fits it, and roots.

    Raises:
        ImportError: some of it cannot be had.
    """
    from importlib.metadata import version

    import pyodide_js
    from pyodide.ffi import JsException, to_js

    try:
        await pyodide_js.loadPackage(to_js(["cryptography", "certifi", "micropip"]))
        import micropip

        await micropip.install(_pyopenssl(version("cryptography")))
    except (JsException, ImportError, ValueError, OSError) as error:
        raise ImportError(f"it could not be loaded: {getattr(error, 'message', error)}") from None


def _pyopenssl(cryptography: str) -> str:
    """The requirement that fits: pyOpenSSL 26.3 and newer want cryptography 49."""
    fits = int(cryptography.partition(".")[0]) >= 49  # noqa: PLR2004
    return "pyopenssl>=26.1" if fits else "pyopenssl>=26.1,<26.3"


def can_suspend() -> bool:
    """Whether Python was entered so that it may be suspended."""
    if not IN_PAGE:
        return False
    from pyodide.ffi import can_run_sync

    return bool(can_run_sync())


async def open_network(
    options: Options, on_blocked: Callable[[], None], on_no_channel: Callable[[str], None]
) -> Network:
    """Load the page's side and reach the proxy.

    Args:
        options: how it is wanted.
        on_blocked: called once, soon after a call has waited without suspending Python.
        on_no_channel: called with a sentence when datagrams find no data channel.

    Raises:
        NotInBrowserError: this Python is not Pyodide.
        UnsupportedRuntimeError: this Pyodide is older than 314.0, or its internals have changed.
        ProxyUnreachableError: nothing answers at the address.
        ProxyRefusedError: the proxy refuses the token, this page's origin, or this version.
    """
    exports, module, given = _page_side(options, on_blocked, on_no_channel)
    from pyodide.ffi import JsException

    try:
        return Network(await exports.open(module, given))
    except JsException as error:
        raise _refusal(error) from None


def open_network_sync(
    options: Options, on_blocked: Callable[[], None], on_no_channel: Callable[[str], None]
) -> Network:
    """The same for code that cannot await: by suspending Python if that is possible, else by a request.

    Raises:
        BlockingError: Python cannot be suspended here, and blocking calls were to wait in no other way.
    """
    exports, module, given = _page_side(options, on_blocked, on_no_channel)
    from pyodide.ffi import JsException

    suspends = options.blocking != "xhr" and can_suspend()
    if options.url and options.blocking == "jspi" and not suspends:
        raise BlockingError("install_sync")
    try:
        return Network(
            _suspend(exports.parked(module, exports.open(module, given)))
            if suspends
            else exports.openNow(module, given)
        )
    except JsException as error:
        raise _refusal(error) from None


def _page_side(
    options: Options, on_blocked: Callable[[], None], on_no_channel: Callable[[str], None]
) -> tuple[Any, Any, Any]:
    """What js/index.js exports, Pyodide's module, and the options for both together."""
    if not IN_PAGE:
        raise NotInBrowserError("pynet_browser.install")
    import pyodide_js
    from pyodide.ffi import create_proxy, to_js

    exports = page_side()
    module = pyodide_js._module
    missing = exports.missingParts(module).to_py()
    if missing:
        raise UnsupportedRuntimeError(
            "pynet_browser needs Pyodide 314.0 or newer; "
            f"this is {pyodide_js.version}, and it lacks {', '.join(missing)}"
        )
    given = asdict(options) | {
        "errno": {name: value for name, value in vars(errno).items() if name.startswith("E")},
        # These live as long as the page: they may be called at any time.
        "onBlocked": create_proxy(on_blocked),
        "onNoChannel": create_proxy(on_no_channel),
    }
    return exports, module, to_js(given)


@functools.cache
def page_side() -> Any:
    """What js/index.js exports.

    Raises:
        NotInBrowserError: this Python is not Pyodide.
    """
    if not IN_PAGE:
        raise NotInBrowserError("pynet_browser")
    from pyodide.code import run_js

    return run_js(resources.files("pynet_browser").joinpath("pynet.js").read_text("utf-8"))


def page_error() -> type[Exception]:
    """The exception for what JavaScript throws; it has ``name`` and ``message``."""
    from pyodide.ffi import JsException

    return cast(type[Exception], JsException)


def to_page(value: object) -> Any:
    """The same in JavaScript's types; bytes are copied."""
    return _to_js()(value)


@functools.cache
def _to_js() -> Callable[[object], Any]:
    from pyodide.ffi import to_js

    return cast(Callable[[object], Any], to_js)


def callback(function: Callable[..., object]) -> Any:
    """What JavaScript may call until it is destroyed, with ``destroy()``."""
    from pyodide.ffi import create_proxy

    return create_proxy(function)


def wait_for(awaitable: Awaitable[T]) -> T:
    """Suspend Python until there is a result; ``can_suspend`` says where that is possible.

    Raises:
        KeyboardInterrupt: a signal has come meanwhile, or what else Python's handler of it raises; what was
            waited for is cancelled.
    """
    import asyncio

    import pyodide_js
    from pyodide.ffi import JsProxy

    module = pyodide_js._module
    takes_signals = bool(getattr(module, "Py_EmscriptenSignalBuffer", None))
    if not takes_signals and isinstance(awaitable, JsProxy):
        return cast(T, _suspend(page_side().parked(module, awaitable)))
    future = asyncio.ensure_future(awaitable)
    if not takes_signals:
        _until_done(module, future)
        return future.result()
    import _thread
    import signal

    try:
        while (signals := _suspended(module, future)) or not future.done():
            for number in signals:
                # Its handler raises, or the wait goes on.
                _thread.interrupt_main(signal.Signals(number))
    except BaseException:
        future.cancel()
        raise
    return future.result()


def _suspended(module: Any, future: asyncio.Future[T]) -> list[int]:
    """Suspend Python until that is done, or signals have come: these."""
    signals: list[int] = []
    suspension = page_side().suspension(module)

    def take(number: int) -> None:
        signals.append(number)
        suspension.resolve()

    taking = callback(take)
    forget = page_side().takeSignals(module, taking)
    try:
        _until_done(module, future, suspension)
    finally:
        forget()
        taking.destroy()
    return signals


def _until_done(module: Any, future: asyncio.Future[T], suspension: Any = None) -> None:
    """Suspend Python until that is done, or the suspension is ended."""
    suspension = suspension or page_side().suspension(module)

    def wake(_done: object) -> None:
        suspension.resolve()

    future.add_done_callback(wake)
    try:
        _suspend(suspension.promise)
    finally:
        future.remove_done_callback(wake)


def _suspend(parked: Any) -> Any:
    """Suspend Python on a promise that keeps its collector off what is suspended."""
    from pyodide.ffi import run_sync

    return run_sync(parked)


async def examine(url: str, token: str, agent: str, host: str, port: int, *, blocks: bool) -> dict[str, Any]:
    """What can be found out here, as plain values for ``diagnosis.py``; an installed network is left alone.

    Args:
        url: of the proxy's WebSocket; empty for no proxy.
        token: the proxy's.
        agent: what this page calls itself.
        host: what the proxy is to connect to; empty for nothing.
        port: its port.
        blocks: whether blocking calls would wait by synchronous requests.
    """
    found: dict[str, Any] = {"python": sys.version.partition(" ")[0], "pyodide": ""}
    if not IN_PAGE:
        return found
    import pyodide_js
    from pyodide.ffi import to_js

    exports = page_side()
    found["pyodide"] = str(pyodide_js.version)
    found["missing"] = exports.missingParts(pyodide_js._module).to_py()
    found["page"] = exports.surroundings().to_py()
    if url:
        question = {"url": url, "token": token, "agent": agent, "host": host, "port": port, "blocks": blocks}
        found.update((await exports.probe(to_js(question))).to_py())
    return found


def _refusal(error: Any) -> OSError:
    """The exception for what ``Connection.open`` rejects with."""
    if getattr(error, "code", "unreachable") == "unreachable":
        return ProxyUnreachableError(errno.ENETUNREACH, str(error.message))
    if error.code == "channel":
        return OSError(errno.EOPNOTSUPP, str(error.message))
    return ProxyRefusedError(str(error.code), str(error.message))
