"""How a value is spelt in a CRM's own type, and what tells one field from another."""

import json
from dataclasses import asdict
from hashlib import sha256

import ibis.expr.types as ir

from contract import Field
from transforms.mapping import FieldWrite
from transforms.rows import as_text


def as_it_stands(value: ir.Value) -> ir.StringValue:
    """What the CRM holds, unrounded: the sink looks for just that before it writes."""
    if value.type().is_timestamp():
        return value.cast("timestamp(6)").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.cast("string")


def spelt(value: ir.Value, field: Field) -> ir.StringValue:
    """A value as text in the CRM's own type; what is empty is NULL."""
    match field.type:
        case "datetime" if value.type().is_timestamp():
            return value.cast("timestamp(6)").strftime("%Y-%m-%dT%H:%M:%SZ")
        case "date" if value.type().is_temporal():
            return value.cast("date").strftime("%Y-%m-%d")
        case "number" | "integer" if value.type().is_numeric():
            return value.cast("float64").round(2).cast("string")
    if value.type().is_timestamp():
        value = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = as_text(value)
    return text if field.max_length is None else as_text(text[: field.max_length])


def is_still(seen: ir.Value, written: ir.StringValue, field: Field) -> ir.BooleanValue:
    """Whether a field shows what was written into it, however many digits either was given in."""
    return spelt(seen, field).identical_to(_spelt_anew(written, field))


def _spelt_anew(text: ir.StringValue, field: Field) -> ir.StringValue:
    match field.type:
        case "number" | "integer":
            return spelt(text.try_cast("float64"), field)
        case "datetime":
            return text.re_replace(r"\.\d+Z$", "Z")
    return spelt(text, field)


def fingerprint(write: FieldWrite, field: Field) -> str:
    """Tell one mapping and catalog of a field from another: what was refused may now be taken."""
    told = json.dumps([write.model_dump(mode="json"), asdict(field)], sort_keys=True)
    return sha256(told.encode()).hexdigest()[:8]
