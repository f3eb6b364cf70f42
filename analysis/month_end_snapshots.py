"""Month-end snapshots: every person with the data known then, and the later outcome."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import ibis.expr.types as ir
from more_itertools import chunked

from config.definition import Definition
from config.loader import Configuration
from models import Rows
from transforms.evaluation import snapshots as history
from transforms.evaluation.snapshots import InputTables
from transforms.lifecycle.lifecycle import Materialize, Steps, compute_steps, stage_history
from transforms.staging.timestamps import from_datetime
from warehouse.warehouse import Warehouse

MAX_SNAPSHOTS = 1_000_000
"""People times month ends that are judged in one go; more is done in several."""

ProgressCallback = Callable[[str], None]
"""Called with the present step, for a status line."""


@dataclass(frozen=True)
class NamedDefinition:
    """A definition with all that belongs to it, and what people call it: its file."""

    name: str
    configuration: Configuration

    @property
    def definition(self) -> Definition:
        """The definition itself."""
        return self.configuration.definition


class SnapshotReader(Protocol):
    """Reads the columns of every snapshot at `as_of`: a table with `life` and `rank`."""

    def __call__(self, steps: Steps, definition: Definition, *, as_of: int) -> ir.Table:
        """Give one row per life."""


@dataclass(frozen=True)
class MonthEndSnapshots:
    """What was seen at the month ends, and what is known now.

    judged: per definition what was read of every life to be judged, with of, month_end, became
    (none: no month end to judge); histories: per definition `stage_history` as it is known now;
    unknown: how often the value of a field at that time is unknown.
    """

    now: datetime
    month_ends: list[datetime]
    stage_histories: list[ir.Table]
    evaluated: list[ir.Table]
    unknown: dict[str, int]


def compute_snapshots(
    warehouse: Warehouse,
    definitions: Sequence[NamedDefinition],
    read: SnapshotReader,
    *,
    within_days: float,
    months: int,
    materialize: Materialize,
    on_progress: ProgressCallback,
) -> MonthEndSnapshots:
    """Evaluate every definition at the last month ends whose window has closed.

    The first definition says what a customer is.

    Raises: ConfigError where nothing was pulled yet, or a definition asks for an unknown field.
    """
    now = to_naive_utc(warehouse.last_extract_at() or datetime.now(UTC))
    known = warehouse.inputs_as_of(definitions[0].configuration)
    present = known.people, known.field_since, known.events
    moments = _usable_month_ends(known.people, now, within_days=within_days, months=months)
    histories = []
    for nth, one in enumerate(definitions):
        on_progress(f"{one.name}: the history as it is known now")
        histories.append(
            _current_stage_history(present, one.definition, now, materialize, f"{nth}")
        )
    if not moments:
        return MonthEndSnapshots(now, [], histories, [], {})
    judge = definitions[0].definition
    states = _snapshot_states(warehouse, moments, definitions, read, materialize, on_progress)
    won = materialize("outcomes", history.conversion_dates(known.people, histories[0], judge))
    chosen = history.population(
        states.people, won, states.by_definition[0], judge, within_days=within_days
    )
    chosen = materialize("population", chosen)
    judged = [
        materialize(f"judged{nth}", chosen.join(of, "life"))
        for nth, of in enumerate(states.by_definition)
    ]
    return MonthEndSnapshots(now, moments, histories, judged, states.unknown)


def history_too_short(within_days: float) -> str:
    """Say that no month end can be judged."""
    return (
        f"the history is too short: no person existed {within_days:g} days before its end, "
        "so no outcome can be measured"
    )


def to_naive_utc(at: datetime) -> datetime:
    """The same instant without a zone, in UTC, as the middle keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def to_rows(table: ir.Table, *order: str) -> Rows:
    """The few rows of a summary."""
    return list((table.order_by(*order) if order else table).to_pyarrow().to_pylist())


def _usable_month_ends(
    people: ir.Table, now: datetime, *, within_days: float, months: int
) -> list[datetime]:
    """The month ends at which at least one person existed."""
    first = people.created_at.min().to_pyarrow().as_py()
    ends = history.month_ends(now, within_days=within_days, months=months)
    return [moment for moment in ends if first is not None and moment > to_naive_utc(first)]


def _current_stage_history(
    known: InputTables, definition: Definition, now: datetime, keep: Materialize, name: str
) -> ir.Table:
    def store(step: str, table: ir.Table) -> ir.Table:
        return keep(f"step_{step}", table)

    steps = compute_steps(*known, definition, as_of=now, materialize=store)
    return keep(f"history_{name}", stage_history(steps, definition))


@dataclass(frozen=True)
class _SnapshotStates:
    """The snapshots, the result of each definition for them, and the unknown values."""

    people: ir.Table
    by_definition: list[ir.Table]
    unknown: dict[str, int]


def _snapshot_states(
    warehouse: Warehouse,
    moments: Sequence[datetime],
    definitions: Sequence[NamedDefinition],
    read: SnapshotReader,
    keep: Materialize,
    say: ProgressCallback,
) -> _SnapshotStates:
    """Ask every definition where everybody stood at each month's end, many ends at once."""
    lived: list[ir.Table] = []
    of: list[list[ir.Table]] = [[] for _ in definitions]
    unknown: Counter[str] = Counter()
    people = int(warehouse.table("people").count().to_pyarrow().as_py())

    def store(step: str, table: ir.Table) -> ir.Table:
        return keep(f"step_{step}", table)

    for nth, some in enumerate(chunked(moments, max(1, MAX_SNAPSHOTS // max(people, 1)))):
        until = some[-1]
        tables = _snapshots(warehouse, some, definitions, keep, unknown, say)
        for side, one in enumerate(definitions):
            say(f"{one.name}: {some[0]:%Y-%m-%d} to {until:%Y-%m-%d}")
            steps = compute_steps(*tables, one.definition, as_of=until, materialize=store)
            found = read(steps, one.definition, as_of=from_datetime(until))
            of[side].append(keep(f"states{side}_{nth}", found))
        lived.append(keep(f"lived_{nth}", tables[0].select("person_id", "of", "month_end")))
    return _SnapshotStates(
        history.union_all(lived), [history.union_all(tables) for tables in of], dict(unknown)
    )


def _snapshots(
    warehouse: Warehouse,
    moments: Sequence[datetime],
    definitions: Sequence[NamedDefinition],
    keep: Materialize,
    unknown: Counter[str],
    say: ProgressCallback,
) -> InputTables:
    """What was known at each of some moments, all moved to the last of them."""
    fields = dict.fromkeys(name for one in definitions for name in one.definition.fields())
    parts: list[InputTables] = []
    for nth, moment in enumerate(moments):
        say(f"what was known on {moment:%Y-%m-%d}")
        known = warehouse.inputs_as_of(
            definitions[0].configuration, as_of=moment, fields=tuple(fields)
        )
        there = [name for name in fields if name in known.people.columns]
        tables = (known.people, known.field_since, known.events)
        moved = history.snapshots(tables, there, moment=moment, until=moments[-1])
        # stored now: the tables of the next month end replace these
        people, since, events = (
            keep(f"life_{part}_{nth}", table) for part, table in enumerate(moved)
        )
        parts.append((people, since, events))
        unknown.update(_unknown_counts(known.unknown))
    people, since, events = (history.union_all(tables) for tables in zip(*parts, strict=True))
    return people, since, events


def _unknown_counts(people: ir.Table) -> dict[str, int]:
    """Of how many people each field was not known."""
    names = [name for name in people.columns if name != "person_id"]
    if not names:
        return {}
    [row] = to_rows(people.aggregate(**{name: people[name].sum().fill_null(0) for name in names}))
    return row
