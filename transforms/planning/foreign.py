"""Which values in the CRMs are not ours: no run has written them."""

import ibis
import ibis.expr.types as ir

from transforms.planning.holds import FIELD_KEY

UNDO = "undo of "
"""How the reason of a change begins that puts back what a run replaced."""


def with_foreign(changes: ir.Table, attempts: ir.Table) -> ir.Table:
    """Add is_foreign: whether the field holds a value that no run has written into it.

    What an undo put back was not ours either.
    """
    is_ours = attempts.status.isin(["written", "unknown"])
    is_ours = is_ours & ~attempts.reason.startswith(UNDO).fill_null(False)
    ours = (
        attempts.filter(is_ours)
        .select(*FIELD_KEY, crm_value="after", is_ours=ibis.literal(True))
        .distinct()
    )
    both = changes.left_join(ours, [*FIELD_KEY, "crm_value"])
    both = both.drop(*(name for name in both.columns if name.endswith("_right")))
    is_foreign = both.crm_value.notnull() & both.is_ours.isnull()
    return both.mutate(is_foreign=is_foreign).drop("is_ours")
