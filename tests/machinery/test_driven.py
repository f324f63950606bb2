"""The browsers of the tests end with them, whatever becomes of their driver."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests import driven
from tests.driven import DrivenBrowser, ScriptError


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


@pytest.fixture(params=["Chromium", "Firefox"])
def browser(request):
    return DrivenBrowser(request.param)


def test_it_ends_with_its_block(browser):
    with browser:
        assert browser.version.lower().startswith(("chrome/", "headlesschrome/", "firefox/"))
        with pytest.raises(ScriptError):
            browser.ask("evaluate", tab=0, code="() => 1", argument=None, milliseconds=1000)
    assert ends(browser.process)


def test_it_ends_with_a_driver_that_hangs(browser, monkeypatch):
    monkeypatch.setattr(driven, "CLOSE_TIMEOUT", 0.1)
    with browser:
        os.kill(browser.driver, signal.SIGSTOP)
    assert ends(browser.process)
    assert ends(browser.driver)


def test_it_ends_with_a_driver_that_was_killed(browser):
    with browser:
        os.kill(browser.driver, signal.SIGKILL)
        with pytest.raises(OSError, match="driver"):
            browser.ask("evaluate", tab=0, code="() => 1", argument=None, milliseconds=1000)
    assert ends(browser.process)
