"""Progress bars for extract and write, on stderr and on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli import output
from cli.safe_text import styled


class Rate(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> RenderableType:
        """Show the rate as soon as there are two measurements."""
        speed = task.finished_speed or task.speed
        return styled(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class ProgressBars:
    """The progress bars of one run: one per object that is read, one per CRM that is written."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def extract_callback(
        self, crm: str, after_page: Callable[[], None]
    ) -> Callable[[str, int, int | None], None]:
        """Return the function that a source calls with object, rows so far and total rows.

        It calls `after_page` first.
        """

        def report(object: str, rows: int, total: int | None) -> None:
            after_page()
            self._update(f"{crm} {object}", rows, total)

        return report

    def write_callback(self, crm: str, total: int) -> Callable[[int], None]:
        """Return the function that a sink calls with the number of records it has finished."""
        done = 0

        def report(records: int) -> None:
            nonlocal done
            done += records
            self._update(f"{crm} write", done, total)

        return report

    def _update(self, name: str, done: int, total: int | None) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._bars[name], completed=done, total=total)


@contextmanager
def progress_bars(console: Console) -> Iterator[ProgressBars]:
    """Show progress bars during the block: on a terminal only, and not with `--quiet`."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    disable = not (console.is_terminal and output.progress_enabled)
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        yield ProgressBars(progress)
