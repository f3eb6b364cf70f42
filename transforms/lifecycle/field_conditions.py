"""What is true of a person by what the CRMs say of them: every field condition, as *true since*."""

from collections.abc import Callable, Iterable

import ibis
import ibis.expr.types as ir

from config.definition import AllOf, AnyOf, Condition, Definition, FieldLeaf, Leaf, leaves
from errors import ConfigError
from transforms.staging.field_tests import passes_tests
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, to_microseconds


def field_conditions(
    people: ir.Table, field_since: ir.Table, definition: Definition, *, as_of: int
) -> ir.Table:
    """Say since when each field leaf of the definition holds for each person known at `as_of`.

    In:     people(person_id string, created_at timestamp, the definition's fields),
            field_since(person_id, field, since timestamp); `as_of` in microseconds
    Out:    who int64 (a number for person_id, for this run only), person_id, created int64 (us),
            one column per field leaf, see `column` (int64 us, NEVER where it does not hold)
    Raises: ConfigError where a field is missing or a test does not fit its type.
    Source: docs/definition.md, "True since".
    """
    missing = [name for name in definition.fields() if name not in people.columns]
    if missing:
        raise ConfigError(
            f"the definition asks for {', '.join(missing)}, which no mapping reads: "
            "map the field in the file mappings/<crm>.yaml of a CRM that has it, or remove the rule"
        )
    known = people.mutate(created=to_microseconds(people.created_at))
    known = known.filter(known.created <= as_of)
    since = _since_by_field(field_since, definition.fields())
    known = known.left_join(since, "person_id").drop("person_id_right")
    return known.select(
        who=ibis.row_number(),
        person_id=known.person_id,
        created=known.created,
        **{
            field_leaf_column(leaf, definition): _true_since(known, leaf, as_of)
            for leaf in field_leaves(definition)
        },
    )


def field_leaves(definition: Definition) -> tuple[FieldLeaf, ...]:
    """Every different field leaf of the definition, in the order written."""
    found = (leaf for condition in definition.conditions() for leaf in leaves(condition))
    return tuple(dict.fromkeys(leaf for leaf in found if isinstance(leaf, FieldLeaf)))


def field_leaf_column(leaf: FieldLeaf, definition: Definition) -> str:
    """The name of a field leaf's column in `facts`."""
    return f"field_{field_leaves(definition).index(leaf)}"


def condition_since(
    condition: Condition, leaf_since: Callable[[Leaf], ir.IntegerValue]
) -> ir.IntegerValue:
    """Since when a condition is true: any = the earliest part, all = the latest."""
    match condition:
        case AnyOf(any=parts):
            return earliest(condition_since(part, leaf_since) for part in parts)
        case AllOf(all=parts):
            return latest(condition_since(part, leaf_since) for part in parts)
        case leaf:
            return leaf_since(leaf)


def earliest(instants: Iterable[ir.IntegerValue]) -> ir.IntegerValue:
    """The first of these instants; NEVER for an empty list.

    >>> earliest([ibis.literal(7), ibis.literal(NEVER)]).to_pyarrow().as_py()
    7
    """
    # one alone, and none: some engines insist on two
    match list(instants):
        case []:
            return int64(NEVER)
        case [one]:
            return one
        case given:
            return ibis.least(*given)


def latest(instants: Iterable[ir.IntegerValue]) -> ir.IntegerValue:
    """The last of these instants: NEVER as soon as one is.

    >>> latest([ibis.literal(7), ibis.literal(NEVER)]).to_pyarrow().as_py() == NEVER
    True
    """
    match list(instants):
        case [one]:
            return one
        case given:
            return ibis.greatest(*given)


def nth_earliest(instants: Iterable[ir.IntegerValue], nth: int) -> ir.IntegerValue:
    """The n-th of these instants in time; NEVER where fewer came true.

    >>> nth_earliest([ibis.literal(7), ibis.literal(3), ibis.literal(5)], 2).to_pyarrow().as_py()
    5
    """
    given = list(instants)
    if nth > len(given):
        return int64(NEVER)
    never = int64(NEVER)
    reached = (
        ibis.ifelse(sum((other <= one).ifelse(1, 0) for other in given) >= nth, one, never)
        for one in given
    )
    return earliest(reached)


def _true_since(known: ir.Table, leaf: FieldLeaf, as_of: int) -> ir.IntegerValue:
    since = known[_since(leaf.field)].fill_null(known.created)
    true_now = passes_tests(known[leaf.field], leaf) & (since <= as_of)
    return ibis.ifelse(true_now, since, int64(NEVER)).cast("int64")


def _since(field: str) -> str:
    return f"since__{field}"


def _since_by_field(field_since: ir.Table, fields: tuple[str, ...]) -> ir.Table:
    asked = field_since.filter(field_since.field.isin(fields)) if fields else field_since
    return asked.group_by("person_id").aggregate(
        **{
            _since(name): to_microseconds(asked.since).max(where=asked.field == name)
            for name in fields
        },
        _rows=asked.count(),
    )
