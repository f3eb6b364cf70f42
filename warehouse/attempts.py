"""How an attempt to run, plan, apply or undo is recorded, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from errors import SyncError, WarehouseBusyError
from warehouse import pending_runs, runs
from warehouse.destination import destination_problems
from warehouse.run_lock import RunLock, run_lock
from warehouse.runs import Run
from warehouse.warehouse import open_warehouse


@contextmanager
def active_run(run: Run, *, wait: bool) -> Iterator[RunLock]:
    """Hold the run lock for a run, which is `running` for all who look, and store how it ends.

    Raises: WarehouseBusyError: another run holds the lock.
    """
    try:
        with (
            record_attempt(run),
            run_lock(run.run_id, wait=wait) as lock,
            record_attempt(run, has_lock=True),
        ):
            with open_warehouse() as warehouse:
                runs.mark_interrupted(warehouse)
                pending_runs.take_in(warehouse)
                runs.save_run(warehouse, run)
            pending_runs.remove_running()
            pending_runs.save(run)
            yield lock
    finally:
        # after the lock: then the read copy has the row
        pending_runs.remove_running(run.run_id)


@contextmanager
def record_attempt(run: Run, *, has_lock: bool = False) -> Iterator[None]:
    """Store how an attempt ends, once.

    Blocks for one attempt stand in each other: the inner one, which has the run lock, stores the
    end of a run; the outer one that of an attempt that did not get so far.
    """
    try:
        yield
    except BaseException as error:
        if run.ended_at is None:
            run.end(error)
            # the first error is the one to report, also where the warehouse is the cause
            with suppress(SyncError, OSError):
                _store_end(run, has_lock=has_lock)
        raise
    if run.ended_at is None:
        run.end()
        _store_end(run, has_lock=has_lock)


def _store_end(run: Run, *, has_lock: bool) -> None:
    # without a warehouse there is no place for it
    if not has_lock and (destination_problems() or pending_runs.save(run)):
        return
    try:
        with open_warehouse() as warehouse:
            runs.save_end(warehouse, run)
            pending_runs.take_in(warehouse)
    except WarehouseBusyError:
        pending_runs.save(run)
        raise
