"""Check the files against each other: the definition, `people.yaml` and the mappings.

The models check each file alone. The checks here need two files, or find rules that are allowed
and can never be true.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil, inf
from typing import Any, Protocol

from config import catalog_checks, contradictions, mapping_checks
from config.definition import (
    AllOf,
    AnyOf,
    ChannelsLeaf,
    Condition,
    Definition,
    EventLeaf,
    FieldLeaf,
    Leaf,
    QualifiedLeaf,
    ScoreLeaf,
)
from config.mapping import ENRICHED_FIELDS, Mapping, People
from config.validation_errors import ANY, YamlPath, did_you_mean
from config.yaml_document import Document, Problem
from connectors import crm_names
from models import Catalog, FieldType

RESERVED_COLUMNS = (
    *(
        "key",
        "crm",
        "object",
        "record_id",
        "person_id",
        "linked_id",
        "additional_emails",
        "created_at",
    ),
    *("updated_at", "deleted", "read_only", "component", "email_match_ok", "who", "enriched_by"),
)
"""Columns of our tables that are not fields of a person."""


@dataclass(frozen=True)
class Documents:
    """All files of a configuration; None where one could not be read."""

    definition: Document[Definition] | None
    people: Document[People] | None
    mappings: Map[str, Document[Mapping] | None]

    @property
    def readable_mappings(self) -> dict[str, Document[Mapping]]:
        """The mappings that could be read."""
        return {crm: mapping for crm, mapping in self.mappings.items() if mapping is not None}

    @property
    def models(self) -> list[Mapping]:
        """The models of the mappings that could be read."""
        return [document.model for document in self.readable_mappings.values()]

    def is_reported(self, problem: Problem) -> bool:
        """Whether a problem is about a place that is wrong by itself."""
        read = (self.definition, self.people, *self.readable_mappings.values())
        of_file = [document for document in read if document and document.file == problem.file]
        return any(not document.knows(*problem.path) for document in of_file)


def problems(documents: Documents) -> list[Problem]:
    """Report everything that does not fit together in the files that could be read.

    Warnings are included. A place that is wrong by itself was reported by `parse`: here neither it
    nor what depends on it is reported again.
    """
    definition, people = documents.definition, documents.people
    mappings = documents.readable_mappings.values()
    found: list[Problem] = []
    for crm, mapping in documents.readable_mappings.items():
        found += mapping_checks.problems(mapping, documents.mappings)
        found += mapping_checks.overwrite_problems(mapping, crm)
        if definition is not None:
            found += mapping_checks.write_problems(mapping, definition)
    kind_problems: list[Problem] = []
    field_problems: list[Problem] = []
    if definition is not None:
        found += _limits(definition)
        found += _names(definition)
        for mapping in mappings:
            kind_problems += mapping_checks.kind_problems(mapping, definition)
        if people is not None:
            field_problems += _fields(definition, people)
        # a kind that is misspelt in a mapping is reported there, and not as missing as well
        if not kind_problems and _all_sound(documents, "events"):
            found += _kinds(definition, documents.models)
    if people is not None:
        found += _people(people)
        for mapping in mappings:
            field_problems += mapping_checks.field_problems(mapping, people)
        if not field_problems and people.knows("fields") and _all_sound(documents, "records"):
            found += _unmapped_fields(people, definition, documents)
    return sorted(
        (
            problem
            for problem in dict.fromkeys((*found, *kind_problems, *field_problems))
            if not documents.is_reported(problem)
        ),
        key=lambda problem: (problem.file, problem.line),
    )


def _all_sound(documents: Documents, section: str) -> bool:
    """Whether every mapping was read, and this section of it without an error."""
    mappings = documents.mappings.values()
    return all(mapping is not None and mapping.is_sound(section) for mapping in mappings)


class HasDocuments(Protocol):
    """An object that keeps the documents it was read from."""

    @property
    def documents(self) -> Documents:
        """The files with their lines."""


def check_catalog(configuration: HasDocuments, crm: str, catalog: Catalog) -> list[Problem]:
    """Report what a mapping names and the CRM account does not have or does not allow to write.

    In:     the catalog of every object that the mapping reads
    """
    return _run_catalog_check(catalog_checks.problems, configuration, crm, catalog)


def unreadable(
    configuration: HasDocuments, crm: str, object: str, field: str, text: str
) -> Problem:
    """Report, at the line that names a field, why its object could not be read completely."""
    mapping = configuration.documents.mappings[crm]
    if mapping is None:
        return Problem(crm, 0, text)
    return catalog_checks.unreadable(mapping, object, field, text)


def catalog_warnings(configuration: HasDocuments, crm: str, catalog: Catalog) -> list[Problem]:
    """Report values that are not among the options of the account, as warnings."""
    return _run_catalog_check(catalog_checks.catalog_warnings, configuration, crm, catalog)


def _run_catalog_check(
    check: Callable[[Document[Mapping], Catalog, Definition], Iterator[Problem]],
    configuration: HasDocuments,
    crm: str,
    catalog: Catalog,
) -> list[Problem]:
    mapping, definition = configuration.documents.mappings[crm], configuration.documents.definition
    if mapping is None or definition is None:
        return []
    found = dict.fromkeys(check(mapping, catalog, definition.model))
    return sorted(found, key=lambda problem: problem.line)


def _limits(definition: Document[Definition]) -> Iterator[Problem]:
    """Report leaves that can never be true, and windows without effect."""
    for place, leaf in definition.model.all_leaves_with_path():
        text = _why_never_true(leaf, definition.model)
        if text and definition.is_sound(*place) and _knows_limits(leaf, definition):
            yield definition.problem(place, text)
        if isinstance(leaf, EventLeaf) and leaf.count == 1 and leaf.within_days is not None:
            text = "within_days has no effect with count 1: drop it, or give a higher count"
            yield definition.problem((*place, "within_days"), text, is_warning=True)
    for at, condition in definition.model.conditions_with_path():
        for place, field in contradictions.contradictions(condition, at):
            yield definition.problem(place, f"never true: no `{field}` passes all of its tests")


def _names(definition: Document[Definition]) -> Iterator[Problem]:
    """Report names that differ in case only: CRMs compare without case."""
    stages = definition.model.stages
    labels = [(stage.label or stage.id).lower() for stage in stages]
    for i, stage in enumerate(stages):
        others = {other.id.lower() for other in stages if other is not stage}
        if stage.label is not None and (labels[i] in labels[:i] or labels[i] in others):
            text = f"another stage is called `{stage.label}` already"
            yield definition.problem(("stages", i, "label"), text)
    section = definition.model.qualification
    named: list[tuple[YamlPath, Iterable[str]]] = [(("events",), definition.model.events)]
    named += [(("qualification", "criteria"), section.criteria)] if section else []
    for place, names in named:
        earlier: set[str] = set()
        for name in names:
            if name.lower() in earlier:
                text = f"`{name}` occurs twice, in different case"
                yield definition.problem((*place, name), text)
            earlier.add(name.lower())


def _knows_limits(leaf: Leaf, definition: Document[Definition]) -> bool:
    """Whether the sections that limit a leaf are free of errors."""
    match leaf:
        case ScoreLeaf():
            return definition.is_sound("events", ANY, "points") and definition.is_sound("score")
        case QualifiedLeaf():
            return definition.knows("qualification", "criteria")
    return definition.is_sound("events")


def _why_never_true(leaf: Leaf, definition: Definition) -> str:
    """Return the reason why a leaf can never be true, or empty text."""
    match leaf:
        case EventLeaf(event=kinds, count=count, within_days=days) if (
            days is not None and definition.events.keys() >= set(kinds)
        ):
            most = _max_events(leaf, days, definition)
            return f"never true: max_per_day admits {most:g} in that window" * (count > most)
        case ChannelsLeaf(channels=count):
            all_kinds = definition.events.values()
            there = len({kind.channel for kind in all_kinds if kind.is_activity and kind.channel})
            return f"never true: activity has {there} channels" * (count > there)
        case ScoreLeaf(gte=floor):
            most = _max_score(leaf, definition)
            return f"never true: no score is above {most:g}" * (floor > most)
        case QualifiedLeaf(qualified=count):
            section = definition.qualification
            there = len(section.criteria) if section else 0
            return f"never true: qualification has {there} criteria" * (count > there)
    return ""


def _max_events(leaf: EventLeaf, days: float, definition: Definition) -> float:
    """Return how many events count in a window; it can touch one UTC day more than it is long."""
    limits = (definition.events[kind].max_per_day for kind in dict.fromkeys(leaf.event))
    return sum(inf if limit is None else limit * (ceil(days) + 1) for limit in limits)


def _max_score(leaf: ScoreLeaf, definition: Definition) -> float:
    """Return the highest possible score."""
    if definition.score is None:
        return 0
    counts_events = leaf.score in ("engagement", "total")
    if counts_events and any(kind.points > 0 for kind in definition.events.values()):
        return inf
    lines = definition.score.fit if leaf.score in ("fit", "total") else ()
    return sum(max(line.points, 0) for line in lines)


def _fields(definition: Document[Definition], people: Document[People]) -> Iterator[Problem]:
    """Report field leaves with an undeclared field or a test that does not fit its type."""
    types: dict[str, FieldType] = dict(ENRICHED_FIELDS)
    types |= {name: field.type for name, field in people.model.fields.items()}
    for place, leaf in definition.model.all_leaves_with_path():
        if not isinstance(leaf, FieldLeaf):
            continue
        if leaf.field not in types and not people.knows("fields"):
            continue
        if leaf.field not in types:
            known = did_you_mean(leaf.field, types)
            text = f"{people.file} declares no field `{leaf.field}`{known}"
            yield definition.problem((*place, "field"), text)
            continue
        if not people.knows("fields", leaf.field, "type"):
            continue
        for test, value in leaf.tests.items():
            if text := _type_mismatch(leaf.field, types[leaf.field], test, value):
                yield definition.problem((*place, test), text)


_PYTHON_TYPES: dict[FieldType, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "date": (date,),
    "datetime": (date,),
}


def _type_mismatch(field: str, type: FieldType, test: str, value: Any) -> str:
    """Return the reason why a test does not fit a field of this type, or empty text."""
    if test == "known":
        return ""
    if test in ("gt", "gte", "lt", "lte") and type in ("text", "boolean"):
        return f"`{test}` compares numbers and dates: `{field}` is of type {type}"
    for one in value if isinstance(value, tuple) else (value,):
        fits = isinstance(one, _PYTHON_TYPES[type])
        fits &= isinstance(one, bool) == (type == "boolean")
        fits &= not (type == "date" and isinstance(one, datetime))
        if not fits:
            return f"`{field}` is of type {type}: `{test}: {_yaml_text(one)}` does not fit"
        if isinstance(one, str) and not one.strip():
            return f"empty text is not a value: use `known: false` for `{field}`"
    return ""


def _yaml_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kinds(definition: Document[Definition], mappings: list[Mapping]) -> Iterator[Problem]:
    """Report kinds that no mapping makes, and the stages that cannot be entered without them."""
    rules = [rule for mapping in mappings for rule in mapping.events]
    made = {rule.kind for rule in rules if rule.kind is not None}
    for kind in definition.model.events:
        if kind not in made:
            text = f"no mapping has a rule that makes a `{kind}`: no event has this kind"
            yield definition.problem(("events", kind), text, is_warning=True)
    for i, stage in enumerate(definition.model.stages):
        can_judge = definition.is_sound("stages", i, "enter") and definition.is_sound("events")
        if (
            can_judge
            and stage.enter is not None
            and not _can_hold(stage.enter, made, definition.model)
        ):
            text = f"no person can enter `{stage.id}`: no mapping makes the kinds it needs"
            yield definition.problem(("stages", i, "enter"), text)


def _can_hold(condition: Condition, made: set[str], definition: Definition) -> bool:
    match condition:
        case AnyOf(any=parts):
            return any(_can_hold(part, made, definition) for part in parts)
        case AllOf(all=parts):
            return all(_can_hold(part, made, definition) for part in parts)
        case ChannelsLeaf(channels=count):
            kinds = [kind for name, kind in definition.events.items() if name in made]
            return len({kind.channel for kind in kinds if kind.is_activity} - {None}) >= count
        case EventLeaf(event=kinds):
            return not made.isdisjoint(kinds)
    return True


def _people(people: Document[People]) -> Iterator[Problem]:
    """Report reserved names, wrong types, and unknown CRMs."""
    fields = people.model.fields
    if "email" not in fields:
        yield people.problem(("fields",), "`email` is missing: records are joined by it")
    for name, field in fields.items():
        place: YamlPath = ("fields", name)
        if name in RESERVED_COLUMNS:
            yield people.problem(place, f"a field cannot be called `{name}`: the name is reserved")
        due = "text" if name == "email" else ENRICHED_FIELDS.get(name, field.type)
        if field.type != due:
            yield people.problem(place, f"`{name}` must have the type {due}: it can be computed")
        trusted = field.survivorship if isinstance(field.survivorship, tuple) else ()
        for i, crm in enumerate(trusted):
            # a CRM without a mapping file is off, and may stay in the list
            if crm not in crm_names():
                text = f"there is no CRM `{crm}`{did_you_mean(crm, crm_names())}"
                yield people.problem((*place, "survivorship", i), text)


def _unmapped_fields(
    people: Document[People], definition: Document[Definition] | None, documents: Documents
) -> Iterator[Problem]:
    """Report fields that no mapping reads, and the rules that use them."""
    records = [record for mapping in documents.models for record in mapping.records.values()]
    read = {name for record in records for name in record.fields}
    empty = [
        name for name in people.model.fields if name not in read and name not in ENRICHED_FIELDS
    ]
    for name in empty:
        text = f"no mapping reads `{name}`: it is empty for every person"
        yield people.problem(("fields", name), text, is_warning=True)
    for place, leaf in definition.model.all_leaves_with_path() if definition is not None else ():
        if definition is not None and isinstance(leaf, FieldLeaf) and leaf.field in empty:
            text = f"no mapping reads `{leaf.field}`: add it to the fields of a record"
            if absent := [crm for crm in crm_names() if crm not in documents.mappings]:
                text += f" (there is no mapping file for {', '.join(absent)})"
            yield definition.problem((*place, "field"), text)
