"""What another definition would change, compared with the reference implementation."""

import json
import re
import sys
from collections import Counter, defaultdict
from datetime import timedelta

import pytest

import synthetic_worlds
from analysis.definition_diff import FOLLOW_UP_WEEKS, diff_definitions
from cli.render import html
from errors import ConfigError
from reference_implementation import referee
from synthetic_worlds import NOW, RULES, named_definition

WORLD = synthetic_worlds.generate_tables(150, seed=4, base_rate=0.06)


def rules_with(*, gte):
    """The world's rules with another threshold of the score."""
    text = json.dumps(RULES["stages"]).replace('"gte": 25', f'"gte": {gte}')
    return {"stages": json.loads(text)}


OTHER = rules_with(gte=8)
FEWER_POINTS = {"events": {**RULES["events"], "webinar": {"points": 1, "channel": "event"}}}


def compared(**changed):
    with synthetic_worlds.synthetic_warehouse(WORLD) as warehouse:
        return diff_definitions(
            warehouse,
            named_definition(),
            named_definition("other.yaml", **changed),
            on_progress=lambda _: None,
        )


@pytest.fixture(scope="module")
def result():
    return compared(**OTHER)


def judged(rules):
    """What the referee says of everybody: rows by person, and the stage history."""
    rows, history = referee(rules, WORLD.people, WORLD.field_since, WORLD.events, NOW)
    return {row["person_id"]: row for row in rows}, history


OURS, OUR_HISTORY = judged(RULES)
THEIRS, _ = judged(RULES | OTHER)


def place(row):
    return row["stage"], row["status"]


def test_who_moves_equals_a_plain_count(result):
    """A person moves whose stage or status differs; each from where to where."""
    moves = Counter(
        (*place(row), *place(THEIRS[person]))
        for person, row in OURS.items()
        if place(row) != place(THEIRS[person])
    )

    assert result.moved == moves.total() > 0
    assert result.people == len(OURS)
    assert {
        (row["stage"], row["status"], row["stage_to"], row["status_to"]): row["people"]
        for row in result.flows
    } == moves


def test_the_sample_shows_people_who_move_with_both_reasons(result):
    """Each with the records the CRMs know them by, and no address."""
    shown = {row["person_id"]: row for row in result.sample}

    assert shown
    assert {p: (row["reasons"], row["reasons_to"]) for p, row in shown.items()} == {
        p: (OURS[p]["reasons"], THEIRS[p]["reasons"]) for p in shown
    }
    assert all(row["records"] == [f"hubspot:contacts:{p}"] for p, row in shown.items())


def test_follow_ups_a_week_equal_a_plain_count(result):
    """Entries into a stage that asks for one; who enters several at once is followed up once."""
    ranks = [stage["id"] for stage in RULES["stages"]]
    highest = defaultdict(int)
    for row in OUR_HISTORY:
        if row["stage"] != "recycled" and row["entered_at"] > NOW - timedelta(
            weeks=FOLLOW_UP_WEEKS
        ):
            key = row["person_id"], row["entered_at"]
            highest[key] = max(highest[key], ranks.index(row["stage"]))
    hot = sum(rank == ranks.index("hot") for rank in highest.values())

    assert result.follow_ups_per_week[0] == pytest.approx(hot / FOLLOW_UP_WEEKS)
    assert result.follow_ups_per_week[1] > result.follow_ups_per_week[0]


def test_records_to_be_written_anew_equal_a_plain_count():
    """Any written value differs; a score only from its `min_change` on."""
    theirs, _ = judged(RULES | FEWER_POINTS)
    same = ("stage", "standing", "stage_since", "next_action", "reasons")
    anew = [
        p
        for p, row in OURS.items()
        if any(row[name] != theirs[p][name] for name in same)
        or abs(row["score"] - theirs[p]["score"]) >= 5
    ]
    scores = [p for p, row in OURS.items() if abs(row["score"] - theirs[p]["score"]) >= 5]

    result = compared(**FEWER_POINTS)

    [row] = [row for row in result.writes if row["crm"] == "hubspot"]
    assert (row["records"], row["differing"]) == (len(OURS), len(anew))
    assert row["fields"]["onefunnel_score"] == len(scores)
    # to look, to empty, to write, to look again
    assert row["calls"] == 4 * -(-len(anew) // 100)


def test_a_definition_against_itself_moves_nobody():
    """No flow, no sample, nothing to write."""
    result = compared()

    assert (result.moved, result.share, result.flows, result.sample) == (0, 0.0, [], [])
    assert {row["differing"] for row in result.writes} == {0}
    assert result.follow_ups_per_week[0] == result.follow_ups_per_week[1]


def test_the_page_names_nobody_and_fetches_nothing(result, tmp_path):
    """One file that opens offline, with the figures and without a person."""
    path = tmp_path / "page.html"

    html.difference_page(result, path)

    text = path.read_text()
    ours = text[text.index("<main>") : text.index("</main>")]
    assert f"people change stage, of {result.people}" in ours
    assert not re.search(r"\bp\d+\b|hubspot:contacts:|@", ours)
    assert not re.search(r"<(script|link)[^>]*\s(src|href)=", text)


@pytest.mark.parametrize("module", ["altair", "vl_convert", "jinja2"])
def test_a_missing_package_names_the_extra(result, tmp_path, monkeypatch, module):
    """The message says which command installs it."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigError, match="make report"):
        html.difference_page(result, tmp_path / "page.html")
