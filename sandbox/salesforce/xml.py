"""XML, as far as the older interfaces speak it: values in and out, without schemas."""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


class XmlError(ValueError):
    """Text that is no XML."""


def element(name: str, content: Any, namespace: str = "") -> str:
    """Write a value under a name: dicts as elements inside, lists as one after the other."""
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
    """Read the text of every innermost element by its name, whatever its namespace.

    Raises: NoMarkup for what is no XML, and for XML that defines entities.
    """
    refuse_entities(body)
    try:
        root = fromstring(body)  # noqa: S314 (what defines entities was refused above)
    except ParseError as error:
        raise XmlError(str(error)) from error
    return {_local(one): one.text or "" for one in root.iter() if not len(one)}


def refuse_entities(body: bytes) -> None:
    """Refuse XML that could define entities. Raises: NoMarkup."""
    if b"<!" in body.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
        raise XmlError("a document type is not supported")


def _local(one: Element) -> str:
    return str(one.tag).rpartition("}")[2]
