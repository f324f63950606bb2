"""What the page's worker calls in Python: run a program, end it, and ask about the network."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import linecache
import sys
import traceback
from typing import Any

from pyodide.code import eval_code_async

PROGRAM = "program.py"

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)  # each line is shown when it is printed

_task: asyncio.Task[Any] | None = None  # runs the program


# ── The network ───────────────────────────────────────────────────────────────────────────────────────────


async def install(wheel: str) -> None:
    """Install the package, as anybody would."""
    import micropip

    await micropip.install(wheel)


async def connect(url: str, token: str) -> str:
    """Install the network; the answer is empty, or a sentence that says what failed."""
    import pynet_browser

    try:
        await pynet_browser.install(url, token=token)
    except (pynet_browser.PyNetError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def disconnect() -> None:
    """Take the network away; sockets that are open fail."""
    if network := sys.modules.get("pynet_browser"):
        network.uninstall()


def status() -> str:
    """``pynet_browser.status()`` as JSON, also while a program waits in a blocking call."""
    network = sys.modules.get("pynet_browser")
    return json.dumps(network.status().to_dict() if network else {"installed": False, "sockets": []})


# ── The program ───────────────────────────────────────────────────────────────────────────────────────────


async def run(source: str) -> str:
    """Run a program to its end; the answer is JSON.

    Its ``outcome`` is ``finished``, ``failed`` with a ``traceback``, ``exited`` with a ``code``, or
    ``stopped``.
    """
    global _task
    _task = task = asyncio.current_task()
    assert task is not None  # it is called from JavaScript, which makes a task of it
    linecache.cache[PROGRAM] = (len(source), None, source.splitlines(keepends=True), PROGRAM)
    answer = {"outcome": "finished"}
    try:
        await eval_code_async(source, {"__name__": "__main__"}, filename=PROGRAM, return_mode="none")
    except (KeyboardInterrupt, asyncio.CancelledError):
        answer = {"outcome": "stopped"}
    except SystemExit as leaving:
        answer = {"outcome": "exited", "code": str(leaving.code or 0)}
    except BaseException as error:  # noqa: BLE001  whatever it is, it is the program's
        answer = {"outcome": "failed", "traceback": users_traceback(error)}
    while task.cancelling():
        task.uncancel()
    for left_behind in asyncio.all_tasks() - {task}:  # as asyncio.run does
        left_behind.cancel()
    gc.collect()  # where a process ends, no socket stays open
    _task = None
    sys.stdout.flush()
    sys.stderr.flush()
    return json.dumps(answer)


def stop() -> bool:
    """Begin to end the program.

    Returns:
        Whether it waits inside a blocking call. Without the network that wait is over, and the program runs
        on into the interrupt that the caller then sends.
    """
    if _task is None:
        return False
    if getattr(_task, "_fut_waiter", None) is not None:  # it awaits something
        _task.cancel()
        return False
    disconnect()
    return True


def users_traceback(error: BaseException) -> str:
    """The traceback without the frames of libraries and of the page."""
    described = traceback.TracebackException.from_exception(error)
    keep_users_frames(described)
    return "".join(described.format())


def keep_users_frames(described: traceback.TracebackException) -> None:
    """Drop all other frames, and causes that lie wholly within libraries."""
    described.stack = traceback.StackSummary.from_list(
        [frame for frame in described.stack if frame.filename == PROGRAM]
    )
    for link in ("__cause__", "__context__"):
        if before := getattr(described, link):
            keep_users_frames(before)
            if not before.stack:
                setattr(described, link, None)
