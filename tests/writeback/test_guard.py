"""The guard: which limits it accepts, and which plans it stops."""

import ibis
import pyarrow as pa
import pytest

from config.loader import load_configuration
from errors import ConfigError
from transforms.identity.known_records import KNOWN_RECORDS
from transforms.planning.crm_agreement import stage_fields
from transforms.planning.foreign import with_foreign
from transforms.planning.harm import harm
from writeback.guard import FieldCount, Limits, check_plan, load_limits

KNOWN = 100
TEXTS = ("crm", "object", "record_id", "field", "before", "crm_value")
CHANGES = pa.schema(
    [(name, pa.string()) for name in TEXTS] + [("backward", pa.bool_()), ("is_foreign", pa.bool_())]
)
RECORDS = pa.schema(
    [(name, pa.string()) for name in ("crm", "object", "record_id")] + [("deleted", pa.bool_())]
)


def table(rows, schema):
    return ibis.memtable(pa.Table.from_pylist(rows, schema=schema))


def record(number, **more):
    return {"crm": "hubspot", "object": "contacts", "record_id": str(number)} | more


def known(number, **more):
    """What is known of one record."""
    return record(number, is_missing=False, vanished_at=None) | more


@pytest.fixture(scope="module")
def mappings():
    return {"hubspot": load_configuration().mappings["hubspot"]}


@pytest.fixture
def check(mappings):
    """Check a plan for HubSpot: some stages replaced, some of them down; some values overwritten.

    `before` records were known, `vanished` of them are out of sight, and `new` ones came.
    """
    stage = next(iter(stage_fields(mappings["hubspot"])))

    def checked(
        replaced=0,
        demoted=0,
        *,
        overwritten=0,
        filled=KNOWN,
        before=KNOWN,
        vanished=0,
        new=0,
        empty=False,
        written=True,
        behind=False,
        first=False,
        name="onefunnel_reasons",
    ):
        changes = [
            record(
                number,
                field=stage,
                before=None if empty else "lead",
                backward=number < demoted,
                is_foreign=False,
            )
            for number in range(replaced)
        ]
        changes += [
            record(number, field=name, before="theirs", backward=False, is_foreign=True)
            for number in range(overwritten)
        ]
        seen = [*range(vanished, before), *(-1 - number for number in range(new))]
        gone = pa.scalar(0, pa.timestamp("us")).as_py()
        written_fields = mappings["hubspot"].write["contacts"]
        landed = [
            {"id": str(number)}
            | {
                field: "x" if field == name and number < filled else None
                for field in written_fields
            }
            for number in range(before)
        ]
        columns = pa.schema([(column, pa.string()) for column in ("id", *written_fields)])
        counts = harm(
            table(changes, CHANGES),
            table([record(number, deleted=False) for number in seen], RECORDS),
            table([known(number) for number in range(before)], KNOWN_RECORDS.to_pyarrow()),
            table(
                [known(number, vanished_at=gone) for number in range(vanished)],
                KNOWN_RECORDS.to_pyarrow(),
            ),
            {"hubspot": {"contacts": table(landed, columns)}},
            mappings,
        )
        [result] = check_plan(
            counts,
            table(changes, CHANGES),
            mappings,
            limits=Limits(),
            written_crms=frozenset({"hubspot"} if written else ()),
            behind={"hubspot": "it is behind"} if behind else {},
            first=first,
        )
        return result

    return checked


@pytest.mark.parametrize(
    ("plan", "is_stopped"),
    [
        pytest.param({"replaced": 50}, False, id="half of the stages are replaced"),
        pytest.param({"replaced": 51}, True, id="more than half are replaced"),
        pytest.param({"replaced": 10, "demoted": 10}, False, id="a tenth is demoted"),
        pytest.param({"replaced": 11, "demoted": 11}, True, id="more than a tenth is demoted"),
        pytest.param({"overwritten": 10}, False, id="a tenth of a field's values is lost"),
        pytest.param({"overwritten": 11}, True, id="more than a tenth is lost"),
        pytest.param({"vanished": 5}, False, id="a twentieth vanished"),
        pytest.param({"vanished": 6}, True, id="more than a twentieth vanished"),
    ],
)
def test_the_guard_stops_a_plan_above_a_limit_and_passes_one_at_it(check, plan, is_stopped):
    """Of 100 known records, and of 100 values of a field."""
    assert check(**plan).is_stopped == is_stopped


def test_the_guard_counts_each_kind_of_harm(check):
    """The result has the counts that the report shows."""
    result = check(30, 10, overwritten=7, filled=80, vanished=2)

    assert (result.records, result.replaced, result.promoted, result.demoted) == (100, 30, 20, 10)
    assert (result.vanished, result.overwritten) == (
        2,
        (FieldCount("onefunnel_reasons", 78, 7),),
    )


@pytest.mark.parametrize(
    ("filled", "overwritten", "is_stopped"),
    [
        pytest.param(34, 34, True, id="all of a field that few records fill"),
        pytest.param(34, 5, False, id="as many as a tenth of the smallest number"),
        pytest.param(34, 6, True, id="one more"),
        pytest.param(1, 1, False, id="the only value"),
    ],
)
def test_a_share_of_values_is_of_those_the_field_has(check, filled, overwritten, is_stopped):
    """One wrong line that replaces 34 of 34 phone numbers is seen, one value is no share."""
    assert check(filled=filled, overwritten=overwritten).is_stopped == is_stopped


def test_many_new_records_do_not_make_a_share_smaller(check):
    """The 1,000 records that came last night were not known."""
    assert check(11, 11, new=1000).is_stopped


def test_records_out_of_sight_do_not_make_a_share_larger(check):
    """Of 100 known records 4 vanished: 10 of 100 move down, not 10 of 96."""
    assert not check(10, 10, vanished=4).is_stopped


@pytest.mark.parametrize(("before", "is_stopped"), [(49, False), (50, True)])
def test_a_crm_of_which_few_records_were_known_is_not_checked(check, before, is_stopped):
    """Below GUARD__MIN_RECORDS a few people are a large share."""
    assert check(before, before=before).is_stopped == is_stopped


def test_a_pull_that_sees_few_of_many_known_records_is_checked(check):
    """What counts is how many were known: 95 of 100 are out of sight."""
    assert check(vanished=95).is_stopped


def test_the_guard_says_which_limits_stopped_the_plan(check):
    """Each share that was exceeded stands in the summary."""
    summary = check(51, 11, overwritten=11, vanished=6).summary

    assert "more than 50% of the stages would be replaced" in summary
    assert "more than 10% of the records would move down" in summary
    assert "more than 5% of the known records vanished" in summary
    assert "more than 10% of the values of onefunnel_reasons that onefunnel did not" in summary


def test_filling_empty_stages_is_not_replacing(check):
    """No value is lost."""
    assert not check(KNOWN, empty=True).is_stopped


@pytest.mark.parametrize(
    ("plan", "is_stopped"),
    [
        pytest.param({"replaced": 1}, True, id="one change"),
        pytest.param({"replaced": 1, "before": 1}, True, id="in a small CRM"),
        pytest.param({"replaced": 1, "first": True}, False, id="allowed"),
        pytest.param({"replaced": KNOWN, "first": True}, False, id="allowed, however many"),
        pytest.param({}, True, id="nothing to write, and values of unknown origin"),
        pytest.param({"filled": 0}, False, id="nothing to write, and no value"),
        pytest.param({"replaced": 1, "written": True}, False, id="a run has written before"),
    ],
)
def test_the_first_write_into_a_crm_needs_a_yes(check, plan, is_stopped):
    """So does every write of a warehouse that lost its journal: it looks the same."""
    result = check(**({"written": False} | plan))

    assert result.is_stopped == is_stopped


def test_the_first_write_says_what_may_be_wrong(check):
    """The number of values that stand in the fields, and both ways on."""
    summary = check(1, filled=80, written=False).summary

    assert "knows of no write into HubSpot, where 80 values" in summary
    assert "run --first" in summary


def test_first_lifts_no_limit_of_a_crm_that_was_written_before(check):
    """A scheduler with `--first` is guarded from the second run on."""
    assert check(51, first=True).is_stopped


@pytest.mark.parametrize(
    ("attempt", "is_foreign"),
    [
        pytest.param({}, False, id="a run wrote it"),
        pytest.param({"status": "unknown"}, False, id="a run may have written it"),
        pytest.param({"after": "other"}, True, id="a run wrote another value"),
        pytest.param({"record_id": "2"}, True, id="into another record"),
        pytest.param({"status": "quarantined"}, True, id="the CRM refused it"),
        pytest.param({"reason": "undo of 1"}, True, id="an undo put it back"),
    ],
)
def test_a_value_is_foreign_unless_a_run_wrote_it(attempt, is_foreign):
    """The journal has what runs wrote."""
    change = record(1, field="phone", before="1", crm_value="1")
    sent = record(1, field="phone", after="1", status="written", reason="stage") | attempt
    changes = table([change], pa.schema([(name, pa.string()) for name in TEXTS]))
    attempts = table([sent, sent], pa.schema([(name, pa.string()) for name in sent]))

    [row] = with_foreign(changes, attempts).to_pyarrow().to_pylist()
    assert row["is_foreign"] == is_foreign


def test_an_empty_field_holds_nothing_foreign():
    """Filling it takes nothing away."""
    change = record(1, field="phone", before=None, crm_value=None)
    changes = table([change], pa.schema([(name, pa.string()) for name in TEXTS]))
    columns = ("crm", "object", "record_id", "field", "after", "status", "reason")
    attempts = table([], pa.schema([(name, pa.string()) for name in columns]))

    [row] = with_foreign(changes, attempts).to_pyarrow().to_pylist()
    assert not row["is_foreign"]


def test_the_limits_have_defaults() -> None:
    """Half of the stages replaced, a tenth down, a tenth of the values, a twentieth vanished."""
    loaded = load_limits()

    assert (loaded.max_changed_ratio, loaded.max_demoted_ratio) == (0.5, 0.1)
    assert (loaded.max_overwritten_ratio, loaded.max_vanished_ratio) == (0.1, 0.05)


@pytest.mark.parametrize(
    "name",
    [
        "GUARD__MAX_CHANGED_RATIO",
        "GUARD__MAX_DEMOTED_RATIO",
        "GUARD__MAX_OVERWRITTEN_RATIO",
        "GUARD__MAX_VANISHED_RATIO",
    ],
)
@pytest.mark.parametrize("text", ["50", "-0.1", "nan", "half"])
def test_a_limit_outside_0_to_1_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 would never stop a plan; who writes it means 50 %."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError, match=name):
        load_limits()


def test_a_warehouse_that_is_behind_needs_a_persons_yes(check):
    """However few values are concerned; `--first` is the yes, and nothing to write needs none."""
    plan = {"before": 3, "replaced": 1, "behind": True}

    assert check(**plan).stop_reason == "it is behind"
    assert not check(**plan, first=True).is_stopped
    assert not check(**plan | {"replaced": 0}).is_stopped
