"""onefunnel: one definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.

`run` is the whole flow, from top to bottom. Below it stands the command line.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

HERE = Path(__file__).parent
# before dlt is imported: its settings lie in the checkout, wherever the command is called from
os.environ.setdefault("DLT_PROJECT_DIR", str(HERE))

import typer
from rich.console import Console

import explain as receipts
import journal
import report
import screen
from configuration import Configuration, load, warnings
from connections import Connection, by_crm, log_in
from errors import AccessError, ConfigError, SyncError
from guard import guard, limits
from journal import Run, recorded
from progress import Bars, bars
from report import Report
from transforms.agreement import said
from transforms.check import doubts
from transforms.lifecycle import lifecycle
from transforms.plan import plan
from transforms.resolve import resolve
from warehouse import Warehouse, land, opened


def run(configuration: Configuration, *, write: bool, full: bool = False, bars: Bars) -> Report:
    """Pull both CRMs, decide with one definition, write back what is wrong.

    Raises: ConfigError before the first pull; AccessError, RetryableError where a CRM cannot be
            read. What was landed or written by then stays, and the next run goes on from it.
    """
    definition, allowed = configuration.definition, limits()
    this = Run(definition.id, started_at=datetime.now(UTC))
    crms = log_in(configuration)
    with recorded(this, {crm.crm: crm.client for crm in crms}):
        for crm in crms:
            land(crm.crm, crm.resources(full=full, progress=bars.reading(crm.crm)))
        with opened() as warehouse:
            mappings, catalogs = by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            landed = {crm.crm: warehouse.landed(crm.crm, crm.wanted) for crm in crms}
            found = resolve(mappings, landed, configuration.people, definition, tools=warehouse)
            answer = warehouse.keep(
                lifecycle(
                    found.people,
                    found.field_since,
                    found.events,
                    definition,
                    as_of=this.started_at,
                    store=warehouse.step,
                )
            )
            wrong = plan(found.records, answer.lifecycle, landed, mappings, catalogs, definition)
            wrong = journal.write_plan(warehouse, this, wrong)
            verdicts = guard(
                wrong, mappings, limits=allowed, written_before=journal.written_to(warehouse)
            )
            shown = said(found.records, landed, mappings, definition)
            told = report.of(this, definition, answer, shown, wrong, found, crms, verdicts)
            if not write:
                this.status = "planned"
            elif any(verdict.is_stopped for verdict in verdicts):
                this.status = "stopped"
            else:
                apply_changes(warehouse, this, crms, bars=bars)
            told.records = journal.account(warehouse, this.run_id)
            this.counts = told.counts()
            return told


def apply_changes(warehouse: Warehouse, this: Run, crms: list[Connection], *, bars: Bars) -> None:
    """Write the stored changes of a run that have no outcome yet; journal every batch."""
    denied: list[AccessError] = []
    for crm in crms:
        done = bars.writing(crm.crm, journal.pending_count(warehouse, this.run_id, crm.crm))
        changes = journal.pending(warehouse, this.run_id, crm.crm, crm.mapping)
        try:
            for outcomes in crm.connector.apply(crm.client, changes, crm.catalog):
                journal.write_outcomes(warehouse, this.run_id, crm.crm, outcomes)
                done(len(outcomes))
        except AccessError as error:
            # it stops this CRM, not the others; `apply` goes on from here once it is granted
            denied.append(error)
    if denied:
        raise denied[0]
    this.status = "done"


def apply_run(configuration: Configuration, run_id: str, *, bars: Bars) -> Report:
    """Write a plan that was made before; what was edited meanwhile is held.

    Raises: ConfigError where no such run is known.
    """
    with opened() as warehouse:
        this = journal.load(warehouse, run_id)
    crms = log_in(configuration)
    with recorded(this, {crm.crm: crm.client for crm in crms}), opened() as warehouse:
        apply_changes(warehouse, this, crms, bars=bars)
        return report.of_outcomes(this, journal.account(warehouse, run_id))


# --- the command line -----------------------------------------------------------------------------

app = typer.Typer(
    help="One definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
mappings_app = typer.Typer(help="The YAML files in mappings/.", no_args_is_help=True)
app.add_typer(mappings_app, name="mappings")

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Full = Annotated[bool, typer.Option("--full", help="Read everything anew, not just what changed.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", help="Decide as it was known then (UTC).")
]

STOPPED_BY_GUARD = 3
TRACEBACK = "ONEFUNNEL_TRACEBACK"


@app.command("run")
def run_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    full: Full = False,
    as_json: AsJson = False,
) -> None:
    """Pull both CRMs, decide, and write back what is wrong."""
    with bars(err) as shown:
        told = run(load(), write=not dry_run, full=full, bars=shown)
    tell(told, as_json=as_json)


@app.command("plan")
def plan_command(full: Full = False, as_json: AsJson = False) -> None:
    """Pull both CRMs and show what is wrong; `apply RUN` writes it."""
    run_command(dry_run=True, full=full, as_json=as_json)


@app.command("apply")
def apply_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The plan to write.")],
    as_json: AsJson = False,
) -> None:
    """Write a plan that was made before; what was edited meanwhile is held."""
    with bars(err) as shown:
        told = apply_run(load(), run_id, bars=shown)
    tell(told, as_json=as_json)


@app.command("explain")
def explain_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help="An address or a record id.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Say where somebody stands, why, and what is missing for the next stage."""
    with opened() as warehouse:
        found = receipts.explain(warehouse, load(), who, as_of=as_of)
    if as_json:
        print_json([receipt.as_json() for receipt in found])
    else:
        for receipt in found:
            screen.show_receipt(receipt, out)


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show the last runs, and what is held or quarantined."""
    with opened() as warehouse:
        told = journal.status(warehouse)
    if as_json:
        print_json(asdict(told))
    else:
        screen.show_status(told, out)


@app.command("recompute")
def recompute_command(
    definition: Annotated[
        Path | None, typer.Option("--definition", help="Another lifecycle.yaml to decide by.")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Decide anew from what is in the warehouse; pull nothing, write nothing to a CRM."""
    configuration = load(definition=definition)
    with opened() as warehouse:
        people, since, events = warehouse.answerable()
        answer = warehouse.keep(
            lifecycle(
                people,
                since,
                events,
                configuration.definition,
                as_of=as_of or datetime.now(UTC),
                store=warehouse.step,
            )
        )
        counted = report.stages(answer.lifecycle)
    if as_json:
        print_json(counted)
    else:
        out.print(screen.stage_table(report.labels(configuration.definition), [], counted))


@app.command("sandbox")
def sandbox_command(
    people: Annotated[int, typer.Option(help="How many people there are.")] = 2000,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal worlds.")] = 7,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8700,
) -> None:
    """Serve both CRMs on loopback, with believable people."""
    from sandbox.server import serve

    serve(people=people, seed=seed, port=port)


@app.command("demo")
def demo_command(
    people: Annotated[int, typer.Option(help="How many people there are.")] = 2000,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal worlds.")] = 7,
) -> None:
    """Run against the sandbox and show what it changed."""
    from demo import demo

    def write(configuration: Configuration, shown: Bars) -> Report:
        return run(configuration, write=True, bars=shown)

    demo(write, out, err, people=people, seed=seed)


@mappings_app.command("check")
def mappings_check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the CRMs for their fields.")
    ] = False,
) -> None:
    """Check the YAML files, and hold them against the fields both CRMs really have."""
    configuration = load()
    odd = [str(warning) for warning in warnings(configuration)]
    crms = [] if offline else log_in(configuration)
    odd += [str(doubt) for crm in crms for doubt in doubts(configuration, crm.crm, crm.catalog)]
    for warning in odd:
        err.print(f"[yellow]warning[/] {warning}", highlight=False)
    out.print(f"mappings/ is sound; definition {configuration.definition.id}", highlight=False)
    for crm in crms:
        left_out = f"; without {', '.join(crm.left_out)}" if crm.left_out else ""
        out.print(f"{crm.account}: every mapped field is there{left_out}", highlight=False)


def tell(told: Report, *, as_json: bool) -> None:
    """Print a report, and end with 3 where the guard stopped the plan."""
    if as_json:
        print_json(told.as_json())
    else:
        screen.show(told, out)
    if told.run.status == "stopped":
        raise typer.Exit(STOPPED_BY_GUARD)


def print_json(told: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(told, default=str, indent=2) + "\n")


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what went wrong into one text and an exit code: 2 configuration, 1 all else."""
    try:
        yield
    except ConfigError as error:
        err.print(f"[red]not started[/] {error}", highlight=False)
        sys.exit(2)
    except SyncError as error:
        err.print(f"[red]broken off[/] {error}", highlight=False)
        sys.exit(1)
    except Exception as error:
        # the one broad handler: what a library says of its trouble may hold a record's value
        if TRACEBACK in os.environ:
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        err.print(
            f"[red]broken off[/] by a fault of ours or of a library: {type(error).__name__} in "
            f"{Path(place.filename).name}:{place.lineno}. Nothing is lost: the next run goes on. "
            f"With {TRACEBACK}=1 it is told in full; that may show values of records.",
            highlight=False,
        )
        sys.exit(1)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    with plainly():
        app()


if __name__ == "__main__":
    main()
