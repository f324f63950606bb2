"""What docs/operations.md shows is run: its example, and the files and options that it names."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import aiohttp
import pytest

from pynet_browser.proxy import addresses
from pynet_browser.proxy.cli import _parser
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.policy import Policy
from tests.machine import find_haproxy
from tests.proxy.client import Page
from tests.proxy.process import ENVIRONMENT, ROOT
from tests.proxy.running import TOKEN, running_proxy, until
from tests.servers import HAProxy
from tests.servers.process import free_port

DOCUMENT = (ROOT / "docs" / "operations.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.skipif(find_haproxy() is None, reason="HAProxy is not installed")
@pytest.mark.skipif(not shutil.which("curl"), reason="the example asks with curl")
async def test_the_example_runs_as_it_stands(tmp_path: Path):
    example = blocks("sh")[0]
    assert len(example.splitlines()) <= 10
    # Only the ports are others, and the command and the configuration are those of this checkout.
    port = free_port()
    for there, here in {
        "8080": str(port),
        "8765": str(free_port()),
        "8766": str(free_port()),
        "pynet-browser serve": f"{sys.executable} {ROOT / 'serve.py'}",
        "docs/haproxy.cfg": str(ROOT / "docs" / "haproxy.cfg"),
        " haproxy": f" {find_haproxy()}",
        " &\n": " & echo $! >>pids\n",
    }.items():
        assert there in example
        example = example.replace(there, here)
    shell = await asyncio.create_subprocess_exec(
        "sh", "-e", "-c", f"{example}echo ready >ready; wait\n",
        cwd=tmp_path, env=ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await until((tmp_path / "ready").exists, 30)
        async with Page(f"ws://127.0.0.1:{port}/pynet?affinity=a-key", "one-token-for-both") as page:
            assert page.welcome
    finally:
        for pid in (tmp_path / "pids").read_text().split():
            os.kill(int(pid), signal.SIGTERM)
        output, log = await asyncio.wait_for(shell.communicate(), 20)
    assert b'{"status": "ok"' in output, log
    assert b"GET /healthz 200" in output


@pytest.mark.skipif(find_haproxy() is None, reason="HAProxy is not installed")
async def test_what_programs_on_the_proxy_s_machine_may_read_is_not_for_everybody():
    async with running_proxy(metrics="loopback") as proxy, aiohttp.ClientSession() as client:
        # What waits for a program must not keep the proxy from running: it is in this process.
        haproxy = HAProxy(proxy.address, proxy.address)
        await asyncio.to_thread(haproxy.__enter__)
        try:
            for port, status in ((proxy.address[1], 200), (haproxy.port, 403)):
                async with client.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    assert answer.status == status
            async with client.ws_connect(f"http://127.0.0.1:{haproxy.port}/wisp/{TOKEN}/?token={TOKEN}"):
                pass
            await until(lambda: "GET /wisp/… 101" in haproxy.log())
            assert TOKEN.split()[0] + "%20" not in haproxy.log()
            assert TOKEN not in haproxy.log()
        finally:
            await asyncio.to_thread(haproxy.stop)


def test_the_options_of_the_deployment_are_the_proxy_s():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    deployment, *_ = yaml.safe_load_all(blocks("yaml")[0])
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    arguments = vars(_parser().parse_args(container["args"]))
    given = {name: arguments[name] for name in ("host", "hostnames", "origins", "drain", "webrtc", "demo")}
    config = Config.load(given)
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > config.drain + before
    assert container["ports"][0]["containerPort"] == config.port


def test_every_option_that_is_named_exists():
    of_others = {"system", "no-create-home", "now"}
    known = {option for action in _parser()._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])", DOCUMENT)) - of_others
    assert {f"--{name}" for name in named} <= known


def test_the_configuration_is_one(tmp_path: Path):
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[tokens.ada]\ntoken = "a token of ada"\n')
    [text] = blocks("toml")
    file = tmp_path / "proxy.toml"
    file.write_text(text.replace("/etc/pynet-browser/tokens.toml", str(tokens)))
    config = Config.load({}, file)
    unit = (ROOT / "docs" / "pynet-browser.service").read_text("utf-8")
    [timeout] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert config.drain < int(timeout)
    assert tomllib.loads(text)["limits"]["sessions"] == config.limits.sessions
    policy = Policy(config.allow, config.deny, public=config.public)
    kinds = {
        "private",
        "loopback",
        "link-local",
        "site-local",
        "carrier-grade NAT",
        "multicast",
        "unspecified",
    }
    networks = [network for network, kind in addresses.SPECIAL.items() if kind in kinds]
    assert len(networks) >= len(kinds)
    for address in (each for network in networks for each in (network[0], network[-1])):
        assert not policy.decide("tcp", str(address), address, 80).allowed
    assert policy.decide("tcp", "9.9.9.9", "9.9.9.9", 443).allowed
    assert policy.decide("tcp", "2620:fe::fe", "2620:fe::fe", 443).allowed
    assert not policy.decide("tcp", "9.9.9.9", "9.9.9.9", 25).allowed


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_valid(tmp_path: Path):
    program = tmp_path / "pynet-browser"
    program.symlink_to("/bin/true")
    unit = tmp_path / "pynet-browser.service"
    shipped = (ROOT / "docs" / "pynet-browser.service").read_text("utf-8")
    assert "/opt/pynet-browser/bin/pynet-browser" in shipped
    unit.write_text(shipped.replace("/opt/pynet-browser/bin/pynet-browser", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        ("memory of an idle client, kB", "27.1"),
        ("memory of a stream, kB", "3.86"),
        ("memory with all of them, MB", "129"),
        ("processor time for a gigabyte down, s", "0.95"),
        ("processor time for a gigabyte up, s", "0.95"),
        ("processor time for 10 000 small messages, s", "1.06"),
    ],
)
def test_figures_are_those_that_were_measured(row, figure):
    measured = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert re.search(rf"^\| {re.escape(row)} +\| {re.escape(figure)} ", measured, re.MULTILINE)
    assert figure in DOCUMENT
