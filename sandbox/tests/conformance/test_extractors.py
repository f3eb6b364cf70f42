"""Unmodified third-party extractors discover and read all records."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import Sandbox

PEOPLE = 60
PEERS = Path(__file__).parent / "third_party"
SINCE = {"start_date": "2015-01-01T00:00:00Z"}
AT_ONCE = {"email_chunk_size": 10**12, "subscription_chunk_size": 10**12}
"""One window instead of one for each day."""


def extracted(
    peer: str, box: Sandbox, folder: Path, config: dict[str, Any], *, option: str = "--properties"
) -> Counter[str]:
    """Run a Singer tap: discovery, then a full extract. Return the records of each stream.

    `option` names the catalog on its command line.
    """
    program = next((PEERS / ".venv" / peer / "bin").glob("tap-*"), None)
    if program is None:
        pytest.skip(f"{peer} is not installed: `make conformance` does it")
    path, catalog = folder / "config.json", folder / "catalog.json"
    path.write_text(json.dumps(SINCE | config))
    environment = {**os.environ, "PYTHONPATH": str(PEERS), "ONEFUNNEL_SANDBOX": box.url}

    def output_of(*options: str) -> str:
        done = subprocess.run(
            [program, "--config", path, *options],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    streams = json.loads(output_of("--discover"))["streams"]
    everything = [entry["metadata"] for stream in streams for entry in stream["metadata"]]
    for one in everything:
        one["selected"] = one.get("inclusion") != "unsupported"
    catalog.write_text(json.dumps({"streams": streams}))
    messages = [json.loads(line) for line in output_of(option, str(catalog)).splitlines()]
    return Counter(one["stream"] for one in messages if one["type"] == "RECORD")


def live(box: Sandbox, name: str) -> int:
    """Return the number of live records of a HubSpot object."""
    return sum(1 for _ in box.hubspot.tables[name].live())


def test_singers_tap_for_hubspot_reads_everything(box: Sandbox, tmp_path: Path) -> None:
    """By today's API and by the older ones."""
    login = {"api_key": box.hubspot_token} | AT_ONCE
    found = extracted("tap-hubspot", box, tmp_path, login)
    engagement = ("emails", "calls", "meetings", "notes", "tasks")

    assert found["contacts"] == live(box, "contacts") > 20
    assert found["companies"] == live(box, "companies") > 5
    assert found["deals"] == live(box, "deals") > 0
    assert found["engagements"] == sum(live(box, name) for name in engagement)
    assert found["email_events"] == len(box.hubspot.email_events)
    assert found["form_submissions"] == sum(map(len, box.hubspot.submissions.values()))


def test_singers_tap_for_hubspot_renews_its_token(box: Sandbox, tmp_path: Path) -> None:
    """It has only a refresh token."""
    login = {
        "client_id": box.client_id,
        "client_secret": box.client_secret,
        "refresh_token": box.hubspot_refresh_token,
        "redirect_uri": "https://example.com",
    }
    found = extracted("tap-hubspot", box, tmp_path, login | AT_ONCE)

    assert found["contacts"] == live(box, "contacts")


def test_meltanos_tap_for_hubspot_reads_everything(box: Sandbox, tmp_path: Path) -> None:
    """By lists and searches."""
    login = {"access_token": box.hubspot_token}
    found = extracted("meltano-tap-hubspot", box, tmp_path, login, option="--catalog")
    kinds = ("contacts", "companies", "deals", "emails", "calls", "meetings", "tasks")

    assert {name: found[name] for name in kinds} == {name: live(box, name) for name in kinds}


@pytest.mark.parametrize("api", ["REST", "BULK"])
def test_singers_tap_for_salesforce_reads_everything(
    box: Sandbox, tmp_path: Path, api: str
) -> None:
    """By queryAll, and by jobs of Bulk API 1.0; it sees deleted rows, too."""
    login = {
        "client_id": box.client_id,
        "client_secret": box.client_secret,
        "refresh_token": box.salesforce.credentials.refresh_token,
        "api_type": api,
        "select_fields_by_default": True,
    }
    found = extracted("tap-salesforce", box, tmp_path, login)

    tables = box.salesforce.tables
    assert found == Counter({name: len(rows) for name, rows in tables.items() if rows})


def loaded(source: str, box: Sandbox, folder: Path, *credentials: str) -> dict[str, int]:
    """Run one of dlt's verified sources; return the number of rows of each table."""
    sources = PEERS / ".venv" / "dlt-verified-sources"
    if not (sources / "sources").is_dir():
        pytest.skip("dlt's verified sources were not fetched: `make conformance` does it")
    done = subprocess.run(
        [sys.executable, PEERS / "load_verified_source.py", source, *credentials],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": f"{PEERS}{os.pathsep}{sources}", "ONEFUNNEL_SANDBOX": box.url},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def test_dlts_verified_source_for_hubspot_loads_everything(box: Sandbox, tmp_path: Path) -> None:
    """With archived records, associations, and the history of properties."""
    found = loaded("hubspot", box, tmp_path, box.hubspot_token)
    tables = box.hubspot.tables
    kinds = ("contacts", "companies", "deals")

    assert {name: found[name] for name in kinds} == {
        name: sum(1 for _ in tables[name].records.all()) for name in kinds
    }
    assert found["owners"] == len(box.hubspot.owners)
    assert found["pipelines_deals"] == 1
    assert found["contacts_property_history"] > found["contacts"]


def test_dlts_verified_source_for_salesforce_loads_everything(box: Sandbox, tmp_path: Path) -> None:
    """By jobs of Bulk API 1.0 that see deleted rows, too; it logs in by SOAP."""
    user = box.salesforce.credentials
    login = (user.username, user.password, user.security_token)
    found = loaded("salesforce", box, tmp_path, *login)
    tables = {"lead": "Lead", "contact": "Contact", "account": "Account", "task": "Task"}

    assert {name: found[name] for name in tables} == {
        name: len(box.salesforce.tables[one]) for name, one in tables.items()
    }
