"""Run CPython's own ``test_ssl`` over our layer; print what became of each test, as JSON lines.

Arguments: which share of the tests, out of how many; all of them without arguments.
"""

from __future__ import annotations

import importlib
import json
import sys
import unittest
import warnings
from typing import Any

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch

RACES = ("ConnectionRefusedError", "ConnectionResetError")
"""Before Python 3.12 a client's reset ends the suite's server, and its clients leave without reading what
comes after the handshake: the next one is refused, now and then. Such a test must pass when repeated."""

RUNS = 10

RESETS = {"TestPostHandshakeAuth.test_pha_required_nocert": ("BrokenPipeError", "ConnectionResetError")}
"""What may end these tests too. Their server has refused the client, and may have closed the connection,
when the client writes. Up to Python 3.12 ``ssl`` calls a reset while writing ``SSLEOFError``; since 3.13 it
is the system's own exception, as it is here, and these tests of 3.13 accept both."""


class Results(unittest.TestResult):
    """Remembers what became of each test; one that only has failing parts fails."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[Any] = []

    def stopTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().stopTest(test)
        self.tests.append(test)

    def rows(self) -> list[tuple[Any, str, str]]:
        """Each test, how it ended, and what it said."""
        kinds = (("error", self.errors), ("failure", self.failures), ("skipped", self.skipped))
        ended = {
            getattr(each, "test_case", each): (kind, text[-1500:])
            for kind, listed in kinds
            for each, text in listed
        }
        rows = [(test, *ended.get(test, ("passed", ""))) for test in self.tests]
        return [
            (test, "passed", "") if accepted(test, text) else (test, kind, text) for test, kind, text in rows
        ]


def name_of(test: Any) -> str:
    return str(test.id()).removeprefix("test.test_ssl.")


def accepted(test: Any, text: str) -> bool:
    last = text.strip().rpartition("\n")[2]
    return last.startswith(RESETS.get(name_of(test), ())) if last else False


def ran(tests: list[Any]) -> list[tuple[Any, str, str]]:
    results = Results()
    unittest.TestSuite(tests).run(results)
    return results.rows()


def main() -> None:
    """Patch first: the suite takes what it needs from ``ssl`` when it is imported."""
    patch.apply(Patches())
    from pynet_browser.tls.engine import engine

    engine()
    support: Any = importlib.import_module("test.support")
    test_ssl = importlib.import_module("test.test_ssl")
    support.use_resources = []
    support.verbose = 0
    warnings.simplefilter("default")
    suite: Any = unittest.defaultTestLoader.loadTestsFromModule(test_ssl)
    share, shares = (int(each) for each in sys.argv[1:]) if sys.argv[1:] else (0, 1)
    tests = [test for group in suite for test in group][share::shares]
    rows = {name_of(test): (kind, text) for test, kind, text in ran(tests)}
    for _ in range(RUNS - 1):
        again = [test for test in tests if any(race in rows[name_of(test)][1] for race in RACES)]
        rows |= {
            name_of(test): (kind, text)
            for test, kind, text in ran([type(test)(test._testMethodName) for test in again])
        }
    for name, (kind, text) in rows.items():
        sys.__stdout__.write(json.dumps([name, kind, text]) + "\n")  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
