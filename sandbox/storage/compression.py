"""Compressed lines of JSON: a tenth of the memory of Python objects."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import accumulate
from struct import Struct, pack
from typing import ClassVar, Final

import lz4.block
import pyarrow as pa

_SAMPLE: Final = 1 << 14
"""Size of the compression dictionary: the first lines, which resemble all others."""

_PACKED: Final = b"\0"
"""First byte of a compressed line: JSON never starts with it."""

_BOUNDS: Final = Struct("<II")
_ZSTD: Final = pa.Codec("zstd")


class Lines(ABC):
    """Append-only lines by index; full blocks are compressed."""

    _SIZE: ClassVar[int]

    def __init__(self) -> None:
        """Start without content."""
        self._blocks: list[bytes] = []
        self._last: list[bytes] = []

    def __len__(self) -> int:
        """Count the lines."""
        return len(self._blocks) * self._SIZE + len(self._last)

    def add(self, line: bytes) -> None:
        """Add a line without a line break."""
        self._last.append(line)
        if len(self._last) == self._SIZE:
            self._blocks.append(self._pack(self._last))
            self._last = []

    def __getitem__(self, place: int) -> bytes:
        """Return the line at an index."""
        at, line = divmod(place, self._SIZE)
        return self._last[line] if at == len(self._blocks) else self._unpack(at, line)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over all lines in order."""
        return map(self.__getitem__, range(len(self)))

    @abstractmethod
    def _pack(self, lines: list[bytes]) -> bytes: ...

    @abstractmethod
    def _unpack(self, at: int, line: int) -> bytes: ...


class RandomAccessLines(Lines):
    """Lines that are compressed one by one, to be read in any order."""

    _SIZE = 256

    def __init__(self) -> None:
        """Start without content."""
        super().__init__()
        self._sample = b""

    def _pack(self, lines: list[bytes]) -> bytes:
        """Write the offsets of the lines, and then the lines."""
        self._sample = self._sample or b"".join(lines)[:_SAMPLE]
        alone = [self._compress(line) for line in lines]
        bounds = accumulate(map(len, alone), initial=4 * (self._SIZE + 1))
        return pack(f"<{self._SIZE + 1}I", *bounds) + b"".join(alone)

    def _compress(self, line: bytes) -> bytes:
        packed: bytes = _PACKED + lz4.block.compress(line, dict=self._sample)
        return min(packed, line, key=len)

    def _unpack(self, at: int, line: int) -> bytes:
        block = self._blocks[at]
        begin, end = _BOUNDS.unpack_from(block, 4 * line)
        alone = block[begin:end]
        if not alone.startswith(_PACKED):
            return alone
        unpacked: bytes = lz4.block.decompress(memoryview(alone)[1:], dict=self._sample)
        return unpacked


class SequentialLines(Lines):
    """Lines that are compressed in blocks, in half the memory, to be read in order."""

    _SIZE = 64

    def __init__(self) -> None:
        """Start without content."""
        super().__init__()
        self._seen: tuple[int, list[bytes]] = -1, []

    def _pack(self, lines: list[bytes]) -> bytes:
        text = b"\n".join(lines)
        packed: bytes = _ZSTD.compress(text, asbytes=True)
        return pack("<I", len(text)) + packed

    def _unpack(self, at: int, line: int) -> bytes:
        block = self._seen
        if block[0] != at:
            packed = memoryview(self._blocks[at])
            size = int.from_bytes(packed[:4], "little")
            text: bytes = _ZSTD.decompress(packed[4:], size, asbytes=True)
            block = self._seen = at, text.split(b"\n")
        return block[1][line]
