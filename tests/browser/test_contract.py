"""The contract suites in the page: our sockets do what Linux's do."""

from __future__ import annotations

import pytest

from tests import contract
from tests.browser.contract_page import bring_contract
from tests.contract_peers import contract_peers


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def page(python):
    bring_contract(python)
    return python


@pytest.mark.parametrize(("suite", "name"), contract.names())
def test_the_page_keeps_the_contract(suite, name, page, peers):
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    page.run(
        "from tests import contract; contract.run(suite, name, peers)", suite=suite, name=name, peers=peers
    )
