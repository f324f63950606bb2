"""What ``diagnose()`` concludes from what was found out, and how it shows that."""

from __future__ import annotations

from typing import Any

import pytest

from pynet_browser.diagnosis import Diagnosis, DiagnosisStep

WELL: dict[str, Any] = {
    "python": "3.14.0",
    "pyodide": "314.0.7",
    "missing": [],
    "page": {
        "suspending": True,
        "origin": "http://127.0.0.1:8765",
        "thread": "page",
        "online": True,
        "noPeerConnection": "",
    },
    "suspends": True,
    "blocking": "auto",
    "address": "ws://127.0.0.1:8765/pynet",
    "invalid": "",
    "kind": "proxy",
    "installed": False,
    "host": "db.example",
    "port": 5432,
    "webSocket": {"outcome": "open", "ms": 12.3},
    "greeting": {"outcome": "welcome", "code": None, "message": None, "agent": "pynet-browser/1", "ms": 1.0},
    "http": {"outcome": "welcome", "code": None, "message": None, "agent": "pynet-browser/1", "ms": 4.56},
    "health": {"outcome": "answered"},
    "synchronous": {"outcome": "skipped"},
    "roundTrips": {"outcome": "measured", "times": [9.0, 1.0, 2.0], "carrier": "WebSocket"},
    "reached": {"outcome": "connected", "peer": ["192.0.2.7", 5432], "ms": 3.21},
    "permissions": {"loopback-network": "", "local-network": ""},
    "features": ["webrtc"],
    "forbidden": False,
}

CLOSED = {"outcome": "closed", "ms": 5.0}
SKIPPED = {"outcome": "skipped"}
UNREACHED: dict[str, Any] = {
    "webSocket": CLOSED,
    "greeting": SKIPPED,
    "http": {"outcome": "failed", "message": "Failed to fetch"},
    "health": {"outcome": "silent", "message": "Failed to fetch"},
    "roundTrips": SKIPPED,
    "reached": SKIPPED,
}
"""What changes where nothing of the proxy is heard."""


def diagnosis(**changes: Any) -> Diagnosis:
    return Diagnosis.of({**WELL, **changes})


def step(name: str, **changes: Any) -> DiagnosisStep:
    [found] = [step for step in diagnosis(**changes).steps if step.name == name]
    return found


def page(**changes: Any) -> dict[str, Any]:
    return {**WELL["page"], **changes}


# ── All together ──────────────────────────────────────────────────────────────────────────────────────────


def test_where_all_is_well_there_is_nothing_to_do():
    well = diagnosis()
    assert well.ok
    assert {(step.outcome, step.advice) for step in well.steps} == {("ok", "")}
    assert str(well).splitlines() == [
        "All is well here through ws://127.0.0.1:8765/pynet.",
        "  ✓ ok       Python           Python 3.14.0 in Pyodide 314.0.7, with all that sockets are built on",
        "  ✓ ok       browser          it can suspend Python (JSPI)",
        "  ✓ ok       address          ws://127.0.0.1:8765/pynet",
        "  ✓ ok       page             a page of http://127.0.0.1:8765",
        "  ✓ ok       WebSocket        open after 12 ms",
        "  ✓ ok       greeting         pynet-browser/1 lets this page in",
        "  ✓ ok       HTTP             an exchange took 4.6 ms",
        "  ✓ ok       round trip       2.0 ms over WebSocket (median of 3)",
        "  ✓ ok       datagrams        over WebRTC where UDP gets through: see status()",
        "  ✓ ok       blocking calls   where diagnose() was called they suspend Python, and the page goes on",
        "  ✓ ok       db.example 5432  connected to 192.0.2.7 5432 in 3.2 ms",
    ]


def test_what_to_do_stands_below_what_was_found():
    lines = str(diagnosis(missing=["SOCKFS", "DNS"])).splitlines()
    assert lines[0] == "Not all works here through ws://127.0.0.1:8765/pynet: begin with Python."
    assert lines[1].endswith("Python 3.14.0 in Pyodide 314.0.7, which lacks SOCKFS, DNS")
    assert lines[2].lstrip().startswith("→ Use Pyodide 314.0 or newer")
    assert lines[2].index("→") == lines[1].index("Python 3")


def test_warnings_are_no_failure():
    warned = diagnosis(page=page(suspending=False), suspends=False, synchronous=WELL["http"])
    assert warned.ok
    assert str(warned).startswith(
        "It works here through ws://127.0.0.1:8765/pynet; look at browser, blocking "
    )


def test_outside_a_browser_nothing_else_is_looked_at():
    told = Diagnosis.of({"python": "3.12.1", "pyodide": "", "address": ""})
    assert [(step.name, step.outcome) for step in told.steps] == [("Python", "failed")]
    assert "standard socket module" in told.steps[0].advice


def test_a_notebook_shows_a_table_without_colours():
    html = diagnosis(missing=["SOCKFS"])._repr_html_()
    assert html.count("<tr>") == 11
    assert "✗&nbsp;failed</td>" in html
    assert "<br>→ Use Pyodide" in html
    assert "color" not in html


def test_what_others_say_is_text_in_a_notebook_not_markup():
    refused = {"outcome": "refused", "code": "token", "message": "<script>alert(1)</script>"}
    html = diagnosis(greeting=refused, host="<b>", reached={**refused, "code": "<i>"})._repr_html_()
    for markup in ("<script>", "<b>", "<i>"):
        assert markup not in html


def test_as_plain_values_it_is_all_there():
    plain = diagnosis().to_dict()
    assert plain["url"] == "ws://127.0.0.1:8765/pynet"
    assert plain["steps"][0] == {
        "name": "Python",
        "outcome": "ok",
        "found": "Python 3.14.0 in Pyodide 314.0.7, with all that sockets are built on",
        "advice": "",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "wss://ada:secret@proxy.example/pynet?token=secret"},
        {"address": "", "invalid": "htp://proxy.example/?token=secret"},
    ],
)
@pytest.mark.parametrize("also", [{}, UNREACHED])
def test_no_secret_of_an_address_is_shown(changes: dict[str, Any], also: dict[str, Any]):
    told = diagnosis(**changes, **also)
    assert "secret" not in f"{told} {told._repr_html_()} {told.to_dict()}"
    assert "proxy.example" in str(told)


# ── The address, and the page ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({"invalid": "127.0.0.1:8765"}, "failed", "no address"),
        ({"installed": True}, "ok", "its own network"),
        ({"installed": True, "kind": "wisp"}, "skipped", "Wisp server, which others wrote"),
        ({"installed": True, "kind": "websockify"}, "skipped", "websockify, which others wrote"),
        ({}, "skipped", "nothing is installed"),
    ],
)
def test_without_an_address_nothing_is_asked(changes: dict[str, Any], outcome: str, words: str):
    found = step("address", address="", **changes)
    assert found.outcome == outcome
    assert words in found.found
    told = diagnosis(address="", **changes)
    skipped = [step.name for step in told.steps if step.outcome == "skipped" and step.name != "address"]
    assert skipped == ["WebSocket", "greeting", "HTTP", "round trip", "datagrams", "db.example 5432"]


HTTPS = page(origin="https://notebooks.example")
FAR = "ws://proxy.example:8765/pynet"
BARRED = {"outcome": "barred", "message": "The operation is insecure."}


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({"page": HTTPS, "address": FAR}, "failed", "wss://"),
        ({"page": HTTPS, "address": FAR.replace("ws", "wss")}, "ok", ""),
        ({"page": HTTPS, "webSocket": BARRED}, "failed", "wss://"),
        ({"page": HTTPS}, "ok", ""),
        ({"webSocket": BARRED}, "failed", "Do as it says"),
        ({"page": page(origin="null")}, "warning", "--origin null"),
        ({"page": page(online=False), "address": FAR}, "warning", "Connect"),
        ({"page": page(online=False)}, "ok", ""),
        ({"forbidden": True}, "failed", "Add ws://127.0.0.1:8765 and http://127.0.0.1:8765 to"),
        (
            {"forbidden": True, "address": "wss://a.example/pynet"},
            "failed",
            "Add wss://a.example and https://a",
        ),
    ],
)
def test_a_page_that_may_not_reach_the_proxy_is_told_what_to_change(
    changes: dict[str, Any], outcome: str, words: str
):
    found = step("page", **{**UNREACHED, **changes})
    assert (found.outcome, words in found.advice) == (outcome, True)
    if outcome == "failed":
        assert step("WebSocket", **{**UNREACHED, **changes}).advice == "See page."


@pytest.mark.parametrize("changes", [{"page": HTTPS}, {"page": page(origin="null")}])
def test_a_page_that_was_let_in_may_reach_the_proxy(changes: dict[str, Any]):
    assert step("page", **changes).outcome == "ok"


@pytest.mark.parametrize(
    ("origin", "address", "states", "outcome"),
    [
        ("https://notebooks.example", "ws://127.0.0.1:8765/pynet", ("denied", ""), "warning"),
        ("https://notebooks.example", "ws://localhost:8765/pynet", ("prompt", ""), "warning"),
        ("https://notebooks.example", "ws://127.0.0.1:8765/pynet", ("granted", "denied"), "ok"),
        ("https://notebooks.example", "wss://192.168.1.7/pynet", ("granted", "denied"), "warning"),
        ("https://notebooks.example", "wss://[fd00::7]/pynet", ("", "denied"), "warning"),
        ("https://notebooks.example", "wss://proxy.example/pynet", ("denied", "denied"), "ok"),
        ("http://192.168.1.9", "ws://192.168.1.7/pynet", ("denied", "denied"), "ok"),
        ("http://localhost:8000", "ws://127.0.0.1:8765/pynet", ("prompt", "prompt"), "ok"),
    ],
)
def test_a_page_from_elsewhere_needs_leave_to_enter_the_local_network(
    origin: str, address: str, states: tuple[str, str], outcome: str
):
    permissions = dict(zip(("loopback-network", "local-network"), states, strict=True))
    changes = {**UNREACHED, "page": page(origin=origin), "address": address, "permissions": permissions}
    assert step("page", **changes).outcome == outcome


# ── The way to the proxy ──────────────────────────────────────────────────────────────────────────────────


def test_nothing_heard_of_a_proxy_means_that_none_runs_there():
    told = diagnosis(**UNREACHED)
    assert str(told).startswith("Not all works here through ws://127.0.0.1:8765/pynet: begin with WebSocket.")
    outcomes = {step.name: step.outcome for step in told.steps}
    assert outcomes["greeting"] == outcomes["round trip"] == outcomes["db.example 5432"] == "skipped"
    assert "pynet-browser serve" in step("WebSocket", **UNREACHED).advice


def test_a_websocket_that_does_not_open_is_told_from_one_that_takes_too_long():
    late = {**UNREACHED, "webSocket": {"outcome": "late", "ms": 4000.4}}
    assert "was not open after 4000 ms" in step("WebSocket", **late).found
    assert "does not open" in step("WebSocket", **UNREACHED).found


def test_a_websocket_that_is_blocked_is_a_warning_where_http_works():
    blocked = {"webSocket": CLOSED, "greeting": SKIPPED}
    assert step("WebSocket", **blocked).outcome == "warning"
    assert step("greeting", **blocked).found == "pynet-browser/1 lets this page in"


@pytest.mark.parametrize("code", ["token", "origin", "version", "busy", "novel"])
@pytest.mark.parametrize("opened", [True, False])
def test_a_refusal_is_told_in_the_proxys_own_words(code: str, opened: bool):
    refused = {"outcome": "refused", "code": code, "message": "because of the moon"}
    changes = {"greeting": refused} if opened else {"webSocket": CLOSED, "greeting": SKIPPED}
    found = step("greeting", **changes, http=refused)
    assert (found.outcome, found.found) == ("failed", "because of the moon")
    assert found.advice
    assert step("HTTP", **changes, http=refused).outcome == "ok"


def test_what_a_browser_hides_of_a_proxy_that_refuses_the_origin_is_no_second_failure():
    refused = {"outcome": "refused", "code": "origin", "message": "not you"}
    assert step("HTTP", greeting=refused, http=UNREACHED["http"]).outcome == "skipped"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"outcome": "late"}, "answers nothing"),
        ({"outcome": "closed", "code": "1011"}, "by closing (code 1011)"),
        ({"outcome": "foreign", "message": "message of 9 bytes"}, "proxy: message of 9 bytes"),
        ({"outcome": "goaway", "code": "protocol"}, "answers otherwise"),
    ],
)
def test_what_greets_otherwise_is_no_proxy(answer: dict[str, Any], words: str):
    found = step("greeting", greeting={"code": None, "message": None, **answer})
    assert found.outcome == "failed"
    assert words in found.found


def test_a_token_that_fits_in_no_greeting_is_no_fault_of_the_way():
    unsayable = {"outcome": "unsayable", "message": "beyond"}
    told = diagnosis(greeting=unsayable, http=unsayable, roundTrips=SKIPPED, reached=SKIPPED)
    assert [step.name for step in told.steps if step.outcome == "failed"] == ["greeting"]


def test_http_that_does_not_work_is_a_warning_where_the_websocket_does():
    assert step("HTTP", http={"outcome": "late"}).outcome == "warning"
    assert "blocking calls need it" in step("HTTP", http={"outcome": "late"}).found
    assert step("HTTP", **{**UNREACHED, "http": {"outcome": "late"}}).outcome == "failed"


def test_a_server_that_is_no_proxy_is_quoted():
    foreign = {"outcome": "foreign", "status": 421, "message": "start it with --hostname here"}
    found = step("HTTP", **{**UNREACHED, "http": foreign})
    assert "answers with status 421" in found.found
    assert found.found.endswith(": start it with --hostname here")
    assert "/pynet/http" in found.advice


def test_what_answers_and_may_not_be_read_refuses_the_origin_perhaps():
    answered = {**UNREACHED, "health": {"outcome": "answered"}}
    found = step("HTTP", **answered)
    assert found.outcome == "failed"
    assert "--origin http://127.0.0.1:8765" in found.advice
    assert step("WebSocket", **answered).advice == "See HTTP."


def test_a_carrier_that_falls_silent_after_the_greeting_is_a_failure():
    found = step("round trip", roundTrips={"outcome": "lost", "carrier": "WebSocket"})
    assert (found.outcome, "WebSocket" in found.found) == ("failed", True)


# ── Blocking calls, and the host ──────────────────────────────────────────────────────────────────────────

EXCHANGED = {"outcome": "welcome", "ms": 6.1}
NO_JSPI = page(suspending=False)


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({}, "ok", "suspend Python"),
        ({"suspends": False, "synchronous": EXCHANGED}, "warning", "6.1 ms each"),
        ({"suspends": False, "synchronous": EXCHANGED, "page": NO_JSPI}, "warning", "this browser cannot"),
        ({"blocking": "xhr", "synchronous": EXCHANGED}, "ok", "asked for it"),
        ({"suspends": False, "blocking": "jspi"}, "failed", "rules out"),
        ({"suspends": False}, "failed", "need HTTP"),
        ({"suspends": False, "synchronous": {"outcome": "failed", "message": "no"}}, "failed", "fail: no"),
        ({"suspends": False, "address": ""}, "warning", "need HTTP to a proxy"),
    ],
)
def test_how_blocking_calls_wait_is_told_with_what_decides_it(
    changes: dict[str, Any], outcome: str, words: str
):
    found = step("blocking calls", **changes)
    assert (found.outcome, words in found.found) == (outcome, True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("EACCES", "decides"),
        ("ECONNREFUSED", "nothing listens"),
        ("ETIMEDOUT", "firewall"),
        ("EAI_NONAME", "Correct the name"),
        ("EAI_AGAIN", "name servers"),
        ("ENETUNREACH", "on the proxy's machine"),
    ],
)
def test_each_failure_of_a_host_has_its_advice(code: str, words: str):
    found = step("db.example 5432", reached={"outcome": "refused", "code": code, "message": "it said so"})
    assert (found.outcome, found.found, words in found.advice) == ("failed", "it said so", True)


def test_a_failure_without_a_sentence_is_told_by_its_code():
    assert (
        step("db.example 5432", reached={"outcome": "refused", "code": "EIO", "message": ""}).found == "EIO"
    )


@pytest.mark.parametrize(("outcome", "words"), [("late", "in time"), ("lost", "was lost")])
def test_a_proxy_that_does_not_answer_is_told_from_one_that_is_gone(outcome: str, words: str):
    assert words in step("db.example 5432", reached={"outcome": outcome, "ms": 1.0}).found


def test_no_host_is_no_step():
    assert diagnosis(host="", port=0).steps[-1].name == "blocking calls"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"page": page(noPeerConnection="Python runs in a worker")},
            "over the WebSocket: Python runs in a worker",
        ),
        ({"features": ["tls"]}, "over the WebSocket: the proxy offers no WebRTC"),
    ],
)
def test_datagrams_go_by_the_websocket_where_there_is_no_webrtc(changes: dict[str, Any], words: str):
    assert (step("datagrams", **changes).outcome, step("datagrams", **changes).found) == ("ok", words)
