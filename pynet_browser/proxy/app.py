"""The proxy as an aiohttp application: its routes, and what holds for every request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Middleware

from pynet_browser import __version__
from pynet_browser.proxy import guard
from pynet_browser.proxy.assets import Assets
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.door import GreetingError, Visitor, own_origin
from pynet_browser.proxy.policy import Policy, Rule
from pynet_browser.proxy.resolver import Resolver
from pynet_browser.proxy.services import ServiceAddresses, running_services

if TYPE_CHECKING:
    from pynet_browser.proxy.relay import Relays
    from pynet_browser.proxy.sessions import Sessions
    from pynet_browser.proxy.signalling import Signalling
    from pynet_browser.proxy.tenants import Tenants

__all__ = ["CONFIG", "POLICY", "RELAYS", "SESSIONS", "SIGNALLING", "create_app"]

CONFIG = web.AppKey("config", Config)
POLICY = web.AppKey("policy", Policy)
SESSIONS: web.AppKey[Sessions] = web.AppKey("sessions")
RELAYS: web.AppKey[Relays] = web.AppKey("relays")
SIGNALLING: web.AppKey[Signalling] = web.AppKey("signalling")
ASSETS = web.AppKey("assets", Assets)
SERVICES: web.AppKey[ServiceAddresses] = web.AppKey("services")

MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
}
"""What browsers insist on, whatever this machine's own table of types says."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the page's address holds the token
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Cache-Control": "no-cache",  # ask again each time: the wheel may have been rebuilt
}

PARTS_MAX = 8
"""Parts of a path that are looked at for a token; what is behind them is not logged."""

access_log = logging.getLogger("pynet_browser.access")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(
    config: Config,
    assets: Assets | None = None,
    *,
    first: Sequence[Middleware] = (),
    services: ServiceAddresses | None = None,
) -> web.Application:
    """Makes the proxy.

    Args:
        config: what it was told.
        assets: the files it serves; None looks for them in the usual places.
        first: middlewares that see each request before all else.
        services: the demo's, which run elsewhere; None has them run here.

    The parts that answer for sessions find what they need in the application, under ``CONFIG``, ``POLICY``
    and ``SESSIONS``. They let their clients in by ``sessions.door``; the Host header was checked.

    Serve it with ``access_log=None``: aiohttp's own log has whole URLs, the token among them.
    """
    # Imported here, since these modules import the keys above.
    from pynet_browser.proxy.carriers import http, websocket
    from pynet_browser.proxy.compat import posix, websockify, wisp
    from pynet_browser.proxy.relay import Relays
    from pynet_browser.proxy.sessions import Sessions
    from pynet_browser.proxy.signalling import Signalling
    from pynet_browser.proxy.tenants import Tenants

    app = web.Application(middlewares=[*first, _log_access, _check_host])
    policy = Policy(config.allow, config.deny, config.listen, public=config.public, own_port=config.port)
    resolver = Resolver(policy, timeout=config.connect_timeout, at_once=config.limits.resolves)
    app[CONFIG] = config
    app[POLICY] = policy
    app[SESSIONS] = Sessions(config, Tenants(config, policy, resolver))
    app[ASSETS] = assets or Assets.find(config)
    app.on_response_prepare.append(_add_headers)
    app.cleanup_ctx.append(_watch_tokens)
    app.on_shutdown.append(_close_sessions)
    app.router.add_get("/pynet", websocket.handle)
    app.router.add_post("/pynet/http", http.handle)
    relays = app[RELAYS] = Relays(app[SESSIONS])
    app.router.add_post("/pynet/fetch", relays.handle)
    app.on_cleanup.append(lambda _: relays.close())
    if config.websockify:
        websockify.add_routes(app)
    if config.wisp:
        wisp.add_routes(app)
    if config.posix:
        posix.add_routes(app)
    if config.signal:
        app[SIGNALLING] = Signalling(config)
        app.router.add_get("/signal/{room}", app[SIGNALLING].handle)
        app.on_shutdown.append(_close_rooms)
    app.router.add_get("/healthz", _health)
    if config.metrics != "off":
        _add_metrics(app)
    app.router.add_get("/dist/latest", _latest_wheel)
    app.router.add_get("/dist/{name}", _wheel)
    if demo := app[ASSETS].demo:
        if services is None:
            app.cleanup_ctx.append(_run_services)
        else:
            _use_services(app, services)
        app.router.add_get("/", _to_demo)
        app.router.add_get("/demo/", _demo)
        app.router.add_get("/demo/services.json", _services)
        app.router.add_static("/demo", demo)
    if pyodide := app[ASSETS].pyodide:
        app.router.add_static("/pyodide", pyodide)
    if jupyterlite := app[ASSETS].jupyterlite:
        _add_site(app, "/jupyterlite", jupyterlite)
    return app


# ── For every request ─────────────────────────────────────────────────────────────────────────────────────


@web.middleware
async def _log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line for each request, without query and token: foreign clients carry it there and in the path."""
    start = time.monotonic()
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        if access_log.isEnabledFor(logging.INFO):
            path = _without_token(request.rel_url.raw_path, request.app[SESSIONS].tenants)[:200]
            seconds = time.monotonic() - start
            access_log.info("%s %s %s %d %.3fs", request.remote, request.method, path, status, seconds)
    return response


def _without_token(path: str, tenants: Tenants) -> str:
    parts = path.split("/")[:PARTS_MAX]
    return "/".join("…" if tenants.knows(unquote(part)) else part for part in parts)


@web.middleware
async def _check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    refusal = guard.check_host(request.headers.get("Host"), request.app[CONFIG])
    if refusal is not None:
        door = request.app[SESSIONS].door
        door.refused(GreetingError(refusal.code, refusal.message), Visitor.of(request))
        raise web.HTTPMisdirectedRequest(text=refusal.message)
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    media_type = MEDIA_TYPES.get(PurePosixPath(request.path).suffix)
    if media_type and isinstance(response, web.FileResponse):
        response.content_type = media_type
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    origin = request.headers.get("Origin") if request.path != "/metrics" else None
    # Pages that may use the proxy may also read what it serves, such as the wheel, and nobody else may.
    origins = request.app[SESSIONS].tenants.origins
    wanted = request.app[CONFIG].wants_token
    if origin and guard.check_origin(origin, own_origin(request), origins, wants_token=wanted) is None:
        response.headers.setdefault("Access-Control-Allow-Origin", origin)
    response.headers.add("Vary", "Origin")


# ── Starting and stopping ─────────────────────────────────────────────────────────────────────────────────


async def _run_services(app: web.Application) -> AsyncIterator[None]:
    async with running_services() as addresses:
        _use_services(app, addresses)
        yield


def _use_services(app: web.Application, addresses: ServiceAddresses) -> None:
    app[SERVICES] = addresses
    allow = [Rule.parse(f"{host}:{port}") for host, port in addresses.values()]
    app[POLICY].add_built_in(allow=allow)


def _add_metrics(app: web.Application) -> None:
    from pynet_browser.proxy.metrics import Metrics

    metrics = Metrics(app[CONFIG], app[SESSIONS])

    async def sample(_app: web.Application) -> AsyncIterator[None]:
        metrics.lag.start()
        yield
        metrics.lag.stop()

    app.cleanup_ctx.append(sample)
    app.router.add_get("/metrics", metrics.handle)


async def _watch_tokens(app: web.Application) -> AsyncIterator[None]:
    watching = asyncio.create_task(app[SESSIONS].tenants.watch())
    yield
    watching.cancel()


async def _close_sessions(app: web.Application) -> None:
    await app[SESSIONS].close()


async def _close_rooms(app: web.Application) -> None:
    await app[SIGNALLING].close()


# ── Routes ────────────────────────────────────────────────────────────────────────────────────────────────


async def _health(request: web.Request) -> web.Response:
    # For balancers 404 is "nobody new, but those who have been here" (HAProxy's disable-on-404).
    draining = request.app[SESSIONS].draining
    status = "draining" if draining else "ok"
    return web.json_response({"status": status, "version": __version__}, status=404 if draining else 200)


async def _to_demo(request: web.Request) -> web.Response:
    """To where the page's relative links hold, query and all: the token is in it."""
    raise web.HTTPFound(request.rel_url.with_path("/demo/", keep_query=True))


async def _demo(request: web.Request) -> web.FileResponse:
    demo = request.app[ASSETS].demo
    assert demo is not None
    return web.FileResponse(demo / "index.html")


def _add_site(app: web.Application, prefix: str, site: Path) -> None:
    """Serves a directory whose folders are asked for by their names: they answer with their index.html."""

    async def index(request: web.Request) -> web.FileResponse:
        if not request.path.endswith("/"):  # the page's relative links hold below its folder
            raise web.HTTPFound(request.rel_url.with_path(f"{request.path}/", keep_query=True))
        return web.FileResponse(site / request.path.removeprefix(prefix).strip("/") / "index.html")

    for page in site.rglob("index.html"):
        folder = PurePosixPath(prefix, page.parent.relative_to(site).as_posix())
        app.router.add_get(f"{folder}", index)
        app.router.add_get(f"{folder}/", index)
    app.router.add_static(prefix, site)


async def _services(request: web.Request) -> web.Response:
    return web.json_response(
        {name: {"host": host, "port": port} for name, (host, port) in request.app[SERVICES].items()}
    )


async def _latest_wheel(request: web.Request) -> web.Response:
    wheel = request.app[ASSETS].wheel()
    if wheel is None:
        raise web.HTTPNotFound(text="there is no wheel yet; `make wheel` builds it")
    # Relative to this address: behind TLS of another's only the page knows its scheme.
    return web.json_response({"name": wheel.name, "url": wheel.name})


async def _wheel(request: web.Request) -> web.Response:
    wheel = request.app[ASSETS].wheel()
    if wheel is None or wheel.name != request.match_info["name"]:
        raise web.HTTPNotFound(text="there is no such wheel; /dist/latest names the one there is")
    return web.Response(body=wheel.content, content_type=MEDIA_TYPES[".whl"])
