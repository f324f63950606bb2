"""On what machine, when, and with which versions something was measured."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from tests.servers import ROOT

PACKAGES = ["pynet-browser", "aiohttp", "uvloop", "websockify", "numpy"]
WISP = ROOT / "js/node_modules/@mercuryworkshop/wisp-js/package.json"


def machine_and_versions() -> dict[str, str]:
    """In words, by name."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "wisp-js": json.loads(WISP.read_text())["version"] if WISP.exists() else "not installed",
    } | {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Its name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
