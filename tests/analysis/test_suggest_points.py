"""Points fitted to the history: the planted effect is found, tested on later months, as a diff."""

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

import synthetic_worlds
from analysis.fit_points import SnapshotMatrix, holdout_metrics
from analysis.month_end_snapshots import NamedDefinition
from analysis.suggest_points import (
    HoldoutMetrics,
    split_month_ends,
    suggest,
)
from config.definition import Definition
from config.yaml_document import parse
from errors import ConfigError
from synthetic_worlds import RULES, WITHIN_DAYS

TEXT = """\
# who is who
version: "1"
events:
  visit:   {points: 2,  channel: web, max_per_day: 2}   # looks around
  paper:   {points: 20, channel: web}
  webinar: {channel: event}
  reply:
    channel: email    # answers
    direction: two_way
  mail: {channel: email, direction: outbound}
  won: {direction: internal}
score:
  half_life_days: 30
stages:
  - {id: known, action: wait}
  - {id: hot, action: call, enter: {score: total, gte: 15}}   # call them
  - {id: buyer, final: true, enter: {event: won}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "lifecycle.yaml"
    path.write_text(TEXT)
    document, problems = parse(TEXT, Definition, file=path.as_posix())
    assert not problems
    documents = replace(synthetic_worlds.CONFIGURATION.documents, definition=document)
    whole = replace(synthetic_worlds.CONFIGURATION, definition=document.model, documents=documents)
    return NamedDefinition("lifecycle.yaml", whole)


def suggested(ours, world, months=9):
    with synthetic_worlds.synthetic_warehouse(world) as warehouse:
        return suggest(
            warehouse, ours, within_days=WITHIN_DAYS, months=months, on_progress=lambda _: None
        )


@pytest.fixture(scope="module")
def found(ours):
    return suggested(ours, synthetic_worlds.generate_tables(3000, months=12))


def test_what_makes_people_buy_gets_the_points(found):
    """Webinars triple the chance of buying, papers do nothing: today papers have the points."""
    after = {change.parameter: change.after for change in found.changes}

    assert after["webinar"] > 3 * max(after["paper"], 1)


def test_the_gain_is_measured_on_months_it_was_not_fitted_to(found):
    """All outcomes of the earlier months are settled when the first later one begins."""
    assert max(found.train_month_ends) < min(found.test_month_ends)
    assert (min(found.test_month_ends) - max(found.train_month_ends)).days >= WITHIN_DAYS
    assert found.after.average_precision > found.before.average_precision
    assert found.after.precision > found.before.precision


def test_the_diff_changes_numbers_and_keeps_every_comment(found, ours):
    """Applied, it is the definition with the suggested points, and nothing else is different."""
    edited = ours.configuration.documents.definition.apply_edits(
        TEXT, [(change.place, f"{change.after:g}") for change in found.changes]
    )
    model = Definition.model_validate(YAML(typ="safe", pure=True).load(edited))

    assert all(comment in edited for comment in ("# who is who", "# looks around", "# answers"))
    assert {c.parameter: c.after for c in found.changes if c.place[0] == "events"}.items() <= {
        name: kind.points for name, kind in model.events.items()
    }.items()
    assert found.diff.startswith("--- a/mappings/lifecycle.yaml")
    assert "+  webinar: {points: " in found.diff


def test_nothing_is_applied(found, ours):
    """The file is as it was."""
    assert found.changes
    assert Path(ours.configuration.documents.definition.file).read_text() == TEXT


def test_with_too_few_customers_it_suggests_nothing(ours):
    """It says how many there were, and how many it takes."""
    told = suggested(ours, synthetic_worlds.generate_tables(100, base_rate=0.01))

    assert (told.changes, told.diff) == ((), "")
    assert "too little to learn from" in told.note


@pytest.mark.long
def test_points_that_tell_as_much_already_are_kept(ours):
    """Where fitting gains nothing on the later months there is no diff."""
    text = TEXT.replace("points: 2,", "points: 0,").replace("points: 20", "points: 0")
    text = text.replace("webinar: {", "webinar: {points: 20, ")
    document, _ = parse(text, Definition, file="lifecycle.yaml")
    best = NamedDefinition("lifecycle.yaml", replace(ours.configuration, definition=document.model))

    told = suggested(best, synthetic_worlds.generate_tables(3000, months=12))

    assert told.note == "" or told.diff == ""
    assert told.after.average_precision < 1.1 * told.before.average_precision


def test_months_are_split_with_a_whole_window_between():
    """Of six month ends two are judged by; of the others, those whose window ends before."""
    ends = [datetime(2026, month, 1) for month in range(1, 7)]

    assert split_month_ends(ends, within_days=60) == (ends[:3], ends[4:])
    assert split_month_ends([], within_days=60) == ([], [])


def test_a_gain_equals_a_plain_count():
    """Precision of the highest two of four, and the mean precision at each that bought."""
    part = SnapshotMatrix(
        np.zeros((4, 0)), np.zeros(4), np.array([1.0, 0, 1, 0]), np.ones(4), np.array(list("abcd"))
    )

    assert holdout_metrics(np.array([9.0, 7, 5, 3]), part, 2) == HoldoutMetrics(
        0.5, 0.5, (1 + 2 / 3) / 2
    )
    assert holdout_metrics(np.array([5.0, 5, 5, 5]), part, 2) == HoldoutMetrics(0.5, 0.5, 0.5)


def test_a_definition_without_a_score_has_nothing_to_fit(ours):
    """It says so."""
    stages = [RULES["stages"][0], RULES["stages"][3]]
    plain = Definition.model_validate({**RULES, "stages": stages, "recycled": None})

    told = suggested(
        NamedDefinition("x", replace(ours.configuration, definition=plain)),
        synthetic_worlds.generate_tables(5),
    )

    assert "no score" in told.note


@pytest.mark.parametrize("module", ["numpy", "scipy.optimize"])
def test_a_missing_package_names_the_extra(ours, monkeypatch, module):
    """The message says which command installs it."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigError, match="make report"):
        suggested(ours, synthetic_worlds.generate_tables(5))
