"""What only two files together, or a file and an account, show to be wrong."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import ibis
import pytest

from config.checks import Documents, catalog_warnings, check_catalog, problems
from config.contradictions import contradictions
from config.definition import AllOf, AnyOf, Definition, FieldLeaf
from config.lifecycle_columns import lifecycle_columns
from config.mapping import ENRICHED_FIELDS, Mapping, People
from config.yaml_document import Document, M, parse
from config_files import Replacement, config_texts
from models import Catalog, Field
from transforms.lifecycle.lifecycle import lifecycle

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def read(text: str, model: type[M], name: str) -> Document[M]:
    document, wrong = parse(text, model, file=f"{name}.yaml")
    assert document is not None, wrong
    return document


def documents(*changes: Replacement) -> Documents:
    changed = config_texts(*changes)
    return Documents(
        read(changed["lifecycle"], Definition, "lifecycle"),
        read(changed["people"], People, "people"),
        {crm: read(changed[crm], Mapping, crm) for crm in ("hubspot", "salesforce")},
    )


def errors(*changes: Replacement) -> list[str]:
    return [str(one) for one in problems(documents(*changes)) if not one.is_warning]


def warned(*changes: Replacement) -> list[str]:
    return [str(one) for one in problems(documents(*changes)) if one.is_warning]


def test_files_that_fit_together_have_no_problem() -> None:
    """Neither mistakes nor warnings."""
    assert problems(documents()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            ("hubspot", "kind: visit", "kind: visti"),
            "hubspot.yaml:16: lifecycle.yaml has no kind `visti`: did you mean `visit`?",
            id="rule of an unknown kind",
        ),
        pytest.param(
            ("hubspot", "industry:  industry", "industri:  industry"),
            "hubspot.yaml:7: people.yaml declares no field `industri`: did you mean `industry`?",
            id="undeclared field",
        ),
        pytest.param(
            ("hubspot", "hs_email_bounce, gte: 1", "hs_email_bounce, gte: 1, values: {a: b}"),
            "hubspot.yaml:8: use either known or gte, or values, but not both",
            id="two ways to read a field",
        ),
        pytest.param(
            ("hubspot", "{field: numberofemployees}", "{field: numberofemployees, known: true}"),
            "hubspot.yaml:6: known and gte make a yes or no: `employees` is of type integer",
            id="yes or no for a number",
        ),
        pytest.param(
            ("hubspot", "salesforce.Lead", "salesforce.Leed"),
            "hubspot.yaml:10: salesforce has no record type `Leed`: did you mean `Lead`?",
            id="link to an unknown record type",
        ),
        pytest.param(
            ("hubspot", "salesforce.Lead", "salesfarce.Lead"),
            "hubspot.yaml:10: `salesfarce.Lead` is not a record type of a CRM: "
            "did you mean `salesforce.Lead`?",
            id="link to an unknown CRM",
        ),
        pytest.param(
            ("hubspot", "salesforceleadid", "contact.salesforceleadid"),
            "hubspot.yaml:10: no record type `contact` is read: did you mean `contacts`?",
            id="link of an unknown record type",
        ),
        pytest.param(
            ("hubspot", "associated_contacts: contacts", "associated_contacts: contact"),
            "hubspot.yaml:12: no record type `contact` is read: did you mean `contacts`?",
            id="people of an unknown record type",
        ),
        pytest.param(
            ("hubspot", "  visits: {person_keys: {email: email}}\n", ""),
            "hubspot.yaml:15: no column of `visits` leads to a person: "
            "add person_keys under objects",
            id="events without a person",
        ),
        pytest.param(
            ("salesforce", "Company.Industry", "Compny.Industry"),
            "salesforce.yaml:4: objects gives `Lead` no parent `Compny`: did you mean `Company`?",
            id="unknown parent",
        ),
        pytest.param(
            ("salesforce", "Type: Demo", "What.Type: Demo"),
            "salesforce.yaml:11: objects gives `Task` no parent `What`",
            id="no parents at all",
        ),
        pytest.param(
            ("people", "[salesforce, hubspot]", "[salesforce, hubsopt]"),
            "people.yaml:3: there is no CRM `hubsopt`: did you mean `hubspot`?",
            id="trust in an unknown CRM",
        ),
        pytest.param(
            ("people", "email:     text", "email:     integer"),
            "people.yaml:2: `email` must have the type text: it can be computed",
            id="an address that is a number",
        ),
        pytest.param(
            ("people", "employees: integer", "employees: integer\n  is_free_mail: text"),
            "people.yaml:5: `is_free_mail` must have the type boolean: it can be computed",
            id="another type than what is filled in",
        ),
        pytest.param(
            ("people", "employees: integer", "employees: integer\n  created_at: date"),
            "people.yaml:5: a field cannot be called `created_at`: the name is reserved",
            id="a reserved name",
        ),
        pytest.param(
            ("lifecycle", "field: bounced", "field: bonced"),
            "lifecycle.yaml:30: people.yaml declares no field `bonced`: did you mean `bounced`?",
            id="unknown field in a rule",
        ),
        pytest.param(
            ("lifecycle", "field: industry, known: true", "field: email, gte: 3"),
            "lifecycle.yaml:14: `gte` compares numbers and dates: `email` is of type text",
            id="text compared",
        ),
        pytest.param(
            ("lifecycle", "field: employees, gte: 50", "field: employees, is: true"),
            "lifecycle.yaml:11: `employees` is of type integer: `is: true` does not fit",
            id="a number asked for yes or no",
        ),
        pytest.param(
            ("lifecycle", "is: true", "in: [true, maybe]"),
            "lifecycle.yaml:30: `bounced` is of type boolean: `in: maybe` does not fit",
            id="a yes or no asked for text",
        ),
        pytest.param(
            ("lifecycle", "known: true", 'is: " "'),
            "lifecycle.yaml:14: empty text is not a value: use `known: false` for `industry`",
            id="empty text",
        ),
        pytest.param(
            ("hubspot", "kind: visit, at: occurredAt", "kind: nothing"),
            "hubspot.yaml:16: lifecycle.yaml has no kind `nothing`: "
            "to leave rows out on purpose, write `ignore: true` in place of kind",
            id="the old word for ignored rows",
        ),
        pytest.param(
            ("lifecycle", "[visit, demo]", "visit, count: 7, within_days: 1"),
            "lifecycle.yaml:19: never true: max_per_day admits 6 in that window",
            id="more in a day than are admitted",
        ),
        pytest.param(
            ("lifecycle", "{score: total, gte: 50}", "{channels: 3, within_days: 9}"),
            "lifecycle.yaml:26: never true: activity has 2 channels",
            id="more channels than there are",
        ),
        pytest.param(
            ("lifecycle", "{score: total, gte: 50}", "{qualified: 2}"),
            "lifecycle.yaml:26: never true: qualification has 1 criteria",
            id="more criteria than there are",
        ),
        pytest.param(
            ("lifecycle", "employees, gte: 50", "employees, gte: 50, lt: 10"),
            "lifecycle.yaml:11: never true: no `employees` passes all of its tests",
            id="tests that exclude each other",
        ),
        pytest.param(
            (
                "lifecycle",
                "{field: bounced, is: true}",
                "{all: [{field: bounced, is: true}, {all: [{field: bounced, is_not: true}]}]}",
            ),
            "lifecycle.yaml:30: never true: no `bounced` passes all of its tests",
            id="leaves that exclude each other",
        ),
        pytest.param(
            ("lifecycle", "id: lead\n", "id: lead\n    label: SQL\n"),
            "lifecycle.yaml:18: another stage is called `SQL` already",
            id="a label that is another stage's id",
        ),
        pytest.param(
            ("lifecycle", "  mail:  {", "  Demo: {}\n  mail:  {"),
            "lifecycle.yaml:6: `Demo` occurs twice, in different case",
            id="two kinds that differ in case",
        ),
        pytest.param(
            ("hubspot", "from: score", "from: scroe"),
            "hubspot.yaml:22: lifecycle has no column `scroe`: did you mean `score`?",
            id="unknown column",
        ),
        pytest.param(
            ("hubspot", "our_score:", "company.our_score:"),
            "hubspot.yaml:22: `company.our_score` belongs to another object: "
            "only a record's own fields are written",
            id="write to a parent",
        ),
        pytest.param(
            ("hubspot", "sql: salesqualifiedlead", "sqll: salesqualifiedlead, sql: x"),
            "hubspot.yaml:21: `stage` is never `sqll`: did you mean `sql`?",
            id="word for an unknown stage",
        ),
        pytest.param(
            ("hubspot", "sql: salesqualifiedlead, ", ""),
            "hubspot.yaml:20: `backward` compares stages by their words: add sql to values",
            id="backward without a word for each stage",
        ),
        pytest.param(
            ("salesforce", "from: standing", "from: reasons, min_change: 5"),
            "salesforce.yaml:17: `min_change` is for numbers: `reasons` is of type text",
            id="min_change of text",
        ),
        pytest.param(
            ("salesforce", "from: standing", "from: grade, backward: never"),
            "salesforce.yaml:17: `grade` cannot go backward: "
            "that is for stage, standing, furthest_stage",
            id="a grade cannot go backward",
        ),
        pytest.param(
            ("salesforce", "from: standing", "from: cycle, values: {one: 1st}"),
            "salesforce.yaml:17: `values` translates words: `cycle` is of type integer",
            id="translated number",
        ),
        pytest.param(
            ("salesforce", "from: standing", "from: reasons, values: {a: b}"),
            None,
            id="any text can be translated",
        ),
        pytest.param(
            ("salesforce", "from: standing", "from: standing, values: {recycled: Nurture}"),
            None,
            id="standing knows the recycled",
        ),
    ],
)
def test_what_does_not_fit_together_is_reported(change: Replacement, said: str | None) -> None:
    """With file, line and the nearest word."""
    assert errors(change) == ([said] if said else [])


def test_a_write_to_a_record_type_that_is_not_read_is_reported() -> None:
    """What it holds now must be known before it is changed."""
    change = ("salesforce", "write:\n  Lead:", "write:\n  Leads:")

    assert errors(change) == [
        "salesforce.yaml:16: no record type `Leads` is read: did you mean `Lead`?"
    ]


REPLACES = "a run would overwrite what people entered. Name another field; or, if"
SCORE, STANDING = "our_score: {from", "Standing__c: {from"


@pytest.mark.parametrize(
    ("change", "line", "why"),
    [
        (("hubspot", SCORE, "numberofemployees: {from"), "hubspot.yaml:22", "is also read"),
        (("hubspot", SCORE, "hs_email_bounce: {from"), "hubspot.yaml:22", "is also read"),
        (("hubspot", SCORE, "salesforceleadid: {from"), "hubspot.yaml:22", "is also read"),
        (("hubspot", SCORE, "phone: {from"), "hubspot.yaml:22", "says who the person is"),
        (("hubspot", SCORE, "firstname: {from"), "hubspot.yaml:22", "says who the person is"),
        (("salesforce", STANDING, "Email: {from"), "salesforce.yaml:17", "is also read"),
        (("salesforce", STANDING, "MobilePhone: {from"), "salesforce.yaml:17", "says who the"),
        (("salesforce", STANDING, "COMPANY: {from"), "salesforce.yaml:17", "says who the"),
    ],
)
def test_a_field_that_people_fill_is_written_on_purpose_only(
    change: Replacement, line: str, why: str
) -> None:
    """What is read under `records`, and the standard fields that say who the person is."""
    file, before, after = change
    [found] = errors(change)

    assert found.startswith(f"{line}: `")
    assert why in found
    assert REPLACES in found
    assert errors((file, before, after.replace("{", "{overwrite: true, "))) == []


def test_a_field_of_another_record_type_may_have_the_name() -> None:
    """A task's `Phone` is no phone of a person, and a lead's `phone` no property of HubSpot."""
    assert errors(("hubspot", SCORE, "MobileNumber: {from")) == []


def test_people_yaml_must_declare_email() -> None:
    """`people.yaml` must declare it."""
    assert "people.yaml:1: `email` is missing: records are joined by it" in errors(
        ("people", "email: ", "mail: ")
    )


def test_a_score_without_a_section_score_is_never_reached() -> None:
    """There is no score then."""
    section = config_texts()["lifecycle"].partition("score:")[2].partition("qualification:")[0]

    assert errors(("lifecycle", f"score:{section}qualification", "qualification")) == [
        "lifecycle.yaml:22: never true: no score is above 0"
    ]


def test_fit_alone_can_reach_no_more_than_its_lines() -> None:
    """Where no kind has points."""
    changes = [
        ("lifecycle", "points: 1,", "points: 0,"),
        ("lifecycle", "points: 40,", "points: 0,"),
    ]

    assert errors(*changes) == ["lifecycle.yaml:26: never true: no score is above 20"]


def test_a_kind_that_no_mapping_makes_is_a_warning() -> None:
    """Its points are never given; runs go on."""
    rule = "  - {object: emails, where: {hs_email_status: SENT}, kind: mail, at: hs_timestamp}\n"

    assert warned(("hubspot", rule, ""))[1:] == [
        "lifecycle.yaml:6: no mapping has a rule that makes a `mail`: no event has this kind"
    ]


def test_a_stage_that_no_person_can_enter_is_a_mistake() -> None:
    """Its rule needs kinds that no mapping makes."""
    assert errors(("salesforce", "kind: won", "kind: call")) == [
        "lifecycle.yaml:28: no person can enter `customer`: no mapping makes the kinds it needs"
    ]


def test_a_field_that_no_mapping_reads_is_a_warning() -> None:
    """No CRM has it."""
    assert warned(("people", "employees: integer", "employees: integer\n  phone: text")) == [
        "people.yaml:5: no mapping reads `phone`: it is empty for every person"
    ]


def test_a_rule_about_a_field_that_no_mapping_reads_is_a_mistake() -> None:
    """It can never hold."""
    assert errors(("hubspot", "      bounced:   {field: hs_email_bounce, gte: 1}\n", "")) == [
        "lifecycle.yaml:30: no mapping reads `bounced`: add it to the fields of a record"
    ]


def test_a_window_for_one_event_is_a_warning() -> None:
    """The window has no effect: a count was forgotten."""
    assert warned(("lifecycle", "- {event: demo}", "- {event: demo, within_days: 30}")) == [
        "lifecycle.yaml:25: within_days has no effect with count 1: drop it, or give a higher count"
    ]


def test_channels_of_kinds_that_no_mapping_makes_do_not_count() -> None:
    """No person can reach a stage that asks for them."""
    unmapped = ("salesforce", "kind: call, at: ActivityDate, optional: true", "ignore: true")
    others = ("lifecycle", "- {event: demo}\n        - {score: total, gte: 50}\n", "")
    asked = ("lifecycle", "- all: [{stage: lead}, {event: call}]", "- {channels: 2}")

    assert errors(unmapped, others, asked) == [
        "lifecycle.yaml:23: no person can enter `sql`: no mapping makes the kinds it needs"
    ]


@pytest.mark.parametrize(
    "tests",
    [
        {"gte": 5, "lt": 10, "is_not": 7},
        {"in": ["a", "b"], "not_in": [" B "]},
        {"known": False, "is_not": "x"},
        {"gt": date(2026, 1, 1), "lt": datetime(2026, 1, 1, 12)},
        {"is": False, "known": True},
        {"not_in": ["a"], "known": True},
    ],
    ids=str,
)
def test_tests_that_some_value_passes_are_no_contradiction(tests: dict[str, Any]) -> None:
    """Only what nothing can ever pass is refused."""
    leaf = FieldLeaf.model_validate({"field": "x", **tests})

    assert list(contradictions(AnyOf(any=(leaf,)), ())) == []


@pytest.mark.parametrize(
    "tests",
    [
        {"gte": 5, "lt": 5},
        {"is": "a", "not_in": ["A"]},
        {"known": False, "in": ["a"]},
        {"gt": date(2026, 1, 2), "lt": datetime(2026, 1, 1, 12)},
        {"is": False, "is_not": False},
    ],
    ids=str,
)
def test_tests_that_nothing_passes_are_a_contradiction(tests: dict[str, Any]) -> None:
    """In any case and type."""
    leaf = FieldLeaf.model_validate({"field": "x", **tests})

    assert list(contradictions(AllOf(all=(AnyOf(any=(leaf,)),)), ())) == [
        (("all", 0, "any", 0), "x")
    ]


def test_an_object_that_no_rule_reads_is_a_warning() -> None:
    """It was probably meant for another."""
    assert warned(
        (
            "salesforce",
            "  Deal: {person_keys",
            "  Notes: {person_keys: {LeadId: Lead}}\n  Deal: {person_keys",
        )
    ) == [
        "salesforce.yaml:9: no rule and no record reads `Notes` "
        "(there is: Lead, Task, Deal, Account)"
    ]


def test_a_rule_behind_one_that_takes_every_row_is_a_warning() -> None:
    """The first that fits decides."""
    behind = "  - {object: visits, where: {url: x}, kind: demo, at: occurredAt}\nwrite:"

    assert warned(("hubspot", "write:", behind)) == [
        "hubspot.yaml:17: never reached: the rule in line 16 takes every row first"
    ]


def test_a_stage_without_a_word_is_a_warning() -> None:
    """Where others have one."""
    change = ("salesforce", "from: standing", "from: furthest_stage, values: {lead: Lead}")

    assert warned(change) == [
        "salesforce.yaml:17: no word for suspect, sql, customer: written unchanged"
    ]


@pytest.mark.parametrize(
    "unread",
    [
        pytest.param(lambda d: Documents(None, d.people, d.mappings), id="definition"),
        pytest.param(lambda d: Documents(d.definition, None, d.mappings), id="people"),
        pytest.param(
            lambda d: Documents(d.definition, d.people, {**d.mappings, "hubspot": None}),
            id="mapping",
        ),
    ],
)
def test_what_a_broken_file_might_hold_is_not_reported_in_the_others(unread) -> None:
    """`parse` reports its own mistakes."""
    assert problems(unread(documents())) == []


def test_every_column_of_the_answer_can_be_written() -> None:
    """But the moment of the run: it would rewrite every record every time."""
    definition = documents().definition.model
    types = {"text": "string", "integer": "int64", "boolean": "boolean"}
    fields = {"email": "text", "industry": "text", "employees": "integer", "bounced": "boolean"}
    fields |= ENRICHED_FIELDS
    made = lifecycle(
        ibis.table(
            {"person_id": "string", "created_at": "timestamp(6)"}
            | {name: types[type] for name, type in fields.items()},
            "people",
        ),
        ibis.table({"person_id": "string", "field": "string", "since": "timestamp(6)"}, "since"),
        ibis.table(
            {
                "event_id": "string",
                "person_id": "string",
                "kind": "string",
                "at": "timestamp(6)",
                "duplicate_of": "string",
            },
            "events",
        ),
        definition,
        as_of=DAY,
        materialize=lambda name, table: ibis.table(table.schema(), name),
    )

    kinds = {"string": "text", "float64": "number", "int64": "integer", "boolean": "boolean"}
    columns = {
        name: kinds.get(str(type).removeprefix("!"), "datetime" if type.is_timestamp() else type)
        for name, type in made.lifecycle.schema().items()
        if name != "as_of"
    }
    assert columns == {name: answer.type for name, answer in lifecycle_columns(definition).items()}


# --- against an account -----------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    documents: Documents


def fields(*of: Field | str) -> dict[str, Field]:
    listed = [Field(one, "text") if isinstance(one, str) else one for one in of]
    return {field.name: field for field in listed}


STAGES = ("subscriber", "lead", "salesqualifiedlead", "customer", "other")

HUBSPOT: Catalog = {
    "contacts": fields(
        *("id", "createdAt", "updatedAt", "archived", "email", "industry", "salesforceleadid"),
        Field("numberofemployees", "number"),
        Field("hs_email_bounce", "number"),
        Field("lifecyclestage", "text", options=STAGES),
        Field("our_score", "number"),
    ),
    "emails": fields(
        *("id", "associated_contacts", "hs_timestamp"),
        Field("hs_email_status", "text", options=("SENT", "BOUNCED")),
    ),
    "visits": fields("id", "email", "occurredAt"),
}
SALESFORCE: Catalog = {
    "Lead": fields(
        *("Id", "CreatedDate", "SystemModstamp", "IsDeleted", "Email", "CompanyId", "Standing__c")
    ),
    "Account": fields("Id", "Industry"),
    "LeadHistory": fields("Id", "LeadId", "Field", "CreatedDate", "OldValue", "NewValue"),
    "Task": fields("Id", "WhoId", "Type", "Outcome__c", "ActivityDate"),
    "Deal": fields("Id", "LeadId", "CloseDate"),
}


STANDING = Field("Standing__c", "text", options=("lead", "sql"))


def having(catalog: Catalog, object: str, field: Field) -> Catalog:
    """The same account with one field of another make."""
    return {**catalog, object: {**catalog[object], field.name: field}}


def lacking(catalog: Catalog, object: str, field: str | None = None) -> Catalog:
    """The same account without an object, or without one of its fields."""
    left = {name: one for name, one in catalog[object].items() if name != field}
    rest = {name: one for name, one in catalog.items() if name != object}
    return rest if field is None else {**rest, object: left}


def in_account(crm: str, catalog: Catalog, *changes: Replacement) -> list[str]:
    return [str(one) for one in check_catalog(Read(documents(*changes)), crm, catalog)]


@pytest.mark.parametrize(("crm", "catalog"), [("hubspot", HUBSPOT), ("salesforce", SALESFORCE)])
def test_an_account_that_has_it_all_has_no_problem(crm: str, catalog: Catalog) -> None:
    """Not one."""
    assert in_account(crm, catalog) == []


HIDDEN = "(Or the integration user cannot see it.)"


@pytest.mark.parametrize(
    ("catalog", "change", "said"),
    [
        pytest.param(
            HUBSPOT,
            ("hubspot", "field: numberofemployees", "field: numberofemploees"),
            "hubspot.yaml:6: contacts has no field `numberofemploees`: "
            f"did you mean `numberofemployees`? {HIDDEN}",
            id="field",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "{hs_email_status: SENT}", "{hs_email_state: SENT}"),
            "hubspot.yaml:15: emails has no field `hs_email_state`: "
            f"did you mean `hs_email_status`? {HIDDEN}",
            id="column of a rule",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "at: occurredAt", "at: occuredAt"),
            "hubspot.yaml:16: visits has no field `occuredAt`: "
            f"did you mean `occurredAt`? {HIDDEN}",
            id="instant of a rule",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "associated_contacts: contacts", "asociated_contacts: contacts"),
            "hubspot.yaml:12: emails has no field `asociated_contacts`: "
            f"did you mean `associated_contacts`? {HIDDEN}",
            id="column that names people",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "salesforceleadid:", "salesforceleedid:"),
            "hubspot.yaml:10: contacts has no field `salesforceleedid`: "
            f"did you mean `salesforceleadid`? {HIDDEN}",
            id="link",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "deleted: archived", "deleted: achived"),
            f"hubspot.yaml:1: contacts has no field `achived`: did you mean `archived`? {HIDDEN}",
            id="column of every object",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "links:", "    additional_emails: more_email\nlinks:"),
            f"hubspot.yaml:9: contacts has no field `more_email`: did you mean `email`? {HIDDEN}",
            id="more addresses",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "our_score:", "or_score:"),
            "hubspot.yaml:22: contacts has no field `or_score`: "
            f"did you mean `our_score`? {HIDDEN}",
            id="written field",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "sql: salesqualifiedlead", "sql: [salesqualifiedlead, oter]"),
            "hubspot.yaml:21: `lifecyclestage` has no option `oter`: did you mean `other`?",
            id="option",
        ),
        pytest.param(
            HUBSPOT,
            ("hubspot", "from: score, min_change: 5", "from: reasons"),
            "hubspot.yaml:22: `our_score` is of type number: `reasons` (text) does not fit",
            id="text into a number",
        ),
        pytest.param(
            lacking(HUBSPOT, "visits"),
            ("hubspot", "min_change: 5", "min_change: 6"),
            "hubspot.yaml:16: this account has no object `visits` (there is: contacts, emails) "
            f"{HIDDEN}",
            id="object of a rule",
        ),
        pytest.param(
            having(HUBSPOT, "contacts", Field("our_score", "number", writable=False)),
            ("hubspot", "min_change: 5", "min_change: 6"),
            "hubspot.yaml:22: `our_score` is read-only: write another field, or delete this line",
            id="field that can only be read",
        ),
        pytest.param(
            having(HUBSPOT, "contacts", Field("our_score", "text", options=("ok", "high"))),
            ("hubspot", "from: score, min_change: 5", "from: pressure"),
            "hubspot.yaml:22: `our_score` has no option `stop`: add it there, or a word to values",
            id="word written unchanged into a restricted list",
        ),
        pytest.param(
            having(HUBSPOT, "contacts", Field("our_score", "text", max_length=3)),
            ("hubspot", "from: score, min_change: 5", "from: pressure, values: {stop: end}"),
            "hubspot.yaml:22: `our_score` takes 3 characters: `high` is longer",
            id="word that would lose its end",
        ),
    ],
)
def test_what_hubspot_does_not_have_is_reported(
    catalog: Catalog, change: Replacement, said: str
) -> None:
    """With file, line and the nearest word."""
    assert in_account("hubspot", catalog, change) == [said]


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        pytest.param(lacking(SALESFORCE, "Deal"), None, id="optional object"),
        pytest.param(lacking(SALESFORCE, "Task", "Outcome__c"), None, id="optional rule"),
        pytest.param(lacking(SALESFORCE, "LeadHistory"), None, id="optional history"),
        pytest.param(lacking(SALESFORCE, "Lead", "Standing__c"), None, id="optional write"),
        pytest.param(
            lacking(SALESFORCE, "Account"),
            "salesforce.yaml:7: this account has no object `Account` "
            f"(there is: Lead, LeadHistory, Task, Deal) {HIDDEN}",
            id="parent",
        ),
        pytest.param(
            lacking(SALESFORCE, "Account", "Industry"),
            f"salesforce.yaml:4: Account has no field `Industry` (there is: Id) {HIDDEN}",
            id="column of a parent",
        ),
        pytest.param(
            lacking(SALESFORCE, "Lead", "CompanyId"),
            "salesforce.yaml:7: Lead has no field `CompanyId` (there is: Id, CreatedDate, "
            f"SystemModstamp, IsDeleted, Email, Standing__c) {HIDDEN}",
            id="column that leads to the parent",
        ),
        pytest.param(
            lacking(SALESFORCE, "LeadHistory", "Field"),
            "salesforce.yaml:5: LeadHistory has no field `Field` "
            f"(there is: Id, LeadId, CreatedDate, OldValue, NewValue) {HIDDEN}",
            id="column of the history",
        ),
    ],
)
def test_what_salesforce_does_not_have_is_reported_unless_optional(
    catalog: Catalog, said: str | None
) -> None:
    """What is optional the run does without."""
    assert in_account("salesforce", catalog) == ([said] if said else [])


@pytest.mark.parametrize(
    ("crm", "catalog", "change"),
    [
        pytest.param("hubspot", HUBSPOT, ("hubspot", "from: score", "from: scroe"), id="column"),
        pytest.param(
            "salesforce",
            SALESFORCE,
            ("salesforce", "Company.Industry", "Compny.Industry"),
            id="parent",
        ),
        pytest.param(
            "hubspot",
            HUBSPOT,
            ("hubspot", "salesforceleadid:", "contact.salesforceleadid:"),
            id="record type",
        ),
    ],
)
def test_what_is_wrong_without_an_account_is_not_told_twice(
    crm: str, catalog: Catalog, change: Replacement
) -> None:
    """The files were checked before anybody logged in."""
    assert in_account(crm, catalog, change) == []


def test_an_optional_field_may_be_missing() -> None:
    """The run does without and says so."""
    change = ("hubspot", "{field: numberofemployees}", "{field: staff, optional: true}")

    assert in_account("hubspot", HUBSPOT, change) == []


def test_words_for_every_stage_fit_a_field_of_any_type() -> None:
    """They are in the CRM's own spelling."""
    stage = having(HUBSPOT, "contacts", Field("lifecyclestage", "number"))

    assert in_account("hubspot", stage) == []


def test_a_history_in_the_records_own_answer_needs_no_columns() -> None:
    """Its fields are those of the record."""
    columns = "record: id, field: property, at: timestamp, value: value"
    history = f"    history: {{object: contacts_history, {columns}}}\nlinks:"
    catalog = {**HUBSPOT, "contacts_history": fields("email")}

    assert in_account("hubspot", catalog, ("hubspot", "links:", history)) == []


def test_an_account_cannot_be_judged_by_a_broken_mapping() -> None:
    """Its own mistakes come first."""
    whole = documents()
    broken = Documents(whole.definition, whole.people, {**whole.mappings, "hubspot": None})

    assert check_catalog(Read(broken), "hubspot", HUBSPOT) == []


@pytest.mark.parametrize(
    ("crm", "catalog", "change", "said"),
    [
        pytest.param(
            "hubspot",
            HUBSPOT,
            ("hubspot", "hs_email_status: SENT", "hs_email_status: [sent, BOUNCD]"),
            "hubspot.yaml:15: `hs_email_status` has no option `BOUNCD`: did you mean `BOUNCED`?",
            id="word that a rule looks for",
        ),
        pytest.param(
            "hubspot",
            having(HUBSPOT, "contacts", Field("industry", "text", options=("RETAIL",))),
            ("hubspot", "industry:  industry", "industry:  {field: industry, values: {RETAL: x}}"),
            "hubspot.yaml:7: `industry` has no option `RETAL`: did you mean `RETAIL`?",
            id="word that is translated",
        ),
        pytest.param(
            "salesforce",
            having(SALESFORCE, "Lead", replace(STANDING, restricted=False)),
            ("salesforce", "from: standing", "from: pressure, values: {ok: lead, high: sql}"),
            "salesforce.yaml:17: `Standing__c` has no option `stop`: "
            "add it there, or a word to values",
            id="word written into an open list",
        ),
    ],
)
def test_words_that_are_no_options_are_doubted(
    crm: str, catalog: Catalog, change: Replacement, said: str
) -> None:
    """Runs go on: old records may hold them, and some lists take any text."""
    warnings = catalog_warnings(Read(documents(change)), crm, catalog)

    assert [(str(one), one.is_warning) for one in warnings] == [(said, True)]


def test_words_for_a_field_that_the_account_lacks_are_not_doubted() -> None:
    """There is nothing to hold them against."""
    changed = documents(
        ("salesforce", "email: Email", "email: {field: Mail, values: {a: b}}"),
        ("salesforce", "Type: Demo", "Kind: Demo"),
    )

    assert catalog_warnings(Read(changed), "salesforce", SALESFORCE) == []
