"""One object of a CRM as a dlt resource that is landed in parts and knows where to go on.

What it remembers lies in dlt's state, which is stored together with the rows of each part: a pull
that was killed goes on behind the last part that was landed, and no cursor moves before its rows.
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
"""How far a pull reaches back behind the start of the one before.

Both CRMs show a record as modified before they let it be found: HubSpot's search index is late,
Salesforce commits long transactions under the stamp of their beginning. What comes twice, the
primary key removes.
"""

CHECKPOINT_ROWS = 50_000
CHECKPOINT_SECONDS = 120
"""A part ends with the first table behind one of the two."""

EXTRACTED_AT = "pulled_at"
"""The column that says when the pull began that read a row last."""

Batches = Iterator[tuple[pa.Table, PageToken]]
"""Tables, each with the position behind it: where a reader that is begun there goes on."""

State = MutableMapping[str, Any]

LOG = logging.getLogger("onefunnel.pull")

OnFailure = Callable[[RejectedError], None]
"""Told why an object cannot be read to its end."""


@dataclass(frozen=True)
class ReadWindow:
    """What a reader is to read: what changed since then, or (None) everything; from `at` on.

    `started` is the CRM's clock. `stamp` is as good as that, but later than that of any pull
    before: CRMs tell the time in whole seconds.
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
    """Make the resource. Run, it lands one part; `is_open` tells whether there are more.

    Everything is read the first time, when a field is newly `wanted`, and when `full`; rows that
    such a whole reading did not meet are no longer in the CRM (see `rounds.land`). The cursor is
    the CRM's own clock as of the start (`now`), so that neither a clock of ours nor a change during
    the pull can make it miss one.

    Of two rows with one `key` the one with the greater `latest` stays. Where permission is
    missing, `denied` may give a table instead; nothing is remembered then. Where the CRM refuses
    the question, or a field vanished, `halted` is told, and what was landed by then stays.
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
        # Between two parts the reader stays: answers that are on their way are not asked for again.
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
            # Refused records can be put aside; a refused question is wrong in itself.
            on_failure(error)
            return
        if state["open"].pop("is_read", False):
            reading = None
            _complete_window(state)
            LOG.log(
                # where nothing changed there is nothing to tell: 23 such lines hide the others
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
    """Make a resource that reads some rows again and moves no cursor."""

    def pull() -> Iterator[pa.Table]:
        stamp = datetime.fromisoformat(dlt.current.resource_state()["stamp"])
        try:
            for table in read():
                yield _with_extracted_at(table, stamp)
        except RejectedError as error:
            on_failure(error)

    return _merge_resource(pull, name, key, dedup_sort_column)


def in_progress(state: State) -> bool:
    """Tell whether a pull of the object was begun and has not come to its end."""
    return "open" in state


def next_cursor(state: State, selected_fields: Collection[str], *, full: bool) -> datetime | None:
    """Say from when the next pull reads; None: everything."""
    begun = state.get("open")
    if begun and begun["fields"] == sorted(selected_fields) and not (full and begun["since"]):
        return begun["since"] and datetime.fromisoformat(begun["since"])
    return _cursor_start(state, selected_fields, full=full)


def was_full_refresh(state: State) -> bool:
    """Tell whether the last pull was a whole reading."""
    return "whole" in state and state["whole"] == state["stamp"]


def last_full_refresh(state: State) -> datetime | None:
    """Say when the last whole reading that came to its end began."""
    return datetime.fromisoformat(state["whole"]) if "whole" in state else None


def select_fields(object: str, selected_fields: Collection[str], catalog: Catalog) -> list[Field]:
    """Look up the fields wanted.

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
    """Hand on tables until the part is full, and note the position behind each."""
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
    """Go on with the pull that is open, or open one."""
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
