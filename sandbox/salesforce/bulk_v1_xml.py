"""XML of Bulk API 1.0: query rows, rows to write, and results."""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.xml import DECLARATION, XmlError, element, refuse_entities

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{_INSTANCE}}}nil"


def parse_rows(kind: str, records: list[dict[str, Any]]) -> str:
    """Write the records of a query."""
    rows = "".join(f'<records xsi:type="sObject">{_row(kind, one)}</records>' for one in records)
    return _whole("queryResult", rows)


def outcomes(results: list[dict[str, Any]]) -> str:
    """Write the result of each row, in the order of the rows."""
    return _whole("results", "".join(element("result", _outcome(one)) for one in results))


def rows(sent: bytes) -> list[dict[str, Any]]:
    """Parse rows to write; a nil value clears a field, an empty one leaves it unchanged."""
    try:
        refuse_entities(sent)
        root = fromstring(sent)  # noqa: S314 (what defines entities was refused above)
    except (XmlError, ParseError) as error:
        raise ApiError("InvalidBatch", f"Failed to parse XML: {error}") from error
    return [
        {_local(field): None if _is_nil(field) else field.text for field in record if _given(field)}
        for record in root
    ]


def _whole(name: str, content: str) -> str:
    opening = f'<{name} xmlns="{NAMESPACE}" xmlns:xsi="{_INSTANCE}">'
    return f"{DECLARATION}{opening}{content}</{name}>"


def _row(kind: str, record: dict[str, Any]) -> str:
    fields = "".join(_cell(name, one) for name, one in record.items() if name != "attributes")
    return f"<type>{kind}</type>{fields}"


def _cell(name: str, value: Any) -> str:
    match value:
        case None:
            return f'<{name} xsi:nil="true"/>'
        case {"attributes": {"type": kind}}:
            return f'<{name} xsi:type="sObject">{_row(kind, value)}</{name}>'
        case str() if value.endswith("+0000"):
            return element(name, value.replace("+0000", "Z"))
    return element(name, value)


def _outcome(one: dict[str, Any]) -> dict[str, Any]:
    flags = {"success": one["success"], "created": one["created"]}
    if one["success"]:
        return {"id": one["id"]} | flags
    keys = ("fields", "message", "statusCode")
    return {"errors": [{key: error[key] for key in keys} for error in one["errors"]]} | flags


def _given(field: Element) -> bool:
    return _is_nil(field) or bool(field.text)


def _is_nil(field: Element) -> bool:
    return field.get(_NIL) == "true"


def _local(one: Element) -> str:
    return str(one.tag).rpartition("}")[2]
