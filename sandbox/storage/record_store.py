"""The records of an object: compressed, and changed records as ordinary objects.

`store[key]` returns a record that the caller may change; the store keeps that object from then on.
`read`, `all` and `filter` return records for reading only, and keep nothing uncompressed.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from sandbox.storage.compression import RandomAccessLines

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Numbers = npt.NDArray[np.int64]


def no_stamp(_value: Any) -> int:
    """Return 0: the records have no stamp."""
    return 0


@dataclass(frozen=True)
class RecordFormat(Generic[Key, Value]):
    """How records become lines of JSON, and keys become numbers (None: no number).

    A stamp is another number of a record that can be read without decompressing it.
    """

    number: Callable[[Key], int | None]
    key: Callable[[int], Key]
    dump: Callable[[Value], bytes]
    load: Callable[[bytes], Value]
    stamp: Callable[[Value], int] = no_stamp


class RecordStore(MutableMapping[Key, Value]):
    """Records by key, in the order of insertion."""

    def __init__(self, form: RecordFormat[Key, Value]) -> None:
        """Start without content."""
        self._form = form
        self._packed = RandomAccessLines()
        self._numbers = array("q")
        self._stamps = array("q")
        self._sorted: tuple[array[int], Numbers | None] | None = None
        self._indexes: dict[str, tuple[Numbers, Numbers]] = {}
        self._unpacked: dict[Key, Value] = {}
        self._new: dict[Key, Value] = {}
        self._deleted: set[Key] = set()

    def pack(self) -> None:
        """Compress new records; objects that callers hold are no longer the records."""
        for key, value in self._new.items():
            number = self._form.number(key)
            if number is None:
                raise ValueError(f"{key!r} has no number")
            self._packed.add(self._form.dump(value))
            self._numbers.append(number)
            self._stamps.append(self._form.stamp(value))
        self._new.clear()
        self._sorted = None
        self._indexes.clear()

    def __getitem__(self, key: Key) -> Value:
        """Return a record that the caller may change."""
        if key in self._unpacked:
            return self._unpacked[key]
        if key in self._new:
            return self._new[key]
        place = self._place(key)
        if place is None:
            raise KeyError(key)
        return self._unpacked.setdefault(key, self._form.load(self._packed[place]))

    def __setitem__(self, key: Key, value: Value) -> None:
        """Replace a record, or add a new one at the end."""
        if key not in self._unpacked and self._place(key) is None:
            self._new[key] = value
        else:
            self._unpacked[key] = value

    def __delitem__(self, key: Key) -> None:
        """Delete a record."""
        if key not in self:
            raise KeyError(key)
        self._unpacked.pop(key, None)
        self._new.pop(key, None)
        self._deleted.add(key)

    def __contains__(self, key: object) -> bool:
        """Return whether the key exists."""
        return key in self._unpacked or key in self._new or self._place(key) is not None  # type: ignore[arg-type]  # any object may be asked for

    def __len__(self) -> int:
        """Count the records."""
        deleted = sum(self._packed_at(key) is not None for key in self._deleted)
        return len(self._packed) - deleted + len(self._new)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys."""
        for number in self._numbers:
            key = self._form.key(number)
            if key not in self._deleted:
                yield key
        yield from list(self._new)

    def clear(self) -> None:
        """Delete all records."""
        self.__dict__ = RecordStore(self._form).__dict__

    def read(self, key: Key) -> Value | None:
        """Return a record for reading only, or None."""
        value = self._unpacked.get(key)
        if value is None:
            value = self._new.get(key)
        if value is None and (place := self._place(key)) is not None:
            value = self._form.load(self._packed[place])
        return value

    def current(self, key: Key, earlier: Value) -> Value | None:
        """Return the current version of a record read earlier; None if it is deleted."""
        value = self._unpacked.get(key) or self._new.get(key)
        return earlier if value is None and key not in self._deleted else value

    def all(self) -> Iterator[Value]:
        """Iterate over the records for reading only."""
        out = self._unpacked_places()
        for place, line in enumerate(self._packed):
            if place not in out:
                yield self._form.load(line)
            elif out[place] in self._unpacked:
                yield self._unpacked[out[place]]
        yield from list(self._new.values())

    def filter(
        self,
        test: Callable[[Value], bool],
        among: Callable[[Numbers], Any] = np.ones_like,
        *,
        index_is_exact: bool = False,
    ) -> "Matches[Value]":
        """Return the matching records; later changes do not affect the result.

        `among` selects by their stamps the compressed records that can match. With
        `index_is_exact` all of them do, and `test` is not called for them.
        """
        found: Matches[Value] = Matches(self._packed, self._form.load)
        out = self._unpacked_places()
        there = np.array(among(np.array(self._stamps, np.int64)), bool)
        there[list(out)] = True
        for place in np.flatnonzero(there).tolist():
            if place in out:
                if out[place] in self._unpacked and test(self._unpacked[out[place]]):
                    found.add_unpacked(self._unpacked[out[place]])
            elif index_is_exact or test(self._form.load(self._packed[place])):
                found.add(place)
        for value in list(self._new.values()):
            if test(value):
                found.add_unpacked(value)
        return found

    def find_by(
        self, name: str, values: Callable[[Value], Iterable[Hashable]], wanted: Hashable
    ) -> Iterator[Value]:
        """Iterate over the records with `wanted` among their `values`; `name` names the index."""
        for key in self._indexed(name, values, wanted):
            value = self.read(key)
            if value is not None and wanted in values(value):
                yield value

    def is_unpacked(self, key: Key) -> bool:
        """Return whether a record is an uncompressed object."""
        return key in self._unpacked or key in self._new

    def packed_columns(self) -> tuple[Numbers, Numbers]:
        """Return numbers and stamps of all compressed records, by number."""
        numbers, stamps = np.array(self._numbers, np.int64), np.array(self._stamps, np.int64)
        order = np.argsort(numbers, kind="stable")
        return numbers[order], stamps[order]

    def unpacked_numbers(self) -> Numbers:
        """Return the numbers of compressed records that are now uncompressed or deleted."""
        return np.array([self._numbers[place] for place in self._unpacked_places()], np.int64)

    def unpacked(self) -> list[Value]:
        """Return the uncompressed records."""
        return [*self._unpacked.values(), *self._new.values()]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the indexes, which are built on demand."""
        return self.__dict__ | {"_sorted": None, "_indexes": {}}

    def _unpacked_places(self) -> dict[int, Key]:
        """Return the places of compressed records that are now uncompressed or deleted."""
        places = ((self._packed_at(key), key) for key in (*self._unpacked, *self._deleted))
        return {place: key for place, key in places if place is not None}

    def _place(self, key: Key) -> int | None:
        return None if key in self._deleted else self._packed_at(key)

    def _packed_at(self, key: Key) -> int | None:
        number = self._form.number(key)
        if number is None or not self._numbers:
            return None
        numbers, places = self._sorted or self._sort()
        at = bisect_left(numbers, number)
        if at == len(numbers) or numbers[at] != number:
            return None
        return at if places is None else int(places[at])

    def _sort(self) -> "tuple[array[int], Numbers | None]":
        numbers = np.array(self._numbers, np.int64)
        if np.all(numbers[1:] > numbers[:-1]):
            self._sorted = self._numbers, None
        else:
            places = np.argsort(numbers)
            self._sorted = array("q", numbers[places].tobytes()), places
        return self._sorted

    def _indexed(
        self, name: str, values: Callable[[Value], Iterable[Hashable]], wanted: Hashable
    ) -> list[Key]:
        """Return the keys of records that may have a value; the index is built on first use."""
        if name not in self._indexes:
            places, hashes = array("q"), array("q")
            for place, line in enumerate(self._packed):
                for value in values(self._form.load(line)):
                    places.append(place)
                    hashes.append(hash(value))
            order = np.argsort(np.array(hashes, np.int64), kind="stable")
            index = np.array(hashes, np.int64)[order], np.array(places, np.int64)[order]
            self._indexes[name] = index
        value_hashes, at = self._indexes[name]
        start, stop = (int(np.searchsorted(value_hashes, hash(wanted), side)) for side in _SIDES)
        keys = (self._form.key(self._numbers[place]) for place in at[start:stop])
        return list(dict.fromkeys([*keys, *self._unpacked, *self._new]))


_SIDES: Any = ("left", "right")


class Matches(Sequence[Value]):
    """The result of `filter`: records at that time, decompressed while they are read."""

    def __init__(self, packed: RandomAccessLines, load: Callable[[bytes], Value]) -> None:
        """Start empty."""
        self._packed = packed
        self._load = load
        self._places = array("q")
        self._values: list[Value] = []

    def add(self, place: int) -> None:
        """Add a compressed record."""
        self._places.append(place)

    def add_unpacked(self, value: Value) -> None:
        """Add an uncompressed record."""
        self._values.append(value)
        self._places.append(-len(self._values))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> list[Value]: ...
    def __getitem__(self, at: int | slice) -> Value | list[Value]:
        """Return one or several records."""
        if isinstance(at, slice):
            return [self._read(place) for place in self._places[at]]
        return self._read(self._places[at])

    def sort(self, key: Callable[[Value], Any], *, reverse: bool) -> None:
        """Sort the records."""
        keys = [key(value) for value in self]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)
        self._places = self.select(order)._places

    def select(self, chosen: Iterable[int]) -> "Matches[Value]":
        """Return some of the records."""
        part = Matches(self._packed, self._load)
        part._values, part._places = self._values, array("q", map(self._places.__getitem__, chosen))
        return part

    def slice(self, start: int, stop: int | None) -> None:
        """Keep the records of a range."""
        self._places = self._places[start:stop]

    def _read(self, place: int) -> Value:
        return self._values[-place - 1] if place < 0 else self._load(self._packed[place])
