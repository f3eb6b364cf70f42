"""How a CRM speaks our vocabulary: the models of `people.yaml` and of one mapping per CRM."""

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from config.definition import FieldLeaf, PositiveInt
from config.model import ConfigModel
from config.validation_errors import Violation
from models import Catalog, FieldType

ENRICHED_FIELDS: dict[str, FieldType] = {
    "seniority": "text",
    "job_function": "text",
    "email_domain": "text",
    "is_free_mail": "boolean",
}
"""Fields that a record implies; see `enrich.py`. A mapping may state them as well."""

DERIVED_FROM = {
    "seniority": "job_title",
    "job_function": "job_title",
    "email_domain": "email",
    "is_free_mail": "email",
}
"""The field that each of them is read off."""


def with_sources(field_names: Iterable[str]) -> tuple[str, ...]:
    """The canonical fields asked for, and those that they are read off where no CRM states them."""
    named = [(name, DERIVED_FROM.get(name)) for name in field_names]
    return tuple(dict.fromkeys(name for pair in named for name in pair if name is not None))


def _as_tuple(value: object) -> object:
    """Read one word as a list of one."""
    return (value,) if isinstance(value, str | bool | int | float) else value


StringList = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]
Value = StrictBool | StrictInt | StrictFloat | StrictStr


def _allow_short_form(*types: str) -> ConfigDict:
    """Let editors take the short form as well: one word in place of the whole section."""

    def widen(schema: dict[str, Any]) -> None:
        section = dict(schema)
        schema.clear()
        schema["anyOf"] = [*({"type": type} for type in types), section]

    return ConfigDict(json_schema_extra=widen)


class CanonicalField(ConfigModel):
    """A field of ours: its type, and whose word counts where the CRMs differ."""

    model_config = _allow_short_form("string")

    type: FieldType = "text"
    survivorship: (
        Literal["most_recent", "oldest", "most_restrictive"]
        | Annotated[tuple[str, ...], Field(min_length=1)]
    ) = "most_recent"

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    def cross_field_violations(self) -> Iterator[Violation]:
        """Only of yes and no one is stricter than the other."""
        if self.survivorship == "most_restrictive" and self.type != "boolean":
            text = "survivorship most_restrictive needs type boolean"
            yield Violation(("survivorship",), text, reads=(("type",),))


class People(ConfigModel):
    """Who is one person, and whose word counts: `mappings/people.yaml`."""

    max_cluster_size: Annotated[StrictInt, Field(gt=1)] = 10
    role_addresses: tuple[str, ...] = ()
    free_email_domains: tuple[str, ...] = ()
    fields: dict[str, CanonicalField]


class FieldRead(ConfigModel):
    """Where a canonical field comes from: a field of the CRM, spelt our way."""

    model_config = _allow_short_form("string")

    field: str
    values: dict[str, str] = Field(default={})
    known: StrictBool | None = None
    gte: StrictInt | StrictFloat | None = None
    optional: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"field": value} if isinstance(value, str) else value

    @property
    def test(self) -> FieldLeaf | None:
        """What makes a yes of the CRM's value, where the canonical field is a yes or no."""
        if self.known is None and self.gte is None:
            return None
        return FieldLeaf.model_validate(self.model_dump(include={"field", "known", "gte"}))


class Where(ConfigModel):
    """What a column must hold: one of these values, a part of text, or anything at all."""

    model_config = _allow_short_form("string", "boolean", "number", "array")

    values: tuple[Value, ...] = ()
    contains: StringList | None = None
    known: StrictBool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return value if value is None or isinstance(value, Map) else {"values": _as_tuple(value)}

    def cross_field_violations(self) -> Iterator[Violation]:
        """Exactly one test is written."""
        if bool(self.values) + (self.contains is not None) + (self.known is not None) != 1:
            text = "write a value, a list of values, {contains: ...} or {known: ...}"
            yield Violation((), text, reads=(("values",), ("contains",), ("known",)))


class History(ConfigModel):
    """Where the past of a record type's fields is told, one row per change.

    `value` is what the field took, `before` what it held until then. `keeps`: of each field no
    more than so many changes are told, and older ones are forgotten.
    """

    object: str
    record: str
    field: str
    at: str
    value: str
    before: str | None = None
    max_entries: PositiveInt | None = None
    optional: StrictBool = False


class RecordType(ConfigModel):
    """A kind of record that stands for a person.

    `additional_emails` and `merged_ids` hold several words joined with `;`: other addresses of the
    person, and the ids of records that were merged into this one and are gone.
    """

    fields: dict[str, FieldRead]
    additional_emails: str | None = None
    merged_ids: str | None = None
    read_only: dict[str, Where] = Field(default={})
    history: History | None = None


class SourceObject(ConfigModel):
    """How the rows of an object lead to people and to other objects.

    `people` maps a column to the record types whose ids it holds, or to `email` where it holds an
    address. `parents` maps a name to the object that `<name>Id` points to: `Campaign.Type`.
    """

    person_keys: dict[str, StringList] = Field(default={})
    parents: dict[str, str] = Field(default={})
    message_id: str | None = None
    optional: StrictBool = False


class EventRule(ConfigModel):
    """What makes an event of a row of the CRM: the first rule that fits gives the kind."""

    object: str
    where: dict[str, Where] = Field(default={})
    kind: str | None = None
    ignore: StrictBool = False
    at: StringList = ()
    optional: StrictBool = False

    def cross_field_violations(self) -> Iterator[Violation]:
        """A rule makes an event with its instant, or ignores the row."""
        if self.ignore and (self.kind is not None or self.at):
            yield Violation(("ignore",), "a rule with `ignore: true` has neither kind nor at")
        if not self.ignore and self.kind is None:
            text = "`kind` is missing (or write `ignore: true`)"
            yield Violation(("kind",), text, reads=(("ignore",),))
        if not self.ignore and not self.at and self.kind != "nothing":
            text = "`at` is missing: the column with the instant of the event"
            yield Violation(("at",), text, reads=(("ignore",), ("kind",)))


class FieldWrite(ConfigModel):
    """What is written into a field of the CRM.

    `values` translates; of several words the first is written and all are taken as right.
    `on_manual_change` says what becomes of a value that something else put in place of ours.
    """

    from_: str = Field(alias="from")
    values: dict[str, StringList] = Field(default={})
    min_change: Annotated[float, Field(gt=0)] | None = None
    backward: Literal["allow", "never", "clear_first"] = "allow"
    on_manual_change: Literal["overwrite", "keep", "review"] = "overwrite"
    optional: StrictBool = False


class Link(ConfigModel):
    """A field that holds ids of other records of the same person: `<crm>.<record type>`."""

    model_config = _allow_short_form("string")

    to: str
    optional: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str) else value


class SystemFields(ConfigModel):
    """The fields that every object of the CRM has: the id, the dates, the deleted flag."""

    id: str
    id_match_length: PositiveInt | None = None
    created_at: str
    updated_at: str
    deleted: str


class Mapping(ConfigModel):
    """One CRM's words for ours: `mappings/<crm>.yaml`."""

    system_fields: SystemFields
    records: dict[str, RecordType] = Field(min_length=1)
    objects: dict[str, SourceObject] = Field(default={})
    events: tuple[EventRule, ...] = ()
    write: dict[str, dict[str, FieldWrite]] = Field(default={})
    links: dict[str, Link] = Field(default={})

    def links_of(self, record: str) -> dict[str, str]:
        """The id columns of a record type and the `crm.record` each points to."""
        asked = {}
        for name, link in self.links.items():
            of, dot, field = name.rpartition(".")
            if not dot or of == record:
                asked[field] = link.to
        return asked

    def rules_by_object(self) -> dict[str, list[EventRule]]:
        """The event rules of each object, in the order written."""
        grouped: dict[str, list[EventRule]] = {}
        for rule in self.events:
            grouped.setdefault(rule.object, []).append(rule)
        return grouped

    def parents_of(self, object: str) -> dict[str, str]:
        """The parents that columns of an object may be read from."""
        return self.objects[object].parents if object in self.objects else {}

    def column_paths(self, object: str) -> Iterator[str]:
        """Every column that rules, fields and people read of an object; dotted: of a parent."""
        if object in self.records:
            record = self.records[object]
            yield from (read.field for read in record.fields.values())
            yield from (*self.links_of(object), *record.read_only)
            yield from filter(None, (record.additional_emails, record.merged_ids))
            yield from self.write.get(object, {})
        for rule in self.rules_by_object().get(object, []):
            yield from (*rule.where, *rule.at)
        if object in self.objects:
            source = self.objects[object]
            yield from source.person_keys
            yield from (source.message_id,) if source.message_id else ()

    def objects_read(self) -> tuple[str, ...]:
        """Every object that has to be pulled, histories left aside."""
        named = [*self.records, *(rule.object for rule in self.events)]
        named += [parent for object in named for parent in self.parents_of(object).values()]
        return tuple(dict.fromkeys(named))

    def field_selection(self, field_names: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
        """What to read: object -> fields, with the history of the canonical fields `asked`."""
        wanted: dict[str, dict[str, None]] = {object: {} for object in self.objects_read()}
        for object in self.objects_read():
            for path in self.column_paths(object):
                name, dot, field = path.rpartition(".")
                if dot:
                    wanted[object][f"{name}Id"] = None
                    wanted[self.parents_of(object)[name]][field] = None
                else:
                    wanted[object][path] = None
        for name, history in self.histories():
            wanted[history.object] = dict.fromkeys(self.history_fields(name, field_names))
        return {object: tuple(fields) for object, fields in wanted.items()}

    def histories(self) -> Iterator[tuple[str, History]]:
        """The record types whose past is told."""
        for name, record in self.records.items():
            if record.history is not None:
                yield name, record.history

    def history_fields(self, record: str, field_names: Iterable[str]) -> tuple[str, ...]:
        """The columns to ask of a history: its own, or the fields whose past is wanted."""
        told = self.records[record].history
        if told is None:
            return ()
        if told.record == self.system_fields.id:
            # the history's rows carry the record's own id: it is asked by naming the fields
            reads = self.records[record].fields
            return tuple(reads[name].field for name in field_names if name in reads)
        columns = (told.record, told.field, told.at, told.value, told.before)
        return tuple(column for column in columns if column is not None)

    def drop_missing_optional(self, catalog: Catalog) -> tuple["Mapping", list[str]]:
        """Drop what is marked optional and the account does not have; say what was dropped."""
        return _drop_missing_optional(self, catalog)


def _drop_missing_optional(mapping: Mapping, catalog: Catalog) -> tuple[Mapping, list[str]]:
    dropped: list[str] = []

    def has(object: str, path: str) -> bool:
        name, dot, field = path.rpartition(".")
        where = mapping.parents_of(object).get(name, "") if dot else object
        return field in catalog.get(where, {})

    def keep(object: str, path: str, is_optional: bool) -> bool:
        if is_optional and not has(object, path):
            dropped.append(f"{object}.{path}")
            return False
        return True

    records = {
        name: record.model_copy(
            update={
                "fields": {
                    field: read
                    for field, read in record.fields.items()
                    if keep(name, read.field, read.optional)
                },
                "history": _history_if_there(record.history, catalog, dropped),
            }
        )
        for name, record in mapping.records.items()
    }
    write = {
        name: {field: w for field, w in fields.items() if keep(name, field, w.optional)}
        for name, fields in mapping.write.items()
    }
    gone = {n for n, source in mapping.objects.items() if source.optional and n not in catalog}
    dropped += sorted(gone)
    events = tuple(
        rule
        for rule in mapping.events
        if rule.object not in gone
        and all(keep(rule.object, path, rule.optional) for path in rule.where)
    )
    links = {
        name: link
        for name, link in mapping.links.items()
        if all(
            keep(of, name.rpartition(".")[2], link.optional)
            for of in _linking_record_types(mapping, name)
        )
    }
    update: dict[str, Any] = {"records": records, "write": write, "events": events, "links": links}
    return mapping.model_copy(update=update), list(dict.fromkeys(dropped))


def _linking_record_types(mapping: Mapping, link: str) -> list[str]:
    """The record types that a link is read from."""
    of, dot, _ = link.rpartition(".")
    return [of] if dot else list(mapping.records)


def _history_if_there(
    history: History | None, catalog: Catalog, dropped: list[str]
) -> History | None:
    if history is not None and history.optional and history.object not in catalog:
        dropped.append(history.object)
        return None
    return history
