"""onefunnel: one definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.

`run` is the whole flow, from top to bottom. Below it stands the command line.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

if __name__ == "__main__" and sys.argv[1:2] == ["sandbox"]:
    # it starts in a second, for it needs nothing of what is imported below
    from commands.playground import main as playground

    playground(sys.argv[2:])
    sys.exit()

# before dlt is imported: its settings lie in the checkout, wherever the command is called from
os.environ.setdefault("DLT_PROJECT_DIR", str(Path(__file__).parent))

import typer

import commands.answers
import commands.history
import commands.mappings
import commands.playground
import commands.roads
import commands.runs
import journal
import report
from apply import apply_changes, budgets, hold_all
from commands import AsJson, err, out, plainly, print_json
from commands.playground import People, Seed
from configuration import Configuration, load
from connections import Connection, by_crm, fit, log_in
from erasure import forget_erased
from guard import guard, limits
from journal import Run, accounts, decisions, proofs, recorded, settling
from journal.lease import Lease, leased
from recordings.sessions import record, refusals_saved, replay
from report import Report
from screens import run as screen
from screens.progress import Bars, bars
from transforms.agreement import said
from transforms.lifecycle import lifecycle
from transforms.plan import plan
from transforms.resolve import resolve
from transforms.undo import undo
from warehouse import land, opened


def run(
    configuration: Configuration,
    *,
    write: bool,
    full: bool = False,
    wait: bool = False,
    as_of: datetime | None = None,
    bars: Bars,
) -> Report:
    """Pull both CRMs, decide with one definition, write back what is wrong.

    `as_of` is the moment of the decision, by default the present.

    Raises: HeldError where another run is under way; ConfigError before the first pull;
            DriftError after it, where an account no longer fits its mapping; AccessError,
            RetryableError where a CRM cannot be read. What was landed or written by then stays,
            and the next run goes on from it.
    """
    definition, allowed = configuration.definition, limits()
    this = Run(definition.id, started_at=as_of or datetime.now(UTC))
    with begun(this, configuration, wait=wait) as (lease, crms):
        pull(this, crms, lease, full=full, bars=bars)
        fit(configuration, crms)
        with opened() as warehouse:
            lease.renew(warehouse)
            mappings, catalogs = by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            landed = {crm.crm: warehouse.landed(crm.crm, crm.wanted) for crm in crms}
            forget_erased(warehouse, configuration, crms, landed)
            settling.settle(warehouse, landed, mappings, catalogs)
            found = resolve(
                mappings,
                landed,
                configuration.people,
                definition,
                as_of=this.started_at,
                tools=warehouse,
            )
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
            wrong = plan(
                found.records,
                answer.lifecycle,
                landed,
                mappings,
                catalogs,
                definition,
                past=decisions.past(warehouse),
                as_of=this.started_at,
                store=warehouse.step,
            )
            journal.write_plan(warehouse, this, wrong)
            decisions.write_held(warehouse, this, wrong.held)
            verdicts = guard(
                wrong, mappings, limits=allowed, written_before=journal.written_to(warehouse)
            )
            shown = said(found.records, landed, mappings, definition)
            told = report.of(this, definition, answer, shown, wrong, found, crms, verdicts)
            budgets(warehouse, this, crms, since=this.started_at)
            if not write:
                hold_all(warehouse, this, crms, status="planned", reason="approval")
            elif any(verdict.is_stopped for verdict in verdicts):
                hold_all(warehouse, this, crms, status="stopped", reason="guard")
            else:
                apply_changes(warehouse, this, crms, lease, bars=bars)
            told.records = accounts.account(warehouse, this.run_id)
            this.counts |= told.counts()
            return told


@contextmanager
def begun(
    this: Run, configuration: Configuration, *, wait: bool
) -> Iterator[tuple[Lease, list[Connection]]]:
    """Hold the lease, log in to both CRMs, and store how the run ends."""
    with leased(this.run_id, wait=wait) as lease:
        with opened() as warehouse:
            journal.close_killed(warehouse)
            landed = {crm: warehouse.landed_types(crm) for crm in configuration.mappings}
        crms = log_in(configuration, landed)
        with recorded(this, {crm.crm: crm.client for crm in crms}):
            yield lease, crms


def pull(this: Run, crms: list[Connection], lease: Lease, *, full: bool, bars: Bars) -> None:
    """Land what changed in each CRM (`full`: everything), and journal how it was proven."""
    with opened() as warehouse:
        swept = {crm.crm: proofs.swept(warehouse, crm.crm) for crm in crms}
    for crm in crms:
        shown = bars.reading(crm.crm, lease.renew_if_due)
        found = land(crm.crm, partial(crm.pull, swept=swept[crm.crm], full=full, progress=shown))
        with opened() as warehouse:
            proofs.write(warehouse, this.run_id, crm.crm, found)


def apply_run(
    configuration: Configuration, run_id: str, *, wait: bool = False, bars: Bars
) -> Report:
    """Write a plan that was made before; what was edited meanwhile is held.

    Raises: HeldError where another run is under way; ConfigError where no such run is known.
    """
    with opened() as warehouse:
        this = journal.load(warehouse, run_id)
    with begun(this, configuration, wait=wait) as (lease, crms):
        fit(configuration, crms)
        with opened() as warehouse:
            apply_changes(warehouse, this, crms, lease, bars=bars)
            return report.of_outcomes(this, accounts.account(warehouse, run_id))


def undo_run(
    configuration: Configuration, run_id: str, *, write: bool, wait: bool = False, bars: Bars
) -> Report:
    """Write back what a run replaced, where the CRM still holds what it wrote; list the rest.

    It is a run of its own: previewed, applied and undone like any other.

    Raises: HeldError where another run is under way; ConfigError where no such run is known.
    """
    with opened() as warehouse:
        journal.load(warehouse, run_id)
    this = Run(configuration.definition.id, started_at=datetime.now(UTC))
    with begun(this, configuration, wait=wait) as (lease, crms):
        pull(this, crms, lease, full=False, bars=bars)
        fit(configuration, crms)
        with opened() as warehouse:
            lease.renew(warehouse)
            mappings, catalogs = by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            landed = {crm.crm: warehouse.landed(crm.crm, crm.wanted) for crm in crms}
            settling.settle(warehouse, landed, mappings, catalogs)
            back = undo(
                decisions.written(warehouse, run_id),
                warehouse.table("records"),
                landed,
                mappings,
                catalogs,
                store=warehouse.step,
            )
            journal.write_plan(warehouse, this, back)
            told = report.of_undo(this, back, crms)
            if write:
                apply_changes(warehouse, this, crms, lease, bars=bars)
            else:
                hold_all(warehouse, this, crms, status="planned", reason="approval")
            told.records = accounts.account(warehouse, this.run_id)
            this.counts |= {"undo": run_id, "records": told.records}
            return told


# --- the command line -----------------------------------------------------------------------------

app = typer.Typer(
    help="One definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Full = Annotated[bool, typer.Option("--full", help="Read everything anew, not just what changed.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for a run that is under way.")]

STOPPED_BY_GUARD = 3


@app.command("run")
def run_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    full: Full = False,
    wait: Wait = False,
    record_on_error: Annotated[
        bool, typer.Option("--record-on-error", help="Keep refused calls as a cassette.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pull both CRMs, decide, and write back what is wrong."""
    configuration = load()
    kept = refusals_saved(configuration, say) if record_on_error else nullcontext()
    with kept, bars(err) as shown:
        told = run(configuration, write=not dry_run, full=full, wait=wait, bars=shown)
    tell(told, as_json=as_json)


@app.command("plan")
def plan_command(
    extract: Annotated[
        bool, typer.Option("--extract", help="Only show how both CRMs would be read.")
    ] = False,
    full: Full = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Pull both CRMs and show what is wrong; `apply RUN` writes it."""
    if extract:
        commands.roads.show(full=full, as_json=as_json)
        return
    run_command(dry_run=True, full=full, wait=wait, as_json=as_json)


@app.command("apply")
def apply_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The plan to write.")],
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Write a plan that was made before; what was edited meanwhile is held."""
    with bars(err) as shown:
        told = apply_run(load(), run_id, wait=wait, bars=shown)
    tell(told, as_json=as_json)


Cassette = Annotated[Path, typer.Argument(help="The cassette, such as cassettes/ours.json.")]


@app.command("record")
def record_command(cassette: Cassette) -> None:
    """Pull both CRMs, write nothing, and keep their answers without secrets and people."""
    told, count = record(planned, load(), cassette)
    screen.show(told, out)
    say(f"{count} calls are kept in {cassette}, without secrets and people")


@app.command("replay")
def replay_command(cassette: Cassette, as_json: AsJson = False) -> None:
    """Plan from a cassette with today's mappings and definition; no call is made."""
    tell(replay(planned, load(), cassette), as_json=as_json)


def planned(configuration: Configuration, at: datetime) -> Report:
    """Plan as of a moment, and write nothing."""
    with bars(err) as shown:
        return run(configuration, write=False, full=True, as_of=at, bars=shown)


def say(text: str) -> None:
    """Tell people what happened beside the report."""
    err.print(text, highlight=False)


@app.command("undo")
def undo_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run to undo.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Write back what a run replaced, where nobody has touched it since."""
    with bars(err) as shown:
        told = undo_run(load(), run_id, write=not dry_run, wait=wait, bars=shown)
    tell(told, as_json=as_json)


@app.command("demo")
def demo_command(
    people: People = 2000,
    seed: Seed = 7,
) -> None:
    """Run against the sandbox and show what it changed."""
    from demo import demo

    def write(configuration: Configuration, shown: Bars) -> Report:
        return run(configuration, write=True, bars=shown)

    demo(write, out, err, people=people, seed=seed)


def tell(told: Report, *, as_json: bool) -> None:
    """Print a report, and end with 3 where the guard stopped the plan."""
    if as_json:
        print_json(told.as_json())
    else:
        screen.show(told, out)
    if told.run.status == "stopped":
        raise typer.Exit(STOPPED_BY_GUARD)


for group in (
    commands.answers,
    commands.history,
    commands.runs,
    commands.mappings,
    commands.playground,
):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
        stream=sys.stderr,
    )
    logging.Formatter.converter = time.gmtime
    if not err.is_terminal:
        # where nobody watches bars, a log tells the run
        logging.getLogger("onefunnel.pull").setLevel(logging.INFO)
    with plainly():
        app()


if __name__ == "__main__":
    main()
