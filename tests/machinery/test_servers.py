"""The servers and peers do what they promise: a failing test is then about our sockets, not about them."""

import ftplib
import hashlib
import http.client
import logging
import logging.handlers
import smtplib
import socket
import time
import urllib.error
import urllib.request

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import paho.mqtt.client
import pymysql
import pytest
import redis
import websockets.sync.client
from paho.mqtt.enums import CallbackAPIVersion

from tests.http_site import HELLO
from tests.peers import ResetAfter, Silent, Source, pattern


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 65535, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000])
def test_a_piece_of_the_pattern_is_what_the_whole_has_there(offset, size):
    assert pattern(size, offset) == pattern(offset + size)[offset:]


def test_redis_keeps_what_it_is_told(redis_server):
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_postgres_wants_the_password(postgres_server):
    with postgres_server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 6 * 7")
        assert cursor.fetchone() == [42]
    postgres_server.password, right = "wrong", postgres_server.password
    try:
        assert not postgres_server.answers()
    finally:
        postgres_server.password = right


def test_mariadb_wants_the_password(mariadb_server):
    with mariadb_server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 6 * 7, DATABASE()")
        assert cursor.fetchone() == (42, mariadb_server.database)
    mariadb_server.password, right = "wrong", mariadb_server.password
    try:
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            mariadb_server.connect()
    finally:
        mariadb_server.password = right


def test_dns_has_records_of_every_kind(dns_server):
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [dns_server.host], dns_server.port

    def texts(name, kind):
        return sorted(answer.to_text() for answer in resolver.resolve(f"{name}.example.test", kind))

    assert texts("host", "A") == ["192.0.2.7"]
    assert texts("host", "AAAA") == ["2001:db8::7"]
    assert texts("alias", "A") == ["192.0.2.7"]
    assert texts("alias", "CNAME") == ["host.example.test."]
    assert texts("note", "TXT") == ['"first part" "second part"']
    assert texts("_chat._tcp", "SRV") == ["10 20 5222 host.example.test."]
    with pytest.raises(dns.resolver.NXDOMAIN):
        texts("nobody", "A")


def test_dns_asks_no_other_server(dns_server):
    question = dns.message.make_query("elsewhere.test", "A")
    answer = dns.query.udp(question, dns_server.host, 10, dns_server.port)
    assert answer.rcode() == dns.rcode.REFUSED


def test_a_dns_answer_too_long_for_a_datagram_is_cut_off(dns_server):
    question = dns.message.make_query("large.example.test", "TXT")
    where = {"where": dns_server.host, "port": dns_server.port, "timeout": 10}
    assert dns.query.udp(question, **where).flags & dns.flags.TC
    whole = dns.query.tcp(question, **where)
    assert not whole.flags & dns.flags.TC
    [records] = whole.answer
    assert records.rdtype == dns.rdatatype.TXT
    assert sorted(record.strings[0].decode() for record in records) == dns_server.large


def test_mqtt_passes_a_message_on(mqtt_server):
    received = []
    client = paho.mqtt.client.Client(CallbackAPIVersion.VERSION2)
    client.message_callback_add("news/#", lambda _client, _data, message: received.append(message.payload))
    client.connect(mqtt_server.host, mqtt_server.port)
    client.subscribe("news/#")
    client.publish("news/today", "hello", qos=1)
    while not received:
        assert client.loop(timeout=10) == paho.mqtt.client.MQTT_ERR_SUCCESS
    client.disconnect()
    assert received == [b"hello"]


def test_syslog_keeps_the_messages(syslog_server):
    handler = logging.handlers.SysLogHandler(
        (syslog_server.host, syslog_server.port), logging.handlers.SysLogHandler.LOG_MAIL
    )
    handler.emit(logging.makeLogRecord({"levelname": "WARNING", "msg": "it is %s", "args": ("full",)}))
    handler.close()
    message = syslog_server.messages.get(timeout=10)
    assert (message.facility, message.severity, message.text) == (2, 4, "it is full\0")


def test_ftp_serves_its_files_in_passive_mode(ftp_server):
    with ftplib.FTP() as client:
        client.connect(ftp_server.host, ftp_server.port, timeout=10)
        client.login(ftp_server.login, ftp_server.password)
        received = bytearray()
        client.retrbinary("RETR large.bin", received.extend)
    assert received == pattern(ftp_server.LARGE)


def test_smtp_keeps_the_messages(smtp_server):
    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=10) as client:
        client.sendmail("from@example.org", ["to@example.org"], "Subject: hello\r\n\r\nbody\r\n")
    [mail] = smtp_server.messages
    assert mail.sender == "from@example.org"
    assert mail.recipients == ["to@example.org"]
    assert mail.content.endswith(b"body\r\n")


@pytest.mark.parametrize("route", ["large", "chunked", "until-close"])
def test_http_bodies_are_whole(http_server, route):
    with urllib.request.urlopen(f"{http_server.url}/{route}?bytes=300001", timeout=10) as response:
        assert response.read() == pattern(300_001)


def test_http_redirects_refuses_and_cuts(http_server):
    with urllib.request.urlopen(f"{http_server.url}/redirect", timeout=10) as response:
        assert response.read() == HELLO
    with pytest.raises(urllib.error.HTTPError, match="418") as caught:
        urllib.request.urlopen(f"{http_server.url}/status/418", timeout=10)
    caught.value.close()
    with (
        urllib.request.urlopen(f"{http_server.url}/cut?bytes=1000", timeout=10) as response,
        pytest.raises(http.client.IncompleteRead),
    ):
        response.read()


def test_websocket_echo_sends_every_message_back(websocket_echo):
    with websockets.sync.client.connect(websocket_echo.url, max_size=None, proxy=None) as connection:
        for message in ("hello", b"", pattern(2_000_000)):
            connection.send(message)
            assert connection.recv(timeout=10) == message


def test_echo_sends_back(echo_server):
    with socket.create_connection(echo_server.address, timeout=10) as connection:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b"hello"


def test_hash_comes_after_the_half_close(hash_server):
    with socket.create_connection(hash_server.address, timeout=10) as connection:
        connection.sendall(pattern(1_000_000))
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).decode() == hashlib.sha256(pattern(1_000_000)).hexdigest()


def test_source_sends_the_pattern_and_closes():
    with Source(3_000_000) as source, socket.create_connection(source.address, timeout=10) as connection:
        assert read_to_end(connection) == pattern(3_000_000)


def test_source_listens_on_ipv6_too():
    with Source(10, host="::1") as source, socket.create_connection(source.address, timeout=10) as connection:
        assert read_to_end(connection) == pattern(10)


def test_reset_is_a_reset():
    with ResetAfter(read=3, send=5) as peer, socket.create_connection(peer.address, timeout=10) as connection:
        assert connection.recv(5, socket.MSG_WAITALL) == pattern(5)
        connection.sendall(b"abc")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_silent_stalls_the_sender():
    with (
        Silent(receive_buffer=4096) as peer,
        socket.create_connection(peer.address, timeout=0.2) as connection,
    ):
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(50_000_000))
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_refusing_port_refuses(refusing_port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(refusing_port.address, timeout=10)


def test_unanswering_port_does_not_answer(unanswering_port):
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        socket.create_connection(unanswering_port.address, timeout=0.5)
    assert time.monotonic() - start >= 0.5
