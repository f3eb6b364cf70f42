"""The loop: one happening per day, a run, the checks; some runs are killed."""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from connectors.retry import no_sleep
from errors import AccountError
from run_helpers import apply_plan, count_write_calls, run_sync, sandbox_environment
from sandbox.faults import Moment
from sandbox.server import running
from world_soak.checker import Checker, Records, Violation
from world_soak.happenings import HAPPENINGS, World, own_account, regain_sight

HISTORY_DAYS = 200
"""The first simulated day is that long ago: clocks that jump forward stay in the past."""

MOST_CALLS = 80
MOST_WRITES = 4
"""A killed run dies at one of its first calls, up to this one, half of the time counting only calls
that write; a run with fewer calls ends."""

WRITE_CALLS = ("/batch/update", "/composite/sobjects")


Report = Callable[[Iterable[Violation]], None]


@dataclass
class Life:
    """The days of one world, with the violations found so far."""

    world: World
    settings: dict[str, str]
    seed: int
    checker: Checker = field(default_factory=Checker)
    found: list[str] = field(default_factory=list)

    def day(self, number: int, happening: str, *, is_killed: bool) -> None:
        """Let something happen, run, check, and run again where the run did not end."""
        world = self.world
        print(f"day {number} ({world.now:%Y-%m-%d}): {happening}", flush=True)
        HAPPENINGS[happening](world)
        report = partial(self._report, number, happening)
        if world.is_other_account:
            before = world.records()
            with pytest.raises(AccountError):
                self._run(is_first=False)
            report(self.checker.after_refusal(before, world.records()))
            own_account(world)
        is_first = number == 0
        before = world.records()
        if is_killed:
            self._killed_run()
            report(self.checker.after_run(world, before, world.records(), is_first=is_first))
        self._finished_run(report, before, is_first=is_first)
        if is_killed:
            calls = count_write_calls(world.sandbox)
            self._run(is_first=False)
            if count_write_calls(world.sandbox) > calls:
                report([Violation(("run", ""), "a run after a finished one writes")])
        regain_sight(world)
        world.reads_all = False
        world.set_clock(world.now + timedelta(days=1))

    def _finished_run(self, report: Report, before: Records, *, is_first: bool) -> None:
        """Run; where the guard stops the plan, nothing may be written until a person says yes."""
        world, unwritten = self.world, self.world.records()
        run_id = self._run(is_first=is_first)
        if run_id:
            report(self.checker.after_refusal(unwritten, world.records()))
            if world.hidden:
                return
            apply_plan(run_id)
        after = world.records()
        report(self.checker.after_run(world, before, after, is_first=is_first))
        report(self.checker.after_finished_run(world, before, after))

    def _run(self, *, is_first: bool) -> str:
        """Run as the command line does; return the id of a plan that the guard stopped."""
        world = self.world
        told = run_sync(as_of=world.now, full=world.reads_all, first=is_first)
        is_stopped = any(result.is_stopped for result in told.guard)
        return told.run.run_id if is_stopped else ""

    def _killed_run(self) -> None:
        """Run in a process that SIGKILL ends at a random call."""
        at: Moment = self.world.random.choice(("asked", "done"))
        is_writing = self.world.random.random() < 0.5
        nth = self.world.random.randint(1, MOST_WRITES if is_writing else MOST_CALLS)
        context = multiprocessing.get_context("forkserver")
        arguments = (self.settings, self.world.now)
        process = context.Process(target=run_in_process, args=arguments)
        seen = 0

        def kill(moment: Moment, _: str, path: str, __: bytes) -> None:
            nonlocal seen
            counts = not is_writing or any(part in path for part in WRITE_CALLS)
            seen += moment == at and counts
            if seen == nth and process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGKILL)

        self.world.sandbox.faults.watch(kill)
        process.start()
        process.join(300)
        self.world.reset_faults()

    def _report(self, day: int, happening: str, violations: Iterable[Violation]) -> None:
        for one in violations:
            line = f"seed {self.seed} day {day} ({happening}) {' '.join(one.key)}: {one.rule}"
            self.found.append(f"{line}: {one.detail}" if one.detail else line)
            print(self.found[-1], flush=True)


def run_in_process(settings: dict[str, str], now: datetime) -> None:
    """Run once with the settings of the soak."""
    os.environ.update(settings)
    with no_sleep():
        run_sync(as_of=now)


def live(
    seed: int, people: int, schedule: Sequence[str], *, kills: Sequence[int] | None = None
) -> list[str]:
    """Live through a schedule of happenings, one per day; return the violations as lines.

    kills: the days whose run is killed; by default every fourth day, at random.
    """
    chance = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=HISTORY_DAYS)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        running(people=people, seed=seed, now=start, rate_limits=False) as sandbox,
        no_sleep(),
    ):
        settings = sandbox_environment(sandbox, Path(folder)) | {"GUARD__MIN_RECORDS": "20"}
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        world = World(sandbox, chance, start)
        world.now = start + timedelta(hours=6)
        world.reset_faults()
        one = Life(world, settings, seed)
        for day, happening in enumerate(schedule):
            is_killed = chance.random() < 0.25 if kills is None else day in kills
            one.day(day, happening, is_killed=is_killed and day > 0)
        return one.found
