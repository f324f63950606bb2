from __future__ import annotations

import io
import json
import logging
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy.audit import ALL_LINES_BURST, LINES_BURST, Audit, Voice
from pynet_browser.proxy.door import Visitor
from pynet_browser.proxy.logs import FIELDS, VALUE_MAX, LogFormat, bounded, configure, logfmt


class Somebody:
    def __init__(self, token: str = "ada", origin: str | None = "https://a.example") -> None:
        self.name = "0123456789abcdef"
        self.token = token
        self.visitor = Visitor("192.0.2.1", origin, "http://127.0.0.1:8765")
        self.voice = Voice()


@pytest.fixture
def written(monkeypatch):
    """``written(form)`` has everything logged in that form; what it returns has the lines."""
    root, ours = logging.getLogger(), logging.getLogger("pynet_browser")
    audit = logging.getLogger("pynet_browser.audit")
    before = [(logger, logger.level) for logger in (root, ours, audit)], list(root.handlers)

    def start(form: LogFormat | None, **options) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        configure(form, verbose=options.get("verbose", False))
        return stream

    yield start
    for logger, level in before[0]:
        logger.setLevel(level)
    root.handlers[:] = before[1]


def test_pairs_are_plain_where_they_can_be_and_quoted_where_not():
    assert logfmt({"a": "x.y:1", "b": 2, "c": 0.25, "d": "two words", "e": ""}) == (
        'a=x.y:1 b=2 c=0.25 d="two words" e=""'
    )


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text()))
def test_whatever_stands_in_a_value_it_is_one_value_on_one_line(fields):
    line = logfmt(fields)
    assert line.isascii()
    assert line.isprintable()
    pairs = {}
    rest = line
    while rest:
        key, _, rest = rest.partition("=")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].removeprefix(" ")
        else:
            value, _, rest = rest.partition(" ")
        pairs[key] = value
    assert pairs == fields


def test_values_are_bounded():
    assert len(str(bounded("x" * 100_000))) == VALUE_MAX
    assert bounded("x" * VALUE_MAX) == "x" * VALUE_MAX
    assert bounded(12) == 12


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_hostile_name_cannot_forge_a_line(written, form):
    stream = written(form)
    forged = 'x\n{"event": "connect"}\r\x1b[31m\u2028event=connect decision=allowed\x00\u202e'
    Audit().decided(Somebody(origin=forged), "connect", "refused", target=forged, message="a" * 5000)
    [line] = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 2000
    if form == "json":
        assert json.loads(line)["target"] == forged
        assert json.loads(line)["decision"] == "refused"
    else:
        assert "decision=refused" in shlex.split(line)


def test_json_lines_have_stable_keys_and_text_lines_the_same(written):
    stream = written("json")
    audit = Audit()
    audit.decided(Somebody(), "connect", "allowed", protocol="tcp", target="db:1", address="10.0.0.1:1")
    logging.getLogger("pynet_browser.other").warning("a\nb %s", "c")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert list(first) == [
        *("time", "level", "logger", "event", "decision", "session", "token", "remote", "origin"),
        *("protocol", "target", "address"),
    ]
    assert (first["logger"], first["session"], first["token"]) == (
        "pynet_browser.audit",
        "0123456789abcdef",
        "ada",
    )
    assert (second["level"], second["message"]) == ("warning", "a\nb c")
    stream = written("text")
    audit.decided(Somebody(origin=None), "listen", "allowed", address="[::1]:80")
    who = "session=0123456789abcdef token=ada remote=192.0.2.1"
    assert stream.getvalue().endswith(f"event=listen decision=allowed {who} address=[::1]:80\n")


def test_a_traceback_is_in_its_line(written):
    stream = written("json")
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("pynet_browser").exception("it failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: a\nb" in json.loads(line)["traceback"]


def test_nothing_is_written_of_decisions_unless_that_is_asked_for(written):
    stream = written(None)
    audit = Audit()
    audit.refused(Somebody(), "connect", "*:25")
    assert stream.getvalue() == ""
    assert audit.refusals == {"*:25": 1}
    stream = written(None, verbose=True)
    audit.decided(Somebody(), "connect", "allowed")
    assert "event=connect decision=allowed" in stream.getvalue()


def test_nobody_fills_the_disk_and_what_is_left_out_is_told(written, monkeypatch):
    stream = written("json")
    now = [100.0]
    monkeypatch.setattr("pynet_browser.proxy.audit.time.monotonic", lambda: now[0])
    audit, loud, quiet = Audit(), Somebody(), Somebody()
    for _ in range(10_000):
        audit.decided(loud, "connect", "refused")
    audit.decided(quiet, "connect", "allowed")
    lines = stream.getvalue().splitlines()
    assert len(lines) == LINES_BURST + 1
    assert audit.suppressed == 10_000 - LINES_BURST
    now[0] += 10
    audit.decided(loud, "session", "ended")
    assert json.loads(stream.getvalue().splitlines()[-1])["suppressed"] == 10_000 - LINES_BURST
    assert audit.decisions["connect", "refused"] == 10_000


def test_many_together_do_not_fill_it_either(written, monkeypatch):
    stream = written("json")
    monkeypatch.setattr("pynet_browser.proxy.audit.time.monotonic", lambda: 100.0)
    audit = Audit()
    for _ in range(10_000):
        audit.decided(Somebody(), "session", "allowed")
    assert len(stream.getvalue().splitlines()) == ALL_LINES_BURST
    assert FIELDS not in stream.getvalue()
