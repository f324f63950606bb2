"""Reads tests/vectors, which JavaScript's tests read too (tests/js/vectors.js)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pynet_browser import frames
from pynet_browser.fields import Address
from pynet_browser.frames import Data, Datagram, Frame, Secured

ROOT = Path(__file__).parents[2]

FRAMES = {name.lower(): value for name, value in vars(frames).items() if isinstance(value, type)}


def vectors(name: str) -> dict[str, Any]:
    """One file of tests/vectors."""
    parsed: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text("utf-8"))
    return parsed


def by_name(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Arguments for ``pytest.mark.parametrize`` that call each case by its name."""
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}


def bytes_of(value: str | int | list[str]) -> bytes:
    """Bytes written as hex with spaces, as lines of it, or as a number of zero bytes."""
    if isinstance(value, int):
        return bytes(value)
    return bytes.fromhex(value if isinstance(value, str) else "".join(value))


def frame_of(fields: dict[str, Any]) -> Frame:
    """The frame that a JSON object describes."""
    values = {name: _value_of(value) for name, value in fields.items() if name != "type"}
    if "data" in values:
        values["data"] = bytes.fromhex(values["data"])
    frame: Frame = FRAMES[fields["type"]](**values)
    return frame


def _value_of(value: Any) -> Any:
    if isinstance(value, dict):
        return Address(**value)
    return tuple(map(_value_of, value)) if isinstance(value, list) else value


def plain(frame: Frame) -> Frame:
    """A frame that can be compared: its data copied out of the message it came in."""
    return (
        dataclasses.replace(frame, data=bytes(frame.data))
        if isinstance(frame, Data | Datagram | Secured)
        else frame
    )


def sizes_of(total: int, choose: Any) -> list[int]:
    """A way to cut ``total`` bytes into pieces; ``choose(low, high)`` picks each size."""
    sizes = []
    while total:
        sizes.append(choose(1, total))
        total -= sizes[-1]
    return sizes
