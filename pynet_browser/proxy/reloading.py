"""Tokens and rules are read anew while the proxy runs: at the signal SIGHUP, as with other servers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from pynet_browser.proxy.config import Config, ConfigError
from pynet_browser.proxy.tenants import Tenants

__all__ = ["reload", "reload_on_hangup"]

log = logging.getLogger(__name__)


def reload(tenants: Tenants, load: Callable[[], Config]) -> bool:
    """Have the tokens and the rules be those that the files name now; false if those are wrong.

    Then everything stays as it was, and the log says what to change.
    """
    try:
        config = load()
    except ConfigError as error:
        log.error("tokens and rules stay as they were: %s", error)
        return False
    tenants.replace(config)
    log.warning("tokens and rules were read anew: %d named tokens", len(config.tokens or ()))
    return True


def reload_on_hangup(tenants: Tenants, load: Callable[[], Config]) -> None:
    """Do so whenever this process is sent SIGHUP."""
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload, tenants, load)
