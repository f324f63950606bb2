"""The proxy server: makes the real sockets that pages ask for, behind a policy. Needs the ``proxy`` extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynet_browser.proxy.config import Config, ConfigError, Limits

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Config", "ConfigError", "Limits", "create_app"]


def create_app(config: Config) -> web.Application:
    """The proxy as an aiohttp application, to be served or mounted by another; see ``proxy.app``."""
    # Imported here, so that the command line can say what to install where aiohttp is missing.
    from pynet_browser.proxy.app import create_app as create

    return create(config)
