"""The guard: which limits it accepts, and which plans it stops."""

from types import SimpleNamespace

import ibis
import pyarrow as pa
import pytest

from config.loader import load_configuration
from errors import ConfigError
from transforms.planning.crm_agreement import stage_fields
from writeback.guard import Limits, check_plan, load_limits

LIVE = 100


def limits(changed: float = 0.5, demoted: float = 0.1, records: int = 50) -> Limits:
    """Limits with the defaults of the settings."""
    result = Limits()
    result.max_changed_ratio, result.max_demoted_ratio = changed, demoted
    result.min_records = records
    return result


CHANGES = pa.schema(
    [(name, pa.string()) for name in ("crm", "object", "record_id", "field", "before")]
    + [("backward", pa.bool_())]
)
STATUSES = pa.schema([("crm", pa.string()), ("record_id", pa.string())])


@pytest.fixture(scope="module")
def mappings():
    return {"hubspot": load_configuration().mappings["hubspot"]}


@pytest.fixture
def check(mappings):
    """Check a plan that replaces the stage of some records of HubSpot and demotes some of them."""

    def checked(replaced=0, demoted=0, *, live=LIVE, field=None, before="lead", written=True):
        changes = [
            {
                "crm": "hubspot",
                "object": "contacts",
                "record_id": str(number),
                "field": field or next(iter(stage_fields(mappings["hubspot"]))),
                "before": before,
                "backward": number < demoted,
            }
            for number in range(replaced)
        ]
        statuses = [{"crm": "hubspot", "record_id": str(number)} for number in range(live)]
        plan = SimpleNamespace(
            changes=ibis.memtable(pa.Table.from_pylist(changes, schema=CHANGES)),
            record_statuses=ibis.memtable(pa.Table.from_pylist(statuses, schema=STATUSES)),
        )
        crms = frozenset({"hubspot"} if written else ())
        [result] = check_plan(plan, mappings, limits=limits(), written_crms=crms)
        return result

    return checked


@pytest.mark.parametrize(
    ("replaced", "demoted", "is_stopped"),
    [
        pytest.param(50, 0, False, id="half of the stages are replaced"),
        pytest.param(51, 0, True, id="more than half are replaced"),
        pytest.param(10, 10, False, id="a tenth is demoted"),
        pytest.param(11, 11, True, id="more than a tenth is demoted"),
    ],
)
def test_the_guard_stops_a_plan_above_a_limit_and_passes_one_at_it(
    check, replaced, demoted, is_stopped
):
    """Of 100 live records: 50 % may be replaced, 10 % demoted."""
    result = check(replaced, demoted)

    assert result.is_stopped == is_stopped
    assert (result.records, result.replaced, result.demoted) == (LIVE, replaced, demoted)


def test_the_guard_says_which_limit_stopped_the_plan(check):
    """The share that was exceeded stands in the summary."""
    assert check(51).summary.endswith("more than 50% would be replaced")
    assert check(11, 11).summary.endswith("more than 10% would move down")


@pytest.mark.parametrize(("live", "is_stopped"), [(49, False), (50, True)])
def test_a_crm_with_few_records_is_not_checked(check, live, is_stopped):
    """Below GUARD__MIN_RECORDS a few people are a large share."""
    assert check(live, live=live).is_stopped == is_stopped


def test_filling_empty_stages_is_not_replacing(check):
    """No value is lost."""
    assert not check(LIVE, before=None).is_stopped


def test_fields_without_a_stage_do_not_count(check):
    """A score may change on every record."""
    assert check(LIVE, field="onefunnel_score").replaced == 0


def test_the_first_run_into_a_crm_is_not_stopped(check):
    """It replaces most values."""
    assert not check(LIVE, written=False).is_stopped


def test_the_limits_have_defaults() -> None:
    """Half of the records replaced, a tenth of them demoted."""
    loaded = load_limits()

    assert (loaded.max_changed_ratio, loaded.max_demoted_ratio) == (
        Limits.max_changed_ratio,
        Limits.max_demoted_ratio,
    )


@pytest.mark.parametrize("name", ["GUARD__MAX_CHANGED_RATIO", "GUARD__MAX_DEMOTED_RATIO"])
@pytest.mark.parametrize("text", ["50", "-0.1", "nan", "half"])
def test_a_limit_outside_0_to_1_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 would never stop a plan; who writes it means 50 %."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError, match=name):
        load_limits()
