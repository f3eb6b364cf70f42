"""What happened: the engagement of all CRMs in one taxonomy, each happening once."""

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.mapping import EventRule, Mapping, SourceObject
from transforms.staging.fields import (
    SourceTables,
    as_text,
    column_name,
    matches,
    record_key,
    rows_with_parents,
    split_values,
)
from transforms.staging.timestamps import to_microseconds

DUPLICATE_WINDOW = 120 * 1_000_000
"""How far apart two CRMs may log one happening, in microseconds."""

Materialize = Callable[[str, ir.Table], ir.Table]


def raw_events(mappings: Map[str, Mapping], landed: SourceTables) -> ir.Table:
    """Read every rule over every row: what happened, and to which record or address.

    Out:    crm, source_object, source_id, kind (NULL: no rule fits), at timestamp (NULL: unknown),
            message_id, who string (a record's key, or an address)
    """
    listed = []
    for crm, mapping in mappings.items():
        for object, rules in mapping.rules_by_object().items():
            source = mapping.objects.get(object, SourceObject())
            listed += _object_events(crm, object, rules, source, mapping, landed[crm])
    return ibis.union(*listed) if len(listed) > 1 else listed[0]


def catch_all_names(mappings: Map[str, Mapping], landed: SourceTables) -> ir.Table | None:
    """Count the names that no list of words knows: only a rule without words took their rows.

    Out:    crm, source_object, field, name, kind, rows; None where no mapping has such rules
    """
    counted = [
        one
        for crm, mapping in mappings.items()
        for object, rules in mapping.rules_by_object().items()
        for one in _unknown_names(crm, object, rules, mapping, landed[crm])
    ]
    return ibis.union(*counted) if len(counted) > 1 else next(iter(counted), None)


def _unknown_names(
    crm: str, object: str, rules: list[EventRule], mapping: Mapping, landed: Map[str, ir.Table]
) -> Iterator[ir.Table]:
    """One table per column that rules test by words, where a rule without words comes later."""
    worded = [[path for path, test in rule.where.items() if test.words] for rule in rules]
    named = {
        paths[0]: i
        for i, (paths, rule) in enumerate(zip(worded, rules, strict=True))
        if len(paths) == 1 and not rule.ignore
    }
    for path, last in named.items():
        later = range(last + 1, len(rules))
        place = next((i for i in later if not worded[i] and not rules[i].ignore), None)
        if place is None:
            continue
        table = _live_rows(object, mapping, landed)
        earlier = ibis.or_(*(matches(table, rule.where) for rule in rules[:place]))
        taken = table.filter(matches(table, rules[place].where), ~earlier)
        names = taken.select(name=as_text(taken[column_name(path)]))
        names = names.filter(names.name.notnull())
        counts = names.group_by("name").aggregate(rows=names.count())
        yield counts.select(
            "name",
            "rows",
            crm=ibis.literal(crm),
            source_object=ibis.literal(object),
            field=ibis.literal(path),
            kind=ibis.literal(rules[place].kind),
        )


def events(
    raw_rows: ir.Table, identities: ir.Table, definition: Definition, *, materialize: Materialize
) -> ir.Table:
    """Assign happenings to people, and mark what both CRMs logged.

    In:     happened as `happenings` gives it; identities(who, person_id): whose key or address
    Out:    event_id, person_id, kind, at, direction, channel, crm, source_object, source_id,
            message_id, duplicate_of (event_id of the one that counts, or NULL: counts)
    Source: docs/people.md, "Events".
    """
    placed = raw_rows.filter(raw_rows.kind.notnull(), raw_rows.at.notnull())
    placed = placed.join(identities, "who")
    place = [placed.crm, placed.source_object, placed.source_id, placed.kind]
    event_id = place[0] + ":" + place[1] + ":" + place[2] + ":" + place[3] + ":" + placed.person_id
    placed = placed.mutate(event_id=event_id)
    once = placed.group_by("event_id").aggregate(
        **{
            name: placed[name].max()
            for name in (
                "person_id",
                "kind",
                "at",
                "crm",
                "source_object",
                "source_id",
                "message_id",
            )
        }
    )
    once = materialize("placed", once)
    duplicate_of = materialize("duplicates", duplicates(once))
    both = once.left_join(duplicate_of, "event_id").drop("event_id_right")
    return both.select(
        "event_id",
        "person_id",
        "kind",
        "at",
        direction=_kind_attribute(
            both.kind, {n: k.direction for n, k in definition.events.items()}
        ),
        channel=_kind_attribute(both.kind, {n: k.channel for n, k in definition.events.items()}),
        crm=both.crm,
        source_object=both.source_object,
        source_id=both.source_id,
        message_id=both.message_id,
        duplicate_of=both.duplicate_of,
    )


def duplicates(assigned: ir.Table) -> ir.Table:
    """Find the events that another CRM logged as well: event_id, duplicate_of.

    One happening is what has one message id; else what is each other's nearest, at most 120 s
    apart. Two different message ids are never one happening.
    """
    slim = assigned.select(
        "event_id", "person_id", "kind", "crm", "message_id", at=to_microseconds(assigned.at)
    )
    by_message = _by_message(slim)
    rest = slim.anti_join(by_message, "event_id")
    first = by_message.select(event_id=by_message.duplicate_of).distinct()
    rest = rest.anti_join(first, "event_id")
    return by_message.union(_by_time(rest))


def _object_events(
    crm: str,
    object: str,
    rules: list[EventRule],
    source: SourceObject,
    mapping: Mapping,
    landed: Map[str, ir.Table],
) -> list[ir.Table]:
    table = _live_rows(object, mapping, landed)
    message = table[column_name(source.message_id)] if source.message_id else ibis.null("string")
    kinds, fitted = _kinds(table, rules)
    found = []
    for at, kind in kinds.items():
        instants = [table[column_name(path)].cast("timestamp(6)") for path in at]
        told = table.mutate(_kind=kind, _at=ibis.coalesce(*instants), _message=as_text(message))
        found.append(told.filter(told._kind.notnull()))
    nothing = table.filter(~fitted)
    found.append(
        nothing.mutate(
            _kind=ibis.null("string"), _at=ibis.null("timestamp(6)"), _message=ibis.null("string")
        )
    )
    return [_to_people(crm, object, one, source, mapping) for one in found]


def _live_rows(object: str, mapping: Mapping, landed: Map[str, ir.Table]) -> ir.Table:
    """The rows of an object with the columns of their parents, without deleted ones."""
    table = rows_with_parents(mapping, landed, object)
    if mapping.system_fields.deleted in table.columns:
        table = table.filter(~table[mapping.system_fields.deleted].fill_null(False))
    return table


def _kinds(
    table: ir.Table, rules: list[EventRule]
) -> tuple[dict[tuple[str, ...], ir.StringValue], ir.BooleanValue]:
    """The kind of a row for each instant that rules name, and whether any rule fits at all."""
    instants = dict.fromkeys(rule.at for rule in rules if not rule.ignore)
    kinds = {}
    for at in instants:
        meant = [rule for rule in rules if rule.at == at or rule.ignore]
        branches = ((matches(table, rule.where), rule.kind) for rule in meant)
        kinds[at] = ibis.cases(*branches, else_=None).cast("string")
    fitted = ibis.or_(*(matches(table, rule.where) for rule in rules))
    return kinds, fitted


def _to_people(
    crm: str, object: str, told: ir.Table, source: SourceObject, mapping: Mapping
) -> ir.Table:
    """One row per happening and record or address that it names; at least one."""
    ways = []
    id = told[mapping.system_fields.id].cast("string")
    for path, targets in source.person_keys.items():
        named = told.select(
            source_id=id,
            kind=told._kind,
            at=told._at,
            message_id=told._message,
            name=split_values(told[column_name(path)]),
        )
        named = named.filter(named.name.notnull()).unnest("name")
        for target in targets:
            name = as_text(named.name)
            who = name.lower() if target == "email" else record_key(crm, target, name)
            ways.append(named.select("source_id", "kind", "at", "message_id", who=who))
    nobody = told.select(
        source_id=id,
        kind=told._kind,
        at=told._at,
        message_id=told._message,
        who=ibis.literal(""),
    )
    every = ibis.union(nobody, *ways)
    return every.select(
        "source_id",
        "kind",
        "at",
        "message_id",
        "who",
        crm=ibis.literal(crm),
        source_object=ibis.literal(object),
    )


def _kind_attribute(kind: ir.StringValue, answers: Map[str, str | None]) -> ir.StringValue:
    groups: dict[str | None, list[str]] = {}
    for name, answer in answers.items():
        groups.setdefault(answer, []).append(name)
    branches = [(kind.isin(names), answer) for answer, names in groups.items() if answer]
    return ibis.cases(*branches, else_=None).cast("string")


def _by_message(slim: ir.Table) -> ir.Table:
    mails = slim.filter(slim.message_id.notnull())
    line = ibis.window(
        group_by=[mails.person_id, mails.kind, mails.message_id],
        order_by=[mails.at, mails.event_id],
        rows=(None, None),
    )
    firsts = mails.mutate(
        first=mails.event_id.first().over(line), first_crm=mails.crm.first().over(line)
    )
    later = firsts.filter(firsts.crm != firsts.first_crm)
    return later.select("event_id", duplicate_of=later["first"])


def _by_time(rest: ir.Table) -> ir.Table:
    """Pairs in which each is the other's nearest; buckets as long as the limit find them."""
    here = rest.mutate(bucket=(rest.at // DUPLICATE_WINDOW).cast("int64"))
    there = here.select(
        other_id=here.event_id,
        other_person=here.person_id,
        other_kind=here.kind,
        other_crm=here.crm,
        other_message=here.message_id,
        other_at=here.at,
        other_bucket=here.bucket,
    )
    near = ibis.union(*(here.mutate(look=here.bucket + step) for step in (-1, 0, 1)))
    pairs = near.join(
        there,
        [
            near.person_id == there.other_person,
            near.kind == there.other_kind,
            near.look == there.other_bucket,
            near.crm != there.other_crm,
        ],
    )
    apart = (pairs.at - pairs.other_at).abs()
    contradict = (pairs.message_id != pairs.other_message).fill_null(False)
    pairs = pairs.mutate(apart=apart).filter(apart <= DUPLICATE_WINDOW, ~contradict)
    line = ibis.window(group_by=pairs.event_id, order_by=[pairs.apart, pairs.other_id])
    nearest = pairs.mutate(nth=ibis.row_number().over(line))
    nearest = nearest.filter(nearest.nth == 0)
    back = nearest.select(back_id=nearest.event_id, back_to=nearest.other_id)
    mutual = nearest.join(
        back, [nearest.other_id == back.back_id, nearest.event_id == back.back_to]
    )
    is_later = (mutual.at > mutual.other_at) | (
        (mutual.at == mutual.other_at) & (mutual.event_id > mutual.other_id)
    )
    return mutual.filter(is_later).select("event_id", duplicate_of=mutual.other_id)
