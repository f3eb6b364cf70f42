"""The vendors' OpenAPI documents: schemas of requests and responses.

They are not part of this project: ONEFUNNEL_CONTRACTS names their folder, and without it the tests
that need them are skipped. The documents of HubSpot were derived from its typed client; where
recorded traffic contradicts them, `KNOWN_BETTER` has the recorded schema.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

FOLDER = Path(
    os.environ.get("ONEFUNNEL_CONTRACTS") or Path(__file__).parents[3] / "../shared/contracts"
)
ABSENT = f"the vendors' OpenAPI documents are not in {FOLDER.resolve()}"

_TEXT, _WHOLE, _NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
KNOWN_BETTER: dict[tuple[str, str], Any] = {
    # numbers and booleans are accepted, and a property without a value is null in responses
    **{
        (name, "properties"): {"type": "object", "additionalProperties": _SCALAR}
        for name in (
            "SimplePublicObject",
            "SimplePublicObjectBatchInput",
            "SimplePublicObjectBatchInputForCreate",
            "SimplePublicObjectBatchInputUpsert",
            "SimplePublicObjectInput",
            "SimplePublicObjectInputForCreate",
            "SimplePublicObjectWithAssociations",
            "SimplePublicUpsertObject",
        )
    },
    # cursor and size of a search are texts or numbers, its sorts are objects
    ("PublicObjectSearchRequest", "after"): {"anyOf": [_TEXT, _WHOLE]},
    ("PublicObjectSearchRequest", "limit"): {"anyOf": [_TEXT, _WHOLE]},
    ("PublicObjectSearchRequest", "sorts"): {"type": "array", "items": {"type": ["object"]}},
    # standard objects have no creator
    ("ObjectSchema", "createdByUserId"): {"anyOf": [_WHOLE, _NULL]},
    ("ObjectSchema", "updatedByUserId"): {"anyOf": [_WHOLE, _NULL]},
    # ids of associated records are numbers, and the default association has no label
    ("MultiAssociatedObjectWithLabel", "toObjectId"): {"anyOf": [_TEXT, _WHOLE]},
    ("AssociationSpecWithLabel", "label"): {"anyOf": [_TEXT, _NULL]},
    ("LabelsBetweenObjectPair", "fromObjectId"): {"anyOf": [_TEXT, _WHOLE]},
    ("LabelsBetweenObjectPair", "toObjectId"): {"anyOf": [_TEXT, _WHOLE]},
}
NOT_REQUIRED = {
    # a read without history has no key for history
    "BatchReadInputSimplePublicObjectId": {"propertiesWithHistory", "properties"},
    # a recorded creation leaves out `hidden` if it is false
    "OptionInput": {"hidden"},
    # recorded errors of an unknown object type and of search limits lack them
    "Error": {"category", "correlationId"},
    # recorded entries of a 207 have category, message, status and context, and rarely other keys
    "StandardError": {"context", "errors", "links"},
}


@dataclass(frozen=True)
class Operation:
    """One method of one path in one document."""

    document: str
    method: str
    path: str
    definition: dict[str, Any]
    components: dict[str, Any]

    @property
    def name(self) -> str:
        """Return method and path template."""
        return f"{self.method} {self.path}"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Match the paths of this template."""
        parts = re.split(r"\{\w+\}", self.path.rstrip("/"))
        return re.compile("[^/]+".join(map(re.escape, parts)) + "/?")

    def faults_of_request(self, query: dict[str, str], media: str, body: bytes) -> list[str]:
        """Return the errors of a request."""
        missing = [
            f"{one['name']}: required"
            for one in self.definition.get("parameters", ())
            if one["in"] == "query" and one.get("required") and one["name"] not in query
        ]
        documented = self.definition.get("requestBody", {}).get("content", {}).get(media)
        return missing + (
            self._faults(documented["schema"], body) if documented and _is_json(media) else []
        )

    def faults_of_answer(self, status: int, media: str, body: bytes) -> list[str]:
        """Return the differences between a response and the document."""
        answers = self.definition["responses"]
        documented = answers.get(str(status), answers.get("default"))
        if documented is None:
            return [f"status {status} is not among {', '.join(answers)}"]
        content = documented.get("content", {})
        media_type = content.get(media) or content.get("*/*")
        if status >= 400 or not media_type:
            return [] if status < 400 or _is_error(media, body) else ["no error"]
        if not _is_json(media):
            return []
        return self._faults(media_type["schema"], body)

    def damaged(self, body: Any) -> Iterator[tuple[str, Any]]:
        """Return copies of a valid body, each with one error."""
        schema = self.definition["requestBody"]["content"]["application/json"]["schema"]
        for label, broken in _broken(body, "body"):
            if self._faults(schema, orjson.dumps(broken)):
                yield label, broken

    def _faults(self, schema: dict[str, Any], body: bytes) -> list[str]:
        try:
            read = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ["no JSON"]
        checked = Draft202012Validator({**schema, "components": self.components})
        return [f"{one.json_path}: {one.message[:120]}" for one in checked.iter_errors(read)]


class OpenApiDocuments:
    """All operations of all documents."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read the documents of the folder; none if it does not exist."""
        self.operations = [
            operation
            for path in sorted([*folder.glob("*/openapi/*.json"), *folder.glob("*/openapi-*.json")])
            for operation in _operations(path)
        ]
        self._by_literals = sorted(self.operations, key=lambda one: one.path.count("{"))

    def find(self, method: str, path: str) -> Operation | None:
        """Find the operation of a request: of several the one with the fewest placeholders."""
        return next(
            (
                one
                for one in self._by_literals
                if one.method == method and one.pattern.fullmatch(path)
            ),
            None,
        )


def _operations(path: Path) -> Iterator[Operation]:
    document = _plain(orjson.loads(path.read_bytes()))
    components = document.get("components", {})
    for name, schema in components.get("schemas", {}).items():
        properties = schema.get("properties", {})
        schema["properties"] = {
            key: KNOWN_BETTER.get((name, key), known) for key, known in properties.items()
        }
        schema["required"] = sorted({*schema.get("required", ())} - NOT_REQUIRED.get(name, set()))
    for template, methods in document["paths"].items():
        for method, definition in methods.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield Operation(path.stem, method.upper(), template, definition, components)


def _plain(value: Any) -> Any:
    """Convert `nullable` to JSON Schema."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(one) for name, one in value.items()}
    if plain.pop("nullable", False) is True and "type" in plain:
        plain["type"] = [plain["type"], "null"]
    return plain


def _broken(value: Any, label: str) -> Iterator[tuple[str, Any]]:
    """Return copies of a value with one key left out, or one value of another type."""
    match value:
        case dict():
            yield f"{label} is a list", [value]
            for name, inner in value.items():
                yield f"{label}.{name} left out", {k: v for k, v in value.items() if k != name}
                for error, broken in _broken(inner, f"{label}.{name}"):
                    yield error, value | {name: broken}
        case [first, *rest]:
            yield f"{label} is an object", {"not": "a list"}
            for error, broken in _broken(first, f"{label}[0]"):
                yield error, [broken, *rest]
        case list():
            yield f"{label} is an object", {"not": "a list"}
        case _:
            yield f"{label} is an object", {"not": "a scalar"}


def _is_json(media: str) -> bool:
    return media == "application/json"


def _is_error(media: str, body: bytes) -> bool:
    """Return whether a response is an error: a JSON envelope, or a page of HTML."""
    if not _is_json(media):
        return media == "text/html"
    read = orjson.loads(body)
    if isinstance(read, list):
        return {"message", "errorCode"} <= read[0].keys()
    return "message" in read or "error" in read
