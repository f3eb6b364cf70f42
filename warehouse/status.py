"""Read the journal: the last runs, the open issues, and the changes of one person."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from config.lifecycle_columns import lifecycle_columns
from config.loader import Configuration
from errors import ConfigError
from transforms.planning.holds import FIELD_KEY, RECORD_KEY
from warehouse import pending_runs
from warehouse.changes import CHANGES, OUTCOMES, changes_of, last_outcomes
from warehouse.people_lookup import PERSON_NOT_FOUND, find_person_ids
from warehouse.runs import FAILURES, RUNS, SUCCESSES, Run, run_from_row
from warehouse.warehouse import Warehouse
from warehouse.withheld import WITHHELD

REMEDIES = {
    "absent": "a CRM no longer shows a record of the person: see `absent`; check the permissions "
    "of the login",
    "frozen": "another workflow or sync resets the field: find it and switch it off, then "
    "`retry`; or take the field out of the mapping",
    "person_split": "records that were one person are several now, and no link was changed: join "
    "them in the CRM (one address, or a link), or `retry` writes what each person is now",
    "final_stage_lost": "the person left the final stage when records of others were joined: "
    "correct those records, or `retry` writes the lower stage",
    "moved_down": "the person moved to a lower stage when records of others were joined: correct "
    "those records, or `retry` writes the lower stage",
    "review": "changed in the CRM: `retry` writes the definition value, `keep` keeps the CRM value",
    "manual_change": "changed in the CRM, and `on_manual_change: keep` keeps it; `retry` writes "
    "the definition value once",
    "crm_stage_higher": "the CRM shows a higher stage and keeps it: `backward` in the mapping",
    "changed_in_crm": "no action: the next run reads the record again",
    "row_locked": "no action: the next run tries again",
    "unavailable": "no action: the next run tries again",
    "quota": "no action: the next run continues; or `apply RUN` once calls are left",
    "guard": "review the plan, then `apply RUN`",
    "approval": "review the plan, then `apply RUN`",
    "limit": "left out by `apply --limit`: `apply RUN` writes it",
    "interrupted": "no action: the next run plans it again; or `apply RUN`",
    "no_response": "no action: the next run reads whether it was written",
    "cleared_not_set": "no action: the next run sets it",
}
"""What to do, by reason; a refused value has a fix of its own in `error`."""

ISSUE_COLUMNS = (*RECORD_KEY, "field", "after", "status", "reason", "error_code", "error")


@dataclass(frozen=True)
class Status:
    """The last success and what failed since, the last runs, and the open issues by cause.

    last_success: the newest run that was planned or done, as in runs; None: there is none
    failures:    the runs since then that failed or were interrupted, newest first, as in runs
    runs:        newest first: run_id, command, status, exit_code, started_at, ended_at, seconds,
                 definition_id, plan_run_id, error_class, error, calls, and records (per outcome;
                 of an `apply`: those that it wrote)
    open_issues: crm, object, field, status, reason, error_code, word, records, fix
    quota:       of the newest run with a plan, per CRM: needed, remaining, reserve, max_records
    """

    last_success: dict[str, Any] | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    open_issues: list[dict[str, Any]] = field(default_factory=list)
    quota: dict[str, Any] = field(default_factory=dict)


def outcome_counts(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Count the records of a run per crm, status and reason; each live record counts once."""
    ended = last_outcomes(_outcomes_of(warehouse, [run_id]))
    counted = ended.group_by("crm", "status", "reason").aggregate(records=ended.count())
    return list(counted.order_by("crm", "status", "reason").to_pyarrow().to_pylist())


def status(warehouse: Warehouse, configuration: Configuration, *, limit: int = 10) -> Status:
    """Return the last success and what failed since, the last `limit` runs, and the open issues."""
    runs = warehouse.ensure_table("runs", RUNS)
    succeeded = _newest(runs.filter(runs.status.isin(SUCCESSES)), limit=1)
    since = succeeded[0].started_at if succeeded else datetime.min.replace(tzinfo=UTC)
    later = runs.filter(runs.started_at > since.replace(tzinfo=None))
    failed = _with_pending(_newest(later.filter(later.status.isin(FAILURES))))
    last = _with_pending(_newest(runs, limit=limit))[:limit]
    if not last:
        return Status()
    records = _counts_by_run(warehouse, last)
    # an attempt that failed before it had a plan says nothing about fields and quota
    planned = _newest(
        runs.semi_join(warehouse.ensure_table("outcomes", OUTCOMES), "run_id"), limit=1
    )
    return Status(
        _summary(succeeded[0], records) if succeeded else None,
        [
            _summary(run, records)
            for run in failed
            if run.status in FAILURES and run.started_at > since
        ],
        [_summary(run, records) for run in last],
        open_issues(warehouse, configuration, planned[0].run_id) if planned else [],
        planned[0].counts.get("quota", {}) if planned else {},
    )


def _newest(runs: ir.Table, *, limit: int | None = None) -> list[Run]:
    rows = runs.order_by(ibis.desc("started_at")).limit(limit).to_pyarrow().to_pylist()
    return [run_from_row(row) for row in rows]


def _with_pending(stored: list[Run]) -> list[Run]:
    """Add the attempts that are no rows yet, newest first; how a run ended is in its row."""
    ended = {run.run_id for run in stored if run.status != "running"}
    pending = {run.run_id: run for run in pending_runs.load() if run.run_id not in ended}
    both = {run.run_id: run for run in stored} | pending
    return sorted(both.values(), key=lambda run: run.started_at, reverse=True)


def _summary(run: Run, records: dict[str, dict[str, int]]) -> dict[str, Any]:
    document = run.as_json()
    names = ("run_id", "command", "status", "exit_code", "started_at", "ended_at", "definition_id")
    return {name: document[name] for name in (*names, "plan_run_id", "error_class", "error")} | {
        "seconds": ((run.ended_at or run.started_at) - run.started_at).total_seconds(),
        "records": records.get(run.run_id, {}),
        "calls": sum(sum(kinds.values()) for kinds in run.calls.values()),
    }


def open_issues(
    warehouse: Warehouse, configuration: Configuration, run_id: str
) -> list[dict[str, Any]]:
    """Return what is held or quarantined since a run, grouped by cause, most records first.

    `word` is the refused option of a field that takes options of a fixed list; it is NULL for all
    other fields, so that no personal data is shown.
    """
    both = _withheld_fields(warehouse).union(_unwritten_records(warehouse, run_id))
    listed = (both.crm + ":" + both.object + ":" + both.field).isin(
        list(_option_fields(configuration))
    )
    is_refused = both.reason == "refused"
    both = both.mutate(word=(is_refused & listed).ifelse(both.after, ibis.null("string")))
    key = ["crm", "object", "field", "status", "reason", "error_code", "error", "word"]
    causes = both.group_by(key).aggregate(records=both.record_id.nunique())
    causes = causes.order_by(ibis.desc("records"), *key)
    return [_with_remedy(row) for row in causes.to_pyarrow().to_pylist()]


def person_changes(
    warehouse: Warehouse, configuration: Configuration, person: str
) -> list[dict[str, Any]]:
    """Return every change that was sent for one person, newest first.

    `person` is an e-mail address, a record id or a person id; a record that was deleted is found
    by its id. Out: at, run_id, crm, object, record_id, field, before, after, reason, status,
    error_code.

    Raises: ConfigError: no person has this address or id, or no run has extracted anything yet.
    """
    if not warehouse.has("records"):
        raise ConfigError("the warehouse is empty: run `python sync.py run --dry-run` first")
    records, sent = warehouse.table("records"), warehouse.ensure_table("changes", CHANGES)
    mine = records.filter(
        records.person_id.isin(find_person_ids(warehouse, configuration, person.strip()))
    )
    named = sent.filter(sent.record_id == person.strip())
    mine = mine.select(*RECORD_KEY).union(named.select(*RECORD_KEY)).distinct()
    sent = sent.semi_join(mine, RECORD_KEY)
    ended = last_outcomes(
        warehouse.ensure_table("outcomes", OUTCOMES).semi_join(mine, RECORD_KEY)
    ).select("run_id", *RECORD_KEY, "status", "error_code", "at")
    both = sent.inner_join(ended, ["run_id", *RECORD_KEY])
    both = both.filter(both.status.isin(["written", "quarantined", "unknown"]))
    written_changes = both.select(
        "at",
        "run_id",
        *FIELD_KEY,
        "before",
        "after",
        "reason",
        "status",
        "error_code",
    ).order_by(ibis.desc("at"), *FIELD_KEY)
    rows = written_changes.to_pyarrow().to_pylist()
    if not rows and not mine.count().to_pyarrow().as_py():
        raise ConfigError(PERSON_NOT_FOUND)
    return list(rows)


def _with_remedy(cause: dict[str, Any]) -> dict[str, Any]:
    error = cause.pop("error")
    # the texts of a RejectedError read "what happened: what to do"
    fix = (error or "").partition(": ")[2] or error or REMEDIES.get(cause["reason"], "")
    return {**cause, "fix": fix}


def _withheld_fields(warehouse: Warehouse) -> ir.Table:
    """The fields that the last plan withheld."""
    held = warehouse.ensure_table("withheld", WITHHELD)
    held = held.filter(held.hold_reason != "accepted")
    status = (held.hold_reason == "refused").ifelse("quarantined", "held")
    return held.select(
        *RECORD_KEY,
        "after",
        "error_code",
        "error",
        status=status,
        reason=held.hold_reason,
        field=held.field_at_fault,
    ).select(*ISSUE_COLUMNS)


def _unwritten_records(warehouse: Warehouse, run_id: str) -> ir.Table:
    """The records with changes that a run did not write."""
    ended = last_outcomes(_outcomes_of(warehouse, [run_id]))
    sent = changes_of(warehouse, run_id).select(*FIELD_KEY, "after")
    mine = ended.filter(ended.status.isin(["held", "quarantined", "unknown"]))
    mine = mine.semi_join(sent, RECORD_KEY).left_join(sent, FIELD_KEY)
    return mine.select(*ISSUE_COLUMNS)


def _option_fields(configuration: Configuration) -> Iterator[str]:
    """The fields that are written with options of a fixed list."""
    columns = lifecycle_columns(configuration.definition)
    for crm, mapping in configuration.mappings.items():
        for object, fields in mapping.write.items():
            for name, write in fields.items():
                if write.from_ in columns and columns[write.from_].allowed_values is not None:
                    yield f"{crm}:{object}:{name}"


def _counts_by_run(warehouse: Warehouse, runs: list[Run]) -> dict[str, dict[str, int]]:
    """Count the last outcomes of plans; of an `apply`, those that it added to its plan."""
    plans = [run.run_id for run in runs if not run.plan_run_id]
    parts = [last_outcomes(_outcomes_of(warehouse, plans)).select("run_id", "status")]
    for run in runs:
        if run.plan_run_id and run.ended_at:
            mine = _outcomes_during(warehouse, run)
            parts.append(mine.select(run_id=ibis.literal(run.run_id), status="status"))
    both = ibis.union(*parts) if len(parts) > 1 else parts[0]
    counts = both.group_by("run_id", "status").aggregate(records=both.count())
    counts_by_run: dict[str, dict[str, int]] = {}
    for row in counts.to_pyarrow().to_pylist():
        counts_by_run.setdefault(row["run_id"], {})[row["status"]] = row["records"]
    return counts_by_run


def _outcomes_during(warehouse: Warehouse, apply: Run) -> ir.Table:
    outcomes = _outcomes_of(warehouse, [apply.planned_by])
    began, ended = (
        ibis.literal(time.astimezone(UTC).replace(tzinfo=None), "timestamp(6)")
        for time in (apply.started_at, apply.ended_at or apply.started_at)
    )
    # what the limit left in the plan is no work of this `apply`
    mine = outcomes.filter(outcomes["at"].between(began, ended), outcomes.reason != "limit")
    return last_outcomes(mine)


def _outcomes_of(warehouse: Warehouse, run_ids: list[str]) -> ir.Table:
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    return outcomes.filter(outcomes.run_id.isin(run_ids))
