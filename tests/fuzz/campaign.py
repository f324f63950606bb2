"""Many mutated messages for one decoder, and what was wrong with what it made of them."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import REFUSED, TARGETS, Target
from tests.fuzz.twin import Twin

__all__ = ["Campaign", "Outcome"]

CPU_SECONDS = 2.0
"""Processor time that one input may take: thousands of times what any needs."""

BATCH = 500
TOLD = 10
BLOCKS_MAX = 2000
"""Blocks of memory more that Python may have after the second half of the inputs than before it."""

HEAP_MAX = 3 << 20
"""The same for JavaScript, in bytes: its own caches and compiled code are in it."""


class HangError(Exception):
    """An input took too much processor time."""


@dataclass
class Outcome:
    """What a campaign has found.

    Attributes:
        inputs: how many there were.
        accepted: how many of them the decoder took.
        compared: how many both languages were given.
        blocks: by how many blocks Python's memory has grown in the second half.
        heap: by how many bytes JavaScript's.
        seconds: how long it took.
        failures: what was wrong, with the input in hex.
    """

    inputs: int = 0
    accepted: int = 0
    compared: int = 0
    blocks: int = 0
    heap: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class Campaign:
    """One decoder's.

    Args:
        name: of the target.
        seed: what the inputs follow from.
        twin: JavaScript, where it has the decoder.
    """

    def __init__(self, name: str, seed: int, twin: Twin | None = None) -> None:
        self._name = name
        self._target: Target = TARGETS[name]
        self._mutator = Mutator(self._target.corpus, f"{seed} {name}")
        self._twin = twin if self._target.twin else None
        self.outcome = Outcome()

    def run(self, count: int, progress: Callable[[Outcome], None] = lambda _: None) -> Outcome:
        """So many inputs; tells how it goes after each batch."""
        outcome, start = self.outcome, time.monotonic()
        half: tuple[int, int] | None = None
        while outcome.inputs < count and len(outcome.failures) < TOLD:
            if half is None and outcome.inputs >= count // 2:
                half = self._memory()
            self._batch(min(BATCH, count - outcome.inputs))
            outcome.seconds = time.monotonic() - start
            progress(outcome)
        if half is not None:
            outcome.blocks, outcome.heap = (
                now - before for now, before in zip(self._memory(), half, strict=True)
            )
            if outcome.blocks > BLOCKS_MAX or outcome.heap > HEAP_MAX:
                outcome.failures.append(f"memory grew by {outcome.blocks} blocks, {outcome.heap} bytes")
        return outcome

    def _batch(self, size: int) -> None:
        inputs = [self._target.prepare(self._mutator.message()) for _ in range(size)]
        found = [self._decoded(each) for each in inputs]
        self.outcome.inputs += size
        if self._twin:
            self.outcome.compared += size
            theirs = self._twin.decode(self._name, inputs)
            for data, ours, other in zip(inputs, found, theirs, strict=False):
                self._compare(data, ours, other)

    def _decoded(self, data: bytes) -> Any:
        try:
            with processor_time(CPU_SECONDS):
                value = self._target.decode(data)
        except self._target.allowed:
            return {REFUSED: ""}
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            self._failed(data, f"{type(error).__name__}: {error}")
            return None
        self.outcome.accepted += not (isinstance(value, list) and value[:1] == [REFUSED])
        return value

    def _compare(self, data: bytes, ours: Any, theirs: Any) -> None:
        if isinstance(theirs, dict) and "failed" in theirs:
            self._failed(data, f"JavaScript: {theirs['failed']}")
        elif isinstance(theirs, dict) and REFUSED in theirs:
            if ours != {REFUSED: ""}:
                self._failed(data, f"JavaScript refuses ({theirs[REFUSED]}) what Python takes as {ours}")
        elif ours != theirs:
            self._failed(data, f"Python has {ours}, JavaScript {theirs}")

    def _failed(self, data: bytes, what: str) -> None:
        self.outcome.failures.append(f"{self._name}, {data.hex()}: {what}"[:3000])

    def _memory(self) -> tuple[int, int]:
        gc.collect()
        return sys.getallocatedblocks(), self._twin.memory() if self._twin else 0


@contextlib.contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Bounds what the block may use, however busy the machine is.

    Raises:
        HangError: it uses more.
    """
    before = signal.signal(signal.SIGVTALRM, _hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _hang(*_: object) -> None:
    raise HangError
