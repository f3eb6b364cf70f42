"""What all commands share: the consoles, the JSON output, and how an error ends a command."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from cli.safe_text import SafeConsole, styled
from errors import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    ConfigError,
    DriftError,
    SyncError,
    describe_error,
)

out = SafeConsole()
err = SafeConsole(stderr=True, soft_wrap=not sys.stderr.isatty())
"""In a log file a sentence stays on one line, however long it is."""

progress_enabled = True
"""Whether progress bars are shown on a terminal; `--quiet` turns them off."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="Evaluate at this time with the data known then (UTC, ISO 8601). "
        "Default: the last run.",
    ),
]

TRACEBACK = "ONEFUNNEL_TRACEBACK"

_USAGE_ERROR: type[Any] = next(
    one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException"
)
"""The class of all usage errors: Typer has it from Click, or its own, depending on its release."""


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, default=str, indent=2) + "\n")


def print_json_line(document: Any) -> None:
    """Print one JSON document on stdout, in one line: a log has one line per run."""
    sys.stdout.write(json.dumps(document, default=str) + "\n")
    sys.stdout.flush()


def print_note(text: str, *, style: str = "", label: str = "") -> None:
    """Print a message on stderr, after a coloured label; it may have several lines."""
    err.print(styled((f"{label}: " if label else "", style), text, keep="\n"))


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """Show a line while a command computes; the block gets the function that changes it."""
    with err.status(styled(text)) as status:
        yield lambda changed: status.update(styled(changed))


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn an exception into one message and an exit code: 2 for configuration, 1 for all else."""
    try:
        yield
    except _USAGE_ERROR as error:
        _exit_for_usage(error)
    except typer.Abort:
        _exit(EXIT_FAILED, "Stopped", "by the user")
    except DriftError as error:
        _exit(EXIT_CONFIGURATION, "Stopped: the schema changed, nothing was written", str(error))
    except ConfigError as error:
        _exit(EXIT_CONFIGURATION, "Configuration error", str(error))
    except SyncError as error:
        _exit(EXIT_FAILED, "Run failed", str(error))
    except Exception as error:
        # the one broad handler: the message of a library may contain a value of a record
        if TRACEBACK in os.environ:
            print_note(traceback.format_exc())
        _exit(
            EXIT_FAILED,
            "Unexpected error",
            f"{describe_error(error)}. Nothing is lost: the next run continues. Set {TRACEBACK}=1 "
            "and run the command again for a traceback; it may contain values of records.",
        )


def _exit_for_usage(error: Any) -> None:
    """Say what is wrong with the arguments. Typer's own message takes what they hold for markup."""
    # the error that stands for "no arguments" has printed the help
    if type(error).__name__ != "NoArgsIsHelpError":
        if context := getattr(error, "ctx", None):
            print_note(context.get_usage())
            print_note(f"Try '{context.command_path} {context.help_option_names[0]}' for help.")
        print_note(error.format_message(), style="red", label="Usage error")
    sys.exit(error.exit_code)


def _exit(code: int, label: str, text: str) -> None:
    print_note(text, style="red", label=label)
    sys.exit(code)
