"""The command line: every command, and what surrounds them."""

import logging
import sys
import time

import typer

from cli import backtest, check, demo, explain, run, sandbox, status
from cli.output import err, handle_errors

app = typer.Typer(
    help="One definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (run, explain, backtest, status, check, demo, sandbox):
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
    with handle_errors():
        app()
