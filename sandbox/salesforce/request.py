"""Request and response without HTTP, so that a composite request can have subrequests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from sandbox.salesforce.errors import unreadable_json
from sandbox.salesforce.store import SalesforceStore

JSON = "application/json;charset=UTF-8"
CSV = "text/csv; charset=UTF-8"


@dataclass(frozen=True)
class ApiResponse:
    """A response: text and bytes unchanged, None without a body, other values as JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON

    def encoded(self) -> bytes:
        """Write the body."""
        match self.body:
            case None:
                return b""
            case bytes():
                return self.body
            case str():
                return self.body.encode()
            case _:
                return orjson.dumps(self.body)


@dataclass(frozen=True)
class ApiRequest:
    """One request. `origin` is the host the client asked; header names are in lower case."""

    store: SalesforceStore
    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str
    send: Callable[[str, str, Any], ApiResponse]

    @property
    def version(self) -> str:
        """Return the API version of the path, such as `60.0`."""
        return self.path["version"]

    @property
    def root(self) -> str:
        """Return the start of the paths of the API version."""
        return f"/services/data/v{self.version}"

    def json(self, shape: TypeAdapter[Any] | None = None) -> dict[str, Any]:
        """Parse the body as an object of a schema. Raises: ApiError (JSON_PARSER_ERROR)."""
        try:
            read = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise unreadable_json(f"Unexpected character at [{error.lineno}]") from error
        if not isinstance(read, dict):
            raise unreadable_json("The HTTP entity body is required, but this one is not an object")
        if shape is not None:
            try:
                shape.validate_python(read)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                place = ".".join(map(str, first["loc"]))
                raise unreadable_json(f"Cannot deserialize {place}: {first['msg']}") from error
        return read


Handler = Callable[[ApiRequest], ApiResponse]
