"""Fields that take a value only when they are empty: emptied in one call, set in the next."""

from dataclasses import replace

from models import FieldChange, RecordChange


def clearing_changes(changes: list[RecordChange]) -> list[RecordChange]:
    """Make the changes that only empty what has to be empty first."""
    reduced = [
        replace(
            change,
            fields=tuple(replace(f, after=None) for f in change.fields if _needs_clearing(f)),
        )
        for change in changes
    ]
    return [change for change in reduced if change.fields]


def after_clearing(change: RecordChange) -> RecordChange:
    """Make the change that is left when that was done."""
    return replace(change, fields=tuple(map(mark_cleared, change.fields)))


def mark_cleared(field: FieldChange) -> FieldChange:
    """Take a field that was found empty as emptied by us: a run may have ended in between."""
    return replace(field, before=None) if _needs_clearing(field) else field


def restoring_change(change: RecordChange) -> RecordChange:
    """Make the change that puts back what was emptied."""
    fields = (replace(field, before=None, after=field.before) for field in change.fields)
    return replace(change, fields=tuple(fields))


def _needs_clearing(field: FieldChange) -> bool:
    return field.clear_first and field.before is not None and field.after is not None
