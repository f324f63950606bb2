"""The Firefox of the tests ends with them, whatever becomes of its driver."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests import firefox
from tests.firefox import Firefox
from tests.page_python import PageError


def ends(process: int) -> bool:
    """Whether a process is gone in a moment; whoever adopts it must notice first."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_it_ends_with_its_block():
    with Firefox() as browser:
        assert browser.version.startswith("firefox/")
        with pytest.raises(PageError):
            browser.ask("evaluate", tab=0, code="() => 1", argument=None, milliseconds=1000)
    assert ends(browser.process)


def test_it_ends_with_a_driver_that_hangs(monkeypatch):
    monkeypatch.setattr(firefox, "CLOSE_TIMEOUT", 0.1)
    with Firefox() as browser:
        os.kill(browser.driver, signal.SIGSTOP)
    assert ends(browser.process)
    assert ends(browser.driver)


def test_it_ends_with_a_driver_that_was_killed():
    with Firefox() as browser:
        os.kill(browser.driver, signal.SIGKILL)
        with pytest.raises(OSError, match="driver"):
            browser.ask("evaluate", tab=0, code="() => 1", argument=None, milliseconds=1000)
    assert ends(browser.process)
