"""What ``status()`` makes of the page's report, for programs and for people."""

from __future__ import annotations

from typing import Any

import pytest

from pynet_browser.status import SocketStatus, Status

SOCKET: dict[str, Any] = {
    "fd": 5,
    "family": 2,
    "kind": "stream",
    "state": "established",
    "local": ["10.0.0.7", 51234],
    "peer": ["93.184.216.34", 80],
    "received": 1000,
    "sent": 20,
    "queued": 7,
    "dropped": 0,
}

REPORT: dict[str, Any] = {
    "kind": "proxy",
    "url": "ws://127.0.0.1:8765/pynet",
    "proxy": "pynet-browser/1",
    "state": "attached",
    "carrier": "WebSocket",
    "bulk": "resting",
    "whyBulk": "the WebSocket is faster",
    "roundTrip": 12.345,
    "reconnects": 2,
    "buffered": 99,
    "waiting": "jspi",
    "blocking": "auto",
    "browserSuspends": True,
    "sockets": [SOCKET, {**SOCKET, "fd": 6, "state": "connecting", "local": None, "peer": None}],
}


def status(**changes: Any) -> Status:
    return Status.of({**REPORT, **changes})


def test_everything_that_is_reported_is_there_in_pythons_types():
    assert status() == Status(
        installed=True,
        kind="proxy",
        url="ws://127.0.0.1:8765/pynet",
        proxy="pynet-browser/1",
        state="attached",
        carrier="WebSocket",
        bulk="WebSocket",
        why_bulk="the WebSocket is faster",
        round_trip=0.012345,
        reconnects=2,
        buffered=99,
        waiting="jspi",
        why="blocking calls suspend Python (JSPI)",
        sockets=(
            SocketStatus(
                5, 2, "stream", "established", ("10.0.0.7", 51234), ("93.184.216.34", 80), 1000, 20, 7, 0
            ),
            SocketStatus(6, 2, "stream", "connecting", None, None, 1000, 20, 7, 0),
        ),
    )


def test_a_round_trip_that_was_not_measured_yet_is_none():
    assert status(roundTrip=None).round_trip is None
    assert "round trip" not in str(status(roundTrip=None))


def test_without_a_network_everything_is_empty_and_says_what_to_do():
    nothing = Status()
    assert (nothing.installed, nothing.state, nothing.sockets) == (False, "closed", ())
    assert str(nothing) == "pynet_browser is not installed: await pynet_browser.install(url, token=…)"
    assert nothing._repr_html_() == f"<p>{nothing}</p>"


def test_it_prints_a_summary_and_a_line_for_each_socket():
    assert str(status()).splitlines() == [
        (
            "ws://127.0.0.1:8765/pynet (pynet-browser/1): attached over WebSocket, round trip 12.3 ms; "
            "2 sockets; blocking calls suspend Python (JSPI)"
        ),
        "  5  established  93.184.216.34 80  1000  20",
        "  6  connecting  –  1000  20",
    ]


@pytest.mark.parametrize(
    ("changes", "whom"),
    [
        ({"state": "listening", "local": ["0.0.0.0", 8000], "peer": None}, "on 0.0.0.0 8000"),
        ({"kind": "datagram", "state": "open", "local": ["127.0.0.1", 53], "peer": None}, "on 127.0.0.1 53"),
        ({"kind": "datagram", "state": "open", "local": ["127.0.0.1", 53]}, "93.184.216.34 80"),
        ({"kind": "datagram", "state": "open", "local": None, "peer": None}, "–"),
        ({"family": 1, "state": "listening", "local": ["/tmp/room", 0], "peer": None}, "on /tmp/room"),
        ({"family": 1, "local": ["", 0], "peer": ["/tmp/room", 0]}, "/tmp/room"),
        ({"family": 1, "local": ["/tmp/room", 0], "peer": ["", 0]}, "on /tmp/room"),
        ({"family": 1, "local": ["\0room", 0], "peer": ["", 0]}, "on @room"),
        ({"family": 1, "local": ["", 0], "peer": ["", 0]}, "its pair"),
        ({"family": 1, "kind": "datagram", "state": "open", "local": None, "peer": None}, "–"),
    ],
)
def test_a_socket_is_shown_with_its_peer_or_where_it_can_be_found(changes: dict[str, Any], whom: str):
    assert f"  {whom}  " in str(status(sockets=[{**SOCKET, **changes}]))


def test_one_socket_is_one_socket():
    assert "; 1 socket; " in str(status(sockets=[SOCKET]))


def test_a_session_that_nothing_carries_now_names_no_carrier():
    assert "(pynet-browser/1): detached, round" in str(status(state="detached", carrier=""))


@pytest.mark.parametrize("state", ["resting", "opening", "streaming", "closing", ""])
def test_a_stream_is_named_while_it_brings_what_comes(state: str):
    found = status(bulk=state)
    assert found.bulk == ("stream" if state == "streaming" else "WebSocket")
    assert ("attached over WebSocket and a stream, " in str(found)) == (state == "streaming")


def test_without_a_proxy_the_network_is_the_page():
    alone = {
        "kind": "page",
        "url": "",
        "proxy": "",
        "state": "local",
        "carrier": "",
        "bulk": "",
        "roundTrip": None,
    }
    assert str(status(**alone, sockets=[])).startswith("within this page; 0 sockets; ")


CHOSEN = 'install(blocking="xhr") asked for it'
LACKING = "this browser cannot suspend Python (it lacks JSPI)"
ENTERED = "Python was entered by runPython or a JavaScript callback, and cannot be suspended here"
IMPOSSIBLE = "synchronous requests are impossible"


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({"waiting": "jspi"}, "blocking calls suspend Python (JSPI)"),
        (
            {"waiting": "xhr", "blocking": "xhr"},
            f"blocking calls wait by synchronous requests: {CHOSEN}",
        ),
        (
            {"waiting": "xhr", "browserSuspends": False},
            f"blocking calls wait by synchronous requests: {LACKING}",
        ),
        (
            {"waiting": "xhr"},
            f"blocking calls wait by synchronous requests: {ENTERED}",
        ),
        (
            {"waiting": "none", "blocking": "jspi"},
            f'blocking calls cannot wait here: {ENTERED}, and {IMPOSSIBLE} by install(blocking="jspi")',
        ),
        (
            {"waiting": "none", "blocking": "jspi", "browserSuspends": False},
            f'blocking calls cannot wait here: {LACKING}, and {IMPOSSIBLE} by install(blocking="jspi")',
        ),
        (
            {"waiting": "none", "blocking": "xhr", "kind": "page", "url": ""},
            f"blocking calls cannot wait here: {CHOSEN}, and {IMPOSSIBLE} without a proxy",
        ),
    ],
)
def test_how_blocking_calls_wait_is_told_with_what_decides_it(report: dict[str, Any], why: str):
    told = status(**report)
    assert (told.waiting, told.why) == (report["waiting"], why)
    assert str(told).splitlines()[0].endswith(f"; {why}")


def test_a_notebook_shows_a_table():
    html = status()._repr_html_()
    assert html.count("<tr>") == 3
    assert "<th>fd</th><th>state</th><th>peer</th>" in html
    assert "<td>5</td><td>established</td><td>93.184.216.34 80</td><td>1000</td><td>20</td>" in html


def test_what_the_proxy_says_is_text_in_a_notebook_not_markup():
    html = status(
        proxy="<script>alert(1)</script>",
        url="ws://<b>",
        sockets=[{**SOCKET, "peer": ["<img src=x>", 1]}],
    )._repr_html_()
    for markup in ("<script>", "<b>", "<img"):
        assert markup not in html
    assert "&lt;script&gt;" in html


def test_as_plain_values_it_is_all_there():
    plain = status().to_dict()
    assert plain["round_trip"] == 0.012345
    assert plain["sockets"][0]["peer"] == ("93.184.216.34", 80)
    assert set(plain) == set(Status.__dataclass_fields__)
