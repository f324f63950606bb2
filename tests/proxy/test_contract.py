"""The contract suites on the host itself: what Linux does is what they must say."""

from __future__ import annotations

import pytest

from tests.contract import stream
from tests.contract_peers import stream_peers


@pytest.fixture(scope="module")
def peers():
    with stream_peers() as addresses:
        yield addresses


@pytest.mark.parametrize("name", stream.CASES)
def test_a_stream_on_the_host(name, peers):
    stream.CASES[name](peers)
