"""Which contacts engagement belongs to, and as what: HubSpot's associations, version 4."""

from collections.abc import Iterable, Iterator, Sequence

from connectors.hubspot.catalog import ASSOCIATED, LABELS
from connectors.hubspot.client import Client
from connectors.hubspot.ranges import next_of
from connectors.hubspot.reading import endless, row
from connectors.landing import Page, Row
from errors import RefusedError

ASSOCIATION_LIMIT = 1000
ASSOCIATION_LIMIT_OF_OLD = 100
"""HubSpot documents both; the greater one is tried first."""


def with_inline_contacts(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records that were listed together with their contacts."""
    for page, at in pages:
        inline = {one["id"]: (one.get("associations") or {}).get("contacts") or {} for one in page}
        links = {
            id: {ASSOCIATED.name: joined(link["id"] for link in listed.get("results", ()))}
            for id, listed in inline.items()
        }
        # Those with more contacts than a list shows: asked for one by one below.
        more = [id for id, listed in inline.items() if next_of(listed)]
        links |= links_of(client, object, more)
        yield [row(one, **links[one["id"]]) for one in page], at


def with_contacts(client: Client, object: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Make rows of records, and ask for their contacts and how these are linked."""
    for page, at in pages:
        links = links_of(client, object, [record["id"] for record in page])
        yield [row(one, **links.get(one["id"], {})) for one in page], at


def links_of(client: Client, object: str, ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Give the columns that tell of each record's links to contacts.

    A record without any has no entry: HubSpot calls that an error.
    """
    found: dict[str, list[Row]] = {}
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
            found.setdefault(id, []).extend(result["to"])
            if after := next_of(result):
                following = {"id": id, "after": after}
                if following in inputs:
                    raise endless(f"POST {path}")
                asked.append(following)
    return {id: _columns(links) for id, links in found.items()}


def _columns(links: Sequence[Row]) -> dict[str, str | None]:
    types = (type for link in links for type in link.get("associationTypes") or ())
    return {
        ASSOCIATED.name: joined(str(link["toObjectId"]) for link in links),
        LABELS.name: joined(type["label"] for type in types if type.get("label")),
    }


def joined(words: Iterable[str]) -> str | None:
    """Write several ids or labels as one text; none is NULL."""
    return ";".join(sorted(set(words))) or None
