"""The contract suites on the host itself: what Linux does is what they must say."""

from __future__ import annotations

import pytest

from tests import contract
from tests.contract import errnos
from tests.contract_peers import contract_peers


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.mark.parametrize(("suite", "name"), contract.names())
def test_linux_keeps_the_contract(suite, name, peers):
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    contract.run(suite, name, peers)


@pytest.mark.parametrize("state", errnos.STATES)
def test_linux_says_the_same_each_time(state, peers):
    if missing := contract.needs(errnos.STATES[state]) - set(peers):
        pytest.skip(f"this machine has no {', '.join(sorted(missing))}")
    assert errnos.columns(state, peers) == errnos.columns(state, peers)


def test_linux_says_what_posix_has_it_say(peers):
    fresh = errnos.columns("fresh", peers)
    assert fresh["blocks"]["recv"] == ["OSError", "ENOTCONN", "Transport endpoint is not connected"]
    assert fresh["blocks"]["bind a free address"] == "ok"
    assert fresh["does not block"]["connect"] == [
        "BlockingIOError",
        "EINPROGRESS",
        "Operation now in progress",
    ]
    assert "accept" not in errnos.columns("listening_for_others", peers)["blocks"]
