"""Reading HubSpot: what a pull lands, what the next one costs."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from connector_helpers import ExtractHarness, hubspot_client, label_fault
from connectors import Client, connector, root_sync_error
from connectors.hubspot import activity_logs
from connectors.hubspot.source import STREAMS, Stream
from errors import AccessError, ConfigError, RetryableError
from models import Account, FieldSelection
from sandbox.faults import Fault
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.server import Sandbox

hubspot = connector("hubspot")
ENGAGEMENT = ("emails", "calls", "meetings", "notes", "tasks", "communications")
WANTED: FieldSelection = {
    "contacts": ("email", "lifecyclestage", "onefunnel_score"),
    "companies": ("name",),
    "deals": ("dealstage", "amount"),
    **dict.fromkeys(ENGAGEMENT, ("hs_timestamp",)),
    "form_submissions": ("email",),
    "email_events": ("recipient",),
    "page_views": ("url",),
    "contacts_history": ("lifecyclestage",),
}
CONTACTS: FieldSelection = {"contacts": ("email", "lifecyclestage")}


@pytest.fixture(params=[pytest.param("v3", marks=pytest.mark.long), "2026-09"])
def version(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The version of HubSpot's API that the test runs on; with a dated one no other answers."""
    is_dated = request.param != "v3"
    sandbox.hubspot.ended_versions = {"v3": 404, "v4": 410} if is_dated else {}
    return str(request.param)


@pytest.fixture
def client(sandbox: Sandbox, version: str) -> Client:
    return hubspot_client(sandbox, api_version=version)


@pytest.fixture
def warehouse(tmp_path: Path) -> ExtractHarness:
    return ExtractHarness("hubspot", tmp_path)


def contacts(sandbox: Sandbox, count: int) -> list[Record]:
    return list(sandbox.hubspot.tables["contacts"].live())[:count]


def write(store: HubSpotStore, *records: Record, **values: str) -> None:
    for record in records:
        store.write(store.tables["contacts"], record, values)


def add_contacts(store: HubSpotStore, count: int) -> None:
    for _ in range(count):
        store.create(store.tables["contacts"], {})


def add_email(store: HubSpotStore, *people: Record) -> int:
    email = store.create(store.tables["emails"], {})
    for person in people:
        store.associate("emails", email.id, "contacts", person.id)
    return email.id


def add_emails(store: HubSpotStore, contact: Record, count: int) -> None:
    for _ in range(count):
        add_email(store, contact)


def missing_scope(path: str, scope: str) -> Fault:
    problem = {"message": "", "context": {"requiredGranularScopes": [scope]}}
    body = {"status": "error", "category": "MISSING_SCOPES", "message": "", "errors": [problem]}
    return Fault(path=path, status=403, body=body)


def test_first_pull_lands_exactly_what_the_account_holds(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Live and archived contacts, every engagement, every event."""
    warehouse.extract(client, WANTED)

    store = sandbox.hubspot
    tables = {name: len(store.tables[name].records) for name in WANTED if name in store.tables}
    landed = {name: warehouse.count(name) for name in WANTED}
    assert landed | tables == landed
    assert landed["form_submissions"] == sum(map(len, store.submissions.values()))
    assert landed["email_events"] == len(store.email_events)
    assert landed["page_views"] == len(store.events["e_visited_page"])
    assert client.warnings == []
    assert not client.type_mismatches


def test_owners_lists_and_pipelines_are_landed_as_they_are(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """They are few and have no cursor: every pull reads all. Who left a list had been on it."""
    wanted: FieldSelection = {"owners": (), "list_memberships": (), "pipeline_stages": ()}
    store = sandbox.hubspot
    by_hand = store.lists["4"]
    by_hand.members = {record.id for record in contacts(sandbox, 300)}
    warehouse.extract(client, wanted)
    everybody = set(by_hand.members)
    by_hand.members.pop()
    del store.lists[next(id for id in store.lists if id != "4")]
    before = warehouse.count("list_memberships")

    warehouse.extract(client, wanted)

    assert warehouse.count("list_memberships") == before
    landed = warehouse.query("SELECT recordId FROM list_memberships WHERE listId = '4'")
    assert {int(id) for (id,) in landed} == everybody
    assert warehouse.count("owners") == len(store.owners)
    stages = warehouse.query("SELECT stageId FROM pipeline_stages WHERE object = 'contacts'")
    assert ("marketingqualifiedlead",) in stages


def test_engagement_is_landed_with_the_contacts_it_belongs_to(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Asked for inline on the first pull."""
    warehouse.extract(client, {"emails": ()})

    links = sandbox.hubspot.associations["emails", "contacts"]
    expected = sorted(
        (
            str(id),
            ";".join(
                sorted(str(one) for one in sandbox.hubspot.associated("emails", id, "contacts"))
            ),
        )
        for id in links
    )
    landed = warehouse.query(
        "SELECT id, associated_contacts FROM emails WHERE associated_contacts <> ''"
    )
    assert sorted(landed) == [row for row in expected if row[1]]


def test_new_engagement_is_landed_with_its_contacts_too(
    sandbox: Sandbox, client: Client, version: str, warehouse: ExtractHarness
) -> None:
    """A search shows none: they are asked for in one call; three look at fields and archive."""
    warehouse.extract(client, {"emails": ()})
    first, second = contacts(sandbox, 2)
    id = add_email(sandbox.hubspot, first, second)
    again = hubspot_client(sandbox, api_version=version)

    warehouse.extract(again, {"emails": ()})

    landed = warehouse.query(f"SELECT associated_contacts FROM emails WHERE id = '{id}'")
    assert landed == [(";".join(sorted([str(first.id), str(second.id)])),)]
    assert again.api_calls == {"read": 4, "search": 1}


def add_deal(store: HubSpotStore, contact: Record) -> Record:
    deal = store.create(store.tables["deals"], {})
    store.associate("deals", deal.id, "contacts", contact.id)
    return deal


LABELLED: FieldSelection = {"deals": ("dealstage", "contact_labels")}


def test_labels_of_links_are_landed_where_a_mapping_asks_for_them(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """A list does not have them: the associations are read, a thousand records per call."""
    (contact,) = contacts(sandbox, 1)
    deal = add_deal(sandbox.hubspot, contact)
    warehouse.extract(client, {"deals": ("dealstage",)})
    sandbox.faults.plan(label_fault(deal, contact, "Decision maker", "Champion"))

    warehouse.extract(client, LABELLED)

    landed = warehouse.query(f"SELECT contact_labels FROM deals WHERE id = '{deal.id}'")
    assert landed == [("Champion;Decision maker",)]
    assert warehouse.count("deals") == len(sandbox.hubspot.tables["deals"].records)


def test_a_label_that_was_changed_is_read_again(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """It moves no date of the deal: the proof compares it."""
    (contact,) = contacts(sandbox, 1)
    deal = add_deal(sandbox.hubspot, contact)
    warehouse.extract(client, LABELLED)
    while_it_is_read, by_the_proof, again = (), ("Champion",), ("Champion",)
    sandbox.faults.plan(label_fault(deal, contact, *while_it_is_read))
    sandbox.faults.plan(label_fault(deal, contact, *by_the_proof))
    sandbox.faults.plan(label_fault(deal, contact, *again))

    warehouse.extract(client, LABELLED, verify=True)

    landed = warehouse.query(f"SELECT contact_labels FROM deals WHERE id = '{deal.id}'")
    assert landed == [("Champion",)]
    assert warehouse.row_checks[0].reassociated == 1


def test_associations_are_asked_for_in_smaller_batches_where_it_must_be(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """HubSpot documents two limits: the greater one is tried first."""
    warehouse.extract(client, {"emails": ()})
    (contact,) = contacts(sandbox, 1)
    before = warehouse.count("emails")
    add_emails(sandbox.hubspot, contact, 150)
    too_many = {"status": "error", "category": "VALIDATION_ERROR", "message": ""}
    sandbox.faults.plan(Fault(path="/associations/", status=400, body=too_many))

    warehouse.extract(client, {"emails": ()})

    landed = f"SELECT count(*) FROM emails WHERE associated_contacts = '{contact.id}'"
    assert warehouse.count("emails") == before + 150
    assert warehouse.query(landed)[0][0] >= 150


def test_second_pull_lands_nothing_and_only_looks(
    sandbox: Sandbox, client: Client, version: str, warehouse: ExtractHarness
) -> None:
    """One search an object, a look at its fields, its first record and archive, one at each log."""
    warehouse.extract(client, WANTED)
    again = hubspot_client(sandbox, api_version=version)

    rows = warehouse.extract(again, WANTED)

    objects = 3 + len(ENGAGEMENT)  # contacts, companies and deals
    forms = 1 + len(sandbox.hubspot.forms)
    may_read_forms, email_events, page_views, changed_contacts = 1, 1, 1, 1
    assert rows == 0
    assert again.api_calls == {
        "search": objects + changed_contacts,
        "read": 3 * objects + may_read_forms + forms + email_events + page_views,
    }


def test_an_edit_is_picked_up(sandbox: Sandbox, client: Client, warehouse: ExtractHarness) -> None:
    """And nothing else is."""
    warehouse.extract(client, CONTACTS)
    (edited,) = contacts(sandbox, 1)
    write(sandbox.hubspot, edited, lifecyclestage="customer")

    rows = warehouse.extract(client, CONTACTS)

    assert rows == 1
    assert warehouse.query(f"SELECT lifecyclestage FROM contacts WHERE id = '{edited.id}'") == [
        ("customer",)
    ]


def test_a_field_that_is_newly_wanted_is_read_of_all_records(
    client: Client, warehouse: ExtractHarness
) -> None:
    """An increment alone would leave it empty in every old record."""
    first = warehouse.extract(client, CONTACTS)

    again = warehouse.extract(client, {"contacts": ("email", "lifecyclestage", "country")})

    assert again == first
    assert warehouse.query("SELECT count(*) FROM contacts WHERE country IS NOT NULL")[0][0] > 0


def test_an_archived_contact_is_picked_up(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """No search finds it: the archive is listed every time, and only what is new in it landed."""
    warehouse.extract(client, CONTACTS)
    (gone,) = contacts(sandbox, 1)
    sandbox.hubspot.archive(sandbox.hubspot.tables["contacts"], gone)

    rows = warehouse.extract(client, CONTACTS)

    assert rows == 1
    assert warehouse.query(f"SELECT archived FROM contacts WHERE id = '{gone.id}'") == [(True,)]


def test_submissions_of_an_archived_form_stay(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """HubSpot lists the form no more, so a full pull cannot read its submissions again."""
    warehouse.extract(client, {"form_submissions": ()})
    before = warehouse.count("form_submissions")
    form = next(iter(sandbox.hubspot.submissions))
    sandbox.hubspot.submissions.pop(form)
    sandbox.faults.plan(
        Fault(path="/marketing/v3/forms/", status=200, body={"results": []}, times=None)
    )

    warehouse.extract(client, {"form_submissions": ()}, full=True)

    assert warehouse.count("form_submissions") == before > 0


def add_form(sandbox: Sandbox, type: str, submissions: int) -> str:
    """Add a form of another type than HubSpot's own, with submissions."""
    store, id = sandbox.hubspot, f"00000000-{type}"
    known = next(iter(store.submissions))
    store.forms[id] = store.forms[known] | {"id": id, "formType": type}
    for number in range(submissions):
        entry = store.submissions[known].read(0)
        store.submissions[id].add(entry["submittedAt"], entry | {"conversionId": f"{id}-{number}"})
    store.submissions[id].pack()
    return id


def test_submissions_of_forms_of_every_type_are_landed(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """HubSpot lists captured and pop-up forms only when they are asked for."""
    ids = [add_form(sandbox, type, submissions=3) for type in ("captured", "flow", "blog_comment")]

    warehouse.extract(client, {"form_submissions": ()})

    for id in ids:
        rows = warehouse.query(f"SELECT count(*) FROM form_submissions WHERE formId = '{id}'")
        assert rows == [(3,)]


def test_a_type_of_form_whose_submissions_are_refused_is_reported(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Once per type; the submissions of all other forms are landed."""
    others = sum(map(len, sandbox.hubspot.submissions.values()))
    refused = add_form(sandbox, "blog_comment", submissions=3)
    sandbox.faults.plan(Fault(path=refused, status=400, body={"message": "no"}, times=None))

    warehouse.extract(client, {"form_submissions": ()})

    (warning,) = client.warnings
    assert "1 forms of type blog_comment" in warning
    assert client.failed_objects == {}
    assert warehouse.count("form_submissions") == others


def test_a_refusal_of_a_form_of_hubspots_own_stops_the_object(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """These submissions can be read: something else is wrong, and none must be missed."""
    form = next(iter(sandbox.hubspot.submissions))
    sandbox.faults.plan(Fault(path=form, status=400, body={"message": "no"}, times=None))

    warehouse.extract(client, {"form_submissions": ()})

    assert list(client.failed_objects) == ["form_submissions"]


def test_what_an_earlier_release_did_not_read_is_read_once(
    sandbox: Sandbox,
    client: Client,
    warehouse: ExtractHarness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Old submissions of captured forms are older than the cursor of the last pull."""
    captured = add_form(sandbox, "captured", submissions=3)
    with monkeypatch.context() as earlier:
        earlier.setattr(activity_logs, "FORM_TYPES", ("hubspot",))
        stream = replace(STREAMS["form_submissions"], also_reads=())
        earlier.setitem(cast(dict[str, Stream], STREAMS), "form_submissions", stream)
        warehouse.extract(client, {"form_submissions": ()})
    before = warehouse.count("form_submissions")

    rows = [warehouse.extract(client, {"form_submissions": ()}) for _ in range(2)]

    assert warehouse.count("form_submissions") == before + 3
    assert rows[0] >= before + 3 > rows[1]
    assert captured


def test_a_search_goes_on_behind_its_first_page(
    sandbox: Sandbox, client: Client, version: str, warehouse: ExtractHarness
) -> None:
    """By ids above the last one, so that no wall at 10,000 is ever reached."""
    warehouse.extract(client, CONTACTS)
    add_contacts(sandbox.hubspot, 401)
    again = hubspot_client(sandbox, api_version=version)

    rows = warehouse.extract(again, CONTACTS)

    assert rows == 401
    assert again.api_calls["search"] == 3


def test_an_archived_engagement_is_picked_up(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Its archive is listed every time as well."""
    warehouse.extract(client, {"emails": ()})
    gone = next(sandbox.hubspot.tables["emails"].live())
    sandbox.hubspot.archive(sandbox.hubspot.tables["emails"], gone)

    rows = warehouse.extract(client, {"emails": ()})

    assert rows == 1
    assert warehouse.query(f"SELECT archived FROM emails WHERE id = '{gone.id}'") == [(True,)]


def test_a_pull_that_broke_off_is_finished_by_the_next(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Its rows and its position are kept together, or not at all."""
    sandbox.faults.plan(Fault(path="/objects/contacts", status=503, after=1, times=None))
    with pytest.raises(PipelineStepFailed) as broken:
        warehouse.extract(client, CONTACTS)
    sandbox.faults.reset()

    warehouse.extract(client, CONTACTS)

    assert isinstance(root_sync_error(broken.value), RetryableError)
    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


def test_a_refused_question_stops_its_object_alone(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """There is no record to put aside; the others are read."""
    no = {"message": "no"}
    sandbox.faults.plan(Fault(path="/objects/contacts", status=400, body=no, times=None))

    warehouse.extract(client, CONTACTS | {"companies": ("name",)})

    assert list(client.failed_objects) == ["contacts"]
    assert warehouse.count("companies") == len(sandbox.hubspot.tables["companies"].records)


def test_history_of_a_changed_contact_is_landed(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Each value with its instant, by a batch read of those that changed."""
    wanted: FieldSelection = {"contacts_history": ("lifecyclestage",)}
    warehouse.extract(client, wanted)
    (edited,) = contacts(sandbox, 1)
    write(sandbox.hubspot, edited, lifecyclestage="customer")

    warehouse.extract(client, wanted)

    past = warehouse.query(
        f"SELECT value FROM contacts_history WHERE id = '{edited.id}' ORDER BY timestamp DESC"
    )
    assert past[0] == ("customer",)
    assert len(past) > 1


def test_a_product_the_account_lacks_is_a_finding(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """The table is there, empty, and the scope is named."""
    sandbox.faults.plan(missing_scope("/email/public/v1/events", "content"))

    warehouse.extract(client, {"email_events": ()})

    assert warehouse.query("SELECT count(*) FROM email_events") == [(0,)]
    assert "content" in client.warnings[0]


def test_all_missing_scopes_are_named_before_the_first_pull(
    sandbox: Sandbox, client: Client
) -> None:
    """Of reading fields, records and forms: to grant one at a time would take a day."""
    lacking = {"crm.schemas.deals.read", "crm.objects.companies.read", "forms"}
    sandbox.hubspot.denied_scopes = lacking

    with pytest.raises(AccessError) as denied:
        hubspot.catalog(client, WANTED)

    assert {scope for scope in lacking if f": {scope}" in str(denied.value)} == lacking


def test_a_field_the_account_lacks_is_refused_before_reading(client: Client) -> None:
    """The text names object and field."""
    catalog = hubspot.catalog(client, ["contacts"])

    with pytest.raises(ConfigError, match="shoe_size"):
        hubspot.source(client, {"contacts": ("shoe_size",)}, catalog)


def test_catalog_tells_types_options_and_what_cannot_be_written(client: Client) -> None:
    """As the property settings of the account say."""
    fields = hubspot.catalog(client, ["contacts"])["contacts"]

    assert fields["onefunnel_score"].type == "number"
    assert fields["onefunnel_stage_since"].type == "datetime"
    assert "SQL / prospect" in (fields["onefunnel_standing"].options or ())
    assert fields["email"].options is None
    assert not fields["hubspotscore"].writable


def test_a_token_without_account_details_works(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """A service key may lack the scope: that is no bad token, and the pull continues."""
    sandbox.hubspot.denied_scopes = {"oauth"}

    account = client.check_connection()
    warehouse.extract(client, CONTACTS)

    assert account == Account(None, "HubSpot account")
    assert "the token works, but account details are not granted" in client.warnings[0]
    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


def test_account_is_named(client: Client) -> None:
    """After a look whether contacts may be read."""
    assert client.check_connection() == Account("44237313", "HubSpot account 44237313")
