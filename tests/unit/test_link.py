"""The link against tests/vectors/link.json, and against carriers that do their worst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_browser.errors import ProtocolError
from pynet_browser.link import MESSAGES_UNDER_WAY, REPLAY_LIMIT, Link
from pynet_browser.wire import Message, MessageReader
from tests.unit.hostile import HostileWorld
from tests.unit.vectors import by_name, bytes_of, vectors

# ── Scripts ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("script", **by_name(vectors("link")["scripts"]))
def test_a_link_does_what_the_vectors_say(script):
    link = Link(script.get("replay_limit", REPLAY_LIMIT))
    link.peer_replay = script.get("peer_replay", REPLAY_LIMIT)
    for step in script["steps"]:
        if "fails" in step:
            with pytest.raises((ProtocolError, ValueError)) as caught:
                perform(link, step)
            assert step["fails"] in str(caught.value)
        else:
            assert perform(link, step) == result_of(step), step


def perform(link: Link, step: dict[str, Any]) -> Any:
    """Make the call of a step; messages as (number, ack, frames), delivered ones as their numbers."""
    now = step.get("now", 0) / 1000
    match step["call"]:
        case "push":
            return link.push(bytes_of(step["frame"]))
        case "take":
            return messages_in(link.take(now))
        case "outstanding":
            return messages_in(link.outstanding(step["limit"]))
        case "replay":
            return messages_in(link.replay(step["seen"]) if "seen" in step else link.replay())
        case "acknowledgement":
            return messages_in([link.acknowledgement()])
        case "acknowledge":
            return link.acknowledge(step["number"])
        case "receive":
            number, frames = step["message"]
            return [
                each.number for each in link.receive(Message(number, 0, memoryview(bytes_of(frames))), now)
            ]
        case _:
            return {name: getattr(link, name) for name in step if name != "call"}


def result_of(step: dict[str, Any]) -> Any:
    if step["call"] == "is":
        properties = {name: value for name, value in step.items() if name != "call"}
        if properties.get("ack_at") is not None:
            properties["ack_at"] = pytest.approx(properties["ack_at"] / 1000)
        return properties
    if step["call"] in ("take", "replay", "outstanding", "acknowledgement"):
        return [(number, ack, bytes_of(frames)) for number, ack, frames in step["gives"]]
    return step.get("gives")


def messages_in(data: Iterable[bytes]) -> list[tuple[int, int, bytes]]:
    messages = MessageReader().feed(b"".join(data))
    return [(number, ack, bytes(body)) for number, ack, body in messages]


# ── What scripts cannot say ─────────────────────────────────────────────────────────────────────────────


def test_the_newest_message_is_the_one_that_carries_what_was_pushed_last():
    link = Link()
    assert (link.newest, link.acknowledged) == (0, 0)
    link.push(b"one")
    assert link.newest == 1
    link.take(0.0)
    assert link.newest == 1
    link.push(b"two")
    assert link.newest == 2
    link.take(0.0)
    link.acknowledge(1)
    assert (link.newest, link.acknowledged) == (2, 1)


def test_a_frame_may_be_given_in_parts():
    link = Link()
    link.push(b"head", bytearray(b"er"), memoryview(b"payload"))
    assert messages_in(link.take(0)) == [(1, 0, b"headerpayload")]


def test_parts_of_a_frame_stay_in_one_message():
    link = Link()
    link.push(bytes(200_000))
    link.push(b"header", bytes(100_000))
    assert [len(body) for _, _, body in messages_in(link.take(0))] == [200_000, 100_006]


def test_a_message_that_waits_keeps_a_copy_of_its_own():
    link, buffer = Link(), bytearray(b"waits")
    link.receive(Message(2, 0, memoryview(buffer)), 0)
    buffer[:] = b"XXXXX"
    delivered = link.receive(Message(1, 0, memoryview(b"")), 0)
    assert [bytes(message.body) for message in delivered] == [b"", b"waits"]


def test_there_is_no_room_while_very_many_messages_are_under_way():
    link = Link()
    for _ in range(MESSAGES_UNDER_WAY - 1):
        send_one(link)
    assert link.room > 0
    send_one(link)
    assert link.room == 0
    link.acknowledge(1)
    assert link.room > 0


def test_too_many_messages_do_not_hide_that_there_are_too_many_bytes():
    link = Link(replay_limit=10)
    for _ in range(MESSAGES_UNDER_WAY):
        send_one(link)
    assert link.room == 10 - 21 * MESSAGES_UNDER_WAY


def test_as_many_messages_as_a_sender_has_room_for_may_come_in_reverse():
    link = Link()
    for number in range(MESSAGES_UNDER_WAY + 64, 1, -1):
        assert not link.receive(Message(number, 0, memoryview(b"x")), 0)
    assert len(link.receive(Message(1, 0, memoryview(b"x")), 0)) == MESSAGES_UNDER_WAY + 64
    assert link.buffered == 0


def send_one(link: Link) -> Sequence[bytes]:
    link.push(b"x")
    return link.take(0)


# ── Hostile carriers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("replay_limit", [3000, 20_000, REPLAY_LIMIT])
@pytest.mark.parametrize("seed", range(4))
def test_every_byte_arrives_once_and_in_order_whatever_carriers_do(seed, replay_limit):
    world = HostileWorld(Random(seed), replay_limit)
    for _ in range(3000):
        world.step()
    world.settle()
    assert_everything_arrived(world)
    assert all(len(end.pushed) > 100 for end in world.ends)


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(0, 150), st.booleans())
def test_every_byte_arrives_after_any_few_steps(chance, steps, by_exchanges):
    world = HostileWorld(chance, 3000)
    for _ in range(steps):
        world.step()
    if by_exchanges:
        world.settle_by_exchanges()
    else:
        world.settle()
    assert_everything_arrived(world)


def assert_everything_arrived(world: HostileWorld) -> None:
    for end, peer in (world.ends, world.ends[::-1]):
        assert end.delivered == peer.pushed
        assert end.link.buffered == 0
        assert not end.link.pending
