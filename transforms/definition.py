"""The shared definition, who is a lead, an MQL, a prospect, a customer: the model of its YAML.

What each part means is in `docs/definition.md`. The models here refuse what is unknown or
impossible; whether a kind or a field is really fed by a mapping is asked in `check.py`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

Direction = Literal["inbound", "two_way", "outbound", "internal"]
Scalar = StrictBool | StrictInt | StrictFloat | datetime | date | StrictStr
Orderable = StrictInt | StrictFloat | datetime | date
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[StrictInt, Field(gt=0)]
RESERVED_STAGES = frozenset({"recycled", "disqualified", "stage"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _as_tuple(value: object) -> object:
    """Read one word as a list of one."""
    return (value,) if isinstance(value, str) else value


class Kind(_Model):
    """How one kind of event counts: what it is worth, over which channel, in which direction."""

    points: float = 0
    channel: str | None = None
    direction: Direction = "inbound"
    max_per_day: PositiveInt | None = None
    activity: StrictBool | None = None

    @model_validator(mode="after")
    def _outbound_is_no_interest(self) -> Self:
        if self.direction == "outbound" and self.activity:
            raise ValueError("an outbound kind cannot be an activity: it is ours, not theirs")
        return self

    @property
    def is_activity(self) -> bool:
        """Whether the person shows interest by it."""
        shown = self.direction in ("inbound", "two_way")
        return shown if self.activity is None else self.activity


class EventLeaf(_Model):
    """True since the first moment at which `count` events of these kinds lie in the window."""

    event: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    count: PositiveInt = 1
    within_days: Positive | None = None


class ScoreLeaf(_Model):
    """True since the first moment at which the score reaches `gte`."""

    score: Literal["engagement", "total"]
    gte: Positive


class ChannelsLeaf(_Model):
    """True since the first activity with which this many distinct channels lie in the window."""

    channels: PositiveInt
    within_days: Positive | None = None


class FieldLeaf(_Model):
    """True since the field took the value that passes all of these tests."""

    field: str
    is_: Scalar | None = Field(None, alias="is")
    is_not: Scalar | None = None
    in_: tuple[Scalar, ...] | None = Field(None, alias="in", min_length=1)
    not_in: tuple[Scalar, ...] | None = Field(None, min_length=1)
    known: StrictBool | None = None
    gt: Orderable | None = None
    gte: Orderable | None = None
    lt: Orderable | None = None
    lte: Orderable | None = None

    @property
    def tests(self) -> dict[str, Any]:
        """The tests that are written, by their YAML name."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "field"}
        return {name.rstrip("_"): value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.tests:
            raise ValueError("a field leaf needs a test: is, is_not, in, not_in, known, gt, ...")
        return self


class QualifiedLeaf(_Model):
    """True since the n-th of the qualification criteria that hold became true."""

    qualified: PositiveInt


class StageLeaf(_Model):
    """True since a lower stage was reached."""

    stage: str


class AnyOf(_Model):
    """True since the earliest of its parts."""

    any: tuple["Condition", ...] = Field(min_length=1)


class AllOf(_Model):
    """True since the latest of its parts, once all are."""

    all: tuple["Condition", ...] = Field(min_length=1)


CONDITIONS: dict[str, type[_Model]] = {
    "any": AnyOf,
    "all": AllOf,
    "event": EventLeaf,
    "score": ScoreLeaf,
    "channels": ChannelsLeaf,
    "field": FieldLeaf,
    "qualified": QualifiedLeaf,
    "stage": StageLeaf,
}


def _which(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next((word for word in CONDITIONS if word in value), None)
    return next((word for word, model in CONDITIONS.items() if isinstance(value, model)), None)


Condition = Annotated[
    Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[EventLeaf, Tag("event")]
    | Annotated[ScoreLeaf, Tag("score")]
    | Annotated[ChannelsLeaf, Tag("channels")]
    | Annotated[FieldLeaf, Tag("field")]
    | Annotated[QualifiedLeaf, Tag("qualified")]
    | Annotated[StageLeaf, Tag("stage")],
    Discriminator(
        _which,
        custom_error_type="condition",
        custom_error_message="a condition starts with one of: " + ", ".join(CONDITIONS),
    ),
]
Leaf = EventLeaf | ScoreLeaf | ChannelsLeaf | FieldLeaf | QualifiedLeaf | StageLeaf


def leaves(condition: "AnyOf | AllOf | Leaf") -> Iterator[Leaf]:
    """Walk the leaves of a condition in the order they are written."""
    match condition:
        case AnyOf(any=parts) | AllOf(all=parts):
            for part in parts:
                yield from leaves(part)
        case leaf:
            yield leaf


def _only(condition: "AnyOf | AllOf | Leaf", allowed: tuple[type, ...], where: str) -> None:
    words = " and ".join(w for w, model in CONDITIONS.items() if model in allowed)
    if not all(isinstance(leaf, allowed) for leaf in leaves(condition)):
        raise ValueError(f"{where} takes {words} leaves only")


class FitLine(_Model):
    """Points for what the person is, as long as the condition holds."""

    points: float
    when: Condition

    @model_validator(mode="after")
    def _fields_only(self) -> Self:
        _only(self.when, (FieldLeaf,), "a fit line")
        return self


class Score(_Model):
    """What engagement is worth and how fast it fades; what the profile adds; the grades of fit."""

    half_life_days: Positive
    fit: tuple[FitLine, ...] = ()
    grades: dict[Annotated[str, Field(pattern="^[A-Z]$")], float] = {}

    @model_validator(mode="after")
    def _floors_fall(self) -> Self:
        floors = [self.grades[letter] for letter in sorted(self.grades)]
        if any(low >= high for high, low in pairwise(floors)):
            raise ValueError("the floors of the grades must fall from A on")
        return self


class Qualification(_Model):
    """The criteria that make a profile, a need, a budget and a maturity known."""

    framework: str | None = None
    criteria: dict[str, Condition] = Field(min_length=1)

    @model_validator(mode="after")
    def _fields_only(self) -> Self:
        for name, criterion in self.criteria.items():
            _only(criterion, (FieldLeaf,), f"criterion {name}")
        return self


class FollowUp(_Model):
    """How soon somebody should answer after the stage was entered, and by what kinds of event."""

    within_hours: Positive
    by: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] | None = None


class Stage(_Model):
    """One rung of the ladder: how it is entered and what is to be done there."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    label: str | None = None
    action: str | None = None
    follow_up: FollowUp | None = None
    final: StrictBool = False
    enter: Condition | None = None


class Recycled(_Model):
    """Where those fall back to who went quiet, and after how long."""

    to: str
    after_inactive_days: Positive


class Pressure(_Model):
    """From how many touches without an answer on it is too much."""

    within_days: Positive
    high: PositiveInt
    stop: PositiveInt

    @model_validator(mode="after")
    def _high_comes_first(self) -> Self:
        if self.high >= self.stop:
            raise ValueError("high must be below stop")
        return self


class Contact(_Model):
    """Who may be contacted, and how often."""

    contactable: Condition | None = None
    pressure: Pressure | None = None

    @model_validator(mode="after")
    def _fields_only(self) -> Self:
        if self.contactable is not None:
            _only(self.contactable, (FieldLeaf,), "contactable")
        return self


class Definition(_Model):
    """One definition for marketing and sales: `mappings/lifecycle.yaml`."""

    version: StrictStr
    events: dict[str, Kind] = Field(min_length=1)
    score: Score | None = None
    qualification: Qualification | None = None
    stages: tuple[Stage, ...] = Field(min_length=1)
    recycled: Recycled | None = None
    disqualified: Condition | None = None
    contact: Contact = Contact()

    @property
    def id(self) -> str:
        """The version and a fingerprint: two definitions with one id decide alike."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def final(self) -> Stage | None:
        """The stage that ends the journey, if there is one."""
        return self.stages[-1] if self.stages[-1].final else None

    @property
    def stage_ids(self) -> tuple[str, ...]:
        """All stages, lowest first."""
        return tuple(stage.id for stage in self.stages)

    def conditions(self) -> Iterator[AnyOf | AllOf | Leaf]:
        """Every condition written anywhere in the definition."""
        yield from (line.when for line in (self.score.fit if self.score else ()))
        yield from self.qualification.criteria.values() if self.qualification else ()
        yield from (stage.enter for stage in self.stages if stage.enter is not None)
        yield from (c for c in (self.disqualified, self.contact.contactable) if c is not None)

    def fields(self) -> tuple[str, ...]:
        """The canonical fields that the definition asks about, in the order they appear."""
        asked = (leaf for condition in self.conditions() for leaf in leaves(condition))
        return tuple(dict.fromkeys(leaf.field for leaf in asked if isinstance(leaf, FieldLeaf)))

    @model_validator(mode="after")
    def _ladder_stands(self) -> Self:
        ids = self.stage_ids
        if len({name.lower() for name in ids}) < len(ids):
            raise ValueError("two stages have the same id")
        if reserved := RESERVED_STAGES.intersection(ids):
            raise ValueError(f"a stage cannot be called {', '.join(sorted(reserved))}")
        for stage in self.stages[:-1]:
            if stage.final:
                raise ValueError(f"stage {stage.id}: only the last stage can be final")
        for stage in self.stages:
            self._check_rule(stage)
            if not stage.final and stage.action is None:
                raise ValueError(f"stage {stage.id} needs an action")
        return self

    def _check_rule(self, stage: Stage) -> None:
        first = stage is self.stages[0]
        if first != (stage.enter is None):
            wrong = "is the first and cannot have a rule" if first else "needs a rule: enter"
            raise ValueError(f"stage {stage.id} {wrong}")
        if stage.enter is None:
            return
        lower = self.stage_ids[: self.stage_ids.index(stage.id)]
        for leaf in leaves(stage.enter):
            if isinstance(leaf, StageLeaf) and leaf.stage not in lower:
                known = ", ".join(lower)
                raise ValueError(
                    f"the rule of stage {stage.id} names stage {leaf.stage}: "
                    f"it can only name a lower one ({known})"
                )
        if stage.final:
            _only(stage.enter, (EventLeaf, FieldLeaf), f"the final stage {stage.id}")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.disqualified is not None:
            _only(self.disqualified, (EventLeaf, FieldLeaf), "disqualified")
        staying = [stage.id for stage in self.stages if not stage.final]
        if self.recycled is not None and self.recycled.to not in staying:
            raise ValueError(f"recycled.to must be one of: {', '.join(staying)}")
        named = [
            kind
            for condition in self.conditions()
            for leaf in leaves(condition)
            if isinstance(leaf, EventLeaf)
            for kind in leaf.event
        ]
        named += [k for s in self.stages if s.follow_up for k in s.follow_up.by or ()]
        if unknown := sorted(set(named) - set(self.events)):
            raise ValueError(f"no such kind under events: {', '.join(unknown)}")
        return self
