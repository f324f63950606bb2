"""TLS in the page, and TLS at the proxy: the same programs, unmodified, with the servers they are for.

That of the page needs wheels which no package index has: see engine.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.engine import distribution
from tests.host_python import HostPython
from tests.page_python import PageError, PagePython
from tests.servers import ProxyProcess
from tests.servers.tls import HttpsServer, SecurePostgresServer, SecureRedisServer, StartTlsSmtpServer
from tests.tls.certificates import Authority, make

MARKER = "this is nobody's business"


@dataclass(frozen=True)
class Servers:
    https: HttpsServer
    redis: SecureRedisServer
    postgres: SecurePostgresServer


@pytest.fixture(scope="module")
def servers(authority: Authority) -> Iterator[Servers]:
    with ExitStack() as stack:
        kinds = (HttpsServer, SecureRedisServer, SecurePostgresServer)
        yield Servers(*(stack.enter_context(kind(authority.good)) for kind in kinds))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["linux", "page", "proxy"])
def secured(request: pytest.FixtureRequest, authority: Authority) -> Callable[..., Any]:
    """Runs a program that has ``ca``, by Python's own TLS, in a page by ours, and by the proxy's."""
    python: HostPython | PagePython = HostPython()
    if request.param != "linux":
        start: Callable[..., ProxyProcess] = request.getfixturevalue("start_proxy")
        arguments = ["--tls-proxy"] if request.param == "proxy" else ["--pyodide", str(distribution())]
        proxy = start(*arguments)
        python = request.getfixturevalue("open_python")(proxy, install=False)
        python.run(
            """
            import micropip, pynet_browser
            await micropip.install(["redis", "pg8000", "requests", "httpx"])
            await pynet_browser.install(url, token=token, tls=tls, http="proxy", bulk="off")
            """,
            url=proxy.ws_url,
            token=proxy.token,
            tls=request.param,
            timeout=60,
        )

    def run(source: str, **names: Any) -> Any:
        return python.run(source, ca=authority.root.pem, marker=MARKER, timeout=60, **names)

    run.side = request.param  # type: ignore[attr-defined]
    run.python = python  # type: ignore[attr-defined]
    return run


def test_urllib_and_http_client_fetch_by_https(secured, servers):
    source = """
    import http.client, ssl, urllib.request
    context = ssl.create_default_context(cadata=ca)
    request = urllib.request.Request(f"https://localhost:{port}/a", headers={"X-Name": "urllib"})
    handlers = urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(*handlers)
    first = opener.open(request, timeout=10).read().decode()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    connection.request("GET", "/b", headers={"X-Name": "http.client"})
    [first, connection.getresponse().read().decode()]
    """
    expected = ["/a for urllib", "/b for http.client"]
    assert secured(source, port=servers.https.port) == expected


def test_redis_keeps_what_it_is_given(secured, servers):
    source = """
    import redis
    client = redis.Redis(host="localhost", port=port, ssl=True, ssl_ca_data=ca)
    client.set("greeting", marker)
    large = b"x" * 2_000_000
    client.set("large", large)
    [client.get("greeting").decode(), client.get("large") == large]
    """
    assert secured(source, port=servers.redis.port) == [MARKER, True]


def test_postgresql_answers_within_tls(secured, servers):
    source = """
    import pg8000.dbapi, ssl
    connection = pg8000.dbapi.connect(**login, ssl_context=ssl.create_default_context(cadata=ca), timeout=10)
    cursor = connection.cursor()
    cursor.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    within = cursor.fetchone()[0]
    cursor.execute("select n, repeat('x', 100) from generate_series(1, 20000) as n")
    rows = cursor.fetchall()
    connection.close()
    [within, len(rows), sum(row[0] for row in rows)]
    """
    server = servers.postgres
    login = {"user": server.login, "password": server.password, "database": server.database}
    login |= {"host": "localhost", "port": server.port}
    assert secured(source, login=login) == [True, 20_000, 200_010_000]


def test_mail_is_delivered_after_starttls(secured, authority):
    source = """
    import smtplib, ssl
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as mail:
        mail.starttls(context=ssl.create_default_context(cadata=ca))
        mail.sendmail("page@example.org", ["you@example.org"], f"Subject: hello\\r\\n\\r\\n{marker}\\r\\n")
        cipher = mail.sock.cipher()
    cipher[2] >= 128
    """
    with StartTlsSmtpServer(authority.good) as server:
        assert secured(source, port=server.port) is True
        [mail] = server.messages
    assert MARKER.encode() in mail.content


def test_asyncio_has_it_too_from_the_start_and_later(secured, servers, authority):
    source = """
    import asyncio, ssl
    context = ssl.create_default_context(cadata=ca)
    async def https():
        reader, writer = await asyncio.open_connection("localhost", https_port, ssl=context)
        writer.write(b"GET /c HTTP/1.0\\r\\n\\r\\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        subject = writer.get_extra_info("peercert")["subject"][0][0][1]
        writer.close()
        return [answer.decode().rpartition("\\n")[2], subject]
    async def mail():
        reader, writer = await asyncio.open_connection("127.0.0.1", smtp_port)
        async def ask(words):
            writer.write(words + b"\\r\\n")
            while (line := await asyncio.wait_for(reader.readline(), 10))[3:4] == b"-":
                pass
            return line.decode()[:3]
        await reader.readline()
        codes = [await ask(b"EHLO me"), await ask(b"STARTTLS")]
        await writer.start_tls(context, server_hostname="localhost")
        codes += [await ask(b"EHLO me"), await ask(b"QUIT")]
        writer.close()
        return codes
    [await https(), await mail()]
    """
    with StartTlsSmtpServer(authority.good) as server:
        answer = secured(source, https_port=servers.https.port, smtp_port=server.port)
    assert answer == [["/c for nobody", "good"], ["250", "220", "250", "221"]]


def test_requests_and_httpx_go_over_python_s_own_sockets(secured, servers, tmp_path):
    source = """
    import httpx, requests, ssl
    from pathlib import Path
    Path(file).write_text(ca)
    context = ssl.create_default_context(cadata=ca)
    headers = {"X-Name": "requests"}
    first = requests.get(f"https://localhost:{port}/d", headers=headers, verify=file, timeout=10)
    with httpx.Client(verify=context, trust_env=False) as client:
        second = client.get(f"https://localhost:{port}/e", headers={"X-Name": "httpx"})
    try:
        requests.get(f"https://localhost:{port}/f", timeout=10)
    except requests.exceptions.SSLError as error:
        refused = "certificate verify failed" in str(error)
    [first.text, second.text, refused]
    """
    if secured.side == "linux":
        pytest.importorskip("requests")
        pytest.importorskip("httpx")
    file = str(tmp_path / "ca.pem") if secured.side == "linux" else "/tmp/ca.pem"  # the page's own
    answer = secured(source, port=servers.https.port, file=file)
    assert answer == ["/d for requests", "/e for httpx", True]


def test_what_the_browser_may_not_read_is_read_end_to_end(secured, servers):
    if secured.side != "page":
        pytest.skip("the proxy's relay trusts the roots of its host alone")
    source = """
    import os, pynet_browser.http
    from pathlib import Path
    Path("/tmp/ca.pem").write_text(ca)
    os.environ["SSL_CERT_FILE"] = "/tmp/ca.pem"
    try:
        url = f"https://localhost:{port}/g"
        answer = await pynet_browser.http.fetch(url, headers={"X-Name": "fetch"}, via="auto", timeout=10)
        text = await answer.text()
    finally:
        del os.environ["SSL_CERT_FILE"]
    [answer.status, answer.via, text]
    """
    assert secured(source, port=servers.https.port) == [200, "proxy", "/g for fetch"]


def test_whoever_is_not_who_he_should_be_is_refused(secured, servers, authority):
    source = """
    import socket, ssl
    said = []
    for port, name, context in (
        (good, "localhost", ssl.create_default_context()),
        (good, "other.example", ssl.create_default_context(cadata=ca)),
        (wrong, "localhost", ssl.create_default_context(cadata=ca)),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            try:
                context.wrap_socket(plain, server_hostname=name)
            except ssl.SSLCertVerificationError as error:
                said.append([error.verify_code, error.verify_message])
    said
    """
    with HttpsServer(make(authority.folder, "self-signed", "localhost")) as stranger:
        said = secured(source, good=servers.https.port, wrong=stranger.port)
    assert said == [
        [20, "unable to get local issuer certificate"],
        [62, "Hostname mismatch, certificate is not valid for 'other.example'."],
        [18, "self-signed certificate"],
    ]


def test_hostile_servers_end_in_exceptions_and_in_time(secured, silent_server, echo_server):
    source = """
    import socket, ssl, time
    context = ssl.create_default_context(cadata=ca)
    def attempt(port, timeout):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.settimeout(timeout)
            began = time.monotonic()
            try:
                context.wrap_socket(plain, server_hostname="localhost")
            except Exception as error:
                return [isinstance(error, OSError), isinstance(error, TimeoutError), time.monotonic() - began]
    [attempt(silent, 0.5), attempt(echo, 10)]
    """
    [silence, nonsense] = secured(source, silent=silent_server.port, echo=echo_server.port)
    assert silence[:2] == [True, True]
    assert 0.4 < silence[2] < 3
    assert nonsense[:2] == [True, False]
    assert nonsense[2] < 5


# ── What the proxy is given ───────────────────────────────────────────────────────────────────────────────

CAPTURE = """
import js
js.eval('''
globalThis.captured = [];
if (!globalThis.sendAsEver) {
  globalThis.sendAsEver = WebSocket.prototype.send;
  const heard = new WeakSet();
  const keep = (data) => globalThis.captured.push(new Uint8Array(data.buffer ? data.slice() : data.slice(0)));
  WebSocket.prototype.send = function (data) {
    if (!heard.has(this)) {
      heard.add(this);
      this.addEventListener("message", ({ data }) => keep(data));
    }
    keep(data);
    return globalThis.sendAsEver.call(this, data);
  };
}
''')
def captured():
    return b"".join(bytes(piece.to_bytes()) for piece in js.captured)
"""


def test_the_proxy_is_given_ciphertext_by_the_page_s_tls_and_plain_text_by_its_own(secured, servers):
    if secured.side == "linux":
        pytest.skip("there is no proxy")
    source = f"""
    {CAPTURE.replace(chr(10), chr(10) + "    ")}
    import asyncio, redis
    client = redis.Redis(host="localhost", port=port, ssl=True, ssl_ca_data=ca)
    client.set("secret", marker)
    value = client.get("secret").decode()
    client.close()
    await asyncio.sleep(0.05)  # the program goes on as soon as it can, and the capture is the next to hear
    within = captured()
    plain = redis.Redis(host="localhost", port=plain_port)
    plain.get("secret")
    plain.close()
    await asyncio.sleep(0.05)
    seen = within.count(marker.encode())
    [value == marker, len(within) > 1000, seen, captured().count(marker.encode()) > seen]
    """
    seen = 2 if secured.side == "proxy" else 0
    found = secured(source, port=servers.redis.port, plain_port=servers.redis.plain_port)
    assert found == [True, True, seen, True]


def test_what_the_page_tells_of_it(secured):
    if secured.side == "linux":
        pytest.skip("there is no proxy")
    told, text = secured("import pynet_browser; [pynet_browser.status().tls, str(pynet_browser.status())]")
    assert told == secured.side
    assert ("the proxy reads" in text) is (secured.side == "proxy")


def test_by_default_it_ends_in_the_page_or_else_at_a_proxy_on_this_machine_that_offers_it(secured, servers):
    if secured.side == "linux":
        pytest.skip("there is no proxy")
    source = """
    import pynet_browser, redis
    before = pynet_browser.settings.installed()
    await pynet_browser.install(before.url, token=before.token)
    told = [pynet_browser.status().tls]
    client = redis.Redis(host="localhost", port=port, ssl=True, ssl_ca_data=ca)
    told += [client.ping(), pynet_browser.status().tls]
    client.close()
    await pynet_browser.install(before.url, token=before.token, tls=before.tls, http="proxy", bulk="off")
    told
    """
    assert secured(source, port=servers.redis.port)[1:] == [True, secured.side]


# ── Where there is no OpenSSL to be had ───────────────────────────────────────────────────────────────────


def test_without_openssl_or_leave_an_error_says_what_to_load(python, echo_server):
    source = """
    import socket, ssl, pynet_browser
    context = ssl.create_default_context()
    try:
        context.wrap_socket(socket.create_connection((host, port)), server_hostname="localhost")
    except ssl.SSLError as error:
        said = str(error)
    said
    """
    said = python.run(source, host="127.0.0.1", port=echo_server.port)
    assert "tls='page'" in said
    assert "loadPackage('cryptography')" in said


def test_a_proxy_that_was_not_allowed_to_ends_no_tls(open_python, proxy, echo_server):
    page = open_python(install=False)
    page.run(
        "import pynet_browser; await pynet_browser.install(url, token=token, tls='proxy'); None",
        url=proxy.ws_url,
        token=proxy.token,
    )
    with pytest.raises(PageError, match="--tls-proxy") as caught:
        page.run(
            """
            import socket, ssl
            context = ssl.create_default_context()
            context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
            """,
            port=echo_server.port,
        )
    assert caught.value.type == "SSLError"
