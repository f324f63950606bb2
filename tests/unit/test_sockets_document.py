"""docs/sockets.md names a test for each of its lines, and the tests are there."""

from __future__ import annotations

import re

import pytest

from tests import contract
from tests.unit.vectors import ROOT

TEXT = (ROOT / "docs" / "sockets.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in TEXT.partition("<!-- calls -->\n")[2].partition("<!-- end -->")[0].splitlines()[2:]
]
EMSCRIPTEN = [
    *(
        "socket",
        "socketpair",
        "shutdown",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
    ),
    *("send", "recv", "sendto", "recvfrom", "sendmsg", "recvmsg", "getsockopt", "setsockopt"),
    *("getaddrinfo", "getnameinfo", "select.select", "select.poll", "close"),
]
"""The calls of Emscripten's proxy, and the three it lacks."""


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_test_that_a_line_names_exists(row):
    proof = row[3]
    if proof.startswith("tests/"):
        assert (ROOT / proof).exists()
        return
    suite, _, name = proof.partition(".")
    cases = [each for each in contract.names() if each[0] == suite]
    assert any(case == name or case.startswith(f"{name}_over_") for _, case in cases)


@pytest.mark.parametrize("call", EMSCRIPTEN)
def test_no_call_is_missing(call):
    assert any(call in re.split(r", ", row[0]) for row in ROWS)
