from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest

from pynet_browser.fields import Address
from pynet_browser.frames import Connect, Frame, Hello, Reset, Welcome
from pynet_browser.proxy import cli
from pynet_browser.proxy.tokens import digest_of, parse_tokens
from pynet_browser.wire import MessageReader, encode_frame, encode_message, frames_of
from tests.proxy.client import FailedError, Page
from tests.proxy.hosts import UdpEcho
from tests.proxy.process import ENVIRONMENT, ROOT, running

MAIN = "from pynet_browser.proxy.cli import main; main()"


def failing(*arguments: str, before: str = "") -> tuple[int, str]:
    """Runs a command line that ends by itself; returns its status and what it complained about."""
    result = subprocess.run(
        [sys.executable, "-c", before + MAIN, *arguments],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert result.stdout == ""
    return result.returncode, result.stderr


async def test_it_prints_a_url_with_the_token_and_serves_there():
    async with running() as proxy, aiohttp.ClientSession() as session:
        assert proxy.host == "127.0.0.1"
        assert len(proxy.token) >= 43
        assert f'install("ws://127.0.0.1:{proxy.port}/pynet", token="{proxy.token}")' in proxy.output
        response = await session.get(f"{proxy.url}/healthz")
        assert (await response.json())["status"] == "ok"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_quickly_with_clients_connected(number):
    async with running() as proxy, aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"{proxy.url}/pynet")
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        status, seconds = await proxy.stop(number)
        assert (status, seconds < 3) == (0, True)
        assert proxy.process.stderr
        assert await proxy.process.stderr.read() == b""
        with contextlib.suppress(ConnectionError):
            assert await reader.read(-1) == b""
        writer.close()
        await socket.close()


async def test_the_token_comes_from_the_environment_unless_the_command_line_says_otherwise():
    async with running(environment={"PYNET_TOKEN": "from-environment"}) as proxy:
        assert proxy.token == "from-environment"
    async with running("--token", "given", environment={"PYNET_TOKEN": "from-environment"}) as proxy:
        assert proxy.token == "given"
    async with running("--token", 'a&"b') as proxy:
        assert proxy.token == "a%26%22b"
        assert r'token="a&\"b"' in proxy.output
    async with running("--no-token", environment={"PYNET_TOKEN": "from-environment"}) as proxy:
        assert proxy.token is None
        assert f'install("ws://127.0.0.1:{proxy.port}/pynet")' in proxy.output


def test_a_name_with_several_addresses_is_listened_on_at_one_port(monkeypatch):
    infos = [
        info for host in ("127.0.0.1", "::1") for info in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: infos)
    first, second = cli._listen("localhost", 0)
    with first, second:
        assert first.getsockname()[0] == "127.0.0.1"
        assert second.getsockname()[:2] == ("::1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("listen", "dial"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::1", "::1"),
        ("::1", "::"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2"),
    ],
)
async def test_a_page_cannot_loop_through_the_proxy_itself(listen, dial):
    # Loopback is opened on purpose: it is not the rule about loopback that shall refuse.
    allow = ["--allow", "127.0.0.0/8:*", "[::1]:1-65535", "0.0.0.0/8:*"]
    async with running("--host", listen, *allow) as proxy, aiohttp.ClientSession() as session:
        ws = await session.ws_connect(f"{proxy.url}/pynet", protocols=["pynet.v1"])
        hello = Hello(0, 1, proxy.token, "", "", 0, 1 << 16, 1 << 20, (), "test")
        await ws.send_bytes(encode_message(0, 0, [encode_frame(hello)]))
        connect = Connect(1, 0, proxy.port, 0, dial)
        await ws.send_bytes(encode_message(1, 0, [encode_frame(connect)]))
        frames: list[Frame] = []
        messages = MessageReader()
        async with asyncio.timeout(5):
            while not any(isinstance(frame, Reset) for frame in frames):
                for message in messages.feed(await ws.receive_bytes()):
                    frames += frames_of(message.body)
        assert isinstance(frames[0], Welcome)
        reset = frames[-1]
        assert isinstance(reset, Reset)
        assert reset.code == "EACCES"
        assert f":{proxy.port}" in reset.message
        await ws.close()


async def test_the_udp_port_with_the_proxys_number_is_any_servers():
    async with (
        running() as proxy,
        Page(f"ws://127.0.0.1:{proxy.port}/pynet", proxy.token) as page,
    ):
        with UdpEcho("127.0.0.1", proxy.port):
            datagrams = page.datagrams()
            datagrams.send(b"hello", "127.0.0.1", proxy.port)
            assert await datagrams.recv() == (b"hello", Address(4, "127.0.0.1", proxy.port))


async def test_pages_listen_where_it_was_told_and_never_on_its_own_port():
    async with (
        running("--listen", "*", "udp:0.0.0.0:*") as proxy,
        Page(f"ws://127.0.0.1:{proxy.port}/pynet", proxy.token) as page,
    ):
        local = await page.stream().listen()
        assert local.host == "127.0.0.1"
        with pytest.raises(FailedError, match="is the proxy's own port"):
            await page.stream().bind("127.0.0.2", proxy.port)
        with pytest.raises(FailedError, match=r"start it with --listen 192\.0\.2\.1:80"):
            await page.stream().bind("192.0.2.1", 80)


async def test_verbose_logs_requests_without_their_query():
    async with running("--verbose") as proxy, aiohttp.ClientSession() as session:
        await (await session.get(f"{proxy.url}/healthz?token={proxy.token}")).read()
        await proxy.stop()
        assert proxy.process.stderr
        log = (await proxy.process.stderr.read()).decode()
    assert "GET /healthz 200" in log
    assert proxy.token not in log


def test_a_port_in_use_says_so():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, complaint = failing("--port", str(port))
    assert status == 1
    assert complaint == (
        f"pynet-browser: cannot listen on 127.0.0.1 port {port}: it is in use, perhaps by another proxy; "
        "choose one with --port, or --port 0 for any\n"
    )


@pytest.mark.parametrize("host", ["no-such-name.invalid", "192.0.2.77"])
def test_an_address_that_is_not_this_machines_says_so(host):
    status, complaint = failing("serve", "--host", host, "--port", "0")
    assert status == 1
    assert complaint.startswith(f"pynet-browser: cannot listen on {host} port 0: ")


def test_without_aiohttp_it_says_what_to_install():
    status, complaint = failing("serve", before="import sys; sys.modules['aiohttp'] = None; ")
    assert status == 1
    assert complaint == (
        "pynet-browser: the proxy needs aiohttp; install it with: pip install 'pynet-browser[proxy]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--allow", "10.0.0.5/8:80"], "allow: '10.0.0.5/8:80' is not a rule: "),
        (["--listen", "a.example:80"], "listen: 'a.example:80' is not a rule: "),
        (["--origin", "localhost"], "origins: 'localhost' must be scheme://host[:port], null or *"),
        (["--host", "0.0.0.0", "--no-token"], "leave out --no-token, or listen on --host 127.0.0.1"),
        (["--token", "a", "--no-token"], "not allowed with argument --token"),
        (["--config", "no-such-file.toml"], "no-such-file.toml cannot be read"),
        (["--pyodide", "no-such-directory"], "pyodide: no-such-directory is not a directory"),
        (["dance"], "invalid choice: 'dance'"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments, complaint):
    status, text = failing(*arguments)
    assert status == 2
    assert complaint in text


async def test_a_file_configures_it(tmp_path):
    file = tmp_path / "proxy.toml"
    file.write_text('token = "from-file"\ndemo = false\n')
    async with running("--config", str(file)) as proxy, aiohttp.ClientSession() as session:
        assert proxy.token == "from-file"
        assert (await session.get(f"{proxy.url}/demo/services.json")).status == 404


async def test_foreign_clients_can_be_switched_off_and_targets_named(tmp_path):
    targets = tmp_path / "targets"
    targets.write_text("desk: 127.0.0.1:9\n")
    arguments = ["--no-wisp", "--no-posix", "--websockify-targets", str(targets)]
    async with running("--no-demo", *arguments) as proxy, aiohttp.ClientSession() as session:
        statuses = [
            (await session.get(f"{proxy.url}{path}")).status
            for path in ("/wisp/", "/posix", "/websockify", f"/websockify/{proxy.token}?token=other")
        ]
        assert statuses == [404, 404, 403, 404]
        socket = await session.ws_connect(f"{proxy.url}/websockify/{proxy.token}?token=desk")
        assert (await socket.receive()).data == 1011
    async with running("--no-demo", "--no-websockify") as proxy, aiohttp.ClientSession() as session:
        assert (await session.get(f"{proxy.url}/websockify/h/1?token={proxy.token}")).status == 404
        socket = await session.ws_connect(f"{proxy.url}/wisp/{proxy.token}/")
        assert await socket.receive_bytes() == b"\x03\0\0\0\0\x80\0\0\0"
        await socket.close()


def test_a_file_of_targets_must_be_one(tmp_path):
    targets = tmp_path / "targets"
    assert "No such file" in failing("--websockify-targets", str(targets))[1]
    targets.write_text("desk")
    status, complaint = failing("--websockify-targets", str(targets))
    assert status == 2
    assert "line 1 is not `name: host:port`" in complaint


def test_a_token_is_made_with_what_the_file_is_to_say_of_it():
    result = subprocess.run(
        [sys.executable, "-c", MAIN, "token", "ada@school"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    [token] = [line.strip() for line in result.stdout.splitlines() if line.startswith("    ")]
    assert len(token) >= 43
    [known] = parse_tokens(result.stdout[result.stdout.index("[tokens") :])
    assert (known.name, known.digest) == ("ada@school", digest_of(token))


@pytest.mark.parametrize("arguments", [("token",), ("serve", "ada"), ("token", "a b")])
def test_a_token_needs_a_name(arguments):
    status, complaint = failing(*arguments)
    assert status == 2
    assert "name" in complaint
