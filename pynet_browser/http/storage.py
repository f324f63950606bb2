"""Bytes by key that outlast the page, in the browser's IndexedDB: Emscripten's ``idb`` family for Python."""

from __future__ import annotations

import errno
from typing import Any, cast

from pynet_browser.http.waiting import finished, settled
from pynet_browser.runtime import page_side, to_page

__all__ = ["Storage"]


class Storage:
    """A store of this page's origin; every page and worker of the origin sees the same.

    Every method has a twin for code that cannot await, which ends in ``_sync``; it needs a place where Python
    can be suspended.

    Args:
        name: of the database.
    """

    def __init__(self, name: str = "pynet-browser") -> None:
        self._js = page_side().openStore(name)

    async def load(self, key: str) -> bytes:
        """What is kept by a key.

        Raises:
            KeyError: nothing is.
            OSError: the browser does not let this page keep anything.
        """
        return (await self.load_described(key))[1]

    async def load_described(self, key: str) -> tuple[str, bytes]:
        """The same, with the words that were kept with it."""
        kept = _checked(await settled(self._js.load(key)))
        if kept is None:
            raise KeyError(key)
        return str(kept.about), bytes(kept.body.to_bytes())

    async def store(self, key: str, data: bytes, about: str = "") -> None:
        """Keep this, in place of what was kept by the key before.

        Raises:
            OSError: ``ENOSPC`` if there is no room for it.
        """
        _checked(await settled(self._js.store(key, about, to_page(data))))

    async def delete(self, key: str) -> None:
        """Keep nothing by this key; that nothing was kept is no error."""
        _checked(await settled(self._js.remove(key)))

    async def exists(self, key: str) -> bool:
        """Whether something is kept by a key."""
        return bool(_checked(await settled(self._js.count(key))))

    async def keys(self) -> list[str]:
        """All keys, in order."""
        return cast(list[str], _checked(await settled(self._js.keys())).to_py())

    async def clear(self) -> None:
        """Keep nothing at all."""
        _checked(await settled(self._js.clear()))

    def load_sync(self, key: str) -> bytes:
        """See ``load``."""
        return finished(self.load(key))

    def store_sync(self, key: str, data: bytes, about: str = "") -> None:
        """See ``store``."""
        finished(self.store(key, data, about))

    def delete_sync(self, key: str) -> None:
        """See ``delete``."""
        finished(self.delete(key))

    def exists_sync(self, key: str) -> bool:
        """See ``exists``."""
        return finished(self.exists(key))

    def keys_sync(self) -> list[str]:
        """See ``keys``."""
        return finished(self.keys())

    def clear_sync(self) -> None:
        """See ``clear``."""
        finished(self.clear())


def _checked(answer: Any) -> Any:
    failure = getattr(answer, "error", None)
    if isinstance(failure, str):
        raise OSError(errno.ENOSPC if failure == "full" else errno.EIO, str(answer.message))
    return answer
