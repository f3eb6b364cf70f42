"""Resolve unknown outcomes: the next run reads from the CRM whether a change was written."""

from collections.abc import Mapping

import ibis

from config.mapping import Mapping as CrmMapping
from models import Catalog
from transforms.planning.holds import RECORD_KEY
from transforms.planning.reconcile import find_applied
from transforms.staging.fields import SourceTables
from warehouse.changes import CHANGES, OUTCOME_KEY, OUTCOMES, unknown_outcomes
from warehouse.warehouse import Warehouse


def resolve_unknown(
    warehouse: Warehouse,
    source_tables: SourceTables,
    mappings: Mapping[str, CrmMapping],
    catalogs: Mapping[str, Catalog],
) -> None:
    """Set unknown outcomes to `written` where the CRM shows the value and no later run sent one."""
    unknown = unknown_outcomes(warehouse)
    sent = warehouse.ensure_table("changes", CHANGES).semi_join(unknown, RECORD_KEY)
    last = sent.group_by(*RECORD_KEY).aggregate(run_id=sent.run_id.max())
    sent = sent.semi_join(last.semi_join(unknown, OUTCOME_KEY), OUTCOME_KEY)
    sent = warehouse.materialize("unanswered", sent.select(*OUTCOME_KEY, "field", "after"))
    applied = unknown.semi_join(find_applied(sent, source_tables, mappings, catalogs), OUTCOME_KEY)
    applied = warehouse.materialize("settled", applied)
    # one microsecond after the outcome it replaces: later outcomes and decisions stay later
    applied = applied.mutate(
        status=ibis.literal("written"),
        reason=ibis.literal(""),
        attempts=ibis.literal(1),
        at=applied.at + ibis.interval(microseconds=1),
        **{name: ibis.null("string") for name in ("error_code", "error", "field", "crm_message")},
    )
    warehouse.append("outcomes", applied, OUTCOMES)
