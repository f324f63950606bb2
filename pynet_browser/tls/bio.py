"""``ssl.MemoryBIO``: bytes on their way between a program and a connection."""

from __future__ import annotations

from typing import Any

__all__ = ["MemoryBIO"]


class MemoryBIO:
    """A buffer with two ends, as ``ssl.MemoryBIO``."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._eof_written = False

    @property
    def pending(self) -> int:
        """How many bytes it holds."""
        return len(self._buffer)

    @property
    def eof(self) -> bool:
        """Whether it was emptied for good."""
        return self._eof_written and not self._buffer

    def read(self, size: Any = -1, /) -> bytes:
        """Take at most ``size`` bytes out, or all of them."""
        if not isinstance(size, int):
            raise TypeError(f"'{type(size).__name__}' object cannot be interpreted as an integer")
        if size < 0 or size >= len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]  # moves a pointer, not the rest
        return data

    def write(self, data: Any, /) -> int:
        """Put bytes in, and tell how many.

        Raises:
            ssl.SSLError: after ``write_eof``.
        """
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if self._eof_written:
                import ssl

                raise ssl.SSLError("cannot write() after write_eof()")
            self._buffer += view.cast("B") if view.nbytes else b""
            return view.nbytes

    def write_eof(self) -> None:
        """Nothing will follow."""
        self._eof_written = True
