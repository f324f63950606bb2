"""The processes between page and services, and what each of them uses: processor time, memory."""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from tests.servers import ROOT, ProxyProcess, ServerError, ServerProcess

HERE = Path(__file__).resolve().parent
PROC = Path("/proc")

NO_PACE = {
    "connects_per_second": 1_000_000,
    "connect_burst": 1_000_000,
    "datagrams_per_second": 1_000_000,
    "datagram_burst": 1_000_000,
}
"""Limits on rates protect a proxy from pages; here they would be all that is measured."""


class MeasuredProcess(ServerProcess):
    """A server whose processor time is of interest."""

    @property
    def pid(self) -> int:
        """Names the process to the system."""
        assert self._process is not None  # it is asked only while it runs
        return self._process.pid

    def cpu_seconds(self) -> float | None:
        """What it and its children have used until now; None where the system does not tell (no /proc)."""
        if not PROC.is_dir():
            return None
        return ticks_of_family(self.pid) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes of memory that it and its children have now; what they share is counted once (PSS).

        Raises:
            OSError: the system does not tell.
        """
        return sum(map(proportional, family_of(self.pid)))

    def resident(self) -> int | None:
        """Bytes of memory that it has now, without children; None where the system does not tell."""
        try:
            pages = int((PROC / str(self.pid) / "statm").read_text().split()[1])
        except OSError:
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")


class Services(ServerProcess):
    """The services the peers talk to."""

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "services.py")]

    def answers(self) -> bool:
        return self.log().startswith("{") and self.log().endswith("\n")

    @cached_property
    def ports(self) -> dict[str, int]:
        """Port of each service by name."""
        ports: dict[str, int] = json.loads(self.log())
        return ports


class Carrier(MeasuredProcess):
    """What brings a page's bytes to the services."""

    def url(self, port: int) -> str:
        """What a page opens to reach this port of the machine."""
        raise NotImplementedError


class BareBridge(Carrier):
    """A raw WebSocket to TCP, with nothing in between."""

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "bare_bridge.py"), str(self.port)]

    def url(self, port: int) -> str:
        return f"ws://{self.host}:{self.port}/{port}"


class BareStream(Carrier):
    """A streaming answer fed by TCP, with nothing in between."""

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "bare_stream.py"), str(self.port)]

    def url(self, port: int) -> str:
        return f"http://{self.host}:{self.port}/{port}"


class Direct(Carrier):
    """Nothing: what the services serve to browsers themselves."""

    def url(self, port: int) -> str:
        return f"http://{self.host}:{port}"

    def cpu_seconds(self) -> None:
        """There is no process."""


class WispServer(Carrier):
    """wisp-js's own server: many connections over one WebSocket."""

    def command(self) -> list[str]:
        program = ROOT / "js/node_modules/@mercuryworkshop/wisp-js/src/bin/server_cli.mjs"
        options = ["--logging", "NONE", "--options", json.dumps({"allow_loopback_ips": True})]
        return ["node", str(program), "--host", self.host, "--port", str(self.port), *options]

    def url(self, port: int) -> str:
        return f"ws://{self.host}:{self.port}/?port={port}"


class Websockify(Carrier):
    """websockify as its users run it: a process for each connection."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services

    def prepare(self) -> None:
        lines = [f"{port}: {self._services.host}:{port}\n" for port in self._services.ports.values()]
        (self.directory / "targets").write_text("".join(lines))

    def command(self) -> list[str]:
        targets = ["--token-plugin=ReadOnlyTokenFile", f"--token-source={self.directory / 'targets'}"]
        return [sys.executable, "-m", "websockify", *targets, f"{self.host}:{self.port}"]

    def url(self, port: int) -> str:
        return f"ws://{self.host}:{self.port}/?token={port}"


class Proxy(MeasuredProcess, ProxyProcess):
    """Our proxy, as its users run it but for the limits on rates, and such as are given; pages may listen."""

    def __init__(self, **limits: int) -> None:
        super().__init__("--config", "limits.toml", "--listen", "*")
        self._limits = NO_PACE | limits

    def prepare(self) -> None:
        lines = [f"{name} = {value}\n" for name, value in self._limits.items()]
        (self.directory / "limits.toml").write_text("".join(["[limits]\n", *lines]))


def allow_descriptors(needed: int = 0) -> None:
    """Let this process and its children have as many open files as the system grants those who ask.

    Raises:
        ServerError: those are fewer than are ``needed``.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < needed:
        with suppress(ValueError, OSError):  # the administrator may ask for more
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            return
        raise ServerError(
            f"{needed} open files are needed, and {most} allowed: `ulimit -Hn`, or ask for less"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class OthersShare:
    """How busy this machine is with what is not part of the run: where the spread of figures comes from."""

    def __init__(self) -> None:
        self._start = self._ticks()

    def in_words(self) -> str:
        """Since this object was made."""
        if self._start is None or (end := self._ticks()) is None:
            return "not known"
        everything, ours = (now - before for now, before in zip(end, self._start, strict=True))
        seconds = os.sysconf("SC_CLK_TCK")
        return f"{(everything - ours) / seconds:.0f} s of processor time, the run {ours / seconds:.0f} s"

    @staticmethod
    def _ticks() -> tuple[int, int] | None:
        """Clock ticks that all processes have used, and those of this one and its children."""
        if not PROC.is_dir():
            return None
        user, nice, system, _idle, _waiting, *interrupts = map(
            int, (PROC / "stat").read_text().partition("\n")[0].split()[1:8]
        )
        return user + nice + system + sum(interrupts), ticks_of_family(os.getpid())


def proportional(pid: int) -> int:
    """Bytes of a process's memory, with its share of what it has in common with others."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kilobytes) * 1024


def ticks_of_family(pid: int) -> int:
    return sum(map(used_by, family_of(pid)))


def family_of(pid: int) -> set[int]:
    """The process, its children, and theirs."""
    parents = {int(path.name): parent_of(path) for path in PROC.iterdir() if path.name.isdigit()}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def parent_of(process: Path) -> int | None:
    fields = stat_fields(process)
    return int(fields[1]) if fields else None


def used_by(pid: int) -> int:
    """Clock ticks that a process has used, and those of its children that have ended."""
    fields = stat_fields(PROC / str(pid))
    return sum(map(int, fields[11:15])) if fields else 0


def stat_fields(process: Path) -> list[str] | None:
    """What proc(5) calls (3) and following; None if the process is gone."""
    try:
        return (process / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
