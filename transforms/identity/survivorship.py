"""One row per person: of each field the value that survives, and since when it holds."""

import ibis
import ibis.expr.types as ir

from config.mapping import CanonicalField, People


def people(records: ir.Table, events: ir.Table, config: People) -> ir.Table:
    """Make one row of all records of a person that are not deleted.

    In:     records(person_id, key, crm, created_at, updated_at, deleted, canonical fields),
            events(person_id, at)
    Out:    person_id, email, created_at (the oldest record, deleted ones included, or the first
            event, whichever was earlier), the canonical fields. A person all of whose records are
            deleted has no row.
    Source: docs/people.md, "Survivorship".
    """
    born = records.group_by("person_id").aggregate(oldest=records.created_at.min())
    first = events.group_by("person_id").aggregate(first=events.at.min())
    survived = _surviving_values(records, config, of_value=True)
    both = survived.join(born, "person_id").left_join(first, "person_id")
    return both.select(
        "person_id",
        created_at=ibis.least(both.oldest, both["first"].fill_null(both.oldest)),
        **{name: both[name] for name in config.fields},
    )


def field_since(
    records: ir.Table, field_values: ir.Table, config: People, field_names: tuple[str, ...]
) -> ir.Table:
    """Return since when a person's field has its value, where a history has the date.

    In:     records as above; held(key, field, since): the spells of `field_history` at the moment
            that is asked for; `asked` are the canonical fields of the definition
    Out:    person_id, field, since timestamp; no row = unknown
    Source: docs/people.md, "Since when".
    """
    winners = _surviving_values(records, config, of_value=False)
    listed = [
        winners.select("person_id", field=ibis.literal(name), key=winners[name])
        for name in field_names
        if name in config.fields
    ]
    told = field_values.filter(field_values.since.notnull()).select("key", "field", "since")
    if not listed:
        return told.filter(ibis.literal(False)).select(
            person_id="key", field="field", since="since"
        )
    won = ibis.union(*listed) if len(listed) > 1 else listed[0]
    return won.join(told, ["key", "field"]).select("person_id", "field", "since")


def _surviving_values(records: ir.Table, config: People, *, of_value: bool) -> ir.Table:
    """Per person and field the surviving value, or the key of the record it came from."""
    live = records.filter(~records.deleted)
    order = {policy: f"order_{i}" for i, policy in enumerate(_policies(config))}
    live = live.mutate(
        **{
            name: ibis.row_number().over(
                group_by=live.person_id, order_by=_survivorship_order(live, policy)
            )
            for policy, name in order.items()
        }
    )
    chosen = {}
    for name, field in config.fields.items():
        value = live[name]
        where = (
            value.notnull() & value if field.survivorship == "most_restrictive" else value.notnull()
        )
        best = live[order[_policy(field)]]
        picked = (value if of_value else live.key).argmin(best, where=where)
        if field.survivorship == "most_restrictive" and of_value:
            picked = value.max() if value.type().is_numeric() else value.any()
        chosen[name] = picked
    return live.group_by("person_id").aggregate(**chosen)


def _policy(field: CanonicalField) -> str | tuple[str, ...]:
    return "most_recent" if field.survivorship == "most_restrictive" else field.survivorship


def _policies(config: People) -> list[str | tuple[str, ...]]:
    return list(dict.fromkeys(_policy(field) for field in config.fields.values()))


def _survivorship_order(live: ir.Table, policy: str | tuple[str, ...]) -> list[ir.Value]:
    """Whose word comes first; what is equal is settled by the younger record, then by the key."""
    if policy == "oldest":
        return [live.created_at, live.key]
    # not by the last change: what we write ourselves would move it, and the answer with it
    recent = [live.created_at.desc(), live.key]
    if policy == "most_recent":
        return recent
    ranks = ((live.crm == crm, rank) for rank, crm in enumerate(policy))
    return [ibis.cases(*ranks, else_=len(policy)), *recent]
