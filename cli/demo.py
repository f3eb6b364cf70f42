"""The command `demo`: two runs against the sandbox, what they changed, and one person explained."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.output import err, out
from cli.safe_text import styled
from cli.sandbox import People, Seed

if TYPE_CHECKING:
    from analysis.run_report import Report
    from config.loader import Configuration
    from sandbox.server import Sandbox

WAREHOUSE = Path(".demo/warehouse.duckdb")

app = typer.Typer()


@app.command("demo")
def demo_command(people: People = 2000, seed: Seed = 7) -> None:
    """Run twice against the sandbox and show what changed; keeps .demo/warehouse.duckdb."""
    from cli.render.progress import progress_bars
    from cli.render.run import show_report
    from config.loader import load_configuration
    from sandbox.server import running
    from sync import run

    configuration = load_configuration()
    WAREHOUSE.parent.mkdir(exist_ok=True)
    for file in WAREHOUSE.parent.glob(f"{WAREHOUSE.stem}*"):
        file.unlink()
    _heading(f"A sandbox of both CRMs with {people:,} people (seed {seed})")
    with running(people=people, seed=seed) as sandbox, _settings_of(sandbox):
        _heading("First run")
        with progress_bars(err) as bars:
            first = run(configuration, write=True, first=True, bars=bars)
        show_report(first, out)
        _heading("Second run")
        with progress_bars(err) as bars:
            second = run(configuration, write=True, bars=bars)
        _compare(first, second)
        _heading("One person explained")
        _explain_a_prospect(configuration)


def _heading(text: str) -> None:
    out.rule(styled(text, style="bold"))


@contextmanager
def _settings_of(sandbox: "Sandbox") -> Iterator[None]:
    """Point the settings of this process at the sandbox and at the demo's own warehouse."""
    before = dict(os.environ)
    os.environ.update(
        SOURCES__HUBSPOT__ACCESS_TOKEN=sandbox.hubspot_token,
        SOURCES__HUBSPOT__BASE_URL=sandbox.url,
        SOURCES__SALESFORCE__INSTANCE_URL=sandbox.url,
        SOURCES__SALESFORCE__CLIENT_ID=sandbox.client_id,
        SOURCES__SALESFORCE__CLIENT_SECRET=sandbox.client_secret,
        DESTINATION__DUCKDB__CREDENTIALS=f"duckdb:///{WAREHOUSE}",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _compare(first: "Report", second: "Report") -> None:
    """Print the stages after both runs, and the disagreements and API calls of each run."""
    from rich.table import Table

    from cli.render.run import stage_table
    from connectors import crm_label

    title = "People per stage after both runs"
    out.print(stage_table(second.labels, second.crm_stages, second.stages, title=title))
    out.print()
    table = Table(title="First and second run", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("first", justify="right")
    table.add_column("second", justify="right")
    table.add_row(
        "people with different stages in the two CRMs",
        f"{first.disagreeing:,}",
        f"{second.disagreeing:,}",
    )
    for crm, calls in first.run.calls.items():
        later = second.run.calls[crm]
        table.add_row(
            f"API calls to {crm_label(crm)}", f"{sum(calls.values()):,}", f"{sum(later.values()):,}"
        )
        table.add_row(
            "  of these, writes", f"{calls.get('write', 0):,}", f"{later.get('write', 0):,}"
        )
    out.print(table)


def _explain_a_prospect(configuration: "Configuration") -> None:
    """Explain the person in both CRMs, in the highest open stage, with the most reasons."""
    import ibis

    from analysis.explain import explain
    from cli.render.explain import show_receipt
    from warehouse.warehouse import open_warehouse

    with open_warehouse(read_only=True) as warehouse:
        lifecycle, records = warehouse.table("lifecycle"), warehouse.table("records")
        crm_counts = records.group_by("person_id").aggregate(crms=records.crm.nunique())
        people = lifecycle.join(crm_counts.filter(crm_counts.crms > 1), "person_id")
        highest_open = configuration.definition.stage_ids[-2]
        ranked = people.order_by(
            ibis.desc(people.stage == highest_open), ibis.desc(people.reasons.length()), "person_id"
        )
        [row] = ranked.limit(1).to_pyarrow().to_pylist()
        for receipt in explain(warehouse, configuration, row["person_id"]):
            show_receipt(receipt, out)
