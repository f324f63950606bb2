"""OpenSSL is brought into the page when TLS is first used, or before."""

from __future__ import annotations

from importlib.util import find_spec

from pynet_browser.runtime import IN_PAGE, can_suspend, fetch_engine, wait_for
from pynet_browser.settings import installed

_failure: ImportError | None = None
"""Why the first use had none: it is not tried again for each use, but when it is asked for by name."""

__all__ = ["fetch_on_first_use", "is_here", "load_engine", "load_engine_sync"]


def is_here() -> bool:
    """Whether it can be imported."""
    return find_spec("OpenSSL") is not None


async def load_engine() -> None:
    """Load it unless it is here, and import it.

    Raises:
        ssl.SSLError: it cannot be had; the message says what to load.
    """
    from pynet_browser.tls.engine import engine, missing

    if IN_PAGE and not is_here():
        try:
            await fetch_engine()
        except ImportError as error:
            raise missing(str(error)) from error
    engine()


def load_engine_sync() -> None:
    """The same for code that cannot await; what is not here is loaded where Python can be suspended."""
    from pynet_browser.tls.engine import engine

    engine()


def fetch_on_first_use() -> None:
    """Load it for a program that has just asked for TLS; other tasks go on meanwhile.

    Raises:
        ImportError: it cannot be had here.
    """
    if not IN_PAGE:
        raise ImportError("it is not installed")
    if installed().tls == "proxy":
        raise ImportError("by install(tls='proxy') the proxy ends it, on sockets alone")
    if installed().blocking == "xhr" or not can_suspend():
        raise ImportError("it is not loaded, and Python cannot be suspended here to load it")
    global _failure
    if _failure:
        raise _failure
    try:
        wait_for(fetch_engine())
    except ImportError as error:
        _failure = error
        raise
