"""What the connector tests share: a world on loopback, clients for it, and a place to land in."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import dlt
from dlt.destinations import duckdb

from connectors import Client, connector
from connectors.extract.pipeline import estimate, extract_and_verify, load_batches
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.retry import no_sleep
from connectors.salesforce.auth import Settings as SalesforceSettings
from models import (
    ExtractEstimate,
    FieldSelection,
    IdsByObject,
    Outcome,
    RecordChange,
    RowCheck,
    Verification,
)
from sandbox.faults import Fault
from sandbox.hubspot.store import Record
from sandbox.salesforce.rows import Row
from sandbox.salesforce.store import SalesforceStore
from sandbox.server import Sandbox, running

EXPIRED_CURSOR = [{"errorCode": "INVALID_QUERY_LOCATOR", "message": "invalid query locator"}]
"""What Salesforce says of a cursor that it has forgotten."""


@contextmanager
def small_sandbox(people: int = 40) -> Iterator[Sandbox]:
    """Serve a small sandbox without waits; its last event is some months old."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with (
        running(people=people, seed=11, now=now, rate_limits=False) as sandbox,
        no_sleep(),
    ):
        yield sandbox


def hubspot_client(sandbox: Sandbox, **more: Any) -> Client:
    """Connect to the HubSpot of a world."""
    settings = HubSpotSettings(access_token=sandbox.hubspot_token, base_url=sandbox.url, **more)
    return connector("hubspot").connect(settings)


def hubspot_oauth_client(sandbox: Sandbox, **more: Any) -> Client:
    """Connect to the HubSpot of a world by a refresh token."""
    settings = HubSpotSettings(
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        refresh_token=sandbox.hubspot_refresh_token,
        base_url=sandbox.url,
        **more,
    )
    return connector("hubspot").connect(settings)


def salesforce_client(sandbox: Sandbox, **more: Any) -> Client:
    """Connect to the Salesforce of a world."""
    settings = SalesforceSettings(
        instance_url=sandbox.url,
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        **more,
    )
    return connector("salesforce").connect(settings)


def add_blank_records(sandbox: Sandbox, object: str, count: int) -> None:
    """Put that many blank records into HubSpot."""
    store = sandbox.hubspot
    for _ in range(count):
        store.create(store.tables[object], {})


def add_leads(store: SalesforceStore, count: int, **values: object) -> None:
    """Put that many leads into Salesforce, alike but for their ids."""
    for _ in range(count):
        stamps = {"CreatedDate": store.stamp(), "SystemModstamp": store.stamp()}
        row = live_lead(store) | {"Id": store.new_id("00Q")} | stamps
        store.put("Lead", row | values)


def live_lead(store: SalesforceStore) -> Row:
    """Choose a lead that is neither deleted nor converted."""
    leads = store.tables["Lead"].values()
    return next(row for row in leads if not row.get("IsDeleted") and not row.get("IsConverted"))


def count_calls(sandbox: Sandbox, path: str) -> int:
    """Count the calls HubSpot has seen, of one path."""
    counts = sandbox.faults.calls()["hubspot"]
    return sum(number for call, number in counts.items() if call.endswith(path))


def write_outcomes(crm: str, client: Client, changes: Iterable[RecordChange]) -> list[Outcome]:
    """Write changes with the catalog of their objects, and give all outcomes."""
    changes = list(changes)
    catalog = connector(crm).catalog(client, {change.object for change in changes})
    batches = connector(crm).write(client, changes, catalog)
    return [outcome for batch in batches for outcome in batch]


class ExtractHarness:
    """A pipeline into a file of its own."""

    def __init__(self, crm: str, folder: Path) -> None:
        """Create it in a folder; all state of the pipeline is in the warehouse file."""
        dlt.config["schema.naming"] = "sql_cs_v1"
        self.last_full_check: dict[str, datetime] = {}
        self.row_checks: Sequence[RowCheck] = ()
        self.known_absent: IdsByObject = {}
        self.verification = Verification((), {}, {})
        self.progress_reports: list[tuple[int, int | None]] = []
        self.crm = crm
        self._crm = connector(crm)
        self._pipeline = dlt.pipeline(
            f"test_{crm}",
            destination=duckdb(str(folder / "warehouse.duckdb")),
            dataset_name=crm,
            pipelines_dir=mkdtemp(dir=folder),
        )

    def extract(
        self,
        client: Client,
        selected_fields: FieldSelection,
        *,
        verify: bool = False,
        **options: Any,
    ) -> int:
        """Extract the fields and return the number of rows, without repaired ones."""
        rows: dict[str, int] = {}

        def progress(object: str, count: int, total: int | None) -> None:
            rows[object] = count
            self.progress_reports.append((count, total))

        catalog = self._crm.catalog(client, selected_fields)
        if verify:
            found = extract_and_verify(
                self._pipeline,
                self._crm,
                client,
                selected_fields,
                catalog,
                last_full_check=self.last_full_check,
                known_absent=self.known_absent,
                progress=progress,
                **options,
            )
            self.row_checks, self.verification = found.row_checks, found
        else:
            resources = self._crm.source(
                client, selected_fields, catalog, progress=progress, **options
            )
            load_batches(self._pipeline, resources, failed_objects=client.failed_objects)
        return sum(rows.values())

    def estimate_extract(
        self, client: Client, selected_fields: FieldSelection
    ) -> list[ExtractEstimate]:
        """Say how the next pull would read."""
        catalog = self._crm.catalog(client, selected_fields)
        return estimate(self._pipeline, self._crm, client, selected_fields, catalog)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query what was landed."""
        with self._pipeline.sql_client() as sql_client:
            return [tuple(row) for row in sql_client.execute_sql(sql) or ()]

    def count(self, table: str) -> int:
        """Count what was landed."""
        return int(self.query(f'SELECT count(*) FROM "{table}"')[0][0])


def label_fault(deal: Record, contact: Record, *labels: str) -> Fault:
    """Let HubSpot return labels for one association."""
    types = [{"category": "USER_DEFINED", "typeId": 30, "label": label} for label in labels]
    unlabelled = {"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None}
    link = {"toObjectId": contact.id, "associationTypes": [*types, unlabelled]}
    body = {"status": "COMPLETE", "results": [{"from": {"id": str(deal.id)}, "to": [link]}]}
    return Fault(path="/associations/deals/", status=200, body=body)
