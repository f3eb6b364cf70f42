"""Load one of dlt's verified sources into DuckDB, and print the number of rows of each table.

Runs by itself, where `sources` is the folder of that name in the repository of the sources.
"""

import json
import sys
from typing import Any

import dlt


def _hubspot(token: str) -> Any:
    from sources.hubspot import hubspot  # type: ignore[import-not-found]  # fetched at test time

    return hubspot(api_key=token, include_history=True, soft_delete=True)


def _salesforce(user: str, password: str, security_token: str) -> Any:
    from sources.salesforce import salesforce_source  # type: ignore[import-not-found]  # the same
    from sources.salesforce.helpers.client import (  # type: ignore[import-not-found]  # the same
        SecurityTokenAuth,
    )

    login = SecurityTokenAuth(user_name=user, password=password, security_token=security_token)
    return salesforce_source(credentials=login)


_SOURCES = {"hubspot": _hubspot, "salesforce": _salesforce}

if __name__ == "__main__":
    name, *credentials = sys.argv[1:]
    pipeline = dlt.pipeline(name, destination="duckdb", pipelines_dir="state")
    pipeline.run(_SOURCES[name](*credentials))
    sys.stdout.write(json.dumps(pipeline.last_trace.last_normalize_info.row_counts))
