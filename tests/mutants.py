"""Small faults put into the product one at a time: `make mutants` counts those that no test finds.

Ends with `mutants: N, survived: M`. A mutation whose old text is not found exactly once is an
error: the code changed, and the mutation must follow it (`tests/test_mutants.py`).
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".demo", "*_cache", "__pycache__", "node")


class Mutant(NamedTuple):
    """One fault: in `file`, `old` becomes `new`; one of `tests` must fail then."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


WRITER = ("tests/connectors/test_batch_writer.py", "tests/connectors/test_writer.py")
HUBSPOT = ("tests/connectors/test_hubspot_sink.py",)
SALESFORCE = ("tests/connectors/test_salesforce_sink.py",)
GUARD = ("tests/writeback/test_guard.py",)
ERASURE = ("tests/warehouse/test_erasure.py",)
IDENTITY = ("tests/transforms/test_email_joins.py", "tests/transforms/test_strangers.py")
HOLDS = ("tests/transforms/test_holds.py", "tests/transforms/test_strangers.py")
LOCK = ("tests/warehouse/test_run_lock.py",)
JOURNAL = ("tests/warehouse/test_runs.py", "tests/warehouse/test_unknown_outcomes.py")

MUTANTS = (
    Mutant(
        "connectors/load/batch_writer.py",
        "elif all(self._has_value(record, field, field.before) for field in differing):",
        "elif differing:",
        WRITER,
    ),
    Mutant(
        "connectors/load/batch_writer.py",
        "elif self._attempts[change.record_id] >= MAX_RESENDS:",
        "elif self._attempts[change.record_id] >= MAX_RESENDS + 2:",
        WRITER,
    ),
    Mutant(
        "connectors/load/batch_writer.py",
        "            self._restore(cleared)\n",
        "",
        WRITER + HUBSPOT,
    ),
    Mutant(
        "connectors/load/batch_writer.py",
        '(outcome.status == "quarantined" or outcome.reason in',
        "(outcome.reason in",
        WRITER + HUBSPOT,
    ),
    Mutant(
        "connectors/hubspot/sink.py",
        'records[id] = "deleted" if id in missing else "merged"',
        'records[id] = "deleted"',
        HUBSPOT,
    ),
    Mutant(
        "connectors/hubspot/sink.py",
        "if not is_kept or _may_move_back(field, known):",
        "if not is_kept:",
        HUBSPOT,
    ),
    Mutant(
        "connectors/salesforce/sink.py",
        'change.record_id: None if result["success"] else _error(result)',
        "change.record_id: None",
        SALESFORCE,
    ),
    Mutant(
        "connectors/salesforce/sink.py",
        "and len(body) == len(ids)",
        "and len(body) <= len(ids)",
        (*SALESFORCE, "tests/connectors/test_hostile_answers.py"),
    ),
    Mutant(
        "writeback/guard.py",
        "if count > limit * result.records",
        "if count >= limit * result.records",
        GUARD,
    ),
    Mutant(
        "writeback/guard.py",
        "if one.overwritten > limit * max(one.values, limits.min_records)",
        "if one.overwritten > limit * one.values",
        GUARD,
    ),
    Mutant(
        "writeback/guard.py",
        "elif not first and (values",
        "elif (values",
        GUARD,
    ),
    Mutant(
        "writeback/guard.py",
        "if result.records < limits.min_records:",
        "if result.records <= limits.min_records:",
        GUARD,
    ),
    Mutant(
        "warehouse/erasure.py",
        "    if not is_dry_run:\n",
        "    if True:\n",
        ERASURE,
    ),
    Mutant(
        "warehouse/erasure.py",
        "absent.absent_since <= waited_until",
        "absent.absent_since >= waited_until",
        ERASURE,
    ),
    Mutant(
        "warehouse/erasure.py",
        "        gone = set(ids) - found\n",
        "        gone = set(ids)\n",
        ERASURE,
    ),
    Mutant(
        "warehouse/erasure.py",
        "if len(gone) <= _limit(",
        "if len(gone) >= 0 * _limit(",
        ERASURE,
    ),
    Mutant(
        "warehouse/absences.py",
        "absences.filter(absences.evidence.isnull()).select(*RECORD)",
        "absences.select(*RECORD).limit(0)",
        ERASURE,
    ),
    Mutant(
        "warehouse/absences.py",
        '    return records.semi_join(people, "person_id").select(*RECORD)',
        "    return records.semi_join(absences, RECORD).select(*RECORD)",
        ERASURE,
    ),
    Mutant(
        "transforms/identity/email_joins.py",
        '(placed["count"] > max_size)',
        '(placed["count"] >= max_size)',
        IDENTITY,
    ),
    Mutant(
        "transforms/identity/email_joins.py",
        "ibis.ifelse(both.has_known, both.person_before, oldest)",
        "oldest",
        IDENTITY,
    ),
    Mutant(
        "transforms/identity/known_records.py",
        "        (both.is_split, PERSON_SPLIT),\n",
        "",
        HOLDS,
    ),
    Mutant(
        "transforms/identity/known_records.py",
        "is_lost=(is_lost & (has_others | is_hidden)).fill_null(False)",
        "is_lost=(is_lost & has_others).fill_null(False)",
        HOLDS,
    ),
    Mutant(
        "warehouse/changes.py",
        'return (outcomes.status == "unknown") | (_is_resumable',
        "return (_is_resumable",
        JOURNAL,
    ),
    Mutant(
        "warehouse/runs.py",
        "if run.status in FAILURES and since:",
        "if run.status in SUCCESSES and since:",
        JOURNAL,
    ),
    Mutant(
        "warehouse/run_lock.py",
        'if holder is None or holder["run_id"] != self.run_id:',
        "if holder is None:",
        LOCK,
    ),
    Mutant(
        "warehouse/processes.py",
        "return host == HOST_ID and (process == os.getpid() or not is_alive(process))",
        "return process == os.getpid() or not is_alive(process)",
        LOCK,
    ),
)


def mutated(mutant: Mutant, folder: Path) -> str:
    """Return the file's text with the fault. Raises: ValueError: `old` is not there just once."""
    text = (folder / mutant.file).read_text(encoding="utf-8")
    if (found := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.file}: found {found} times, expected once: {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)


def survives(mutant: Mutant, folder: Path) -> bool:
    """Put the fault into a copy of the checkout, run its tests there, and take it out again."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutated(mutant, folder), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-p", "no:cacheprovider"]
    try:
        ended = subprocess.run(
            [*command, *mutant.tests], cwd=folder, capture_output=True, check=False
        )
    finally:
        path.write_text(text, encoding="utf-8")
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {ended.returncode}:\n{ended.stdout.decode()}")
    return ended.returncode == 0


def main() -> int:
    """Try all mutants, and give 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the file's name")
    chosen = [one for one in MUTANTS if parser.parse_args().only in one.file]
    survived = 0
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "checkout"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        for mutant in chosen:
            is_alive = survives(mutant, folder)
            survived += is_alive
            word = "SURVIVED" if is_alive else "caught"
            print(f"{word:9}{mutant.file}: {mutant.old.strip()!r}", flush=True)
    print(f"mutants: {len(chosen)}, survived: {survived}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
