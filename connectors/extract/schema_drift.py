"""Fields that vanish or change their type while a pull is under way.

HubSpot leaves out of an answer what it does not know, and a value of the new type is only one that
does not fit: so the account's fields are looked at again where rows look like that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from connectors.extract.arrow import Drifted, Page
from errors import RefusedError
from models import Field

GONE = "FIELD_GONE"
CHANGED = "FIELD_CHANGED"

DRIFT = frozenset({GONE, CHANGED})

Look = Callable[[], Mapping[str, Field]]
"""Asks the account for the fields that an object has now."""


class Watch:
    """The fields asked for of one object, held against the account where there is doubt."""

    def __init__(self, object: str, fields: Sequence[Field], look: Look, count: Drifted) -> None:
        """Have no doubt yet; `count` is told of values that do not fit though their field does."""
        self._object = object
        self._fields = {field.name: field for field in fields}
        self._look = look
        self._count = count
        self._trusted: set[str] = set()
        self._lock = Lock()

    def misfits(self, name: str, count: int) -> None:
        """Count values that do not fit. Raises: RefusedError where their field has changed."""
        if name in self._fields:
            self._confirm(name)
        with self._lock:
            self._count(name, count)

    def complete(self, pages: Iterator[Page]) -> Iterator[Page]:
        """Hand on pages of rows. Raises: RefusedError where none has a field, which is gone."""
        for page, at in pages:
            for name in self._absent(page):
                self._confirm(name)
                self._trusted.add(name)
            yield page, at

    def _absent(self, page: Sequence[Mapping[str, object]]) -> Sequence[str]:
        if not page:
            return ()
        doubtful = self._fields.keys() - page[0].keys() - self._trusted
        return sorted(name for name in doubtful if all(name not in row for row in page))

    def _confirm(self, name: str) -> None:
        now, before = self._look().get(name), self._fields[name]
        if now is None:
            raise gone(self._object, name)
        if now.type != before.type:
            raise changed(self._object, name, before.type, now.type)


def gone(object: str, field: str) -> RefusedError:
    """Make the error for a field that was there when the pull began."""
    text = f"{object}: `{field}` is gone from the account since, or hidden from us"
    return RefusedError(text, code=GONE, field=field)


def changed(object: str, field: str, before: str, now: str) -> RefusedError:
    """Make the error for a field that has another type than it was landed with."""
    text = f"{object}: `{field}` was landed as {before}, and is {now} now"
    return RefusedError(text, code=CHANGED, field=field)
