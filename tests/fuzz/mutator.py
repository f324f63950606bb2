"""Changes to valid messages, by chance that can be repeated. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["LONGEST", "Mutator", "mutated"]

LONGEST = 16 * 1024
"""What mutations may grow to. Beyond, JavaScript leaves long messages in pieces: see js/wire.js."""

EXTREMES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x100000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
WIDE = [0, 1, (1 << 53) - 1, 1 << 53, (1 << 63) - 1, (1 << 64) - 1]
CHANGES = [1, 1, 1, 2, 3, 6]
PIECES = [1, 1, 2, 4, 8, 16, 64, 1000]


def mutated(data: bytes, chance: Random, others: Sequence[bytes] = ()) -> bytes:
    """``data`` after a few changes; ``others`` are messages that parts are taken from."""
    changed = bytearray(data)
    for _ in range(chance.choice(CHANGES)):
        _change(changed, chance, others or (data,))
    return bytes(changed[:LONGEST])


def _change(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    size = chance.choice(PIECES)
    match chance.randrange(10):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice((0, 1, 2, 127, 128, 255, chance.randrange(256)))
        case 2:
            del data[at:]
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = chance.randbytes(min(size, 16))
        case 5:  # a part twice
            data[at:at] = data[at : at + size]
        case 6:  # a length that is not one
            width = chance.choice((1, 2, 4, 8))
            value = chance.choice(WIDE if width == 8 else EXTREMES)
            bits = value & ((1 << 8 * width) - 1)
            data[at : at + width] = bits.to_bytes(width, chance.choice(("big", "little")))
        case 7:  # a length that is nearly right
            if at + 2 <= len(data):
                near = int.from_bytes(data[at : at + 2]) + chance.choice((-2, -1, 1, 2))
                data[at : at + 2] = (near & 0xFFFF).to_bytes(2)
        case 8:  # the end of another
            other = chance.choice(others)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        case _:  # one behind the other
            data += chance.choice(others)


class Mutator:
    """An endless number of mutated messages, the same for the same seed.

    Args:
        corpus: messages to begin with.
        seed: of the chance.
    """

    def __init__(self, corpus: Sequence[bytes], seed: str) -> None:
        self.chance = Random(seed)
        self._corpus = list(corpus)

    def message(self) -> bytes:
        """The next one."""
        return mutated(self.chance.choice(self._corpus), self.chance, self._corpus)
