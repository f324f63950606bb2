"""The watch over a carrier against tests/vectors/keepalive.json."""

from __future__ import annotations

import pytest

from pynet_browser.keepalive import KeepAlive
from tests.unit.vectors import by_name, vectors


@pytest.mark.parametrize("script", **by_name(vectors("keepalive")["scripts"]))
def test_a_carrier_is_watched_as_the_vectors_say(script):
    watch = KeepAlive(script["interval"] / 1000, 0)
    for step in script["steps"]:
        match step:
            case {"call": "is", "deadline": deadline}:
                assert watch.deadline == pytest.approx(deadline / 1000)
            case {"call": "heard", "now": now}:
                watch.heard(now / 1000)
            case {"now": now, "gives": answer}:
                assert watch.tick(now / 1000) == answer, step


def test_a_carrier_without_keepalive_is_never_probed():
    watch = KeepAlive(float("inf"), 0)
    assert watch.tick(1e12) == "quiet"
