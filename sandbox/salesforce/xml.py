"""XML of the older APIs: values in and out, without schemas."""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


class XmlError(ValueError):
    """A text that is not XML."""


def element(name: str, content: Any, namespace: str = "") -> str:
    """Write a value as an element: dicts as nested elements, lists as repeated elements."""
    opening = f'{name} xmlns="{namespace}"' if namespace else name
    match content:
        case None:
            return f"<{opening}/>"
        case list():
            return "".join(element(name, one) for one in content)
        case dict():
            inside = "".join(element(inner, value) for inner, value in content.items())
            return f"<{opening}>{inside}</{name}>"
        case bool():
            return f"<{opening}>{str(content).lower()}</{name}>"
        case _:
            return f"<{opening}>{escape(str(content))}</{name}>"


def leaves(body: bytes) -> dict[str, str]:
    """Return the text of every innermost element by its local name.

    Raises: XmlError for what is no XML, and for XML that defines entities.
    """
    refuse_entities(body)
    try:
        root = fromstring(body)  # noqa: S314 (what defines entities was refused above)
    except ParseError as error:
        raise XmlError(str(error)) from error
    return {_local(one): one.text or "" for one in root.iter() if not len(one)}


def refuse_entities(body: bytes) -> None:
    """Raise XmlError for XML that could define entities."""
    if b"<!" in body.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
        raise XmlError("a document type is not supported")


def _local(one: Element) -> str:
    return str(one.tag).rpartition("}")[2]
