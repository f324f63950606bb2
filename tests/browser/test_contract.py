"""The contract suites in the page: our sockets do what Linux's do."""

from __future__ import annotations

import pytest

from tests import contract
from tests.browser.contract_page import open_contract
from tests.contract_peers import contract_peers


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def page(open_python, start_proxy):
    return open_contract("proxy", open_python, start_proxy)


@pytest.fixture(scope="module")
def lone_page(open_python, start_proxy):
    return open_contract("page", open_python, start_proxy)


RUN = "from tests import contract; contract.run(suite, name, peers)"


@pytest.mark.parametrize(("suite", "name"), contract.names())
def test_sockets_through_a_proxy_keep_the_contract(suite, name, page, peers):
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    page.run(RUN, suite=suite, name=name, peers=peers)


@pytest.mark.parametrize(("suite", "name"), contract.names(given=["host6"]))
def test_sockets_of_a_page_alone_keep_the_contract(suite, name, lone_page):
    lone_page.run(RUN, suite=suite, name=name, peers={"host6": "::1"})
