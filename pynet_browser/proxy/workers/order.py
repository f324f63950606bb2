"""What a worker is told at its start, by the process that started it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pynet_browser.proxy.config import Config
from pynet_browser.proxy.logs import LogFormat
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.services import ServiceAddresses

__all__ = ["Order"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """It goes through a pipe, since the arguments of a process can be read by everybody on its machine.

    Attributes:
        number: of the worker, from 0.
        directory: where all workers have their sockets; nobody else can enter it.
        config: what the proxy was told; of it the worker has its share.
        load: reads that anew at SIGHUP; None leaves that signal alone.
        own: rules that name the proxy itself.
        services: of the demo; None if there are none.
        log_format, verbose: of the log.
    """

    number: int
    directory: Path
    config: Config
    load: Callable[[], Config] | None
    own: tuple[Rule, ...]
    services: ServiceAddresses | None
    log_format: LogFormat | None
    verbose: bool
