"""Reading leaves the reserve of the day's calls to other programs, as writing does."""

from pathlib import Path

import pytest
import requests
from dlt.pipeline.exceptions import PipelineStepFailed

from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    count_calls,
    hubspot_client,
    salesforce_client,
)
from connectors import root_sync_error
from connectors.client_state import reserved_calls
from connectors.hubspot import associations
from connectors.hubspot import client as client_module
from errors import QuotaError
from sandbox.server import Sandbox


@pytest.mark.parametrize(
    ("reserve", "daily_limit", "calls"),
    [(0.1, 1000, 100), (0.1, None, None), (1, 1000, 1), (250, None, 250), (0, 1000, 0)],
)
def test_a_reserve_is_a_share_or_a_number(
    reserve: float, daily_limit: int | None, calls: int | None
) -> None:
    """A share of a quota that is not known is no number."""
    assert reserved_calls(reserve, daily_limit) == calls


def test_hubspot_is_read_down_to_the_reserve(sandbox: Sandbox, tmp_path: Path) -> None:
    """What was landed stays; a run with more calls reads the rest."""
    add_blank_records(sandbox, "contacts", 3_000)
    client, warehouse = hubspot_client(sandbox), ExtractHarness("hubspot", tmp_path)
    client.check_connection()
    reserve = (client.calls_remaining or 0) - 12

    with pytest.raises(PipelineStepFailed) as failed, client.keep_reserve(reserve):
        warehouse.extract(client, {"contacts": ("email",)}, checkpoint_rows=200)

    error = root_sync_error(failed.value)
    assert isinstance(error, QuotaError)
    assert f"{reserve:,} are kept for other programs (QUOTA__RESERVE)" in str(error)
    assert sandbox.hubspot.daily_limit - sandbox.hubspot.daily_used >= reserve - 8
    before = warehouse.count("contacts")
    warehouse.extract(client, {"contacts": ("email",)})
    assert (
        0 < before < warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)
    )


def test_salesforce_is_read_down_to_the_reserve(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its quota is that of the last 24 hours."""
    client, warehouse = salesforce_client(sandbox), ExtractHarness("salesforce", tmp_path)
    quota = {"limit": 1000, "used": 950}
    requests.post(f"{sandbox.url}/_sandbox/salesforce/quota", json=quota, timeout=5)
    client.check_connection()

    with pytest.raises(QuotaError), client.keep_reserve(0.1):
        warehouse.extract(client, {"Lead": ("Company",)})

    assert client.calls_remaining == 1000 - 950 - client.api_calls["read"]


def test_calls_for_associations_have_a_quota_of_their_own(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No header of HubSpot shows it: the run counts, and keeps the reserve."""
    monkeypatch.setattr(client_module, "ASSOCIATION_CALLS_PER_DAY", 4)
    monkeypatch.setattr(associations, "ASSOCIATION_LIMIT", 1)
    add_blank_records(sandbox, "deals", 4)
    ids = [str(deal.id) for deal in sandbox.hubspot.tables["deals"].live()]
    client = hubspot_client(sandbox)

    with client.keep_reserve(2), pytest.raises(QuotaError, match="4 calls a day for associations"):
        associations.associations_of(client, "deals", ids)

    assert count_calls(sandbox, "/batch/read") == 2
    client.check_connection()
