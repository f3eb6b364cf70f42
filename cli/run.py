"""Commands that move data: `run`, `plan`, `apply`, `undo`, `record`, `replay`."""

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis.run_report import Report
from cassettes.replay import record, refusals_saved, replay
from cli import estimate
from cli.output import AsJson, err, out, print_json
from cli.render import run as screen
from cli.render.progress import bars
from config.loader import Configuration, load
from sync import apply_run, planned, run, undo_run

app = typer.Typer(add_completion=False)

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
        estimate.show(full=full, as_json=as_json)
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
    told, count = record(_planned, load(), cassette)
    screen.show(told, out)
    say(f"{count} calls are kept in {cassette}, without secrets and people")


@app.command("replay")
def replay_command(cassette: Cassette, as_json: AsJson = False) -> None:
    """Plan from a cassette with today's mappings and definition; no call is made."""
    tell(replay(_planned, load(), cassette), as_json=as_json)


def _planned(configuration: Configuration, at: datetime) -> Report:
    with bars(err) as shown:
        return planned(configuration, at, bars=shown)


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


def tell(told: Report, *, as_json: bool) -> None:
    """Print a report, and end with 3 where the guard stopped the plan."""
    if as_json:
        print_json(told.as_json())
    else:
        screen.show(told, out)
    if told.run.status == "stopped":
        raise typer.Exit(STOPPED_BY_GUARD)
