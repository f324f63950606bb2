"""Makes ``build/pyodide``: a Pyodide that needs no CDN, from which the demo and the browser tests boot.

It holds the four core files of the npm package, the pure wheels listed here, and a lock file that names these
wheels and no others. What is not in the lock then raises an error in the page; with the stock lock, which
promises hundreds of packages from a CDN, ``loadPackage`` would only print a message and go on.

Run it again at any time: it does what is missing. ``make_distribution`` makes others like it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
NPM_PACKAGE = ROOT / "js" / "node_modules" / "pyodide"
OUTPUT = ROOT / "build" / "pyodide"

CORE_FILES = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"]

# Everything a page can install without leaving this machine. Dependencies are listed too: a version
# changes only when somebody changes it here.
PACKAGES = {
    "micropip": "0.11.1",  # installs our own wheel
    # the examples: Redis
    "redis": "8.1.0",
    # the examples: PostgreSQL
    "pg8000": "1.31.6",
    "scramp": "1.5.0",  # for pg8000
    "asn1crypto": "1.5.1",  # for scramp
    "python-dateutil": "2.9.0.post0",  # for pg8000
    "six": "1.17.0",  # for python-dateutil
    # what else the tests run, and a visitor may like to try: all of it together is 2.4 MB
    "aiohttp": "3.14.5",
    "aiohappyeyeballs": "2.7.1",  # for aiohttp
    "aiosignal": "1.4.0",  # for aiohttp
    "attrs": "26.1.0",  # for aiohttp
    "frozenlist": "1.8.0",  # for aiohttp
    "multidict": "7.2.1",  # for aiohttp
    "propcache": "0.5.4",  # for aiohttp
    "yarl": "1.25.1",  # for aiohttp
    "idna": "3.20",  # for yarl
    "dnspython": "2.9.2",
    "paho-mqtt": "2.2.0",
    "pymysql": "1.2.4",
    "websockets": "17.4",
    "websocket-client": "1.9.2",
    "requests": "2.34.2",
    "certifi": "2026.10.19.post1",  # for requests
    "charset-normalizer": "3.5.3",  # for requests
    "urllib3": "2.8.0",  # for requests
    "httpx": "0.28.1",
    "anyio": "4.16.0",  # for httpx
    "typing-extensions": "4.16.0",  # for anyio
    "h11": "0.16.0",  # for httpcore
    "httpcore": "1.0.9",  # for httpx
}


def main() -> None:
    """Brings ``build/pyodide`` up to date, and says what it does."""
    make_distribution(OUTPUT, PACKAGES)


def make_distribution(output: Path, packages: Mapping[str, str], local: Iterable[Path] = ()) -> None:
    """Brings the distribution in ``output`` up to date, and says what it does.

    Args:
        output: its directory, which holds nothing else.
        packages: names and versions to download. Their dependencies must be among them, or in ``local``.
        local: wheels that are on this machine already.
    """
    if not NPM_PACKAGE.is_dir():
        sys.exit("Pyodide comes from npm: run `npm ci --prefix js` first, or `make demo`, which does it.")
    output.mkdir(parents=True, exist_ok=True)
    stock = json.loads((NPM_PACKAGE / "pyodide-lock.json").read_text())
    version = json.loads((NPM_PACKAGE / "package.json").read_text())["version"]

    for name in CORE_FILES:
        link_or_copy(NPM_PACKAGE / name, output / name)
    here = {wheel_key(wheel): wheel for wheel in local}
    remove_wheels_except({*packages.items(), *here}, output)
    for wheel in here.values():
        link_or_copy(wheel, output / wheel.name)
    download_missing_wheels(packages, output, ".".join(stock["info"]["python"].split(".")[:2]))
    write_lock(stock, output)
    print(f"Pyodide {version} with {len(wheels(output))} packages is in {output.relative_to(ROOT)}")


def link_or_copy(source: Path, target: Path) -> None:
    """Puts ``source`` at ``target``; a hard link where the file system allows, for these files are large."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def wheel_key(wheel: Path) -> tuple[str, str]:
    """The canonical name and the version that a wheel's file name tells."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return name, str(version)


def wheels(directory: Path) -> dict[tuple[str, str], Path]:
    """The wheels in a directory."""
    return {wheel_key(wheel): wheel for wheel in sorted(directory.glob("*.whl"))}


def remove_wheels_except(wanted: set[tuple[str, str]], output: Path) -> None:
    """Drops what an older list of packages left."""
    for key, wheel in wheels(output).items():
        if key not in wanted:
            wheel.unlink()


def download_missing_wheels(packages: Mapping[str, str], output: Path, python_version: str) -> None:
    """Downloads wheels with pip, so that the user's index and proxy settings hold."""
    present = wheels(output)
    missing = [f"{name}=={version}" for name, version in packages.items() if (name, version) not in present]
    if not missing:
        return
    print(f"downloading {len(missing)} wheels for the page: {', '.join(missing)}", flush=True)
    # Wheels without compiled code only: nothing else runs in WebAssembly.
    pure = ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *pure]
    command += [f"--python-version={python_version}", f"--dest={output}", *missing]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit("pip could not download the page's packages; its message is above.")


def write_lock(stock: dict[str, Any], output: Path) -> None:
    """Writes ``pyodide-lock.json``: the stock one's header, our packages."""
    environment = marker_environment(stock["info"])
    packages = {name: lock_entry(wheel, environment) for (name, _), wheel in wheels(output).items()}
    for name, entry in packages.items():
        unmet = [dependency for dependency in entry["depends"] if dependency not in packages]
        if unmet:
            sys.exit(f"{name} needs {', '.join(unmet)}: add it to the list of packages it comes from")
    lock = {"info": stock["info"], "packages": packages}
    (output / "pyodide-lock.json").write_text(json.dumps(lock, indent=1) + "\n")


def marker_environment(info: dict[str, str]) -> dict[str, str]:
    """What environment markers evaluate to in Pyodide (``info`` is the head of its lock file)."""
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": info["python"],
        "os_name": "posix",
        "platform_machine": info["arch"],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Emscripten",
        "platform_version": "",
        "python_full_version": info["python"],
        "python_version": ".".join(info["python"].split(".")[:2]),
        "sys_platform": info["platform"].split("_")[0],
    }


def lock_entry(wheel: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Describes one wheel as Pyodide's package loader wants it."""
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
        metadata_file = next(name for name in members if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(metadata_file).decode())
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    top_level = {name.split("/")[0].removesuffix(".py") for name in members if ".dist-info/" not in name}
    name, version = wheel_key(wheel)
    return {
        "name": name,
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(top_level),
        "depends": sorted(
            canonicalize_name(requirement.name)
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate(environment)
        ),
        "unvendored_tests": False,
    }


if __name__ == "__main__":
    main()
