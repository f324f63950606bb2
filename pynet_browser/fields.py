"""The fields that frames are made of, to and from bytes. Pure.

A field has ``write(value)``, which raises ValueError for what does not fit, and ``read(reader)``, which
raises ProtocolError. All integers are big-endian. Every length is compared with what is there before it is
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from pynet_browser.errors import ProtocolError

__all__ = [
    "ADDRESS",
    "REST",
    "SAFE_INTEGER_MAX",
    "TEXT",
    "TEXTS",
    "U8",
    "U16",
    "U32",
    "U64",
    "Address",
    "Buffer",
    "ListOf",
    "Reader",
]

SAFE_INTEGER_MAX = (1 << 53) - 1
"""Largest u64 value allowed: what a JavaScript number holds exactly."""

Buffer: TypeAlias = bytes | bytearray | memoryview


ADDRESS_FAMILIES = (4, 6)


class Address(NamedTuple):
    """An IP address and port. ``family`` is 4 or 6; ``host`` is numeric."""

    family: int
    host: str
    port: int


class Reader:
    """Reads fields one after another out of a frame's payload, never past its end."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self._payload) - self._at

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes.

        Raises:
            ProtocolError: there are not so many.
        """
        end = self._at + size
        if size > self.left:
            raise ProtocolError(f"frame payload ends early: {size} bytes wanted, {self.left} left")
        piece = self._payload[self._at : end]
        self._at = end
        return piece


class _Integer:
    def __init__(self, size: int) -> None:
        self._size = size
        self._max = min((1 << 8 * size) - 1, SAFE_INTEGER_MAX)

    def write(self, value: int) -> bytes:
        if not 0 <= value <= self._max:
            raise ValueError(f"{value} does not fit {self._size} bytes")
        return value.to_bytes(self._size, "big")

    def read(self, reader: Reader) -> int:
        value = int.from_bytes(reader.take(self._size), "big")
        if value > self._max:
            raise ProtocolError(f"integer {value} is beyond 2^53 - 1")
        return value


U8, U16, U32, U64 = (_Integer(size) for size in (1, 2, 4, 8))


class _Text:
    """UTF-8 behind a u16 length in bytes."""

    def write(self, value: str) -> bytes:
        data = value.encode()
        return U16.write(len(data)) + data

    def read(self, reader: Reader) -> str:
        try:
            return str(reader.take(U16.read(reader)), "utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"text is not UTF-8: {error}") from error


class _AddressField:
    def write(self, value: Address) -> bytes:
        if value.family not in ADDRESS_FAMILIES:
            raise ValueError(f"address family {value.family} is neither 4 nor 6")
        return U8.write(value.family) + U16.write(value.port) + TEXT.write(value.host)

    def read(self, reader: Reader) -> Address:
        family, port, host = U8.read(reader), U16.read(reader), TEXT.read(reader)
        if family not in ADDRESS_FAMILIES:
            raise ProtocolError(f"address family {family} is neither 4 nor 6")
        return Address(family, host, port)


class ListOf:
    """Items behind a u16 count."""

    def __init__(self, item: Any) -> None:
        self._item = item

    def write(self, value: Sequence[Any]) -> bytes:
        """The bytes of a list."""
        return U16.write(len(value)) + b"".join(self._item.write(item) for item in value)

    def read(self, reader: Reader) -> tuple[Any, ...]:
        """The list whose bytes come next."""
        return tuple(self._item.read(reader) for _ in range(U16.read(reader)))


class _Rest:
    """Bytes up to the end of the payload; nothing can follow them."""

    def write(self, value: Buffer) -> Buffer:
        return value

    def read(self, reader: Reader) -> memoryview:
        return reader.take(reader.left)


TEXT = _Text()
ADDRESS = _AddressField()
TEXTS = ListOf(TEXT)
REST = _Rest()
