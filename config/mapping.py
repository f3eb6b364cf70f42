"""The models of `people.yaml` and of the mapping file of a CRM."""

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
from config.lifecycle_columns import FADING_COLUMNS
from config.model import ConfigModel
from config.validation_errors import Violation
from models import Catalog, FieldType

ENRICHED_FIELDS: dict[str, FieldType] = {
    "seniority": "text",
    "job_function": "text",
    "email_domain": "text",
    "is_free_mail": "boolean",
}
"""Fields that are computed from other fields where no mapping reads them."""

DERIVED_FROM = {
    "seniority": "job_title",
    "job_function": "job_title",
    "email_domain": "email",
    "is_free_mail": "email",
}
"""Computed field -> the field it is computed from."""


def with_sources(field_names: Iterable[str]) -> tuple[str, ...]:
    """Add to some fields the fields from which they are computed."""
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
    """Accept the short form in editors as well: one word in place of the section."""

    def widen(schema: dict[str, Any]) -> None:
        section = dict(schema)
        schema.clear()
        schema["anyOf"] = [*({"type": type} for type in types), section]

    return ConfigDict(json_schema_extra=widen)


LIST_SIGN = "$"
"""Before the name of a list of words."""


class CanonicalField(ConfigModel):
    """A field of a person: its type, and which CRM's value is taken."""

    model_config = _allow_short_form("string")

    type: FieldType = "text"
    """The type of the values."""
    survivorship: (
        Literal["most_recent", "oldest", "most_restrictive"]
        | Annotated[tuple[str, ...], Field(min_length=1)]
    ) = "most_recent"
    """Which CRM's value is taken: most_recent, oldest, a list of CRMs in order of trust, or
    most_restrictive (boolean only: one yes is enough).
    """

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
    """Which records are one person, and which CRM's value is taken: `mappings/people.yaml`."""

    max_cluster_size: Annotated[StrictInt, Field(gt=1)] = 10
    """More records than this are not joined by e-mail alone. They are reported."""
    role_addresses: tuple[str, ...] = ()
    """The parts before the @ that many people share, such as info. They identify no person."""
    free_email_domains: tuple[str, ...] = ()
    """Domains that say nothing about the employer, such as gmail.com."""
    fields: dict[str, CanonicalField]
    """The fields of a person. email must be one of them."""


class FieldRead(ConfigModel):
    """The field of the CRM from which a person's field is read."""

    model_config = _allow_short_form("string")

    field: str
    """The field of the CRM. `Account.Name` reads a field of a parent object."""
    values: dict[str, str] = Field(default={})
    """Value in the CRM -> our value. Other values stay as they are."""
    known: StrictBool | None = None
    """true: read yes where the field has a value, and no where it is empty."""
    gte: StrictInt | StrictFloat | None = None
    """Read yes where the number is this or greater."""
    optional: StrictBool = False
    """true: run without the field where the account does not have it."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"field": value} if isinstance(value, str) else value

    @property
    def test(self) -> FieldLeaf | None:
        """The test that makes a boolean of the CRM value; None: the value is read itself."""
        if self.known is None and self.gte is None:
            return None
        return FieldLeaf.model_validate(self.model_dump(include={"field", "known", "gte"}))


class Where(ConfigModel):
    """The test of a column. Of several tests all must hold."""

    model_config = _allow_short_form("string", "boolean", "number", "array")

    values: tuple[Value, ...] = ()
    """The column must have one of these values."""
    words: StringList | None = None
    """The text must have one of these words or phrases, whole; case and accents do not matter.
    `$name` is a list of the section `words`; `demo*` is every word that begins with demo.
    """
    contains: StringList | None = None
    """The text must contain one of these parts, also inside of a word."""
    known: StrictBool | None = None
    """true: the column must have a value. false: it must be empty."""
    gte: StrictInt | StrictFloat | None = None
    """The number must be this or greater."""
    lt: StrictInt | StrictFloat | None = None
    """The number must be smaller than this."""
    not_: "Where | None" = Field(default=None, alias="not")
    """This test must fail. It fails where the column is empty."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return value if value is None or isinstance(value, Map) else {"values": _as_tuple(value)}

    def cross_field_violations(self) -> Iterator[Violation]:
        """At least one test is written, and a word has letters."""
        names = ("values", "words", "contains", "known", "gte", "lt", "not")
        tests = (self.words, self.contains, self.known, self.gte, self.lt, self.not_)
        if not self.values and all(test is None for test in tests):
            text = "write a value, a list of values, or one of words, contains, known, gte, lt, not"
            yield Violation((), text, reads=tuple((name,) for name in names))
        for i, word in enumerate(self.words or ()):
            if not any(letter.isalnum() for letter in word):
                yield Violation(("words", i), "a word needs a letter or a digit")

    def word_lists(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """The lists that are named, each with its place."""
        for i, word in enumerate(self.words or ()):
            if word.startswith(LIST_SIGN):
                yield ("words", i), word.removeprefix(LIST_SIGN)
        if self.not_ is not None:
            for place, name in self.not_.word_lists():
                yield ("not", *place), name

    def spelt_out(self, lists: Map[str, tuple[str, ...]]) -> "Where":
        """The same test with the words of each list in place of its name."""
        words = self.words and tuple(
            word
            for one in self.words
            for word in (
                lists[one.removeprefix(LIST_SIGN)] if one.startswith(LIST_SIGN) else (one,)
            )
        )
        other = self.not_ and self.not_.spelt_out(lists)
        return self.model_copy(update={"words": words, "not_": other})


class History(ConfigModel):
    """The object with the earlier values of a record type's fields, one row per change."""

    object: str
    """The object with one row per change."""
    record: str
    """The column with the id of the changed record."""
    field: str
    """The column with the name of the changed field."""
    at: str
    """The column with the time of the change."""
    value: str
    """The column with the new value."""
    before: str | None = None
    """The column with the old value."""
    max_entries: PositiveInt | None = None
    """The CRM keeps at most this many changes per field."""
    optional: StrictBool = False
    """true: run without the history where the account does not have it."""


class RecordType(ConfigModel):
    """A record type that stands for a person, such as contacts, Lead or Contact."""

    fields: dict[str, FieldRead]
    """Field of a person -> field of the CRM."""
    additional_emails: str | None = None
    """A field with more addresses of the person, separated by ;"""
    merged_ids: str | None = None
    """A field with the ids of records that were merged into this one, separated by ;"""
    read_only: dict[str, Where] = Field(default={})
    """Records that match are read and never written."""
    history: History | None = None
    """The object with the earlier values of the fields."""


class SourceObject(ConfigModel):
    """The columns of an object that lead to people and to other objects."""

    person_keys: dict[str, StringList] = Field(default={})
    """Column -> the record types whose ids it holds, or email where it holds addresses."""
    parents: dict[str, str] = Field(default={})
    """Name -> the object to which the column <name>Id points, such as {Campaign: Campaign}."""
    message_id: str | None = None
    """The column with the message id of an e-mail. It shows that both CRMs logged the same
    e-mail.
    """
    optional: StrictBool = False
    """true: run without the object where the account does not have it."""


class EventRule(ConfigModel):
    """The event that a row of the CRM stands for. The first rule that matches is taken."""

    object: str
    """The object whose rows are read."""
    where: dict[str, Where] = Field(default={})
    """Column -> test. All tests must match. Without `where` every row matches."""
    kind: str | None = None
    """The kind of event, from lifecycle.yaml."""
    ignore: StrictBool = False
    """true: the row is no event, on purpose. The rule has neither kind nor at."""
    at: StringList = ()
    """The column with the time of the event. Of several columns the first with a value is taken."""
    optional: StrictBool = False
    """true: run without the rule where the account lacks a column of `where`."""

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
    """The value that is written into a field of the CRM."""

    from_: str = Field(alias="from")
    """The column of the lifecycle table that is written, such as stage or score."""
    values: dict[str, StringList] = Field(default={})
    """Our value -> the values of the CRM. The first is written; all are accepted."""
    min_change: Annotated[float, Field(gt=0)] | None = None
    """Numbers only: a smaller difference is not written."""
    backward: Literal["allow", "never", "clear_first"] = "allow"
    """Where the CRM shows a higher stage. allow: write. never: keep it. clear_first: empty the
    field, then write.
    """
    on_manual_change: Literal["overwrite", "keep", "review"] = "overwrite"
    """Where a person changed the value in the CRM. overwrite: write our value. keep: keep the CRM
    value. review: report it.
    """
    optional: StrictBool = False
    """true: do not write the field where the account does not have it."""
    overwrite: StrictBool = False
    """true: write the field although it is read under `records`, or says who the person is."""


class Link(ConfigModel):
    """A field with ids of other records of the same person."""

    model_config = _allow_short_form("string")

    to: str
    """The CRM and the record type: <crm>.<record type>, such as salesforce.Lead."""
    optional: StrictBool = False
    """true: run without the link where the account does not have the field."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str) else value


class SystemFields(ConfigModel):
    """The fields that every object of the CRM has: the id, the dates, the deleted flag."""

    id: str
    """The field with the id of a record."""
    id_match_length: PositiveInt | None = None
    """The number of characters that identify a record, where the CRM writes ids in two lengths."""
    created_at: str
    """The field with the time of creation."""
    updated_at: str
    """The field with the time of the last change."""
    deleted: str
    """The field that marks deleted records."""


class Mapping(ConfigModel):
    """The objects and fields of one CRM: `mappings/<crm>.yaml`."""

    system_fields: SystemFields
    """The fields that every object has."""
    records: dict[str, RecordType] = Field(min_length=1)
    """The record types that stand for a person."""
    objects: dict[str, SourceObject] = Field(default={})
    """How rows of an object lead to people and to other objects."""
    words: dict[str, StringList] = Field(default={})
    """Lists of words for the event rules: `$name` in `words`."""
    events: tuple[EventRule, ...] = ()
    """The rules that make events of rows. The first that matches is taken."""
    write: dict[str, dict[str, FieldWrite]] = Field(default={})
    """Record type -> field of the CRM -> the value that is written."""
    links: dict[str, Link] = Field(default={})
    """Field -> the record type whose ids it holds. `Lead.MasterRecordId` for one record type
    only.
    """

    def cross_field_violations(self) -> Iterator[Violation]:
        """An event rule names only lists that are written, and nothing else names a list."""
        for record, record_type in self.records.items():
            for path, where in record_type.read_only.items():
                for place, _ in where.word_lists():
                    text = "a list of words can be named in event rules only: write the words"
                    yield Violation(("records", record, "read_only", path, *place), text)
        for i, rule in enumerate(self.events):
            for path, where in rule.where.items():
                for place, name in where.word_lists():
                    if name not in self.words:
                        text = f"`words` has no list `{name}`"
                        yield Violation(
                            ("events", i, "where", path, *place), text, reads=(("words",),)
                        )

    def fields_read(self, record: str) -> Iterator[str]:
        """The fields of a record type that describe the person, links included."""
        record_type = self.records[record]
        yield from (read.field for read in record_type.fields.values())
        yield from (*self.links_of(record), *record_type.read_only)
        yield from filter(None, (record_type.additional_emails, record_type.merged_ids))

    def links_of(self, record: str) -> dict[str, str]:
        """The id columns of a record type and the `crm.record` each points to."""
        targets = {}
        for name, link in self.links.items():
            of, dot, field = name.rpartition(".")
            if not dot or of == record:
                targets[field] = link.to
        return targets

    def volatile_fields(self) -> Iterator[tuple[str, str]]:
        """The written fields whose value changes without an event: record type, field."""
        for record, fields in self.write.items():
            for name, write in fields.items():
                if write.from_ in FADING_COLUMNS or write.min_change is not None:
                    yield record, name

    def rules_by_object(self) -> dict[str, list[EventRule]]:
        """The event rules of each object, in the order written, with their lists of words."""
        grouped: dict[str, list[EventRule]] = {}
        for rule in self.events:
            where = {path: test.spelt_out(self.words) for path, test in rule.where.items()}
            spelt_out = rule.model_copy(update={"where": where})
            grouped.setdefault(rule.object, []).append(spelt_out)
        return grouped

    def parents_of(self, object: str) -> dict[str, str]:
        """The parents that columns of an object may be read from."""
        return self.objects[object].parents if object in self.objects else {}

    def column_paths(self, object: str) -> Iterator[str]:
        """Every column of an object that is read; a dotted one belongs to a parent."""
        if object in self.records:
            yield from self.fields_read(object)
            yield from self.write.get(object, {})
        for rule in self.rules_by_object().get(object, []):
            yield from (*rule.where, *rule.at)
        if object in self.objects:
            source = self.objects[object]
            yield from source.person_keys
            yield from (source.message_id,) if source.message_id else ()

    def objects_read(self) -> tuple[str, ...]:
        """Every object that is read, without the histories."""
        named = [*self.records, *(rule.object for rule in self.events)]
        named += [parent for object in named for parent in self.parents_of(object).values()]
        return tuple(dict.fromkeys(named))

    def field_selection(self, field_names: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
        """List what to read: object -> fields, and the histories of the named fields."""
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
        """The record types with a history."""
        for name, record in self.records.items():
            if record.history is not None:
                yield name, record.history

    def history_fields(self, record: str, field_names: Iterable[str]) -> tuple[str, ...]:
        """The columns of a history object, or the CRM fields whose history is read."""
        history = self.records[record].history
        if history is None:
            return ()
        if history.record == self.system_fields.id:
            # HubSpot returns the history inside the record: it is read by the names of the fields
            reads = self.records[record].fields
            return tuple(reads[name].field for name in field_names if name in reads)
        columns = (history.record, history.field, history.at, history.value, history.before)
        return tuple(column for column in columns if column is not None)

    def drop_missing_optional(self, catalog: Catalog) -> tuple["Mapping", list[str]]:
        """Drop optional parts that the account does not have; return the rest and their names."""
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
    missing = {n for n, source in mapping.objects.items() if source.optional and n not in catalog}
    dropped += sorted(missing)
    events = tuple(
        rule
        for rule in mapping.events
        if rule.object not in missing
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
