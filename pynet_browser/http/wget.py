"""Downloads, to files and into memory; Emscripten's ``wget`` family for Python."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar, Unpack
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from pynet_browser.http.fetching import FetchOptions, fetch, fetch_sync
from pynet_browser.http.progress import ProgressBar, shown_here
from pynet_browser.http.response import Response, SyncResponse

__all__ = ["Download", "async_wget", "async_wget_data", "wget", "wget_data"]

T = TypeVar("T")

UNNAMED = "index.html"


def wget(
    url: str, file: str | Path | None = None, *, progress: bool | None = None, **options: Unpack[FetchOptions]
) -> str:
    """Download to a file.

    The file has all of it or is not there: what was there before is replaced at the end. Directories are
    made.

    Args:
        url: what to download.
        file: where to; None for the last part of the address, in the current directory.
        progress: whether to show how far it is; None for where somebody looks: in a terminal or a notebook.
        **options: see ``fetch``.

    Returns:
        The file's path.

    Raises:
        urllib.error.HTTPError: the status is none of success.
        OSError: see ``fetch``; and what goes wrong with the file.
    """
    target = _target(url, file)
    with _Shown(target.name, progress, options) as shown, fetch_sync(url, **shown) as response:
        _check(url, response)
        _write(target, response)
    return str(target)


def wget_data(url: str, *, progress: bool | None = None, **options: Unpack[FetchOptions]) -> bytes:
    """Download into memory; see ``wget``."""
    with _Shown(_name(url), progress, options) as shown, fetch_sync(url, **shown) as response:
        _check(url, response)
        return response.bytes()


class Download(Generic[T]):
    """A download that has begun. Await it for its result, or let it call back."""

    def __init__(
        self,
        downloading: Coroutine[Any, Any, T],
        onload: Callable[[T], object] | None,
        onerror: Callable[[Exception], object] | None,
    ) -> None:
        self._task = asyncio.ensure_future(downloading)
        self._onload = onload
        self._onerror = onerror
        self._task.add_done_callback(self._done)

    def abort(self) -> None:
        """Break it off. No callback is called, and no file appears; awaiting it raises CancelledError."""
        self._task.cancel()

    def _done(self, task: asyncio.Future[T]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            if self._onload:
                self._onload(task.result())
        elif self._onerror and isinstance(error, Exception):
            self._onerror(error)

    def __await__(self) -> Generator[Any, Any, T]:
        return self._task.__await__()


def async_wget(
    url: str,
    file: str | Path | None = None,
    *,
    onload: Callable[[str], object] | None = None,
    onerror: Callable[[Exception], object] | None = None,
    onprogress: Callable[[int, int | None], object] | None = None,
    **options: Unpack[FetchOptions],
) -> Download[str]:
    """Begin to download to a file; see ``wget``.

    Args:
        url: what to download.
        file: where to.
        onload: called with the path.
        onerror: called with what ``wget`` would raise.
        onprogress: called with bytes that have come, and how many there are or None.
        **options: see ``fetch``; ``method`` and ``body`` among them.
    """

    async def downloading() -> str:
        target = _target(url, file)
        async with await fetch(url, **_watched(options, onprogress)) as response:
            _check(url, response)
            with _Arriving(target) as arriving:
                async for piece in response:
                    arriving.write(piece)
        return str(target)

    return Download(downloading(), onload, onerror)


def async_wget_data(
    url: str,
    *,
    onload: Callable[[bytes], object] | None = None,
    onerror: Callable[[Exception], object] | None = None,
    onprogress: Callable[[int, int | None], object] | None = None,
    **options: Unpack[FetchOptions],
) -> Download[bytes]:
    """Begin to download into memory; see ``async_wget``. ``onload`` is called with the bytes."""

    async def downloading() -> bytes:
        async with await fetch(url, **_watched(options, onprogress)) as response:
            _check(url, response)
            return await response.bytes()

    return Download(downloading(), onload, onerror)


# ── Within ────────────────────────────────────────────────────────────────────────────────────────────────


class _Shown:
    """The options of a download, and its line of progress while it is under way."""

    def __init__(self, name: str, wanted: bool | None, options: FetchOptions) -> None:
        self._options = options
        wanted = shown_here(sys.stderr) if wanted is None else wanted
        self._bar = ProgressBar(name) if wanted else None

    def __enter__(self) -> FetchOptions:
        return _watched(self._options, self._bar) if self._bar else self._options

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.close()


def _watched(options: FetchOptions, progress: Callable[[int, int | None], object] | None) -> FetchOptions:
    return {**options, "on_download": progress} if progress else options


class _Arriving:
    """A file that takes its name when it is whole."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(target.name + ".part")

    def __enter__(self) -> Any:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("wb")
        return self._file

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self._target)
        else:
            with suppress(OSError):
                self._part.unlink()


def _write(target: Path, response: SyncResponse) -> None:
    with _Arriving(target) as arriving:
        for piece in response:
            arriving.write(piece)


def _check(url: str, response: Response | SyncResponse) -> None:
    if not response.ok:
        raise HTTPError(response.url or url, response.status, response.reason, response.headers, None)


def _target(url: str, file: str | Path | None) -> Path:
    return Path(file if file is not None else _name(url))


def _name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name or UNNAMED
