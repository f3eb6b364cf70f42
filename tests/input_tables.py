"""The schemas of the lifecycle's input tables, and how hard Hypothesis tries."""

import os

import pyarrow as pa
from hypothesis import HealthCheck, settings

INSTANT = pa.timestamp("us")
PEOPLE = pa.schema(
    {
        "person_id": pa.string(),
        "created_at": INSTANT,
        "email": pa.string(),
        "industry": pa.string(),
        "need": pa.string(),
        "lead_status": pa.string(),
        "employees": pa.int64(),
        "budget": pa.float64(),
        "opted_out": pa.bool_(),
        "bounced": pa.bool_(),
        "timeline": pa.date32(),
    }
)
FIELD_SINCE = pa.schema({"person_id": pa.string(), "field": pa.string(), "since": INSTANT})
EVENTS = pa.schema(
    {
        "event_id": pa.string(),
        "person_id": pa.string(),
        "kind": pa.string(),
        "at": INSTANT,
        "duplicate_of": pa.string(),
    }
)

# HYPOTHESIS_PROFILE=soak searches new examples; any other run repeats the same ones
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
EXAMPLES = {"duckdb": 12, "postgres": 10, "pyspark": 2}
PATIENT = settings(
    deadline=None,
    database=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
