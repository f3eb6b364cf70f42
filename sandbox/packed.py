"""Lines of JSON in compressed blocks: a tenth of the memory that objects take."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import pyarrow as pa

_LINES: Final = {False: 8, True: 64}
"""Lines of a block, loosely and tightly packed: to read one is to unpack them all."""

_SIZE: Final = 4
_TIGHT: Final = 1 << 31
"""Marks the size of a block that is packed tightly."""

_CODECS: Final = {False: pa.Codec("lz4_raw"), True: pa.Codec("zstd")}


class Packed:
    """Lines that are added and never change, by their place.

    What is packed tightly takes less than half the memory, and is to be read in order.
    """

    def __init__(self, *, tight: bool = False) -> None:
        """Start empty."""
        self._tight = tight
        self._size = _LINES[tight]
        self._blocks: list[bytes] = []
        self._last: list[bytes] = []

    def __len__(self) -> int:
        """Count the lines."""
        return len(self._blocks) * self._size + len(self._last)

    def add(self, line: bytes) -> None:
        """Add a line, which holds no line break, as JSON holds none."""
        self._last.append(line)
        if len(self._last) == self._size:
            text = b"\n".join(self._last)
            size = len(text) | (_TIGHT if self._tight else 0)
            packed = _CODECS[self._tight].compress(text, asbytes=True)
            self._blocks.append(size.to_bytes(_SIZE) + packed)
            self._last = []

    def __getitem__(self, place: int) -> bytes:
        """Give the line at a place."""
        block, at = divmod(place, self._size)
        return _lines(self._blocks[block])[at] if block < len(self._blocks) else self._last[at]

    def __iter__(self) -> Iterator[bytes]:
        """Go through all lines in order."""
        for block in self._blocks:
            yield from _unpacked(block)
        yield from self._last


def _unpacked(block: bytes) -> list[bytes]:
    size = int.from_bytes(block[:_SIZE])
    codec = _CODECS[bool(size & _TIGHT)]
    text: bytes = codec.decompress(memoryview(block)[_SIZE:], size & ~_TIGHT, asbytes=True)
    return text.split(b"\n")


_lines: Final = lru_cache(maxsize=8192)(_unpacked)
