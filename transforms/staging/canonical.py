"""A CRM value in canonical words and type: the present value, or one of its history."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from config.mapping import CanonicalField, FieldRead
from transforms.staging.casting import cast_text
from transforms.staging.field_tests import passes_tests
from transforms.staging.fields import as_text, as_type


def map_value(value: ir.Value, name: str, read: FieldRead, field: CanonicalField) -> ir.Value:
    """Give what a column says of a canonical field; what does not fit its type is NULL."""
    ours = as_type(_translate(value, read), field.type)
    return ours.lower() if name == "email" else ours


def null_of(field: CanonicalField) -> ir.Value:
    """What a record says of a canonical field that it does not have."""
    return ibis.null(as_type(ibis.null("string"), field.type).type())


def cast_history(text: ir.StringValue, dtype: dt.DataType) -> ir.Value:
    """Read a value of a history, which is text, in the type of the field it is a value of."""
    return cast_text(as_text(text), dtype)


def _translate(value: ir.Value, read: FieldRead) -> ir.Value:
    if read.test is not None:
        return passes_tests(value, read.test)
    if not read.values:
        return value
    text = as_text(value)
    spelt = ((text.lower() == theirs.lower(), ours) for theirs, ours in read.values.items())
    return ibis.cases(*spelt, else_=text)
