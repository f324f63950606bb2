"""TLS with the standard library's own servers and with OpenSSL's."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from tests.servers.process import free_port
from tests.tls.certificates import Authority, Identity, make
from tests.tls.conftest import HOST, Serve, connected, trusting

VERSIONS = {"TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}


@pytest.fixture(autouse=True)
def _ours(layer: Patches) -> None:
    """All here is about our layer."""


def told(client: ssl.SSLSocket) -> dict[str, Any]:
    """What the server knows of the connection."""
    client.sendall(b"who")
    facts: dict[str, Any] = json.loads(client.recv(1 << 16))
    return facts


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_both_versions_with_both_kinds_of_key(version: str, kind: str, authority: Authority, serve: Serve):
    identity = authority.good if kind == "ecdsa" else authority.rsa
    address = serve(identity, maximum=VERSIONS[version])
    with connected(address, trusting(authority)) as client:
        facts = told(client)
        assert client.version() == facts["version"] == version
        assert list(client.cipher() or ()) == facts["cipher"]
        assert client.getpeercert(True) == identity.der
        certificate: Any = client.getpeercert()
        assert ("DNS", HOST) in certificate["subjectAltName"]


@pytest.mark.parametrize("how", ["file", "path", "text", "bytes"])
def test_roots_of_ones_own(how: str, authority: Authority, serve: Serve, tmp_path: Path):
    root = authority.root
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if how == "file":
        context.load_verify_locations(root.file)
    elif how == "path":
        named = subprocess.run(
            ["openssl", "x509", "-hash", "-noout", "-in", root.file],
            capture_output=True,
            text=True,
            check=True,
        )
        (tmp_path / f"{named.stdout.strip()}.0").write_text(root.pem)
        context.load_verify_locations(capath=tmp_path)
    else:
        context.load_verify_locations(cadata=root.pem if how == "text" else root.der)
    with connected(serve(authority.good), context) as client:
        assert client.getpeercert(True) == authority.good.der
        assert context.get_ca_certs(True) == [root.der]


def test_whoever_was_spoken_to_unverified_is_not_trusted_afterwards(serve: Serve, tmp_path: Path):
    """With a directory of roots, which is looked into anew for each connection."""
    stranger = make(tmp_path, "stranger", HOST, authority=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    (tmp_path / "empty").mkdir()
    context.load_verify_locations(capath=tmp_path / "empty")
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = serve(stranger)
    with connected(address, context) as client:
        assert client.version()
        assert context.get_ca_certs() == []
    context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(address, context)


@pytest.mark.parametrize(
    ("hosts", "hostname"),
    [
        (("localhost",), "LOCALHOST"),
        (("*.example.invalid",), "a.example.invalid"),
        (("127.0.0.1",), "127.0.0.1"),
        (("::1",), "::1"),
        (("xn--bcher-kva.invalid",), "bücher.invalid"),
    ],
)
def test_names_and_addresses_that_fit(hosts: Any, hostname: str, authority: Authority, serve: Serve):
    address = serve(make(authority.folder, "fit", *hosts, issuer=authority.root))
    with connected(address, trusting(authority), hostname) as client:
        assert told(client)["version"] == "TLSv1.3"


def test_what_is_not_verified_is_not_shown_as_if_it_were(authority: Authority, serve: Serve):
    context = ssl._create_unverified_context()
    with connected(serve(make(authority.folder, "self", HOST)), context) as client:
        assert client.getpeercert() == {}
        assert client.getpeercert(True)


@pytest.mark.parametrize(("offered", "agreed"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None)])
def test_alpn(offered: list[str], agreed: str | None, authority: Authority, serve: Serve):
    context = trusting(authority)
    context.set_alpn_protocols(offered)
    with connected(serve(authority.good, alpn=["http/1.1", "spdy"]), context) as client:
        assert client.selected_alpn_protocol() == told(client)["alpn"] == agreed


@pytest.mark.parametrize("password", ["swordfish", b"swordfish", lambda: "swordfish"])
def test_a_client_shows_its_certificate(password: Any, authority: Authority, serve: Serve):
    mine = make(authority.folder, "client", "client.invalid", issuer=authority.root, password=b"swordfish")
    context = trusting(authority)
    with pytest.raises(ssl.SSLError, match="PEM lib"):
        context.load_cert_chain(mine.file, password="wrong")
    context.load_cert_chain(mine.file, password=password)
    with connected(serve(authority.good, client_ca=str(authority.root.file)), context) as client:
        assert ["DNS", "client.invalid"] in told(client)["peer"]["subjectAltName"]


def test_a_key_of_another_is_refused(authority: Authority):
    other = make(authority.folder, "another", HOST, issuer=authority.root)
    for key, reason in ((authority.rsa, "NO_CERTIFICATE_ASSIGNED"), (other, "KEY_VALUES_MISMATCH")):
        with pytest.raises(ssl.SSLError) as caught:
            trusting(authority).load_cert_chain(authority.good.file, key.file)
        assert caught.value.reason == reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(version: str, authority: Authority, serve: Serve):
    address, context = serve(authority.good, maximum=VERSIONS[version]), trusting(authority)
    with connected(address, context) as client:
        assert not told(client)["reused"]  # a ticket of TLS 1.3 comes with what is read
        session = client.session
    with connected(address, context, session=session) as client:
        assert told(client)["reused"]
        assert client.session_reused


@pytest.mark.parametrize("resumed", [False, True])
def test_both_ends_know_the_same_binding(resumed: bool, authority: Authority, serve: Serve):
    address, context = serve(authority.good, maximum="TLSv1_2"), trusting(authority)
    with connected(address, context) as client:
        told(client)
        session = client.session if resumed else None
    with connected(address, context, session=session) as client:
        assert (client.get_channel_binding() or b"").hex() == told(client)["binding"]
        assert client.session_reused == resumed


def test_keys_are_logged_for_those_who_read_traffic(authority: Authority, serve: Serve, tmp_path: Path):
    context: Any = trusting(authority)
    context.keylog_filename = str(tmp_path / "keys")
    with connected(serve(authority.good), context) as client:
        told(client)
    assert "CLIENT_TRAFFIC_SECRET_0 " in (tmp_path / "keys").read_text()
    context.keylog_filename = None


def test_tls_begins_and_ends_within_a_connection(authority: Authority, serve: Serve):
    plain = socket.create_connection(serve(authority.good, starttls=True), timeout=10)
    assert plain.recv(100) == b"220 ready\r\n"
    plain.sendall(b"STARTTLS\r\n")
    assert plain.recv(100) == b"220 go\r\n"
    with trusting(authority).wrap_socket(plain, server_hostname=HOST) as secured:
        secured.sendall(b"bye")
        assert secured.recv(100) == b""
        after = secured.unwrap()
        assert after.recv(100) == b"plain again"


def test_much_data_both_ways(authority: Authority, serve: Serve):
    data = bytes(range(256)) * 20_000
    with connected(serve(authority.good), trusting(authority)) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        received = bytearray()
        while len(received) < len(data):
            received += client.recv(1 << 16)
        sender.join()
        assert received == data


def test_pieces_go_into_a_buffer_and_lines_into_a_file(authority: Authority, serve: Serve):
    with connected(serve(authority.good), trusting(authority)) as client, client.makefile("rwb") as file:
        file.write(b"one\ntwo\n")
        file.flush()
        assert file.readline() == b"one\n"
        assert file.readline() == b"two\n"
        client.sendall(b"12345678")
        room = bytearray(16)
        assert client.recv_into(memoryview(room)[4:], 4) == 4
        assert client.pending() == 4
        assert client.recv_into(room) == 4
        assert room == b"56781234" + bytes(8)
        with pytest.raises(NotImplementedError, match="dup"):
            client.dup()


@pytest.fixture
def s_server(authority: Authority) -> Iterator[Callable[..., tuple[str, int]]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> tuple[str, int]:
        port = free_port()
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(authority.good.file)]
        process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout
        while b"ACCEPT" not in process.stdout.readline():
            assert process.poll() is None
        return "127.0.0.1", port

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("options", "version", "cipher"),
    [
        (
            ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            "TLSv1.3",
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_openssls_own_server(
    options: list[str], version: str, cipher: str, authority: Authority, s_server: Any
):
    address = s_server("-www", *options)
    with connected(address, trusting(authority)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        page = b""
        while data := client.recv(1 << 16):
            page += data
        assert page.startswith(b"HTTP/1.0 200")
        assert client.version() == version
        assert (client.cipher() or ("",))[0] == cipher


def serving(context: ssl.SSLContext, talk: Callable[[ssl.SSLSocket], object]) -> tuple[int, threading.Thread]:
    """A server of ours for one connection; its port."""
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
    listener.settimeout(10)

    def accept() -> None:
        with listener, listener.accept()[0] as connection:
            talk(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    return listener.getsockname()[1], thread


def by_openssl(port: int, authority: Authority, *options: str) -> str:
    """What OpenSSL's own client says of our server."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(authority.root.file)]
    ran = subprocess.run(
        [*command, "-verify_return_error", *options],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    return (ran.stdout + ran.stderr).decode(errors="replace")


@pytest.mark.parametrize("version", VERSIONS)
def test_openssls_own_client(version: str, authority: Authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.good.file)
    context.maximum_version = ssl.TLSVersion[VERSIONS[version]]
    port, thread = serving(context, lambda connection: connection.sendall(b"hello from us\n"))
    said = by_openssl(port, authority, "-verify_hostname", HOST, "-ign_eof")
    thread.join()
    assert "Verify return code: 0 (ok)" in said
    assert "hello from us" in said
    assert version in said


@pytest.mark.parametrize(("asked", "answered"), [("a.invalid", "a.invalid"), ("b.invalid", "b.invalid")])
def test_a_server_has_many_names(asked: str, answered: str, authority: Authority):
    identities = {
        name: make(authority.folder, name, name, issuer=authority.root) for name in ("a.invalid", "b.invalid")
    }
    seen: list[str | None] = []

    def choose(connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        seen.append(name)
        connection.context = server_context(identities[name or "a.invalid"])

    context = server_context(authority.good)
    context.sni_callback = choose
    port, thread = serving(context, lambda connection: connection.recv(1))
    said = by_openssl(port, authority, "-servername", asked, "-verify_hostname", answered)
    thread.join()
    assert "Verify return code: 0 (ok)" in said
    assert seen == [asked]


def test_a_server_sends_the_alert_that_the_program_wants(authority: Authority):
    context = server_context(authority.good)
    context.sni_callback = lambda *_: ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    failed: list[ssl.SSLError] = []

    def handshake(connection: ssl.SSLSocket) -> None:
        with pytest.raises(ssl.SSLError) as caught:
            connection.do_handshake()
        failed.append(caught.value)

    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        plain = listener.accept()[0]
        with (
            listener,
            context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection,
        ):
            handshake(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    said = by_openssl(listener.getsockname()[1], authority, "-servername", "nobody.invalid")
    thread.join()
    assert "unrecognized name" in said
    assert failed


def server_context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.file)
    return context


def test_chains(authority: Authority, serve: Serve):
    with connected(serve(authority.good), trusting(authority)) as client:
        connection: Any = client
        assert connection.get_unverified_chain() == [authority.good.der]
        assert connection.get_verified_chain() == [authority.good.der, authority.root.der]
