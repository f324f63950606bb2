"""The same errors as on Linux: each call in each state, here and in the page, side by side."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache

import pytest

from tests.browser.contract_page import PLACES, open_contract
from tests.contract import errnos, needs
from tests.contract_peers import contract_peers

KNOWN: list[tuple[str, str, str, str]] = []
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
            if there[mode].get(call) != outcome
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


def _fits(known, place, state, call):
    return all(fnmatchcase(value, glob) for value, glob in zip((place, state, call), known[:3], strict=True))
