"""Values as text in the type of the CRM field, and the hash of a mapping rule."""

import json
from dataclasses import asdict
from hashlib import sha256

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from config.mapping import FieldWrite
from models import Field
from transforms.staging.casting import cast_text
from transforms.staging.fields import as_text


def raw_text(value: ir.Value) -> ir.StringValue:
    """What the CRM holds, unrounded: the sink looks for just that before it writes."""
    if value.type().is_timestamp():
        return _iso(value.cast("timestamp(6)"), "%H:%M:%S.%f")
    return value.cast("string")


def to_crm_text(value: ir.Value, field: Field) -> ir.StringValue:
    """A value as text in the CRM's own type; what is empty is NULL.

    >>> import ibis
    >>> to_crm_text(ibis.literal(12.0), Field("score", "number")).to_pyarrow().as_py()
    '12'
    >>> short = Field("word", "text", max_length=3)
    >>> to_crm_text(ibis.literal("too long"), short).to_pyarrow().as_py()
    'too'
    """
    match field.type:
        case "datetime" if value.type().is_timestamp():
            return _iso(value.cast("timestamp(6)"))
        case "date" if value.type().is_temporal():
            return value.cast("date").strftime("%Y-%m-%d")
        case "number" | "integer" if value.type().is_numeric():
            # 12 is spelt 12.0 by one engine and 12 by the other
            return value.cast("float64").round(2).cast("string").re_replace("[.]0$", "")
    if value.type().is_timestamp():
        value = _iso(value)
    text = as_text(value)
    return text if field.max_length is None else as_text(text[: field.max_length])


def still_equals(crm_value: ir.Value, written: ir.StringValue, field: Field) -> ir.BooleanValue:
    """Whether a field shows what was written into it, however many digits either was given in."""
    return to_crm_text(crm_value, field).identical_to(_written_to_crm_text(written, field))


def _written_to_crm_text(text: ir.StringValue, field: Field) -> ir.StringValue:
    match field.type:
        case "number" | "integer":
            return to_crm_text(cast_text(text, dt.float64), field)
        case "datetime":
            return text.re_replace(r"\.\d+Z$", "Z")
    return to_crm_text(text, field)


def _iso(at: ir.TimestampValue, time: str = "%H:%M:%S") -> ir.StringValue:
    # not in one format: PostgreSQL reads `TH` as an ending for numbers
    return at.strftime("%Y-%m-%d") + "T" + at.strftime(time) + "Z"


def rule_hash(write: FieldWrite, field: Field) -> str:
    """Hash mapping and catalog of a field: if they change, a rejected value is sent again."""
    # whether the field may be written changes nothing about what is written
    rule = write.model_dump(mode="json", exclude={"overwrite"})
    text = json.dumps([rule, asdict(field)], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:8]
