"""Fixtures for every test: real servers, and TCP peers with plain habits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http_site import HttpSite
from tests.peers import Echo, HashAtEnd, Refusing, Silent, Unanswering
from tests.servers import (
    DnsServer,
    FtpServer,
    MariaDbServer,
    MqttServer,
    PostgresServer,
    RedisServer,
    SmtpServer,
    SyslogServer,
    WebSocketEcho,
)
from tests.tls.certificates import Authority, make


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates for localhost and 127.0.0.1, and who vouches for them."""
    folder = tmp_path_factory.mktemp("certificates")
    root = make(folder, "Root", authority=True)
    good = make(folder, "good", "localhost", "127.0.0.1", issuer=root)
    return Authority(folder, root, good, make(folder, "good-rsa", "localhost", issuer=root, kind="rsa"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    with MariaDbServer() as server:
        yield server


@pytest.fixture(scope="session")
def dns_server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="session")
def mqtt_server() -> Iterator[MqttServer]:
    with MqttServer() as server:
        yield server


@pytest.fixture(scope="session")
def ftp_server() -> Iterator[FtpServer]:
    with FtpServer() as server:
        yield server


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """One for each test, so that ``messages`` are this test's."""
    with SmtpServer() as server:
        yield server


@pytest.fixture
def syslog_server() -> Iterator[SyslogServer]:
    """One for each test, for the same reason."""
    with SyslogServer() as server:
        yield server


@pytest.fixture(scope="session")
def http_server() -> Iterator[HttpSite]:
    with HttpSite() as site:
        yield site


@pytest.fixture(scope="session")
def websocket_echo() -> Iterator[WebSocketEcho]:
    with WebSocketEcho() as server:
        yield server


@pytest.fixture
def echo_server() -> Iterator[Echo]:
    with Echo() as peer:
        yield peer


@pytest.fixture
def hash_server() -> Iterator[HashAtEnd]:
    with HashAtEnd() as peer:
        yield peer


@pytest.fixture
def silent_server() -> Iterator[Silent]:
    with Silent() as peer:
        yield peer


@pytest.fixture
def refusing_port() -> Iterator[Refusing]:
    with Refusing() as peer:
        yield peer


@pytest.fixture(scope="session")
def unanswering_port() -> Iterator[Unanswering]:
    with Unanswering() as peer:
        yield peer
