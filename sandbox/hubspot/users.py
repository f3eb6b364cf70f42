"""Who may log in to the account, and what kinds of objects it has."""

from typing import Any

from sandbox.hubspot.call import Answer, Call
from sandbox.hubspot.refusals import refusal
from sandbox.hubspot.schema import ObjectType, object_type
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore

_ROLE = "4800"
_TEAM = "480"


def users(store: HubSpotStore, call: Call) -> Answer:
    """Page through the users; every owner is one."""
    limit, start = call.limit(100, 500), int(call.query.get("after") or 0)
    told = [_user(one) for one in store.owners]
    answer: dict[str, Any] = {"results": told[start : start + limit]}
    if start + limit < len(told):
        answer["paging"] = call.next_page(str(start + limit))
    return Answer(answer)


def user(store: HubSpotStore, call: Call) -> Answer:
    """Give one user, by id or address."""
    wanted = call.parameters["user_id"]
    for one in map(_user, store.owners):
        if wanted in (one["id"], one["email"]):
            return Answer(one)
    raise refusal(404, "resource not found", "OBJECT_NOT_FOUND")


def roles(_store: HubSpotStore, _call: Call) -> Answer:
    """Give the only role."""
    return Answer({"results": [{"id": _ROLE, "name": "Sales", "requiresBillingWrite": False}]})


def teams(store: HubSpotStore, _call: Call) -> Answer:
    """Give the only team."""
    ids = [str(one["userId"]) for one in store.owners]
    return Answer(
        {"results": [{"id": _TEAM, "name": "Sales", "userIds": ids, "secondaryUserIds": []}]}
    )


def schemas(_store: HubSpotStore, _call: Call) -> Answer:
    """Give the objects that the account added: none."""
    return Answer({"results": []})


def schema(store: HubSpotStore, call: Call) -> Answer:
    """Describe one kind of object."""
    kind = object_type(call.parameters["object"])
    table = store.tables[kind.name]
    return Answer(_described(kind, [one.as_json() for one in table.properties.values()]))


def _user(owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(owner["userId"]),
        "email": owner["email"],
        "firstName": owner["firstName"],
        "lastName": owner["lastName"],
        "roleIds": [_ROLE],
        "primaryTeamId": _TEAM,
        "superAdmin": False,
    }


def _described(kind: ObjectType, properties: list[dict[str, Any]]) -> dict[str, Any]:
    name = kind.singular.upper()
    return {
        "id": kind.type_id,
        "objectTypeId": kind.type_id,
        "fullyQualifiedName": name,
        "name": name,
        "labels": {"singular": kind.singular.title(), "plural": kind.name.title()},
        "primaryDisplayProperty": kind.shown[-1],
        "secondaryDisplayProperties": [],
        "requiredProperties": [],
        "searchableProperties": list(kind.shown),
        "properties": properties,
        "associations": [],
        "archived": False,
        "metaType": "HUBSPOT",
        "portalId": PORTAL_ID,
    }
