"""What all commands share: options, printing, and how an error ends one. `sync.py` moves data."""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from errors import ConfigError, DriftError, SyncError

out = Console()
err = Console(stderr=True, soft_wrap=not sys.stderr.isatty())
"""In a log a sentence stays on one line, whatever its length."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", help="Decide as it was known then (UTC).")
]

TRACEBACK_VARIABLE = "ONEFUNNEL_TRACEBACK"


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, default=str, indent=2) + "\n")


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn what went wrong into one text and an exit code: 2 configuration, 1 all else."""
    try:
        yield
    except DriftError as error:
        err.print(f"[red]nothing decided[/] {error}", highlight=False)
        sys.exit(2)
    except ConfigError as error:
        err.print(f"[red]not started[/] {error}", highlight=False)
        sys.exit(2)
    except SyncError as error:
        err.print(f"[red]broken off[/] {error}", highlight=False)
        sys.exit(1)
    except Exception as error:
        # the one broad handler: what a library says of its trouble may hold a record's value
        if TRACEBACK_VARIABLE in os.environ:
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        err.print(
            f"[red]broken off[/] by a fault of ours or of a library: {type(error).__name__} in "
            f"{Path(place.filename).name}:{place.lineno}. Nothing is lost: the next run goes on. "
            f"With {TRACEBACK_VARIABLE}=1 it is told in full; that may show values of records.",
            highlight=False,
        )
        sys.exit(1)
