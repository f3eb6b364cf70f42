"""The fields that a mapping writes, with the type and the options that they need."""

from collections.abc import Iterator

from config.definition import Definition
from config.lifecycle_columns import LifecycleColumn, lifecycle_columns
from config.mapping import FieldWrite, Mapping
from models import FieldOption, FieldSpec

LONG_COLUMNS = frozenset({"reasons"})
"""Columns whose text has no limit."""


def wanted_fields(mapping: Mapping, definition: Definition) -> list[FieldSpec]:
    """List every field under `write`, by object."""
    columns = lifecycle_columns(definition)
    labels = {stage.id: stage.label or stage.id for stage in definition.stages}
    return [
        _field_spec(object, name, write, columns[write.from_], labels)
        for object, fields in mapping.write.items()
        for name, write in fields.items()
    ]


def _field_spec(
    object: str, name: str, write: FieldWrite, column: LifecycleColumn, labels: dict[str, str]
) -> FieldSpec:
    words = dict(_options(write, column, labels))
    return FieldSpec(
        object,
        name,
        write.from_,
        "text" if words else column.type,
        tuple(FieldOption(word, label) for word, label in words.items()) or None,
        is_long=write.from_ in LONG_COLUMNS,
    )


def _options(
    write: FieldWrite, column: LifecycleColumn, labels: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """List the values that the field can hold, each with its label.

    Of several words for one value the first is written; the others are accepted, so they are
    options as well.
    """
    for value in dict.fromkeys((*(column.allowed_values or ()), *write.values)):
        first, *accepted = write.values.get(value, (value,))
        # a word of the mapping is a name that the team chose: it is its own label
        yield first, first if value in write.values else labels.get(value) or _label(value)
        yield from ((word, word) for word in accepted)


def _label(value: str) -> str:
    return value.replace("_", " ").capitalize()
