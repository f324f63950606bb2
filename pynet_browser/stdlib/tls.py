"""``ssl``, and TLS in asyncio: in this page, or where that was asked for at the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch as module
from pynet_browser.tls import side, tasks

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["patch"]


def patch(patches: Patches, network: Network) -> None:
    """Have them speak TLS; OpenSSL is not loaded before it is needed."""
    side.mount(patches, network)
    module.apply(patches)
    tasks.patch(patches)
