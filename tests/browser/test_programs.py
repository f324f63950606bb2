"""Unmodified blocking programs with the servers they are for: Redis, PostgreSQL, MariaDB, HTTP, SMTP, FTP."""

from __future__ import annotations

import pytest

from tests.peers import pattern

PACKAGES = ["redis", "pg8000", "pymysql"]


# ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def redis(anywhere, redis_server):
    """Runs code that has a connected client as `client`."""

    def run(source, **names):
        opening = "import redis\nclient = redis.Redis(host=host, port=port)\n"
        return anywhere.run(opening + source, host=redis_server.host, port=redis_server.port, **names)

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
subscriber = client.pubsub()
subscriber.subscribe("news")
assert subscriber.get_message(timeout=10)["type"] == "subscribe"
for number in range(3):
    client.publish("news", f"item {number}")
messages = []
while len(messages) < 3:
    message = subscriber.get_message(timeout=10)
    assert message is not None
    messages.append(message["data"].decode())
quiet = subscriber.get_message(timeout=0.1)
[messages, quiet]
"""
    assert redis(source) == [["item 0", "item 1", "item 2"], None]


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def postgres(anywhere, postgres_server):
    """Runs code that has `connect()`, which opens a connection."""
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
        return anywhere.run(opening + source, login=login, timeout=60, **names)

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
value = cursor.fetchone()[0]
other.close()
value
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


# ── MariaDB ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mariadb(anywhere, mariadb_server):
    """Runs code that has `connect()`, which opens a connection."""
    server = mariadb_server

    def run(source, **names):
        opening = "import pymysql\ndef connect(): return pymysql.connect(**login)\n"
        login = {
            "user": server.login,
            "host": server.host,
            "port": server.port,
            "password": server.password,
            "database": server.database,
        }
        return anywhere.run(opening + source, login=login, timeout=60, **names)

    return run


def test_mariadb_answers_queries_with_parameters(mariadb):
    source = """
with connect() as connection, connection.cursor() as cursor:
    cursor.execute("create temporary table book (id int auto_increment primary key, title text, pages blob)")
    book = "insert into book (title, pages) values (%s, %s)"
    cursor.executemany(book, [("Ulysses", bytes(range(256))), ("Émile; drop table 'book'", None)])
    connection.commit()
    cursor.execute("select id, title, pages is null from book where title like %s order by id", ("%l%",))
    rows = [list(row) for row in cursor.fetchall()]
    cursor.execute("select pages from book where id = %s", (1,))
    pages = cursor.fetchone()[0] == bytes(range(256))
[rows, pages]
"""
    assert mariadb(source) == [[[1, "Ulysses", 0], [2, "Émile; drop table 'book'", 1]], True]


def test_mariadb_sends_fifty_thousand_rows(mariadb):
    source = """
import pymysql.cursors
sums = []
for kind in (pymysql.cursors.Cursor, pymysql.cursors.SSCursor):  # all at once, and one by one
    with connect() as connection, connection.cursor(kind) as cursor:
        cursor.execute("select seq, concat('row ', seq) from seq_1_to_50000")
        count = total = 0
        for number, text in cursor:
            count, total, last = count + 1, total + number, text
        sums.append([count, total, last])
sums
"""
    assert mariadb(source) == [[50_000, 1_250_025_000, "row 50000"]] * 2


def test_an_error_of_mariadb_is_an_exception_and_the_connection_goes_on(mariadb):
    source = """
codes = []
with connect() as connection, connection.cursor() as cursor:
    for query in ("select * from no_such_table", "selekt 1"):
        try:
            cursor.execute(query)
        except pymysql.ProgrammingError as error:
            codes.append(error.args[0])
    cursor.execute("select 6 * 7")
    value = cursor.fetchone()[0]
try:
    pymysql.connect(**login | {"password": "wrong"})
except pymysql.OperationalError as error:
    codes.append(error.args[0])
[codes, value]
"""
    assert mariadb(source) == [[1146, 1064, 1045], 42]


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────


def test_http_client_keeps_a_connection_for_several_requests(anywhere, http_server):
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

    digests, posted = anywhere.run(source, host=http_server.host, port=http_server.port)
    assert [status for status, _ in digests] == [200, 200, 200]
    assert digests[1][1] == hashlib.sha256(pattern(3_000_000)).hexdigest()
    assert digests[2][1] == hashlib.sha256(pattern(500_000)).hexdigest()
    assert posted == 300_000


def test_a_body_that_is_cut_off_is_an_incomplete_read(anywhere, http_server):
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
    assert anywhere.run(source, host=http_server.host, port=http_server.port) == [50_000, 50_000]


def test_urllib_request_follows_redirects_and_reports_status(anywhere, http_server):
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
    redirected, code = anywhere.run(source, host=http_server.host, port=http_server.port)
    assert redirected == [200, True, "hello from the HTTP server\n"]
    assert code == 404


# ── Mail and files ──────────────────────────────────────────────────────────────────────────────────────


def test_smtplib_delivers_a_message(anywhere, smtp_server):
    source = """
import smtplib
from email.message import EmailMessage
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "page@example.org", "you@example.org", "Grüße"
message.set_content("from a page\\n" * 1000)
with smtplib.SMTP(host, port, timeout=10) as mail:
    mail.send_message(message)
"""
    anywhere.run(source, host=smtp_server.host, port=smtp_server.port)
    [mail] = smtp_server.messages
    assert (mail.sender, mail.recipients) == ("page@example.org", ["you@example.org"])
    assert mail.content.count(b"from a page") == 1000


def test_ftplib_lists_fetches_and_stores_in_passive_mode(anywhere, ftp_server):
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

    names, digest, size = anywhere.run(
        source,
        host=ftp_server.host,
        port=ftp_server.port,
        login=ftp_server.login,
        password=ftp_server.password,
    )
    assert {"hello.txt", "large.bin"} <= set(names)
    assert digest == hashlib.sha256(pattern(ftp_server.LARGE)).hexdigest()
    assert size == 950_000
