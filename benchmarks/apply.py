"""What writing costs in calls and time: both CRMs of the sandbox, with their limits on.

    python benchmarks/apply.py                   100,000 changes to each CRM, about four minutes
    python benchmarks/apply.py --changes 5000    fewer

The minimum is one call per full batch, 100 records in HubSpot and 200 in Salesforce. The calls that
look before writing are counted apart. HubSpot's speed is compared with the most that its limit
allows: to make all calls of a stretch at its very beginning.
"""

import argparse
import logging
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from connectors import Client, connector
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.salesforce.auth import Settings as SalesforceSettings
from models import FieldChange, RecordChange
from sandbox.hubspot.auth_limits import BURST, BURST_SECONDS
from sandbox.server import Sandbox, running

BATCH = {"hubspot": 100, "salesforce": 200}
FIELD = {"hubspot": "onefunnel_score", "salesforce": "onefunnel_score__c"}
OBJECT = {"hubspot": "contacts", "salesforce": "Lead"}


class Repeats(logging.Handler):
    """Counts the calls that had to be made again."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.count += record.getMessage().startswith("api.retry")


def contacts(sandbox: Sandbox, count: int) -> Iterator[str]:
    """Make contacts in HubSpot and give their ids."""
    store = sandbox.hubspot
    for _ in range(count):
        yield str(store.create(store.tables["contacts"], {}).id)


def leads(sandbox: Sandbox, count: int) -> Iterator[str]:
    """Make leads in Salesforce and give their ids."""
    store = sandbox.salesforce
    stamp = store.stamp()
    for _ in range(count):
        id = store.new_id("00Q")
        row = {"Id": id, "LastName": "L", "Company": "C", "IsDeleted": False}
        store.put("Lead", row | {"CreatedDate": stamp, "SystemModstamp": stamp})
        yield id


def connected(sandbox: Sandbox, crm: str) -> Client:
    """Log in to one CRM."""
    if crm == "hubspot":
        settings = HubSpotSettings(access_token=sandbox.hubspot_token, base_url=sandbox.url)
        return connector(crm).connect(settings)
    salesforce = SalesforceSettings(
        instance_url=sandbox.url,
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
    )
    return connector(crm).connect(salesforce)


def written(crm: str, client: Client, ids: Iterator[str]) -> tuple[Counter[str], float]:
    """Write one field of every record; give the outcomes and the seconds it took."""
    object, field = OBJECT[crm], FIELD[crm]
    catalog = connector(crm).catalog(client, [object])
    client.api_calls.clear()
    changes = [RecordChange(object, id, (FieldChange(field, None, "64"),)) for id in ids]
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    for batch in connector(crm).write(client, changes, catalog):
        outcomes.update(one.status for one in batch)
    return outcomes, time.monotonic() - began


def main(count: int) -> int:
    """Write, print, and give 1 where a record was not written."""
    console = Console(width=100)
    table = Table("", "written", "calls to write", "minimum", "calls to look", "seconds")
    ratios, lost = [], 0
    repeats = Repeats()
    logging.getLogger("onefunnel").addHandler(repeats)
    logging.getLogger("onefunnel").setLevel(logging.INFO)
    with running(people=20, seed=1) as sandbox:
        for crm, make in (("hubspot", contacts), ("salesforce", leads)):
            client = connected(sandbox, crm)
            outcomes, seconds = written(crm, client, make(sandbox, count))
            least = math.ceil(count / BATCH[crm])
            writes, looks = client.api_calls["write"], client.api_calls["read"]
            ratios.append(writes / least)
            lost += count - outcomes["written"]
            figures = (outcomes["written"], writes, least, looks, round(seconds))
            table.add_row(crm, *(f"{figure:,}" for figure in figures))
            if crm == "hubspot":
                calls = writes + looks
                speed = (math.ceil(calls / BURST) - 1) * BURST_SECONDS / seconds
                refused = repeats.count / calls
    console.print(table)
    console.print(
        f"HubSpot: {speed:.1%} of the speed allowed, {refused:.2%} of calls refused (429)"
    )
    console.print(f"ratio: {max(ratios):.2f}")
    return 1 if lost else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=100_000)
    sys.exit(main(parser.parse_args().changes))
