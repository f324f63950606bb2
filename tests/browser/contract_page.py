"""Pages with the contract in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests import contract
from tests.page_python import PagePython
from tests.servers import ProxyProcess

PLACES = ("proxy", "page")
"""Whom sockets reach: those of a proxy's host and of all it reaches, or those of their own page alone."""


def open_contract(
    place: str, open_python: Callable[..., PagePython], start_proxy: Callable[..., ProxyProcess]
) -> PagePython:
    """Opens a page in which ``tests.contract`` is a package as it is here."""
    if place == "proxy":
        # By the session alone: on a data channel a datagram may overtake the close of its receiver.
        python = open_python(start_proxy("--listen", "*:*", "--no-webrtc"))
    else:
        python = open_python(install=False)
        python.run("import pynet_browser; await pynet_browser.install(None); None")
    bring_contract(python)
    return python


def bring_contract(python: PagePython) -> None:
    """Puts ``tests.contract`` into a page."""
    folder = Path(contract.__file__).parent
    files = [folder.parent / "__init__.py", *folder.glob("*.py")]
    python.run(
        """
        import pathlib, sys
        for name, text in sources.items():
            path = pathlib.Path("/contract", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        sys.path.insert(0, "/contract")
        None
        """,
        sources={str(path.relative_to(folder.parents[1])): path.read_text("utf-8") for path in files},
    )
