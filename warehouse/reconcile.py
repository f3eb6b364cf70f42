"""What nobody answered for is settled by reading: the next run sees what became of it."""

from collections.abc import Mapping

import ibis

from config.mapping import Mapping as CrmMapping
from models import Catalog
from transforms.planning.holds import RECORD
from transforms.planning.reconcile import found_written
from transforms.staging.fields import Landed
from warehouse.runs import CHANGES, KEY, OUTCOMES, unanswered
from warehouse.warehouse import Warehouse


def settle(
    warehouse: Warehouse,
    landed: Landed,
    mappings: Mapping[str, CrmMapping],
    catalogs: Mapping[str, Catalog],
) -> None:
    """Say written of what nobody answered for, where the CRM shows it and no later run meant it."""
    open_ones = unanswered(warehouse)
    sent = warehouse.ledger("changes", CHANGES).semi_join(open_ones, RECORD)
    last = sent.group_by(*RECORD).aggregate(run_id=sent.run_id.max())
    sent = sent.semi_join(last.semi_join(open_ones, KEY), KEY)
    sent = warehouse.step("unanswered", sent.select(*KEY, "field", "after"))
    found = open_ones.semi_join(found_written(sent, landed, mappings, catalogs), KEY)
    found = warehouse.step("settled", found)
    # just behind the outcome it replaces: what was said or sent since stays later than it
    found = found.mutate(
        status=ibis.literal("written"),
        reason=ibis.literal(""),
        attempts=ibis.literal(1),
        at=found.at + ibis.interval(microseconds=1),
        **{name: ibis.null("string") for name in ("error_code", "error", "field")},
    )
    warehouse.append("outcomes", found, OUTCOMES)
