"""Print the estimate of the next extract, and the row-count checks."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from cli.render.run import format_count, make_table
from connectors import crm_label
from models import ExtractEstimate, Rows


def show_estimates(estimates: Mapping[str, Sequence[ExtractEstimate]], console: Console) -> None:
    """Print how each object would be read, and by about how many calls."""
    columns = ("object", "method", "records >", "calls >", "reason")
    for crm, some in estimates.items():
        table = make_table(f"{crm_label(crm)}: next extract", *columns)
        for one in some:
            records = "" if one.records is None else format_count(one.records)
            table.add_row(one.object, one.method, records, format_count(one.calls), one.reason)
        table.add_row("total", "", "", format_count(sum(one.calls for one in some)), "")
        console.print(table)


def row_check_table(rows: Rows) -> Table:
    """Show when each object was last checked in full, and the differences so far."""
    columns = ("object", "records >", "checked", "missing >", "absent >", "moved >")
    table = make_table("Row check: differences from the CRM so far", *columns)
    table.columns[2].no_wrap = True
    for row in rows:
        checked = f"{row['complete_at']:%m-%d %H:%M}" if row["complete_at"] else "never"
        names = ("records", "missing", "absent", "reassociated")
        records, *repairs = (format_count(row[name]) for name in names)
        table.add_row(f"{row['crm']} {row['object']}", records, checked, *repairs)
    return table
