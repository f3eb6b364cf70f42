"""Which contacts engagement belongs to, and as what: HubSpot's associations."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from connectors.extract.arrow import Page, Row
from connectors.http import PaginationLoopGuard
from connectors.hubspot.catalog import ASSOCIATED_CONTACTS, ASSOCIATION_LABELS
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import to_row
from connectors.hubspot.partitions import next_page_cursor
from errors import RejectedError

ASSOCIATION_LIMIT = 1000
LEGACY_ASSOCIATION_LIMIT = 100
"""HubSpot documents both; the greater one is tried first."""

MAX_RESTARTS = 3
"""The associations of one record are read from the start again at most this many times."""


def with_inline_associations(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records that were listed together with their contacts."""
    for page, at in pages:
        inline = {one["id"]: (one.get("associations") or {}).get("contacts") or {} for one in page}
        links = {
            id: {
                ASSOCIATED_CONTACTS.name: join_values(
                    link["id"] for link in listed.get("results", ())
                )
            }
            for id, listed in inline.items()
        }
        # Those with more contacts than a list shows: asked for one by one below.
        more = [id for id, listed in inline.items() if next_page_cursor(listed)]
        links |= associations_of(client, object, more)
        yield [to_row(one, **links[one["id"]]) for one in page], at


def with_associations(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records, and ask for their contacts and how these are linked."""
    for page, at in pages:
        links = associations_of(client, object, [record["id"] for record in page])
        yield [to_row(one, **links.get(one["id"], {})) for one in page], at


def associations_of(
    client: Client, object: str, ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Return the columns with the contacts associated with each record.

    A record without any has no entry: HubSpot calls that an error. Where a cursor for the rest of
    a record's associations has expired, that record is read from the start again.
    """
    found: dict[str, list[Row]] = {}
    asked: list[dict[str, str]] = [{"id": id} for id in ids]
    limit, begun_anew = ASSOCIATION_LIMIT, Counter[str]()
    asked_twice: set[str] = set()
    path = client.path("associations", object=object)
    loop_guard = PaginationLoopGuard(f"HubSpot: POST {path}")
    while asked:
        inputs, rest = asked[:limit], asked[limit:]
        midway = {
            one["id"] for one in inputs if "after" in one and begun_anew[one["id"]] < MAX_RESTARTS
        }
        post = partial(client.post, path, {"inputs": inputs}, is_valid=_has_links)
        try:
            answer = loop_guard.fetch(client.api_caller, post, partial(_next_cursors, begun_anew))
        except RejectedError:
            if limit > LEGACY_ASSOCIATION_LIMIT and len(inputs) > LEGACY_ASSOCIATION_LIMIT:
                limit = LEGACY_ASSOCIATION_LIMIT
            elif midway:
                begun_anew.update(midway)
                asked = [{"id": one["id"]} if one["id"] in midway else one for one in inputs] + rest
            else:
                raise
            continue
        asked = rest
        for result in answer["results"]:
            id = str(result["from"]["id"])
            found.setdefault(id, []).extend(result["to"])
            if after := next_page_cursor(result):
                asked.append({"id": id, "after": after})
        # an answer that is cut off mentions some records in neither list: they are asked for once
        # more. What two answers leave out has no association
        settled = _mentioned(answer) | asked_twice
        unmentioned = [one for one in inputs if one["id"] not in settled]
        asked_twice |= {one["id"] for one in unmentioned}
        asked += unmentioned
    return {id: _columns(links) for id, links in found.items()}


def _has_links(answer: Row) -> bool:
    """Say whether each result names its record and the contacts of it."""
    return all(
        isinstance(one.get("from"), dict)
        and one["from"].get("id")
        and isinstance(one.get("to"), list)
        and all(isinstance(link, dict) and link.get("toObjectId") for link in one["to"])
        for one in answer["results"]
    )


def _next_cursors(begun_anew: Mapping[str, int], answer: Row) -> Iterator[str]:
    for result in answer["results"]:
        if after := next_page_cursor(result):
            id = str(result["from"]["id"])
            yield f"{id} {after} {begun_anew.get(id, 0)}"


def _mentioned(answer: Row) -> set[str]:
    """Return the ids of the records that a response names: with associations, or without any."""
    without = (
        id
        for error in answer.get("errors") or ()
        for ids in (error.get("context") or {}).values()
        for id in ids
    )
    return {str(one["from"]["id"]) for one in answer["results"]} | set(map(str, without))


def _columns(links: Sequence[Row]) -> dict[str, str | None]:
    types = (type for link in links for type in link.get("associationTypes") or ())
    return {
        ASSOCIATED_CONTACTS.name: join_values(str(link["toObjectId"]) for link in links),
        ASSOCIATION_LABELS.name: join_values(type["label"] for type in types if type.get("label")),
    }


def join_values(words: Iterable[str]) -> str | None:
    """Write several ids or labels as one text; none is NULL."""
    return ";".join(sorted(set(words))) or None
