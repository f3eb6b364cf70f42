"""The receipt: why one person stands where they stand, down to the last point."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from analysis.next_stage import PersonState, format_value, missing_for_next_stage
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
    Leaf,
    ScoreLeaf,
    leaves,
)
from config.loader import Configuration
from errors import ConfigError
from transforms.identity.point_in_time import Inputs
from transforms.lifecycle import score
from transforms.lifecycle.current_stage import standing
from transforms.lifecycle.lifecycle import (
    Steps,
    build_tables,
    compute_steps,
    person_leaves,
    reason_leaves,
)
from transforms.lifecycle.reasons import describe_leaf
from transforms.staging.timestamps import NEVER, from_datetime, to_datetime, to_timestamp
from warehouse.people_lookup import PERSON_NOT_FOUND, find_person_ids
from warehouse.warehouse import Warehouse

Rows = list[dict[str, Any]]


@dataclass
class Receipt:
    """One person: who they are in each CRM, where they stand and why, and what is missing.

    records: crm, object, record_id, read_only; because: text, at, events (with the points they
    were worth then, where a score is the reason); disqualified: text, at; contributions: at, kind,
    points, left and the event's event_id, crm, object, record_id; fit: text, rule, points, left;
    criteria: name, rule, met, since, now; history: stage, entered_at, cycle; missing: what the next
    stage needs; unknown: fields whose value of that time nobody can tell.

    The `left` of contributions and fit add up to the stored score, to the cent.
    """

    person_id: str
    label: str
    framework: str
    lifecycle: dict[str, Any]
    records: Rows
    reasons: Rows
    disqualified: Rows
    contributions: Rows
    fit: Rows
    criteria: Rows
    history: Rows
    missing: str
    unknown: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def explain(
    warehouse: Warehouse,
    configuration: Configuration,
    identifier: str,
    *,
    as_of: datetime | None = None,
) -> list[Receipt]:
    """Make the receipts of everybody an e-mail address, a record id or a person id names.

    The answer is computed anew by the same rules as every run, at `as_of` (default: the last
    answer's), from what was known then.

    Raises: ConfigError where nobody is found, or nothing was pulled yet.
    """
    if not warehouse.has("lifecycle"):
        raise ConfigError("nothing was pulled yet: `python sync.py run --dry-run` comes first")
    ids = find_person_ids(warehouse, configuration, identifier.strip())
    if not ids:
        raise ConfigError(PERSON_NOT_FOUND)
    at = as_of or warehouse.table("lifecycle").as_of.max().to_pyarrow().as_py()
    at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return [_receipt(warehouse, configuration, one, at) for one in ids]


def unknown_counts(inputs: Inputs) -> dict[str, int]:
    """How many people lack a value of a field because nobody can tell which one they had."""
    fields = [name for name in inputs.unknown.columns if name != "person_id"]
    if not fields:
        return {}
    counts = inputs.unknown.aggregate(**{name: inputs.unknown[name].sum() for name in fields})
    [row] = counts.to_pyarrow().to_pylist()
    return {name: int(count) for name, count in row.items() if count}


def _receipt(
    warehouse: Warehouse, configuration: Configuration, person_id: str, as_of: datetime
) -> Receipt:
    def step(name: str, table: ir.Table) -> ir.Table:
        return warehouse.materialize(f"one_{name}", table)

    definition = configuration.definition
    then = warehouse.inputs_as_of(configuration, as_of=as_of, person_id=person_id)
    parts = then.people, then.field_since, then.events
    steps = compute_steps(*parts, definition, as_of=as_of, materialize=step)
    answer = build_tables(steps, definition, as_of=as_of, materialize=step)
    found = _rows(answer.lifecycle)
    if not found:
        raise ConfigError(f"{person_id} was not known yet on {as_of:%Y-%m-%d}")
    case = _person_state(steps, found[0], then.people, then.events, definition, as_of)
    stage = definition.stages[definition.stage_ids.index(case.lifecycle["stage"])]
    contributions, fit = _score(case)
    return Receipt(
        person_id,
        stage.label or stage.id,
        (definition.qualification and definition.qualification.framework) or "Qualification",
        case.lifecycle,
        records=_record_rows(warehouse, person_id, as_of),
        reasons=_reason_rows(case, steps),
        disqualified=_disqualified(case),
        contributions=contributions,
        fit=fit,
        criteria=_criteria(case),
        history=_stage_entries(answer.stage_history, definition),
        missing=missing_for_next_stage(case),
        unknown=sorted(unknown_counts(then)),
    )


def _person_state(
    steps: Steps,
    answer: dict[str, Any],
    people: ir.Table,
    events: ir.Table,
    definition: Definition,
    as_of: datetime,
) -> PersonState:
    [values], [known], [ends] = (
        _rows(people),
        _rows(steps.field_conditions),
        _rows(steps.person_conditions),
    )
    [cycle] = _rows(steps.evaluated_rules.order_by(ibis.desc("cycle")).limit(1))
    happened = person_events(steps, events, definition, as_of=as_of)
    return PersonState(definition, as_of, answer, values, known, ends, cycle, happened)


def _record_rows(warehouse: Warehouse, person_id: str, as_of: datetime) -> Rows:
    records = warehouse.table("records")
    mine = records.filter(records.person_id == person_id, ~records.deleted)
    mine = mine.filter(mine.created_at <= as_of).order_by("crm", "object", "record_id")
    return _rows(mine.select("crm", "object", "record_id", "read_only"))


def _reason_rows(case: PersonState, steps: Steps) -> Rows:
    """The leaves through which they came to their stage, oldest first, with what is behind each."""
    definition = case.definition
    stands = standing(steps.entries, steps.recyclings, steps.cycles, definition)
    [stood] = _rows(stands.select("is_recycled", "entry_cycle"))
    if stood["is_recycled"]:
        last = [one for one in case.events if definition.events[one.kind].is_activity]
        last = [one for one in last if one.at <= case.lifecycle["recycled_at"]][-1:]
        text = case.lifecycle["reasons"].rpartition(" on ")[0]
        return [{"text": text, "at": case.lifecycle["recycled_at"], "events": _event_rows(last)}]
    came, through = reason_leaves(steps, stands, definition)
    told = _rows(came.select("place", at=to_timestamp(came.at)).order_by("at", "place"))
    is_final = definition.stages[-1].final and case.lifecycle["status"] == "won"
    cycle = None if is_final else stood["entry_cycle"]
    said = [_reason(case, through[row["place"]], row["at"], cycle) for row in told]
    return list({(row["text"], row["at"]): row for row in reversed(said)}.values())[::-1]


def _reason(case: PersonState, leaf: Leaf, at: datetime, cycle: int | None) -> dict[str, Any]:
    definition = case.definition
    events = supporting_events(leaf, case.events, definition, at=at, cycle=cycle)
    text = describe_leaf(leaf, definition)
    if isinstance(leaf, EventLeaf) and leaf.count == 1:
        happened = {one.kind for one in events}
        text = next((kind for kind in leaf.event if kind in happened), text)
    shown = _event_rows(events)
    if isinstance(leaf, ScoreLeaf):
        for row, one in zip(shown, events, strict=True):
            row["left"] = round(decayed_points(one, definition, at=at), 2)
        text = f"{text} ({_score_then(case, leaf, at)})"
    return {"text": text, "at": at, "events": shown}


def _score_then(case: PersonState, leaf: ScoreLeaf, at: datetime) -> str:
    earned = sum(decayed_points(one, case.definition, at=at) for one in case.events if one.at <= at)
    if leaf.score == "engagement":
        return f"{earned:.2f}"
    lines = score.fit_lines(case.definition)
    fit = sum(line.points for line in lines if case.since(line.when) <= from_datetime(at))
    return f"{earned + fit:.2f}: {earned:.2f} for what they did, {fit:.2f} for who they are"


def _event_rows(events: list[PersonEvent]) -> Rows:
    return [_event(one) | {"kind": one.kind, "at": one.at} for one in events]


def _event(one: PersonEvent) -> dict[str, Any]:
    return {
        "event_id": one.event_id,
        "crm": one.crm,
        "object": one.object,
        "record_id": one.record_id,
    }


def _score(case: PersonState) -> tuple[Rows, Rows]:
    """Every event that earns points, newest first, and the lines of the fit that hold."""
    earned = [one for one in reversed(case.events) if one.points]
    lines = [line for line in score.fit_lines(case.definition) if case.since(line.when) < NEVER]
    exact = [*(one.points_left for one in earned), *(line.points for line in lines)]
    cents = allocate_rounding(exact, case.lifecycle["score"])
    contributions = [
        {"at": one.at, "kind": one.kind, "points": one.points, "left": left} | _event(one)
        for one, left in zip(earned, cents, strict=False)
    ]
    fit = [
        {
            "text": _field_values(line.when, case),
            "rule": _describe_condition(line.when, case.definition),
            "points": line.points,
            "left": left,
        }
        for line, left in zip(lines, cents[len(earned) :], strict=True)
    ]
    return contributions, fit


def _criteria(case: PersonState) -> Rows:
    section = case.definition.qualification
    return [
        {
            "name": name,
            "rule": _describe_condition(condition, case.definition),
            "met": case.since(condition) < NEVER,
            "since": to_datetime(case.since(condition)),
            "now": _field_values(condition, case),
        }
        for name, condition in (section.criteria if section else {}).items()
    ]


def _stage_entries(history: ir.Table, definition: Definition) -> Rows:
    """The stages entered, in the order of time; of those of one instant the lowest first."""
    ranks = definition.stage_ids
    return sorted(
        _rows(history),
        key=lambda row: (
            row["entered_at"],
            ranks.index(row["stage"]) if row["stage"] in ranks else -1,
        ),
    )


def _disqualified(case: PersonState) -> Rows:
    """The leaves that disqualify."""
    rule = case.definition.disqualified
    if rule is None or case.lifecycle["disqualified_at"] is None:
        return []
    columns = person_leaves(case.definition)
    since = {
        leaf: case.person_conditions[columns[leaf]] if leaf in columns else case.since(leaf)
        for leaf in leaves(rule)
    }
    return [
        {"text": describe_leaf(leaf, case.definition), "at": to_datetime(at)}
        for leaf, at in since.items()
        if at < NEVER
    ]


def _field_values(condition: Condition, case: PersonState) -> str:
    """What they hold in the fields that a condition asks about."""
    fields = dict.fromkeys(leaf.field for leaf in leaves(condition) if hasattr(leaf, "field"))
    return ", ".join(f"{name}: {format_value(case.values.get(name))}" for name in fields)


def _describe_condition(condition: Condition, definition: Definition) -> str:
    match condition:
        case AnyOf(any=parts):
            return " or ".join(_describe_condition(part, definition) for part in parts)
        case AllOf(all=parts):
            return " and ".join(_describe_condition(part, definition) for part in parts)
        case leaf:
            return describe_leaf(leaf, definition)


def _rows(table: ir.Table) -> Rows:
    return list(table.to_pyarrow().to_pylist())
