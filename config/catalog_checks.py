"""Check a mapping against a CRM account: objects, fields, options and write permission."""

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from functools import partial

from config.definition import Definition
from config.lifecycle_columns import LifecycleColumn, lifecycle_columns
from config.mapping import EventRule, FieldWrite, Mapping
from config.mapping_checks import located_columns
from config.validation_errors import YamlPath, did_you_mean
from config.yaml_document import Document, Problem
from models import Catalog, Field, FieldType

PERMISSION_HINT = " (Or the integration user cannot see it.)"

COMPATIBLE_TYPES: dict[FieldType, tuple[FieldType, ...]] = {
    "text": ("text", "number", "integer", "boolean", "date", "datetime"),
    "number": ("number", "integer"),
    "integer": ("integer",),
    "boolean": ("boolean",),
    "date": ("date", "datetime"),
    "datetime": ("date", "datetime"),
}
"""Type of a CRM field -> the types of our columns that it accepts."""


def problems(
    mapping: Document[Mapping], catalog: Catalog, definition: Definition
) -> Iterator[Problem]:
    """Report what the account does not have, and values that cannot be written.

    What is marked optional may be missing. In: the catalog of every object that is read.
    """
    for place, object in _objects(mapping.model, catalog):
        text = (
            f"this account has no object `{object}`{did_you_mean(object, catalog)}{PERMISSION_HINT}"
        )
        yield mapping.problem(place, text, object_and_field=(object, ""))
    for place, object, field in _fields(
        mapping.model, partial(_is_optional, mapping.model, catalog)
    ):
        if field not in catalog.get(object, {field: None}):
            text = _unknown(object, field, catalog)
            yield mapping.problem(place, text, object_and_field=(object, field))
    columns = lifecycle_columns(definition)
    for place, write, into in _written_fields(mapping.model, catalog):
        if not into.writable:
            text = f"`{into.name}` is read-only: write another field, or delete this line"
            yield mapping.problem(place, text)
        if write.from_ in columns and _is_of_another_type(write, into, columns[write.from_]):
            text = f"`{into.name}` is of type {into.type}: `{write.from_}` "
            text += f"({columns[write.from_].type}) does not fit"
            yield mapping.problem(
                (*place, "from"), text, object_and_field=(str(place[1]), into.name)
            )
        if into.restricted:
            for at, text in _no_options(place, write, into, columns):
                yield mapping.problem(at, text)
        for at, text in _too_long(place, write, into, columns):
            yield mapping.problem(at, text)


def unreadable(mapping: Document[Mapping], object: str, field: str, text: str) -> Problem:
    """Report, at the line that names a field, why its object could not be read completely."""
    named = _fields(mapping.model, lambda _: False)
    section = "records" if object in mapping.model.records else "objects"
    places = (place for place, *which in named if which == [object, field])
    return mapping.problem(next(places, (section, object)), text, object_and_field=(object, field))


def catalog_warnings(
    mapping: Document[Mapping], catalog: Catalog, definition: Definition
) -> Iterator[Problem]:
    """Report values that are not among the options of a field, where this stops no run."""
    for place, field, word in _compared_values(mapping.model, catalog):
        options = field.options or ()
        if options and word.lower() not in {option.lower() for option in options}:
            text = f"`{field.name}` has no option `{word}`{did_you_mean(word, options)}"
            yield mapping.problem(place, text, is_warning=True)
    for place, write, into in _written_fields(mapping.model, catalog):
        if not into.restricted:
            for at, text in _no_options(place, write, into, lifecycle_columns(definition)):
                yield mapping.problem(at, text, is_warning=True)


def _is_of_another_type(write: FieldWrite, into: Field, column: LifecycleColumn) -> bool:
    all_translated = column.allowed_values is not None and set(column.allowed_values) <= set(
        write.values
    )
    return column.type not in COMPATIBLE_TYPES[into.type] and not all_translated


def _no_options(
    place: YamlPath, write: FieldWrite, into: Field, columns: Map[str, LifecycleColumn]
) -> Iterator[tuple[YamlPath, str]]:
    """Find written values that are not among the options of the field, with their place."""
    for at, word in _written_values(place, write, columns):
        if into.options is not None and word not in into.options:
            as_it_is = ": add it there, or a word to values"
            hint = as_it_is if at == place else did_you_mean(word, into.options)
            yield at, f"`{into.name}` has no option `{word}`{hint}"


def _too_long(
    place: YamlPath, write: FieldWrite, into: Field, columns: Map[str, LifecycleColumn]
) -> Iterator[tuple[YamlPath, str]]:
    """Find written values that are too long; free text, such as `reasons`, is cut to fit."""
    for at, word in _written_values(place, write, columns):
        if into.max_length is not None and len(word) > into.max_length:
            yield at, f"`{into.name}` takes {into.max_length} characters: `{word}` is longer"


def _written_values(
    place: YamlPath, write: FieldWrite, columns: Map[str, LifecycleColumn]
) -> Iterator[tuple[YamlPath, str]]:
    """List the values that can be written into a field, with their place."""
    for our_value, crm_values in write.values.items():
        at = (*place, "values", our_value)
        yield from (((*at, i), word) for i, word in enumerate(crm_values))
    column = columns.get(write.from_)
    for word in (column.allowed_values if column else None) or ():
        if word not in write.values:
            yield place, word


def _unknown(object: str, field: str, catalog: Catalog) -> str:
    return f"{object} has no field `{field}`{did_you_mean(field, catalog[object])}{PERMISSION_HINT}"


def _objects(mapping: Mapping, catalog: Catalog) -> Iterator[tuple[YamlPath, str]]:
    """List the objects that the account lacks, each once, at its first place."""
    reported: set[str] = set()
    for place, object in _named(mapping, catalog):
        if object not in catalog and object not in reported:
            reported.add(object)
            yield place, object


def _named(mapping: Mapping, catalog: Catalog) -> Iterator[tuple[YamlPath, str]]:
    for name, record in mapping.records.items():
        yield ("records", name), name
        if record.history is not None and not record.history.optional:
            yield ("records", name, "history"), record.history.object
    for i, rule in enumerate(mapping.events):
        if not _is_missing_optional(mapping, rule.object, catalog):
            yield ("events", i, "object"), rule.object
    for object in mapping.objects_read():
        if not _is_missing_optional(mapping, object, catalog):
            for name, parent in mapping.parents_of(object).items():
                yield ("objects", object, "parents", name), parent


def _is_missing_optional(mapping: Mapping, object: str, catalog: Catalog) -> bool:
    source = mapping.objects.get(object)
    return source is not None and source.optional and object not in catalog


def _fields(
    mapping: Mapping, is_left_out: Callable[[YamlPath], bool]
) -> Iterator[tuple[YamlPath, str, str]]:
    """List the fields that the mapping names, without the places that are left out."""
    for place, object, path in located_columns(mapping):
        if not is_left_out(place):
            yield from _of_path(mapping, place, object, path)
    for name in mapping.records:
        for place, field in _of_record(mapping, name):
            if not is_left_out(place):
                yield place, name, field
        yield from _of_history(mapping, name)


def _of_record(mapping: Mapping, name: str) -> Iterator[tuple[YamlPath, str]]:
    record = mapping.records[name]
    for word, column in mapping.system_fields.model_dump(exclude={"id_match_length"}).items():
        yield ("system_fields", word), column
    for word in ("additional_emails", "merged_ids"):
        if (column := getattr(record, word)) is not None:
            yield ("records", name, word), column
    for named in mapping.links:
        of, dot, field = named.rpartition(".")
        if not dot or of == name:
            yield ("links", named), field
    for field in mapping.write.get(name, {}):
        yield ("write", name, field), field


def _of_history(mapping: Mapping, name: str) -> Iterator[tuple[YamlPath, str, str]]:
    history = mapping.records[name].history
    # HubSpot returns the history of a property inside the record, so there is no history object
    if history is not None and history.record != mapping.system_fields.id:
        at: YamlPath = ("records", name, "history")
        for word in ("record", "field", "at", "value", "before"):
            if (column := getattr(history, word)) is not None:
                yield (*at, word), history.object, column


def _of_path(
    mapping: Mapping, place: YamlPath, object: str, path: str
) -> Iterator[tuple[YamlPath, str, str]]:
    name, dot, field = path.rpartition(".")
    parents = mapping.parents_of(object)
    if not dot:
        yield place, object, path
    elif name in parents:
        yield ("objects", object, "parents", name), object, f"{name}Id"
        yield place, parents[name], field


def _is_optional(mapping: Mapping, catalog: Catalog, place: YamlPath) -> bool:
    """Whether a run works without this place where the account has no such field."""
    match place:
        case ("records", str(record), "fields", str(field)):
            return mapping.records[record].fields[field].optional
        case ("links", str(link)):
            return mapping.links[link].optional
        case ("write", str(record), str(field)):
            return mapping.write[record][field].optional
        case ("events", int(i), *_):
            return _is_dropped(mapping, mapping.events[i], catalog)
    return False


def _is_dropped(mapping: Mapping, rule: EventRule, catalog: Catalog) -> bool:
    found = (_field(mapping, rule.object, path, catalog) for path in rule.where)
    return rule.optional and any(field is None for field in found)


def _field(mapping: Mapping, object: str, path: str, catalog: Catalog) -> Field | None:
    name, dot, field = path.rpartition(".")
    where = mapping.parents_of(object).get(name, "") if dot else object
    return catalog.get(where, {}).get(field)


def _written_fields(
    mapping: Mapping, catalog: Catalog
) -> Iterator[tuple[YamlPath, FieldWrite, Field]]:
    """List the writes into fields that the account has."""
    for record, written in mapping.write.items():
        for name, write in written.items():
            if (into := catalog.get(record, {}).get(name)) is not None:
                yield ("write", record, name), write, into


def _compared_values(mapping: Mapping, catalog: Catalog) -> Iterator[tuple[YamlPath, Field, str]]:
    """List the CRM values that are compared with fields that the account has."""
    for name, record in mapping.records.items():
        for word, read in record.fields.items():
            at: YamlPath = ("records", name, "fields", word, "values")
            if (field := _field(mapping, name, read.field, catalog)) is not None:
                yield from (((*at, value), field, value) for value in read.values)
    for i, rule in enumerate(mapping.events):
        for path, where in rule.where.items():
            if (field := _field(mapping, rule.object, path, catalog)) is not None:
                at = ("events", i, "where", path)
                words = (one for one in where.values if isinstance(one, str))
                yield from (((*at, j), field, word) for j, word in enumerate(words))
