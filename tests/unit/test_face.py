"""The package on a Python that does not run in a page."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any, cast

import pytest

import pynet_browser


async def test_install_says_where_it_belongs_and_what_to_run_here():
    with pytest.raises(pynet_browser.NotInBrowserError, match=r"pynet-browser serve.*pynet-browser\[proxy\]"):
        await pynet_browser.install("ws://127.0.0.1:8765/pynet", token="any")


def test_status_and_uninstall_are_harmless_without_a_network():
    pynet_browser.uninstall()
    assert not pynet_browser.status().installed
    assert "await pynet_browser.install(" in str(pynet_browser.status())


async def test_a_diagnosis_says_that_this_is_no_page_and_raises_nothing():
    for url in (None, "ws://127.0.0.1:8765/pynet", "no address"):
        told = await pynet_browser.diagnose(url, token="secret")
        assert not told.ok
        assert "not in a browser" in str(told)


def test_half_of_a_host_and_port_is_no_target():
    for arguments in ({"host": "db.example"}, {"port": 1}, {"host": "db.example", "port": 65536}):
        with pytest.raises(ValueError, match="port"):
            _ = pynet_browser.diagnose(**arguments)


def test_the_package_imports_nothing_that_is_not_in_the_standard_library():
    source = "import sys; sys.path.insert(0, '.'); import pynet_browser; print(*sorted(sys.modules))"
    imported = subprocess.run(
        [sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True
    ).stdout.split()
    foreign = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"__main__"}
    assert foreign == {"pynet_browser"}


def test_every_public_name_is_there():
    assert all(hasattr(pynet_browser, name) for name in pynet_browser.__all__)


# ── How blocking calls wait ───────────────────────────────────────────────────────────────────────────


def test_install_sync_says_where_it_belongs_too():
    for blocking in ("auto", "jspi", "xhr"):
        with pytest.raises(pynet_browser.NotInBrowserError):
            pynet_browser.install_sync("ws://127.0.0.1:8765/pynet", token="any", blocking=blocking)


async def test_a_way_of_waiting_that_is_none_is_refused_before_anything_is_asked():
    with pytest.raises(ValueError, match="blocking must be one of auto, jspi, xhr, not 'spin'"):
        pynet_browser.install_sync(None, blocking=cast(Any, "spin"))
    with pytest.raises(ValueError, match="'spin'"):
        await pynet_browser.install(None, blocking=cast(Any, "spin"))


async def test_a_way_for_bulk_that_is_none_is_refused_too():
    with pytest.raises(ValueError, match="bulk must be one of auto, off, not 'on'"):
        await pynet_browser.install(None, bulk=cast(Any, "on"))


def test_whoever_did_not_choose_the_slow_way_is_told_of_it():
    with pytest.warns(pynet_browser.SlowWaitingWarning, match="a blocking call waited"):
        pynet_browser._hint_at("auto")()


def test_the_hint_cannot_become_an_error_where_nobody_could_catch_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pynet_browser._hint_at("auto")()


@pytest.mark.parametrize("blocking", ["xhr", "jspi"])
def test_whoever_chose_it_is_told_nothing(blocking):
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        pynet_browser._hint_at(blocking)()
    assert not given
