"""Commands to play with: `sandbox`."""

import json
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import handle_errors
from errors import ConfigError

if TYPE_CHECKING:
    from sandbox.faults import Fault

app = typer.Typer(add_completion=False)

People = Annotated[int, typer.Option(help="How many people there are.")]
Seed = Annotated[int, typer.Option(help="Equal seeds make equal worlds.")]


@app.command("sandbox")
def sandbox_command(
    people: People = 2000,
    seed: Seed = 7,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8700,
    world: Annotated[str, typer.Option(help="A hard world, such as merge_chains.")] = "",
    faults: Annotated[
        Path | None, typer.Option(help="A JSON file with a list of faults to plan.")
    ] = None,
) -> None:
    """Serve both CRMs on loopback, with believable people."""
    from sandbox.scenarios import SCENARIOS
    from sandbox.server import serve

    if world and world not in SCENARIOS:
        raise ConfigError(f"there is no world {world}; there are {', '.join(SCENARIOS)}")
    planned = _read_faults(faults)
    try:
        serve(people=people, seed=seed, port=port, scenario=world, faults=planned)
    except OSError as error:
        if error.errno != EADDRINUSE:
            raise
        raise ConfigError(f"port {port} is taken: name another with --port") from error


def _read_faults(path: Path | None) -> "list[Fault]":
    from sandbox.faults import parse_faults

    try:
        return parse_faults(json.loads(path.read_text())) if path else []
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is no list of faults: {error}") from error


def main(arguments: list[str]) -> None:
    """Run the one command of this file alone."""
    with handle_errors():
        app(arguments, prog_name="sync.py sandbox")
