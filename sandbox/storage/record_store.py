"""Where a world keeps its records: packed, with what somebody holds or changed on top.

`shelf[key]` is for who may change what he gets: from then on that object is the record. `look`,
`all` and `found` are for reading only, and hold nothing.
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
    """Know no more than the key."""
    return 0


@dataclass(frozen=True)
class RecordFormat(Generic[Key, Value]):
    """How records are written as lines of JSON, and their keys as numbers (None: cannot be).

    A stamp is another number that is known of a record without unpacking it.
    """

    number: Callable[[Key], int | None]
    key: Callable[[int], Key]
    dump: Callable[[Value], bytes]
    load: Callable[[bytes], Value]
    stamp: Callable[[Value], int] = no_stamp


class RecordStore(MutableMapping[Key, Value]):
    """Records by key, in the order in which they came."""

    def __init__(self, form: RecordFormat[Key, Value]) -> None:
        """Start empty."""
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
        """Pack what is new: nobody holds it any longer."""
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
        """Give a record to hold."""
        if key in self._unpacked:
            return self._unpacked[key]
        if key in self._new:
            return self._new[key]
        place = self._place(key)
        if place is None:
            raise KeyError(key)
        return self._unpacked.setdefault(key, self._form.load(self._packed[place]))

    def __setitem__(self, key: Key, value: Value) -> None:
        """Put a record in place of what was there, or behind all others."""
        if key not in self._unpacked and self._place(key) is None:
            self._new[key] = value
        else:
            self._unpacked[key] = value

    def __delitem__(self, key: Key) -> None:
        """Take a record away."""
        if key not in self:
            raise KeyError(key)
        self._unpacked.pop(key, None)
        self._new.pop(key, None)
        self._deleted.add(key)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a record."""
        return key in self._unpacked or key in self._new or self._place(key) is not None  # type: ignore[arg-type]  # any object may be asked for

    def __len__(self) -> int:
        """Count the records."""
        gone = sum(self._packed_at(key) is not None for key in self._deleted)
        return len(self._packed) - gone + len(self._new)

    def __iter__(self) -> Iterator[Key]:
        """Go through the keys."""
        for number in self._numbers:
            key = self._form.key(number)
            if key not in self._deleted:
                yield key
        yield from list(self._new)

    def clear(self) -> None:
        """Take everything away."""
        self.__dict__ = RecordStore(self._form).__dict__

    def read(self, key: Key) -> Value | None:
        """Give a record to read; None where there is none."""
        value = self._unpacked.get(key)
        if value is None:
            value = self._new.get(key)
        if value is None and (place := self._place(key)) is not None:
            value = self._form.load(self._packed[place])
        return value

    def current(self, key: Key, seen: Value) -> Value | None:
        """Give what is there in place of a record seen earlier; None where it is gone."""
        value = self._unpacked.get(key) or self._new.get(key)
        return seen if value is None and key not in self._deleted else value

    def all(self) -> Iterator[Value]:
        """Go through the records to read them."""
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
        """Find records; the answer stays as it is, whatever is put in their places later.

        `among` says by the stamps which packed ones may pass the test; where `is_told`, they do.
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
        """Go through the records of which one of the `values`, called `name` here, is `wanted`."""
        for key in self._indexed(name, values, wanted):
            value = self.read(key)
            if value is not None and wanted in values(value):
                yield value

    def is_unpacked(self, key: Key) -> bool:
        """Tell whether a record is out of its package."""
        return key in self._unpacked or key in self._new

    def packed_columns(self) -> tuple[Numbers, Numbers]:
        """Give the numbers and stamps of all that was packed, by number."""
        numbers, stamps = np.array(self._numbers, np.int64), np.array(self._stamps, np.int64)
        order = np.argsort(numbers, kind="stable")
        return numbers[order], stamps[order]

    def unpacked_numbers(self) -> Numbers:
        """Give the numbers of what was packed and is now held, or gone."""
        return np.array([self._numbers[place] for place in self._unpacked_places()], np.int64)

    def unpacked(self) -> list[Value]:
        """Give the records that are out of their packages."""
        return [*self._unpacked.values(), *self._new.values()]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made when it is needed."""
        return self.__dict__ | {"_sorted": None, "_indexes": {}}

    def _unpacked_places(self) -> dict[int, Key]:
        """Tell which packed records are held or gone."""
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
        """Give the keys of what may have a value; the index is built when it is first needed."""
        if name not in self._indexes:
            places, hashes = array("q"), array("q")
            for place, line in enumerate(self._packed):
                for value in values(self._form.load(line)):
                    places.append(place)
                    hashes.append(hash(value))
            order = np.argsort(np.array(hashes, np.int64), kind="stable")
            index = np.array(hashes, np.int64)[order], np.array(places, np.int64)[order]
            self._indexes[name] = index
        known, at = self._indexes[name]
        start, stop = (int(np.searchsorted(known, hash(wanted), side)) for side in _SIDES)
        keys = (self._form.key(self._numbers[place]) for place in at[start:stop])
        return list(dict.fromkeys([*keys, *self._unpacked, *self._new]))


_SIDES: Any = ("left", "right")


class Matches(Sequence[Value]):
    """Records that were found, as they were then; unpacked while somebody looks."""

    def __init__(self, packed: RandomAccessLines, load: Callable[[bytes], Value]) -> None:
        """Start with none."""
        self._packed = packed
        self._load = load
        self._places = array("q")
        self._values: list[Value] = []

    def add(self, place: int) -> None:
        """Take in what is packed."""
        self._places.append(place)

    def add_unpacked(self, value: Value) -> None:
        """Take in what is not."""
        self._values.append(value)
        self._places.append(-len(self._values))

    def __len__(self) -> int:
        """Count them."""
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> list[Value]: ...
    def __getitem__(self, at: int | slice) -> Value | list[Value]:
        """Read one or several."""
        if isinstance(at, slice):
            return [self._read(place) for place in self._places[at]]
        return self._read(self._places[at])

    def sort(self, key: Callable[[Value], Any], *, reverse: bool) -> None:
        """Put them in order."""
        keys = [key(value) for value in self]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)
        self._places = self.select(order)._places

    def select(self, chosen: Iterable[int]) -> "Matches[Value]":
        """Give some of them."""
        part = Matches(self._packed, self._load)
        part._values, part._places = self._values, array("q", map(self._places.__getitem__, chosen))
        return part

    def slice(self, start: int, stop: int | None) -> None:
        """Keep a part."""
        self._places = self._places[start:stop]

    def _read(self, place: int) -> Value:
        return self._values[-place - 1] if place < 0 else self._load(self._packed[place])
