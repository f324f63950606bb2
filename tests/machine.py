"""Sees to it that this machine has the programs the tests run: ``python tests/machine.py chromium redis``.

What is missing is installed with apt-get where that is possible without asking anybody (root, or sudo
without a password); otherwise one line says what to install. Nothing is left running: the tests start
private instances.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Debian keeps servers in directories that are on nobody's PATH but root's.
SERVER_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])

# While this file answers "101", installing a package does not start its service (Debian policy, invoke-rc.d).
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Program:
    """Something the tests run that pip and npm do not bring."""

    title: str
    find: Callable[[], str | None]
    debian_packages: list[str]
    otherwise: list[str] | None = None  # a command that may bring it where apt-get cannot


def find_chromium() -> str | None:
    """The path of a Chromium that starts: an installed one, or the one Playwright downloaded."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path and answers_version(path):
            return path
    # Playwright is imported here because this file also runs where it is not installed yet.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and answers_version(path) else None


def answers_version(path: str) -> bool:
    """Ubuntu's browsers can be stubs that only ask for a snap; they do not answer this."""
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


def find_curl() -> str | None:
    """The path of curl."""
    return shutil.which("curl")


def find_dnsmasq() -> str | None:
    """The path of dnsmasq."""
    return shutil.which("dnsmasq", path=SERVER_PATH)


def find_emscripten() -> str | None:
    """Its compiler."""
    return shutil.which("emcc")


def find_firefox() -> str | None:
    """The path of a Firefox that starts; Debian has the one for organisations."""
    found = map(shutil.which, ("firefox-esr", "firefox"))
    return next((path for path in found if path and answers_version(path)), None)


def find_haproxy() -> str | None:
    """The path of HAProxy."""
    return shutil.which("haproxy", path=SERVER_PATH)


def find_nginx() -> str | None:
    """The path of nginx."""
    return shutil.which("nginx", path=SERVER_PATH)


def find_mariadb() -> str | None:
    """The path of mariadbd, if what it takes to make a database is there too."""
    path = shutil.which("mariadbd", path=SERVER_PATH)
    # mariadb-install-db is a script that asks my_print_defaults, which Debian has in another package.
    return path if shutil.which("mariadb-install-db") and shutil.which("my_print_defaults") else None


def find_mosquitto() -> str | None:
    """The path of mosquitto."""
    return shutil.which("mosquitto", path=SERVER_PATH)


def find_redis() -> str | None:
    """The path of redis-server."""
    return shutil.which("redis-server")


def find_postgresql() -> str | None:
    """The directory with initdb and postgres; Debian keeps it out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *reversed(versions)]
    complete = (path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists())
    return next(map(str, complete), None)


PROGRAMS = {
    "chromium": Program(
        "Chromium", find_chromium, ["chromium"], [sys.executable, "-m", "playwright", "install", "chromium"]
    ),
    "curl": Program("curl", find_curl, ["curl"]),
    "dnsmasq": Program("dnsmasq", find_dnsmasq, ["dnsmasq-base"]),
    "emscripten": Program("Emscripten", find_emscripten, ["emscripten"]),
    "firefox": Program("Firefox", find_firefox, ["firefox-esr"]),
    "haproxy": Program("HAProxy", find_haproxy, ["haproxy"]),
    "mariadb": Program("MariaDB", find_mariadb, ["mariadb-server-core", "mariadb-client-core"]),
    "mosquitto": Program("Mosquitto", find_mosquitto, ["mosquitto"]),
    "nginx": Program("nginx", find_nginx, ["nginx-light"]),
    "postgresql": Program("PostgreSQL", find_postgresql, ["postgresql"]),
    "redis": Program("Redis", find_redis, ["redis-server"]),
}


def main() -> None:
    """Installs what of the named programs is missing, or says what to install and exits with 1."""
    unknown = set(sys.argv[1:]) - set(PROGRAMS)
    if unknown or not sys.argv[1:]:
        sys.exit(f"usage: python tests/machine.py {' '.join(f'[{name}]' for name in PROGRAMS)}")
    missing = [program for name in sys.argv[1:] if not (program := PROGRAMS[name]).find()]
    if missing:
        install_with_apt(debian_packages(missing))
        missing = [program for program in missing if not program.find()]
    for program in missing:
        if program.otherwise:
            subprocess.run(program.otherwise, check=False)
    missing = [program for program in missing if not program.find()]
    if missing:
        titles = " and ".join(program.title for program in missing)
        packages = " ".join(debian_packages(missing))
        sys.exit(f"The tests need {titles}: install it, on Debian with `apt-get install {packages}`.")


def debian_packages(programs: list[Program]) -> list[str]:
    """The packages that bring the programs."""
    return [package for program in programs for package in program.debian_packages]


def install_with_apt(packages: list[str]) -> None:
    """Installs Debian packages if we may; failing is not an error here, for the caller looks again."""
    privilege = privilege_prefix()
    if privilege is None or shutil.which("apt-get") is None:
        return
    apt = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
    names = ", ".join(packages)
    with services_stay_stopped(privilege):
        # A stale list of packages may do, so installing is tried whatever became of the update.
        run_with_progress([*apt, "update"], f"apt-get update for {names}")
        run_with_progress(
            [*apt, "install", "--yes", "--no-install-recommends", *packages], f"apt-get install {names}"
        )


def privilege_prefix() -> list[str] | None:
    """How to run a command as root: directly, through sudo, or not at all (None)."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


@contextmanager
def services_stay_stopped(privilege: list[str]) -> Iterator[None]:
    """Keeps package scripts from starting a Mosquitto or a PostgreSQL that nobody asked for."""
    if SERVICE_POLICY.exists():  # the machine's owner has decided already
        yield
        return
    write = [*privilege, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {SERVICE_POLICY}"]
    subprocess.run(write, check=True)
    subprocess.run([*privilege, "chmod", "755", str(SERVICE_POLICY)], check=True)
    try:
        yield
    finally:
        subprocess.run([*privilege, "rm", "-f", str(SERVICE_POLICY)], check=True)


def run_with_progress(command: list[str], title: str) -> None:
    """Runs a long command with one line of progress; shows the end of its output when it fails."""
    terminal = sys.stdout.isatty()
    lines: list[str] = []
    print(f"{title} …", end="" if terminal else "\n", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # we asked for a pipe
        for line in process.stdout:
            lines.append(line.rstrip())
            if terminal:
                print(f"\r\x1b[K{title}: {lines[-1][:60]}", end="", flush=True)
    succeeded = process.returncode == 0
    if terminal:
        print(f"\r\x1b[K{title}: {'done' if succeeded else 'failed'}")
    if not succeeded:
        print(*lines[-10:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
