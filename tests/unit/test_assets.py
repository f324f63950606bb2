from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import sys
import zipfile

import pytest

from pynet_browser.proxy.assets import Assets, repacked_wheel
from pynet_browser.proxy.config import Config


@pytest.fixture
def lay(tmp_path):
    """Creates files of some bytes below one directory and returns the directory."""

    def create(*names: str):
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"content of {name}")
        return tmp_path

    return create


def test_a_checkout_has_things_where_the_build_puts_them(lay):
    root = lay(
        "pyproject.toml", "demo/index.html", "build/pyodide/pyodide.mjs", "build/jupyterlite/index.html"
    )
    assert Assets.find(Config(), root / "pynet_browser") == Assets(
        demo=root / "demo",
        pyodide=root / "build/pyodide",
        dist=root / "dist",
        jupyterlite=root / "build/jupyterlite",
    )


def test_an_installed_package_brings_its_demo(lay):
    root = lay("pynet_browser/proxy/demo/index.html")
    assert Assets.find(Config(), root / "pynet_browser") == Assets(
        demo=root / "pynet_browser/proxy/demo", pyodide=None, dist=None
    )


def test_the_configuration_has_the_last_word(lay):
    root = lay("pyproject.toml", "demo/index.html", "build/pyodide/pyodide.mjs", "mine/pyodide.mjs")
    found = Assets.find(Config(demo=False, pyodide=root / "mine"), root / "pynet_browser")
    assert (found.demo, found.pyodide) == (None, root / "mine")


def test_what_is_not_there_is_not_served(lay):
    root = lay("pyproject.toml")
    assert Assets.find(Config(), root / "pynet_browser") == Assets(
        demo=None, pyodide=None, dist=root / "dist"
    )


def test_of_several_wheels_the_newest_is_served(lay):
    root = lay("dist/a-1-py3-none-any.whl", "dist/b-2-py3-none-any.whl", "dist/notes.txt")
    os.utime(root / "dist/a-1-py3-none-any.whl", (2_000_000_000, 2_000_000_000))
    assets = Assets(demo=None, pyodide=None, dist=root / "dist")
    wheel = assets.wheel()
    assert wheel is not None
    assert (wheel.name, wheel.content) == ("a-1-py3-none-any.whl", b"content of dist/a-1-py3-none-any.whl")


def test_without_a_wheel_there_is_none(lay):
    assert Assets(demo=None, pyodide=None, dist=lay() / "dist").wheel() is None


@pytest.fixture
def installed(lay, monkeypatch):
    """A distribution as pip leaves it in site-packages; gives its name."""
    info = "made_up_pynet-1.2.dist-info"
    came = ["pynet_browser/__init__.py", "pynet_browser/pynet.js", f"{info}/METADATA", f"{info}/WHEEL"]
    made = [
        "pynet_browser/__pycache__/__init__.cpython-311.pyc",
        f"{info}/INSTALLER",
        f"{info}/direct_url.json",
    ]
    root = lay(*came, *made)
    (root / info / "METADATA").write_text("Metadata-Version: 2.4\nName: made-up-pynet\nVersion: 1.2\n")
    record = [*came, *made, f"{info}/RECORD", "../../../bin/pynet-browser"]
    (root / info / "RECORD").write_text("".join(f"{name},,\n" for name in record))
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    repacked_wheel.cache_clear()
    yield "made-up-pynet"
    repacked_wheel.cache_clear()


def test_the_wheel_of_an_installed_package_is_made_again(installed):
    wheel = repacked_wheel(installed)
    assert wheel is not None
    assert wheel.name == "made_up_pynet-1.2-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "pynet_browser/__init__.py",
            "pynet_browser/pynet.js",
            "made_up_pynet-1.2.dist-info/METADATA",
            "made_up_pynet-1.2.dist-info/WHEEL",
            "made_up_pynet-1.2.dist-info/RECORD",
        ]
        assert archive.read("pynet_browser/pynet.js") == b"content of pynet_browser/pynet.js"
        record = list(csv.reader(archive.read("made_up_pynet-1.2.dist-info/RECORD").decode().splitlines()))
        assert [row[0] for row in record] == archive.namelist()
        for name, digest, size in record[:-1]:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_the_same_installation_gives_the_same_bytes(installed):
    first = repacked_wheel(installed)
    repacked_wheel.cache_clear()
    assert repacked_wheel(installed) == first


def test_an_installation_without_the_pages_script_has_no_wheel(installed, tmp_path):
    record = tmp_path / "made_up_pynet-1.2.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("pynet_browser/pynet.js,,\n", ""))
    assert repacked_wheel(installed) is None


def test_what_is_not_installed_has_no_wheel():
    assert repacked_wheel("no-such-distribution") is None
