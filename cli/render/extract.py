"""What people see of pulls: by which roads objects are read, and how they were proven."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from analysis.run_report import Rows
from cli.render.run import figure, grid
from models import Road, crm_name


def show_roads(roads: Mapping[str, Sequence[Road]], console: Console) -> None:
    """Print how each object would be read, and by about how many calls."""
    columns = ("object", "road", "records >", "calls >", "why")
    for crm, some in roads.items():
        table = grid(f"{crm_name(crm)}: the next pull", *columns)
        for road in some:
            records = "" if road.records is None else figure(road.records)
            table.add_row(road.object, road.road, records, figure(road.calls), road.why)
        table.add_row("in all", "", "", figure(sum(road.calls for road in some)), "")
        console.print(table)


def proofs(rows: Rows) -> Table:
    """Tell when each object was last proven, and what was mended so far."""
    columns = ("object", "records >", "proven", "missed >", "gone >", "linked anew >")
    table = grid("Held against the CRM, and mended", *columns)
    for row in rows:
        proven = f"{row['proven_at']:%Y-%m-%d %H:%M}" if row["proven_at"] else "not yet"
        names = ("records", "missed", "gone", "relinked")
        records, *mended = (figure(row[name]) for name in names)
        table.add_row(f"{row['crm']} {row['object']}", records, proven, *mended)
    return table
