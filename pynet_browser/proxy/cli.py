"""The command line: ``pynet-browser serve`` and ``python serve.py``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from pynet_browser import __version__
from pynet_browser.proxy import addresses, logs
from pynet_browser.proxy.addresses import bracketed
from pynet_browser.proxy.allocator import collect_seldom, keep_freed_memory
from pynet_browser.proxy.config import Config, ConfigError, MetricsAccess
from pynet_browser.proxy.logs import LogFormat
from pynet_browser.proxy.machine import machine_addresses
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.process import SHUTDOWN_TIMEOUT, StartError, Stopping, drain, loop_factory
from pynet_browser.proxy.tokens import table_of

__all__ = ["main"]

TOKEN_VARIABLE = "PYNET_TOKEN"
BACKLOG = 1024
OPTIONAL = {
    "websockify": "clients of websockify",
    "wisp": "clients of Wisp",
    "posix": "programs with Emscripten's POSIX sockets",
    "signal": "rooms in which pages meet for WebRTC",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line; returns when the proxy has been stopped.

    Args:
        argv: arguments without the program's name; None for those of this process.

    Raises:
        SystemExit: with status 1 when the proxy cannot start, 2 for wrong arguments.
    """
    parser = _parser()
    arguments = vars(parser.parse_args(argv))
    command, name = arguments.pop("command"), arguments.pop("name")
    if command == "token" or name is not None:
        _make_token(parser, command, name)
        return
    file, verbose, form = (arguments.pop(name) for name in ("config", "verbose", "log_format"))
    if not arguments["no_token"] and arguments["token"] is None:
        arguments["token"] = os.environ.get(TOKEN_VARIABLE)
    try:
        config = Config.load(arguments, file)
    except ConfigError as error:
        parser.error(str(error))
    # Where there is nothing to read anew, a hangup ends the process, as when its terminal is closed.
    files = file is not None or config.tokens is not None
    load = functools.partial(Config.load, arguments, file) if files else None
    serve = _serve
    if config.workers > 1:
        serve = functools.partial(_serve_by_workers, form=form, verbose=verbose)
    logs.configure(form, verbose=verbose)
    try:
        keep_freed_memory()
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(config, load))
    except StartError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:  # where the loop cannot handle signals itself
        pass


def _make_token(parser: argparse.ArgumentParser, command: str, name: str | None) -> None:
    """Prints a new token, and what the file of tokens is to say of it."""
    if command != "token" or name is None:
        parser.error("a new token has a name, as in: pynet-browser token ada")
    token = secrets.token_urlsafe(32)
    try:
        table = table_of(name, token)
    except ConfigError as error:
        parser.error(str(error))
    print(f"The token, to be given to whom it is for, and kept nowhere else:\n\n    {token}\n")
    print(f"In the file of tokens (pynet-browser serve --tokens FILE):\n\n{table}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pynet-browser",
        description="The proxy that makes real network connections for Python in the browser.",
        epilog="A RULE is [tcp:|udp:]host:port. The host is a name, a glob (*.example.com), an address or "
        "a network (10.0.0.0/8, [2001:db8::]/32); the port a number, low-high or *. Of the rules that fit, "
        "the most specific decides. For --listen it is [tcp:|udp:][address:]port: without an address this "
        "machine alone can connect, with 0.0.0.0, [::] or * every other too.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "token"],
        default="serve",
        help="serve, which may be left out; or token, which makes a new one for the file of --tokens",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the new token")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 for any free one (default: 8765)")
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--token",
        help=f"what a page must show (default: the environment's {TOKEN_VARIABLE}, else a new one each time)",
    )
    token.add_argument(
        "--no-token",
        action="store_const",
        const=True,
        help="let every page of an allowed origin in; only when listening on this machine alone",
    )
    parser.add_argument(
        "--tokens",
        metavar="FILE",
        help="TOML file of named tokens, each with rules, limits and an end of its own; read anew at SIGHUP",
    )
    _add_list(parser, "--origin", "URL", "origins", "pages that may connect beside the proxy's own")
    _add_list(parser, "--hostname", "NAME", "hostnames", "names under which the proxy is reached")
    _add_list(parser, "--allow", "RULE", "allow", "what pages may connect to")
    _add_list(parser, "--deny", "RULE", "deny", "what pages may not connect to")
    _add_list(parser, "--listen", "RULE", "listen", "where pages may listen (default: nowhere)")
    parser.add_argument(
        "--behind-balancer",
        action="store_const",
        const=True,
        help="other machines reach it through what is in front: the rules hold as if it listened there",
    )
    parser.add_argument(
        "--tls-proxy",
        action="store_const",
        const=True,
        help="let pages have TLS end here: this machine then reads what it carries (default: in the page)",
    )
    parser.add_argument(
        "--no-webrtc",
        dest="webrtc",
        action="store_const",
        const=False,
        help="carry datagrams of pages with all else (default: over WebRTC too, where aiortc is installed)",
    )
    _add_list(
        parser, "--webrtc-address", "ADDRESS", "webrtc_addresses", "where pages reach this machine by UDP"
    )
    parser.add_argument(
        "--webrtc-ports",
        metavar="LOW-HIGH",
        help="UDP ports for WebRTC, of which each worker uses one (default: any free one)",
    )
    parser.add_argument(
        "--drain",
        type=float,
        metavar="SECONDS",
        help="how long sockets may go on when it is stopped (default: 5)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that serve, each with its part of the limits for all (default: 1)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with these options and limits")
    parser.add_argument("--pyodide", metavar="DIR", help="directory with a Pyodide distribution to serve")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_const", const=False, help="serve no demo page and services"
    )
    for name, what in OPTIONAL.items():
        parser.add_argument(
            f"--no-{name}", dest=name, action="store_const", const=False, help=f"do not serve {what}"
        )
    parser.add_argument(
        "--websockify-targets",
        metavar="FILE",
        help="targets for /websockify?token=NAME: lines name: host:port",
    )
    parser.add_argument(
        "--log-format",
        choices=get_args(LogFormat),
        help="write a line for every decision: key=value (text), or JSON",
    )
    parser.add_argument(
        "--metrics",
        choices=get_args(MetricsAccess),
        help="who may read /metrics: with a token (default), programs on this machine, everybody, nobody",
    )
    parser.add_argument("--metrics-token", metavar="TOKEN", help="what opens /metrics, and nothing else")
    parser.add_argument("--verbose", action="store_true", help="log requests and connections")
    return parser


def _add_list(parser: argparse.ArgumentParser, option: str, metavar: str, name: str, text: str) -> None:
    parser.add_argument(option, dest=name, nargs="+", action="extend", metavar=metavar, help=text)


async def _serve(config: Config, load: Callable[[], Config] | None) -> None:
    """Serves until the process is told to stop.

    Args:
        config: what it was told.
        load: reads that anew at SIGHUP; None leaves that signal alone.

    Raises:
        StartError: The proxy cannot start.
    """
    with _told_what_to_install():
        from aiohttp import web

        from pynet_browser.proxy.app import POLICY, SESSIONS, create_app
        from pynet_browser.proxy.reloading import reload_on_hangup

    stopping = Stopping()
    listeners = _listen(config.host, config.port)
    config = replace(config, port=listeners[0].getsockname()[1])
    app = create_app(config)
    app[POLICY].add_built_in(deny=_own_rules(listeners))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    collect_seldom()
    try:
        for listener in listeners:
            await web.SockSite(runner, listener).start()
        if load is not None:
            reload_on_hangup(app[SESSIONS].tenants, load)
        _announce(config)
        await stopping.stop.wait()
        await drain(app[SESSIONS], config.drain, stopping.hurry)
    finally:
        await runner.cleanup()


async def _serve_by_workers(
    config: Config, load: Callable[[], Config] | None, *, form: LogFormat | None, verbose: bool
) -> None:
    """Has several processes serve, until this one is told to stop.

    Raises:
        StartError: The proxy cannot start.
    """
    with _told_what_to_install():
        from pynet_browser.proxy.app import create_app  # noqa: F401 - what workers need is asked for once
        from pynet_browser.proxy.assets import Assets
        from pynet_browser.proxy.services import running_services
        from pynet_browser.proxy.workers.order import Order
        from pynet_browser.proxy.workers.parent import Parent

    listeners = _listen(config.host, config.port)
    config = replace(config, port=listeners[0].getsockname()[1])
    async with contextlib.AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pynet-"))
        services = None
        if Assets.find(config).demo:
            services = await stack.enter_async_context(running_services())
        order = Order(
            number=0, directory=Path(directory), config=config, load=load, own=tuple(_own_rules(listeners)),
            services=services, log_format=form, verbose=verbose,
        )  # fmt: skip
        await Parent(listeners, order).run(lambda: _announce(config))


@contextlib.contextmanager
def _told_what_to_install() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pynet_browser"):
            raise
        raise StartError(
            f"the proxy needs {error.name}; install it with: pip install 'pynet-browser[proxy]'"
        ) from error


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of ``host``, all on one port.

    Raises:
        StartError: The name is unknown, or the address cannot be listened on.
    """
    listeners: list[socket.socket] = []
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, where in infos:
            # With port 0 the first address chooses, and the others follow.
            chosen = listeners[0].getsockname()[1] if listeners else port
            listener = socket.create_server((str(where[0]), chosen), family=family, backlog=BACKLOG)
            listeners.append(listener)
    except OSError as error:
        for listener in listeners:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "it is in use, perhaps by another proxy; choose one with --port, or --port 0 for any"
        elif error.errno == errno.EACCES:
            hint = "ports below 1024 are reserved; choose another with --port"
        else:
            hint = error.strerror or str(error)
        raise StartError(f"cannot listen on {host} port {port}: {hint}") from error
    return listeners


def _own_rules(listeners: Sequence[socket.socket]) -> list[Rule]:
    """Rules that name the proxy itself, so that a page cannot loop through it."""
    rules = []
    for listener in listeners:
        text, port = listener.getsockname()[:2]
        address = addresses.literal(text)
        own = {text}
        if address and address.is_unspecified:
            own = machine_addresses(listener.family)
            own |= {"127.0.0.0/8"} if listener.family == socket.AF_INET else set()
        # By TCP alone: the UDP port of that number may be a page's own.
        rules += [Rule.parse(f"tcp:[{each}]:{port}" if ":" in each else f"tcp:{each}:{port}") for each in own]
    return rules


def _announce(config: Config) -> None:
    """Says where the proxy is. The URL holds the token, as one pastes it into a browser."""
    address = addresses.literal(config.host)
    if address is None:
        host = config.host
    elif address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004
    else:
        host = bracketed(address)
    where = f"{host}:{config.port}"
    query = f"?token={quote(config.token, safe='')}" if config.token is not None else ""
    token = f", token={json.dumps(config.token)}" if config.token is not None else ""
    if config.token is None and config.wants_token:
        token = ', token="…"'
    print(f"The proxy is running. Open\n\n    http://{where}/{query}\n")
    print(f'or, in Python in a page:\n\n    await pynet_browser.install("ws://{where}/pynet"{token})\n')
    if config.tokens is not None:
        print(f"It knows {len(config.tokens)} named tokens; SIGHUP has it read them anew.\n")
    print("Ctrl-C stops it.", flush=True)
