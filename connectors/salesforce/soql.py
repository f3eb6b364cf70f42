"""What one pull asks Salesforce for, and how it is landed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from connectors.extract.arrow import MIN_ROWS, Page, to_tables
from connectors.extract.incremental import Batches
from connectors.extract.schema_drift import DriftDetector
from connectors.salesforce.catalog import PRIMARY_KEY
from models import Field

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class ObjectSchema:
    """One object as it is landed."""

    object: str
    fields: tuple[Field, ...]
    drift_detector: DriftDetector

    @property
    def names(self) -> tuple[str, ...]:
        """The fields to ask for."""
        return tuple(field.name for field in self.fields)

    @property
    def cursor(self) -> str:
        """The field with the modification time of a row; of history rows, the creation time."""
        return "SystemModstamp" if "SystemModstamp" in self.names else "CreatedDate"

    @property
    def has_formula(self) -> bool:
        """A formula changes with what it is made of, and no cursor moves: all is read again."""
        return any(field.calculated for field in self.fields)

    def to_tables(self, pages: Iterable[Page], *, min_rows: int = MIN_ROWS) -> Batches:
        """Collect pages into tables."""
        drifted = self.drift_detector.report_mismatch
        return to_tables(
            pages, self.fields, key=(PRIMARY_KEY,), on_mismatch=drifted, min_rows=min_rows
        )


@dataclass(frozen=True)
class ReadRequest:
    """What one pull asks for; `since` None asks for everything."""

    schema: ObjectSchema
    since: datetime | None
    progress: Progress
    page_rows: int

    @property
    def sort_fields(self) -> tuple[str, ...]:
        """Everything comes in an order that no edit changes, what changed in that of its edits."""
        return (PRIMARY_KEY,) if self.since is None else (self.schema.cursor, PRIMARY_KEY)

    def soql(self, *conditions: str) -> str:
        """Return the query as text, without empty conditions."""
        since = self.since and f"{self.schema.cursor} >= {self.since:%Y-%m-%dT%H:%M:%SZ}"
        where = " AND ".join(one for one in (since, *conditions) if one)
        names = ", ".join(self.schema.names)
        return f"SELECT {names} FROM {self.schema.object}" + (f" WHERE {where}" if where else "")
