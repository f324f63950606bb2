"""The codec of Wisp against tests/vectors/wisp.json."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.errors import ProtocolError
from pynet_browser.proxy.compat import wisp_packets
from pynet_browser.proxy.compat.wisp_packets import Credentials, Data, Packet, Unknown, decode, encode
from tests.unit.vectors import by_name, bytes_of, vectors

VECTORS = vectors("wisp")
each_packet = pytest.mark.parametrize("case", **by_name(VECTORS["packets"]))


def packet_of(fields: dict[str, Any]) -> Packet:
    values = {"type" if name == "kind" else name: value for name, value in fields.items() if name != "type"}
    if "data" in values:
        values["data"] = bytes.fromhex(values["data"])
    if "extensions" in values:
        values["extensions"] = tuple((id_, bytes.fromhex(body)) for id_, body in values["extensions"])
    packet: Packet = getattr(wisp_packets, fields["type"])(**values)
    return packet


def plain(packet: Packet) -> Packet:
    return Data(packet.stream, bytes(packet.data)) if isinstance(packet, Data) else packet


@each_packet
def test_a_packet_is_encoded_as_the_vectors_say(case):
    assert encode(packet_of(case["packet"])).hex() == bytes_of(case["hex"]).hex()


@each_packet
def test_a_packet_is_decoded_as_the_vectors_say(case):
    assert plain(decode(bytes_of(case["hex"]))) == packet_of(case["packet"])


@pytest.mark.parametrize("case", **by_name(VECTORS["unknown"]))
def test_packets_of_other_kinds_are_known_as_such(case):
    packet = decode(bytes_of(case["hex"]))
    assert packet == Unknown(case["stream"], case["kind"])
    with pytest.raises(ValueError, match="unknown"):
        encode(packet)


@pytest.mark.parametrize("case", **by_name(VECTORS["malformed"]))
def test_malformed_packets_are_told(case):
    with pytest.raises(ProtocolError, match=case["error"]):
        decode(bytes_of(case["hex"]))


@given(st.binary(max_size=64))
def test_whatever_comes_is_a_packet_or_an_error(data):
    try:
        packet = decode(data)
    except ProtocolError:
        return
    if not isinstance(packet, Unknown):
        decode(encode(packet))


@pytest.mark.parametrize("case", **by_name(VECTORS["credentials"]))
def test_credentials_are_understood_in_both_forms(case):
    found = Credentials.of([(1, b""), (2, bytes_of(case["hex"]))])
    assert found == Credentials(case["user"], case["password"])


@pytest.mark.parametrize("case", **by_name(VECTORS["malformed_credentials"]))
def test_malformed_credentials_are_told(case):
    with pytest.raises(ProtocolError, match=case["error"]):
        Credentials.of([(2, bytes_of(case["hex"]))])


@pytest.mark.parametrize("extensions", [[], [(1, b"")], [(2, b"")]])
def test_credentials_may_be_missing(extensions):
    assert Credentials.of(extensions) is None
