"""The endpoints under /crm/v3/objects, the same for contacts, companies, deals, engagement."""

import time
from collections.abc import Iterable
from typing import Any, Final

import orjson

from sandbox.hubspot.errors import (
    api_error,
    invalid,
    missing_conditional,
    not_found_entry,
    record_not_found,
)
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.schema import ASSOCIATION_TYPES, CONTACTS
from sandbox.hubspot.search import MAX_BODY, WALL, find_records
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.values import iso, parse_instant

BATCH: Final = 100
WRITE_VALIDATION: Final = "2026-09"
"""The version whose writes obey the rules of the account and adjust dates."""

_SOURCE_IDS: Final = {"INTEGRATION": "4169410", "IMPORT": "9001"}
"""The app or import that wrote a value; any other was written by a user."""

_WRITTEN: Final = (
    "createdate",
    "hs_createdate",
    "hs_is_contact",
    "hs_is_unworked",
    "hs_lastmodifieddate",
    "hs_object_id",
    "hs_object_source",
    "hs_object_source_id",
    "hs_object_source_label",
    "hs_pipeline",
    "lastmodifieddate",
    "lifecyclestage",
)


def list_records(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through all live records, or through all archived ones."""
    table = _table(store, request)
    with_history = request.names("propertiesWithHistory")
    limit = request.limit(10, 50 if with_history else 100)
    archived = request.flag("archived")
    after = parse_instant(request.query.get("after") or "0")
    if after is None:
        raise invalid(f"Invalid after: {request.query.get('after')}")
    records, next_id = table.page(after, limit, archived=archived)
    names = _names(table, request.names("properties"), with_history)
    links = [store.object_type(name).name for name in request.names("associations")]
    results = []
    for record in records:
        body = _body(table, record, names, with_history)
        if links:
            body["associations"] = _inline_associations(store, table, record, links)
        results.append(body)
    response: dict[str, Any] = {"results": results}
    if next_id is not None:
        response["paging"] = request.next_page(str(next_id))
    return ApiResponse(response)


def read_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one record, by id or by a unique property."""
    table = _table(store, request)
    record = _read_record(
        table,
        request.parameters["record_id"],
        request.query.get("idProperty"),
        archived=request.flag("archived"),
    )
    if record is None:
        raise record_not_found()
    with_history = request.names("propertiesWithHistory")
    body = _body(
        table, record, _names(table, request.names("properties"), with_history), with_history
    )
    if links := [store.object_type(name).name for name in request.names("associations")]:
        body["associations"] = _inline_associations(store, table, record, links)
    return ApiResponse(body)


def create_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create one record; a contact with an existing e-mail address is a conflict (409)."""
    table = _table(store, request)
    values = _validate(store, table, request, [request.body])[0]
    _check_required(store, table, values)
    _check_rules(store, table, request, [(None, values)])
    if existing := _unique_conflict(table, values):
        raise api_error(409, f"Contact already exists. Existing ID: {existing.id}", "CONFLICT")
    record = store.create(table, values)
    for link in request.body.get("associations") or []:
        to_id = parse_integer(link["to"]["id"])
        for other in _types_linked_by(table, link["types"][0]["associationTypeId"]):
            store.associate(table.type.name, record.id, other, to_id)
    location = f"{request.host}{request.path}/{record.id}"
    return ApiResponse(_created_body(table, record, values), 201, {"Location": location})


def update_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change properties of one record."""
    table = _table(store, request)
    values = _validate(store, table, request, [request.body])[0]
    record = _find(table, request.parameters["record_id"], request.query.get("idProperty"))
    if record is None:
        raise record_not_found()
    _check_rules(store, table, request, [(record, values)])
    store.write(table, record, values)
    return _warned(
        ApiResponse(_written_body(store, table, record, values)), [request.body], [values]
    )


def archive_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive one record; archiving it again has no effect."""
    table = _table(store, request)
    if record := table.find(request.parameters["record_id"]):
        store.archive(table, record)
    return ApiResponse(status=204)


def batch_read(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return many records by id; a merged id returns the record it was merged into."""
    table = _table(store, request)
    inputs = request.inputs(BATCH)
    with_history = request.body.get("propertiesWithHistory") or []
    if with_history and len(inputs) > 50:
        raise invalid("The maximum number of inputs with property history is 50")
    archived = request.flag("archived")
    id_property = request.body.get("idProperty")
    records: dict[int, Record] = {}
    missing: list[str] = []
    for each in inputs:
        if record := _read_record(table, str(each.get("id")), id_property, archived=archived):
            records[record.id] = record
        else:
            missing.append(str(each.get("id")))
    names = _names(table, request.body.get("properties") or [], with_history)
    bodies = [_body(table, record, names, with_history) for record in records.values()]
    return _batch_response(table, bodies, missing)


def batch_update(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change many records; an invalid property fails them all, an unknown id only itself."""
    table = _table(store, request)
    inputs = request.inputs(BATCH)
    if any(each.get("idProperty") == "email" for each in inputs):
        raise invalid("Unable to perform update/upsert by non-unique 0-1 property")
    ids = [str(each.get("id")) for each in inputs]
    if repeated := sorted({id for id in ids if ids.count(id) > 1}):
        raise invalid(
            f"Duplicate IDs found in batch input: [{', '.join(repeated)}]. IDs must be unique",
            context={"ids": repeated},
        )
    if any(id.isdecimal() and int(id) in table.merged_into for id in ids):
        raise invalid("Some objects were merged into others and cannot be updated by their old ids")
    checked = _validate(store, table, request, inputs)
    found = [table.find(id) for id in ids]
    _check_rules(store, table, request, [(r, v) for r, v in zip(found, checked, strict=True) if r])
    bodies = []
    missing = []
    for id, record, values in zip(ids, found, checked, strict=True):
        if record:
            store.write(table, record, values)
            bodies.append(_written_body(store, table, record, values))
        else:
            missing.append(id)
    return _warned(_batch_response(table, bodies, missing), inputs, checked)


def batch_create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create many records; an existing address is an error entry, or a 409 for all inputs."""
    table = _table(store, request)
    inputs = request.inputs(BATCH)
    checked = _validate(store, table, request, inputs)
    for values in checked:
        _check_required(store, table, values)
    _check_rules(store, table, request, [(None, values) for values in checked])
    bodies = []
    errors = []
    for each, values in zip(inputs, checked, strict=True):
        if existing := _unique_conflict(table, values):
            context = {"existingId": [str(existing.id)]}
            if trace := each.get("objectWriteTraceId"):
                context["objectWriteTraceId"] = [trace]
            message = f"Contact already exists. Existing ID: {existing.id}"
            errors.append(
                {"status": "error", "category": "CONFLICT", "message": message, "context": context}
            )
        else:
            bodies.append(_created_body(table, store.create(table, values), values))
    if errors and not bodies:
        raise api_error(409, "Contact already exists", "CONFLICT")
    return _batch_response(table, bodies, [], errors, status=201)


def batch_upsert(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Update the records that a unique property finds, create the others; `new` says which."""
    table = _table(store, request)
    inputs = request.inputs(BATCH)
    keys = [(each.get("idProperty") or "hs_object_id", str(each["id"])) for each in inputs]
    if len(set(keys)) < len(keys):
        repeated = sorted({id for name, id in keys if keys.count((name, id)) > 1})
        raise invalid(
            f"Duplicate IDs found in batch input: [{', '.join(repeated)}]. IDs must be unique",
            context={"ids": repeated},
        )
    checked = _validate(store, table, request, inputs)
    found = [_find(table, id, name) for name, id in keys]
    _check_rules(store, table, request, list(zip(found, checked, strict=True)))
    bodies = []
    missing = []
    for (name, id), record, values in zip(keys, found, checked, strict=True):
        if record:
            store.write(table, record, values)
            bodies.append(_written_body(store, table, record, values) | {"new": False})
        elif name == "hs_object_id":
            missing.append(id)
        else:
            values = {name: id, **values}
            made = store.create(table, values)
            bodies.append(_created_body(table, made, values) | {"new": True})
    return _batch_response(table, bodies, missing)


def batch_archive(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive many records; unknown ids are ignored."""
    table = _table(store, request)
    for each in request.inputs(BATCH):
        if record := table.find(str(each.get("id"))):
            store.archive(table, record)
    return ApiResponse(status=204)


def search(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Find records by filters: at most 10,000 of one query, without history and associations."""
    table = _table(store, request)
    body = request.body if isinstance(request.body, dict) else {}
    if len(orjson.dumps(body)) > MAX_BODY:
        raise invalid(f"The request body must not exceed {MAX_BODY} characters")
    limit = page_size(body.get("limit"), 10, 200)
    after = _offset(body.get("after"))
    if after >= WALL or after + limit > WALL:
        raise invalid(
            f"The search may not reach beyond {WALL} results: after {after}, limit {limit}"
        )
    hits, total = find_records(store, table, body)
    names = _names(table, body.get("properties") or [], [])
    page = filter(None, map(table.records.read, hits[after : after + limit]))
    response: dict[str, Any] = {
        "total": total,
        "results": [
            _body(table, record, names, [], store.indexed(table, record)) for record in page
        ],
    }
    if after + limit < len(hits):
        response["paging"] = {"next": {"after": str(after + limit)}}
    return ApiResponse(response)


def merge(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Merge two records into a new one."""
    table = _table(store, request)
    primary = table.find(str(request.body.get("primaryObjectId")))
    other = table.find(str(request.body.get("objectIdToMerge")))
    if primary is None or other is None:
        what = "vid" if table.type is CONTACTS else table.type.singular
        raise invalid(
            f"{what} to merge is not a valid {table.type.singular} or is already in the process of "
            "being merged"
        )
    if primary is other:
        raise invalid(f"Cannot merge a {table.type.singular} with itself")
    merged = store.merge(table, primary, other)
    return ApiResponse(_body(table, merged, sorted(merged.properties), []))


def erase_contact(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Erase a contact for good, by id or address."""
    table = store.tables[CONTACTS.name]
    id, id_property = str(request.body.get("objectId")), request.body.get("idProperty")
    record = _find(table, id, id_property) or _find(table, id, id_property, archived=True)
    if record:
        store.erase(table, record)
    return ApiResponse(status=204)


def _table(store: HubSpotStore, request: ApiRequest) -> ObjectTable:
    return store.table(request.parameters["object"])


def _find(
    table: ObjectTable, id: str, id_property: str | None, *, archived: bool = False
) -> Record | None:
    """Find a record to change it."""
    record = _read_record(table, id, id_property, archived=archived)
    return table.find(record.id, archived=archived) if record else None


def _read_record(
    table: ObjectTable, id: str, id_property: str | None, *, archived: bool = False
) -> Record | None:
    """Find a record to read it."""
    if id_property and id_property != "hs_object_id":
        definition = table.properties.get(id_property)
        if definition is None or not definition.unique:
            raise invalid(f"{id_property} is not a unique property of {table.type.name}")
        return table.read_by(id_property, id)
    return table.read(id, archived=archived)


def _properties_of(body: Any) -> dict[str, Any]:
    properties: dict[str, Any] = body["properties"]
    return properties


def _validate(
    store: HubSpotStore, table: ObjectTable, request: ApiRequest, inputs: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """Convert the properties of all inputs; the newest version adjusts dates."""
    properties = [_properties_of(each) for each in inputs]
    return store.validate_properties(
        table, properties, adjust_dates=request.version == WRITE_VALIDATION
    )


def _check_rules(
    store: HubSpotStore,
    table: ObjectTable,
    request: ApiRequest,
    writes: list[tuple[Record | None, dict[str, str]]],
) -> None:
    """Raise where a write breaks a rule of the account; older versions do not look at them."""
    if request.version != WRITE_VALIDATION:
        return
    missing = [
        pair for record, values in writes for pair in store.missing_by_rule(table, record, values)
    ]
    if missing:
        raise missing_conditional(list(dict.fromkeys(missing)))


def _warned(
    response: ApiResponse, inputs: list[dict[str, Any]], checked: list[dict[str, str]]
) -> ApiResponse:
    """Add the warnings about dates that were adjusted."""
    warnings = [
        {
            "category": "PROPERTY_VALUE_NORMALIZED",
            "message": f"The value of {name} was normalized",
            "context": {
                "propertyName": [name],
                "rawValue": [str(_properties_of(each)[name])],
                "normalizedValue": [value],
            },
        }
        for each, values in zip(inputs, checked, strict=True)
        for name, value in values.items()
        if _is_adjusted(str(_properties_of(each)[name]), value)
    ]
    if warnings:
        response.body["warnings"] = warnings
    return response


def _is_adjusted(raw: str, stored: str) -> bool:
    """Return whether a day was stored for a text that was no day and no midnight."""
    is_day = len(stored) == len("2026-09-08") and stored != raw
    return is_day and parse_instant(raw) not in (None, parse_instant(stored))


def _unique_conflict(table: ObjectTable, values: dict[str, str]) -> Record | None:
    email = values.get("email")
    return table.read_by("email", email) if email and table.type is CONTACTS else None


def _check_required(store: HubSpotStore, table: ObjectTable, values: dict[str, str]) -> None:
    """Raise for a new custom record without its required properties."""
    required = store.schemas.get(table.type.name, {}).get("requiredProperties", ())
    if missing := [name for name in required if not values.get(name)]:
        raise invalid(
            f"Error creating {table.type.singular.upper()}. Some required properties were not set.",
            context={"properties": missing},
            subCategory="ObjectErrors.REQUIRED_PROPERTIES_NOT_SET",
        )


def _types_linked_by(table: ObjectTable, type_id: int) -> list[str]:
    return [
        to
        for (origin, to), type_ids in ASSOCIATION_TYPES.items()
        if origin == table.type.name and type_id in type_ids
    ]


def _offset(after: Any) -> int:
    try:
        return int(after or 0)
    except ValueError:
        raise invalid(f"Invalid after: {after}") from None


def _names(table: ObjectTable, requested: Iterable[str], with_history: Iterable[str]) -> list[str]:
    """Return the properties of a response: the requested ones that exist, or the default ones."""
    wanted = {name for name in (*requested, *with_history) if name in table.properties}
    if not wanted:
        return list(table.type.shown)
    return sorted(wanted | {table.type.created, table.type.modified, "hs_object_id"})


def _body(
    table: ObjectTable,
    record: Record,
    names: list[str],
    with_history: list[str],
    properties: dict[str, str] | None = None,
) -> dict[str, Any]:
    have = record.properties if properties is None else properties
    body: dict[str, Any] = {
        "id": str(record.id),
        "properties": {name: have.get(name) for name in names},
        "createdAt": have[table.type.created],
        "updatedAt": have[table.type.modified],
        "archived": record.archived_at is not None,
        "url": f"https://app.hubspot.com/contacts/{PORTAL_ID}/record/{table.type.type_id}/{record.id}",
    }
    if record.archived_at is not None:
        body["archivedAt"] = iso(record.archived_at)
    if with_history:
        body["propertiesWithHistory"] = {
            name: [
                {
                    "value": value,
                    "timestamp": iso(at),
                    "sourceType": source,
                    "sourceId": _SOURCE_IDS.get(source, "userId:28604240"),
                }
                for at, value, source in record.past(name)
            ]
            for name in with_history
            if name in table.properties
        }
    return body


def _written_body(
    store: HubSpotStore, table: ObjectTable, record: Record, values: dict[str, str]
) -> dict[str, Any]:
    """Build the response to an update: sent properties and some system properties only."""
    names = {name for name in _WRITTEN if name in record.properties}
    body = _body(table, record, sorted(names | values.keys()), [])
    if store.echo_ignored_stage and values.get("lifecyclestage"):
        body["properties"]["lifecyclestage"] = values["lifecyclestage"]
    return body


def _created_body(table: ObjectTable, record: Record, values: dict[str, str]) -> dict[str, Any]:
    names = {*values, *_WRITTEN, "hs_all_contact_vids", "hs_email_domain"}
    names &= record.properties.keys()
    body = _body(table, record, sorted(names), [])
    if table.type is CONTACTS and body["properties"].get("lifecyclestage") == "lead":
        # responses to a creation write this one date as epoch milliseconds
        body["properties"]["hs_lifecyclestage_lead_date"] = str(record.created_at)
    return body


def _inline_associations(
    store: HubSpotStore, table: ObjectTable, record: Record, links: list[str]
) -> dict[str, Any]:
    response = {}
    for to in links:
        label = f"{table.type.singular}_to_{store.object_type(to).singular}"
        linked = store.associated(table.type.name, record.id, to)
        if linked:
            response[to] = {"results": [{"id": str(id), "type": label} for id in linked]}
    return response


def _batch_response(
    table: ObjectTable,
    bodies: list[dict[str, Any]],
    missing: list[str],
    errors: list[dict[str, Any]] | None = None,
    *,
    status: int = 200,
) -> ApiResponse:
    """Build a batch response: results in another order than the inputs; 207 with errors."""
    now = iso(time.time_ns() // 1_000_000)
    errors = [
        *(errors or []),
        *([not_found_entry(table.type.singular, missing)] if missing else []),
    ]
    response: dict[str, Any] = {
        "status": "COMPLETE",
        "results": bodies[::-1],
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        response |= {"numErrors": len(errors), "errors": errors}
    return ApiResponse(response, 207 if errors else status)
