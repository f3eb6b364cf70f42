"""Unmodified third-party clients read from and write to the sandbox."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hubspot import HubSpot
from hubspot.crm import contacts, properties
from hubspot.crm.associations import v4 as associations
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from sandbox.server import Sandbox

PEOPLE = 160
NODE = Path(__file__).parent / "node"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_packages = pytest.mark.skipif(
    not (NODE / "node_modules").is_dir(),
    reason="jsforce and @hubspot/api-client are not installed: `make conformance` does it",
)


@pytest.fixture
def hubspot(box: Sandbox) -> HubSpot:
    """HubSpot's own client for Python, unmodified."""
    return HubSpot(access_token=box.hubspot_token, host=box.url)


@pytest.fixture
def salesforce(box: Sandbox) -> Iterator[Salesforce]:
    """The usual client for Python, unmodified; it only has https:// URLs."""
    with requests.Session() as session:
        session.mount("https://", PlainHttp())
        address = box.url.replace("http://", "https://")
        yield Salesforce(
            instance_url=address, session_id=box.salesforce_token, session=session, version="60.0"
        )


class PlainHttp(HTTPAdapter):
    """Replaces https:// by http://: the sandbox has no TLS."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send without TLS."""
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, **options)


def run(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script for Node and return its output."""
    done = subprocess.run(
        ["node", script, *arguments], cwd=NODE, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_hubspot_for_python_pages_through_everything(box: Sandbox, hubspot: HubSpot) -> None:
    """Its own loop over pages ends, and returns all live records."""
    found = hubspot.crm.contacts.get_all()

    live = list(box.hubspot.tables["contacts"].live())
    assert len(live) > 100
    assert [one.id for one in found] == [str(record.id) for record in live]


def test_hubspot_for_python_writes_and_reads_back(hubspot: HubSpot) -> None:
    """Create, change, find, link, archive."""
    api = hubspot.crm.contacts
    new = contacts.SimplePublicObjectInputForCreate(
        properties={"email": "conform@example.com", "lastname": "Conform"}, associations=[]
    )
    made = api.basic_api.create(simple_public_object_input_for_create=new)
    changes = [contacts.SimplePublicObjectBatchInput(id=made.id, properties={"firstname": "Ana"})]
    api.batch_api.update(contacts.BatchInputSimplePublicObjectBatchInput(inputs=changes))
    wanted = contacts.Filter(property_name="email", operator="EQ", value="conform@example.com")
    search = contacts.PublicObjectSearchRequest(
        filter_groups=[contacts.FilterGroup(filters=[wanted])], properties=["firstname"]
    )
    found = api.search_api.do_search(public_object_search_request=search)
    api.basic_api.archive(contact_id=made.id)
    in_archive = api.basic_api.get_page(archived=True, limit=100)

    assert [one.properties["firstname"] for one in found.results] == ["Ana"]
    assert made.id in [one.id for one in in_archive.results]


def test_hubspot_for_python_reads_catalog_and_associations(box: Sandbox, hubspot: HubSpot) -> None:
    """Properties, pipelines, owners and associations."""
    record = next(
        one
        for one in box.hubspot.tables["contacts"].live()
        if box.hubspot.associated("contacts", one.id, "companies")
    )
    body = associations.BatchInputPublicFetchAssociationsBatchRequest(
        inputs=[associations.PublicFetchAssociationsBatchRequest(id=str(record.id))]
    )
    links = hubspot.crm.associations.v4.batch_api.get_page(
        "contacts", "companies", batch_input_public_fetch_associations_batch_request=body
    )
    defined = hubspot.crm.properties.core_api.get_all("contacts").results
    hubspot.crm.properties.core_api.create(
        "contacts",
        properties.PropertyCreate(
            name="conformity",
            label="C",
            type="string",
            field_type="text",
            group_name="contactinformation",
        ),
    )
    stages = hubspot.crm.pipelines.pipelines_api.get_all("deals").results[0].stages

    assert len(links.results[0].to) == 1
    assert {"email", "lifecyclestage"} <= {one.name for one in defined}
    assert "closedwon" in {one.id for one in stages}
    assert hubspot.crm.owners.owners_api.get_page(limit=2).paging.next.after


def test_simple_salesforce_queries_and_describes(box: Sandbox, salesforce: Salesforce) -> None:
    """Pages are followed, parents nest, a describe lists the fields."""
    leads = list(salesforce.query_all_iter("SELECT Id, Owner.Name FROM Lead"))
    described = salesforce.Lead.describe()

    assert len(leads) == salesforce.query("SELECT COUNT() FROM Lead")["totalSize"]
    assert leads[0]["Owner"]["Name"]
    assert "LastName" in {one["name"] for one in described["fields"]}


def test_simple_salesforce_writes_and_reads_back(salesforce: Salesforce) -> None:
    """Create, change, read, delete."""
    made = salesforce.Lead.create({"LastName": "Conform", "Company": "Conform Ltd"})
    salesforce.Lead.update(made["id"], {"Title": "CFO"})
    read = salesforce.Lead.get(made["id"])
    salesforce.Lead.delete(made["id"])

    assert read["Title"] == "CFO"
    assert salesforce.query(f"SELECT Id FROM Lead WHERE Id = '{made['id']}'")["records"] == []


def test_simple_salesforce_reads_and_writes_in_bulk(salesforce: Salesforce) -> None:
    """Bulk 2.0: an ingest job of two rows, a query job that reads them."""
    rows = [{"LastName": f"Bulk {n}", "Company": "Conform Ltd"} for n in (1, 2)]
    done = salesforce.bulk2.Lead.insert(records=rows, wait=0)
    query = "SELECT LastName FROM Lead WHERE Company = 'Conform Ltd'"
    pages = list(salesforce.bulk2.Lead.query(query, wait=0))

    assert [job["numberRecordsFailed"] for job in done] == [0]
    assert sorted(pages[0].splitlines()) == ['"Bulk 1"', '"Bulk 2"', '"LastName"']


@needs_node
@needs_packages
def test_hubspot_for_node_reads_and_writes(box: Sandbox) -> None:
    """The official client for Node, unmodified."""
    output = run("hubspot.mjs", box.url, box.hubspot_token)

    assert output == {"paged": True, "found": ["Ana"], "upserted": True, "archived": True}


@needs_node
@needs_packages
def test_jsforce_reads_and_writes(box: Sandbox) -> None:
    """The usual client for Node, unmodified."""
    output = run("salesforce.mjs", box.url, box.salesforce_token)

    assert output == {
        "counted": True,
        "title": "CFO",
        "described": True,
        "collected": [True, True],
        "bulked": 2,
        "deleted": True,
    }
