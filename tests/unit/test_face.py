"""The package on a Python that does not run in a page."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pynet_browser


async def test_install_says_where_it_belongs_and_what_to_run_here():
    with pytest.raises(pynet_browser.NotInBrowserError, match=r"pynet-browser serve.*pynet-browser\[proxy\]"):
        await pynet_browser.install("ws://127.0.0.1:8765/pynet", token="any")


def test_status_and_uninstall_are_harmless_without_a_network():
    pynet_browser.uninstall()
    assert not pynet_browser.status().installed
    assert "await pynet_browser.install(" in str(pynet_browser.status())


def test_the_package_imports_nothing_that_is_not_in_the_standard_library():
    source = "import sys; sys.path.insert(0, '.'); import pynet_browser; print(*sorted(sys.modules))"
    imported = subprocess.run(
        [sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True
    ).stdout.split()
    foreign = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"__main__"}
    assert foreign == {"pynet_browser"}


def test_every_public_name_is_there():
    assert all(hasattr(pynet_browser, name) for name in pynet_browser.__all__)
