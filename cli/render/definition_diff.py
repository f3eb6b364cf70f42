"""What people see of the difference another definition would make."""

from collections.abc import Iterator
from itertools import islice

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.definition_diff import Difference
from cli.render.backtest import percent
from cli.render.run import WIDE, figure, grid
from models import crm_name

FLOWS = 15
PEOPLE = 12


def show_difference(told: Difference, console: Console) -> None:
    """Print a difference for people."""
    console.print(_heading(told))
    for part in _parts(told, is_wide=console.width >= WIDE):
        console.print(part)
        console.print()


def _heading(told: Difference) -> Text:
    return Text.assemble(
        ("Diff ", "bold"),
        (f"{told.ours} ({told.ids[0]}) to {told.theirs} ({told.ids[1]})\n", "bold cyan"),
        f"{told.moved:,} of {told.people:,} people would move ({percent(told.share)}), by what was "
        f"pulled on {told.as_of:%Y-%m-%d %H:%M} UTC. Nothing was written.\n",
    )


def _parts(told: Difference, *, is_wide: bool) -> Iterator[RenderableType]:
    if told.flows:
        yield _flows(told)
        yield _sample(told, is_wide=is_wide)
    yield _work(told)
    yield _writes(told, is_wide=is_wide)


def _flows(told: Difference) -> Table:
    table = grid("Who would move", "from", "to", "people >", "share >")
    for row in told.flows[:FLOWS]:
        table.add_row(
            told.place(row["stage"], row["status"]),
            told.place(row["stage_to"], row["status_to"]),
            figure(row["people"]),
            percent(row["people"] / told.people),
        )
    if rest := told.flows[FLOWS:]:
        people = sum(row["people"] for row in rest)
        table.add_row(f"and {len(rest)} more", "", figure(people), "", style="dim")
    return table


def _sample(told: Difference, *, is_wide: bool) -> Table:
    """Some of them, the largest flows first."""
    order = [(r["stage"], r["status"], r["stage_to"], r["status_to"]) for r in told.flows]
    sample = sorted(
        told.sample,
        key=lambda r: order.index((r["stage"], r["status"], r["stage_to"], r["status_to"])),
    )
    records = ["known as"] if is_wide else []
    table = grid("Some of them (`explain ID` tells all)", "person", *records, "from", "to")
    table.columns[0].overflow = "fold"
    for row in islice(sample, PEOPLE):
        table.add_row(
            row["person_id"],
            *([", ".join(row["records"])] if is_wide else []),
            _because(told.place(row["stage"], row["status"]), row["reasons"]),
            _because(told.place(row["stage_to"], row["status_to"]), row["reasons_to"]),
        )
    return table


def _because(place: str, reasons: str) -> Text:
    return Text.assemble((place, "bold"), f"\n{reasons}" if reasons else "")


def _work(told: Difference) -> Table:
    table = grid("What it means in work", "", f"{told.ours} >", f"{told.theirs} >")
    for row in told.follow_ups:
        label = told.labels.get(row["stage"], row["stage"])
        rates = (f"{row[side]:.1f}" for side in ("before", "after"))
        table.add_row(f"follow-ups a week: {label}", *rates)
    table.add_row("follow-ups a week", *(f"{rate:.1f}" for rate in told.per_week), style="bold")
    waiting = (sum(row[side] for row in told.actions) for side in ("due", "due_to"))
    table.add_row("follow-ups that wait now", *map(figure, waiting))
    table.add_section()
    for row in told.actions:
        table.add_row(f"people: {row['next_action']}", figure(row["before"]), figure(row["after"]))
    return table


def _writes(told: Difference, *, is_wide: bool) -> Table:
    fields = ["fields"] if is_wide else []
    columns = ("where", "records >", "differing >", "calls, about >", *fields)
    table = grid("What it means in writing", *columns)
    for row in told.writes:
        counts = (f"{name} {count:,}" for name, count in row["fields"].items() if count)
        table.add_row(
            f"{crm_name(row['crm'])} {row['object']}",
            figure(row["records"]),
            figure(row["differing"]),
            figure(row["calls"]),
            *([", ".join(counts)] if is_wide else []),
        )
    return table
