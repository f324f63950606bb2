"""Every exception this package raises, in one tree.

::

    PyNetError
    ├── ProtocolError                     the peer broke docs/protocol.md
    ├── NotInBrowserError (RuntimeError)  this needs a page that runs Pyodide
    ├── UnsupportedRuntimeError (RuntimeError)  this Pyodide lacks what we build on
    ├── BlockingError (OSError, RuntimeError)   a call would have to wait where waiting is impossible
    ├── PolicyError (PermissionError)     the proxy's policy refuses a destination
    ├── RequestError (OSError)            an HTTP request was not answered
    │   ├── CrossOriginError (PermissionError)   the server does not let this page's origin read its answers
    │   ├── PagePolicyError (PermissionError)    the page's own policy (CSP) forbids to ask that server
    │   └── MixedContentError (PermissionError)  a page that came by https may make no plain request
    ├── BrokenAnswerError (ConnectionError)      an HTTP answer broke off
    └── ProxyError (ConnectionError)      the proxy itself
        ├── ProxyUnreachableError         nothing answers at its address
        └── ProxyRefusedError             it answered, and refused this page

    SlowWaitingWarning (UserWarning)      blocking calls wait by synchronous requests

Those that describe a failed operation are also the standard exception a program already catches
(``OSError`` and its subclasses), so nothing has to import this module to handle them.
"""

from __future__ import annotations

import errno

__all__ = [
    "BlockingError",
    "BrokenAnswerError",
    "CrossOriginError",
    "MixedContentError",
    "NotInBrowserError",
    "PagePolicyError",
    "PolicyError",
    "ProtocolError",
    "ProxyError",
    "ProxyRefusedError",
    "ProxyUnreachableError",
    "PyNetError",
    "RequestError",
    "SlowWaitingWarning",
    "UnsupportedRuntimeError",
]


class PyNetError(Exception):
    """Base of all exceptions of this package."""


class ProtocolError(PyNetError):
    """The peer sent something that docs/protocol.md does not allow.

    The session it came over cannot go on: what was meant is not known.
    """


class NotInBrowserError(PyNetError, RuntimeError):
    """Raised by ``install`` and its kin in an interpreter that is not Pyodide."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs Python in the browser (Pyodide 314.0 or newer). On this Python the standard "
            "socket module already reaches the network; to run the proxy for pages use "
            "'pynet-browser serve' (pip install 'pynet-browser[proxy]')."
        )


class UnsupportedRuntimeError(PyNetError, RuntimeError):
    """This Pyodide does not have the parts that sockets are built on."""


class BlockingError(PyNetError, OSError, RuntimeError):
    """A blocking call was made where nothing could ever end its wait.

    ``errno`` is ``EDEADLK``. Python cannot be suspended there, and no proxy can be asked synchronously: there
    is none, what is waited for happens in this page alone, or ``install(blocking="jspi")`` ruled it out.
    """

    def __init__(self, call: str) -> None:
        super().__init__(
            errno.EDEADLK,
            f"{call} would have to wait, and Python cannot be suspended here: this browser lacks JSPI, or "
            "the code was started with runPython or straight from a JavaScript callback. Start it with "
            "runPythonAsync or in a coroutine, or make the socket non-blocking. For sockets that a proxy "
            'carries, install(blocking="auto") lets such calls wait all the same',
        )


class SlowWaitingWarning(UserWarning):
    """A blocking call has waited by synchronous requests, since the interpreter could not be suspended.

    It is given once for each ``install``, and not where ``blocking="xhr"`` asked for it.
    """

    def __init__(self) -> None:
        super().__init__(
            "a blocking call waited by synchronous requests to the proxy: each wait costs some milliseconds, "
            "and the page stands still meanwhile. Python could not be suspended, because this browser lacks "
            "JSPI or the code was started with runPython or straight from a JavaScript callback: where you "
            "can, start it with runPythonAsync or in a coroutine. "
            'install(blocking="xhr") says that this is what you want'
        )


class PolicyError(PyNetError, PermissionError):
    """The proxy's policy refuses the destination; the message names the rule and what to change."""


class RequestError(PyNetError, OSError):
    """An HTTP request got no answer. Browsers seldom tell a page why; the message says what is known."""

    def __init__(self, message: str, code: int = errno.ENETUNREACH) -> None:
        super().__init__(code, message)


class CrossOriginError(RequestError, PermissionError):
    """The server answers, but does not let pages of this origin read its answers (CORS)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, errno.EACCES)


class MixedContentError(RequestError, PermissionError):
    """A page that came by https may make no plain http request."""

    def __init__(self, message: str) -> None:
        super().__init__(message, errno.EACCES)


class PagePolicyError(RequestError, PermissionError):
    """The Content Security Policy of the page itself does not let it connect to the server."""

    def __init__(self, message: str) -> None:
        super().__init__(message, errno.EACCES)


class BrokenAnswerError(PyNetError, ConnectionError):
    """An HTTP answer broke off before its end; what came of it is not all.

    Attributes:
        silent: for how many seconds nothing had come before, as far as that is known.
    """

    def __init__(self, message: str, silent: float = 0.0) -> None:
        super().__init__(errno.ECONNRESET, f"the answer broke off: {message}")
        self.silent = silent


class ProxyError(PyNetError, ConnectionError):
    """Something is wrong between this page and its proxy, whatever the destination."""


class ProxyUnreachableError(ProxyError):
    """No proxy answers at the address given."""


class ProxyRefusedError(ProxyError):
    """The proxy answered and refused this page.

    Attributes:
        code: what was refused: ``"token"``, ``"origin"``, ``"version"``, ``"busy"`` or ``"session"``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(errno.EACCES, message)
        self.code = code
