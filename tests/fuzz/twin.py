"""JavaScript's decoders, asked through a pipe."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Self

from tests.unit.vectors import ROOT

__all__ = ["Twin", "TwinError"]

PROGRAM = "tests/js/fuzzed.js"


class TwinError(Exception):
    """JavaScript's process is gone, or a decoder does not come to an end."""


class Twin:
    """A Node process with the decoders of js/; used with ``with``."""

    def __init__(self) -> None:
        self._node = shutil.which("node") or "node"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._node, "--expose-gc", PROGRAM],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def decode(self, target: str, inputs: Sequence[bytes]) -> list[Any]:
        """What it finds in each; ``{"refused": …}`` for its own refusal, ``{"failed": …}`` for all else.

        Raises:
            TwinError: see there.
        """
        self._say({"target": target, "inputs": [each.hex() for each in inputs]})
        answers: list[Any] = self._hear()
        return answers

    def memory(self) -> int:
        """Bytes of its heap that are in use after a collection."""
        self._say({"target": "", "inputs": []})
        used: int = self._hear()
        return used

    def _say(self, question: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise TwinError(f"{PROGRAM} has ended")
        return json.loads(line)
