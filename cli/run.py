"""Commands that move data: `run`, `plan`, `apply`, `undo`, `record`, `replay`."""

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis.run_report import Report
from cassettes.replay import record, record_failures, replay
from cli import estimate
from cli.output import AsJson, err, out, print_json
from cli.render import run as screen
from cli.render.progress import progress_bars
from config.loader import Configuration, load_configuration
from sync import apply_run, dry_run_as_of, run, undo_run

app = typer.Typer(add_completion=False)

FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Read everything anew, not just what changed.")
]
WaitForLock = Annotated[
    bool, typer.Option("--wait-for-lock", help="Wait for a run that is under way.")
]

EXIT_STOPPED_BY_GUARD = 3


@app.command("run")
def run_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    full: FullRefresh = False,
    wait: WaitForLock = False,
    record_failed_calls: Annotated[
        bool, typer.Option("--record-failures", help="Keep refused calls as a cassette.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pull both CRMs, decide, and write back what is wrong."""
    configuration = load_configuration()
    recording = record_failures(configuration, log_note) if record_failed_calls else nullcontext()
    with recording, progress_bars(err) as bars:
        report = run(configuration, write=not dry_run, full=full, wait=wait, bars=bars)
    print_report(report, as_json=as_json)


@app.command("plan")
def plan_command(
    show_estimate: Annotated[
        bool, typer.Option("--estimate", help="Only show how both CRMs would be read.")
    ] = False,
    full: FullRefresh = False,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Pull both CRMs and show what is wrong; `apply RUN` writes it."""
    if show_estimate:
        estimate.print_estimate(full=full, as_json=as_json)
        return
    run_command(dry_run=True, full=full, wait=wait, as_json=as_json)


@app.command("apply")
def apply_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The plan to write.")],
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Write a plan that was made before; what was edited meanwhile is held."""
    with progress_bars(err) as bars:
        report = apply_run(load_configuration(), run_id, wait=wait, bars=bars)
    print_report(report, as_json=as_json)


Cassette = Annotated[Path, typer.Argument(help="The cassette, such as cassettes/ours.json.")]


@app.command("record")
def record_command(cassette: Cassette) -> None:
    """Pull both CRMs, write nothing, and keep their answers without secrets and people."""
    report, count = record(_planned, load_configuration(), cassette)
    screen.show_report(report, out)
    log_note(f"{count} calls are kept in {cassette}, without secrets and people")


@app.command("replay")
def replay_command(cassette: Cassette, as_json: AsJson = False) -> None:
    """Plan from a cassette with today's mappings and definition; no call is made."""
    print_report(replay(_planned, load_configuration(), cassette), as_json=as_json)


def _planned(configuration: Configuration, at: datetime) -> Report:
    with progress_bars(err) as shown:
        return dry_run_as_of(configuration, at, bars=shown)


def log_note(text: str) -> None:
    """Tell people what happened beside the report."""
    err.print(text, highlight=False)


@app.command("undo")
def undo_command(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run to undo.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Write back what a run replaced, where nobody has touched it since."""
    with progress_bars(err) as bars:
        report = undo_run(load_configuration(), run_id, write=not dry_run, wait=wait, bars=bars)
    print_report(report, as_json=as_json)


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report, and end with 3 where the guard stopped the plan."""
    if as_json:
        print_json(report.as_json())
    else:
        screen.show_report(report, out)
    if report.run.status == "stopped":
        raise typer.Exit(EXIT_STOPPED_BY_GUARD)
