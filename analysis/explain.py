"""The receipt: why one person stands where they stand, down to the last point."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from analysis.next_stage import Case, spoken, to_next_stage
from analysis.supporting_events import Happening, behind, happenings, in_cents, worth
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
from transforms.identity.point_in_time import Known
from transforms.lifecycle import score
from transforms.lifecycle.current_stage import standing
from transforms.lifecycle.lifecycle import Journeys, answered, end_leaves, grounds, journeys
from transforms.lifecycle.reasons import phrase
from transforms.staging.timestamps import NEVER, from_datetime, instant, to_datetime
from warehouse.people_lookup import NOBODY, person_ids
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
    answer: dict[str, Any]
    records: Rows
    because: Rows
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
    warehouse: Warehouse, configuration: Configuration, who: str, *, as_of: datetime | None = None
) -> list[Receipt]:
    """Make the receipts of everybody an e-mail address, a record id or a person id names.

    The answer is computed anew by the same rules as every run, at `as_of` (default: the last
    answer's), from what was known then.

    Raises: ConfigError where nobody is found, or nothing was pulled yet.
    """
    if not warehouse.has("lifecycle"):
        raise ConfigError("nothing was pulled yet: `python sync.py run --dry-run` comes first")
    ids = person_ids(warehouse, configuration, who.strip())
    if not ids:
        raise ConfigError(NOBODY)
    at = as_of or warehouse.table("lifecycle").as_of.max().to_pyarrow().as_py()
    at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return [_receipt(warehouse, configuration, one, at) for one in ids]


def unknown(known: Known) -> dict[str, int]:
    """How many people lack a value of a field because nobody can tell which one they had."""
    fields = [name for name in known.unknown.columns if name != "person_id"]
    if not fields:
        return {}
    counts = known.unknown.aggregate(**{name: known.unknown[name].sum() for name in fields})
    [row] = counts.to_pyarrow().to_pylist()
    return {name: int(count) for name, count in row.items() if count}


def _receipt(
    warehouse: Warehouse, configuration: Configuration, person_id: str, as_of: datetime
) -> Receipt:
    def step(name: str, table: ir.Table) -> ir.Table:
        return warehouse.step(f"one_{name}", table)

    definition = configuration.definition
    then = warehouse.answerable(configuration, as_of=as_of, only=person_id)
    parts = then.people, then.field_since, then.events
    steps = journeys(*parts, definition, as_of=as_of, store=step)
    answer = answered(steps, definition, as_of=as_of, store=step)
    found = _rows(answer.lifecycle)
    if not found:
        raise ConfigError(f"{person_id} was not known yet on {as_of:%Y-%m-%d}")
    case = _case(steps, found[0], then.people, then.events, definition, as_of)
    stage = definition.stages[definition.stage_ids.index(case.answer["stage"])]
    contributions, fit = _score(case)
    return Receipt(
        person_id,
        stage.label or stage.id,
        (definition.qualification and definition.qualification.framework) or "Qualification",
        case.answer,
        records=_known_as(warehouse, person_id, as_of),
        because=_because(case, steps),
        disqualified=_disqualified(case),
        contributions=contributions,
        fit=fit,
        criteria=_criteria(case),
        history=_journey(answer.stage_history, definition),
        missing=to_next_stage(case),
        unknown=sorted(unknown(then)),
    )


def _case(
    steps: Journeys,
    answer: dict[str, Any],
    people: ir.Table,
    events: ir.Table,
    definition: Definition,
    as_of: datetime,
) -> Case:
    [values], [known], [ends] = _rows(people), _rows(steps.facts), _rows(steps.ends)
    [cycle] = _rows(steps.ruled.order_by(ibis.desc("cycle")).limit(1))
    happened = happenings(steps, events, definition, as_of=as_of)
    return Case(definition, as_of, answer, values, known, ends, cycle, happened)


def _known_as(warehouse: Warehouse, person_id: str, as_of: datetime) -> Rows:
    records = warehouse.table("records")
    mine = records.filter(records.person_id == person_id, ~records.deleted)
    mine = mine.filter(mine.created_at <= as_of).order_by("crm", "object", "record_id")
    return _rows(mine.select("crm", "object", "record_id", "read_only"))


def _because(case: Case, steps: Journeys) -> Rows:
    """The leaves through which they came to their stage, oldest first, with what is behind each."""
    definition = case.definition
    stands = standing(steps.entries, steps.lapses, steps.cycles, definition)
    [stood] = _rows(stands.select("is_recycled", "entry_cycle"))
    if stood["is_recycled"]:
        last = [one for one in case.happened if definition.events[one.kind].is_activity]
        last = [one for one in last if one.at <= case.answer["recycled_at"]][-1:]
        text = case.answer["reasons"].rpartition(" on ")[0]
        return [{"text": text, "at": case.answer["recycled_at"], "events": _shown(last)}]
    came, through = grounds(steps, stands, definition)
    told = _rows(came.select("place", at=instant(came.at)).order_by("at", "place"))
    is_final = definition.stages[-1].final and case.answer["status"] == "won"
    cycle = None if is_final else stood["entry_cycle"]
    said = [_reason(case, through[row["place"]], row["at"], cycle) for row in told]
    return list({(row["text"], row["at"]): row for row in reversed(said)}.values())[::-1]


def _reason(case: Case, leaf: Leaf, at: datetime, cycle: int | None) -> dict[str, Any]:
    definition = case.definition
    events = behind(leaf, case.happened, definition, at=at, cycle=cycle)
    text = phrase(leaf, definition)
    if isinstance(leaf, EventLeaf) and leaf.count == 1:
        happened = {one.kind for one in events}
        text = next((kind for kind in leaf.event if kind in happened), text)
    shown = _shown(events)
    if isinstance(leaf, ScoreLeaf):
        for row, one in zip(shown, events, strict=True):
            row["left"] = round(worth(one, definition, at=at), 2)
        text = f"{text} ({_score_then(case, leaf, at)})"
    return {"text": text, "at": at, "events": shown}


def _score_then(case: Case, leaf: ScoreLeaf, at: datetime) -> str:
    earned = sum(worth(one, case.definition, at=at) for one in case.happened if one.at <= at)
    if leaf.score == "engagement":
        return f"{earned:.2f}"
    lines = score.fit_lines(case.definition)
    fit = sum(line.points for line in lines if case.since(line.when) <= from_datetime(at))
    return f"{earned + fit:.2f}: {earned:.2f} for what they did, {fit:.2f} for who they are"


def _shown(events: list[Happening]) -> Rows:
    return [_event(one) | {"kind": one.kind, "at": one.at} for one in events]


def _event(one: Happening) -> dict[str, Any]:
    return {
        "event_id": one.event_id,
        "crm": one.crm,
        "object": one.object,
        "record_id": one.record_id,
    }


def _score(case: Case) -> tuple[Rows, Rows]:
    """Every event that earns points, newest first, and the lines of the fit that hold."""
    earned = [one for one in reversed(case.happened) if one.points]
    lines = [line for line in score.fit_lines(case.definition) if case.since(line.when) < NEVER]
    exact = [*(one.left for one in earned), *(line.points for line in lines)]
    cents = in_cents(exact, case.answer["score"])
    contributions = [
        {"at": one.at, "kind": one.kind, "points": one.points, "left": left} | _event(one)
        for one, left in zip(earned, cents, strict=False)
    ]
    fit = [
        {
            "text": _values(line.when, case),
            "rule": _said(line.when, case.definition),
            "points": line.points,
            "left": left,
        }
        for line, left in zip(lines, cents[len(earned) :], strict=True)
    ]
    return contributions, fit


def _criteria(case: Case) -> Rows:
    section = case.definition.qualification
    return [
        {
            "name": name,
            "rule": _said(condition, case.definition),
            "met": case.since(condition) < NEVER,
            "since": to_datetime(case.since(condition)),
            "now": _values(condition, case),
        }
        for name, condition in (section.criteria if section else {}).items()
    ]


def _journey(history: ir.Table, definition: Definition) -> Rows:
    """The stages entered, in the order of time; of those of one instant the lowest first."""
    ranks = definition.stage_ids
    return sorted(
        _rows(history),
        key=lambda row: (
            row["entered_at"],
            ranks.index(row["stage"]) if row["stage"] in ranks else -1,
        ),
    )


def _disqualified(case: Case) -> Rows:
    """The leaves that disqualify."""
    rule = case.definition.disqualified
    if rule is None or case.answer["disqualified_at"] is None:
        return []
    columns = end_leaves(case.definition)
    since = {
        leaf: case.ends[columns[leaf]] if leaf in columns else case.since(leaf)
        for leaf in leaves(rule)
    }
    return [
        {"text": phrase(leaf, case.definition), "at": to_datetime(at)}
        for leaf, at in since.items()
        if at < NEVER
    ]


def _values(condition: Condition, case: Case) -> str:
    """What they hold in the fields that a condition asks about."""
    fields = dict.fromkeys(leaf.field for leaf in leaves(condition) if hasattr(leaf, "field"))
    return ", ".join(f"{name}: {spoken(case.values.get(name))}" for name in fields)


def _said(condition: Condition, definition: Definition) -> str:
    match condition:
        case AnyOf(any=parts):
            return " or ".join(_said(part, definition) for part in parts)
        case AllOf(all=parts):
            return " and ".join(_said(part, definition) for part in parts)
        case leaf:
            return phrase(leaf, definition)


def _rows(table: ir.Table) -> Rows:
    return list(table.to_pyarrow().to_pylist())
