"""Unmodified programs in the page, with the servers they are for: Redis, PostgreSQL, HTTP, SMTP, FTP."""

from __future__ import annotations

import pytest

from tests.peers import pattern


@pytest.fixture(scope="module")
def programs(python):
    """The page, with the packages the programs need."""
    python.run('import micropip; await micropip.install(["redis", "pg8000"])', timeout=60)
    return python


# ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def redis(programs, redis_server):
    """Runs code in the page that has a connected client as `client`."""

    def run(source, **names):
        opening = "import redis\nclient = redis.Redis(host=host, port=port)\n"
        return programs.run(opening + source, host=redis_server.host, port=redis_server.port, **names)

    return run


def test_redis_keeps_what_it_is_given(redis):
    assert redis('client.set("greeting", "hello"); client.get("greeting").decode()') == "hello"


def test_a_redis_pipeline_answers_every_command(redis):
    source = """
pipeline = client.pipeline()
for number in range(2000):
    pipeline.set(f"key:{number}", number)
    pipeline.incr(f"key:{number}")
answers = pipeline.execute()
[len(answers), answers[1], answers[-1]]
"""
    assert redis(source) == [4000, 1, 2000]


def test_redis_takes_and_returns_five_megabytes(redis):
    source = """
import hashlib, os
value = os.urandom(5_000_000)
client.set("large", value)
client.get("large") == value
"""
    assert redis(source) is True


def test_redis_publishes_to_a_subscriber_in_the_same_page(redis):
    source = """
subscriber = client.pubsub(ignore_subscribe_messages=True)
subscriber.subscribe("news")
subscriber.get_message(timeout=1)
for number in range(3):
    client.publish("news", f"item {number}")
messages = []
while len(messages) < 3:
    message = subscriber.get_message(timeout=5)
    assert message is not None
    messages.append(message["data"].decode())
quiet = subscriber.get_message(timeout=0.1)
[messages, quiet]
"""
    assert redis(source) == [["item 0", "item 1", "item 2"], None]


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def postgres(programs, postgres_server):
    """Runs code in the page that has `connect()`, which opens a connection."""
    server = postgres_server

    def run(source, **names):
        opening = "import pg8000.dbapi\ndef connect(): return pg8000.dbapi.connect(**login)\n"
        login = {
            "user": server.login,
            "host": server.host,
            "port": server.port,
            "password": server.password,
            "database": server.database,
        }
        return programs.run(opening + source, login=login, timeout=60, **names)

    return run


def test_postgresql_answers_a_query(postgres):
    source = """
connection = connect()
cursor = connection.cursor()
cursor.execute("create temporary table book (id serial, title text)")
cursor.execute("insert into book (title) values (%s), (%s) returning id", ("Ulysses", "Émile"))
ids = [row[0] for row in cursor.fetchall()]
cursor.execute("select title from book order by id")
titles = [row[0] for row in cursor.fetchall()]
connection.close()
[ids, titles]
"""
    assert postgres(source) == [[1, 2], ["Ulysses", "Émile"]]


def test_postgresql_sends_a_hundred_thousand_rows(postgres):
    source = """
connection = connect()
cursor = connection.cursor()
cursor.execute("select n, 'row ' || n from generate_series(1, 100000) as n")
rows = cursor.fetchall()
connection.close()
[len(rows), sum(row[0] for row in rows), rows[-1][1]]
"""
    assert postgres(source) == [100_000, 5_000_050_000, "row 100000"]


def test_an_error_of_postgresql_is_an_exception_and_the_connection_goes_on(postgres):
    source = """
connection = connect()
cursor = connection.cursor()
try:
    cursor.execute("select * from no_such_table")
except pg8000.dbapi.DatabaseError as error:
    code = error.args[0]["C"]
connection.rollback()
cursor.execute("select 1")
value = cursor.fetchone()[0]
connection.close()
[code, value]
"""
    assert postgres(source) == ["42P01", 1]


def test_closing_a_connection_ends_its_query(postgres, postgres_server):
    source = """
import select
connection = connect()
sock = connection._usock
# As a client does that loses patience: ask, wait a moment, hang up.
query = b"select pg_sleep(600)\\0"
sock.sendall(b"Q" + (len(query) + 4).to_bytes(4, "big") + query)
assert select.select([sock], [], [], 0.2) == ([], [], [])
connection.close()
other = connect()
cursor = other.cursor()
cursor.execute("select 1")
cursor.fetchone()[0]
"""
    assert postgres(source) == 1
    connection = postgres_server.connect()
    connection.autocommit = True  # in a transaction pg_stat_activity stays as it was first seen
    cursor = connection.cursor()
    # Asleep it does not look at its socket; told to look, it finds that nobody is there.
    cursor.execute("select pg_cancel_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'")
    for _ in range(100):
        cursor.execute("select count(*) from pg_stat_activity where query like 'select pg_sleep%'")
        if cursor.fetchone()[0] == 0:
            break
        cursor.execute("select pg_sleep(0.05)")
    else:
        pytest.fail("the query's connection is still there")
    connection.close()


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────


def test_http_client_keeps_a_connection_for_several_requests(programs, http_server):
    source = """
import http.client, hashlib
connection = http.client.HTTPConnection(host, port, timeout=10)
digests = []
for path in ("/", "/large?bytes=3000000", "/chunked?bytes=500000"):
    connection.request("GET", path)
    response = connection.getresponse()
    digests.append([response.status, hashlib.sha256(response.read()).hexdigest()])
connection.request("POST", "/", body=b"x" * 300_000, headers={"Content-Type": "text/plain"})
posted = len(connection.getresponse().read())
connection.close()
[digests, posted]
"""
    import hashlib

    digests, posted = programs.run(source, host=http_server.host, port=http_server.port)
    assert [status for status, _ in digests] == [200, 200, 200]
    assert digests[1][1] == hashlib.sha256(pattern(3_000_000)).hexdigest()
    assert digests[2][1] == hashlib.sha256(pattern(500_000)).hexdigest()
    assert posted == 300_000


def test_a_body_that_is_cut_off_is_an_incomplete_read(programs, http_server):
    source = """
import http.client
connection = http.client.HTTPConnection(host, port, timeout=10)
connection.request("GET", "/cut?bytes=100000")
try:
    connection.getresponse().read()
except http.client.IncompleteRead as error:
    found = [len(error.partial), error.expected]
found
"""
    assert programs.run(source, host=http_server.host, port=http_server.port) == [50_000, 50_000]


def test_urllib_request_follows_redirects_and_reports_status(programs, http_server):
    source = """
import urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(f"http://{host}:{port}/redirect", timeout=10) as response:
    redirected = [response.status, response.url.endswith("/"), response.read().decode()]
try:
    opener.open(f"http://{host}:{port}/status/404", timeout=10)
except urllib.error.HTTPError as error:
    code = error.code
[redirected, code]
"""
    redirected, code = programs.run(source, host=http_server.host, port=http_server.port)
    assert redirected == [200, True, "hello from the HTTP server\n"]
    assert code == 404


# ── Mail and files ──────────────────────────────────────────────────────────────────────────────────────


def test_smtplib_delivers_a_message(programs, smtp_server):
    source = """
import smtplib
from email.message import EmailMessage
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "page@example.org", "you@example.org", "Grüße"
message.set_content("from a page\\n" * 1000)
with smtplib.SMTP(host, port, timeout=10) as mail:
    mail.send_message(message)
"""
    programs.run(source, host=smtp_server.host, port=smtp_server.port)
    [mail] = smtp_server.messages
    assert (mail.sender, mail.recipients) == ("page@example.org", ["you@example.org"])
    assert mail.content.count(b"from a page") == 1000


def test_ftplib_lists_fetches_and_stores_in_passive_mode(programs, ftp_server):
    source = """
import ftplib, hashlib, io
with ftplib.FTP(timeout=10) as ftp:
    ftp.connect(host, port)
    ftp.login(login, password)
    names = sorted(ftp.nlst())
    digest = hashlib.sha256()
    ftp.retrbinary("RETR large.bin", digest.update)
    ftp.storbinary("STOR stored.bin", io.BytesIO(b"stored from a page " * 50_000))
    size = ftp.size("stored.bin")
    ftp.delete("stored.bin")
[names, digest.hexdigest(), size]
"""
    import hashlib

    names, digest, size = programs.run(
        source,
        host=ftp_server.host,
        port=ftp_server.port,
        login=ftp_server.login,
        password=ftp_server.password,
    )
    assert {"hello.txt", "large.bin"} <= set(names)
    assert digest == hashlib.sha256(pattern(ftp_server.LARGE)).hexdigest()
    assert size == 950_000
