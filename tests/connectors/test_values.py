"""Whether two texts are one value, in the type a CRM keeps it in."""

from datetime import timedelta

import pytest

from connectors.load.values import values_equal
from models import FieldType

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "right", "type"),
    [
        pytest.param("64", "64.0", "number", id="one number written twice"),
        pytest.param("1E+2", "100", "integer", id="with an exponent"),
        pytest.param("33.333333333333336", "33.33333333333333333333", "number", id="to 53 bits"),
        pytest.param("true", "True", "boolean", id="one truth"),
        pytest.param("2026-03-04T12:00:00Z", "1772625600000", "datetime", id="ISO and epoch"),
        pytest.param("2026-03-04T12:00:00Z", "2026-03-04T13:00:00.000+0100", "datetime", id="zone"),
        pytest.param("2026-03-04", "2026-03-04T00:00:00Z", "date", id="day and midnight"),
        pytest.param("2026-03-04", "1772582400000", "date", id="day and epoch"),
        pytest.param("lead", " lead ", "text", id="spaces around"),
        pytest.param("", None, "text", id="blank is nothing"),
        pytest.param("  ", None, "number", id="blank is nothing, of any type"),
        pytest.param(
            "unreadable", "unreadable", "number", id="what cannot be read, letter by letter"
        ),
        pytest.param("perhaps", "perhaps", "boolean", id="nor is it a truth"),
    ],
)
def test_these_are_the_same(left: str, right: str | None, type: FieldType) -> None:
    """Whatever they look like."""
    assert values_equal(left, right, type, timestamp_resolution=MILLISECOND)


@pytest.mark.parametrize(
    ("left", "right", "type"),
    [
        pytest.param("64", "64.5", "number", id="numbers"),
        pytest.param("64", None, "number", id="something and nothing"),
        pytest.param("0", None, "number", id="zero and nothing"),
        pytest.param("false", None, "boolean", id="no and nothing"),
        pytest.param("64", "64.0", "text", id="as text they differ"),
        pytest.param("Lead", "lead", "text", id="in case"),
        pytest.param("2026-03-04T12:00:00Z", "2026-03-04T12:00:00.001Z", "datetime", id="moments"),
    ],
)
def test_these_differ(left: str, right: str | None, type: FieldType) -> None:
    """And would be two values in the CRM."""
    assert not values_equal(left, right, type, timestamp_resolution=MILLISECOND)


def test_an_instant_is_compared_as_finely_as_the_crm_keeps_it() -> None:
    """Salesforce drops the milliseconds: that must not look like a manual change."""
    assert values_equal(
        "2026-03-04T12:00:00.612Z",
        "2026-03-04T12:00:00.000+0000",
        "datetime",
        timestamp_resolution=SECOND,
    )
