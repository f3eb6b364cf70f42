"""What one pull asks Salesforce for, and how it is landed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from connectors.extract.arrow import ROWS, Page, tables
from connectors.extract.incremental import Parts
from connectors.extract.schema_drift import Watch
from connectors.salesforce.catalog import KEY
from models import Field

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Shape:
    """One object as it is landed."""

    object: str
    fields: tuple[Field, ...]
    watch: Watch

    @property
    def names(self) -> tuple[str, ...]:
        """The fields to ask for."""
        return tuple(field.name for field in self.fields)

    @property
    def cursor(self) -> str:
        """The field that tells when a row was modified; of history rows, which never are, made."""
        return "SystemModstamp" if "SystemModstamp" in self.names else "CreatedDate"

    @property
    def has_formula(self) -> bool:
        """A formula changes with what it is made of, and no cursor moves: all is read again."""
        return any(field.calculated for field in self.fields)

    def tables(self, pages: Iterable[Page], *, at_least: int = ROWS) -> Parts:
        """Collect pages into tables."""
        drifted = self.watch.misfits
        return tables(pages, self.fields, key=(KEY,), drifted=drifted, at_least=at_least)


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    shape: Shape
    since: datetime | None
    progress: Progress
    page_rows: int

    @property
    def order(self) -> tuple[str, ...]:
        """Everything comes in an order that no edit changes, what changed in that of its edits."""
        return (KEY,) if self.since is None else (self.shape.cursor, KEY)

    def soql(self, *conditions: str) -> str:
        """Write it as a query; a condition that is empty is none."""
        since = self.since and f"{self.shape.cursor} >= {self.since:%Y-%m-%dT%H:%M:%SZ}"
        where = " AND ".join(one for one in (since, *conditions) if one)
        names = ", ".join(self.shape.names)
        return f"SELECT {names} FROM {self.shape.object}" + (f" WHERE {where}" if where else "")
