"""Whether a mapping makes sense: by itself, beside the other CRMs', and to the definition."""

from collections.abc import Iterator
from collections.abc import Mapping as Map

from config.definition import Definition
from config.lifecycle_columns import (
    RANKED_COLUMNS,
    STAGE_COLUMNS,
    LifecycleColumn,
    lifecycle_columns,
)
from config.mapping import IGNORED_KIND, EventRule, FieldWrite, Mapping, People
from config.validation_errors import YamlPath, did_you_mean
from config.yaml_document import Document, Problem

EMAIL_TARGET = "email"
"""What `people` of an object says where a column holds addresses."""


def problems(
    mapping: Document[Mapping], others: Map[str, Document[Mapping] | None]
) -> Iterator[Problem]:
    """Say what in a mapping leads nowhere; `others` are the mappings of all CRMs."""
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
    """Say which canonical fields are read that `people.yaml` does not declare, or not like that."""
    declared = people.model.fields
    for record, one in mapping.model.records.items():
        for name, read in one.fields.items():
            place: YamlPath = ("records", record, "fields", name)
            if name not in declared:
                text = f"{people.file} declares no field `{name}`{did_you_mean(name, declared)}"
                yield mapping.problem(place, text)
            elif read.test is not None and declared[name].type != "boolean":
                text = f"known and gte make a yes or no: `{name}` is of type {declared[name].type}"
                yield mapping.problem(place, text)
            if read.test is not None and read.values:
                yield mapping.problem(place, "known or gte, or values: a field takes one of them")


def kind_problems(mapping: Document[Mapping], definition: Definition) -> Iterator[Problem]:
    """Say which rules make a kind that the definition does not know."""
    known = (*definition.events, IGNORED_KIND)
    for i, rule in enumerate(mapping.model.events):
        if rule.kind not in known:
            text = f"the definition knows no kind `{rule.kind}`{did_you_mean(rule.kind, known)}"
            yield mapping.problem(("events", i, "kind"), text)


def write_problems(mapping: Document[Mapping], definition: Definition) -> Iterator[Problem]:
    """Say what is to be written that there is not, or in words that there are not."""
    columns = lifecycle_columns(definition)
    for record, written in mapping.model.write.items():
        for field, write in written.items():
            place: YamlPath = ("write", record, field)
            if "." in field:
                text = (
                    f"`{field}` belongs to another object: only a record's own fields are written"
                )
                yield mapping.problem(place, text)
            if write.from_ not in columns:
                text = f"nothing is called `{write.from_}`{did_you_mean(write.from_, columns)}"
                yield mapping.problem((*place, "from"), text)
            else:
                yield from _value_problems(mapping, place, write, columns[write.from_])
                yield from _write_option_problems(
                    mapping, place, write, columns[write.from_], definition
                )


def _value_problems(
    mapping: Document[Mapping], place: YamlPath, write: FieldWrite, answer: LifecycleColumn
) -> Iterator[Problem]:
    if write.values and answer.type != "text":
        text = f"`values` translates words: `{write.from_}` is of type {answer.type}"
        yield mapping.problem((*place, "values"), text)
        return
    known = answer.allowed_values if answer.allowed_values is not None else tuple(write.values)
    for word in write.values:
        if word not in known:
            text = f"`{write.from_}` is never `{word}`{did_you_mean(word, known)}"
            yield mapping.problem((*place, "values", word), text)
    missing = [word for word in known if word not in write.values]
    if write.from_ in STAGE_COLUMNS and write.backward == "allow" and write.values and missing:
        text = f"no word for {', '.join(missing)}: written as it is"
        yield mapping.problem((*place, "values"), text, is_warning=True)


def _write_option_problems(
    mapping: Document[Mapping],
    place: YamlPath,
    write: FieldWrite,
    answer: LifecycleColumn,
    definition: Definition,
) -> Iterator[Problem]:
    if write.min_change is not None and answer.type not in ("number", "integer"):
        text = f"`min_change` is for numbers: `{write.from_}` is of type {answer.type}"
        yield mapping.problem((*place, "min_change"), text)
    if write.backward == "allow":
        return
    if write.from_ not in RANKED_COLUMNS:
        text = f"`{write.from_}` cannot go backward: that is for {', '.join(RANKED_COLUMNS)}"
        yield mapping.problem((*place, "backward"), text)
    elif missing := [stage for stage in definition.stage_ids if stage not in write.values]:
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
        if not dot or crm not in others:
            targets = [f"{c}.{r}" for c, doc in others.items() if doc for r in doc.model.records]
            text = f"`{target}` is no record type of a CRM{did_you_mean(target, targets)}"
            yield mapping.problem(place, text)
        elif (other := others[crm]) is not None and record not in other.model.records:
            text = f"{crm} has no record type `{record}`{did_you_mean(record, other.model.records)}"
            yield mapping.problem(place, text)


def _person_key_problems(mapping: Document[Mapping]) -> Iterator[Problem]:
    """Objects of which nobody knows whose they are, and columns that name no record type."""
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
        if rule.kind == IGNORED_KIND or (
            rule.object in objects and objects[rule.object].person_keys
        ):
            continue
        text = f"nobody knows whose `{rule.object}` are: say so under objects, people"
        yield mapping.problem(("events", i, "object"), text)


def _paths(mapping: Document[Mapping]) -> Iterator[Problem]:
    """Columns of a parent that is not declared."""
    for place, object, path in located_columns(mapping.model):
        name, dot, _ = path.rpartition(".")
        parents = mapping.model.parents_of(object)
        if dot and name not in parents:
            hint = did_you_mean(name, parents)
            text = f"objects gives `{object}` no parent `{name}`{hint}"
            yield mapping.problem(place, text)


def located_columns(mapping: Mapping) -> Iterator[tuple[YamlPath, str, str]]:
    """Every column read that may be a parent's: place, object, path."""
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
    """Rules that come after one which takes every row."""
    rules = mapping.model.events
    for i, rule in enumerate(rules):
        before = next((j for j in range(i) if _takes_all(rules[j], rule)), None)
        if before is not None:
            line = mapping.line(("events", before))
            text = f"never reached: the rule in line {line} takes every row first"
            yield mapping.problem(("events", i), text, is_warning=True)


def _takes_all(earlier: EventRule, later: EventRule) -> bool:
    """Whether nothing is left: rules are asked for each instant by itself, `nothing` for all."""
    same = earlier.at == later.at or earlier.kind == IGNORED_KIND
    return earlier.object == later.object and not earlier.where and same
