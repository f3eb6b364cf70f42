"""Records of strangers, such as web-to-lead forms that name a customer's address, move no person.

Two worlds are run, each once: one with every number of strangers, one with a story per name.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from ibis.backends.sql import SQLBackend

import engines
from identity_world import Row, Runs, form, order, record

BORN = datetime(2024, 1, 1)
NIGHTS = FIRST, SECOND, THIRD, FOURTH = [datetime(2026, 5, day) for day in (1, 2, 3, 4)]
MAX_SIZE = 10
COUNTS = range(1, 31)
NEW_IN = {"hubspot": ("hubspot", "contacts"), "salesforce": ("salesforce", "Lead")}
CASES = list(product(COUNTS, NEW_IN, ("address", "link"), ("address", "link")))
"""How many strangers, in which CRM, how they name the customer, what joins the customer's own."""


ENGINES = ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[SQLBackend]:
    with getattr(engines, request.param)() as engine:
        yield engine


def customer(name: str, joined_by: str = "address") -> list[Row]:
    """A customer: a contact with an order in Salesforce, and one who sent a form in HubSpot."""
    email = f"{name}@example.com"
    is_linked = joined_by == "link"
    return [
        record("salesforce", "Contact", f"c-{name}", born=BORN, email=None if is_linked else email),
        record(
            "hubspot",
            "contacts",
            f"h-{name}",
            born=BORN + timedelta(days=1),
            email=email,
            contact_id=f"c-{name}" if is_linked else None,
        ),
        order(f"o-{name}", f"c-{name}", BORN + timedelta(days=9)),
        form(f"f-{name}", email, BORN + timedelta(days=5)),
    ]


def strangers(name: str, count: int, crm: str = "salesforce", by: str = "address", **more: str):
    """Records that came last night and name the customer: their address, or their contact's id."""
    claim = {"email": f"{name}@example.com"} if by == "address" else {"contact_id": f"c-{name}"}
    return [
        record(
            *NEW_IN[crm],
            f"s-{name}-{number}",
            born=FIRST + timedelta(minutes=number),
            **(claim | more),
        )
        for number in range(count)
    ]


def case_name(count: int, crm: str, by: str, joined_by: str) -> str:
    return f"{count}-{crm}-{by}-{joined_by}"


@pytest.fixture(scope="module")
def attacked(engine: SQLBackend) -> tuple[dict[str, Row], dict[str, Row], list[Row]]:
    """All cases in one world: before the strangers came, two nights later, and the events then."""
    runs = Runs(engine)
    known = [row for case in CASES for row in customer(case_name(*case), case[3])]
    new = [row for case in CASES for row in strangers(case_name(*case), *case[:3])]
    before = runs.run(known, FIRST)
    runs.run(known + new, SECOND)
    return before, runs.run(known + new, THIRD), runs.events()


@pytest.mark.parametrize(("crm", "by", "joined_by"), sorted({case[1:] for case in CASES}))
def test_no_number_of_strangers_moves_a_customer(attacked, crm, by, joined_by):
    """Person, stage and status are what they were, whatever names the customer, and how often."""
    before, after, _ = attacked
    names = [case_name(count, crm, by, joined_by) for count in COUNTS]
    keys = [f"salesforce:Contact:c-{name}" for name in names]
    keys += [f"hubspot:contacts:h-{name}" for name in names]
    seen = ("person_id", "stage", "status", "hold_reason")

    assert [[after[key][one] for one in seen] for key in keys] == [
        [before[key][one] for one in seen] for key in keys
    ]
    assert {after[key]["status"] for key in keys} == {"won"}


def test_what_a_customer_did_by_address_stays_theirs(attacked):
    """The forms of an address that strangers name as well are still the customer's."""
    _, after, events = attacked
    owners = {
        event["source_id"].removeprefix("f-"): event["person_id"]
        for event in events
        if event["kind"] == "form"
    }

    assert owners == {
        case_name(*case): after[f"hubspot:contacts:h-{case_name(*case)}"]["person_id"]
        for case in CASES
    }


@pytest.mark.parametrize("crm", NEW_IN)
@pytest.mark.parametrize("count", [MAX_SIZE - 2, MAX_SIZE - 1])
def test_strangers_stay_out_from_one_above_the_limit_on(attacked, count, crm):
    """With the customer's two records eight strangers are ten; nine are too many, so none joins."""
    _, after, _ = attacked
    name = case_name(count, crm, "address", "address")
    rows = [after[":".join((*NEW_IN[crm], f"s-{name}-{number}"))] for number in range(count)]
    are_in = count == MAX_SIZE - 2

    assert {row["person_id"] == f"salesforce:Contact:c-{name}" for row in rows} == {are_in}
    assert {row["email_match_ok"] for row in rows} == {are_in}


PROSPECT_CASES = [
    (count, crm, by, joined_by, tier)
    for (count, crm, by, joined_by), tier in product(CASES, ("none", "unqualified"))
]
"""The same cases, and what the strangers say: another tier, or one that disqualifies."""


def prospect(name: str, joined_by: str) -> list[Row]:
    """A lead by the tier of their HubSpot contact; a Salesforce contact is the same person."""
    mine = [row for row in customer(name, joined_by) if row["object"] in ("Contact", "contacts")]
    return changed(mine, f"h-{name}", tier="silver")


@pytest.fixture(scope="module")
def misled(engine: SQLBackend) -> list[dict[str, Row]]:
    """All prospects in one world: before the strangers came, the night after, and one later."""
    runs = Runs(engine)
    names = {case: "-".join(map(str, case)) for case in PROSPECT_CASES}
    known = [row for case, name in names.items() for row in prospect(name, case[3])]
    new = [row for case, name in names.items() for row in strangers(name, *case[:3], tier=case[4])]
    return [runs.run(known, FIRST), runs.run(known + new, SECOND), runs.run(known + new, THIRD)]


@pytest.mark.parametrize(
    ("crm", "by", "joined_by", "tier"), sorted({case[1:] for case in PROSPECT_CASES})
)
def test_what_strangers_say_of_a_prospect_is_not_written(misled, crm, by, joined_by, tier):
    """A join that moves the person down is held, in both nights; one above the limit joins none.

    By link a group has no limit: all of them join, and the person is held at every count.
    """
    before, *after = misled
    names = [f"{count}-{crm}-{by}-{joined_by}-{tier}" for count in COUNTS]
    keys = [
        (key, count)
        for count, name in zip(COUNTS, names, strict=True)
        for key in (f"salesforce:Contact:c-{name}", f"hubspot:contacts:h-{name}")
    ]
    are_in = {key: by == "link" or count <= MAX_SIZE - 2 for key, count in keys}
    held = [[night[key]["hold_reason"] == "moved_down" for key, _ in keys] for night in after]
    moved = [[night[key]["stage"] != "lead" for key, _ in keys] for night in after]

    assert {(before[key]["stage"], before[key]["status"]) for key, _ in keys} == {("lead", "open")}
    assert held == [list(are_in.values())] * 2
    assert tier == "unqualified" or moved == held


# --- stories --------------------------------------------------------------------------------------


def changed(rows: list[Row], id: str, **fields: object) -> list[Row]:
    """The same rows, of which one record has other values."""
    return [row | fields if row["id"] == id else row for row in rows]


def without(rows: list[Row], id: str) -> list[Row]:
    """The same rows, of which one is out of sight."""
    return [row for row in rows if row["id"] != id]


def lead(id: str, **fields: object) -> Row:
    return record("salesforce", "Lead", id, born=BORN, **fields)


def contact(id: str, **fields: object) -> Row:
    return record("hubspot", "contacts", id, **({"born": BORN} | fields))


def crowd(email: str) -> list[Row]:
    """Ten records that are one person."""
    return [lead(f"crowd-{number}", email=email) for number in range(10)]


def bridged(name: str) -> list[Row]:
    """A Salesforce contact and a HubSpot contact that a lead between them joins."""
    email = f"{name}@example.com"
    return [
        record("salesforce", "Contact", f"c-{name}", born=BORN),
        lead(f"l-{name}", email=email, contact_id=f"c-{name}"),
        contact(f"h-{name}", email=email),
    ]


GOLD = contact("h-gold", email="gold@example.com", tier="gold")
NO_TIER = lead("s-gold", email="gold@example.com", tier="none") | {"born": FIRST}
SILVER = contact("h-silver", email="silver@example.com", tier="silver")
NO_SILVER = lead("s-silver", email="silver@example.com", tier="none") | {"born": FIRST}
FALLEN = contact("h-fallen", email="fallen@example.com", tier="silver")
OWN = contact("h-own", email="own@example.com", tier="gold")
ROLE = contact("h-role", email="info@example.com")
TWO_ROLES = [contact(f"h-two-{number}", email="info@two.example.com") for number in (1, 2)]
FLOOD, STEADY = customer("flood") + strangers("flood", 14), customer("steady")
SPLIT, UNLINKED = customer("split"), customer("unlinked", "link")
GONE, BACK, DELETED = customer("gone"), customer("back"), customer("deleted")
ABSENT = customer("absent")
CLAIMED, HIDDEN = customer("claimed"), customer("hidden")
STORIES: dict[str, list[list[Row]]] = {
    "many strangers from the first night on": [FLOOD] * 4,
    "three more strangers each night": [STEADY + strangers("steady", n) for n in (0, 3, 6, 9)],
    "an old person takes the address": [
        CLAIMED + crowd("crowd@example.com"),
        *[CLAIMED + crowd("claimed@example.com")] * 3,
    ],
    "a second record has the role address": [
        [ROLE],
        *[[ROLE, contact("h-older", born=BORN - timedelta(9), email="info@example.com")]] * 3,
    ],
    "two have a role address from the first night on": [TWO_ROLES] * 4,
    "another address, and the old one again": [
        SPLIT,
        *[changed(SPLIT, "h-split", email="other@example.com")] * 2,
        SPLIT,
    ],
    "a link is taken out": [UNLINKED, *[changed(UNLINKED, "h-unlinked", contact_id=None)] * 3],
    "the lead with the link is out of sight": [
        bridged("bridge"),
        *[without(bridged("bridge"), "l-bridge")] * 3,
    ],
    "a stranger's tier counts": [
        [GOLD],
        *[[GOLD, NO_TIER]] * 2,
        [GOLD, NO_TIER | {"tier": None}],
    ],
    "a stranger's tier moves a prospect": [
        [SILVER],
        *[[SILVER, NO_SILVER]] * 2,
        [SILVER, NO_SILVER | {"tier": None}],
    ],
    "a prospect's own tier changes": [[FALLEN], *[[FALLEN | {"tier": "none"}]] * 3],
    "their own tier changes": [[OWN], *[[OWN | {"tier": "none"}]] * 3],
    "a record is out of sight": [GONE, *[without(GONE, "h-gone")] * 3],
    "the contact with the order is out of sight": [HIDDEN, *[without(HIDDEN, "c-hidden")] * 3],
    "a record comes back": [BACK, without(BACK, "h-back"), BACK, BACK],
    "the CRM does not show a record": [ABSENT, *[changed(ABSENT, "h-absent", absent=True)] * 3],
    "a record is deleted": [DELETED, *[changed(DELETED, "h-deleted", gone=True)] * 3],
}
"""What the CRMs show in each of the four nights."""


@pytest.fixture(scope="module")
def nights(engine: SQLBackend) -> list[dict[str, Row]]:
    """All stories in one world: what is known after each night; in the second none is written."""
    runs = Runs(engine, role_addresses=["info"])
    return [
        runs.run(
            [row for story in STORIES.values() for row in story[night]],
            at,
            accept=at != SECOND,
        )
        for night, at in enumerate(NIGHTS)
    ]


def by_night(nights: list[dict[str, Row]], key: str, column: str) -> list[object]:
    """One column of a record, night by night; None where it is not known."""
    return [night[key][column] if key in night else None for night in nights]


def person(name: str) -> str:
    return f"salesforce:Contact:c-{name}"


def hubspot(name: str) -> str:
    return f"hubspot:contacts:h-{name}"


@pytest.mark.long
def test_in_a_first_run_the_oldest_records_are_joined(nights):
    """Nothing stood before: of two old records and fourteen new ones the ten oldest are one."""
    joined = [
        {key for key, row in night.items() if row["person_id"] == person("flood")}
        for night in nights
    ]
    oldest = {f"salesforce:Lead:s-flood-{number}" for number in range(8)}

    assert joined == [oldest | {person("flood"), hubspot("flood")}] * 4
    assert by_night(nights, hubspot("flood"), "stage") == ["customer"] * 4
    assert by_night(nights, hubspot("flood"), "addresses") == [["flood@example.com"]] * 4


def test_strangers_who_come_night_after_night_are_let_in_up_to_the_limit(nights):
    """Three a night: six fit; the three of the last night stay out, and the customer is whole."""
    people = [nights[-1][f"salesforce:Lead:s-steady-{number}"]["person_id"] for number in range(9)]

    assert people[:6] == [person("steady")] * 6
    assert people[6:] == [f"salesforce:Lead:s-steady-{number}" for number in (6, 7, 8)]
    assert by_night(nights, hubspot("steady"), "person_id") == [person("steady")] * 4


def test_a_known_person_who_takes_a_customers_address_does_not_get_it(nights):
    """The ten records stay one person; what the address did stays the customer's."""
    assert (
        by_night(nights, "salesforce:Lead:crowd-9", "person_id") == ["salesforce:Lead:crowd-0"] * 4
    )
    assert by_night(nights, hubspot("claimed"), "addresses") == [["claimed@example.com"]] * 4
    assert by_night(nights, "salesforce:Lead:crowd-0", "addresses")[1:] == [[]] * 3


def test_a_role_address_stays_with_the_one_person_who_had_it(nights):
    """An older record with the same info@ joins no person and takes nothing."""
    assert by_night(nights, hubspot("role"), "addresses") == [["info@example.com"]] * 4
    assert by_night(nights, hubspot("older"), "person_id")[1:] == [hubspot("older")] * 3
    assert by_night(nights, hubspot("older"), "addresses")[1:] == [[]] * 3


def test_a_role_address_of_two_people_from_the_start_identifies_none(nights):
    """It identifies none of them."""
    assert by_night(nights, hubspot("two-1"), "addresses") == [[]] * 4
    assert by_night(nights, hubspot("two-2"), "addresses") == [[]] * 4


@pytest.mark.parametrize("key", [person("split"), hubspot("split")])
def test_a_person_whose_addresses_no_longer_agree_is_held_until_they_do(nights, key):
    """One record got another address: two people now, and no link was changed."""
    assert by_night(nights, key, "hold_reason") == [None, "person_split", "person_split", None]
    assert by_night(nights, key, "held_since") == [None, SECOND, SECOND, None]


def test_who_splits_because_a_link_was_changed_is_not_held(nights):
    """An admin took the contact's id out, on purpose."""
    assert by_night(nights, hubspot("unlinked"), "person_id")[1:] == [hubspot("unlinked")] * 3
    assert by_night(nights, hubspot("unlinked"), "hold_reason") == [None] * 4
    assert by_night(nights, person("unlinked"), "hold_reason") == [None] * 4


@pytest.mark.parametrize("key", [person("bridge"), hubspot("bridge")])
def test_who_splits_because_a_record_is_out_of_sight_is_held(nights, key):
    """The link was on a lead that the pull did not see: no admin changed it."""
    assert by_night(nights, key, "hold_reason") == [None, *["person_split"] * 3]


def test_a_final_stage_that_a_strangers_field_takes_away_is_held(nights):
    """A web form says `tier: none`, and the newest record's word is taken."""
    assert by_night(nights, hubspot("gold"), "stage") == [
        "customer",
        "suspect",
        "suspect",
        "customer",
    ]
    for key in (hubspot("gold"), "salesforce:Lead:s-gold"):
        assert by_night(nights, key, "hold_reason") == [None, *["final_stage_lost"] * 2, None]


def test_a_lower_stage_that_a_strangers_field_brings_is_held_until_it_is_corrected(nights):
    """Nothing is written for the person meanwhile."""
    assert by_night(nights, hubspot("silver"), "stage") == ["lead", "suspect", "suspect", "lead"]
    for key in (hubspot("silver"), "salesforce:Lead:s-silver"):
        assert by_night(nights, key, "hold_reason") == [None, *["moved_down"] * 2, None]
    assert by_night(nights, hubspot("silver"), "held_standing") == [None, "lead", "lead", None]


def test_a_lower_stage_that_the_persons_own_record_brings_is_not_held(nights):
    """No record of others came."""
    assert by_night(nights, hubspot("fallen"), "stage") == ["lead", *["suspect"] * 3]
    assert by_night(nights, hubspot("fallen"), "hold_reason") == [None] * 4


def test_a_final_stage_that_was_that_of_a_record_out_of_sight_is_held(nights):
    """The contact with the order is not seen: that is no sign that there was none."""
    assert by_night(nights, hubspot("hidden"), "stage") == ["customer", *["lead"] * 3]
    assert by_night(nights, hubspot("hidden"), "hold_reason") == [None, *["final_stage_lost"] * 3]


def test_a_final_stage_that_the_persons_own_record_takes_away_is_not_held(nights):
    """No record of others came: the field was corrected."""
    assert by_night(nights, hubspot("own"), "stage") == ["customer", *["suspect"] * 3]
    assert by_night(nights, hubspot("own"), "hold_reason") == [None] * 4


@pytest.mark.parametrize(
    ("name", "since"),
    [
        pytest.param("gone", [None, SECOND, SECOND, None], id="until a plan without it is written"),
        pytest.param("back", [None, SECOND, None, None], id="until it is seen again"),
        pytest.param("deleted", [None, SECOND, SECOND, None], id="deleted in the CRM"),
        pytest.param("absent", [None, SECOND, SECOND, None], id="its row stays, unseen"),
    ],
)
def test_a_record_out_of_sight_counts_as_vanished(nights, name, since):
    """A plan that only looks, or that the guard stops, does not hide it from the next one."""
    assert by_night(nights, hubspot(name), "vanished_at") == since
    assert by_night(nights, person(name), "vanished_at") == [None] * 4


def test_a_record_that_comes_back_is_the_person_it_was(nights):
    """What it was joined with is known meanwhile."""
    assert by_night(nights, hubspot("back"), "person_id") == [person("back")] * 4


@pytest.mark.long
def test_the_state_that_an_older_release_left_is_read(engine):
    """It has no standing: the customer is who they were, and no person is held."""
    runs = Runs(engine)
    runs.run(customer("upgrade"), FIRST)
    known = runs.warehouse.table("known_records").drop("standing", "held_standing")
    runs.warehouse.replace_table("known_records", runs.warehouse.materialize("older", known))

    after = runs.run(customer("upgrade") + strangers("upgrade", 3), SECOND)

    assert after[hubspot("upgrade")]["person_id"] == person("upgrade")
    assert {row["hold_reason"] for row in after.values()} == {None}
