"""The shared definition, who is a lead, an MQL, a prospect, a customer: the model of its YAML.

What each part means is in `docs/definition.md`. The models here refuse what is unknown or
impossible; whether a kind or a field is really fed by a mapping is asked in `check.py`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
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
    WithJsonSchema,
    model_validator,
)

from config.validation_errors import Violation, YamlPath, did_you_mean, nearest, raise_all

Direction = Literal["inbound", "two_way", "outbound", "internal"]


def _in_utc(value: datetime) -> datetime:
    """An instant without a zone is meant in UTC."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _as_identifier(value: str) -> str:
    if not (value.isascii() and value.isidentifier()):
        raise ValueError(f"`{value}` is no id: letters, digits and _, and no digit first")
    return value


def _as_grade(value: str) -> str:
    if len(value) != 1 or not "A" <= value <= "Z":
        raise ValueError(f"`{value}` is no grade: a grade is one capital letter")
    return value


Instant = Annotated[datetime, AfterValidator(_in_utc)]
Scalar = StrictBool | StrictInt | StrictFloat | Instant | date | StrictStr
Orderable = StrictInt | StrictFloat | Instant | date
Id = Annotated[
    str,
    AfterValidator(_as_identifier),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
]
Grade = Annotated[
    str, AfterValidator(_as_grade), WithJsonSchema({"type": "string", "pattern": "^[A-Z]$"})
]
Positive = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0, le=36_500)]
PositiveInt = Annotated[StrictInt, Field(gt=0)]
RESERVED_STAGES = frozenset({"recycled", "disqualified", "stage"})


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


def _as_tuple(value: object) -> object:
    """Read one word as a list of one."""
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]


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

    event: Names
    count: PositiveInt = 1
    within_days: Days | None = None


class ScoreLeaf(_Model):
    """True since the first moment at which the score reaches `gte`."""

    score: Literal["engagement", "total"]
    gte: Positive


class ChannelsLeaf(_Model):
    """True since the first activity with which this many distinct channels lie in the window."""

    channels: PositiveInt
    within_days: Days | None = None


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


def _condition_tag(value: object) -> str | None:
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
        _condition_tag,
        custom_error_type="condition",
        custom_error_message="a condition starts with one of: " + ", ".join(CONDITIONS),
    ),
]
AnyOf.model_rebuild()
AllOf.model_rebuild()
Leaf = EventLeaf | ScoreLeaf | ChannelsLeaf | FieldLeaf | QualifiedLeaf | StageLeaf
_PERSON_LEAVES = (EventLeaf, FieldLeaf)


def leaves(condition: "AnyOf | AllOf | Leaf") -> Iterator[Leaf]:
    """Walk the leaves of a condition in the order they are written."""
    yield from (leaf for _, leaf in leaves_with_path(condition))


def leaves_with_path(
    condition: "AnyOf | AllOf | Leaf", prefix: YamlPath = ()
) -> Iterator[tuple[YamlPath, Leaf]]:
    """Walk the leaves of the condition that stands `at` a place, each with its own place."""
    match condition:
        case AnyOf(any=parts):
            for i, part in enumerate(parts):
                yield from leaves_with_path(part, (*prefix, "any", i))
        case AllOf(all=parts):
            for i, part in enumerate(parts):
                yield from leaves_with_path(part, (*prefix, "all", i))
        case leaf:
            yield prefix, leaf


def _leaf_type_violations(
    allowed: tuple[type, ...], condition: "AnyOf | AllOf | Leaf", at: YamlPath, what: str
) -> Iterator[Violation]:
    words = " and ".join(w for w, model in CONDITIONS.items() if model in allowed)
    for place, leaf in leaves_with_path(condition, at):
        if not isinstance(leaf, allowed):
            yield Violation(place, f"{what} takes {words} leaves only")


class FitLine(_Model):
    """Points for what the person is, as long as the condition holds."""

    points: float
    when: Condition

    @model_validator(mode="after")
    def _fields_only(self) -> Self:
        raise_all("fit", _leaf_type_violations((FieldLeaf,), self.when, ("when",), "a fit line"))
        return self


class Score(_Model):
    """What engagement is worth and how fast it fades; what the profile adds; the grades of fit."""

    half_life_days: Days
    fit: tuple[FitLine, ...] = ()
    grades: dict[Grade, float] = {}

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
            found = _leaf_type_violations(
                (FieldLeaf,), criterion, ("criteria", name), f"criterion {name}"
            )
            raise_all("qualification", found)
        return self


class FollowUp(_Model):
    """How soon somebody should answer after the stage was entered, and by what kinds of event."""

    within_hours: Positive
    by: Names | None = None


class Stage(_Model):
    """One rung of the ladder: how it is entered and what is to be done there."""

    id: Id
    label: str | None = None
    action: str | None = None
    follow_up: FollowUp | None = None
    final: StrictBool = False
    enter: Condition | None = None


class Recycled(_Model):
    """Where those fall back to who went quiet, and after how long."""

    to: str
    after_inactive_days: Days


class Pressure(_Model):
    """From how many touches without an answer on it is too much."""

    within_days: Days
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
            at: YamlPath = ("contactable",)
            raise_all(
                "contact", _leaf_type_violations((FieldLeaf,), self.contactable, at, "contactable")
            )
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

    def conditions_with_path(self) -> Iterator[tuple[YamlPath, AnyOf | AllOf | Leaf]]:
        """Every condition written anywhere in the definition, with its place."""
        for i, line in enumerate(self.score.fit if self.score else ()):
            yield ("score", "fit", i, "when"), line.when
        for name, criterion in (self.qualification.criteria if self.qualification else {}).items():
            yield ("qualification", "criteria", name), criterion
        for i, stage in enumerate(self.stages):
            if stage.enter is not None:
                yield ("stages", i, "enter"), stage.enter
        if self.disqualified is not None:
            yield ("disqualified",), self.disqualified
        if self.contact.contactable is not None:
            yield ("contact", "contactable"), self.contact.contactable

    def conditions(self) -> Iterator[AnyOf | AllOf | Leaf]:
        """Every condition written anywhere in the definition."""
        yield from (condition for _, condition in self.conditions_with_path())

    def all_leaves_with_path(self) -> Iterator[tuple[YamlPath, Leaf]]:
        """Every leaf written anywhere in the definition, with its place."""
        for at, condition in self.conditions_with_path():
            yield from leaves_with_path(condition, at)

    def fields(self) -> tuple[str, ...]:
        """The canonical fields that the definition asks about, in the order they appear."""
        asked = (leaf for _, leaf in self.all_leaves_with_path())
        return tuple(dict.fromkeys(leaf.field for leaf in asked if isinstance(leaf, FieldLeaf)))

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        raise_all("definition", [*self._ladder(), *self._rules(), *self._kinds(), *self._return()])
        return self

    def _ladder(self) -> Iterator[Violation]:
        before: set[str] = set()
        for i, stage in enumerate(self.stages):
            if stage.id.lower() in before:
                yield Violation(("stages", i, "id"), f"two stages are called {stage.id}")
            before.add(stage.id.lower())
            if stage.id in RESERVED_STAGES:
                yield Violation(("stages", i, "id"), f"a stage cannot be called {stage.id}")
            if stage.final and stage is not self.stages[-1]:
                text = f"stage {stage.id}: only the last stage can be final"
                yield Violation(("stages", i, "final"), text)
            if not stage.final and stage.action is None:
                yield Violation(("stages", i), f"stage {stage.id} needs an action")

    def _rules(self) -> Iterator[Violation]:
        for i, stage in enumerate(self.stages):
            if i == 0 and stage.enter is not None:
                text = f"stage {stage.id} is the first and cannot have a rule"
                yield Violation(("stages", i, "enter"), text)
            elif i > 0 and stage.enter is None:
                yield Violation(("stages", i), f"stage {stage.id} needs a rule: enter")
            elif stage.enter is not None:
                yield from self._stage_leaves(stage.enter, i)
                if stage.final:
                    at: YamlPath = ("stages", i, "enter")
                    yield from _leaf_type_violations(
                        _PERSON_LEAVES, stage.enter, at, f"the final stage {stage.id}"
                    )
        if self.disqualified is not None:
            yield from _leaf_type_violations(
                _PERSON_LEAVES, self.disqualified, ("disqualified",), "disqualified"
            )

    def _stage_leaves(self, rule: AnyOf | AllOf | Leaf, i: int) -> Iterator[Violation]:
        lower = self.stage_ids[:i]
        for place, leaf in leaves_with_path(rule, ("stages", i, "enter")):
            if isinstance(leaf, StageLeaf) and leaf.stage not in lower:
                higher = leaf.stage in self.stage_ids
                hint = f" (lower are: {', '.join(lower)})"
                text = f"the rule of stage {self.stage_ids[i]} names stage `{leaf.stage}`, " + (
                    f"which is not lower{hint}" if higher else "which there is not"
                )
                more = "" if higher else did_you_mean(leaf.stage, lower)
                meant = None if higher else nearest(leaf.stage, lower)
                yield Violation((*place, "stage"), text + more, meant)

    def _kinds(self) -> Iterator[Violation]:
        named = [
            ((*place, "event", i), kind)
            for place, leaf in self.all_leaves_with_path()
            if isinstance(leaf, EventLeaf)
            for i, kind in enumerate(leaf.event)
        ]
        named += [
            (("stages", i, "follow_up", "by", j), kind)
            for i, stage in enumerate(self.stages)
            if stage.follow_up
            for j, kind in enumerate(stage.follow_up.by or ())
        ]
        for place, kind in named:
            if kind not in self.events:
                text = f"no such kind under events: `{kind}`{did_you_mean(kind, self.events)}"
                yield Violation(place, text, nearest(kind, self.events))

    def _return(self) -> Iterator[Violation]:
        staying = [stage.id for stage in self.stages if not stage.final]
        if self.recycled is not None and self.recycled.to not in staying:
            text = f"nobody can fall back to `{self.recycled.to}`"
            more = did_you_mean(self.recycled.to, staying)
            yield Violation(("recycled", "to"), text + more, nearest(self.recycled.to, staying))
