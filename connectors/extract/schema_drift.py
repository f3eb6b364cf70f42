"""Fields that vanish or change their type while a pull is under way.

HubSpot leaves out of an answer what it does not know, and a value of the new type is only one that
does not fit: so the account's fields are looked at again where rows look like that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from connectors.extract.arrow import OnMismatch, Page
from errors import RejectedError
from models import Field

REMOVED = "FIELD_GONE"
TYPE_CHANGED = "FIELD_CHANGED"

DRIFT_CODES = frozenset({REMOVED, TYPE_CHANGED})

FetchFields = Callable[[], Mapping[str, Field]]
"""Asks the account for the fields that an object has now."""


class DriftDetector:
    """The fields asked for of one object, held against the account where there is doubt."""

    def __init__(
        self,
        object: str,
        fields: Sequence[Field],
        fetch_fields: FetchFields,
        on_mismatch: OnMismatch,
    ) -> None:
        """Have no doubt yet; `count` is told of values that do not fit though their field does."""
        self._object = object
        self._fields = {field.name: field for field in fields}
        self._fetch_fields = fetch_fields
        self._on_mismatch = on_mismatch
        self._confirmed_names: set[str] = set()
        self._lock = Lock()

    def report_mismatch(self, name: str, count: int) -> None:
        """Count values that do not fit. Raises: RefusedError where their field has changed."""
        if name in self._fields:
            self._confirm_field(name)
        with self._lock:
            self._on_mismatch(name, count)

    def check_pages(self, pages: Iterator[Page]) -> Iterator[Page]:
        """Hand on pages of rows. Raises: RefusedError where none has a field, which is gone."""
        for page, at in pages:
            for name in self._absent_fields(page):
                self._confirm_field(name)
                self._confirmed_names.add(name)
            yield page, at

    def _absent_fields(self, page: Sequence[Mapping[str, object]]) -> Sequence[str]:
        if not page:
            return ()
        doubtful = self._fields.keys() - page[0].keys() - self._confirmed_names
        return sorted(name for name in doubtful if all(name not in row for row in page))

    def _confirm_field(self, name: str) -> None:
        now, before = self._fetch_fields().get(name), self._fields[name]
        if now is None:
            raise removed(self._object, name)
        if now.type != before.type:
            raise type_changed(self._object, name, before.type, now.type)


def removed(object: str, field: str) -> RejectedError:
    """Make the error for a field that was there when the pull began."""
    text = f"{object}: `{field}` is gone from the account since, or hidden from us"
    return RejectedError(text, code=REMOVED, field=field)


def type_changed(object: str, field: str, before: str, now: str) -> RejectedError:
    """Make the error for a field that has another type than it was landed with."""
    text = f"{object}: `{field}` was landed as {before}, and is {now} now"
    return RejectedError(text, code=TYPE_CHANGED, field=field)
