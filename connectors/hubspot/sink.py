"""Changes into HubSpot: 100 records a call, one bad property refuses them all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import ceil
from typing import Any

from connectors.error_mapping import codes
from connectors.hubspot.client import AT_ONCE, Client
from connectors.hubspot.error_codes import FIELD_CODES, MEANINGS, VALUE_CODES, problem_of, refusal
from connectors.load.sink_spec import DoubtError, Hands, Seen
from connectors.load.values import same
from connectors.load.writer import carry_out
from errors import RefusedError, SyncError, UnclearError
from models import Catalog, Field, FieldChange, Load, Outcome, RecordChange

BATCH = 100
INSTANT = timedelta(milliseconds=1)

ONLY_FORWARD = frozenset({"lifecyclestage"})
"""Properties HubSpot accepts any value for, and keeps the one that stands later in their list."""


def apply(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes, and yield an outcome for every record, batch by batch.

    A field with `clear_first` is emptied in a request of its own before the one that sets it.

    Raises: AccessError where the token may not write, naming the scope.
    """
    hands = Hands(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        reads_at_once=BATCH,
        writes_at_once=BATCH,
        together=BATCH,
        in_flight=AT_ONCE,
        instant=INSTANT,
        field_codes=FIELD_CODES,
        value_codes=VALUE_CODES,
        excluded=dict.fromkeys(codes(MEANINGS, "deleted"), "deleted"),
    )
    return carry_out(changes, hands, catalog, client.traffic)


def calls_for(_: Client | None, load: Load) -> int:
    """Estimate the calls: to look and to write, per batch; where a stage goes back, to empty it
    before and to look again behind.
    """
    return 2 * ceil(load.records / BATCH) + 2 * ceil(load.backward / BATCH)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, Seen]:
    """Read records as they are. Never by search: its index is behind what was just written."""
    body = {"properties": list(fields), "inputs": [{"id": id} for id in ids]}
    answer = client.post(f"/crm/v3/objects/{object}/batch/read", body)
    seen: dict[str, Seen] = {one["id"]: one["properties"] for one in answer["results"]}
    missing = set(_refused(answer))
    for id in ids:
        if id not in seen:
            # A merged record answers under a new id and is not reported as missing.
            seen[id] = "deleted" if id in missing else "merged"
    return seen


def _write(
    client: Client, catalog: Catalog, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    inputs = [
        {"id": change.record_id, "properties": {f.field: f.after or "" for f in change.fields}}
        for change in changes
    ]
    answer = client.update(object, inputs)
    written = {one["id"]: one["properties"] for one in answer["results"]}
    refused = _refused(answer)
    return {
        change.record_id: refused.get(change.record_id)
        or _doubt(change, written.get(change.record_id), catalog)
        for change in changes
    }


def _refused(answer: Mapping[str, Any]) -> dict[str, RefusedError]:
    """Sort the errors by record; HubSpot gives one an error and lists the ids in it."""
    return {
        id: refusal(problem, "a record of a batch")
        for problem in map(problem_of, answer.get("errors") or ())
        for id in problem.context.get("ids", ())
    }


def _doubt(
    change: RecordChange, answered: Mapping[str, str | None] | None, catalog: Catalog
) -> UnclearError | None:
    if answered is None:
        return UnclearError(f"HubSpot did not mention {change.object} {change.record_id}")
    fields = catalog.get(change.object, {})
    for field in change.fields:
        known = fields.get(field.field)
        kept = answered.get(field.field, field.after)
        is_kept = same(kept, field.after, known.type if known else "text", instant=INSTANT)
        if not is_kept or _may_move_back(field, known):
            return DoubtError(f"{field.field} of {change.object} {change.record_id}: look again")
    return None


def _may_move_back(field: FieldChange, known: Field | None) -> bool:
    """Tell whether HubSpot may have kept the value before; its answer does not say so."""
    if field.field not in ONLY_FORWARD or field.after is None:
        return False
    if field.clear_first:
        return True  # it was emptied before: somebody may have set a later one in between
    if field.before is None:
        return False
    order = (known.options if known else None) or ()
    steps = [order.index(stage) for stage in (field.before, field.after) if stage in order]
    return len(steps) < 2 or steps[1] < steps[0]
