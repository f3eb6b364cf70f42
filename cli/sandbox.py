"""The command `sandbox`: both CRMs on this machine, to try things out."""

from pathlib import Path
from typing import Annotated

import typer

from errors import ConfigError

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
    from sandbox.__main__ import start
    from sandbox.scenarios import SCENARIOS

    if scenario == "list":
        typer.echo("\n".join(SCENARIOS))
        return
    try:
        start(people=people, seed=seed, port=port, scenario=scenario, faults=faults)
    except ValueError as error:
        raise ConfigError(str(error)) from error
