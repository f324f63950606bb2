"""What follows from what ``diagnose()`` has found out: a conclusion and an advice for each step. Pure.

What ``js/probe.js`` finds is a dictionary for each thing it tries: its ``outcome`` says what came of it, and
times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Conclusion", "Outcome", "Report", "conclusions", "shown"]

Outcome: TypeAlias = Literal["ok", "warning", "failed", "skipped"]

Conclusion: TypeAlias = tuple[Outcome, str] | tuple[Outcome, str, str]
"""What came of a step, what was found, and what to do about it, if anything."""

Report: TypeAlias = dict[str, Any]
"""What ``runtime.examine`` gives, with what was asked."""

OURS = {"welcome", "refused"}
"""Answers that only our proxy gives."""

REFUSALS = {
    "token": 'Give the token that the proxy printed: install(url, token="…"), or its whole address.',
    "origin": "Start the proxy so, or open a page that the proxy serves itself.",
    "busy": "Try again later.",
    "version": "Install the same version on both sides.",
}
"""What to do beside what the proxy's own sentence says, by the code of its refusal."""

FAILURES = {
    "EACCES": "Whoever runs the proxy decides what pages may reach.",
    "ECONNREFUSED": "The host is there, and nothing listens on this port: start the server, or correct the "
    "port. 127.0.0.1 is the proxy's machine.",
    "ETIMEDOUT": "The host is off, or a firewall is before it: try the same on the proxy's machine.",
    "EAI_NONAME": "Correct the name; it is looked up on the proxy's machine.",
    "EAI_AGAIN": "The name servers of the proxy's machine do not answer: try the same there, or later.",
}
"""What to do when a host cannot be reached, by the name of the error."""

NOT_LET_IN = "the proxy has not let this page in"
NOT_TRIED: dict[str, Any] = {"outcome": "skipped"}


def conclusions(report: Report) -> Iterator[tuple[str, Conclusion]]:
    """Names and conclusions of the steps, in the order in which they build on each other."""
    yield "Python", _python(report)
    if not report["pyodide"]:
        return
    for name, conclude in HERE.items():
        yield name, conclude(report)
    for name, conclude in THERE.items():
        yield name, conclude(report) if report["address"] else ("skipped", "there is no proxy to ask")
    yield "blocking calls", _blocking(report)
    if report["host"]:
        reached = _host(report) if report["address"] else ("skipped", "there is no proxy to ask")
        yield f"{report['host']} {report['port']}", reached


# ── Where Python runs ─────────────────────────────────────────────────────────────────────────────────────


def _python(report: Report) -> Conclusion:
    running = f"Python {report['python']}"
    if not report["pyodide"]:
        advice = (
            "This package is for Pyodide 314.0 or newer; here the standard socket module reaches the network "
            "by itself."
        )
        return "failed", f"{running}, not in a browser", advice
    running += f" in Pyodide {report['pyodide']}"
    if missing := report["missing"]:
        advice = "Use Pyodide 314.0 or newer: sockets are built on these parts of it."
        return "failed", f"{running}, which lacks {', '.join(missing)}", advice
    return "ok", f"{running}, with all that sockets are built on"


def _browser(report: Report) -> Conclusion:
    if report["page"]["suspending"]:
        return "ok", "it can suspend Python (JSPI)"
    return (
        "warning",
        "it cannot suspend Python: it lacks JSPI (WebAssembly.Suspending)",
        "A current Chromium (137 or newer) or Firefox can. asyncio does not need it; see blocking calls.",
    )


KINDS = {"wisp": "Wisp server", "websockify": "websockify"}


def _address(report: Report) -> Conclusion:
    if report["address"]:
        return "ok", shown(report["address"])
    if report["invalid"]:
        return (
            "failed",
            f"{report['invalid'].partition('?')[0]!r} is no address of a proxy",
            "Give the one that the proxy printed when it started, or one like ws://127.0.0.1:8765/pynet.",
        )
    if report["kind"] != "proxy":
        return (
            "skipped",
            f"there is a {KINDS[report['kind']]}, which others wrote: nothing is asked of it here",
            "Whether it answers is told by install and status(). docs/servers.md says what it can do.",
        )
    if report["installed"]:
        return "ok", "none: install(None) has made the page its own network"
    return (
        "skipped",
        "none was given, and nothing is installed",
        'Give the one that the proxy printed when it started: diagnose("http://127.0.0.1:8765/?token=…").',
    )


def _page(report: Report) -> Conclusion:
    page, address = report["page"], report["address"]
    found = f"a {page['thread']} {_of(page['origin'])}"
    if not address or _lets_in(report):
        return "ok", found
    host = urlsplit(address).hostname or ""
    if report["forbidden"]:
        return (
            "failed",
            f"{found}, whose Content-Security-Policy forbids connections to the proxy",
            f"Add {_origin(address)} and {_origin(address).replace('ws', 'http', 1)} to its connect-src.",
        )
    barred = report["webSocket"]["outcome"] == "barred"
    if page["origin"].startswith("https:") and address.startswith("ws:"):
        if barred or not _is_loopback(host):
            return (
                "failed",
                f"{found}: browsers let it open no connection that is not encrypted",
                "Put the proxy behind TLS and use its wss:// address, or serve the page over http.",
            )
    elif barred:
        return "failed", f"{found}; the browser says: {report['webSocket']['message']}", "Do as it says."
    if not page["online"] and not _is_loopback(host):
        return "warning", f"{found}; the browser says that it is offline", "Connect it to the network."
    if page["origin"] == "null":
        return (
            "warning",
            f"{found}, as files and sandboxed frames are",
            "Serve it over http, or start the proxy with --origin null.",
        )
    if _is_kept_out(report):
        advice = (
            "Allow it in the browser's settings for this site."
            if page["origin"].startswith("https:")
            else "Serve it over https, for which the user can allow it, or from the proxy itself."
        )
        return (
            "warning",
            f"{found}; the browser may not let it into the local network, where the proxy is",
            advice,
        )
    return "ok", found


def _blocking(report: Report) -> Conclusion:
    chosen, exchange = report["blocking"], report.get("synchronous", NOT_TRIED)
    if report["suspends"] and chosen != "xhr":
        return "ok", "where diagnose() was called they suspend Python, and the page goes on"
    if chosen == "xhr":
        reason, advice = 'install(blocking="xhr") asked for it', ""
    elif not report["page"]["suspending"]:
        reason, advice = "this browser cannot suspend Python", "Use asyncio, or another browser."
    else:
        reason = "Python was entered by runPython or a JavaScript callback, and cannot be suspended there"
        advice = "Start the code with runPythonAsync, in a notebook's cell or in a coroutine."
    if exchange["outcome"] == "welcome":
        found = f"they wait by synchronous requests, {_ms(exchange['ms'])} each, and the page stands still"
        return "ok" if chosen == "xhr" else "warning", f"{found}: {reason}", advice
    if chosen == "jspi":
        ruled_out = 'install(blocking="jspi") rules out synchronous requests'
    elif exchange["outcome"] == "skipped":
        ruled_out = "synchronous requests need HTTP to a proxy"
    else:
        ruled_out = f"synchronous requests fail: {exchange['message']}"
    outcome: Outcome = "warning" if not report["address"] else "failed"
    return outcome, f"where diagnose() was called they raise BlockingError: {reason}, and {ruled_out}", advice


# ── The way to the proxy ──────────────────────────────────────────────────────────────────────────────────


def _web_socket(report: Report) -> Conclusion:
    opened = report["webSocket"]
    if opened["outcome"] == "open":
        return "ok", f"open after {_ms(opened['ms'])}"
    found = {
        "barred": "the browser does not let this page open it",
        "late": f"it was not open after {_ms(opened.get('ms', 0))}",
    }.get(opened["outcome"], "it does not open")
    if report["http"]["outcome"] in OURS:
        found += ", but the proxy answers over HTTP: that carries sessions too, more slowly"
        advice = (
            "Something on the way lets no WebSocket pass: a gateway, an extension of the browser, or a "
            "reverse proxy that does not forward the header Upgrade."
        )
        return "warning", found, advice
    suspicion = _page(report)[0]
    if suspicion == "failed":
        return "failed", found, "See page."
    if report["health"]["outcome"] == "answered":
        return "failed", f"{found}, though something answers at {_place(report)}", "See HTTP."
    if suspicion == "warning":
        return "failed", f"{found}, and nothing is heard of {_place(report)}", "See page, or it does not run."
    advice = (
        "Start the proxy there (pynet-browser serve), or give the address that it printed. If it runs, there "
        "is a firewall in between, or it listens for its own machine alone (--host)."
    )
    return "failed", f"{found}, and nothing answers at {_place(report)}", advice


def _greeting(report: Report) -> Conclusion:
    opened = report["webSocket"]["outcome"] == "open"
    answer = report["greeting"] if opened else report["http"]
    match answer["outcome"]:
        case "welcome":
            return "ok", f"{answer['agent']} lets this page in"
        case "refused":
            return "failed", answer["message"], REFUSALS.get(answer["code"], "Do as it says.")
        case "unsayable":
            return "failed", "such a token fits in no greeting", REFUSALS["token"]
    if not opened:
        return "skipped", "nothing could bring it"
    said = {"late": "nothing", "closed": f"by closing (code {answer['code']})"}.get(
        answer["outcome"], "otherwise"
    )
    reason = f": {answer['message']}" if answer["message"] else ""
    return (
        "failed",
        f"{_place(report)} answers {said}, not as this package's proxy{reason}",
        "Give the address that the proxy printed when it started.",
    )


def _http(report: Report) -> Conclusion:
    answer, path = report["http"], f"{urlsplit(report['address']).path}/http"
    outcome: Outcome = "warning" if _lets_in(report) else "failed"
    match answer["outcome"]:
        case "welcome":
            return "ok", f"an exchange took {_ms(answer['ms'])}"
        case "refused":
            return "ok", "the proxy answers, and refuses this page: see greeting"
        case "unsayable":
            return "skipped", "such a token fits in no greeting"
        case "foreign" | "goaway":
            status = f" with status {answer['status']}" if "status" in answer else ""
            reason = f": {answer['message']}" if answer["message"] else ""
            found = f"{_place(report)} answers{status}, not as this package's proxy{reason}"
            advice = (
                "Give the address that the proxy printed when it started. A reverse proxy before it must "
                f"forward {path} as well."
            )
            return outcome, found, advice
    if report["greeting"]["outcome"] == "refused" and report["greeting"]["code"] == "origin":
        return "skipped", "browsers hide what is answered by one who refuses the page: see greeting"
    if report["health"]["outcome"] == "answered" and answer["outcome"] == "failed":
        found = f"something answers at {_place(report)}, and this page may not read what"
        advice = (
            f"If it is the proxy, start it with --origin {report['page']['origin']}. A reverse proxy before "
            f"it must forward {path} as well, and the header Origin."
        )
        return outcome, found, advice
    found = f"nothing {'came in time' if answer['outcome'] == 'late' else 'answers'} at {_place(report)}"
    if outcome == "failed":
        return outcome, found, "See WebSocket."
    return (
        outcome,
        f"{found}; blocking calls need it where Python cannot be suspended",
        f"Something on the way lets no request to {path} pass.",
    )


def _round_trip(report: Report) -> Conclusion:
    measured = report["roundTrips"]
    if measured["outcome"] == "skipped":
        return "skipped", NOT_LET_IN
    carrier = measured["carrier"]
    if measured["outcome"] == "lost":
        advice = "Look into the proxy's log, and at what is in between."
        return "failed", f"after the greeting the {carrier} brings no answer", advice
    times = sorted(measured["times"])
    return "ok", f"{_ms(times[len(times) // 2])} over {carrier} (median of {len(times)})"


def _datagrams(report: Report) -> Conclusion:
    """Whether they get through is known only when there are some."""
    if not _lets_in(report):
        return "skipped", NOT_LET_IN
    why = report["page"]["noPeerConnection"]
    if not why and "webrtc" not in report["features"]:
        why = "the proxy offers no WebRTC"
    return "ok", f"over the WebSocket: {why}" if why else "over WebRTC where UDP gets through: see status()"


def _host(report: Report) -> Conclusion:
    reached = report["reached"]
    match reached["outcome"]:
        case "connected":
            host, port = reached["peer"]
            return "ok", f"connected to {host} {port} in {_ms(reached['ms'])}"
        case "refused":
            code = reached["code"]
            return (
                "failed",
                reached["message"] or code,
                FAILURES.get(code, "Try the same on the proxy's machine."),
            )
        case "skipped":
            return "skipped", NOT_LET_IN
    silence = "did not answer in time" if reached["outcome"] == "late" else "was lost meanwhile"
    return "failed", f"the proxy {silence}", "Look into its log."


Conclude: TypeAlias = Callable[[Report], Conclusion]

HERE: dict[str, Conclude] = {"browser": _browser, "address": _address, "page": _page}
"""Steps that can always be concluded."""

THERE: dict[str, Conclude] = {
    "WebSocket": _web_socket,
    "greeting": _greeting,
    "HTTP": _http,
    "round trip": _round_trip,
    "datagrams": _datagrams,
}
"""Steps that need a proxy to ask."""


# ── In words ──────────────────────────────────────────────────────────────────────────────────────────────


def shown(address: str) -> str:
    """An address without what may be secret in it: name and password, and the query."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _lets_in(report: Report) -> bool:
    """Whether the proxy has let this page in, over whatever."""
    return "welcome" in {report["greeting"]["outcome"], report["http"]["outcome"]}


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"  # noqa: PLR2004


def _of(origin: str) -> str:
    return "without an origin" if origin == "null" else f"of {origin}"


def _origin(address: str) -> str:
    parts = urlsplit(shown(address))
    return f"{parts.scheme}://{parts.netloc}"


def _place(report: Report) -> str:
    """Host and port of the proxy."""
    return urlsplit(shown(report["address"])).netloc


def _is_kept_out(report: Report) -> bool:
    """Whether the page comes from elsewhere, and was not allowed into the local network (WICG's draft)."""
    host = urlsplit(report["address"]).hostname or ""
    if not _is_local(host) or _is_local(urlsplit(report["page"]["origin"]).hostname or ""):
        return False
    name = "loopback-network" if _is_loopback(host) else "local-network"
    return report["permissions"][name] in {"denied", "prompt"}


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.endswith(".localhost") or host.startswith("127.")


def _is_local(host: str) -> bool:
    """Whether a host is this machine, or of a network that not everybody reaches."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return _is_loopback(host) or host.endswith(".local")
