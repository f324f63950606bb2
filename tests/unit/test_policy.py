from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pynet_browser.proxy.policy import ANY_PORT, Policy, Rule, RuleError


def policy(*, allow=(), deny=(), listen=(), public=False, own_port=None):
    listening = [rule for text in listen for rule in Rule.parse_listening(text)]
    return Policy(map(Rule.parse, allow), map(Rule.parse, deny), listening, public=public, own_port=own_port)


def allowed(rules, host, address=None, port=443, protocol="tcp"):
    return rules.decide(protocol, host, address or host, port).allowed


# ── Rules as text ─────────────────────────────────────────────────────────────────────────────────────────

labels = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
globs = st.one_of(st.just("*"), names.map("*.{}".format), names.map("{}.?*".format))
networks = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
    st.tuples(st.integers(0, 255), st.integers(8, 32)).map(lambda pair: f"{pair[0]}.0.0.0/{pair[1]}"),
    st.tuples(st.integers(0x2000, 0x3FFF), st.integers(16, 128)).map(
        lambda pair: f"[{pair[0]:x}::]/{pair[1]}"
    ),
    st.tuples(st.integers(0x2000, 0x3FFF), st.integers(16, 128)).map(
        lambda pair: f"[{pair[0]:x}::/{pair[1]}]"
    ),
)
port_numbers = st.integers(1, 65535)
ports = st.one_of(
    st.just("*"),
    port_numbers.map(str),
    st.tuples(port_numbers, port_numbers).map(lambda pair: f"{min(pair)}-{max(pair)}"),
)
rule_texts = st.tuples(st.sampled_from(["", "tcp:", "udp:"]), st.one_of(names, globs, networks), ports).map(
    lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}"
)


@given(rule_texts)
def test_a_rule_survives_being_written_and_read_again(text):
    rule = Rule.parse(text)
    assert Rule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com:443", "example.com:443"),
        ("*.Example.COM.:443", "*.example.com:443"),
        ("*:*", "*:*"),
        ("tcp:*:80-90", "tcp:*:80-90"),
        ("udp:10.0.0.0/8:53", "udp:10.0.0.0/8:53"),
        ("10.0.0.5/32:80", "10.0.0.5:80"),
        ("10.0.0.5:80-80", "10.0.0.5:80"),
        ("127.1:80", "127.0.0.1:80"),
        ("bücher.example:80", "xn--bcher-kva.example:80"),
        ("[2001:db8::]/32:443", "[2001:db8::]/32:443"),
        ("[2001:db8::/32]:443", "[2001:db8::]/32:443"),
        ("[::1]:*", "[::1]:*"),
        ("[::ffff:10.0.0.0]/104:*", "10.0.0.0/8:*"),
    ],
)
def test_rules_have_one_spelling(text, expected):
    assert str(Rule.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a rule is [tcp:|udp:]host:port"),
        ("example.com", "a rule is [tcp:|udp:]host:port"),
        ("tcp:80", "a rule is [tcp:|udp:]host:port"),
        (":80", "a rule is [tcp:|udp:]host:port"),
        ("example.com:", "'' is not a port"),
        ("example.com:http", "'http' is not a port"),
        ("example.com:0", "'0' is not a range within 1-65535"),
        ("example.com:65536", "'65536' is not a range within 1-65535"),
        ("example.com:90-80", "'90-80' is not a range within 1-65535"),
        ("10.0.0.5/8:80", "has host bits set; the network is 10.0.0.0/8"),
        ("10.0.0.0/33:80", "is not a network in CIDR form"),
        ("[10.0.0.0]/8:80", "is not an IPv6 network"),
        ("[2001:db8::/32]/32:80", "an IPv6 address goes in brackets"),
        ("::1:80", "an IPv6 address goes in brackets, as in [::1]:80"),
        ("[fe80::1%eth0]:80", "has a zone id"),
        ("10.0.*:80", "write a network, such as 10.0.0.0/8"),
        ("*.bücher.example:80", "is not a glob"),
        ("a b:80", "is not a host name"),
        ("user@example.com:80", "is not a host name"),
        ("sctp:example.com:80", "an IPv6 address goes in brackets"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text, complaint):
    with pytest.raises(RuleError, match=re.escape(complaint)) as caught:
        Rule.parse(text)
    assert str(caught.value).startswith(f"{text!r} is not a rule")


# ── Which rule decides ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("93.184.216.34:*", "example.com:443"),
        ("example.com:*", "93.184.216.0/24:443"),
        ("93.184.216.0/24:*", "93.184.0.0/16:443"),
        ("93.0.0.0/8:*", "*.com:443"),
        ("0.0.0.0/0:*", "*.com:443"),
        ("*mple.com:*", "*.com:443"),
        ("*.com:*", "*:443"),
        ("*:443", "*:440-450"),
        ("*:443-444", "*:440-450"),
        ("*:1-65535", "*:*"),
        ("tcp:*:443", "*:443"),
        ("*:443", "tcp:*:*"),
    ],
)
def test_the_more_specific_rule_decides(stronger, weaker):
    assert allowed(policy(allow=[stronger], deny=[weaker]), "example.com", "93.184.216.34")
    assert not allowed(policy(allow=[weaker], deny=[stronger]), "example.com", "93.184.216.34")


def test_deny_wins_a_tie():
    assert not allowed(policy(allow=["*:443"], deny=["*:443"]), "example.com", "93.184.216.34")


@pytest.mark.parametrize(
    ("rule", "request_", "fits"),
    [
        ("example.com:443", ("tcp", "example.com", "1.1.1.1", 443), True),
        ("example.com:443", ("tcp", "example.com", "1.1.1.1", 444), False),
        ("example.com:443", ("tcp", "www.example.com", "1.1.1.1", 443), False),
        ("*.example.com:443", ("tcp", "a.b.example.com", "1.1.1.1", 443), True),
        ("*.example.com:443", ("tcp", "example.com", "1.1.1.1", 443), False),
        ("*.example.com:443", ("tcp", "a.example.com.evil", "1.1.1.1", 443), False),
        ("tcp:*:*", ("udp", "example.com", "1.1.1.1", 443), False),
        ("udp:*:*", ("udp", "example.com", "1.1.1.1", 443), True),
        ("*:80-90", ("tcp", "example.com", "1.1.1.1", 80), True),
        ("*:80-90", ("tcp", "example.com", "1.1.1.1", 90), True),
        ("*:80-90", ("tcp", "example.com", "1.1.1.1", 91), False),
        ("1.1.1.0/24:*", ("tcp", "example.com", "1.1.1.1", 80), True),
        ("1.1.1.0/24:*", ("tcp", "1.1.2.1", "1.1.2.1", 80), False),
    ],
)
def test_what_a_rule_fits(rule, request_, fits):
    assert policy(deny=[rule]).decide(*request_).allowed is not fits


def test_a_glob_is_about_names_and_never_about_an_address_as_text():
    rules = policy(deny=["f*c:*"])
    assert allowed(rules, "fd00::c")
    assert not allowed(rules, "fabric", "1.1.1.1")


# ── Built-in rules ────────────────────────────────────────────────────────────────────────────────────────

SPECIAL = [
    "127.0.0.1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "0.0.0.0",
    "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fec0::1", "fd00::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.5", "64:ff9b::7f00:1", "64:ff9b::a00:5", "2002:7f00:1::",
    "2001:0:808:808:0:ffff:80ff:fffe", "::7f00:1", "64:ff9b:1::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL)
def test_a_public_proxy_reaches_nothing_of_its_own_network(address):
    assert not allowed(policy(public=True), address)
    assert not allowed(policy(public=True, allow=["*:*"]), address)
    assert not allowed(policy(public=True, allow=["*.example.com:*"]), "a.example.com", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_proxy_reaches_the_internet(address):
    assert allowed(policy(public=True), address)


@pytest.mark.parametrize("address", SPECIAL)
def test_a_proxy_on_loopback_reaches_whatever_its_machine_does(address):
    assert allowed(policy(), address)


@pytest.mark.parametrize("port", [25, 465, 587])
def test_a_public_proxy_sends_no_mail_unless_told_to(port):
    assert not allowed(policy(public=True), "mail.example.com", "8.8.8.8", port)
    assert allowed(policy(), "mail.example.com", "8.8.8.8", port)
    assert allowed(
        policy(public=True, allow=["mail.example.com:25-587"]), "mail.example.com", "8.8.8.8", port
    )


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
)
def test_no_name_and_no_network_leads_to_cloud_metadata(public, address):
    rules = policy(public=public, allow=["*:*", "0.0.0.0/0:*", "[::]/0:*", "evil.example:80"])
    assert not allowed(rules, "evil.example", address, 80)
    assert not allowed(rules, address, address, 80)


def test_metadata_can_be_opened_by_its_own_address():
    assert allowed(policy(allow=["169.254.169.254:80"]), "169.254.169.254", port=80)


def test_an_exact_name_opens_a_private_address_and_a_glob_does_not():
    rules = policy(public=True, allow=["db.example.com:5432", "*.example.com:443"])
    assert allowed(rules, "db.example.com", "10.0.0.5", 5432)
    assert not allowed(rules, "other.example.com", "10.0.0.5", 443)


def test_the_embedded_address_needs_leave_beside_the_outer_one():
    assert not allowed(policy(public=True, allow=["[64:ff9b::]/96:*"]), "64:ff9b::a00:5")
    assert not allowed(policy(deny=["10.0.0.0/8:*"], allow=["[64:ff9b::a00:5]:443"]), "64:ff9b::a00:5")
    assert not allowed(policy(deny=["[64:ff9b::]/96:*"], allow=["10.0.0.5:443"]), "64:ff9b::a00:5")


def test_the_unspecified_address_is_no_way_round_a_rule_about_loopback():
    assert not allowed(policy(deny=["127.0.0.1:22"]), "0.0.0.0", port=22)
    assert not allowed(policy(deny=["[::1]:22"]), "::", port=22)


def test_rules_added_at_the_start_are_built_in_ones():
    rules = policy(public=True)
    rules.add_built_in(allow=[Rule.parse("127.0.0.1:7007")], deny=[Rule.parse("8.8.8.8:8765")])
    assert allowed(rules, "127.0.0.1", port=7007)
    assert not allowed(rules, "8.8.8.8", port=8765)
    chosen = policy(allow=["8.8.8.8:8765"])
    chosen.add_built_in(deny=[Rule.parse("8.8.8.8:8765")])
    assert allowed(chosen, "8.8.8.8", port=8765)


# ── What a decision says ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "address", "refused", "rule", "advice"),
    [
        ("10.0.0.5", "10.0.0.5", "10.0.0.5:80", "10.0.0.0/8:*", "10.0.0.5:80"),
        ("fd00::5", "fd00::5", "[fd00::5]:80", "[fc00::]/7:*", "[fd00::5]:80"),
        ("db.internal", "10.0.0.5", "db.internal:80", "10.0.0.0/8:*", "db.internal:80"),
        ("64:ff9b::a00:5", "64:ff9b::a00:5", "[64:ff9b::a00:5]:80", "10.0.0.0/8:*", "10.0.0.5:80"),
        ("evil.example", "169.254.169.254", "evil.example:80", "169.254.169.254:*", "169.254.169.254:80"),
    ],
)
def test_a_refusal_says_what_to_change(host, address, refused, rule, advice):
    decision = policy(public=True).decide("tcp", host, address, 80)
    assert decision.reason == (
        f"the proxy's policy refuses {refused} (rule {rule}); start it with --allow {advice}"
    )


def test_a_refusal_by_the_users_own_exact_rule_says_to_drop_it():
    rule = "tcp:10.0.0.5:80"
    assert policy(deny=[rule]).decide("tcp", "10.0.0.5", "10.0.0.5", 80).reason == (
        f"the proxy's policy refuses 10.0.0.5:80 (rule {rule}); start it without --deny {rule}"
    )


def test_a_decision_names_its_rule():
    rules = policy(allow=["*.example.com:443"])
    assert rules.decide("tcp", "a.example.com", "1.1.1.1", 443).rule == "*.example.com:443"
    assert rules.decide("tcp", "a.example.org", "1.1.1.1", 443).rule == ""


@given(
    deny=st.lists(rule_texts, max_size=3),
    name=st.none() | names,
    address=st.ip_addresses(),
    port=port_numbers,
    public=st.booleans(),
)
def test_following_the_advice_ends_in_leave(deny, name, address, port, public):
    host = name or str(address)
    allow: list[str] = []
    for _ in range(8):
        decision = policy(allow=allow, deny=deny, public=public).decide("tcp", host, address, port)
        if decision.allowed:
            return
        if advice := re.search(r"start it with --allow (\S+)$", decision.reason):
            assert advice[1] not in allow
            allow.append(advice[1])
        else:
            advice = re.search(r"start it without --deny (\S+)$", decision.reason)
            assert advice
            deny = [text for text in deny if str(Rule.parse(text)) != advice[1]]
    pytest.fail(decision.reason)


@given(
    deny=st.lists(rule_texts, max_size=4), allow=st.lists(rule_texts, max_size=4), address=st.ip_addresses()
)
def test_an_address_may_be_revealed_when_some_port_of_it_may_be_reached(deny, allow, address):
    rules = policy(allow=allow, deny=deny, public=True)
    edges = {1, 65535}
    for text in (*deny, *allow, "*:25", "*:465", "*:587"):
        rule = Rule.parse(text)
        edges |= {
            port for end in (rule.low, rule.high) for port in (end - 1, end, end + 1) if 1 <= port <= 65535
        }
    some = any(
        rules.decide(protocol, "a.example", address, port).allowed
        for protocol in ("tcp", "udp")
        for port in edges
    )
    assert rules.may_reveal("a.example", address) == some


def test_what_is_denied_wholly_is_not_revealed():
    assert not policy(public=True).may_reveal("db.internal", "10.0.0.5")
    assert policy(public=True, allow=["udp:10.0.0.5:53"]).may_reveal("db.internal", "10.0.0.5")
    assert policy(public=True).may_reveal("example.com", "8.8.8.8")
    assert policy(deny=["*:1-1000"]).may_reveal("example.com", "8.8.8.8")


@given(st.ip_addresses(), st.lists(rule_texts, max_size=4), port_numbers)
def test_a_mapped_address_is_judged_as_its_ipv4_address(address, deny, port):
    assume(address.version == 4)
    rules = policy(deny=deny, public=True)
    mapped = f"::ffff:{address}"
    assert rules.decide("tcp", "a.example", mapped, port) == rules.decide("tcp", "a.example", address, port)


# ── Where pages may listen ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8000", ["127.0.0.0/8:8000", "[::1]:8000"]),
        ("8000-8999", ["127.0.0.0/8:8000-8999", "[::1]:8000-8999"]),
        ("*", ["127.0.0.0/8:*", "[::1]:*"]),
        ("tcp:8000", ["tcp:127.0.0.0/8:8000", "tcp:[::1]:8000"]),
        ("udp:*", ["udp:127.0.0.0/8:*", "udp:[::1]:*"]),
        ("localhost:8000", ["127.0.0.0/8:8000", "[::1]:8000"]),
        ("LOCALHOST:8000", ["127.0.0.0/8:8000", "[::1]:8000"]),
        ("0.0.0.0:8000", ["0.0.0.0/0:8000"]),
        ("[::]:8000", ["0.0.0.0/0:8000", "[::]/0:8000"]),
        ("*:8000", ["0.0.0.0/0:8000", "[::]/0:8000"]),
        ("udp:*:*", ["udp:0.0.0.0/0:*", "udp:[::]/0:*"]),
        ("192.168.1.5:80-90", ["192.168.1.5:80-90"]),
        ("192.168.1.0/24:80", ["192.168.1.0/24:80"]),
        ("[2001:db8::1]:80", ["[2001:db8::1]:80"]),
        ("127.1:80", ["127.0.0.1:80"]),
    ],
)
def test_what_a_rule_for_listening_stands_for(text, expected):
    assert [str(rule) for rule in Rule.parse_listening(text)] == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'' is not a port"),
        ("http", "'http' is not a port"),
        ("tcp:", "'' is not a port"),
        (":80", "a rule for listening is [tcp:|udp:][address:]port"),
        ("127.0.0.1", "'127.0.0.1' is not a port"),
        ("0", "'0' is not a range within 1-65535"),
        ("8999-8000", "'8999-8000' is not a range within 1-65535"),
        ("example.com:80", "'example.com' is not an address; pages listen on addresses, localhost or *"),
        ("*.example.com:80", "'*.example.com' is not an address"),
        ("::1:80", "an IPv6 address goes in brackets, as in [::1]:80"),
        ("10.0.0.5/8:80", "has host bits set; the network is 10.0.0.0/8"),
        ("sctp:80", "'sctp' is not an address"),
    ],
)
def test_a_wrong_rule_for_listening_says_what_is_wrong(text, complaint):
    with pytest.raises(RuleError, match=re.escape(complaint)) as caught:
        Rule.parse_listening(text)
    assert str(caught.value).startswith(f"{text!r} is not a rule")


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::", "192.168.1.5"])
def test_nobody_listens_anywhere_without_a_rule(public, address):
    rules = policy(allow=["*:*"], public=public)
    for protocol in ("tcp", "udp"):
        assert not rules.decide_listen(protocol, address, 8000).allowed
        assert not rules.decide_listen(protocol, address, ANY_PORT).allowed
        assert rules.listening_ports(protocol, address) == []


@pytest.mark.parametrize(
    ("rule", "protocol", "address", "port", "expected"),
    [
        ("8000", "tcp", "127.0.0.1", 8000, True),
        ("8000", "udp", "127.0.0.1", 8000, True),
        ("8000", "tcp", "127.9.9.9", 8000, True),
        ("8000", "tcp", "::1", 8000, True),
        ("8000", "tcp", "::ffff:127.0.0.1", 8000, True),
        ("8000", "tcp", "127.0.0.1", 8001, False),
        ("8000", "tcp", "0.0.0.0", 8000, False),
        ("8000", "tcp", "::", 8000, False),
        ("8000", "tcp", "192.168.1.5", 8000, False),
        ("8000", "tcp", "127.0.0.1", ANY_PORT, False),
        ("1-65535", "tcp", "127.0.0.1", ANY_PORT, False),
        ("*", "tcp", "127.0.0.1", ANY_PORT, True),
        ("udp:8000", "tcp", "127.0.0.1", 8000, False),
        ("udp:8000", "udp", "127.0.0.1", 8000, True),
        ("0.0.0.0:8000", "tcp", "0.0.0.0", 8000, True),
        ("0.0.0.0:8000", "tcp", "192.168.1.5", 8000, True),
        ("0.0.0.0:8000", "tcp", "127.0.0.1", 8000, True),
        ("0.0.0.0:8000", "tcp", "::", 8000, False),
        ("0.0.0.0:8000", "tcp", "::1", 8000, False),
        ("[::]:8000", "tcp", "::", 8000, True),
        ("[::]:8000", "tcp", "0.0.0.0", 8000, True),
        ("*:8000", "tcp", "2001:db8::1", 8000, True),
        ("0.0.0.0/8:8000", "tcp", "0.0.0.0", 8000, False),
        ("192.168.1.0/24:8000", "tcp", "192.168.1.5", 8000, True),
        ("192.168.1.0/24:8000", "tcp", "0.0.0.0", 8000, False),
    ],
)
def test_what_a_rule_for_listening_allows(rule, protocol, address, port, expected):
    assert policy(listen=[rule]).decide_listen(protocol, address, port).allowed is expected


def test_rules_for_listening_add_up():
    rules = policy(listen=["8000", "udp:8001-8003", "192.168.1.5:9000"])
    assert rules.listening_ports("tcp", "127.0.0.1") == [range(8000, 8001)]
    assert rules.listening_ports("udp", "::1") == [range(8000, 8001), range(8001, 8004)]
    assert rules.listening_ports("tcp", "192.168.1.5") == [range(9000, 9001)]
    assert rules.listening_ports("tcp", "0.0.0.0") == []
    assert policy(listen=["*"]).listening_ports("tcp", "127.0.0.1") == [range(1, 65536)]


def test_no_page_listens_on_the_proxys_own_port():
    rules = policy(listen=["*:*"], own_port=8765)
    assert rules.decide_listen("tcp", "127.0.0.1", 8766).allowed
    assert rules.decide_listen("udp", "127.0.0.1", 8765).allowed
    decision = rules.decide_listen("tcp", "127.0.0.2", 8765)
    assert (decision.allowed, decision.reason) == (
        False,
        "127.0.0.2:8765 is the proxy's own port; let the page listen on another",
    )


@pytest.mark.parametrize(
    ("protocol", "address", "port", "refused", "advice"),
    [
        ("tcp", "127.0.0.1", 8000, "127.0.0.1:8000", "8000"),
        ("tcp", "::1", 8000, "[::1]:8000", "8000"),
        ("udp", "127.0.0.1", 5353, "127.0.0.1:5353", "udp:5353"),
        ("tcp", "127.0.0.1", ANY_PORT, "127.0.0.1:*", "'*'"),
        ("tcp", "192.168.1.5", 80, "192.168.1.5:80", "192.168.1.5:80"),
        ("tcp", "0.0.0.0", 80, "0.0.0.0:80", "80, or for more than this machine --listen 0.0.0.0:80"),
        ("udp", "::", 80, "[::]:80", "udp:80, or for more than this machine --listen udp:[::]:80"),
    ],
)
def test_a_listener_that_is_refused_is_told_what_to_change(protocol, address, port, refused, advice):
    assert policy().decide_listen(protocol, address, port).reason == (
        f"the proxy does not let pages listen on {refused}; start it with --listen {advice}"
    )


@given(
    listen=st.lists(st.sampled_from(["8000", "udp:*", "10.0.0.0/8:1-9"])),
    protocol=st.sampled_from(["tcp", "udp"]),
    address=st.ip_addresses(),
    port=port_numbers | st.just(ANY_PORT),
)
def test_following_the_advice_lets_a_page_listen(listen, protocol, address, port):
    decision = policy(listen=listen).decide_listen(protocol, address, port)
    if not decision.allowed:
        advice = decision.reason.rpartition("--listen ")[2].replace("'", "")
        assert policy(listen=[*listen, advice]).decide_listen(protocol, address, port).allowed
