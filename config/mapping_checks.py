"""Check a mapping alone, against the other mappings, and against the definition."""

from collections.abc import Iterator
from collections.abc import Mapping as Map

from config.definition import Definition
from config.lifecycle_columns import (
    RANKED_COLUMNS,
    STAGE_COLUMNS,
    LifecycleColumn,
    lifecycle_columns,
)
from config.mapping import EventRule, FieldWrite, Mapping, People
from config.validation_errors import ANY, YamlPath, did_you_mean
from config.yaml_document import Document, Problem
from connectors import crm_names, identity_fields

EMAIL_TARGET = "email"
"""The value of `person_keys` for a column that holds e-mail addresses."""


def problems(
    mapping: Document[Mapping], others: Map[str, Document[Mapping] | None]
) -> Iterator[Problem]:
    """Report references to unknown objects; `others` are the mappings of all CRMs."""
    yield from _links(mapping, others)
    yield from _person_key_problems(mapping)
    yield from _paths(mapping)
    yield from _unreachable_rules(mapping)
    records = mapping.model.records
    for name in mapping.model.write:
        if name not in records:
            text = f"no record type `{name}` is read{did_you_mean(name, records)}"
            yield mapping.problem(("write", name), text)


def field_problems(mapping: Document[Mapping], people: Document[People]) -> Iterator[Problem]:
    """Report fields that `people.yaml` does not declare, or declares with another type."""
    declared = people.model.fields
    if not people.knows("fields"):
        return
    for record, record_type in mapping.model.records.items():
        for name, read in record_type.fields.items():
            place: YamlPath = ("records", record, "fields", name)
            if name not in declared:
                text = f"{people.file} declares no field `{name}`{did_you_mean(name, declared)}"
                yield mapping.problem(place, text)
            elif (
                read.test is not None
                and declared[name].type != "boolean"
                and people.knows("fields", name, "type")
            ):
                text = f"known and gte make a yes or no: `{name}` is of type {declared[name].type}"
                yield mapping.problem(place, text)
            if read.test is not None and read.values:
                yield mapping.problem(place, "use either known or gte, or values, but not both")


def kind_problems(
    mapping: Document[Mapping], definition: Document[Definition]
) -> Iterator[Problem]:
    """Report the rules whose kind the definition does not have."""
    known = definition.model.events if definition.knows("events") else None
    for i, rule in enumerate(mapping.model.events):
        if rule.kind is not None and known is not None and rule.kind not in known:
            hint = did_you_mean(rule.kind, known)
            if rule.kind == "nothing":
                hint = ": to leave rows out on purpose, write `ignore: true` in place of kind"
            text = f"{definition.file} has no kind `{rule.kind}`{hint}"
            yield mapping.problem(("events", i, "kind"), text)


def write_problems(
    mapping: Document[Mapping], definition: Document[Definition]
) -> Iterator[Problem]:
    """Report unknown columns, words that a column never holds, and options that do not fit it."""
    columns = lifecycle_columns(definition.model)
    knows_stages = definition.knows("stages", ANY, "id")
    for record, written in mapping.model.write.items():
        for field, write in written.items():
            place: YamlPath = ("write", record, field)
            if "." in field:
                text = (
                    f"`{field}` belongs to another object: only a record's own fields are written"
                )
                yield mapping.problem(place, text)
            if write.from_ not in columns:
                if knows_stages or not write.from_.endswith("_at"):
                    hint = did_you_mean(write.from_, columns)
                    text = f"lifecycle has no column `{write.from_}`{hint}"
                    yield mapping.problem((*place, "from"), text)
                continue
            column = columns[write.from_]
            unknown: list[Problem] = []
            if definition.knows(*_words_from(write.from_)):
                unknown = list(_value_problems(mapping, place, write, column))
                yield from unknown
            if mapping.knows(*place, "from"):
                yield from _write_option_problems(
                    # a misspelt stage under `values` is reported once, and is not missing as well
                    mapping,
                    place,
                    write,
                    column,
                    definition.model if knows_stages and not unknown else None,
                )


def overwrite_problems(mapping: Document[Mapping], crm: str) -> Iterator[Problem]:
    """Report written fields that are also read, or that say who the person is."""
    standard = {name.lower() for name in identity_fields(crm)}
    for record, written in mapping.model.write.items():
        is_read = record in mapping.model.records
        read = {name.lower() for name in mapping.model.fields_read(record)} if is_read else set()
        for field, write in written.items():
            if write.overwrite or field.lower() not in read | standard:
                continue
            what = "is also read" if field.lower() in read else "says who the person is"
            text = (
                f"`{field}` {what}: a run would overwrite what people entered. "
                "Name another field; or, if you mean it, add `overwrite: true`"
            )
            yield mapping.problem(("write", record, field), text)


def _words_from(column: str) -> YamlPath:
    """The place in the definition that names the words a column can hold."""
    if column == "grade":
        return ("score", "grades", ANY)
    return ("stages", ANY, "action" if column == "next_action" else "id")


def _value_problems(
    mapping: Document[Mapping], place: YamlPath, write: FieldWrite, column: LifecycleColumn
) -> Iterator[Problem]:
    if write.values and column.type != "text":
        text = f"`values` translates words: `{write.from_}` is of type {column.type}"
        yield mapping.problem((*place, "values"), text)
        return
    known = column.allowed_values if column.allowed_values is not None else tuple(write.values)
    for word in write.values:
        if word not in known:
            text = f"`{write.from_}` is never `{word}`{did_you_mean(word, known)}"
            yield mapping.problem((*place, "values", word), text)
    missing = [word for word in known if word not in write.values]
    if write.from_ in STAGE_COLUMNS and write.backward == "allow" and write.values and missing:
        text = f"no word for {', '.join(missing)}: written unchanged"
        yield mapping.problem((*place, "values"), text, is_warning=True)


def _write_option_problems(
    mapping: Document[Mapping],
    place: YamlPath,
    write: FieldWrite,
    column: LifecycleColumn,
    definition: Definition | None,
) -> Iterator[Problem]:
    if write.min_change is not None and column.type not in ("number", "integer"):
        text = f"`min_change` is for numbers: `{write.from_}` is of type {column.type}"
        yield mapping.problem((*place, "min_change"), text)
    if write.backward == "allow":
        return
    if write.from_ not in RANKED_COLUMNS:
        text = f"`{write.from_}` cannot go backward: that is for {', '.join(RANKED_COLUMNS)}"
        yield mapping.problem((*place, "backward"), text)
        return
    stages = definition.stage_ids if definition is not None else ()
    if missing := [stage for stage in stages if stage not in write.values]:
        text = f"`backward` compares stages by their words: add {', '.join(missing)} to values"
        yield mapping.problem((*place, "backward"), text)


def _links(
    mapping: Document[Mapping], others: Map[str, Document[Mapping] | None]
) -> Iterator[Problem]:
    records = mapping.model.records
    for name, link in mapping.model.links.items():
        place, target = ("links", name), link.to
        of, dot, _ = name.rpartition(".")
        if dot and of not in records:
            text = f"no record type `{of}` is read{did_you_mean(of, records)}"
            yield mapping.problem(place, text)
        crm, dot, record = target.partition(".")
        if dot and crm not in others and crm in crm_names():
            continue  # this CRM has no mapping file: none of its records is read
        if not dot or crm not in others:
            targets = [f"{c}.{r}" for c, doc in others.items() if doc for r in doc.model.records]
            text = f"`{target}` is not a record type of a CRM{did_you_mean(target, targets)}"
            yield mapping.problem(place, text)
        elif (other := others[crm]) is not None and record not in other.model.records:
            text = f"{crm} has no record type `{record}`{did_you_mean(record, other.model.records)}"
            yield mapping.problem(place, text)


def _person_key_problems(mapping: Document[Mapping]) -> Iterator[Problem]:
    """Report rules on objects that lead to no person, and unknown record types."""
    objects = mapping.model.objects
    known = (*mapping.model.records, EMAIL_TARGET)
    for name, source in objects.items():
        for column, targets in source.person_keys.items():
            for i, target in enumerate(targets):
                if target not in known:
                    text = f"no record type `{target}` is read{did_you_mean(target, known)}"
                    yield mapping.problem(("objects", name, "person_keys", column, i), text)
        if name not in mapping.model.objects_read():
            text = f"no rule and no record reads `{name}`"
            text += did_you_mean(name, mapping.model.objects_read())
            yield mapping.problem(("objects", name), text, is_warning=True)
    for i, rule in enumerate(mapping.model.events):
        has_keys = rule.object in objects and objects[rule.object].person_keys
        if rule.ignore or has_keys or not mapping.is_sound("objects", rule.object):
            continue
        text = f"no column of `{rule.object}` leads to a person: add person_keys under objects"
        yield mapping.problem(("events", i, "object"), text)


def _paths(mapping: Document[Mapping]) -> Iterator[Problem]:
    """Report columns of a parent that is not declared."""
    for place, object, path in located_columns(mapping.model):
        name, dot, _ = path.rpartition(".")
        parents = mapping.model.parents_of(object)
        if dot and name not in parents and mapping.knows("objects", object, "parents"):
            hint = did_you_mean(name, parents)
            text = f"objects gives `{object}` no parent `{name}`{hint}"
            yield mapping.problem(place, text)


def located_columns(mapping: Mapping) -> Iterator[tuple[YamlPath, str, str]]:
    """List every column that is read and may belong to a parent: place, object, path."""
    for name, record in mapping.records.items():
        at: YamlPath = ("records", name)
        for field, read in record.fields.items():
            yield (*at, "fields", field), name, read.field
        for path in record.read_only:
            yield (*at, "read_only", path), name, path
    for i, rule in enumerate(mapping.events):
        for path in rule.where:
            yield ("events", i, "where", path), rule.object, path
        for j, path in enumerate(at for at in rule.at if at):
            yield ("events", i, "at", j), rule.object, path
    for name, source in mapping.objects.items():
        for path in source.person_keys:
            yield ("objects", name, "person_keys", path), name, path
        if source.message_id is not None:
            yield ("objects", name, "message_id"), name, source.message_id


def _unreachable_rules(mapping: Document[Mapping]) -> Iterator[Problem]:
    """Report rules after a rule that matches every row."""
    rules = mapping.model.events
    for i, rule in enumerate(rules):
        before = next((j for j in range(i) if _takes_all(rules[j], rule)), None)
        if before is not None:
            line = mapping.line(("events", before))
            text = f"never reached: the rule in line {line} takes every row first"
            yield mapping.problem(("events", i), text, is_warning=True)


def _takes_all(earlier: EventRule, later: EventRule) -> bool:
    """Whether no row is left: each instant has its own rules, `ignore` rules apply to all."""
    same = earlier.at == later.at or earlier.ignore
    return earlier.object == later.object and not earlier.where and same
