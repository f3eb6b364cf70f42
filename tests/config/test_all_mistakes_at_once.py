"""Every mistake of every file is in one error: one message per mistake, and none that follows."""

import random
from itertools import combinations
from pathlib import Path

import pytest

from config.loader import load_configuration
from config_files import CONFIG_TEXTS, Replacement, config_folder
from errors import ConfigError

Case = tuple[Replacement, str]
"""A changed word, and the message about it."""

CASES: dict[str, Case] = {
    "unknown word": (
        ("lifecycle", "half_life_days: 30", "half_live_days: 30"),
        "lifecycle.yaml:9: unknown word `half_live_days`: did you mean `half_life_days`?",
    ),
    "unknown word that is near none": (
        ("lifecycle", "points: 1, channel", "worth: 1, channel"),
        "lifecycle.yaml:3: unknown word `worth` "
        "(there is: points, channel, direction, max_per_day, activity, touch)",
    ),
    "wrong type": (
        ("lifecycle", "points: 40", "points: lots"),
        "lifecycle.yaml:4: `points` must be a number",
    ),
    "not one of the words": (
        ("lifecycle", "two_way", "sideways"),
        "lifecycle.yaml:5: `direction` cannot be `sideways` "
        "(there is: inbound, two_way, outbound, internal)",
    ),
    "outbound activity": (
        ("lifecycle", "direction: outbound", "direction: outbound, activity: true"),
        "lifecycle.yaml:6: an outbound kind cannot be an activity: "
        "the company acts, not the person",
    ),
    "unknown condition in fit": (
        ("lifecycle", "{field: employees, gte: 50}", "{zzz: 1}"),
        "lifecycle.yaml:11: a condition starts with one of: any, all, event, score, channels, "
        "field, qualified, stage",
    ),
    "empty criterion": (
        ("lifecycle", "{field: industry, known: true}", "{field: industry}"),
        "lifecycle.yaml:14: a field leaf needs a test: is, is_not, in, not_in, known, gt, ...",
    ),
    "missing action": (
        ("lifecycle", "{id: suspect, action: nurture}", "{id: suspect}"),
        "lifecycle.yaml:16: stage suspect needs an action",
    ),
    "unknown kind in a rule": (
        ("lifecycle", "[visit, demo]", "[visit, dmo]"),
        "lifecycle.yaml:19: unknown kind `dmo`: it is not under events; did you mean `demo`?",
    ),
    "impossible value": (
        ("lifecycle", "within_hours: 24", "within_hours: -1"),
        "lifecycle.yaml:22: `within_hours` must be above 0",
    ),
    "never true": (
        ("lifecycle", "{score: total, gte: 50}", "{qualified: 2}"),
        "lifecycle.yaml:26: never true: qualification has 1 criteria",
    ),
    "unknown stage": (
        ("lifecycle", "{stage: lead}", "{stage: leed}"),
        "lifecycle.yaml:27: the rule of stage sql names an unknown stage `leed`: "
        "did you mean `lead`?",
    ),
    "score ends the journey": (
        ("lifecycle", "{event: won}", "{channels: 1}"),
        "lifecycle.yaml:28: the final stage customer takes event and field leaves only",
    ),
    "unknown stage to recycle to": (
        ("lifecycle", "to: lead", "to: led"),
        "lifecycle.yaml:29: recycled.to `led` is not a stage: did you mean `lead`?",
    ),
    "unknown field": (
        ("lifecycle", "field: bounced", "field: bonced"),
        "lifecycle.yaml:30: people.yaml declares no field `bonced`: did you mean `bounced`?",
    ),
    "high below stop, beside a wrong type": (
        (
            "lifecycle",
            "disqualified:",
            "contact: {pressure: {within_days: soon, high: 9, stop: 5}}\ndisqualified:",
        ),
        "lifecycle.yaml:30: `within_days` must be a number\n"
        "lifecycle.yaml:30: high must be below stop",
    ),
    "duplicate key": (
        ("people", "bounced:   {", "industry: text\n  bounced:   {"),
        "people.yaml:5: this word occurs twice here: drop one of the two",
    ),
    "unknown type": (
        ("people", "employees: integer", "employees: intger"),
        "people.yaml:4: `type` cannot be `intger`: did you mean `integer`?",
    ),
    "unknown type that is near none": (
        ("people", "email:     text", "email:     12"),
        "people.yaml:2: `email` must be a section: lines of `word: value`",
    ),
    "unknown CRM": (
        ("people", "[salesforce, hubspot]", "[salesforce, hubsopt]"),
        "people.yaml:3: there is no CRM `hubsopt`: did you mean `hubspot`?",
    ),
    "undeclared field": (
        ("hubspot", "industry:  industry", "industri:  industry"),
        "hubspot.yaml:7: people.yaml declares no field `industri`: did you mean `industry`?",
    ),
    "link to an unknown record type": (
        ("hubspot", "salesforce.Lead", "salesforce.Leed"),
        "hubspot.yaml:10: salesforce has no record type `Leed`: did you mean `Lead`?",
    ),
    "a rule without a person": (
        ("hubspot", "  visits: {person_keys: {email: email}}\n", ""),
        "hubspot.yaml:15: no column of `visits` leads to a person: add person_keys under objects",
    ),
    "a rule of an unknown kind": (
        ("hubspot", "kind: visit", "kind: visti"),
        "hubspot.yaml:16: lifecycle.yaml has no kind `visti`: did you mean `visit`?",
    ),
    "a rule that ignores and counts": (
        ("hubspot", "kind: mail,", "kind: mail, ignore: true,"),
        "hubspot.yaml:15: a rule with `ignore: true` has neither kind nor at",
    ),
    "a word for an unknown stage": (
        ("hubspot", "sql: salesqualifiedlead", "sqll: salesqualifiedlead"),
        "hubspot.yaml:21: `stage` is never `sqll`: did you mean `sql`?",
    ),
    "unknown column": (
        ("hubspot", "from: score", "from: scroe"),
        "hubspot.yaml:22: lifecycle has no column `scroe`: did you mean `score`?",
    ),
    "a list in place of a word": (
        ("salesforce", "email: Email", "email: [Email]"),
        "salesforce.yaml:4: `email` must be a section: lines of `word: value`",
    ),
    "no instant": (
        ("salesforce", "kind: won, at: CloseDate", "kind: won"),
        "salesforce.yaml:14: `at` is missing: the column with the instant of the event",
    ),
    "unknown option of write": (
        ("salesforce", "from: standing", "from: standing, backward: sideways"),
        "salesforce.yaml:17: `backward` cannot be `sideways` (there is: allow, never, clear_first)",
    ),
}


def applies_together(changes: list[Replacement]) -> bool:
    """Whether the words of each change are still there after the others."""
    texts = dict(CONFIG_TEXTS)
    for file, before, after in changes:
        if texts[file].count(before) != 1:
            return False
        texts[file] = texts[file].replace(before, after)
    return True


PAIRS = [
    pair
    for pair in random.Random(8).sample(list(combinations(CASES, 2)), 150)
    if applies_together([CASES[name][0] for name in pair])
]


def reported(folder: Path, *changes: Replacement) -> list[str]:
    """The lines of the error without the line numbers, which move when a case adds a line."""
    with pytest.raises(ConfigError) as error:
        load_configuration(config_folder(folder, *changes))
    return str(error.value).replace(f"{folder.as_posix()}/", "").splitlines()


def without_lines(messages: list[str]) -> list[str]:
    """File and text of each message, sorted."""
    return sorted(
        ":".join([line.split(":")[0], *line.split(":")[2:]]) if line.count(":") > 1 else line
        for line in messages
    )


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_is_one_message(name: str, tmp_path: Path) -> None:
    """Nothing that depends on a wrong word is reported as well."""
    change, message = CASES[name]

    assert reported(tmp_path, change) == message.split("\n")


@pytest.mark.parametrize("names", PAIRS, ids=" + ".join)
def test_two_mistakes_are_two_messages(names: tuple[str, str], tmp_path: Path) -> None:
    """Neither hides the other, in one file or in two."""
    changes, messages = zip(*(CASES[name] for name in names), strict=True)

    assert without_lines(reported(tmp_path, *changes)) == without_lines(
        "\n".join(messages).split("\n")
    )


def test_all_mistakes_of_all_files_are_reported_in_one_pass(tmp_path: Path) -> None:
    """All cases at once, in four files, and no message more."""
    changes, messages = zip(*CASES.values(), strict=True)

    assert without_lines(reported(tmp_path, *changes)) == without_lines(
        "\n".join(messages).split("\n")
    )
