"""What of HubSpot is small and has no cursor: owners, members of lists, stages of pipelines."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from connectors.extract.arrow import Page, PageToken, Row
from connectors.http import PaginationLoopGuard
from connectors.hubspot.catalog import search_lists
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import ReadRequest, chain_readers, paginate

OWNER_LIMIT = 500
LIST_LIMIT = 500
MEMBER_LIMIT = 250
CONTACTS = "0-1"
PIPELINES = ("contacts", "deals")


def owners(client: Client, _: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read the owners of today, and those who left."""

    def read(archived: str, at: PageToken) -> Iterator[Page]:
        return paginate(client, client.path("owners"), at, limit=OWNER_LIMIT, archived=archived)

    return chain_readers(page_token, lambda at: read("false", at), lambda at: read("true", at))


def memberships(client: Client, _: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read who is on which list of contacts; a position is the list and its cursor."""
    list_at, after = page_token or (None, None)
    for one in sorted(_lists(client), key=lambda one: str(one["listId"])):
        id = str(one["listId"])
        if list_at is not None and (id < list_at or (id == list_at and after is None)):
            continue
        begin = after if id == list_at else None
        path = client.path("list_members", list=id)
        for members, position in paginate(client, path, begin, limit=MEMBER_LIMIT):
            yield [_membership(one, member) for member in members], [id, position]


def _lists(client: Client) -> Iterator[Row]:
    offset, loop_guard = 0, PaginationLoopGuard(f"HubSpot: POST {client.path('list_search')}")
    loop_guard.check(str(offset))
    while True:
        search = partial(
            search_lists,
            client,
            is_valid=partial(_has_ids, "lists", "listId"),
            offset=offset,
            count=LIST_LIMIT,
        )
        answer = loop_guard.fetch(client.api_caller, search, partial(_next_offsets, offset))
        yield from (one for one in answer["lists"] if one.get("objectTypeId") == CONTACTS)
        if not answer.get("hasMore"):
            return
        offset = answer.get("offset", offset)


def _next_offsets(offset: int, answer: Row) -> list[str]:
    return [str(answer.get("offset", offset))] if answer.get("hasMore") else []


def _has_ids(key: str, id_name: str, answer: Row) -> bool:
    return all(one.get(id_name) for one in answer[key])


def _membership(one: Row, member: Row) -> Row:
    return {
        **member,
        "id": f"{one['listId']}:{member['recordId']}" if member.get("recordId") else None,
        "listId": one["listId"],
        "listName": one.get("name"),
    }


def pipeline_stages(client: Client, _: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read the stages of the pipelines of contacts (their lifecycle) and of deals."""
    for object in PIPELINES[page_token or 0 :]:
        path = client.path("pipelines", object=object)
        found = client.get(path, expected_key="results", is_valid=_has_stages)["results"]
        rows = [
            _stage(object, pipeline, stage) for pipeline in found for stage in pipeline["stages"]
        ]
        yield rows, PIPELINES.index(object) + 1


def _has_stages(answer: Row) -> bool:
    return _has_ids("results", "id", answer) and all(
        isinstance(pipeline.get("stages"), list)
        and all(isinstance(stage, dict) and stage.get("id") for stage in pipeline["stages"])
        for pipeline in answer["results"]
    )


def _stage(object: str, pipeline: Row, stage: Row) -> dict[str, Any]:
    metadata = stage.get("metadata") or {}
    return {
        "id": f"{object}:{pipeline['id']}:{stage['id']}",
        "object": object,
        "pipelineId": pipeline["id"],
        "pipelineLabel": pipeline.get("label"),
        "stageId": stage["id"],
        "label": stage.get("label"),
        "displayOrder": stage.get("displayOrder"),
        "isClosed": metadata.get("isClosed"),
        "probability": metadata.get("probability"),
        "updatedAt": stage.get("updatedAt"),
    }
