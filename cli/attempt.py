"""What `run`, `plan`, `apply` and `undo` share: each attempt is stored, however it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

import typer

from cli.output import print_json_line, print_note
from errors import SignalError, describe_error, exit_code

if TYPE_CHECKING:
    from warehouse.runs import Run

ENDING_SIGNALS = ("SIGTERM", "SIGHUP")
"""They end a run as Ctrl-C does: the lock is released, and the attempt is stored."""

LIMITED = ("quarantined", "held")


@contextmanager
def attempt(command: str, *, as_json: bool, fail_on: list[str] | None) -> Iterator["Run"]:
    """Give the run of a command; store how it ends, and print its one JSON line where it fails.

    Raises: typer.Exit: a signal ended the run; the code is 128 and the number of the signal.
    """
    limits = parse_limits(fail_on or [])

    from warehouse.attempts import record_attempt
    from warehouse.runs import Run

    current_run = Run(None, datetime.now(UTC), command=command, fail_on=limits)
    try:
        with _signals_as_errors(), record_attempt(current_run):
            yield current_run
    except BaseException as error:
        if as_json:
            print_json_line({"run": current_run.as_json()})
        if isinstance(error, KeyboardInterrupt):
            text = f"{describe_error(error)}. The next run continues"
            print_note(text, style="red", label="Run interrupted")
            raise typer.Exit(exit_code(error)) from error
        raise


def parse_limits(texts: list[str]) -> dict[str, int]:
    """Read `quarantined` or `held=20`: the status, and how many records of it are no failure.

    Raises: typer.BadParameter.
    """
    limits = {}
    for text in texts:
        status, _, count = text.partition("=")
        if status not in LIMITED or not (count or "0").isdecimal():
            raise typer.BadParameter(
                "give `quarantined`, `held`, or one of them with a number of records, such as "
                "`held=20`",
                param_hint="--fail-on",
            )
        limits[status] = int(count or 0)
    return limits


@contextmanager
def _signals_as_errors() -> Iterator[None]:
    """Turn the first ending signal into an error; later ones do not disturb how the run ends."""
    if threading.current_thread() is not threading.main_thread():
        # Python delivers signals to the main thread, and only it may set a handler
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)]
    # one that is ignored stays so: `nohup` ignores SIGHUP
    before = {
        number: handler
        for number in numbers
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }

    def end(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise SignalError(number)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
