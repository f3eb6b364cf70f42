"""Detect fields that are removed or change their type during an extract.

Some APIs (HubSpot's) omit an unknown field from the response instead of returning an error, and
values of a new type only fail to convert. So the fields of the account are read again where a
page lacks a field or a value does not fit.
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
"""Reads the fields that an object has now."""


class DriftDetector:
    """Compares the requested fields of one object with the account where rows look wrong."""

    def __init__(
        self,
        object: str,
        fields: Sequence[Field],
        fetch_fields: FetchFields,
        on_mismatch: OnMismatch,
    ) -> None:
        """Start; `on_mismatch` counts values that do not fit although the field has its type."""
        self._object = object
        self._fields = {field.name: field for field in fields}
        self._fetch_fields = fetch_fields
        self._on_mismatch = on_mismatch
        self._confirmed_names: set[str] = set()
        self._lock = Lock()

    def report_mismatch(self, name: str, count: int) -> None:
        """Count values that do not fit. Raises: RejectedError where the field has changed."""
        if name in self._fields:
            self._confirm_field(name)
        with self._lock:
            self._on_mismatch(name, count)

    def check_pages(self, pages: Iterator[Page]) -> Iterator[Page]:
        """Yield pages of rows. Raises: RejectedError where a field was removed."""
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
    """Return the error for a field that existed when the extract started."""
    text = f"{object}: `{field}` is gone from the account since, or hidden from us"
    return RejectedError(text, code=REMOVED, field=field)


def type_changed(object: str, field: str, before: str, now: str) -> RejectedError:
    """Return the error for a field whose type differs from that of its landed column."""
    text = f"{object}: `{field}` was landed as {before}, and is {now} now"
    return RejectedError(text, code=TYPE_CHANGED, field=field)
