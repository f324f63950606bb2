"""The calls of proxied POSIX sockets against tests/vectors/posix.json, and the tables beside them."""

from __future__ import annotations

import dataclasses
import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy.compat import posix_calls
from pynet_browser.proxy.compat.posix_calls import (
    AddressInfo,
    CallError,
    SockAddr,
    address_infos,
    answer,
    head_of,
    pack_address,
    parse,
    parse_address,
    received_from,
    with_address,
)
from pynet_browser.proxy.compat.posix_errno import ERRNO, errno_of
from tests.unit.vectors import by_name, bytes_of, vectors

VECTORS = vectors("posix")


def address_of(value: list[Any] | None) -> SockAddr | None:
    return None if value is None else SockAddr(*value)


def call_of(fields: dict[str, Any]) -> Any:
    values = {"type" if name == "kind" else name: value for name, value in fields.items() if name != "type"}
    for name, value in values.items():
        if name in {"data", "value"}:
            values[name] = bytes.fromhex(value)
        elif name == "address":
            values[name] = address_of(value)
    return getattr(posix_calls, fields["type"])(**values)


def plain(call: Any) -> Any:
    return dataclasses.replace(call, data=bytes(call.data)) if hasattr(call, "data") else call


def extra_of(extra: dict[str, Any] | None) -> bytes:
    match extra:
        case {"bytes": text}:
            return bytes.fromhex(text)
        case {"with_address": address, "room": room}:
            return with_address(address_of(address), room)
        case {"received_from": data, "address": address, "room": room}:
            return received_from(bytes.fromhex(data), address_of(address), room)
        case {"canonical": canonical, "infos": infos}:
            entries = [AddressInfo(kind, protocol, SockAddr(*address)) for kind, protocol, address in infos]
            return address_infos(canonical, entries)
        case _:
            return b""


@pytest.mark.parametrize("case", **by_name(VECTORS["calls"]))
def test_a_call_is_understood_as_the_vectors_say(case):
    message = bytes_of(case["hex"])
    assert head_of(message) == (case["number"], case["function"])
    assert plain(parse(message)) == call_of(case["call"])


@pytest.mark.parametrize("case", **by_name(VECTORS["malformed"]))
def test_a_call_that_cannot_be_understood_has_its_errno(case):
    with pytest.raises(CallError) as caught:
        parse(bytes_of(case["hex"]))
    assert caught.value.errno == case["errno"]


@pytest.mark.parametrize("case", **by_name(VECTORS["answers"]))
def test_an_answer_has_the_bytes_of_the_vectors(case):
    extra = extra_of(case["extra"])
    made = answer(case["number"], case["function"], case["result"], case["errno"], extra)
    assert made.hex() == bytes_of(case["hex"]).hex()


def test_a_message_without_number_and_function_has_no_head():
    assert [head_of(bytes(size)) for size in (0, 7)] == [None, None]


@given(st.binary(min_size=8, max_size=80), st.integers(0, 24))
def test_whatever_comes_is_a_call_or_an_errno(data, function):
    message = data[:4] + function.to_bytes(4, "little") + data[8:]
    found = ""
    try:
        parse(message)
    except CallError as error:
        found = error.errno
    assert not found or found in ERRNO


@given(st.ip_addresses(), st.integers(0, 65535))
def test_addresses_come_back_as_they_were(host, port):
    address = SockAddr(posix_calls.INET if host.version == 4 else posix_calls.INET6, str(host), port)
    assert parse_address(memoryview(pack_address(address))) == address


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EAGAIN, 6), (errno.ECONNREFUSED, 14), (errno.EOPNOTSUPP, 138), (errno.EDOM, 29), (None, 29)],
)
def test_errors_of_the_host_have_the_programs_numbers(number, expected):
    assert errno_of(number) == expected
