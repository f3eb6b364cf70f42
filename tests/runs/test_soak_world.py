"""A few days of `make soak-world`: what the world does, and that its checker sees faults."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
import requests

from sandbox.server import running
from world_soak.checker import Checker, Records, Violation
from world_soak.happenings import HAPPENINGS, World, regain_sight, remove
from world_soak.loop import live

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.long
def test_a_few_days_violate_nothing() -> None:
    """Sight is lost; then all kinds of things happen, and the run is killed."""
    days = ["nothing_happens", "token_loses_sight", "several_at_once"]
    assert live(3, 25, days, kills=[2]) == []


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_happens_leaves_both_crms_readable(happening: str) -> None:
    """And what is hidden comes back as it was."""
    with running(people=25, seed=3, now=NOW, rate_limits=False) as sandbox:
        world = World(sandbox, Random(1), NOW)
        HAPPENINGS[happening](world)
        before = world.records()
        hidden = len(world.hidden)
        regain_sight(world)
        assert len(world.records()) == len(before) + hidden


CONTACT, MATE = ("contacts", "1"), ("Contact", "003")
HELD: Records = {
    CONTACT: {"lifecyclestage": "customer", "salesforcecontactid": "003", "jobtitle": "Head"},
    MATE: {"Lifecycle_Stage__c": "Customer"},
}


def changed(key: tuple[str, str], **values: Any) -> Records:
    return HELD | {key: HELD[key] | values}


@pytest.mark.parametrize(
    ("after", "rules"),
    [
        pytest.param(HELD, [], id="nothing"),
        pytest.param(
            changed(CONTACT, jobtitle=""), ["a field of others was changed"], id="a field of others"
        ),
        pytest.param(
            changed(MATE, Lifecycle_Stage__c="Lead"),
            ["a customer was moved down", "the CRMs disagree"],
            id="a final stage",
        ),
        pytest.param(
            changed(CONTACT, lifecyclestage=""),
            ["the stage was emptied", "the CRMs disagree"],
            id="an emptied stage",
        ),
        pytest.param({MATE: HELD[MATE]}, ["a record was made or removed"], id="a removed record"),
    ],
)
def test_the_checker_sees(after: Records, rules: list[str]) -> None:
    with running(people=1, seed=3, now=NOW, rate_limits=False) as sandbox:
        world = World(sandbox, Random(1), NOW)
        checker = Checker(customers=set(HELD))
        found = [
            *checker.after_run(world, HELD, after, is_first=False),
            *checker.after_finished_run(world, HELD, after),
        ]
    assert [one.rule for one in found] == rules


def test_the_checker_sees_what_is_written_while_a_record_is_out_of_sight() -> None:
    """The contact is hidden, the record of the same person in the other CRM is written."""
    with running(people=25, seed=3, now=NOW, rate_limits=False) as sandbox:
        world = World(sandbox, Random(1), NOW)
        key, mate = next(
            (("contacts", str(one.id)), ("Contact", one.properties["salesforcecontactid"]))
            for one in sandbox.hubspot.tables["contacts"].all_live()
            if one.properties.get("salesforcecontactid")
        )
        world.hidden[key] = remove(world, key)
        before = world.records()
        after = before | {mate: before[mate] | {"onefunnel_score__c": 99}}
        found = list(Checker().after_run(world, before, after, is_first=False))
    rule = "written while a record of the person is out of sight"
    assert found == [Violation(mate, rule, "onefunnel_score__c")]


def test_a_refused_run_may_write_nothing() -> None:
    after = changed(MATE, Lifecycle_Stage__c="Lead")
    found = list(Checker().after_refusal(HELD, after))
    assert found == [Violation(MATE, "a refused run wrote", "Lifecycle_Stage__c")]


def test_a_call_that_writes_an_erased_record_is_seen() -> None:
    """Though the CRM answers that there is no such record."""
    with running(people=25, seed=3, now=NOW, rate_limits=False) as sandbox:
        world = World(sandbox, Random(1), NOW)
        world.reset_faults()
        [key] = world.some("contacts")
        remove(world, key)
        world.erased.add(key)
        requests.post(
            f"{sandbox.url}/crm/v3/objects/contacts/batch/update",
            json={"inputs": [{"id": key[1], "properties": {"onefunnel_score": "1"}}]},
            headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
            timeout=10,
        )
        records = world.records()
        found = list(Checker().after_run(world, records, records, is_first=False))
    assert found == [Violation(key, "an erased record was written")]
