"""``ssl``, and TLS in asyncio: in this page, or where that was asked for at the proxy."""

from __future__ import annotations

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch as module
from pynet_browser.tls import tasks

__all__ = ["patch"]


def patch(patches: Patches) -> None:
    """Have them speak TLS; OpenSSL is not loaded before it is needed."""
    module.apply(patches)
    tasks.patch(patches)
