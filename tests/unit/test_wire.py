"""The codec against tests/vectors/wire.json, and against whatever else may come."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser import fields, frames, wire
from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Address, Buffer
from pynet_browser.frames import Close, Data, Frame, Hello, Kind, Reset, Resolved
from pynet_browser.wire import (
    FRAME_HEADER,
    MESSAGE_HEADER,
    MESSAGE_MAX,
    MessageReader,
    encode_frame,
    encode_message,
    frames_of,
)
from tests.unit.vectors import by_name, bytes_of, frame_of, plain, sizes_of, vectors

VECTORS = vectors("wire")
MESSAGES = VECTORS["messages"]
each_message = pytest.mark.parametrize("case", **by_name(MESSAGES))

Decoded = tuple[int, int, list[Frame]]


def decode(pieces: Iterable[Buffer], reader: MessageReader | None = None) -> list[Decoded]:
    """What a receiver makes of a stream that comes in these pieces."""
    reader = reader or MessageReader()
    return [
        (message.number, message.ack, [plain(frame) for frame in frames_of(message.body)])
        for piece in pieces
        for message in reader.feed(piece)
    ]


def frames_before_error(frames: Iterator[Frame]) -> tuple[list[Frame], str]:
    """All frames up to a protocol error, and what it says; nothing if there was none."""
    decoded: list[Frame] = []
    try:
        decoded.extend(map(plain, frames))
    except ProtocolError as error:
        return decoded, str(error)
    return decoded, ""


def expected(case: dict[str, Any]) -> Decoded:
    return case["number"], case["ack"], [frame_of(frame) for frame in case["frames"]]


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return pieces


# ── What is well formed ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", **by_name([case for case in MESSAGES if case.get("canonical", True)]))
def test_a_message_is_encoded_as_the_vectors_say(case):
    parts = [encode_frame(frame_of(frame)) for frame in case["frames"]]
    assert encode_message(case["number"], case["ack"], parts).hex() == bytes_of(case["hex"]).hex()


@each_message
def test_a_message_is_decoded_in_one_piece(case):
    data = bytes_of(case["hex"])
    for piece in (data, bytearray(data), memoryview(data)):
        assert decode([piece]) == [expected(case)]


@each_message
def test_a_message_is_decoded_byte_by_byte(case):
    data = bytes_of(case["hex"])
    assert decode(cut(data, [1] * len(data))) == [expected(case)]


@each_message
def test_a_message_is_decoded_in_any_pieces(case):
    data, choose = bytes_of(case["hex"]), random.Random(case["name"])
    for _ in range(20):
        assert decode(cut(data, sizes_of(len(data), choose.randint))) == [expected(case)]


@each_message
def test_a_message_is_decoded_out_of_a_larger_buffer(case):
    data = bytes_of(case["hex"])
    surrounded = memoryview(b"\xff" * 7 + data + b"\xff" * 5)
    assert decode([surrounded[7:-5]]) == [expected(case)]


@each_message
def test_a_message_cut_short_is_waited_for(case):
    data = bytes_of(case["hex"])
    for size in range(len(data)):
        reader = MessageReader()
        assert decode([data[:size]], reader) == []
        assert reader.held == size
        assert decode([data[size:]], reader) == [expected(case)]
        assert reader.held == 0


@each_message
def test_what_follows_a_message_is_the_next_one(case):
    data = bytes_of(case["hex"])
    reader = MessageReader()
    assert decode([data + data + data[:-1]], reader) == [expected(case)] * 2
    assert decode([data[-1:]], reader) == [expected(case)]


@each_message
def test_frames_cut_short_are_never_other_frames(case):
    whole = expected(case)[2]
    body = memoryview(bytes_of(case["hex"]))[MESSAGE_HEADER.size :]
    for size in range(len(body)):
        decoded, error = frames_before_error(frames_of(body[:size]))
        assert decoded == whole[: len(decoded)]
        assert len(decoded) < len(whole)
        if not error:  # the cut lies between two frames
            assert size == sum(map(len, case_frames(case)[: len(decoded)]))


@each_message
def test_a_payload_cut_short_is_an_error(case):
    for frame in case_frames(case):
        kind, flags, socket, _ = FRAME_HEADER.unpack_from(frame)
        if kind not in frames.FRAMES:
            continue  # any length will do
        (decoded,) = frames_of(memoryview(frame))
        open_end: dict[str, Any] = {"data": b""} if hasattr(decoded, "data") else {}
        needed = len(encode_frame(dataclasses.replace(decoded, **open_end))) - FRAME_HEADER.size
        for size in range(needed):
            short = FRAME_HEADER.pack(kind, flags, socket, size) + frame[FRAME_HEADER.size :][:size]
            with pytest.raises(ProtocolError, match="ends early"):
                list(frames_of(memoryview(short)))


def case_frames(case: dict[str, Any]) -> list[bytes]:
    """The bytes of each frame of a case, read off its lines: a header, then a payload unless it is empty."""
    frames: list[bytes] = []
    missing = 0
    for line in case["hex"][1:]:
        if missing:
            frames[-1] += bytes.fromhex(line)
            missing = 0
        else:
            frames.append(bytes.fromhex(line))
            missing = FRAME_HEADER.unpack(frames[-1])[3]
    return frames


def test_messages_follow_each_other_through_any_cuts():
    stream = b"".join(bytes_of(case["hex"]) for case in MESSAGES)
    messages = [expected(case) for case in MESSAGES]
    for seed in range(5):
        choose = random.Random(seed)
        sizes = sizes_of(len(stream), lambda _, left, choose=choose: min(left, choose.randint(1, 60)))
        assert decode(cut(stream, sizes)) == messages


def test_what_was_delivered_does_not_change_when_more_comes():
    reader, stream = MessageReader(), encode_message(1, 0, [b"a" * 50]) + encode_message(2, 0, [b"b" * 50])
    messages = [message for piece in cut(stream, [1] * len(stream)) for message in reader.feed(piece)]
    assert [bytes(message.body) for message in messages] == [b"a" * 50, b"b" * 50]


def test_a_message_that_comes_whole_is_not_copied():
    data = encode_message(1, 0, [wire.data_header(1, 5), b"hello"])
    (message,) = MessageReader().feed(data)
    assert message.body.obj is data
    (frame,) = frames_of(message.body)
    assert isinstance(frame, Data)
    assert isinstance(frame.data, memoryview)
    assert frame.data.obj is data


def test_a_decoded_message_cannot_be_written_to():
    (message,) = MessageReader().feed(bytearray(encode_message(1, 0, [b"abc"])))
    assert message.body.readonly


def test_an_empty_piece_changes_nothing():
    data = bytes_of(MESSAGES[0]["hex"])
    assert decode([b"", data[:5], b"", data[5:], b""]) == [expected(MESSAGES[0])]


def test_every_kind_of_frame_has_a_vector():
    assert {frame["type"] for case in MESSAGES for frame in case["frames"]} == {
        frame.__name__.lower() for frame in frames.FRAMES.values()
    } | {"unrecognized"}
    assert set(frames.FRAMES) == set(Kind)


def test_the_largest_message_is_decoded():
    data = encode_message(1, 0, [wire.data_header(1, MESSAGE_MAX - 10), bytes(MESSAGE_MAX - 10)])
    ((_, _, frames),) = decode([data])
    assert frames == [Data(1, bytes(MESSAGE_MAX - 10))]


def test_the_longest_text_is_encoded_and_decoded():
    frame = Reset(1, "é" * 32767 + "x", "")
    assert list(frames_of(memoryview(encode_frame(frame)))) == [frame]


def test_the_longest_list_is_encoded_and_decoded():
    frame = Hello(0, 1, "", "", "", 0, 0, 0, ("",) * 65535, "")
    assert list(frames_of(memoryview(encode_frame(frame)))) == [frame]


# ── What is not ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", **by_name(VECTORS["malformed"]))
def test_a_malformed_message_is_an_error(case):
    data = bytes_of(case["hex"])
    choose = random.Random(case["name"])
    ways = [[len(data)], [1] * len(data), *(sizes_of(len(data), choose.randint) for _ in range(10))]
    for sizes in ways:
        reader = MessageReader()
        messages = (message for piece in cut(data, sizes) for message in reader.feed(piece))
        if case["in"] == "stream":
            decoded, error = frames_before_error(frame for each in messages for frame in frames_of(each.body))
        else:
            (message,) = messages
            decoded, error = frames_before_error(frames_of(message.body))
        assert case["error"] in error
        assert decoded == [frame_of(frame) for frame in case["frames"]]


@pytest.mark.parametrize("case", **by_name(VECTORS["malformed"]))
def test_messages_before_a_malformed_one_are_delivered(case):
    good = encode_message(1, 0, [encode_frame(Close(1))])
    messages = MessageReader().feed(good + bytes_of(case["hex"]))
    assert next(messages).body == good[MESSAGE_HEADER.size :]
    _, error = frames_before_error(frame for message in messages for frame in frames_of(message.body))
    assert case["error"] in error


def test_a_message_too_large_is_an_error_before_its_frames_come():
    reader = MessageReader()
    with pytest.raises(ProtocolError, match="message of 1048577 bytes; at most 1048576"):
        list(reader.feed(MESSAGE_HEADER.pack(MESSAGE_MAX + 1, 1, 0)))
    assert reader.held == 0


def test_a_reader_can_be_stricter_than_the_format():
    assert len(decode([encode_message(0, 0, [wire.data_header(1, 4086), bytes(4086)])], MessageReader(4096)))
    with pytest.raises(ProtocolError, match="message of 4097 bytes; at most 4096"):
        decode([encode_message(0, 0, [bytes(4097)])], MessageReader(limit=4096))


@pytest.mark.parametrize("case", **by_name(VECTORS["unencodable"]))
def test_a_field_that_does_not_fit_is_not_encoded(case):
    with pytest.raises(ValueError):  # noqa: PT011 - it may be UnicodeEncodeError
        encode_frame(frame_of(case["frame"]))


def test_a_text_or_list_that_is_too_long_is_not_encoded():
    with pytest.raises(ValueError, match="65536 does not fit 2 bytes"):
        encode_frame(Reset(1, "é" * 32768, ""))
    with pytest.raises(ValueError, match="65536 does not fit 2 bytes"):
        encode_frame(Resolved(1, 0, "", (Address(4, "", 0),) * 65536))


def test_a_message_that_is_too_large_is_not_encoded():
    assert len(encode_message(1, 0, [bytes(MESSAGE_MAX)])) == MESSAGE_HEADER.size + MESSAGE_MAX
    with pytest.raises(ValueError, match="1048577 bytes of frames in one message; at most 1048576"):
        encode_message(1, 0, [bytes(MESSAGE_MAX), b"x"])


@pytest.mark.parametrize(("number", "ack"), [(2**53, 0), (-1, 0), (0, 2**53), (0, -1)])
def test_a_message_number_that_does_not_fit_is_not_encoded(number, ack):
    with pytest.raises(ValueError, match="is not from 0 to 2\\^53 - 1"):
        encode_message(number, ack, [])


# ── Whatever may come ───────────────────────────────────────────────────────────────────────────────────

TEXTS = st.text(max_size=20)
U16S, U32S = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
FIELDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (fields.U8, st.integers(0, 255)),
    (fields.U16, U16S),
    (fields.U32, U32S),
    (fields.U64, st.integers(0, 2**53 - 1)),
    (fields.TEXT, TEXTS),
    (fields.ADDRESS, st.builds(Address, st.sampled_from([4, 6]), TEXTS, U16S)),
    (fields.REST, st.binary(max_size=100)),
    (fields.TEXTS, st.lists(TEXTS, max_size=5).map(tuple)),
]


def values_of(field: Any) -> st.SearchStrategy[Any]:
    for each, values in FIELDS:
        if each is field:
            return values
    return st.lists(values_of(fields.ADDRESS), max_size=5).map(tuple)


FRAMES = st.one_of(
    *(
        st.builds(frame, U32S, **{name: values_of(field) for name, field in frame.LAYOUT})
        for frame in frames.FRAMES.values()
    )
)
NUMBERS = st.integers(0, 2**53 - 1)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.lists(FRAMES, max_size=5)), max_size=4), st.data())
def test_what_was_encoded_is_decoded_however_it_is_cut(messages, data):
    stream = b"".join(
        encode_message(number, ack, list(map(encode_frame, frames))) for number, ack, frames in messages
    )
    sizes = sizes_of(len(stream), lambda low, high: data.draw(st.integers(low, high)))
    assert decode(cut(stream, sizes)) == messages


@given(st.binary(max_size=200))
def test_bytes_that_mean_nothing_are_frames_or_an_error(data):
    frames_before_error(frames_of(memoryview(data)))


@given(st.sampled_from(sorted(frames.FRAMES)), st.binary(max_size=80))
def test_a_payload_that_means_nothing_is_a_frame_or_an_error(kind, payload):
    body = FRAME_HEADER.pack(kind, 0, 1, len(payload)) + payload
    for frame in frames_before_error(frames_of(memoryview(body)))[0]:
        # It was read as what it says, apart from bytes behind the last field.
        assert payload.startswith(encode_frame(frame)[FRAME_HEADER.size :])


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_a_stream_that_means_nothing_is_messages_or_an_error(pieces):
    with contextlib.suppress(ProtocolError):
        decode(pieces)
