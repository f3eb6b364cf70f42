"""Read one plan change by change: what it wants to write, and what became of each change."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from config.lifecycle_columns import RANKED_COLUMNS
from config.loader import Configuration
from config.mapping import FieldWrite
from errors import ConfigError
from transforms.planning.holds import FIELD_KEY, RECORD_KEY
from warehouse.changes import OUTCOMES, changes_of, last_outcomes
from warehouse.people_lookup import PERSON_NOT_FOUND, find_person_ids
from warehouse.warehouse import Warehouse
from warehouse.withheld import WITHHELD

COLUMNS = (
    *RECORD_KEY,
    "person_id",
    "field",
    "before",
    "after",
    "move",
    "reason",
    "outcome",
    "outcome_reason",
    "error_code",
    "error",
    "crm_message",
)
_READ = (
    *(name for name in COLUMNS if name != "move"),
    "backward",
    "write_order",
)


@dataclass(frozen=True)
class ChangeFilter:
    """Which changes of a plan to show; None selects all.

    person: an e-mail address, a record id or a person id
    """

    crm: str | None = None
    field: str | None = None
    move: str | None = None
    person: str | None = None
    outcome: str | None = None


def plan_changes(
    warehouse: Warehouse, configuration: Configuration, run_id: str, selected: ChangeFilter
) -> ir.Table:
    """Return the changes of a plan, and the differences that it withholds, in the order of writing.

    Out:    `COLUMNS`; one row per record and field. `move`: up, down or first, of a stage field;
            empty for all other fields. `outcome`: of the record. Withheld differences are those of
            the last plan only.
    Raises: ConfigError: no person has this address or id.
    """
    both = _planned(warehouse, run_id).union(_withheld(warehouse, run_id))
    both = _with_messages(warehouse, both)
    both = both.mutate(move=_move(both, configuration))
    conditions = [
        both[name] == value
        for name in ("crm", "field", "move", "outcome")
        if (value := getattr(selected, name)) is not None
    ]
    if selected.person is not None:
        conditions.append(_is_of_person(warehouse, configuration, both, selected.person.strip()))
    wanted = both.filter(*conditions) if conditions else both
    # withheld differences are not written: they come last
    order = [wanted.write_order.isnull(), "write_order", *FIELD_KEY]
    return wanted.order_by(order).select(*COLUMNS)


def _planned(warehouse: Warehouse, run_id: str) -> ir.Table:
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    ended = last_outcomes(outcomes.filter(outcomes.run_id == run_id)).select(
        *RECORD_KEY, "error_code", "error", "crm_message", outcome="status", outcome_reason="reason"
    )
    changes = changes_of(warehouse, run_id)
    both = changes.left_join(ended, RECORD_KEY)
    return both.select(*_READ)


def _withheld(warehouse: Warehouse, run_id: str) -> ir.Table:
    held = warehouse.ensure_table("withheld", WITHHELD)
    held = held.filter(held.run_id == run_id)
    return held.select(
        *FIELD_KEY,
        "person_id",
        "after",
        "reason",
        "error_code",
        "error",
        before=held.crm_value,
        backward=held.hold_reason == "crm_stage_higher",
        write_order=ibis.null("int64"),
        outcome=(held.hold_reason == "refused").ifelse("quarantined", "held"),
        outcome_reason=held.hold_reason,
        crm_message=ibis.null("string"),
    ).select(*_READ)


def _with_messages(warehouse: Warehouse, both: ir.Table) -> ir.Table:
    """Add the CRM's own message to records whose refusal an earlier run got."""
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    refused = outcomes.filter(outcomes.crm_message.notnull())
    newest = refused.group_by(*RECORD_KEY, "error_code").aggregate(
        known_message=refused.crm_message.argmax(refused["at"])
    )
    joined = both.left_join(newest, [*RECORD_KEY, "error_code"])
    return joined.mutate(crm_message=joined.crm_message.fill_null(joined.known_message)).select(
        *both.columns
    )


def _move(both: ir.Table, configuration: Configuration) -> ir.StringValue:
    """Say in which direction a stage moves: by the order of the stages in the definition."""
    place = both.crm + ":" + both.object + ":" + both.field
    ranks = _stage_ranks(configuration)
    if not ranks:
        return ibis.literal("")
    known = [(place == name, value, rank) for name, words in ranks.items() for value, rank in words]
    before, after = (
        ibis.cases(*((at & (column == value), rank) for at, value, rank in known))
        for column in (both.before, both.after)
    )
    # a value that the mapping does not name has no rank
    is_down = (after < before).fill_null(both.backward)
    return ibis.cases(
        (~place.isin(list(ranks)), ""),
        (both.before.fill_null("") == "", "first"),
        (both.after.isnull() | is_down, "down"),
        else_="up",
    )


def _stage_ranks(configuration: Configuration) -> Mapping[str, list[tuple[str, int]]]:
    """The values of each stage field with their ranks, by crm:object:field."""
    return {
        f"{crm}:{object}:{name}": _ranked_values(write, configuration.definition.stage_ids)
        for crm, mapping in configuration.mappings.items()
        for object, fields in mapping.write.items()
        for name, write in fields.items()
        if write.from_ in RANKED_COLUMNS
    }


def _ranked_values(write: FieldWrite, stage_ids: tuple[str, ...]) -> list[tuple[str, int]]:
    return [
        (value, rank)
        for rank, stage in enumerate(stage_ids)
        for value in write.values.get(stage, (stage,))
    ]


def _is_of_person(
    warehouse: Warehouse, configuration: Configuration, both: ir.Table, person: str
) -> ir.BooleanValue:
    ids = find_person_ids(warehouse, configuration, person) if warehouse.has("records") else []
    is_mine: ir.BooleanValue = both.person_id.isin(ids) | (both.record_id == person)
    if not ids and not both.filter(is_mine).count().to_pyarrow().as_py():
        raise ConfigError(PERSON_NOT_FOUND)
    return is_mine
