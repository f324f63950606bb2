"""The count of what has come of messages."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy.compat.arrival import PayloadCounter
from tests.unit.vectors import sizes_of

TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9


def frame(opcode: int, size: int, *, fin: bool = True, masked: bool = True) -> bytes:
    first = bytes([opcode | (0x80 if fin else 0)])
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([size | bit])
    elif size < 1 << 16:
        length = bytes([126 | bit]) + size.to_bytes(2)
    else:
        length = bytes([127 | bit]) + size.to_bytes(8)
    return first + length + (bytes(4) if masked else b"") + os.urandom(size)


frames = st.lists(
    st.tuples(
        st.sampled_from([TEXT, BINARY, CONTINUATION, CLOSE, PING]),
        st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
)


@given(frames, st.data())
def test_bytes_of_messages_are_counted_however_they_come(parts, data):
    stream = b"".join(frame(opcode, size, fin=fin, masked=masked) for opcode, size, fin, masked in parts)
    counter, at, counted = PayloadCounter(), 0, 0
    sizes = sizes_of(len(stream), lambda low, high: data.draw(st.integers(low, high)))
    for size in sizes:
        counted += counter.feed(stream[at : at + size])
        at += size
    assert counted == sum(size for opcode, size, *_ in parts if opcode < CLOSE)


def test_a_message_counts_before_it_is_complete():
    counter = PayloadCounter()
    assert counter.feed(frame(BINARY, 1000, fin=False)[:508]) == 500
    assert counter.feed(bytes(499)) == 499
    assert counter.feed(bytes(1) + frame(CONTINUATION, 7)) == 8


@pytest.mark.parametrize("size", [1, 3])
def test_nonsense_is_counted_too(size):
    counter = PayloadCounter()
    for _ in range(100):
        assert 0 <= counter.feed(os.urandom(size)) <= size
