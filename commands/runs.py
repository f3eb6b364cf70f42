"""Commands that ask the journal what was done: `status`."""

from dataclasses import asdict

import typer

import journal
import screen
from commands import AsJson, out, print_json
from warehouse import opened

app = typer.Typer()


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show the last runs, and what is held or quarantined."""
    with opened() as warehouse:
        told = journal.status(warehouse)
    if as_json:
        print_json(asdict(told))
    else:
        screen.show_status(told, out)
