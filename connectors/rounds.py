"""Landing what the resources of a CRM read, part after part, until each has come to its end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import dlt
from dlt.extract import DltResource

from connectors.increments import PULLED_AT, State, is_open, whole_since


def land(pipeline: dlt.Pipeline, resources: Sequence[DltResource]) -> None:
    """Land the resources in rounds of one part each; every round is one load package.

    Then delete what a whole reading did not meet again: the CRM no longer has it.
    """
    left = list(resources)
    while left:
        pipeline.run(left).raise_on_failed_jobs()
        left = [one for one in left if is_open(_state(pipeline, one.name))]
    for one in resources:
        if since := whole_since(_state(pipeline, one.name)):
            _forget(pipeline, one.name, before=since)


def _state(pipeline: dlt.Pipeline, resource: str) -> State:
    sources = cast(dict[str, Any], pipeline.state).get("sources", {})
    mine = sources.get(pipeline.default_schema_name, {})
    return cast(State, mine.get("resources", {}).get(resource, {}))


def _forget(pipeline: dlt.Pipeline, table: str, *, before: datetime) -> None:
    with pipeline.sql_client() as sql:
        name, stamp = sql.make_qualified_table_name(table), sql.escape_column_name(PULLED_AT)
        sql.execute_sql(f"DELETE FROM {name} WHERE {stamp} IS NULL OR {stamp} < %s", before)
