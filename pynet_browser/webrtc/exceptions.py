"""What goes wrong with data channels. Pure."""

from __future__ import annotations

import errno

from pynet_browser.errors import PyNetError

__all__ = ["ChannelClosed", "ChannelClosedError", "ChannelClosedOK"]


class ChannelClosed(PyNetError, ConnectionError):
    """The channel has ended.

    Attributes:
        reason: why, in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNRESET, reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ChannelClosedOK(ChannelClosed):
    """One side has closed it, as it should be."""

    def __init__(self) -> None:
        super().__init__("the channel was closed")


class ChannelClosedError(ChannelClosed):
    """It broke, could not be opened, or was closed because messages were not read."""
