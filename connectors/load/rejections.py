"""The rejections of a run, and how a rejected batch is split to find the record that causes it."""

from itertools import pairwise
from threading import RLock

from errors import RejectedError
from models import RecordChange

Batch = list[RecordChange]


class Rejections:
    """What a CRM rejected once in this run and would reject again.

    The thread that searches the cause of a rejected batch holds `lock`; the other threads then find
    the cause here and do not search.
    """

    def __init__(self, field_codes: frozenset[str], value_codes: frozenset[str]) -> None:
        """Start empty; the codes are those that reject a field, or a value, on any record."""
        self._field_codes = field_codes
        self._value_codes = value_codes
        self._fields: dict[tuple[str, str], RejectedError] = {}
        self._values: dict[tuple[str, str, str | None], RejectedError] = {}
        self.lock = RLock()

    def match(self, change: RecordChange) -> RejectedError | None:
        """Return the known rejection that a change would meet, or None."""
        for field in change.fields:
            by_value = self._values.get((change.object, field.field, field.after))
            if error := self._fields.get((change.object, field.field)) or by_value:
                return error
        return None

    def add(self, changes: Batch, error: RejectedError) -> bool:
        """Store what a rejection means for other records; return False where it means nothing."""
        name, object = error.field, changes[0].object
        values = {_value(change, name) for change in changes if _writes(change, name)}
        if name is None or not values:
            return False
        if error.code in self._field_codes:
            self._fields[object, name] = error
        elif error.code in self._value_codes and len(values) == 1:
            self._values[object, name, values.pop()] = error
        else:
            return False
        return True


def split_batch(changes: Batch, field: str | None) -> tuple[Batch, Batch]:
    """Split a rejected batch: first by who writes the field, then between different values."""
    without_field = [change for change in changes if not _writes(change, field)]
    if 0 < len(without_field) < len(changes):
        return without_field, [change for change in changes if _writes(change, field)]
    ordered = sorted(changes, key=lambda change: _value(change, field) or "")
    middle = len(ordered) // 2
    borders = [
        at
        for at, (left, right) in enumerate(pairwise(ordered), start=1)
        if _value(left, field) != _value(right, field)
    ]
    at = min(borders, key=lambda border: abs(border - middle), default=middle)
    return ordered[:at], ordered[at:]


def _writes(change: RecordChange, field: str | None) -> bool:
    return any(one.field == field for one in change.fields)


def _value(change: RecordChange, field: str | None) -> str | None:
    return next((one.after for one in change.fields if one.field == field), None)
