"""Create, update and delete one record: validation, time stamps and field history."""

from typing import Any

from sandbox.salesforce.errors import ApiError, deleted, malformed_id, no_such_column, not_found
from sandbox.salesforce.ids import normalised
from sandbox.salesforce.objects import LEAD_STATUSES
from sandbox.salesforce.predicates import key_of
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import NUMBERS, TEXTS, Field, SObject
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.validation_rules import check_rules
from sandbox.salesforce.values import InvalidValue, stored

_PRECISION = 18
_DEFAULTS: dict[str, Row] = {
    "Lead": {"Status": LEAD_STATUSES[0]},
    "Task": {"Status": "Not Started", "Priority": "Normal", "TaskSubtype": "Task"},
    "Event": {"EventSubtype": "Event", "ShowAs": "Busy"},
}


class WrongType(InvalidValue):
    """A value of a wrong type; REST and Bulk report it with different errors."""

    def __init__(self, field: str, reason: str) -> None:
        """Store the field, and the message without it."""
        super().__init__(reason)
        self.field = field
        self.reason = reason


def create(store: SalesforceStore, sobject: SObject, values: Row) -> str:
    """Create a record and return its id. Raises: ApiError, WrongType."""
    stored_values = _checked(store, sobject, values, creating=True)
    row = _DEFAULTS.get(sobject.name, {}) | stored_values
    missing = [one.name for one in sobject if one.required and row.get(one.name) is None]
    if missing:
        raise _missing(missing)
    if "OwnerId" in sobject.fields:
        row.setdefault("OwnerId", store.user_id)
    check_rules(store, sobject, row | _derived(sobject, row), stored_values)
    row["Id"] = store.new_id(sobject.prefix)
    row["CreatedDate"], row["CreatedById"] = store.stamp(), store.user_id
    _store(store, sobject, row)
    _remember(store, sobject, row["Id"], "created", None, None)
    return str(row["Id"])


def update(
    store: SalesforceStore, sobject: SObject, record: str, values: Row, *, single: bool = False
) -> str:
    """Update a record and return its 18-character id. Raises: ApiError, WrongType.

    A write of equal values changes the time stamps and adds no history.
    """
    stored_values = _checked(store, sobject, values, creating=False)
    before = find(store, sobject, record, single=single)
    if before.get("IsConverted"):
        raise ApiError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", ())
    _refuse_locked(store, before)
    emptied = [name for name, value in stored_values.items() if value is None]
    if missing := [name for name in emptied if sobject.fields[name].required]:
        raise _missing(missing)
    check_rules(store, sobject, before | stored_values, stored_values)
    _store(store, sobject, before | stored_values)
    for name, value in stored_values.items():
        if sobject.fields[name].tracked and value != before.get(name):
            _remember(store, sobject, before["Id"], name, before.get(name), value)
    return str(before["Id"])


def upsert(
    store: SalesforceStore, sobject: SObject, key: tuple[str, str], values: Row
) -> tuple[str, bool]:
    """Update or create the record with an external id (field, value); return whether it is new.

    Raises: ApiError: also with MULTIPLE_CHOICES where several records have it; WrongType.
    """
    name, value = key
    field = _external(sobject, name)
    if field.name == "Id":
        return update(store, sobject, value, values), False
    found = _with_external_id(store, sobject, field, value)
    if found:
        return update(store, sobject, found["Id"], values), False
    return create(store, sobject, {field.name: value, **values}), True


def by_external_id(store: SalesforceStore, sobject: SObject, key: tuple[str, str]) -> Row:
    """Find the live record with an external id (field, value), for reading only.

    Raises: ApiError: also with MULTIPLE_CHOICES where several records have it.
    """
    name, value = key
    field = _external(sobject, name)
    if field.name == "Id":
        return find(store, sobject, value, single=True)
    found = _with_external_id(store, sobject, field, value)
    if found is None:
        raise not_found()
    return found


def _external(sobject: SObject, name: str) -> Field:
    field = sobject.by_lower_name.get(name.lower())
    if field is None or not (field.external or field.name == "Id"):
        message = "Provided external ID field does not exist or is not accessible"
        raise not_found(f"{message}: {name}")
    return field


def _with_external_id(
    store: SalesforceStore, sobject: SObject, field: Field, value: str
) -> Row | None:
    same = store.tables[sobject.name].find_by(
        field.name, lambda row: [key_of(field, row.get(field.name))], key_of(field, value)
    )
    found = [row for row in same if not row.get("IsDeleted")]
    if len(found) > 1:
        ids = ", ".join(row["Id"] for row in found)
        message = f"{field.name}: more than one record found for external id field: [{ids}]"
        raise ApiError("DUPLICATE_EXTERNAL_ID", message, (), status=300)
    return found[0] if found else None


def delete(store: SalesforceStore, sobject: SObject, record: str, *, single: bool = False) -> str:
    """Move a record to the recycle bin and return its id. Raises: ApiError."""
    row = find(store, sobject, record, single=single)
    _refuse_locked(store, row)
    _store(store, sobject, row | {"IsDeleted": True})
    return str(row["Id"])


def find(store: SalesforceStore, sobject: SObject, record: str, *, single: bool = False) -> Row:
    """Find a record to change; single-record resources have their own error for no match."""
    full = normalised(record)
    if full is None or not full.startswith(sobject.prefix):
        raise malformed_id(record)
    row = store.tables[sobject.name].read(full)
    if row is None:
        unknown = ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ())
        raise not_found() if single else unknown
    if row.get("IsDeleted"):
        raise deleted()
    return row


def _missing(names: list[str]) -> ApiError:
    message = f"Required fields are missing: [{', '.join(names)}]"
    return ApiError("REQUIRED_FIELD_MISSING", message, tuple(names))


def _refuse_locked(store: SalesforceStore, row: Row) -> None:
    if store.is_locked(row):
        message = f"unable to obtain exclusive access to this record or 1 records: {row['Id']}"
        raise ApiError("UNABLE_TO_LOCK_ROW", message, ())


def _checked(store: SalesforceStore, sobject: SObject, values: Row, *, creating: bool) -> Row:
    fields = [_field(sobject, name) for name in values]
    refused = [
        one.name for one in fields if not (one.may_be_created() if creating else one.writable)
    ]
    if refused:
        raise ApiError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {', '.join(refused)}. Please check the security "
            "settings of this field and verify that it is read/write for your profile or "
            "permission set.",
            tuple(refused),
        )
    return {
        one.name: _accepted(store, one, value)
        for one, value in zip(fields, values.values(), strict=True)
    }


def _field(sobject: SObject, name: str) -> Field:
    found = sobject.by_lower_name.get(name.lower())
    if found is None:
        raise no_such_column(name, sobject.name)
    return found


def _accepted(store: SalesforceStore, field: Field, sent: Any) -> Any:
    try:
        value = stored(sent, field)
    except InvalidValue as error:
        raise WrongType(field.name, str(error)) from error
    if value is None:
        return None
    if field.type in TEXTS:
        _check_text(field, value)
    elif field.type in NUMBERS and abs(value) >= 10 ** (_PRECISION - field.scale):
        message = f"{_label(field)}: value outside of valid range on numeric field: {value}"
        raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,))
    elif field.type == "reference":
        return _referred(store, field, value)
    return value


def _check_text(field: Field, value: str) -> None:
    if field.restricted and value not in field.values:
        message = f"{_label(field)}: bad value for restricted picklist field: {value}"
        raise ApiError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))
    if field.length and len(value) > field.length:
        message = f"{_label(field)}: data value too large: {value} (max length={field.length})"
        raise ApiError("STRING_TOO_LONG", message, (field.name,))
    if field.type == "email" and not _looks_like_email(value):
        message = f"{_label(field)}: invalid email address: {value}"
        raise ApiError("INVALID_EMAIL_ADDRESS", message, (field.name,))


def _looks_like_email(value: str) -> bool:
    local, at, domain = value.rpartition("@")
    return bool(local and at and "." in domain) and " " not in value


def _referred(store: SalesforceStore, field: Field, value: str) -> str:
    full = normalised(value)
    owner = None if full is None else store.owner_of(full)
    if full is None or owner is None or owner.name not in field.to:
        message = f"{_label(field)}: id value of incorrect type: {value}"
        raise ApiError("MALFORMED_ID", message, (field.name,))
    target = store.tables[owner.name].read(full)
    if target is None or target.get("IsDeleted"):
        raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ())
    return full


def _label(field: Field) -> str:
    return field.name.removesuffix("__c").replace("_", " ")


def _store(store: SalesforceStore, sobject: SObject, row: Row) -> None:
    row["LastModifiedDate"] = row["SystemModstamp"] = store.stamp()
    row["LastModifiedById"] = store.user_id
    store.put(sobject.name, row | _derived(sobject, row))


def _derived(sobject: SObject, row: Row) -> Row:
    match sobject.name:
        case "Lead" | "Contact" | "User":
            return {"Name": f"{row.get('FirstName') or ''} {row['LastName']}".strip()}
        case "Task":
            return {"IsClosed": row.get("Status") == "Completed"}
        case "Opportunity":
            stage = row["StageName"]
            return {"IsWon": stage == "Closed Won", "IsClosed": stage.startswith("Closed")}
        case _:
            return {}


def _remember(
    store: SalesforceStore, sobject: SObject, record: str, field: str, before: Any, after: Any
) -> None:
    if sobject.history is None:
        return
    history = store.schema[sobject.history]
    stamp = store.stamp()
    entry: Row = {
        "Id": store.new_id(history.prefix),
        f"{sobject.name}Id": record,
        "Field": field,
        "OldValue": before,
        "NewValue": after,
        "CreatedDate": stamp,
        "CreatedById": store.user_id,
        "LastModifiedDate": stamp,
        "SystemModstamp": stamp,
    }
    store.put(history.name, entry)
