"""The command line: all commands, the options before them, and how an error ends one."""

import gc
import logging
import os
import sys
import time
from typing import Annotated

import typer

from cli import backtest, check, demo, doctor, explain, output, run, sandbox, show, status
from cli.safe_text import VisibleLogRecord
from models import VERSION

app = typer.Typer(
    help="One definition of lead, MQL, SQL/prospect and customer in HubSpot and Salesforce.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (check, doctor, run, show, status, explain, backtest, demo, sandbox):
    app.add_typer(group.app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        output.out.print(f"onefunnel {VERSION}")
        raise typer.Exit


@app.callback()
def set_verbosity(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log each object and each retry on stderr.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log errors only; show no progress bars.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Set how much the command logs."""
    if verbose and quiet:
        raise typer.BadParameter("use either --verbose or --quiet", param_hint="--quiet")
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logging.getLogger().setLevel(logging.WARNING if verbose else level)
    logging.getLogger("onefunnel").setLevel(level)
    if not (quiet or verbose or output.err.is_terminal):
        # a scheduler shows no progress bars: the log says which objects were read
        logging.getLogger("onefunnel.extract").setLevel(logging.INFO)
    output.err.quiet = False
    output.progress_enabled = not quiet


GARBAGE_COLLECTION = (50_000, 20, 50)
"""Thresholds of Python's cyclic garbage collector.

Ibis builds millions of small objects for one run. With Python's own thresholds the collector takes
about 15 % of a run's time, and finds little.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with 0 if it did all; errors.py has the other codes."""
    # what a command stores holds data of both CRMs: it is for the owner only
    os.umask(0o077)
    gc.set_threshold(*GARBAGE_COLLECTION)
    logging.basicConfig(
        format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ", stream=sys.stderr
    )
    logging.Formatter.converter = time.gmtime
    logging.setLogRecordFactory(VisibleLogRecord)
    with output.handle_errors():
        # Typer returns the exit code of a command that raised Exit, and None of another
        sys.exit(app(arguments, prog_name="sync.py", standalone_mode=False) or 0)
