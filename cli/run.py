"""Commands that move data: `run`, `plan`, `apply`, `undo`, `record`, `replay`."""

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.attempt import attempt
from cli.output import AsJson, err, out, print_json, print_json_line, print_note

if TYPE_CHECKING:
    from analysis.run_report import Report
    from config.loader import Configuration

app = typer.Typer()

FullRefresh = Annotated[
    bool,
    typer.Option(
        "--full-refresh", help="Read all records again. Default: only what changed (incremental)."
    ),
]
Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="If a login leads to another account than before, delete what the warehouse holds of"
        " that CRM and start over. Default: exit with code 2.",
    ),
]
WaitForLock = Annotated[
    bool,
    typer.Option(
        "--wait-for-lock",
        help="If another run holds the lock, wait up to 2 hours. Default: exit with code 1.",
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of the run; see `status`.")]
Cassette = Annotated[
    Path, typer.Argument(metavar="FILE", help="The cassette file, such as cassettes/account.json.")
]

FailOn = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        metavar="STATUS[=N]",
        help="Exit with code 4 if more than N records (default: 0) are `quarantined` or `held`."
        " Give it twice for both.",
    ),
]


@app.command("run")
def run_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only plan: write nothing to a CRM.")
    ] = False,
    first: Annotated[
        bool,
        typer.Option(
            "--first",
            help="Allow the first write into a CRM. Default: such a plan is stored, exit code 3.",
        ),
    ] = False,
    full: FullRefresh = False,
    wait: WaitForLock = False,
    adopt: Adopt = False,
    record_failed_calls: Annotated[
        bool,
        typer.Option(
            "--record-failures",
            help="Save failed API calls to a cassette in cassettes/, anonymized.",
        ),
    ] = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:
    """Extract from both CRMs, compute the lifecycle, write the differences to both CRMs."""
    from cassettes.replay import record_failures
    from cli.render.progress import progress_bars
    from config.loader import load_configuration
    from sync import run

    command = "plan" if dry_run else "run"
    with attempt(command, as_json=as_json, fail_on=fail_on) as current_run:
        configuration = load_configuration()
        recording = (
            record_failures(configuration, print_note) if record_failed_calls else nullcontext()
        )
        with recording, progress_bars(err) as bars:
            report = run(
                configuration,
                write=not dry_run,
                first=first,
                full=full,
                wait=wait,
                adopt=adopt,
                current_run=current_run,
                bars=bars,
            )
    print_report(report, as_json=as_json)


@app.command("plan")
def plan_command(
    only_estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Only estimate the API calls of the next extract; reads counts only."
        ),
    ] = False,
    full: FullRefresh = False,
    wait: WaitForLock = False,
    adopt: Adopt = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:
    """Extract and show the planned changes; writes nothing to a CRM. `apply RUN` writes them."""
    if only_estimate:
        print_estimate(full=full, as_json=as_json)
    else:
        run_command(
            dry_run=True, full=full, wait=wait, adopt=adopt, fail_on=fail_on, as_json=as_json
        )


def print_estimate(*, full: bool, as_json: bool) -> None:
    """Print with which method each object would be read, and about how many calls that takes."""
    from dataclasses import asdict
    from functools import partial

    from cli.render.extract import show_estimates
    from config.loader import load_configuration
    from session import connect_all
    from warehouse.dlt_runner import run_dlt

    estimates = {
        session.crm: run_dlt(
            session.crm, partial(session.estimate_extract, full=full), read_only=True
        )
        for session in connect_all(load_configuration())
    }
    if as_json:
        print_json({crm: [asdict(row) for row in rows] for crm, rows in estimates.items()})
    else:
        show_estimates(estimates, out)


@app.command("apply")
def apply_command(
    run_id: RunId,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            metavar="N",
            help="Write at most N records, divided among the CRMs. The rest stays in the plan.",
        ),
    ] = None,
    wait: WaitForLock = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:
    """Write a stored plan. A record that changed in the CRM since the plan is held."""
    from cli.render.progress import progress_bars
    from config.loader import load_configuration
    from sync import apply_run

    with (
        attempt("apply", as_json=as_json, fail_on=fail_on) as current_run,
        progress_bars(err) as bars,
    ):
        report = apply_run(
            load_configuration(),
            run_id,
            limit=limit,
            wait=wait,
            current_run=current_run,
            bars=bars,
        )
    print_report(report, as_json=as_json)


@app.command("undo")
def undo_command(
    run_id: RunId,
    record: Annotated[
        str | None, typer.Option("--record", metavar="ID", help="Only the record with this id.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Only this field of the CRM.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only plan: write nothing to a CRM.")
    ] = False,
    wait: WaitForLock = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:
    """Restore the values that a run replaced. A field that changed since is left as it is."""
    from cli.render.progress import progress_bars
    from config.loader import load_configuration
    from sync import undo_run

    with (
        attempt("undo", as_json=as_json, fail_on=fail_on) as current_run,
        progress_bars(err) as bars,
    ):
        report = undo_run(
            load_configuration(),
            run_id,
            write=not dry_run,
            record_id=record,
            field=field,
            wait=wait,
            current_run=current_run,
            bars=bars,
        )
    print_report(report, as_json=as_json)


@app.command("record")
def record_command(cassette: Cassette) -> None:
    """Plan, and save the answers of both APIs to a cassette without secrets and personal data."""
    from cassettes.replay import record
    from cli.render.run import show_report
    from config.loader import load_configuration

    report, count = record(_dry_run, load_configuration(), cassette)
    show_report(report, out)
    print_note(f"Saved {count} calls to {cassette}, without secrets and personal data.")


@app.command("replay")
def replay_command(cassette: Cassette, as_json: AsJson = False) -> None:
    """Plan from a cassette with the present mappings and definition; makes no API call."""
    from cassettes.replay import replay
    from config.loader import load_configuration

    print_report(replay(_dry_run, load_configuration(), cassette), as_json=as_json)


def _dry_run(configuration: "Configuration", at: datetime) -> "Report":
    from cli.render.progress import progress_bars
    from sync import dry_run_as_of

    with progress_bars(err) as bars:
        return dry_run_as_of(configuration, at, bars=bars)


def print_report(report: "Report", *, as_json: bool) -> None:
    """Print a report and exit with the code of its run."""
    from cli.render.run import show_report

    if as_json:
        print_json_line(report.as_json())
    else:
        show_report(report, out)
    if report.run.exit_code:
        raise typer.Exit(report.run.exit_code)
