"""The HubSpot API, called by HubSpot's own client and by plain requests."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
import requests
from hubspot import HubSpot
from hubspot.crm.associations.v4 import BatchInputPublicFetchAssociationsBatchRequest
from hubspot.crm.contacts import (
    ApiException,
    BatchInputSimplePublicObjectBatchInput,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
)

from sandbox.faults import Fault
from sandbox.hubspot.store import Record
from sandbox.seed.people import make_people
from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONTACTS = "/crm/v3/objects/contacts"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One server for the whole file; each test changes its own records only."""
    with running(people=150, seed=11, now=NOW, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def box(server: Sandbox) -> Iterator[Sandbox]:
    """The server without faults and with its default settings."""
    server.faults.reset()
    yield server
    server.faults.reset()
    server.hubspot.denied_scopes = set()
    server.hubspot.index_lag_seconds = 0.0
    server.hubspot.rate_limits = False
    server.hubspot.daily_used = 0


@pytest.fixture
def client(box: Sandbox) -> HubSpot:
    """HubSpot's own client, unmodified, pointed at the sandbox."""
    return HubSpot(access_token=box.hubspot_token, host=box.url)


class Http(requests.Session):
    """A session that knows where the sandbox is and how to log in."""

    def __init__(self, box: Sandbox, token: str | None = None) -> None:
        """Log in to one sandbox."""
        super().__init__()
        self.url = box.url
        self.headers["Authorization"] = f"Bearer {token or box.hubspot_token}"

    def request(self, method: str, url: str, *args: Any, **more: Any) -> requests.Response:  # type: ignore[override]
        """Ask for a path of the sandbox."""
        return super().request(method, self.url + url, *args, **more)


@pytest.fixture
def http(box: Sandbox) -> Iterator[Http]:
    """Plain requests, for details that a client library hides."""
    with Http(box) as session:
        yield session


@pytest.fixture
def contact(http: Http) -> Iterator[str]:
    """The id of a contact that only this test uses."""
    made = http.post(CONTACTS, json={"properties": {"firstname": "Anna"}}).json()["id"]
    yield made
    http.delete(f"{CONTACTS}/{made}")


def ids_of(answer: requests.Response) -> list[str]:
    """Return the ids of the results of a response."""
    return [result["id"] for result in answer.json()["results"]]


def codes_of(answer: requests.Response) -> list[str]:
    """Return the error codes of a failed write."""
    return [error["code"] for error in answer.json()["errors"]]


class TestPeople:
    """The generated people."""

    def test_the_same_seed_gives_equal_people(self) -> None:
        """Count, seed and now determine everything."""
        assert make_people(40, 3, NOW) == make_people(40, 3, NOW)

    def test_a_person_does_not_depend_on_the_number_of_people(self) -> None:
        """Person 7 is the same with 20 people as with 2,000."""
        assert make_people(60, 3, NOW)[:20] == make_people(20, 3, NOW)

    def test_another_seed_gives_other_people(self) -> None:
        """The seed decides."""
        assert make_people(5, 3, NOW) != make_people(5, 4, NOW)

    def test_events_are_ordered_between_creation_and_now(self) -> None:
        """Ascending, within the two years before now, in whole milliseconds."""
        people = make_people(200, 3, NOW)

        moments = [
            [person.created_at, *(entry.at for entry in person.events), NOW] for person in people
        ]
        assert moments == [sorted(each) for each in moments]
        assert {at.microsecond % 1000 for each in moments for at in each} == {0}

    def test_mail_between_people_has_a_message_id_and_mailings_have_none(self) -> None:
        """Two CRMs match the same mail by its Message-ID."""
        entries = [entry for person in make_people(300, 3, NOW) for entry in person.events]

        assert all(entry.message_id for entry in entries if entry.kind == "email_reply")
        assert not any(entry.message_id for entry in entries if entry.detail.startswith("Mailing"))

    def test_only_events_in_both_crms_are_skewed(self) -> None:
        """The skew is the difference between the CRMs."""
        entries = [entry for person in make_people(300, 3, NOW) for entry in person.events]

        assert {entry.crm for entry in entries if entry.skew_seconds} == {"both"}


class TestReading:
    """Lists, single records, batches."""

    def test_the_client_pages_through_every_live_contact_once(
        self, client: HubSpot, box: Sandbox
    ) -> None:
        """Pages ascend by id, and the last one has no paging."""
        contacts = client.crm.contacts.get_all()

        found = [int(each.id) for each in contacts]
        records = box.hubspot.tables["contacts"].records.values()
        assert found == sorted(record.id for record in records if record.archived_at is None)

    def test_the_last_page_has_no_paging_key(self, http: Http) -> None:
        """Absent, not null."""
        answer = http.get(f"{CONTACTS}?limit=100&after=999999")

        assert answer.json() == {"results": []}

    def test_the_link_of_the_next_page_has_the_host_of_the_sandbox(
        self, http: Http, box: Sandbox
    ) -> None:
        """Some clients follow the link instead of the cursor."""
        first = http.get(f"{CONTACTS}?limit=2&properties=email").json()
        link = first["paging"]["next"]["link"]

        second = http.get(link.removeprefix(box.url))
        assert ids_of(second)[0] > first["results"][-1]["id"]
        assert link.startswith(box.url)

    def test_a_contact_has_six_properties_by_default(self, http: Http) -> None:
        """Those of a list without `properties`."""
        returned = http.get(f"{CONTACTS}?limit=1").json()["results"][0]["properties"]

        assert set(returned) == {
            "createdate",
            "email",
            "firstname",
            "hs_object_id",
            "lastmodifieddate",
            "lastname",
        }

    def test_a_read_ignores_unknown_properties(self, http: Http) -> None:
        """A write does not."""
        answer = http.get(f"{CONTACTS}?limit=1&properties=email,nonsense").json()

        assert set(answer["results"][0]["properties"]) == {
            "createdate",
            "email",
            "hs_object_id",
            "lastmodifieddate",
        }

    def test_every_value_is_text_or_null(self, http: Http) -> None:
        """Numbers and booleans too."""
        names = "numberofemployees,hs_email_optout,bant_budget,createdate,onefunnel_score"
        results = http.get(f"{CONTACTS}?limit=100&properties={names}").json()["results"]

        types = {type(value) for each in results for value in each["properties"].values()}
        assert types == {str, type(None)}

    def test_times_have_no_zero_milliseconds(self, http: Http) -> None:
        """A parser that requires a fraction fails here."""
        results = http.get("/crm/v3/objects/meetings?limit=100&properties=hs_timestamp").json()

        assert {len(each["properties"]["hs_timestamp"]) for each in results["results"]} == {20}

    @pytest.mark.parametrize("spelling", ["contacts", "CONTACT", "Contact", "0-1"])
    def test_an_object_type_has_many_names(self, http: Http, spelling: str) -> None:
        """Name, singular, any case, type id."""
        assert http.get(f"/crm/v3/objects/{spelling}?limit=1").status_code == 200

    def test_the_error_of_an_unknown_object_type_has_no_category(self, http: Http) -> None:
        """Every key of an error but the message may be missing."""
        answer = http.get("/crm/v3/objects/butterflies")

        assert answer.status_code == 400
        assert answer.json()["message"] == "Unable to infer object type from: butterflies"
        assert "category" not in answer.json()

    def test_a_list_carries_associations_inline(self, http: Http) -> None:
        """Each with the name of its type."""
        results = http.get("/crm/v3/objects/emails?limit=1&associations=contacts").json()["results"]

        link = results[0]["associations"]["contacts"]["results"][0]
        assert link["type"] == "email_to_contact"

    @pytest.mark.parametrize(
        ("query", "most"), [("", 100), ("&propertiesWithHistory=lifecyclestage", 50)]
    )
    def test_a_page_is_limited(self, http: Http, query: str, most: int) -> None:
        """History halves the page."""
        assert http.get(f"{CONTACTS}?limit={most}{query}").status_code == 200
        assert http.get(f"{CONTACTS}?limit={most + 1}{query}").status_code == 400

    def test_archived_contacts_have_their_own_list(self, http: Http) -> None:
        """With `archivedAt`; other lists leave them out."""
        archived = http.get(f"{CONTACTS}?archived=true&limit=100").json()["results"]

        assert archived
        assert all("archivedAt" in each for each in archived)
        assert http.get(f"{CONTACTS}/{archived[0]['id']}").status_code == 404

    def test_an_unknown_record_returns_html(self, http: Http) -> None:
        """A client that parses it as JSON fails."""
        answer = http.get(f"{CONTACTS}/7")

        assert answer.status_code == 404
        assert answer.headers["content-type"] == "text/html;charset=iso-8859-1"

    def test_a_contact_is_found_by_its_address_in_any_case(self, http: Http, contact: str) -> None:
        """Addresses are case-insensitive."""
        http.patch(f"{CONTACTS}/{contact}", json={"properties": {"email": "Anna@one.example"}})

        found = http.get(f"{CONTACTS}/anna@ONE.example?idProperty=email").json()
        assert found["id"] == contact

    def test_batch_read_returns_another_order_and_names_unknown_ids(
        self, client: HubSpot, http: Http
    ) -> None:
        """Join by id; 207 for an unknown id."""
        ids = ids_of(http.get(f"{CONTACTS}?limit=3"))
        inputs = [{"id": id} for id in [*ids, "7"]]
        body = BatchReadInputSimplePublicObjectId(
            inputs=inputs, properties=["email"], properties_with_history=[]
        )
        answer = client.crm.contacts.batch_api.read(body)

        assert [each.id for each in answer.results] == ids[::-1]
        assert answer.errors[0].context == {"ids": ["7"]}

    def test_history_is_newest_first(self, http: Http) -> None:
        """A lifecycle definition reads since when a value is set."""
        query = "propertiesWithHistory=lifecyclestage&limit=50"
        results = http.get(f"{CONTACTS}?{query}").json()["results"]

        histories = [
            each["propertiesWithHistory"]["lifecyclestage"]
            for each in results
            if each["properties"]["lifecyclestage"]
        ]
        assert max(map(len, histories)) > 1
        assert all(
            history == sorted(history, key=lambda entry: entry["timestamp"], reverse=True)
            for history in histories
        )


class TestSearch:
    """Filters, paging and the limit of 10,000."""

    def test_the_client_searches_by_modification_date(self, client: HubSpot) -> None:
        """The cursor of an incremental load."""
        every = client.crm.contacts.get_all(properties=["lastmodifieddate"])
        stamps = sorted(each.properties["lastmodifieddate"] for each in every)
        since = stamps[len(stamps) // 2]
        request = PublicObjectSearchRequest(
            filter_groups=[
                {
                    "filters": [
                        {"propertyName": "lastmodifieddate", "operator": "GTE", "value": since}
                    ]
                }
            ],
            sorts=[{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
            limit=200,
        )
        found = client.crm.contacts.search_api.do_search(request)

        assert [each.properties["lastmodifieddate"] for each in found.results] == stamps[
            len(stamps) // 2 :
        ]

    @pytest.mark.parametrize(
        ("operator", "more", "found"),
        [
            pytest.param("EQ", {"value": "50"}, ["b"], id="equal"),
            pytest.param("NEQ", {"value": "50"}, ["a", "c", "d"], id="not equal: empty counts"),
            pytest.param("LT", {"value": "50"}, ["a"], id="less, as numbers"),
            pytest.param("GTE", {"value": 50}, ["b", "c"], id="at least, as numbers"),
            pytest.param("BETWEEN", {"value": 9, "highValue": 50}, ["a", "b"], id="between"),
            pytest.param("IN", {"values": ["9", "100"]}, ["a", "c"], id="in"),
            pytest.param("NOT_IN", {"values": ["9", "100"]}, ["b", "d"], id="not in"),
            pytest.param("HAS_PROPERTY", {}, ["a", "b", "c"], id="has"),
            pytest.param("NOT_HAS_PROPERTY", {}, ["d"], id="has not"),
        ],
    )
    def test_an_operator_compares_by_the_type_of_the_property(
        self, http: Http, operator: str, more: dict[str, Any], found: list[str]
    ) -> None:
        """Numbers as numbers: 9 is less than 50."""
        made = [("a", "9"), ("b", "50"), ("c", "100"), ("d", "")]
        inputs = [
            {"properties": {"name": name, "domain": "search.example", "numberofemployees": count}}
            for name, count in made
        ]
        created = ids_of(
            http.post("/crm/v3/objects/companies/batch/create", json={"inputs": inputs})
        )
        filters = [
            {"propertyName": "domain", "operator": "EQ", "value": "SEARCH.example"},
            {"propertyName": "numberofemployees", "operator": operator, **more},
        ]
        sorts = [{"propertyName": "name", "direction": "ASCENDING"}]
        body = {"filterGroups": [{"filters": filters}], "sorts": sorts, "properties": ["name"]}
        answer = http.post("/crm/v3/objects/companies/search", json=body).json()
        archive = {"inputs": [{"id": id} for id in created]}
        http.post("/crm/v3/objects/companies/batch/archive", json=archive)

        assert [each["properties"]["name"] for each in answer["results"]] == found

    def test_records_are_found_by_their_associations(self, http: Http, box: Sandbox) -> None:
        """The pseudo-property `associations.contact`."""
        links = box.hubspot.associations["calls", "contacts"]
        call, (contact, *_) = next(iter(links.items()))
        own = {"propertyName": "associations.contact", "operator": "EQ", "value": str(contact)}
        answer = http.post(
            "/crm/v3/objects/calls/search", json={"filters": [own], "limit": "200", "after": "0"}
        )

        assert str(call) in ids_of(answer)

    def test_a_search_page_has_a_cursor_and_no_link(self, http: Http) -> None:
        """Unlike a list."""
        answer = http.post(f"{CONTACTS}/search", json={"limit": 2}).json()

        assert answer["paging"] == {"next": {"after": "2"}}

    def test_a_search_ends_after_ten_thousand_records(self, http: Http) -> None:
        """For every page size."""
        answer = http.post(f"{CONTACTS}/search", json={"limit": 1, "after": "10000"})

        assert answer.status_code == 400

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"limit": 201}, id="page above 200"),
            pytest.param({"filterGroups": [{"filters": []}] * 6}, id="six groups"),
            pytest.param({"query": "x" * 3000}, id="body above 3,000 characters"),
            pytest.param(
                {"filters": [{"propertyName": "nonsense", "operator": "EQ", "value": "1"}]},
                id="unknown property",
            ),
            pytest.param(
                {"filters": [{"propertyName": "email", "operator": "LIKE", "value": "1"}]},
                id="unknown operator",
            ),
        ],
    )
    def test_a_search_over_the_limits_is_an_error(self, http: Http, body: dict[str, Any]) -> None:
        """The documented limits."""
        assert http.post(f"{CONTACTS}/search", json=body).status_code == 400

    def test_the_search_index_can_lag(self, http: Http, box: Sandbox) -> None:
        """The total counts a new contact before the results have it."""
        box.hubspot.index_lag_seconds = 60
        made = http.post(CONTACTS, json={"properties": {"jobtitle": "Lagging"}}).json()["id"]
        wanted = {"propertyName": "jobtitle", "operator": "EQ", "value": "lagging"}
        answer = http.post(f"{CONTACTS}/search", json={"filters": [wanted]}).json()
        http.delete(f"{CONTACTS}/{made}")

        assert (answer["total"], answer["results"]) == (1, [])


class TestWriting:
    """Batches, errors, and HubSpot's own changes."""

    def test_the_client_updates_a_batch(self, client: HubSpot, contact: str) -> None:
        """The response has the sent values and some system properties."""
        body = BatchInputSimplePublicObjectBatchInput(
            inputs=[{"id": contact, "properties": {"onefunnel_score": 64, "bant_need": "Data"}}]
        )
        answer = client.crm.contacts.batch_api.update(body)

        assert answer.results[0].properties["onefunnel_score"] == "64"
        assert "firstname" not in answer.results[0].properties

    def test_an_unknown_id_is_an_error_entry(self, http: Http, contact: str) -> None:
        """207: the other record is written."""
        inputs = [{"id": id, "properties": {"bant_need": "Speed"}} for id in (contact, "7")]
        answer = http.post(f"{CONTACTS}/batch/update", json={"inputs": inputs})

        assert answer.status_code == 207
        assert ids_of(answer) == [contact]
        assert answer.json()["errors"][0]["context"] == {"ids": ["7"]}

    @pytest.mark.parametrize(
        ("properties", "code"),
        [
            ({"nonsense": "1"}, "PROPERTY_DOESNT_EXIST"),
            ({"onefunnel_standing": "Lead"}, "INVALID_OPTION"),
            ({"onefunnel_score": "many"}, "INVALID_LONG"),
            ({"onefunnel_stage_since": "yesterday"}, "INVALID_DATE"),
            ({"bant_timeline": "2026-03-01T12:00:00Z"}, "INVALID_DATE"),
            ({"hubspotscore": "3"}, "READ_ONLY_VALUE"),
            ({"email": "unknown"}, "INVALID_EMAIL"),
        ],
    )
    def test_one_invalid_value_fails_the_whole_batch(
        self, http: Http, contact: str, properties: dict[str, str], code: str
    ) -> None:
        """Nothing is written, and the error has no record id."""
        inputs = [
            {"id": contact, "properties": {"bant_need": "kept out"}},
            {"id": "51", "properties": properties},
        ]
        answer = http.post(f"{CONTACTS}/batch/update", json={"inputs": inputs})
        kept = http.get(f"{CONTACTS}/{contact}?properties=bant_need").json()

        assert answer.status_code == 400
        assert codes_of(answer) == [code]
        assert kept["properties"]["bant_need"] is None

    def test_a_repeated_id_fails_the_batch(self, http: Http, contact: str) -> None:
        """Ids must be unique."""
        inputs = [{"id": contact, "properties": {}}] * 2
        answer = http.post(f"{CONTACTS}/batch/update", json={"inputs": inputs})

        assert answer.status_code == 400
        assert answer.json()["context"] == {"ids": [contact]}

    def test_a_batch_has_at_most_a_hundred_inputs(self, http: Http) -> None:
        """One more is an error."""
        inputs = [{"id": str(number), "properties": {}} for number in range(101)]

        assert http.post(f"{CONTACTS}/batch/update", json={"inputs": inputs}).status_code == 400

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ({"bant_timeline": "1772323200000"}, "2026-03-01"),
            ({"onefunnel_stage_since": "1772323200001"}, "2026-03-01T00:00:00.001Z"),
            ({"onefunnel_stage_since": "2026-03-01T02:00:00+02:00"}, "2026-03-01T00:00:00Z"),
            ({"hs_email_optout": True}, "true"),
            ({"onefunnel_score": 12.5}, "12.5"),
            ({"bant_need": "  spaces stay in text "}, "  spaces stay in text "),
            ({"bant_need": ""}, None),
            ({"bant_need": None}, None),
        ],
    )
    def test_a_value_is_stored_as_text_of_its_type(
        self, http: Http, contact: str, sent: dict[str, Any], kept: str | None
    ) -> None:
        """From epoch milliseconds, ISO, numbers and booleans."""
        (name,) = sent
        http.patch(f"{CONTACTS}/{contact}", json={"properties": sent})

        read = http.get(f"{CONTACTS}/{contact}?properties={name}").json()
        assert read["properties"][name] == kept

    def test_a_write_changes_the_modification_date_and_the_history(
        self, http: Http, contact: str
    ) -> None:
        """An incremental extract depends on it."""
        before = http.get(f"{CONTACTS}/{contact}").json()["updatedAt"]
        http.patch(f"{CONTACTS}/{contact}", json={"properties": {"bant_need": "one"}})
        http.patch(f"{CONTACTS}/{contact}", json={"properties": {"bant_need": ""}})
        after = http.get(f"{CONTACTS}/{contact}?propertiesWithHistory=bant_need").json()

        assert after["updatedAt"] > before
        assert [entry["value"] for entry in after["propertiesWithHistory"]["bant_need"]] == [
            "",
            "one",
        ]

    def test_a_stage_does_not_move_back(self, http: Http, contact: str) -> None:
        """The response is a success with the sent value, and nothing changes."""
        customer = {"properties": {"lifecyclestage": "customer"}}
        lead = {"properties": {"lifecyclestage": "lead"}}
        http.patch(f"{CONTACTS}/{contact}", json=customer)
        answer = http.patch(f"{CONTACTS}/{contact}", json=lead)
        kept = http.get(f"{CONTACTS}/{contact}?properties=lifecyclestage").json()

        assert (answer.status_code, answer.json()["properties"]["lifecyclestage"]) == (200, "lead")
        assert kept["properties"]["lifecyclestage"] == "customer"

    def test_a_cleared_stage_can_be_set_again(self, http: Http, contact: str) -> None:
        """The way back: clear it, then set it, in two requests."""
        for stage in ("customer", "", "lead"):
            body = {"properties": {"lifecyclestage": stage}}
            assert http.patch(f"{CONTACTS}/{contact}", json=body).status_code == 200

        kept = http.get(f"{CONTACTS}/{contact}?properties=lifecyclestage").json()
        assert kept["properties"]["lifecyclestage"] == "lead"

    def test_a_new_contact_is_a_lead(self, http: Http) -> None:
        """The default stage; its date is written in epoch milliseconds."""
        answer = http.post(CONTACTS, json={"properties": {"email": "new@two.example"}})
        http.delete(f"{CONTACTS}/{answer.json()['id']}")

        assert answer.status_code == 201
        assert answer.headers["location"].endswith(f"/contacts/{answer.json()['id']}")
        assert answer.json()["properties"]["lifecyclestage"] == "lead"
        assert answer.json()["properties"]["hs_lifecyclestage_lead_date"].isdecimal()

    def test_an_existing_address_is_a_conflict(self, http: Http, contact: str) -> None:
        """The error names the contact that has it."""
        properties = {"properties": {"email": "accepted@three.example"}}
        http.patch(f"{CONTACTS}/{contact}", json=properties)
        answer = http.post(CONTACTS, json=properties)

        assert answer.status_code == 409
        assert answer.json()["message"] == f"Contact already exists. Existing ID: {contact}"

    def test_a_batch_of_new_contacts_names_the_inputs_in_conflict(
        self, http: Http, contact: str
    ) -> None:
        """By their trace id, in a 207."""
        http.patch(f"{CONTACTS}/{contact}", json={"properties": {"email": "old@four.example"}})
        inputs = [
            {"properties": {"email": "old@four.example"}, "objectWriteTraceId": "0"},
            {"properties": {"email": "new@four.example"}, "objectWriteTraceId": "1"},
        ]
        answer = http.post(f"{CONTACTS}/batch/create", json={"inputs": inputs})
        http.delete(f"{CONTACTS}/{ids_of(answer)[0]}")

        assert answer.status_code == 207
        assert answer.json()["errors"][0]["context"] == {
            "existingId": [contact],
            "objectWriteTraceId": ["0"],
        }

    def test_archiving_twice_succeeds_twice(self, http: Http, contact: str) -> None:
        """204 both times; only the archive has the record then."""
        answers = [http.delete(f"{CONTACTS}/{contact}").status_code for _ in range(2)]

        assert answers == [204, 204]
        assert http.get(f"{CONTACTS}/{contact}?archived=true").json()["archived"] is True

    def test_a_merge_creates_a_record_that_old_ids_return(self, http: Http) -> None:
        """Two requested ids may return one record, with a third id."""
        old = [
            http.post(CONTACTS, json={"properties": {"email": f"{name}@five.example"}}).json()["id"]
            for name in ("first", "second")
        ]
        merged = http.post(
            f"{CONTACTS}/merge", json={"primaryObjectId": old[0], "objectIdToMerge": old[1]}
        ).json()
        names = ["hs_merged_object_ids", "hs_additional_emails"]
        read = http.post(
            f"{CONTACTS}/batch/read",
            json={"inputs": [{"id": id} for id in old], "properties": names},
        )
        http.post(f"{CONTACTS}/gdpr-delete", json={"objectId": merged["id"]})

        assert ids_of(read) == [merged["id"]]
        assert merged["id"] not in old
        properties = read.json()["results"][0]["properties"]
        assert properties["hs_merged_object_ids"] == ";".join(old)
        assert properties["hs_additional_emails"] == "second@five.example"

    def test_old_merged_ids_return_the_survivor(self, http: Http, box: Sandbox) -> None:
        """The generated data has merges."""
        table = box.hubspot.tables["contacts"]
        old, new = next(
            (old, new)
            for old, new in table.merged_into.items()
            if new in table.records and table.records[new].archived_at is None
        )

        assert http.get(f"{CONTACTS}/{old}").json()["id"] == str(new)

    def test_an_erased_contact_is_not_in_the_archive(self, http: Http, contact: str) -> None:
        """No endpoint returns it."""
        answer = http.post(f"{CONTACTS}/gdpr-delete", json={"objectId": contact})

        assert answer.status_code == 204
        assert http.get(f"{CONTACTS}/{contact}?archived=true").status_code == 404


class TestAssociations:
    """Associations."""

    def test_a_record_without_associations_is_an_error_entry(
        self, client: HubSpot, box: Sandbox, contact: str
    ) -> None:
        """This is normal, and makes the response a 207."""
        links = box.hubspot.associations["contacts", "companies"]
        linked, (company, *_) = next(iter(links.items()))
        body = BatchInputPublicFetchAssociationsBatchRequest(
            inputs=[{"id": str(linked)}, {"id": contact}]
        )
        answer = client.crm.associations.v4.batch_api.get_page("contacts", "companies", body)

        assert answer.results[0].to[0].to_object_id == str(company)
        assert answer.errors[0].sub_category == "crm.associations.NO_ASSOCIATIONS_FOUND"
        assert answer.errors[0].context["fromObjectId"] == [contact]

    def test_ids_in_associations_are_numbers(self, http: Http, box: Sandbox) -> None:
        """In other responses they are text."""
        deal = next(iter(box.hubspot.tables["deals"].records))
        answer = http.get(f"/crm/v4/objects/deals/{deal}/associations/contacts").json()

        assert isinstance(answer["results"][0]["toObjectId"], int)

    def test_associations_are_created_and_removed(
        self, http: Http, box: Sandbox, contact: str
    ) -> None:
        """An unknown id is an error entry."""
        company = str(next(iter(box.hubspot.tables["companies"].records)))
        path = "/crm/v4/associations/contacts/companies/batch"
        pair = {"from": {"id": contact}, "to": {"id": company}, "types": []}
        unknown_pair = pair | {"from": {"id": "7"}}
        made = http.post(f"{path}/create", json={"inputs": [pair, unknown_pair]})
        removed = http.post(
            f"{path}/archive", json={"inputs": [{"from": {"id": contact}, "to": [{"id": company}]}]}
        )

        assert (made.status_code, removed.status_code) == (207, 204)
        assert made.json()["errors"][0]["message"] == "CONTACT=7 is not valid"

    def test_labels_have_the_type_ids(self, http: Http) -> None:
        """A client need not hard-code them."""
        answer = http.get("/crm/v4/associations/contacts/companies/labels").json()

        assert [each["typeId"] for each in answer["results"]] == [1, 279]


class TestLogs:
    """Forms, marketing e-mail, page views."""

    def test_submissions_are_newest_first_and_have_an_address(self, http: Http) -> None:
        """There is no filter by date: a reader stops at a accepted submission."""
        forms = http.get("/marketing/v3/forms/?limit=100").json()["results"]
        guid = next(form["id"] for form in forms if form["name"] == "White paper")
        answer = http.get(f"/form-integrations/v1/submissions/forms/{guid}?limit=50").json()

        stamps = [each["submittedAt"] for each in answer["results"]]
        assert stamps == sorted(stamps, reverse=True)
        assert all(each["values"][0]["name"] == "email" for each in answer["results"])

    def test_email_events_page_through_a_closed_window(self, http: Http, box: Sandbox) -> None:
        """The window includes both ends; the offset continues it."""
        stamps = sorted(event["created"] for event in box.hubspot.email_events)
        since, until = stamps[10], stamps[-10]
        path = f"/email/public/v1/events?limit=200&startTimestamp={since}&endTimestamp={until}"
        first = http.get(path).json()
        second = http.get(f"{path}&offset={first['offset']}").json()

        found = [event["created"] for event in first["events"] + second["events"]]
        assert first["hasMore"] is True
        assert found == sorted(found, reverse=True)
        assert found[0] == until
        assert found[:400] == [at for at in stamps[::-1] if since <= at <= until][:400]

    def test_most_events_of_bots_are_marked(self, http: Http) -> None:
        """HubSpot marks some bots and misses others."""
        path = "/email/public/v1/events?limit=1000&eventType=OPEN"
        every = http.get(path).json()["events"]
        human = http.get(f"{path}&excludeFilteredEvents=true").json()["events"]

        assert 0 < len(human) < len(every)

    def test_page_views_start_after_a_time(self, http: Http) -> None:
        """Newest first, with the contact's id."""
        path = "/events/v3/events/?objectType=contact&eventType=e_visited_page&limit=100"
        answer = http.get(f"{path}&occurredAfter=2026-01-01T00:00:00Z").json()

        assert answer["results"]
        assert all(each["occurredAt"] >= "2026-01-01" for each in answer["results"])
        assert {each["objectType"] for each in answer["results"]} == {"CONTACT"}

    def test_event_types_are_listed(self, http: Http) -> None:
        """Custom ones of the account too."""
        types = http.get("/events/v3/events/event-types").json()["eventTypes"]

        assert "e_visited_page" in types


class TestAccount:
    """Properties, pipelines, owners, usage."""

    def test_the_client_reads_all_properties(self, client: HubSpot) -> None:
        """With the writable ones and their options."""
        definitions = {
            each.name: each for each in client.crm.properties.core_api.get_all("contacts").results
        }

        standing = definitions["onefunnel_standing"]
        assert [option.value for option in standing.options][3] == "SQL / prospect"
        assert definitions["hubspotscore"].modification_metadata.read_only_value is True
        assert standing.hubspot_defined is None

    def test_an_admin_adds_changes_and_archives_a_property(self, http: Http) -> None:
        """Reads and writes find it afterwards, or no longer."""
        path = "/crm/v3/properties/contacts"
        body = {
            "name": "segment",
            "label": "Segment",
            "type": "enumeration",
            "fieldType": "select",
            "groupName": "contactinformation",
            "options": [{"label": "Partner", "value": "partner"}],
        }
        made = http.post(path, json=body).status_code
        again = http.post(f"{path}/batch/create", json={"inputs": [body]})
        changed = http.patch(f"{path}/segment", json={"options": []}).json()
        deleted = http.delete(f"{path}/segment").status_code

        assert (made, again.status_code, changed["options"], deleted) == (201, 207, [], 204)
        assert again.json()["errors"][0]["message"] == "A property named 'segment' already exists."
        assert http.get(f"{path}/segment").status_code == 404

    def test_stages_of_contacts_are_a_pipeline(self, http: Http) -> None:
        """In their order."""
        (pipeline,) = http.get("/crm/v3/pipelines/contacts").json()["results"]

        assert [stage["id"] for stage in pipeline["stages"]][:2] == ["subscriber", "lead"]

    def test_won_deals_have_probability_one(self, http: Http) -> None:
        """And are closed."""
        stages = http.get("/crm/v3/pipelines/deals/default").json()["stages"]

        won = next(stage for stage in stages if stage["id"] == "closedwon")
        assert won["metadata"] == {"isClosed": "true", "probability": "1.0"}

    def test_the_client_pages_through_owners(self, client: HubSpot, box: Sandbox) -> None:
        """By an opaque cursor."""
        first = client.crm.owners.owners_api.get_page(limit=7)
        rest = client.crm.owners.owners_api.get_page(limit=7, after=first.paging.next.after)

        found = [each.id for each in first.results + rest.results]
        assert found == [owner["id"] for owner in box.hubspot.owners]

    def test_usage_counts_the_calls_of_the_day(self, http: Http) -> None:
        """Including this call."""
        path = "/account-info/v3/api-usage/daily/private-apps"
        first, second = (http.get(path).json()["results"][0]["currentUsage"] for _ in range(2))

        assert second == first + 1

    def test_details_have_the_time_zone_of_the_daily_limit(self, http: Http) -> None:
        """The daily limit resets at its midnight."""
        assert http.get("/account-info/v3/details").json()["timeZone"] == "Europe/Berlin"


class TestAccess:
    """Tokens, scopes and rate limits."""

    def test_a_wrong_token_is_an_error(self, box: Sandbox) -> None:
        """401, which the client raises."""
        client = HubSpot(access_token="pat-unknown_pair", host=box.url)

        with pytest.raises(ApiException) as raised:
            client.crm.contacts.basic_api.get_page()
        assert raised.value.status == 401

    def test_a_missing_scope_is_named_without_limit_headers(self, http: Http, box: Sandbox) -> None:
        """HubSpot checks it before the rate limits."""
        box.hubspot.denied_scopes = {"crm.objects.contacts.write"}
        answer = http.patch(f"{CONTACTS}/51", json={"properties": {}})

        context = answer.json()["errors"][0]["context"]
        assert answer.status_code == 403
        assert context == {"requiredGranularScopes": ["crm.objects.contacts.write"]}
        assert "X-HubSpot-RateLimit-Max" not in answer.headers

    def test_a_refresh_token_gives_a_token_for_half_an_hour(self, http: Http, box: Sandbox) -> None:
        """OAuth calls have no daily headers; their tokens expire during a run."""
        form = {
            "grant_type": "refresh_token",
            "client_id": box.client_id,
            "client_secret": box.client_secret,
            "refresh_token": box.hubspot_refresh_token,
        }
        bought = http.post("/oauth/v1/token", data=form).json()
        with Http(box, bought["access_token"]) as oauth:
            good = oauth.get("/crm/v3/owners")
            box.hubspot.expire_tokens()
            late = oauth.get("/crm/v3/owners")

        assert (good.status_code, good.headers["X-HubSpot-RateLimit-Max"]) == (200, "110")
        assert "X-HubSpot-RateLimit-Daily" not in good.headers
        assert (late.status_code, late.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")

    def test_a_wrong_secret_is_an_error(self, http: Http) -> None:
        """400 from the token endpoint."""
        assert http.post("/oauth/v1/token", data={"client_id": "?"}).status_code == 400

    def test_a_search_response_has_daily_headers_only(self, http: Http) -> None:
        """No header shows its own limit."""
        answer = http.post(f"{CONTACTS}/search", json={})

        limits = [name for name in answer.headers if "RateLimit" in name]
        assert limits == ["X-HubSpot-RateLimit-Daily", "X-HubSpot-RateLimit-Daily-Remaining"]

    def test_a_sixth_search_in_a_second_is_an_error(self, http: Http, box: Sandbox) -> None:
        """Without policy name and Retry-After."""
        box.hubspot.rate_limits = True
        answers = [http.post(f"{CONTACTS}/search", json={"limit": 1}) for _ in range(6)]

        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert set(answers[5].json()) == {"status", "message", "correlationId", "category"}

    def test_the_burst_ends_after_190_calls_in_ten_seconds(self, http: Http, box: Sandbox) -> None:
        """The error has the policy; calls of other tests in the window do not count."""
        box.hubspot.rate_limits = True
        answers = [http.get("/crm/v3/owners/0") for _ in range(191)]

        assert [answer.status_code for answer in answers] == [404] * 190 + [429]
        assert answers[190].json()["policyName"] == "TEN_SECONDLY_ROLLING"

    def test_a_call_over_the_daily_limit_is_an_error(self, http: Http, box: Sandbox) -> None:
        """Waiting does not help: the policy is DAILY."""
        box.hubspot.rate_limits = True
        box.hubspot.daily_used = box.hubspot.daily_limit
        answer = http.get("/crm/v3/owners")

        assert (answer.status_code, answer.json()["policyName"]) == (429, "DAILY")

    def test_another_process_changes_the_settings(self, http: Http, box: Sandbox) -> None:
        """By a control call."""
        settings = {"denied_scopes": ["forms"], "index_lag_seconds": 2}
        accepted = http.post("/_sandbox/hubspot", json=settings).status_code
        unknown = http.post("/_sandbox/hubspot", json={"access_token": "x"}).status_code

        assert (accepted, unknown) == (200, 400)
        assert box.hubspot.denied_scopes == {"forms"}


class TestFaults:
    """Planned faults of both CRMs."""

    def test_a_fault_fails_the_planned_number_of_calls(self, http: Http) -> None:
        """After the calls that succeed first."""
        fault = {"path": "/owners", "status": 429, "body": {}, "after": 1, "times": 2}
        http.post("/_sandbox/faults", json=fault)

        answers = [http.get("/crm/v3/owners").status_code for _ in range(4)]
        assert answers == [200, 429, 429, 200]

    def test_a_fault_has_body_and_headers(self, http: Http, box: Sandbox) -> None:
        """As planned."""
        headers = {"Retry-After": "7"}
        box.faults.plan(Fault("/owners", status=503, body="<html>", headers=headers))
        answer = http.get("/crm/v3/owners")

        assert (answer.status_code, answer.text) == (503, "<html>")
        assert answer.headers["Retry-After"] == "7"

    def test_a_dropped_response_was_a_successful_write(
        self, http: Http, box: Sandbox, contact: str
    ) -> None:
        """The client must read the record back."""
        box.faults.plan(Fault(CONTACTS, "PATCH", "commit_then_drop"))
        with pytest.raises(requests.ConnectionError):
            http.patch(f"{CONTACTS}/{contact}", json={"properties": {"bant_need": "done"}})

        kept = http.get(f"{CONTACTS}/{contact}?properties=bant_need").json()
        assert kept["properties"]["bant_need"] == "done"

    def test_a_reset_was_no_write(self, http: Http, box: Sandbox, contact: str) -> None:
        """The client sees the same error."""
        box.faults.plan(Fault(CONTACTS, "PATCH", "reset"))
        with pytest.raises(requests.ConnectionError):
            http.patch(f"{CONTACTS}/{contact}", json={"properties": {"bant_need": "done"}})

        kept = http.get(f"{CONTACTS}/{contact}?properties=bant_need").json()
        assert kept["properties"]["bant_need"] is None

    def test_a_delayed_response_is_late(self, http: Http, box: Sandbox) -> None:
        """A client with a shorter timeout raises."""
        box.faults.plan(Fault("/owners", effect="delay", seconds=0.3))

        with pytest.raises(requests.ReadTimeout):
            http.get("/crm/v3/owners", timeout=0.1)

    def test_the_server_counts_calls(self, http: Http) -> None:
        """Per CRM, without ids; failed calls count, control calls do not."""
        http.post("/_sandbox/reset")
        http.get("/crm/v3/owners/1")
        http.get("/crm/v3/owners/2")
        http.get(f"{CONTACTS}?limit=1")

        assert http.get("/_sandbox/calls").json()["hubspot"] == {
            "total": 3,
            "GET /crm/v3/owners/{owner_id}": 2,
            "GET /crm/v3/objects/contacts": 1,
        }

    def test_an_invalid_fault_is_an_error(self, http: Http) -> None:
        """A typing error must not pass silently."""
        assert http.post("/_sandbox/faults", json={"paht": "/owners"}).status_code == 400


def test_pages_of_a_search_are_consistent_between_writes(http: Http, box: Sandbox) -> None:
    """The result of a query is cached until a write."""
    table = box.hubspot.tables["tasks"]
    for number in range(5):
        table.add(Record(90_000_000_000 + number, {"hs_task_subject": "page"}, number, number))
    wanted = [{"propertyName": "hs_task_subject", "operator": "EQ", "value": "page"}]
    pages = [
        http.post("/crm/v3/objects/tasks/search", json={"filters": wanted, "limit": 2, "after": at})
        for at in (0, 2, 4)
    ]

    assert [len(page.json()["results"]) for page in pages] == [2, 2, 1]
    assert len({id for page in pages for id in ids_of(page)}) == 5


def test_header_names_have_the_vendors_capitals(http: Http) -> None:
    """Some clients compare them case-sensitively."""
    names = set(http.get(CONTACTS, params={"limit": 1}).headers)

    assert {"Content-Type", "X-HubSpot-Correlation-Id", "X-HubSpot-RateLimit-Max"} <= names


@pytest.mark.parametrize("direction", ["ASCENDING", "DESCENDING"])
def test_a_search_returns_a_changed_record_in_its_order(direction: str) -> None:
    """Among all records changed in a time span, in the order of change."""
    with running(people=40, seed=7, now=NOW) as own:
        store, table = own.hubspot, own.hubspot.tables["contacts"]
        first, second = islice(table.live(), 2)
        store.write(table, first, {"city": "Oslo"})
        store.archive(table, second)
        since = sorted(one.updated_at for one in table.all_live())[10]
        expected = sorted(
            (one for one in table.all_live() if one.updated_at >= since),
            key=lambda one: (
                one.updated_at if direction == "ASCENDING" else -one.updated_at,
                one.id,
            ),
        )
        wanted = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": str(since)}
        query = {
            "filterGroups": [{"filters": [wanted]}],
            "sorts": [{"propertyName": "lastmodifieddate", "direction": direction}],
            "limit": 100,
        }
        with Http(own) as session:
            found = session.post(f"{CONTACTS}/search", json=query)

    assert found.json()["total"] == len(expected)
    assert ids_of(found) == [str(one.id) for one in expected]
