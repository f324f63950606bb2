"""A short run of ``make fuzz``, and proof that it finds what it looks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pynet_browser.errors import ProtocolError
from tests.fuzz import campaign
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutator import LONGEST, Mutator
from tests.fuzz.targets import TARGETS
from tests.fuzz.twin import Twin

SEED = 1
COUNT = 3000


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed, so that JavaScript's decoders cannot be asked")
    with Twin() as twin:
        yield twin


def planted(monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[[bytes, Any], Any]) -> None:
    """Have a decoder do wrong: ``fault`` is given the input, and what the decoder found in it."""
    target = TARGETS[name]
    wrong = replace(target, decode=lambda data: fault(data, target.decode(data)))
    monkeypatch.setitem(TARGETS, name, wrong)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_messages_are_taken_or_refused_and_leave_nothing_behind(name, twin):
    outcome = Campaign(name, SEED, twin).run(COUNT)
    assert outcome.failures == []
    assert outcome.inputs == COUNT
    assert outcome.accepted > COUNT // 50  # it is not all noise
    assert outcome.compared == (COUNT if TARGETS[name].twin else 0)


def test_an_exception_that_is_not_documented_is_found(monkeypatch):
    def fault(data: bytes, found: Any) -> Any:
        return found[3] if data[:1] == b"\0" else found

    planted(monkeypatch, "credentials", fault)
    outcome = Campaign("credentials", SEED).run(COUNT)
    assert any("IndexError" in failure for failure in outcome.failures)
    assert outcome.failures[0].startswith("credentials, 00")  # what it was is told


def test_what_does_not_come_to_an_end_is_found(monkeypatch):
    monkeypatch.setattr(campaign, "CPU_SECONDS", 0.05)

    def fault(_data: bytes, _found: Any) -> Any:
        while True:
            pass

    planted(monkeypatch, "payload", fault)
    outcome = Campaign("payload", SEED).run(1)
    assert ["HangError" in failure for failure in outcome.failures] == [True]


def test_memory_that_is_kept_is_found(monkeypatch):
    kept = []

    def fault(data: bytes, found: Any) -> Any:
        kept.append([data])
        return found

    planted(monkeypatch, "records", fault)
    outcome = Campaign("records", SEED).run(COUNT)
    assert ["memory grew" in failure for failure in outcome.failures] == [True]


def test_a_difference_between_the_languages_is_found(monkeypatch, twin):
    def fault(_data: bytes, found: Any) -> Any:
        if found[0] == "Close":
            raise ProtocolError("somebody thinks so")
        return [*found[:2], 80, *found[3:]] if found[0] == "Connect" else found

    planted(monkeypatch, "wisp", fault)
    failures = Campaign("wisp", SEED, twin).run(COUNT).failures
    assert any("Python has {'refused': ''}, JavaScript ['Close'" in failure for failure in failures)
    assert any("Python has ['Connect'" in failure for failure in failures)


def test_a_seed_repeats_its_inputs_and_another_gives_others():
    def inputs(seed: str) -> list[bytes]:
        mutator = Mutator(TARGETS["wire"].corpus, seed)
        return [mutator.message() for _ in range(200)]

    assert inputs("7") == inputs("7") != inputs("8")
    assert max(map(len, inputs("7"))) <= LONGEST
