"""The build hook: bundles the page's JavaScript into the package, and the demo into the wheel.

``js/index.js`` and what it imports become one script, ``pynet_browser/pynet.js``. Evaluating that script
gives an object with the module's exports, so the page needs no module loader and no second download.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DEMO_SUFFIXES = {".css", ".html", ".js", ".py", ".svg"}  # the page runs Python too
OTHERS = {"distribution.py", "jupyterlite"}  # in demo/, but no part of the page

ESBUILD_OPTIONS = [
    "--bundle",
    "--format=iife",
    "--global-name=pynet",
    # The value of the whole script, when it is evaluated, is the exports object.
    "--banner:js=(() => {",
    "--footer:js=return pynet; })()",
    "--target=es2022",
    # Names stay, so that a stack trace from a page can be read.
    "--minify-whitespace",
    "--minify-syntax",
    "--legal-comments=none",
    "--log-level=warning",
]


class BundleHook(BuildHookInterface[BuilderConfig]):
    """Runs before hatchling collects the files of a wheel or an sdist."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes the bundle and adds the demo's static files to ``build_data``."""
        if version == "editable":
            return  # serves the host, which never loads the bundle
        root = Path(self.root)
        make_bundle(root)
        if self.target_name == "wheel":
            build_data["force_include"].update(
                (str(file), f"pynet_browser/proxy/demo/{file.relative_to(root / 'demo')}")
                for file in demo_files(root)
            )


def demo_files(root: Path) -> list[Path]:
    """What of ``demo/`` the installed proxy serves."""
    return sorted(
        file
        for file in (root / "demo").rglob("*")
        if file.suffix in DEMO_SUFFIXES and OTHERS.isdisjoint(file.relative_to(root / "demo").parts)
    )


def make_bundle(root: Path) -> None:
    """Writes ``pynet_browser/pynet.js``, or keeps the one there where it cannot be made.

    Raises:
        RuntimeError: There is neither a bundle nor what it takes to make one.
    """
    bundle = root / "pynet_browser" / "pynet.js"
    unpacked_sdist = (root / "PKG-INFO").exists()
    if bundle.exists() and (unpacked_sdist or shutil.which("node") is None):
        return
    esbuild = root / "js" / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        install_npm_packages(root / "js")
    entry = root / "js" / "index.js"
    run([str(esbuild), str(entry), f"--outfile={bundle}", *ESBUILD_OPTIONS], root)


def install_npm_packages(directory: Path) -> None:
    """Brings esbuild, in the version that ``package-lock.json`` names."""
    npm = shutil.which("npm")
    if npm is None:
        msg = (
            "pynet-browser is built from JavaScript too: install Node.js 20.19 or newer with npm "
            "(https://nodejs.org, or `apt-get install nodejs npm`), or install from an sdist or a wheel, "
            "which carry the built bundle."
        )
        raise RuntimeError(msg)
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], directory)


def run(command: list[str], directory: Path) -> None:
    """Runs one build command; its own output is the explanation when it fails."""
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        msg = f"`{' '.join(command[:2])}` failed:\n{result.stdout}{result.stderr}"
        raise RuntimeError(msg)
