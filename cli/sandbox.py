"""The command `sandbox`: both CRMs on this machine, to try things out."""

import json
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from errors import ConfigError

if TYPE_CHECKING:
    from sandbox.faults import Fault

app = typer.Typer()

People = Annotated[int, typer.Option("--people", help="Number of invented people.")]
Seed = Annotated[
    int, typer.Option("--seed", help="Random seed: the same seed gives the same people.")
]


@app.command("sandbox")
def sandbox_command(
    people: People = 2000,
    seed: Seed = 7,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 8700,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario", metavar="NAME", help="A difficult test scenario; `list` shows the names."
        ),
    ] = "",
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="A JSON file with the faults to inject."),
    ] = None,
) -> None:
    """Serve the APIs of both CRMs on 127.0.0.1, filled with invented people."""
    from sandbox.scenarios import SCENARIOS
    from sandbox.server import serve

    if scenario == "list":
        typer.echo("\n".join(SCENARIOS))
        return
    if scenario and scenario not in SCENARIOS:
        raise ConfigError(f"unknown scenario {scenario}; the scenarios are {', '.join(SCENARIOS)}")
    planned = _read_faults(faults)
    try:
        serve(people=people, seed=seed, port=port, scenario=scenario, faults=planned)
    except OSError as error:
        if error.errno != EADDRINUSE:
            raise
        raise ConfigError(f"port {port} is in use: choose another one with --port") from error


def _read_faults(path: Path | None) -> "list[Fault]":
    from sandbox.faults import parse_faults

    try:
        return parse_faults(json.loads(path.read_text())) if path else []
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not a list of faults: {error}") from error
