"""docs/protocol.md says what the code does: its bytes, its tables and its numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from pynet_browser import fields, frames, link, window, wire
from pynet_browser.proxy.carriers import http, incoming
from tests.unit.vectors import ROOT, bytes_of, vectors

TEXT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```hex (.+)\n([^`]*)^```$", TEXT, re.MULTILINE)
DUMP = """
const [session, socket] = [await import("./js/session.js"), await import("./js/socket.js")];
console.log(JSON.stringify({ session: session.TRANSITIONS, socket: socket.TRANSITIONS }));
"""


def table(text: str) -> list[dict[str, str]]:
    """The rows of the first table in a text, by the titles of their columns."""
    lines = re.search(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert lines
    titles, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[0].splitlines()]
    return [dict(zip(titles, row, strict=True)) for row in rows]


def marked(name: str) -> list[dict[str, str]]:
    """The table between the comments ``<!-- name -->`` and ``<!-- end -->``."""
    return table(TEXT.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0])


def written(field: Any) -> str:
    """What the document calls a type of field."""
    names = {
        fields.U8: "u8",
        fields.U16: "u16",
        fields.U32: "u32",
        fields.U64: "u64",
        fields.TEXT: "text",
        fields.ADDRESS: "address",
        fields.TEXTS: "list of text",
        fields.REST: "bytes",
    }
    return names.get(field, "list of address")


def test_the_example_is_long_enough_to_learn_from():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(("name", "lines"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_bytes_of_an_example_are_those_of_the_vectors(name, lines):
    (case,) = [case for case in vectors("wire")["messages"] if case["name"] == name]
    assert bytes.fromhex(re.sub(";.*", "", lines)) == bytes_of(case["hex"])


def test_the_table_of_frames_is_the_one_in_the_code():
    documented = [
        (row["kind"], row["frame"], row["fields"]) for row in table(TEXT[TEXT.index("| kind | frame |") :])
    ]
    assert documented == [
        (
            f"0x{kind:02x}",
            frame.__name__.lower(),
            ", ".join(f"{name} {written(field)}" for name, field in frame.LAYOUT),
        )
        for kind, frame in frames.FRAMES.items()
    ]


def test_the_sizes_and_times_are_those_of_the_code():
    values = [int(re.match(r"\d+", row["value"])[0]) for row in marked("limits")]  # type: ignore[index]
    assert values == [
        wire.MESSAGE_HEADER.size,
        wire.FRAME_HEADER.size,
        wire.MESSAGE_MAX,
        link.MESSAGE_TARGET,
        incoming.GREETING_MAX,
        http.BODY_MAX,
        http.ANSWER_MAX,
        http.WAIT_MAX,
        http.TRANSFER_TIMEOUT,
        http.AT_ONCE_MAX,
        2**16 - 1,
        link.REPLAY_LIMIT,
        link.MESSAGES_UNDER_WAY,
        2 * link.MESSAGES_UNDER_WAY,
        link.ACK_DELAY * 1000,
        window.WINDOW_INITIAL,
        window.WINDOW_MAX,
    ]


@pytest.mark.parametrize("name", ["session", "socket"])
def test_the_table_of_states_is_the_one_in_the_code(name):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the JavaScript tables cannot be read")
    command = [node, "--input-type=module", "--eval", DUMP]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
    documented = {
        row["state"]: {event: state for event, state in row.items() if state and event != "state"}
        for row in marked(name)
    }
    assert documented == json.loads(done.stdout)[name]
