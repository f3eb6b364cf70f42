"""The receipt: why one person stands where they stand, down to the last point."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from configuration import Configuration
from errors import ConfigError
from report import unknown
from transforms import facts, score
from transforms.definition import (
    AllOf,
    AnyOf,
    ChannelsLeaf,
    Condition,
    Definition,
    EventLeaf,
    FieldLeaf,
    QualifiedLeaf,
    ScoreLeaf,
    StageLeaf,
)
from transforms.instants import NEVER, from_datetime, instant
from transforms.lifecycle import answered, journeys, leaf_columns
from transforms.reasons import phrase
from warehouse import Warehouse

Rows = list[dict[str, Any]]


@dataclass
class Receipt:
    """One person: who they are in each CRM, where they stand and why, and what is missing.

    records: crm, object, record_id; contributions: at, kind, points, left (points still left at
    `as_of`); fit: text, points; criteria: name, met; history: stage, entered_at, cycle;
    unknown: fields whose value of that time nobody can tell.
    """

    person_id: str
    label: str
    answer: dict[str, Any]
    records: Rows = field(default_factory=list)
    contributions: Rows = field(default_factory=list)
    fit: Rows = field(default_factory=list)
    criteria: Rows = field(default_factory=list)
    history: Rows = field(default_factory=list)
    missing: str = ""
    unknown: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {**asdict(self), "rounding": self.rounding}

    @property
    def rounding(self) -> float:
        """What the shown points differ from the stored engagement by, so that they add up."""
        shown = sum(round(float(row["left"]), 2) for row in self.contributions)
        return round(float(self.answer["engagement"]) - shown, 2)


def explain(
    warehouse: Warehouse, configuration: Configuration, who: str, *, as_of: datetime | None = None
) -> list[Receipt]:
    """Make the receipts of everybody an e-mail address, a record id or a person id names.

    The answer is computed anew from `people`, `field_since` and `events`, by the same rules as
    every run, at `as_of` (default: the last answer's).

    Raises: ConfigError where nobody is found, or nothing was pulled yet.
    """
    if not warehouse.has("lifecycle"):
        raise ConfigError("nothing was pulled yet: `python sync.py run --dry-run` comes first")
    ids = _person_ids(warehouse, who)
    if not ids:
        raise ConfigError(
            "nobody is known by that: give an e-mail address, a record id or a person id, "
            "as `python sync.py explain anna@example.com`"
        )
    at = as_of or warehouse.table("lifecycle").as_of.max().to_pyarrow().as_py()
    return [_receipt(warehouse, configuration, one, at) for one in ids]


def _person_ids(warehouse: Warehouse, who: str) -> list[str]:
    records = warehouse.table("records")
    asked = who.strip().lower()
    more = (";" + records.additional_emails.fill_null("") + ";").contains(f";{asked};")
    named = (records.email == asked) | more | (records.record_id == who.strip())
    found = records.filter(named | (records.person_id == who.strip()))
    return sorted(found.select("person_id").distinct().to_pyarrow()["person_id"].to_pylist())


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
    found = answer.lifecycle.to_pyarrow().to_pylist()
    if not found:
        raise ConfigError(f"{person_id} was not known yet on {as_of:%Y-%m-%d}")
    [row] = found
    stage = definition.stages[definition.stage_ids.index(row["stage"])]
    known = steps.facts.to_pyarrow().to_pylist()[0]
    last = steps.ruled.order_by(ibis.desc("cycle")).limit(1).to_pyarrow().to_pylist()[0]
    shown = warehouse.table("records")
    shown = shown.filter(shown.person_id == person_id, ~shown.deleted, shown.created_at <= as_of)
    shown = shown.select("crm", "object", "record_id", "read_only")
    return Receipt(
        person_id,
        stage.label or stage.id,
        row,
        records=shown.order_by("crm", "object", "record_id").to_pyarrow().to_pylist(),
        contributions=_contributions(steps.admitted, definition, as_of),
        fit=_fit(known, definition),
        criteria=_criteria(known, definition),
        history=answer.stage_history.order_by("entered_at").to_pyarrow().to_pylist(),
        missing=Gap(definition, row, last, known).to_next_stage(),
        unknown=sorted(unknown(then)),
    )


def _contributions(admitted: ir.Table, definition: Definition, as_of: datetime) -> Rows:
    """Every event that still earns points, newest first: at, kind, points, left."""
    worth = score.contributions(admitted, definition, as_of=from_datetime(as_of))
    worth = worth.select("kind", "points", "left", at=instant(worth.at))
    return list(
        worth.order_by(ibis.desc(worth.at.date()), "kind", ibis.desc("at")).to_pyarrow().to_pylist()
    )


def _since(condition: Condition, known: dict[str, Any], definition: Definition) -> int:
    """Since when a condition of fields alone holds for one person: us or NEVER."""
    match condition:
        case AnyOf(any=parts):
            return min(_since(part, known, definition) for part in parts)
        case AllOf(all=parts):
            return max(_since(part, known, definition) for part in parts)
        case FieldLeaf():
            return int(known[facts.column(condition, definition)])
    return NEVER


def _fit(known: dict[str, Any], definition: Definition) -> Rows:
    return [
        {"text": _said(line.when, definition), "points": line.points}
        for line in score.fit_lines(definition)
        if _since(line.when, known, definition) < NEVER
    ]


def _criteria(known: dict[str, Any], definition: Definition) -> Rows:
    asked = definition.qualification.criteria if definition.qualification else {}
    return [
        {"name": name, "met": _since(condition, known, definition) < NEVER}
        for name, condition in asked.items()
    ]


def _said(condition: Condition, definition: Definition) -> str:
    match condition:
        case AnyOf(any=parts):
            return " or ".join(_said(part, definition) for part in parts)
        case AllOf(all=parts):
            return " and ".join(_said(part, definition) for part in parts)
        case leaf:
            return phrase(leaf, definition)


@dataclass(frozen=True)
class Gap:
    """What one person lacks for the next stage, in words."""

    definition: Definition
    answer: dict[str, Any]
    cycle: dict[str, Any]
    known: dict[str, Any]

    def to_next_stage(self) -> str:
        """Say what is missing for the stage above; empty at the top."""
        rank = self.definition.stage_ids.index(self.answer["stage"]) + 1
        if rank >= len(self.definition.stages):
            return ""
        stage = self.definition.stages[rank]
        if stage.enter is None:
            return ""
        return f"{stage.label or stage.id}: needs {self._of(stage.enter, stage.id)}"

    def _of(self, condition: Condition, of: str) -> str:
        match condition:
            case AnyOf(any=parts):
                return "; or ".join(self._of(part, of) for part in parts)
            case AllOf(all=parts):
                missing = [part for part in parts if not self._holds(part, of)]
                return " and ".join(self._of(part, of) for part in missing or parts)
            case EventLeaf(event=kinds, count=1):
                return kinds[0] if len(kinds) == 1 else f"one of {', '.join(kinds)}"
            case ScoreLeaf(score=which, gte=floor):
                have = self.answer["score" if which == "total" else "engagement"]
                return f"{max(floor - have, 0):.2f} more points ({have:.2f} of {floor:g})"
            case QualifiedLeaf(qualified=n):
                return f"{max(n - self.answer['qualified'], 0)} more of {self._open_criteria()}"
            case ChannelsLeaf() | EventLeaf() | FieldLeaf() | StageLeaf():
                return phrase(condition, self.definition)

    def _holds(self, condition: Condition, of: str) -> bool:
        match condition:
            case AnyOf(any=parts):
                return any(self._holds(part, of) for part in parts)
            case AllOf(all=parts):
                return all(self._holds(part, of) for part in parts)
            case FieldLeaf():
                return _since(condition, self.known, self.definition) < NEVER
            case QualifiedLeaf(qualified=n):
                return bool(self.answer["qualified"] >= n)
            case StageLeaf(stage=lower):
                ids = self.definition.stage_ids
                return ids.index(self.answer["stage"]) >= ids.index(lower)
            case leaf:
                column = leaf_columns(self.definition).get(leaf)
                return column is not None and self.cycle.get(column, NEVER) < NEVER

    def _open_criteria(self) -> str:
        rows = _criteria(self.known, self.definition)
        return ", ".join(row["name"] for row in rows if not row["met"]) or "the criteria"
