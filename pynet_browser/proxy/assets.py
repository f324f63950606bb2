"""The files the proxy serves beside its own work: the demo page, this package's wheel, Pyodide, JupyterLite.

In a checkout they lie where the build puts them. An installed package brings the demo along, and its wheel is
made again, in memory, from the files that were installed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pynet_browser.proxy.config import Config

__all__ = ["Assets", "Wheel"]

DISTRIBUTION = "pynet-browser"
BUNDLE = "pynet_browser/pynet.js"
"""The page's JavaScript. It is there in every wheel and in no editable installation."""

PACKAGE = Path(__file__).parents[1]
INSTALLER_FILES = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}
"""Of a ``.dist-info`` directory: what installers wrote there, and the list that is made anew."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: its file name and the whole of its content."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """Where things are; None for what is not there.

    Attributes:
        demo: directory of the demo page.
        pyodide: directory of a Pyodide distribution.
        dist: directory a checkout builds its wheels in.
        jupyterlite: directory of the JupyterLite site that a checkout builds.
    """

    demo: Path | None
    pyodide: Path | None
    dist: Path | None
    jupyterlite: Path | None = None

    @classmethod
    def find(cls, config: Config, package: Path = PACKAGE) -> Assets:
        """Looks in a checkout first, then in the installed ``package``."""
        checkout = package.parent if (package.parent / "pyproject.toml").is_file() else None
        demo = checkout / "demo" if checkout else package / "proxy" / "demo"
        pyodide = config.pyodide or (checkout / "build" / "pyodide" if checkout else None)
        jupyterlite = checkout / "build" / "jupyterlite" if checkout else None
        return cls(
            demo=demo if config.demo and (demo / "index.html").is_file() else None,
            pyodide=pyodide if pyodide and pyodide.is_dir() else None,
            dist=checkout / "dist" if checkout else None,
            jupyterlite=jupyterlite if jupyterlite and jupyterlite.is_dir() else None,
        )

    def wheel(self) -> Wheel | None:
        """This package's wheel: the newest that was built in a checkout, or the installed one."""
        if self.dist is None:
            return repacked_wheel()
        newest = max(self.dist.glob("*.whl"), key=lambda path: path.stat().st_mtime, default=None)
        return Wheel(newest.name, newest.read_bytes()) if newest else None


@functools.cache
def repacked_wheel(name: str = DISTRIBUTION) -> Wheel | None:
    """A wheel with the files of an installed distribution; None when it is not installed from a wheel.

    The same installation always gives the same bytes.
    """
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = sorted(
        (path for path in distribution.files or () if _belongs_in_wheel(path)),
        key=lambda path: (
            path.parts[0].endswith(".dist-info"),
            path,
        ),  # metadata comes last
    )
    if not any(path.as_posix() == BUNDLE for path in paths):
        return None
    info = next(path.parts[0] for path in paths if path.parts[0].endswith(".dist-info"))
    buffer = io.BytesIO()
    record = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            content = Path(str(distribution.locate_file(path))).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{path.as_posix()},sha256={digest},{len(content)}\n")
            _add(archive, path.as_posix(), content)
        record.append(f"{info}/RECORD,,\n")
        _add(archive, f"{info}/RECORD", "".join(record).encode())
    return Wheel(f"{info.removesuffix('.dist-info')}-py3-none-any.whl", buffer.getvalue())


def _belongs_in_wheel(path: PurePosixPath) -> bool:
    """Whether a file came with the wheel, rather than being made by the installer."""
    outside = path.is_absolute() or ".." in path.parts  # scripts, such as ../../../bin/pynet-browser
    compiled = "__pycache__" in path.parts
    by_installer = path.parts[0].endswith(".dist-info") and path.name in INSTALLER_FILES
    return not (outside or compiled or by_installer)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980: the archive does not depend on when it is made
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
