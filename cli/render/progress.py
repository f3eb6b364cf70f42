"""Progress bars for long work, on stderr and only for people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
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
from rich.text import Text


class Rate(ProgressColumn):
    """How many records a second."""

    def render(self, task: Task) -> Text:
        """Show it, once there is something to count from."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class ProgressBars:
    """The bars of one run: one per object that is read, one per CRM that is written."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def extract_callback(
        self, crm: str, after_page: Callable[[], None]
    ) -> Callable[[str, int, int | None], None]:
        """Give what a source reports its rows to: object, rows so far, rows in all.

        `between` is called after every page.
        """

        def report(object: str, rows: int, total: int | None) -> None:
            after_page()
            self._update(f"{crm} {object}", rows, total)

        return report

    def write_callback(self, crm: str, total: int) -> Callable[[int], None]:
        """Give what a sink reports the records to that it is done with."""
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
    """Show bars while the work lasts; nothing where nobody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        yield ProgressBars(progress)
