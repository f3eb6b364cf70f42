"""Which contacts engagement belongs to: HubSpot's associations, version 4."""

from collections.abc import Iterable, Iterator, Sequence

from connectors.hubspot.client import Client
from connectors.hubspot.ranges import next_of
from connectors.hubspot.reading import endless, row
from connectors.landing import Page
from errors import RefusedError

ASSOCIATION_LIMIT = 1000
ASSOCIATION_LIMIT_OF_OLD = 100
"""HubSpot documents both; the greater one is tried first."""


def with_inline_contacts(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records that were listed together with their contacts."""
    for page, at in pages:
        inline = {one["id"]: (one.get("associations") or {}).get("contacts") or {} for one in page}
        contacts = {
            id: joined(link["id"] for link in links.get("results", ()))
            for id, links in inline.items()
        }
        # Those with more contacts than a list shows: asked for one by one below.
        more = [id for id, links in inline.items() if next_of(links)]
        contacts |= contacts_of(client, object, more)
        yield [row(one, associated_contacts=contacts[one["id"]]) for one in page], at


def with_contacts(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records, and ask for their contacts."""
    for page, at in pages:
        contacts = contacts_of(client, object, [record["id"] for record in page])
        yield [row(one, associated_contacts=contacts.get(one["id"])) for one in page], at


def contacts_of(client: Client, object: str, ids: Sequence[str]) -> dict[str, str | None]:
    """Give each record's contact ids, joined; that a record has none HubSpot calls an error."""
    found: dict[str, list[str]] = {}
    asked: list[dict[str, str]] = [{"id": id} for id in ids]
    limit = ASSOCIATION_LIMIT
    path = f"/crm/v4/associations/{object}/contacts/batch/read"
    while asked:
        inputs, rest = asked[:limit], asked[limit:]
        try:
            answer = client.post(path, {"inputs": inputs})
        except RefusedError:
            if limit == ASSOCIATION_LIMIT_OF_OLD or len(inputs) <= ASSOCIATION_LIMIT_OF_OLD:
                raise
            limit = ASSOCIATION_LIMIT_OF_OLD
            continue
        asked = rest
        for result in answer["results"]:
            id = str(result["from"]["id"])
            found.setdefault(id, []).extend(str(to["toObjectId"]) for to in result["to"])
            if after := next_of(result):
                following = {"id": id, "after": after}
                if following in inputs:
                    raise endless(f"POST {path}")
                asked.append(following)
    return {id: joined(contacts) for id, contacts in found.items()}


def joined(ids: Iterable[str]) -> str | None:
    """Write several ids as one text; none is NULL."""
    return ";".join(sorted(set(ids))) or None
