"""The request that a handler gets, and the response that it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from sandbox.hubspot.errors import invalid
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.versions import DATES, numbered_path, version_of


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request: path parameters, query, decoded body, and the URL of the client."""

    path: str
    parameters: Mapping[str, str]
    query: QueryParams
    body: Any
    host: str

    def names(self, key: str) -> list[str]:
        """Return a comma-separated or repeated query parameter as a list."""
        return [name for part in self.query.getlist(key) for name in part.split(",") if name]

    def flag(self, key: str) -> bool:
        """Return a boolean query parameter (case-insensitive); raise for another text."""
        text = self.query.get(key, "false").lower()
        if text not in ("true", "false"):
            raise invalid(f"{key} must be true or false")
        return text == "true"

    def limit(self, default: int, most: int) -> int:
        """Return the requested page size; raise if it is too large."""
        return page_size(self.query.get("limit"), default, most)

    @property
    def version(self) -> str:
        """The version in the path, such as `v3` or `2026-09`."""
        return version_of(self.path)

    @property
    def is_dated(self) -> bool:
        """Return whether the path has a date as its version."""
        return self.version in DATES

    def next_page(self, after: str) -> dict[str, Any]:
        """Build the `paging` of a response: the cursor of the next page and its link.

        As in HubSpot's own examples, the link in a dated response leads to a numbered path.
        """
        parameters = [(key, value) for key, value in self.query.multi_items() if key != "after"]
        path = numbered_path(self.path)
        link = f"{self.host}{path}?{urlencode([*parameters, ('after', after)])}"
        return {"next": {"after": after, "link": link}}

    def inputs(self, most: int) -> list[dict[str, Any]]:
        """Return the inputs of a batch; raise if there are too many."""
        inputs: list[dict[str, Any]] = self.body["inputs"]
        if len(inputs) > most:
            raise invalid(f"The maximum number of inputs supported in a batch request is {most}")
        return inputs


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A status and a body; None means no body."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[HubSpotStore, ApiRequest], ApiResponse]


def page_size(requested: Any, default: int, most: int) -> int:
    """Parse a page size from a number or a text."""
    try:
        size = int(requested or default)
    except ValueError:
        raise invalid(f"Invalid limit: {requested}") from None
    if not 1 <= size <= most:
        raise invalid(f"The limit must be between 1 and {most}, was {size}")
    return size


def parse_integer(value: Any) -> int:
    """Parse an integer from a number or a text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"{value} was not a valid long.") from None
