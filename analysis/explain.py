"""Explain one person: stage, reasons, score by event, and what the next stage needs."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import ibis.expr.types as ir

from analysis.next_stage import PersonState, format_value, missing_for_next_stage
from analysis.rule_progress import rule_progress
from analysis.supporting_events import (
    PersonEvent,
    allocate_rounding,
    decayed_points,
    person_events,
    supporting_events,
)
from config.definition import (
    AllOf,
    AnyOf,
    Condition,
    Definition,
    EventLeaf,
    FieldLeaf,
    Leaf,
    ScoreLeaf,
    leaves,
)
from config.loader import Configuration
from errors import ConfigError
from transforms.identity.point_in_time import Inputs
from transforms.lifecycle import score
from transforms.lifecycle.current_stage import standing
from transforms.lifecycle.field_conditions import field_leaf_column, field_leaves
from transforms.lifecycle.lifecycle import (
    Steps,
    build_tables,
    compute_steps,
    fit_lines_since,
    person_leaves,
    reason_leaves,
)
from transforms.lifecycle.reasons import describe_leaf
from transforms.lifecycle.stage_entries import criteria_since
from transforms.staging.timestamps import NEVER, from_datetime, to_datetime, to_timestamp
from warehouse.people_lookup import PERSON_NOT_FOUND, find_person_ids
from warehouse.warehouse import Warehouse


@dataclass
class Receipt:
    """One person: records, stage, reasons, score, and what the next stage needs.

    records: crm, object, record_id, read_only; reasons: text, at, events (for a score with the
    points that each was worth at that time); disqualified: text, at; contributions: at, kind,
    points, left and the event's event_id, crm, object, record_id; fit: text, rule, points, left;
    criteria: name, rule, met, since, now; history: stage, entered_at, cycle; unknown: the fields
    without a known value at that time, which count as empty.

    The `left` of contributions and fit add up to the stored score, to the cent.
    """

    person_id: str
    label: str
    framework: str
    lifecycle: dict[str, Any]
    records: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    disqualified: list[dict[str, Any]]
    contributions: list[dict[str, Any]]
    fit: list[dict[str, Any]]
    criteria: list[dict[str, Any]]
    history: list[dict[str, Any]]
    missing: str
    unknown: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)


def explain(
    warehouse: Warehouse,
    configuration: Configuration,
    identifier: str,
    *,
    as_of: datetime | None = None,
) -> list[Receipt]:
    """Explain each person that an e-mail address, a record id or a person id names.

    The lifecycle is computed again by the rules of every run, at `as_of` (default: that of the
    stored table), from the data known at that time.

    Raises: ConfigError where no person matches, or no run has stored a lifecycle yet.
    """
    if not warehouse.has("lifecycle"):
        raise ConfigError(
            "the warehouse has no table lifecycle yet: run `python sync.py run --dry-run` first"
        )
    person_ids = find_person_ids(warehouse, configuration, identifier.strip())
    if not person_ids:
        raise ConfigError(PERSON_NOT_FOUND)
    at = as_of or warehouse.table("lifecycle").as_of.max().to_pyarrow().as_py()
    at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return [_receipt(warehouse, configuration, person_id, at) for person_id in person_ids]


def unknown_counts(inputs: Inputs) -> dict[str, int]:
    """Count the people whose value of a field at that time is unknown, by field."""
    fields = [name for name in inputs.unknown.columns if name != "person_id"]
    if not fields:
        return {}
    counts = inputs.unknown.aggregate(**{name: inputs.unknown[name].sum() for name in fields})
    [row] = counts.to_pyarrow().to_pylist()
    return {name: int(count) for name, count in row.items() if count}


def _receipt(
    warehouse: Warehouse, configuration: Configuration, person_id: str, as_of: datetime
) -> Receipt:
    def materialize(name: str, table: ir.Table) -> ir.Table:
        return warehouse.materialize(f"one_{name}", table)

    definition = configuration.definition
    inputs = warehouse.inputs_as_of(configuration, as_of=as_of, person_id=person_id)
    steps = compute_steps(
        inputs.people,
        inputs.field_since,
        inputs.events,
        definition,
        as_of=as_of,
        materialize=materialize,
    )
    tables = build_tables(steps, definition, as_of=as_of, materialize=materialize)
    lifecycle_rows = _rows(tables.lifecycle)
    if not lifecycle_rows:
        raise ConfigError(f"{person_id} has no record that was created by {as_of:%Y-%m-%d}")
    [values] = _rows(inputs.people)
    person = person_state(steps, lifecycle_rows[0], values, definition, as_of=as_of)
    events = person_events(steps, inputs.events, definition, as_of=as_of)
    stage = definition.stages[definition.stage_ids.index(person.lifecycle["stage"])]
    contributions, fit = _score(person, events)
    return Receipt(
        person_id,
        stage.label or stage.id,
        (definition.qualification and definition.qualification.framework) or "Qualification",
        person.lifecycle,
        records=_record_rows(warehouse, person_id, as_of),
        reasons=_reason_rows(person, events, steps),
        disqualified=_disqualified(person),
        contributions=contributions,
        fit=fit,
        criteria=_criteria(person),
        history=_stage_entries(tables.stage_history, definition),
        missing=missing_for_next_stage(person),
        unknown=sorted(unknown_counts(inputs)),
    )


def person_state(
    steps: Steps,
    lifecycle: dict[str, Any],
    values: dict[str, Any],
    definition: Definition,
    *,
    as_of: datetime,
) -> PersonState:
    """Read the state of the one person whom the steps are about."""
    fields = steps.field_conditions
    [field_since] = _rows(fields)
    [person_since] = _rows(steps.person_conditions)
    lines_since = fit_lines_since(fields, definition)
    criteria = criteria_since(fields, definition)
    [since] = _rows(lines_since.join(fields.select("who", **criteria), "who"))
    leaf_since: dict[Leaf, int] = {
        leaf: field_since[field_leaf_column(leaf, definition)] for leaf in field_leaves(definition)
    }
    leaf_since |= {leaf: person_since[name] for leaf, name in person_leaves(definition).items()}
    closed = steps.cycles.filter(steps.cycles.closed < NEVER)
    closings = [row["closed"] for row in _rows(closed.select("closed"))]
    since_closing = steps.admitted.filter(steps.admitted.at > max(closings, default=-NEVER))
    engaged = _rows(score.engagement(since_closing, definition, as_of=from_datetime(as_of)))
    earned = sum(row["engagement"] for row in engaged)
    return PersonState(
        definition,
        lifecycle,
        values,
        leaf_since,
        [since[score.fit_column(n)] for n, _ in enumerate(score.fit_lines(definition))],
        {name: since[name] for name in criteria},
        closings,
        {"engagement": earned, "fit": lifecycle["fit"], "total": earned + lifecycle["fit"]},
        rule_progress(steps, definition, as_of=as_of),
    )


def _record_rows(warehouse: Warehouse, person_id: str, as_of: datetime) -> list[dict[str, Any]]:
    records = warehouse.table("records")
    present = records.filter(
        records.person_id == person_id, ~records.deleted, records.created_at <= as_of
    )
    present = present.order_by("crm", "object", "record_id")
    return _rows(present.select("crm", "object", "record_id", "read_only"))


def _reason_rows(
    person: PersonState, events: list[PersonEvent], steps: Steps
) -> list[dict[str, Any]]:
    """The leaves that brought the person to their stage, oldest first, with their events."""
    definition, lifecycle = person.definition, person.lifecycle
    standings = standing(steps.entries, steps.recyclings, steps.cycles, definition)
    [current] = _rows(standings.select("is_recycled", "fell_by", "entry_cycle"))
    if current["is_recycled"]:
        at = lifecycle["recycled_at"]
        cause = current["fell_by"]
        text = lifecycle["reasons"].partition(" on ")[0] + (f" ({cause})" if cause else "")
        behind = _events_behind_recycling(events, cause, definition, at=at)
        return [{"text": text, "at": at, "events": _event_rows(behind)}]
    reached, leaf_of_place = reason_leaves(steps, standings, definition)
    rows = _rows(reached.select("place", at=to_timestamp(reached.at)).order_by("at", "place"))
    is_final = definition.stages[-1].final and lifecycle["status"] == "won"
    cycle = None if is_final else current["entry_cycle"]
    reasons = [
        _reason(person, events, leaf_of_place[row["place"]], row["at"], cycle) for row in rows
    ]
    # two leaves with one text and date are one reason: the first of them stays
    return list({(row["text"], row["at"]): row for row in reversed(reasons)}.values())[::-1]


def _events_behind_recycling(
    events: list[PersonEvent], cause: str | None, definition: Definition, *, at: datetime
) -> list[PersonEvent]:
    """The closing event; of a silence the last activity before it; of an expired stage none."""
    if cause is None:
        active = [event for event in events if definition.events[event.kind].is_activity]
        return [event for event in active if event.at <= at][-1:]
    return [event for event in events if event.kind == cause and event.at == at][:1]


def _reason(
    person: PersonState, events: list[PersonEvent], leaf: Leaf, at: datetime, cycle: int | None
) -> dict[str, Any]:
    definition = person.definition
    if isinstance(leaf, ScoreLeaf):
        # with a closing engagement starts again
        closed = max((one for one in person.closings if one < from_datetime(at)), default=-NEVER)
        events = [event for event in events if from_datetime(event.at) > closed]
    support = supporting_events(leaf, events, definition, at=at, cycle=cycle)
    text = describe_leaf(leaf, definition)
    if isinstance(leaf, EventLeaf) and leaf.count == 1:
        kinds = {event.kind for event in support}
        text = next((kind for kind in leaf.event if kind in kinds), text)
    rows = _event_rows(support)
    if isinstance(leaf, ScoreLeaf):
        for row, event in zip(rows, support, strict=True):
            row["left"] = round(decayed_points(event, definition, at=at), 2)
        text = f"{text} ({_score_at(person, events, leaf, at)})"
    return {"text": text, "at": at, "events": rows}


def _score_at(person: PersonState, events: list[PersonEvent], leaf: ScoreLeaf, at: datetime) -> str:
    earned = sum(
        decayed_points(event, person.definition, at=at) for event in events if event.at <= at
    )
    lines = zip(score.fit_lines(person.definition), person.fit_since, strict=True)
    fit = sum(line.points for line, since in lines if since <= from_datetime(at))
    if leaf.score != "total":
        return f"{earned if leaf.score == 'engagement' else fit:.2f}"
    return f"{earned + fit:.2f}: {earned:.2f} for activity, {fit:.2f} for fit"


def _event_rows(events: list[PersonEvent]) -> list[dict[str, Any]]:
    return [_event_source(event) | {"kind": event.kind, "at": event.at} for event in events]


def _event_source(event: PersonEvent) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "crm": event.crm,
        "object": event.object,
        "record_id": event.record_id,
    }


def _score(
    person: PersonState, events: list[PersonEvent]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every event that earns points, newest first, and the fit lines that hold."""
    earned = [event for event in reversed(events) if event.points]
    fit_lines = zip(score.fit_lines(person.definition), person.fit_since, strict=True)
    lines = [line for line, since in fit_lines if since < NEVER]
    exact = [*(event.points_left for event in earned), *(line.points for line in lines)]
    rounded = allocate_rounding(exact, person.lifecycle["score"])
    contributions = [
        {"at": event.at, "kind": event.kind, "points": event.points, "left": left}
        | _event_source(event)
        for event, left in zip(earned, rounded, strict=False)
    ]
    fit = [
        {
            "text": _field_values(line.when, person),
            "rule": _describe_condition(line.when, person.definition),
            "points": line.points,
            "left": left,
        }
        for line, left in zip(lines, rounded[len(earned) :], strict=True)
    ]
    return contributions, fit


def _criteria(person: PersonState) -> list[dict[str, Any]]:
    section = person.definition.qualification
    return [
        {
            "name": name,
            "rule": _describe_condition(condition, person.definition),
            "met": person.criteria_since[name] < NEVER,
            "since": to_datetime(person.criteria_since[name]),
            "now": _field_values(condition, person),
        }
        for name, condition in (section.criteria if section else {}).items()
    ]


def _stage_entries(history: ir.Table, definition: Definition) -> list[dict[str, Any]]:
    """The stages entered, oldest first; of several at one instant the lowest first."""
    ranks = definition.stage_ids
    return sorted(
        _rows(history),
        key=lambda row: (
            row["entered_at"],
            ranks.index(row["stage"]) if row["stage"] in ranks else -1,
        ),
    )


def _disqualified(person: PersonState) -> list[dict[str, Any]]:
    """The leaves that disqualify the person."""
    rule = person.definition.disqualified
    if rule is None or person.lifecycle["disqualified_at"] is None:
        return []
    since = {leaf: person.leaf_since[leaf] for leaf in leaves(rule)}
    return [
        {"text": describe_leaf(leaf, person.definition), "at": to_datetime(at)}
        for leaf, at in since.items()
        if at < NEVER
    ]


def _field_values(condition: Condition, person: PersonState) -> str:
    """The values of the fields that a condition reads."""
    fields = dict.fromkeys(leaf.field for leaf in leaves(condition) if isinstance(leaf, FieldLeaf))
    return ", ".join(f"{name}: {format_value(person.values.get(name))}" for name in fields)


def _describe_condition(condition: Condition, definition: Definition) -> str:
    match condition:
        case AnyOf(any=parts):
            return " or ".join(_describe_condition(part, definition) for part in parts)
        case AllOf(all=parts):
            return " and ".join(_describe_condition(part, definition) for part in parts)
        case leaf:
            return describe_leaf(leaf, definition)


def _rows(table: ir.Table) -> list[dict[str, Any]]:
    return list(table.to_pyarrow().to_pylist())
