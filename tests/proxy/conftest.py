from __future__ import annotations

import asyncio

import pytest

try:
    import uvloop
except ImportError:  # the proxy does not require it, so neither do its tests
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(item: pytest.Item):
    """Tests run on asyncio's own loop, unless their mark asks for others.

    What depends on a loop's transports says ``pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])``.
    """
    mark = item.get_closest_marker("asyncio")
    if mark is not None and "loop_factories" in mark.kwargs:
        return LOOPS
    return {"asyncio": asyncio.new_event_loop}
