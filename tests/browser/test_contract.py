"""The contract suites in the page: our sockets do what Linux's do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import stream
from tests.contract_peers import stream_peers

SOURCE = Path(stream.__file__).read_text("utf-8")


@pytest.fixture(scope="module")
def peers():
    with stream_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def contract(python):
    """The page, with the suite in it as module `stream`."""
    python.run(
        """
        import sys, types
        module = types.ModuleType("stream")
        exec(compile(suite, "stream.py", "exec"), module.__dict__)
        sys.modules["stream"] = module
        None
        """,
        suite=SOURCE,
    )
    return python


@pytest.mark.parametrize("name", stream.CASES)
def test_a_stream_in_the_page(name, contract, peers):
    contract.run("import stream; stream.CASES[name](peers)", name=name, peers=peers)
