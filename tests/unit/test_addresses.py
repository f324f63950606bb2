from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy import addresses
from pynet_browser.proxy.addresses import InvalidHostError, canonical, kind, reached, unmapped


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.5", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "protocol assignments"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4 relay"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "reserved"),
        ("64:ff9b:1::1", "local NAT64"),
        ("100::1", "reserved"),
        ("2001::1", "protocol assignments"),
        ("2001:2::1", "protocol assignments"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("5f00::1", "reserved"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("fe00::1", "reserved"),
        ("1.1.1.1", None),
        ("100.63.255.255", None),
        ("100.128.0.1", None),
        ("172.32.0.1", None),
        ("223.255.255.255", None),
        ("2606:4700::1111", None),
        ("2001:200::1", None),
        ("64:ff9b::808:808", None),
        ("2002:808:808::1", None),
    ],
)
def test_each_special_network_is_told_from_the_public_internet(address, expected):
    assert kind(ip_address(address)) == expected


@given(st.integers(0, (1 << 128) - 1).map(IPv6Address))
def test_only_global_unicast_and_the_block_of_nat64_can_be_public(address):
    outside = address not in IPv6Network("2000::/3") and address not in IPv6Network("64::/16")
    if outside:
        assert kind(address) is not None


@pytest.mark.parametrize("metadata", addresses.METADATA, ids=str)
def test_metadata_addresses_are_addresses_of_their_own(metadata):
    assert reached(metadata) == (metadata,)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", ["8.8.8.8"]),
        ("2606:4700::1111", ["2606:4700::1111"]),
        ("::1", ["::1"]),
        ("::ffff:127.0.0.1", ["127.0.0.1"]),
        ("::ffff:0.0.0.0", ["0.0.0.0", "127.0.0.1"]),
        ("0.0.0.0", ["0.0.0.0", "127.0.0.1"]),
        ("::", ["::", "::1"]),
        ("::127.0.0.1", ["::7f00:1", "127.0.0.1"]),
        ("::ffff:0:127.0.0.1", ["::ffff:0:7f00:1", "127.0.0.1"]),
        ("64:ff9b::7f00:1", ["64:ff9b::7f00:1", "127.0.0.1"]),
        ("2002:7f00:1::", ["2002:7f00:1::", "127.0.0.1"]),
        # Teredo: the server, and the client's address with all bits turned.
        ("2001:0:808:808:0:ffff:80ff:fffe", ["2001:0:808:808:0:ffff:80ff:fffe", "8.8.8.8", "127.0.0.1"]),
        ("fe80::1%3", ["fe80::1"]),
    ],
)
def test_an_address_is_unwrapped_to_all_it_reaches(address, expected):
    assert reached(ip_address(address)) == tuple(map(ip_address, expected))


@pytest.mark.parametrize(
    "address",
    # 192.0.2.33 at each place that RFC 6052 allows within a /48.
    [
        "64:ff9b:1:c000:2:2100::",
        "64:ff9b:1:aac0:0:221::",
        "64:ff9b:1:aabb:c0:2:2100:0",
        "64:ff9b:1::192.0.2.33",
    ],
)
def test_local_nat64_is_read_at_every_prefix_length(address):
    assert ip_address("192.0.2.33") in reached(ip_address(address))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:1.2.3.4/128", "1.2.3.4/32"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_a_network_of_mapped_addresses_is_its_ipv4_network(network, expected):
    assert unmapped(ip_network(network)) == ip_network(expected)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("my_service", "my_service"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("1.2.3.4.", "1.2.3.4"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_each_host_has_one_spelling(host, expected):
    assert canonical(host) == expected


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ("", "is empty"),
        ("a\0b", "is not a host name"),
        ("a b", "is not a host name"),
        ("a\n", "is not a host name"),
        ("user@example.com", "is not a host name"),
        ("example.com:80", "is not a host name"),
        ("[::1]", "is not a host name"),
        ("http://example.com", "is not a host name"),
        ("*.example.com", "is not a host name"),
        (".", "is not a"),
        ("a..b", "is not a valid host name"),
        ("fe80::1%eth0", "has a zone id"),
        ("a" * 64 + ".example", "is not a valid host name"),
        ("a." * 200, "has at most 253 bytes, this one 400"),
        ("a." * 126 + "ab", "is not a host name"),  # 254 bytes
        ("\ud800.example", "is not a valid host name"),
    ],
)
def test_text_that_is_no_host_is_refused(host, complaint):
    with pytest.raises(InvalidHostError, match=complaint):
        canonical(host)


@given(st.text())
def test_canonical_gives_a_fixed_point_or_refuses(text):
    try:
        name = canonical(text)
    except InvalidHostError:
        return
    assert canonical(name) == name
