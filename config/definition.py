"""The model of `lifecycle.yaml`: who is a lead, an MQL, a prospect, a customer.

`docs/definition.md` describes each part. The models reject unknown words and impossible values;
`config/checks.py` checks that a mapping feeds every kind and field.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
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
)

from config.model import ConfigModel
from config.validation_errors import ANY, Violation, YamlPath, did_you_mean, nearest

Direction = Literal["inbound", "two_way", "outbound", "internal"]


def _in_utc(value: datetime) -> datetime:
    """Convert to UTC without a zone; an instant without a zone is in UTC."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _as_identifier(value: str) -> str:
    if not (value.isascii() and value.isidentifier()):
        raise ValueError(f"`{value}` is not an id: letters, digits and _, and no digit first")
    return value


def _as_grade(value: str) -> str:
    if len(value) != 1 or not "A" <= value <= "Z":
        raise ValueError(f"`{value}` is not a grade: a grade is one capital letter")
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


def _as_touch(value: float) -> float:
    if not 0.01 <= value <= 1 or round(100 * value) / 100 != value:
        raise ValueError("`touch` must be from 0.01 to 1, with two decimals at most")
    return value


Touch = Annotated[
    float,
    AfterValidator(_as_touch),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1}),
]


RESERVED_STAGES = frozenset({"recycled", "disqualified", "stage"})


class _Model(ConfigModel):
    model_config = ConfigDict(allow_inf_nan=False)


def _as_tuple(value: object) -> object:
    """Read one word as a list of one."""
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]


class Kind(_Model):
    """One kind of event: its points, its channel and its direction."""

    points: float = 0
    """Points for each event. Negative points lower the score."""
    channel: str | None = None
    """The channel of the event, such as web or email. Rules can ask for several channels."""
    direction: Direction = "inbound"
    """inbound: the person acts. two_way: both act. outbound: we contact the person. internal:
    neither.
    """
    max_per_day: PositiveInt | None = None
    """At most this many events of a person count per UTC day."""
    activity: StrictBool | None = None
    """Whether the event shows interest. Default: yes for inbound and two_way."""
    touch: Touch | None = None
    """How much of a touch an outbound event is, in hundredths: 0.2 for a mass mail. Default: 1."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """An outbound kind is something that we do, and so no sign of interest."""
        if self.touch is not None and self.direction != "outbound":
            text = "only an outbound kind is a touch: remove it, or set direction to outbound"
            yield Violation(("touch",), text, reads=(("direction",),))
        if self.direction == "outbound" and self.activity:
            text = "an outbound kind cannot be an activity: the company acts, not the person"
            yield Violation(("activity",), text, reads=(("direction",),))

    @property
    def is_activity(self) -> bool:
        """Whether the event shows interest of the person."""
        by_default = self.direction in ("inbound", "two_way")
        return by_default if self.activity is None else self.activity

    @property
    def touch_hundredths(self) -> int:
        """How many hundredths of a touch an event is."""
        return round(100 * (1 if self.touch is None else self.touch))


class EventLeaf(_Model):
    """True from the moment when `count` events of these kinds are within the window."""

    event: Names
    """One kind of event, or a list of kinds."""
    count: PositiveInt = 1
    """How many events are needed."""
    within_days: Days | None = None
    """The length of the window in days. Default: all time."""


class ScoreLeaf(_Model):
    """True from the moment when the score reaches `gte`."""

    score: Literal["engagement", "total", "fit"]
    """engagement: points of events only. fit: points of the profile only. total: both."""
    gte: Positive
    """The score that must be reached."""


class ChannelsLeaf(_Model):
    """True from the activity with which this many channels are within the window."""

    channels: PositiveInt
    """How many different channels are needed."""
    within_days: Days | None = None
    """The length of the window in days. Default: all time."""


class FieldLeaf(_Model):
    """True from the moment when the field has a value that passes all of these tests."""

    field: str
    """A field that people.yaml declares."""
    is_: Scalar | None = Field(None, alias="is")
    """The value that the field must have."""
    is_not: Scalar | None = None
    """The value that the field must not have. An empty field passes."""
    in_: tuple[Scalar, ...] | None = Field(None, alias="in", min_length=1)
    """The field must have one of these values."""
    not_in: tuple[Scalar, ...] | None = Field(None, min_length=1)
    """The field must have none of these values. An empty field passes."""
    known: StrictBool | None = None
    """true: the field must have a value. false: it must be empty."""
    gt: Orderable | None = None
    """The value must be greater than this."""
    gte: Orderable | None = None
    """The value must be this or greater."""
    lt: Orderable | None = None
    """The value must be less than this."""
    lte: Orderable | None = None
    """The value must be this or less."""

    @property
    def tests(self) -> dict[str, Any]:
        """The tests that are written, by their YAML name."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "field"}
        return {name.rstrip("_"): value for name, value in values.items() if value is not None}

    def cross_field_violations(self) -> Iterator[Violation]:
        """A field without a test would hold for every person."""
        if not self.tests:
            text = "a field leaf needs a test: is, is_not, in, not_in, known, gt, ..."
            names = [field.alias or name for name, field in type(self).model_fields.items()]
            yield Violation((), text, reads=tuple((name,) for name in names))


class QualifiedLeaf(_Model):
    """True from the moment when this many criteria of `qualification` are met."""

    qualified: PositiveInt
    """How many criteria must be met."""


class StageLeaf(_Model):
    """True from the moment when the person has entered a lower stage."""

    stage: str
    """The id of a lower stage."""


class AnyOf(_Model):
    """True from the moment when the first of its parts is true."""

    any: tuple["Condition", ...] = Field(min_length=1)
    """Conditions of which one must be true."""


class AllOf(_Model):
    """True from the moment when all of its parts are true."""

    all: tuple["Condition", ...] = Field(min_length=1)
    """Conditions that must all be true."""


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
    """Walk the leaves of a condition, each with its path below the prefix."""
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
    """Points for a property of the person, as long as the condition is true."""

    points: float
    """Points that are added to the score. They do not fade."""
    when: Condition
    """The condition. It can only use fields."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """Fit describes the person: events and stages do not belong here."""
        yield from _leaf_type_violations((FieldLeaf,), self.when, ("when",), "a fit line")


class Score(_Model):
    """The score: how fast points for events fade, and points for the profile of the person."""

    half_life_days: Days
    """After this many days an event is worth half of its points."""
    fit: tuple[FitLine, ...] = ()
    """Points for the profile of the person."""
    grades: dict[Grade, float] = Field(default={})
    """Grade -> the fit points that it needs, such as {A: 30, B: 15}."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """A better grade needs more points."""
        floors = [self.grades[letter] for letter in sorted(self.grades)]
        if any(low >= high for high, low in pairwise(floors)):
            text = "the floors of the grades must fall from A on"
            yield Violation(("grades",), text, reads=(("grades", ANY),))


class Qualification(_Model):
    """The criteria of a qualified person, such as budget, authority, need and timeline."""

    framework: str | None = None
    """The name that reasons show, such as BANT."""
    criteria: dict[str, Condition] = Field(min_length=1)
    """Criterion -> the condition under which it is met. It can only use fields."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """Criteria describe the person: events and stages do not belong here."""
        for name, criterion in self.criteria.items():
            path: YamlPath = ("criteria", name)
            yield from _leaf_type_violations((FieldLeaf,), criterion, path, f"criterion {name}")


class FollowUp(_Model):
    """How soon a colleague contacts a person who has entered the stage."""

    within_hours: Positive
    """Hours after the person entered the stage."""
    by: Names | None = None
    """Kinds of events that count as follow-up. Default: every outbound or two_way kind."""


class Stage(_Model):
    """A stage: the rule to enter it, and the next action for people in it."""

    id: Id
    """The name of the stage in rules, tables and mappings."""
    label: str | None = None
    """The name that people read. Default: the id."""
    action: str | None = None
    """The next action for people in this stage."""
    follow_up: FollowUp | None = None
    """How soon a colleague contacts the person."""
    expires_days: Days | None = None
    """After this number of days without an entry into this stage or a higher one, people who are
    in this stage go back to `recycled.to`.
    """
    final: StrictBool = False
    """Whether the stage ends the lifecycle. Only the last stage can be final."""
    enter: Condition | None = None
    """The rule to enter the stage. Every stage but the first has one."""


class Recycled(_Model):
    """The stage to which people go back: after how long a silence, and after which events."""

    to: str
    """The id of the stage to which people go back."""
    after_inactive_days: Days
    """Days without activity."""
    by: Names | None = None
    """Kinds of events that send people back at once, such as a lost opportunity."""


class Pressure(_Model):
    """How many outbound contacts without a reaction are too many."""

    within_days: Days
    """The length of the window in days."""
    high: PositiveInt
    """From this many contacts on the pressure is high."""
    stop: PositiveInt
    """From this many contacts on the next action is pause."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """The warning comes before the stop."""
        if self.high >= self.stop:
            yield Violation(("high",), "high must be below stop", reads=(("stop",),))


class Contact(_Model):
    """Which people may be contacted, and how often."""

    contactable: Condition | None = None
    """The condition under which a person may be contacted. It can only use fields."""
    pressure: Pressure | None = None
    """How many outbound contacts without a reaction are too many."""

    def cross_field_violations(self) -> Iterator[Violation]:
        """Consent and bounces are fields of the person."""
        if self.contactable is not None:
            path: YamlPath = ("contactable",)
            yield from _leaf_type_violations((FieldLeaf,), self.contactable, path, "contactable")


class Definition(_Model):
    """The definition of leads, MQLs, prospects and customers: `mappings/lifecycle.yaml`."""

    version: StrictStr
    """The version of the definition, as text in quotes. It is part of the definition id."""
    events: dict[str, Kind] = Field(min_length=1)
    """Kind -> how its events count."""
    score: Score | None = None
    """How the score is computed."""
    qualification: Qualification | None = None
    """The criteria of a qualified person."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    """The stages, lowest first."""
    recycled: Recycled | None = None
    """When inactive people go back to a lower stage."""
    disqualified: Condition | None = None
    """The condition under which a person is disqualified. It can only use events and fields."""
    contact: Contact = Contact()
    """The rule for consent, and the limits of outbound contacts."""

    @property
    def id(self) -> str:
        """The version and a hash of the content: equal ids give equal results."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def final(self) -> Stage | None:
        """The stage that ends the lifecycle, if there is one."""
        return self.stages[-1] if self.stages[-1].final else None

    @property
    def closing_kinds(self) -> tuple[str, ...]:
        """The kinds of events that close a cycle."""
        return (self.recycled and self.recycled.by) or ()

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
        """The fields that the definition uses, in the order they appear."""
        leaves = (leaf for _, leaf in self.all_leaves_with_path())
        return tuple(dict.fromkeys(leaf.field for leaf in leaves if isinstance(leaf, FieldLeaf)))

    def cross_field_violations(self) -> Iterator[Violation]:
        """The stages, their rules, and the names that refer to kinds and stages."""
        yield from self._stage_violations()
        yield from self._rule_violations()
        yield from self._unknown_kinds()
        yield from self._expiry_violations()
        staying = [stage.id for stage in self.stages if not stage.final]
        if self.recycled is not None and self.recycled.to not in staying:
            target = self.recycled.to
            reason = "is final" if target in self.stage_ids else "is not a stage"
            text = f"recycled.to `{target}` {reason}{did_you_mean(target, staying)}"
            reads = () if nearest(target, staying) else (("stages", ANY, "id"),)
            yield Violation(("recycled", "to"), text, nearest(target, staying), reads=reads)

    def _stage_violations(self) -> Iterator[Violation]:
        earlier: set[str] = set()
        for i, stage in enumerate(self.stages):
            path: YamlPath = ("stages", i)
            if stage.id.lower() in earlier:
                yield Violation((*path, "id"), f"two stages are called {stage.id}")
            earlier.add(stage.id.lower())
            if stage.id in RESERVED_STAGES:
                yield Violation((*path, "id"), f"a stage cannot be called {stage.id}: reserved")
            if stage.final and stage is not self.stages[-1]:
                text = f"stage {stage.id}: only the last stage can be final"
                yield Violation((*path, "final"), text)
            if not stage.final and stage.action is None:
                text = f"stage {stage.id} needs an action"
                yield Violation((*path, "action"), text, reads=((*path, "final"),))

    def _expiry_violations(self) -> Iterator[Violation]:
        """Only who stands above `recycled.to`, and not at the end, can go back to it."""
        recycled, ids = self.recycled, self.stage_ids
        for i, stage in enumerate(self.stages):
            path: YamlPath = ("stages", i, "expires_days")
            if stage.expires_days is None:
                continue
            if recycled is None:
                text = "expires_days needs the section recycled: it says where people go back to"
                yield Violation(path, text, reads=(("recycled",),))
            elif stage.final:
                text = f"stage {stage.id} is final: no person leaves it, so remove expires_days"
                yield Violation(path, text, reads=(("stages", i, "final"),))
            elif recycled.to in ids and i <= ids.index(recycled.to):
                text = f"expires_days of {stage.id} has no effect: it is not above `{recycled.to}`"
                yield Violation(path, text, reads=(("recycled", "to"),))

    def _rule_violations(self) -> Iterator[Violation]:
        for i, stage in enumerate(self.stages):
            path: YamlPath = ("stages", i, "enter")
            if i == 0 and stage.enter is not None:
                yield Violation(path, f"stage {stage.id} is the first and cannot have a rule")
            elif i > 0 and stage.enter is None:
                yield Violation(path, f"stage {stage.id} needs a rule: enter")
            elif stage.enter is not None:
                yield from self._stage_leaf_violations(stage.enter, i)
                if stage.final:
                    where = f"the final stage {stage.id}"
                    yield from _leaf_type_violations(_PERSON_LEAVES, stage.enter, path, where)
        if self.disqualified is not None:
            path = ("disqualified",)
            yield from _leaf_type_violations(
                _PERSON_LEAVES, self.disqualified, path, "disqualified"
            )

    def _stage_leaf_violations(self, rule: AnyOf | AllOf | Leaf, i: int) -> Iterator[Violation]:
        lower, stage_id = self.stage_ids[:i], self.stage_ids[i]
        for path, leaf in leaves_with_path(rule, ("stages", i, "enter")):
            if not isinstance(leaf, StageLeaf) or leaf.stage in lower:
                continue
            if leaf.stage in self.stage_ids:
                text = f"the rule of stage {stage_id} names `{leaf.stage}`, which is not lower"
                yield Violation((*path, "stage"), f"{text} (lower are: {', '.join(lower)})")
                continue
            near = nearest(leaf.stage, lower)
            text = f"the rule of stage {stage_id} names an unknown stage `{leaf.stage}`"
            reads = () if near else (("stages", ANY, "id"),)
            hint = did_you_mean(leaf.stage, lower)
            yield Violation((*path, "stage"), text + hint, near, reads=reads)

    def _unknown_kinds(self) -> Iterator[Violation]:
        named: list[tuple[YamlPath, str]] = [
            ((*path, "event", i), kind)
            for path, leaf in self.all_leaves_with_path()
            if isinstance(leaf, EventLeaf)
            for i, kind in enumerate(leaf.event)
        ]
        named += [
            (("stages", i, "follow_up", "by", j), kind)
            for i, stage in enumerate(self.stages)
            if stage.follow_up
            for j, kind in enumerate(stage.follow_up.by or ())
        ]
        named += [
            (("recycled", "by", i), kind)
            for i, kind in enumerate((self.recycled and self.recycled.by) or ())
        ]
        for path, kind in named:
            if kind not in self.events:
                text = f"unknown kind `{kind}`: it is not under events"
                near = nearest(kind, self.events)
                hint = f"; did you mean `{near}`?" if near else ""
                yield Violation(path, text + hint, near, reads=(("events",),))
