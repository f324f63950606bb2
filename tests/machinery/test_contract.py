"""The contract suites on the host itself: what Linux does is what they must say."""

from __future__ import annotations

import pytest

from tests import contract
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
