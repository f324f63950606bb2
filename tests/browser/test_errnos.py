"""The same errors as on Linux: each call in each state, here and in the page, side by side."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache

import pytest

from tests.browser.contract_page import PLACES, open_contract
from tests.contract import errnos, needs
from tests.contract_peers import contract_peers

OVER = "what is over is no new socket here"
KNOWN = [
    ("*", "listening_no_more", "bind*", OVER),
    ("*", "listening_no_more", "connect*", OVER),
    ("*", "peer_reset*", "bind*", OVER),
    ("*", "shut_by_both", "bind*", OVER),
    ("*", "refused*", "getsockname", "what was refused lets go of its address at once"),
    ("*", "datagram6", "get IPV6_V6ONLY", "Linux sets it for what is bound to one address"),
    ("page", "*6", "bind a foreign address", "IPv4 and IPv6 do not look at the same thing first on Linux"),
    ("proxy", "*", "bind a foreign address", "the proxy looks first whether there is an address already"),
    ("proxy", "connecting_to_silence", "getsockname", "the proxy tells it with the end of the attempt"),
    ("proxy", "connecting_to_silence", "shutdown*", "to close is what ends an attempt"),
]
"""Differences that we accept: place, state and call, as globs, and the reason."""


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module", params=PLACES)
def place(request):
    return request.param


@pytest.fixture(scope="module")
def page(place, open_python, start_proxy):
    return open_contract(place, open_python, start_proxy)


@pytest.fixture(scope="module")
def differences(place, page, peers):
    """Gives for a state the calls that end otherwise in the page, with both outcomes."""
    given = peers if place == "proxy" else {"host6": peers.get("host6", "::1")}

    @cache
    def of(state):
        if missing := needs(errnos.STATES[state]) - set(given):
            pytest.skip(f"there is no {', '.join(sorted(missing))}")
        here = errnos.columns(state, peers)
        there = page.run(
            "from tests.contract import errnos; errnos.columns(state, peers)",
            timeout=100,
            state=state,
            peers=given,
        )
        return {
            (mode, call): f"{outcome} on Linux, {there[mode].get(call)} in the page"
            for mode, column in here.items()
            for call, outcome in column.items()
            if not _agree(outcome, there[mode].get(call))
        }

    return of


@pytest.mark.parametrize("state", errnos.STATES)
def test_each_call_ends_as_on_linux(state, place, differences):
    unknown = [
        f"{call} ({mode}): {outcomes}"
        for (mode, call), outcomes in differences(state).items()
        if not any(_fits(known, place, state, call) for known in KNOWN)
    ]
    assert not unknown, "\n".join([f"{len(unknown)} calls in the state {state}:", *unknown])


@pytest.mark.timeout(900)  # run alone, it compares every state
def test_no_difference_is_accepted_in_vain(place, differences):
    found = []
    for state in errnos.STATES:
        try:
            found += [(place, state, call) for _, call in differences(state)]
        except pytest.skip.Exception:
            continue
    vain = [
        known
        for known in KNOWN
        if fnmatchcase(place, known[0]) and not any(_fits(known, *each) for each in found)
    ]
    assert not vain, vain


def _agree(here, there):
    """Whether two outcomes are the same; the proxy's sentence may say first whom it speaks of."""
    if isinstance(here, list) and isinstance(there, list):
        return here[:2] == there[:2] and (here[2] == there[2] or there[2].endswith(f": {here[2]}"))
    return here == there


def _fits(known, place, state, call):
    return all(fnmatchcase(value, glob) for value, glob in zip((place, state, call), known[:3], strict=True))
