"""Data channels to another page, by the browser's own WebRTC. See docs/webrtc.md."""

from __future__ import annotations

from pynet_browser.webrtc.channel import DataChannel
from pynet_browser.webrtc.connection import PeerConnection
from pynet_browser.webrtc.exceptions import ChannelClosed, ChannelClosedError, ChannelClosedOK
from pynet_browser.webrtc.meeting import meet

__all__ = [
    "ChannelClosed",
    "ChannelClosedError",
    "ChannelClosedOK",
    "DataChannel",
    "PeerConnection",
    "meet",
]
