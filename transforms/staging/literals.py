"""Literals that are of one type on every engine: a bare one takes the narrowest that fits."""

import ibis
import ibis.expr.types as ir


def int64(value: int) -> ir.IntegerValue:
    """An int64."""
    return ibis.literal(str(value)).cast("int64")


def float64(value: float) -> ir.FloatingValue:
    """A float64; a bare one may become DECIMAL."""
    return ibis.literal(repr(float(value))).cast("float64")
