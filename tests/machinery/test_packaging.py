"""What a user installs: the wheel holds all that the page and the host need; the sdist needs no Node."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pynet_browser
from tests.servers import ROOT

WHEEL = f"pynet_browser-{pynet_browser.__version__}-py3-none-any.whl"  # also says that both versions agree


def build(target: str, source: Path, destination: Path, path: str | None = None) -> None:
    environment = os.environ | ({"PATH": path} if path is not None else {})
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        target,
        "--directory",
        str(destination),
    ]
    result = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stdout + result.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    destination = tmp_path_factory.mktemp("wheel")
    build("wheel", ROOT, destination)
    with zipfile.ZipFile(destination / WHEEL) as archive:
        yield archive


@pytest.fixture(scope="module")
def unpacked_sdist(tmp_path_factory):
    destination = tmp_path_factory.mktemp("sdist")
    build("sdist", ROOT, destination)
    [archive] = destination.glob("*.tar.gz")
    subprocess.run(["tar", "--extract", "--file", archive], cwd=destination, check=True)
    return destination / archive.name.removesuffix(".tar.gz")


def test_the_wheel_has_the_bundle_the_types_and_the_demo(wheel):
    names = set(wheel.namelist())
    assert {
        "pynet_browser/pynet.js",
        "pynet_browser/py.typed",
        "pynet_browser/proxy/demo/index.html",
    } <= names
    assert not [name for name in names if "distribution" in name or "jupyterlite" in name]


def test_evaluating_the_bundle_gives_the_exports_and_leaves_no_global(wheel, tmp_path):
    script = tmp_path / "pynet.js"
    script.write_bytes(wheel.read("pynet_browser/pynet.js"))
    program = """
        const value = (0, eval)(require("fs").readFileSync(process.argv[1], "utf8"));
        console.log(typeof value, Object.keys(value).length > 0, typeof globalThis.pynet);
    """
    result = subprocess.run(
        ["node", "--eval", program, str(script)], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["object", "true", "undefined"]


def test_a_wheel_made_from_the_sdist_without_node_is_the_same(wheel, unpacked_sdist, tmp_path):
    build("wheel", unpacked_sdist, tmp_path, path="")
    with zipfile.ZipFile(tmp_path / WHEEL) as rebuilt:
        assert rebuilt.namelist() == wheel.namelist()
        assert rebuilt.read("pynet_browser/pynet.js") == wheel.read("pynet_browser/pynet.js")


def test_without_node_and_without_a_bundle_the_build_says_what_to_install(unpacked_sdist, tmp_path):
    (unpacked_sdist / "pynet_browser" / "pynet.js").unlink()
    with pytest.raises(RuntimeError, match=r"install Node\.js 20\.19 or newer"):
        build("wheel", unpacked_sdist, tmp_path, path="")
