"""Unmodified programs that speak UDP: dnspython with a real dnsmasq, and the standard library's syslog."""

from __future__ import annotations

import logging.handlers

import pytest

PACKAGES = ["dnspython"]


@pytest.fixture
def dns(anywhere, dns_server):
    """Runs code that has the server's address as `host` and `port`."""

    def run(source, **names):
        return anywhere.run(source, host=dns_server.host, port=dns_server.port, **names)

    return run


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_dnspython_asks_for_records_of_every_kind(dns, protocol):
    source = """
import dns.message, dns.query
def ask(name, kind):
    question = dns.message.make_query(name + ".example.test", kind)
    answer = getattr(dns.query, protocol)(question, host, timeout=10, port=port)
    return [record.to_text() for records in answer.answer for record in records]
[
    ask("host", "A"), ask("host", "AAAA"), ask("alias", "A"), ask("note", "TXT"), ask("_chat._tcp", "SRV"),
    ask("nobody", "A"),
]
"""
    assert dns(source, protocol=protocol) == [
        ["192.0.2.7"],
        ["2001:db8::7"],
        ["host.example.test.", "192.0.2.7"],
        ['"first part" "second part"'],
        ["10 20 5222 host.example.test."],
        [],
    ]


def test_dnspython_asks_over_tcp_when_the_answer_is_cut_off(dns, dns_server):
    source = """
import dns.flags, dns.message, dns.query
def ask(name):
    question = dns.message.make_query(name + ".example.test", "TXT")
    answer, over_tcp = dns.query.udp_with_fallback(question, host, timeout=10, port=port)
    return [over_tcp, sorted(record.strings[0].decode() for record in answer.answer[0])]
question = dns.message.make_query("large.example.test", "TXT")
first = dns.query.udp(question, host, timeout=10, port=port)
[bool(first.flags & dns.flags.TC), ask("large"), ask("note")]
"""
    assert dns(source) == [True, [True, dns_server.large], [False, ["first part"]]]


def test_dnspython_resolver_follows_aliases_and_tells_what_is_not_there(dns):
    source = """
import dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], port
answer = resolver.resolve("alias.example.test", "A")
found = [answer.canonical_name.to_text(), [record.to_text() for record in answer]]
backwards = [record.to_text() for record in resolver.resolve_address("192.0.2.7")]
missing = []
for name, kind in (("nobody", "A"), ("note", "A")):
    try:
        resolver.resolve(name + ".example.test", kind)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
        missing.append(type(error).__name__)
[found, backwards, missing]
"""
    assert dns(source) == [
        ["host.example.test.", ["192.0.2.7"]],
        ["host.example.test."],
        ["NXDOMAIN", "NoAnswer"],
    ]


def test_dnspython_waits_no_longer_than_it_was_told(dns):
    source = """
import dns.exception, dns.message, dns.query, socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
    silent.bind(("127.0.0.1", 0))
    question = dns.message.make_query("host.example.test", "A")
    start = time.monotonic()
    try:
        dns.query.udp(question, "127.0.0.1", timeout=0.3, port=silent.getsockname()[1])
    except dns.exception.Timeout:
        waited = time.monotonic() - start
    asked = silent.recvfrom(4096)[0] == question.to_wire()
[asked, waited >= 0.25]
"""
    assert dns(source) == [True, True]


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_dnspython_asks_a_hundred_questions_at_once(dns, protocol):
    source = """
import asyncio, dns.asyncquery, dns.message
async def ask(number):
    name, kind = [("host", "A"), ("host", "AAAA"), ("note", "TXT")][number % 3]
    question = dns.message.make_query(name + ".example.test", kind)
    answer = await getattr(dns.asyncquery, protocol)(question, host, timeout=20, port=port)
    return answer.id == question.id and answer.answer[0][0].to_text()
answers = await asyncio.gather(*(ask(number) for number in range(100)))
[len(answers), answers[:3], len(set(answers))]
"""
    expected = ["192.0.2.7", "2001:db8::7", '"first part" "second part"']
    assert dns(source, protocol=protocol) == [100, expected, 3]


def test_dnspython_async_resolver_falls_back_to_tcp(dns, dns_server):
    source = """
import dns.asyncresolver
resolver = dns.asyncresolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], port
answer = await resolver.resolve("large.example.test", "TXT")
sorted(record.strings[0].decode() for record in answer)
"""
    assert dns(source) == dns_server.large


def test_logging_sends_its_records_to_a_syslog_server(anywhere, syslog_server):
    source = """
import logging, logging.handlers
handler = logging.handlers.SysLogHandler((host, port), facility="local3")
handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
logger = logging.getLogger("page")
logger.propagate = False
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
logger.error("the %s is on fire", "printer")
logger.info("größer als ein Blatt: %s", "x" * 8000)
for number in range(100):
    logger.debug("%d", number)
logger.removeHandler(handler)
handler.close()
"""
    anywhere.run(source, host=syslog_server.host, port=syslog_server.port)
    messages = [syslog_server.messages.get(timeout=10) for _ in range(102)]
    handler = logging.handlers.SysLogHandler
    assert {message.facility for message in messages} == {handler.LOG_LOCAL3}
    severities = [message.severity for message in messages]
    assert severities == [handler.LOG_ERR, handler.LOG_INFO, *[handler.LOG_DEBUG] * 100]
    texts = [message.text.removeprefix("page: ").removesuffix("\0") for message in messages]
    assert texts[0] == "the printer is on fire"
    assert texts[1] == "größer als ein Blatt: " + "x" * 8000
    assert texts[2:] == [str(number) for number in range(100)]
