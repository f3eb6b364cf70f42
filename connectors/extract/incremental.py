"""One object of a CRM as a dlt resource that is landed in batches with checkpoints.

The cursor and the position are in dlt's state, which is stored together with the rows of each
batch: after a crash the next extract continues behind the last landed batch.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from connectors.extract.arrow import TIMESTAMP, PageToken
from errors import AccessError, ConfigError, RejectedError
from models import Catalog, Field

LOOKBACK_WINDOW = timedelta(minutes=5)
"""How far an incremental extract reads back before the start of the last one.

CRMs find a modified record late: HubSpot's search index is updated with a delay, and Salesforce
sets SystemModstamp when a long transaction starts. Rows that are read twice are merged by the
primary key.
"""

CHECKPOINT_ROWS = 50_000
CHECKPOINT_SECONDS = 120
"""A batch ends with the first table after one of the two limits."""

EXTRACTED_AT = "pulled_at"
"""The column with the start time of the extract that last read a row."""

Batches = Iterator[tuple[pa.Table, PageToken]]
"""Tables, each with the position behind it, at which a reader can continue."""

State = MutableMapping[str, Any]

LOG = logging.getLogger("onefunnel.extract")

OnFailure = Callable[[RejectedError], None]
"""Called with the error of an object that cannot be read completely."""


@dataclass(frozen=True)
class ReadWindow:
    """What to read: rows that changed since `since` (None: all rows), from `page_token` on.

    `started_at` is the CRM's time. `extracted_at` is the same time, increased where needed to be
    later than that of every extract before: CRMs report their time in whole seconds.
    """

    since: datetime | None
    page_token: PageToken
    started_at: datetime
    extracted_at: datetime


def incremental_resource(
    name: str,
    read: Callable[[ReadWindow], Batches],
    *,
    selected_fields: Collection[str],
    now: Callable[[], datetime],
    key: Sequence[str],
    dedup_sort_column: str,
    on_failure: OnFailure,
    full: bool = False,
    checkpoint_rows: int = CHECKPOINT_ROWS,
    on_access_denied: Callable[[AccessError], pa.Table] | None = None,
) -> DltResource:
    """Make the resource. One run of it lands one batch; `in_progress` says whether more follow.

    All rows are read the first time, when a field is new in `selected_fields`, and when `full`.
    Rows that a full refresh did not return stay. The cursor is the CRM's time at the start
    (`now`): a wrong local clock or a change during the extract cannot make the next extract miss a
    row.

    Of two rows with the same `key` the one with the greater `dedup_sort_column` stays. Where the
    permission is missing, `on_access_denied` may return a table instead; then no cursor is stored.
    Where the CRM refuses the query or a field disappeared, `on_failure` is called, and the rows
    landed so far stay.
    """
    reading: Batches | None = None
    rows, begun_at = 0, 0.0

    def counted(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        nonlocal rows
        for table in tables:
            rows += len(table)
            yield table

    def pull() -> Iterator[pa.Table]:
        nonlocal reading, begun_at
        begun_at = begun_at or time.monotonic()
        state = dlt.current.resource_state()
        work = _start_or_resume(state, selected_fields, now(), full=full)
        # The reader is kept between two batches, so that prefetched pages are not requested twice.
        reading = reading or read(work)
        try:
            yield from counted(_until_checkpoint(reading, state["open"], work, checkpoint_rows))
        except AccessError as error:
            if on_access_denied is None:
                raise
            del state["open"]
            yield _with_extracted_at(on_access_denied(error), work.extracted_at)
            return
        except RejectedError as error:
            # A refused query fails for all rows, so the whole object is stopped.
            on_failure(error)
            return
        if state["open"].pop("is_read", False):
            reading = None
            _complete_window(state)
            LOG.log(
                # objects without changes are logged at DEBUG: about 20 lines hide the others
                logging.INFO if rows or work.since is None else logging.DEBUG,
                "object.extracted crm=%-10s object=%-22s rows=%-7d mode=%s seconds=%.1f",
                dlt.current.pipeline().dataset_name,
                name,
                rows,
                "incremental" if work.since else "full_refresh",
                time.monotonic() - begun_at,
            )

    return _merge_resource(pull, name, key, dedup_sort_column)


def reread_resource(
    name: str,
    read: Callable[[], Iterator[pa.Table]],
    *,
    key: Sequence[str],
    dedup_sort_column: str,
    on_failure: OnFailure,
) -> DltResource:
    """Make a resource that reads some rows again and does not change the cursor."""

    def pull() -> Iterator[pa.Table]:
        stamp = datetime.fromisoformat(dlt.current.resource_state()["stamp"])
        try:
            for table in read():
                yield _with_extracted_at(table, stamp)
        except RejectedError as error:
            on_failure(error)

    return _merge_resource(pull, name, key, dedup_sort_column)


def in_progress(state: State) -> bool:
    """Return whether an extract of the object was started and has not finished."""
    return "open" in state


def next_cursor(state: State, selected_fields: Collection[str], *, full: bool) -> datetime | None:
    """Return the time from which the next extract reads changes; None: it reads all rows."""
    begun = state.get("open")
    if begun and begun["fields"] == sorted(selected_fields) and not (full and begun["since"]):
        return begun["since"] and datetime.fromisoformat(begun["since"])
    return _cursor_start(state, selected_fields, full=full)


def was_full_refresh(state: State) -> bool:
    """Return whether the last extract was a full refresh."""
    return "whole" in state and state["whole"] == state["stamp"]


def select_fields(object: str, selected_fields: Collection[str], catalog: Catalog) -> list[Field]:
    """Return the selected fields from the catalog.

    Raises: ConfigError where the account has no such object or field, or does not show it.
    """
    if object not in catalog:
        raise ConfigError(f"{object}: the account has no such object, or does not show it to us")
    if missing := sorted(set(selected_fields) - set(catalog[object])):
        raise ConfigError(
            f"{object}: the account has no field {', '.join(missing)}, or does not show it to us:"
            " correct the mapping, or permit the field to the user we log in as"
        )
    return [catalog[object][name] for name in dict.fromkeys(selected_fields)]


def _merge_resource(
    pull: Callable[[], Iterator[pa.Table]], name: str, key: Sequence[str], latest: str
) -> DltResource:
    return dlt.resource(
        pull,
        name=name,
        write_disposition="merge",
        primary_key=list(key),
        columns={latest: {"dedup_sort": "desc"}},
    )


def _until_checkpoint(
    parts: Batches, opened: State, work: ReadWindow, part_rows: int
) -> Iterator[pa.Table]:
    """Yield tables until the batch is full, and store the position behind each."""
    ends = time.monotonic() + CHECKPOINT_SECONDS
    rows = 0
    for table, at in parts:
        # without a row the first table still makes that of the object; later ones change nothing
        if len(table) or work.since is None:
            yield _with_extracted_at(table, work.extracted_at)
        opened["at"] = at
        rows += len(table)
        if rows >= part_rows or (rows and time.monotonic() > ends):
            return
    opened["is_read"] = True


def _with_extracted_at(table: pa.Table, stamp: datetime) -> pa.Table:
    stamps = pa.repeat(pa.scalar(stamp, TIMESTAMP), len(table))
    return table.append_column(pa.field(EXTRACTED_AT, TIMESTAMP), stamps)


def _start_or_resume(
    state: State, wanted: Collection[str], now: datetime, *, full: bool
) -> ReadWindow:
    """Continue the extract in progress, or start one."""
    fields = sorted(wanted)
    begun = state.get("open")
    if not begun or begun["fields"] != fields or (full and begun["since"]):
        since = _cursor_start(state, wanted, full=full)
        before = (begun or state).get("stamp")
        begun = state["open"] = {
            "fields": fields,
            "since": since and since.isoformat(),
            "started": now.isoformat(),
            "stamp": _later_than(before, now).isoformat(),
            "at": None,
        }
    return ReadWindow(
        begun["since"] and datetime.fromisoformat(begun["since"]),
        begun["at"],
        datetime.fromisoformat(begun["started"]),
        datetime.fromisoformat(begun["stamp"]),
    )


def _later_than(before: str | None, now: datetime) -> datetime:
    if before is None:
        return now
    return max(now, datetime.fromisoformat(before) + timedelta(microseconds=1))


def _complete_window(state: State) -> None:
    done = state.pop("open")
    state.update(cursor=done["started"], fields=done["fields"], stamp=done["stamp"])
    if done["since"] is None:
        state["whole"] = done["stamp"]


def _cursor_start(state: State, wanted: Collection[str], *, full: bool) -> datetime | None:
    if full or "cursor" not in state or set(wanted) - set(state["fields"]):
        return None
    return datetime.fromisoformat(state["cursor"]) - LOOKBACK_WINDOW
