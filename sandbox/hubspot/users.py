"""Users and owners of the account."""

from typing import Any

from sandbox.hubspot.errors import api_error
from sandbox.hubspot.request import ApiRequest, ApiResponse, parse_integer
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.values import parse_instant

_ROLE = "4800"
_TEAM = "480"


def users(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the users; every owner is a user."""
    limit, start = request.limit(100, 500), parse_integer(request.query.get("after") or 0)
    users_ = [_user(one) for one in store.owners]
    response: dict[str, Any] = {"results": users_[start : start + limit]}
    if start + limit < len(users_):
        response["paging"] = request.next_page(str(start + limit))
    return ApiResponse(response)


def user(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one user, by id or address."""
    wanted = request.parameters["user_id"]
    for one in map(_user, store.owners):
        if wanted in (one["id"], one["email"]):
            return ApiResponse(one)
    raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")


def owners_2(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the owners as a list, as version 2 does."""
    wanted = request.query.get("email")
    return ApiResponse([_owner_2(one) for one in store.owners if wanted in (None, one["email"])])


def owner_2(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one owner, as version 2 does."""
    for one in store.owners:
        if one["id"] == request.parameters["owner_id"]:
            return ApiResponse(_owner_2(one))
    raise api_error(404, "resource not found")


def roles(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the only role."""
    return ApiResponse({"results": [{"id": _ROLE, "name": "Sales", "requiresBillingWrite": False}]})


def teams(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the only team."""
    ids = [str(one["userId"]) for one in store.owners]
    return ApiResponse(
        {"results": [{"id": _TEAM, "name": "Sales", "userIds": ids, "secondaryUserIds": []}]}
    )


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


def _owner_2(owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "portalId": PORTAL_ID,
        "ownerId": int(owner["id"]),
        "type": "PERSON",
        "firstName": owner["firstName"],
        "lastName": owner["lastName"],
        "email": owner["email"],
        "createdAt": parse_instant(owner["createdAt"]),
        "updatedAt": parse_instant(owner["updatedAt"]),
        "remoteList": [],
        "hasContactsAccess": False,
        "activeUserId": owner["userId"],
        "userIdIncludingInactive": owner["userId"],
    }
