"""Run CPython's own ``test_ssl`` over our layer and print what became of each test, as JSON lines."""

from __future__ import annotations

import importlib
import json
import sys
import unittest
import warnings
from typing import Any

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch


class Results(unittest.TestResult):
    """Tells of each test when it ends; one that only has failing parts fails."""

    def stopTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().stopTest(test)
        name = test.id().removeprefix("test.test_ssl.")
        kinds = (("error", self.errors), ("failure", self.failures), ("skipped", self.skipped))
        found = [
            (kind, text)
            for kind, listed in kinds
            for each, text in listed
            if getattr(each, "test_case", each) is test
        ]
        kind, text = found[0] if found else ("passed", "")
        sys.__stdout__.write(json.dumps([name, kind, text[-1500:]]) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


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
    if wanted := sys.argv[1:]:
        suite = unittest.TestSuite(
            test for group in suite for test in group if any(name in test.id() for name in wanted)
        )
    results = Results()
    unittest.TestSuite([suite]).run(results)  # a suite of suites: setUpModule has its place


if __name__ == "__main__":
    main()
