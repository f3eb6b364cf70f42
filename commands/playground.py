"""Commands to play with: `sandbox`."""

from typing import Annotated

import typer

app = typer.Typer()

People = Annotated[int, typer.Option(help="How many people there are.")]
Seed = Annotated[int, typer.Option(help="Equal seeds make equal worlds.")]


@app.command("sandbox")
def sandbox_command(
    people: People = 2000,
    seed: Seed = 7,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8700,
) -> None:
    """Serve both CRMs on loopback, with believable people."""
    from sandbox.server import serve

    serve(people=people, seed=seed, port=port)
