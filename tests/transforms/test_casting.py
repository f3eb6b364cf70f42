"""A text read in another type, the same on every engine: what does not fit is NULL."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import ibis.expr.datatypes as dt
import pyarrow as pa
import pytest
from ibis.backends.sql import SQLBackend

from engines import ENGINES, EVERY_ENGINE, load_rows
from transforms.staging.casting import cast_text

READ = {
    "float64": {
        "12": 12.0,
        "-3.5": -3.5,
        ".5": 0.5,
        "9.12260031E8": 912_260_031.0,
        "12 EUR": None,
        "1,5": None,
        "NaN": None,
        "inf": None,
        "1e999": None,
        "9" * 400: None,
    },
    "int64": {"3": 3, "3.0": 3, "-7": -7, "1e3": 1000, "99999999999999999999": None, "x": None},
    "boolean": {"true": True, "TRUE": True, "1": True, "no": False, "0": False, "maybe": None},
    "date": {
        "2026-02-28": date(2026, 2, 28),
        "2024-02-29T23:59:00-08:00": date(2024, 2, 29),
        "1767225600000": date(2026, 1, 1),
        "2026-02-30": None,
        "2026-13-01": None,
        "0000-01-01": None,
        "28.02.2026": None,
    },
    "timestamp(6)": {
        "2026-01-02T03:04:05.678Z": datetime(2026, 1, 2, 3, 4, 5, 678_000),
        "2026-01-02T03:04:05.123456789+0000": datetime(2026, 1, 2, 3, 4, 5, 123_456),
        "2026-01-01T23:30:00-05:30": datetime(2026, 1, 2, 5, 0),
        "2026-01-02 03:04:05+02": datetime(2026, 1, 2, 1, 4, 5),
        "2026-01-02 03:04": datetime(2026, 1, 2, 3, 4),
        "2026-01-02": datetime(2026, 1, 2),
        "-86400000000": datetime(1967, 4, 7),
        "2026-01-02T25:00:00Z": None,
        "2026-02-30T10:00:00Z": None,
        "2026-01-02 tomorrow": None,
        "": None,
    },
    "string": {" as it is ": " as it is "},
}


@pytest.fixture(scope="module", params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> Iterator[SQLBackend]:
    with ENGINES[request.param]() as connected:
        yield connected


@pytest.mark.parametrize("type", READ)
def test_every_engine_reads_the_same(engine: SQLBackend, type: str) -> None:
    """Also where its own cast would take it, cut it, or end the whole query."""
    asked: dict[str, Any] = READ[type]
    texts = load_rows(engine, "texts", pa.table({"text": [*asked, None]}))

    told = (
        texts.select("text", value=cast_text(texts.text, dt.dtype(type))).to_pyarrow().to_pylist()
    )

    assert {row["text"]: row["value"] for row in told} == {**asked, None: None}
