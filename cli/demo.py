"""The demo: both CRMs on loopback, one run, what changed, and a second that writes nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import typer
from rich.console import Console
from rich.table import Table

from analysis.explain import explain
from analysis.run_report import Report
from cli.output import err, out
from cli.render import run as screen
from cli.render.explain import show_receipt
from cli.render.progress import progress_bars
from cli.sandbox import People, Seed
from config.loader import Configuration, load_configuration
from models import crm_label
from sandbox.server import Sandbox, running
from sync import run
from warehouse.warehouse import open_warehouse

WAREHOUSE_FILE = Path(".demo/warehouse.duckdb")

app = typer.Typer()


@app.command("demo")
def demo_command(people: People = 2000, seed: Seed = 7) -> None:
    """Run twice against the sandbox, show what changed, and keep .demo/warehouse.duckdb."""
    configuration = load_configuration()
    WAREHOUSE_FILE.parent.mkdir(exist_ok=True)
    WAREHOUSE_FILE.unlink(missing_ok=True)
    out.rule(f"[bold]A sandbox of both CRMs, {people:,} people, seed {seed}")
    with running(people=people, seed=seed) as sandbox, _sandbox_settings(sandbox):
        out.rule("[bold]First run")
        with progress_bars(err) as shown:
            first = run(configuration, write=True, bars=shown)
        screen.show_report(first, out)
        out.rule("[bold]Second run")
        with progress_bars(err) as shown:
            second = run(configuration, write=True, bars=shown)
        _compare(first, second, out)
        out.rule("[bold]One person explained")
        _explain_one_person(configuration, out)


@contextmanager
def _sandbox_settings(sandbox: Sandbox) -> Iterator[None]:
    """Point the settings at the sandbox and at the demo's own warehouse, for this process."""
    before = dict(os.environ)
    os.environ.update(
        SOURCES__HUBSPOT__ACCESS_TOKEN=sandbox.hubspot_token,
        SOURCES__HUBSPOT__BASE_URL=sandbox.url,
        SOURCES__SALESFORCE__INSTANCE_URL=sandbox.url,
        SOURCES__SALESFORCE__CLIENT_ID=sandbox.client_id,
        SOURCES__SALESFORCE__CLIENT_SECRET=sandbox.client_secret,
        DESTINATION__DUCKDB__CREDENTIALS=f"duckdb:///{WAREHOUSE_FILE}",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _compare(first: Report, second: Report, out: Console) -> None:
    """Before and after, from what each run read in the CRMs."""
    after = "People per stage, as both CRMs say now"
    out.print(screen.stage_table(second.labels, second.crm_stages, second.stages, title=after))
    out.print()
    table = Table(title="Before and after", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    table.add_row(
        "people of whom the two CRMs say different things",
        f"{first.disagreeing:,}",
        f"{second.disagreeing:,}",
    )
    for crm, kinds in first.run.calls.items():
        later = second.run.calls[crm]
        table.add_row(
            f"calls to {crm_label(crm)}", f"{sum(kinds.values()):,}", f"{sum(later.values()):,}"
        )
        table.add_row(
            "  of these, writing", f"{kinds.get('write', 0):,}", f"{later.get('write', 0):,}"
        )
    out.print(table)


def _explain_one_person(configuration: Configuration, out: Console) -> None:
    """Pick a prospect both CRMs know, with a journey worth reading."""
    with open_warehouse() as warehouse:
        answer, records = warehouse.table("lifecycle"), warehouse.table("records")
        known = records.group_by("person_id").aggregate(crms=records.crm.nunique())
        both = answer.join(known.filter(known.crms > 1), "person_id")
        top = configuration.definition.stage_ids[-2]
        best = both.order_by(
            ibis.desc(both.stage == top), ibis.desc(both.reasons.length()), "person_id"
        )
        [row] = best.limit(1).to_pyarrow().to_pylist()
        for receipt in explain(warehouse, configuration, row["person_id"]):
            show_receipt(receipt, out)
