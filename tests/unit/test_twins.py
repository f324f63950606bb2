"""What Python and JavaScript must agree on beyond the vectors: the tables and the constants themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from pynet_browser import frames, keepalive, link, window, wire
from tests.unit.vectors import ROOT

DUMP = """
const answer = {};
for (const name of ["wire", "link", "window"]) {
  const exported = Object.entries(await import(`./js/${name}.js`));
  answer[name] = Object.fromEntries(exported.filter(([, value]) => typeof value === "number"));
}
const { LAYOUTS } = await import("./js/wire.js");
answer.layouts = Object.entries(LAYOUTS).map(([type, { kind, fields }]) => {
  return [type, kind, fields.map(([name]) => name)];
});
console.log(JSON.stringify(answer));
"""


@pytest.fixture(scope="module")
def javascript() -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the JavaScript half cannot be asked")
    command = [node, "--input-type=module", "--eval", DUMP]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_both_know_the_same_kinds_of_frames_with_the_same_fields(javascript):
    python = [
        [frame.__name__.lower(), kind, [name for name, _ in frame.LAYOUT]]
        for kind, frame in frames.FRAMES.items()
    ]
    assert javascript["layouts"] == python


def test_both_use_the_same_sizes_and_limits(javascript):
    assert javascript["wire"] == {
        "VERSION": wire.VERSION,
        "MESSAGE_HEADER": wire.MESSAGE_HEADER.size,
        "FRAME_HEADER": wire.FRAME_HEADER.size,
        "MESSAGE_MAX": wire.MESSAGE_MAX,
    }
    assert javascript["link"] == {
        "MESSAGE_TARGET": link.MESSAGE_TARGET,
        "REPLAY_LIMIT": link.REPLAY_LIMIT,
        "MESSAGES_UNDER_WAY": link.MESSAGES_UNDER_WAY,
        "ACK_DELAY": link.ACK_DELAY * 1000,
    }
    assert javascript["window"] == {
        "WINDOW_INITIAL": window.WINDOW_INITIAL,
        "WINDOW_MAX": window.WINDOW_MAX,
        "WINDOW_MIN": window.WINDOW_MIN,
    }


def test_each_python_module_of_the_core_has_its_javascript_twin():
    for module in (wire, link, window, keepalive):
        name = module.__name__.rpartition(".")[2]
        assert f"pynet_browser/{name}.py" in (ROOT / "js" / f"{name}.js").read_text("utf-8")
        assert f"js/{name}.js" in (module.__doc__ or "")
