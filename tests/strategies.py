"""Hypothesis strategies: random definitions, and random people at the edges of their rules.

Numbers are few and small, so that they collide: times are sums of the lengths in the definition
(windows, inactivity limit, half-life), plus or minus a microsecond; points are mostly powers of
two, so that they decay to exactly the limit of a rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Row = dict[str, Any]

TEXT_FIELDS = ("industry", "need", "lead_status", "email")
NUMBER_FIELDS = ("employees", "budget")
BOOLEAN_FIELDS = ("opted_out", "bounced")
FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS, *BOOLEAN_FIELDS, "timeline")

KINDS = ("visit", "paper", "webinar", "demo", "open", "reply", "call", "mail", "note", "won")
UNKNOWN_KINDS = ("fax", "Paper")
STAGES = ("suspect", "lead", "mql", "sql", "customer", "friend", "in_talks", "s1", "raw", "fan")
TEXT_VALUES = ("software", "finance", "retail")
# in this order: by bytes "E9" < "e10" < "e9" < "é1", by number or by alphabet not
EVENT_IDS = (
    "e9",
    "e10",
    "E9",
    "é1",
    "e8",
    "e11",
    "E10",
    "é0",
    *(f"x{n}" for n in range(13, 6, -1)),
)
DATES = (date(2026, 2, 1), date(2026, 2, 2), date(2026, 3, 1))
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class LifecycleInputs:
    """What a run of the rules gets to see; all instants are naive and mean UTC.

    people:      person_id, email, created_at, and every field of the catalogue
    field_since: person_id, field, since
    events:      event_id, person_id (may be None), kind, at, duplicate_of
    """

    people: list[Row]
    field_since: list[Row]
    events: list[Row]
    as_of: datetime


# --- definitions ----------------------------------------------------------------------------------

# Functions that draw as they go: strategies built of strategies made most of the running time.


@dataclass(frozen=True)
class LeafChoices:
    """What the leaves of one rule may name."""

    kinds: list[str]
    leaves: tuple[str, ...]
    lower_stages: list[str]
    criteria_count: int
    scores: tuple[str, ...] = ("engagement", "total")


@st.composite
def definitions(draw: DrawFn, *, with_new_words: bool = False) -> Row:
    """Valid definitions, as the parsed YAML with no defaults filled in.

    The new words: `recycled.by`, `expires_days`, `touch`, and the score `fit`.
    """
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=3, max_size=5, unique=True))
    ids = draw(st.lists(st.sampled_from(STAGES), min_size=3, max_size=6, unique=True))
    criteria_count = draw(st.sampled_from((0, 1, 2, 3)))
    definition: Row = {"version": "1", "events": {kind: kind_entry(draw) for kind in kinds}}
    leaves = ["event", "event", "event", "field", "field", "channels", "stage"]
    if draw(OFTEN):
        definition["score"] = score(draw)
        leaves += ["score", "score"]
    if criteria_count:
        definition["qualification"] = qualification(draw, criteria_count)
        leaves += ["qualified"]
    choices = LeafChoices(kinds, tuple(leaves), [], criteria_count)
    if with_new_words:
        choices = replace(choices, scores=("engagement", "total", "fit"))
        add_touch(draw, definition)
    definition["stages"] = stage_list(draw, ids, choices)
    if draw(OFTEN):
        definition["recycled"] = {
            "to": draw(st.sampled_from((ids[0], *ids[:-1]))),
            "after_inactive_days": draw(st.sampled_from((1, 2, 3, 5, 10))),
        }
        if with_new_words:
            add_closings_and_expiry(draw, definition)
    if draw(SELDOM):
        definition["disqualified"] = condition(
            draw, LeafChoices(kinds, EVENT_AND_FIELD_LEAVES, [], 0), depth=2
        )
    if draw(st.booleans()):
        definition["contact"] = contact(draw)
    return definition


OFTEN = st.sampled_from((True, True, True, False))
SELDOM = st.sampled_from((False, False, True))
EVENT_AND_FIELD_LEAVES = ("event", "event", "event", "field")
FIELD_LEAVES = LeafChoices([], ("field",), [], 0)

# powers of two, which meet again after a half-life, and what breaks the pattern
POINTS = st.sampled_from((1, 2, 4, 8, 16, 0, 3, 5, 0.5, -1, -4, -8))
WINDOWS = st.sampled_from((1, 2, 3, 7, 30))
DIRECTIONS = st.sampled_from((None, None, "inbound", "two_way", "outbound", "outbound", "internal"))


def kind_entry(draw: DrawFn) -> Row:
    """Draw the entry of one kind; outbound ones are never activity."""
    direction = draw(DIRECTIONS)
    activity = draw(st.sampled_from((None, None, None, True, False)))
    entry = {
        "points": draw(POINTS) if draw(OFTEN) else None,
        "channel": draw(st.sampled_from((None, "web", "email", "phone"))),
        "direction": direction,
        "max_per_day": draw(st.sampled_from((None, None, 1, 2))),
        "activity": None if direction == "outbound" and activity else activity,
    }
    return {key: value for key, value in entry.items() if value is not None}


def add_touch(draw: DrawFn, definition: Row) -> None:
    """Let some outbound kinds be less than one touch."""
    for entry in definition["events"].values():
        touch = draw(st.sampled_from((None, 0.2, 0.5, 0.01, 0.33, 1)))
        if entry.get("direction") == "outbound" and touch is not None:
            entry["touch"] = touch


def add_closings_and_expiry(draw: DrawFn, definition: Row) -> None:
    """Let events close cycles, and stages above `recycled.to` expire, unless they are final."""
    if draw(OFTEN):
        definition["recycled"]["by"] = one_to_three(draw, sorted(definition["events"]))
    ids = [stage["id"] for stage in definition["stages"]]
    for stage in definition["stages"][ids.index(definition["recycled"]["to"]) + 1 :]:
        if "final" not in stage and draw(st.booleans()):
            stage["expires_days"] = draw(st.sampled_from((1, 2, 3, 5, 10)))


def score(draw: DrawFn) -> Row:
    """Draw the section `score`: floors fall from A on."""
    lines = draw(st.sampled_from((1, 1, 2, 3)))
    floors = draw(st.sampled_from(((8, 4, 1), (16, 5, 2), (8, 4), (1,))))
    return {
        "half_life_days": draw(st.sampled_from((1, 1, 2, 3, 30, 3650))),
        "fit": [
            {"points": draw(POINTS), "when": condition(draw, FIELD_LEAVES, depth=1)}
            for _ in range(lines)
        ],
        "grades": dict(zip("ABC", floors, strict=False)),
    }


def qualification(draw: DrawFn, criteria_count: int) -> Row:
    """Draw the section `qualification`."""
    names = ("budget", "authority", "need")[:criteria_count]
    criteria = {name: condition(draw, FIELD_LEAVES, depth=1) for name in names}
    return {"framework": draw(st.sampled_from(("BANT", "GPCT"))), "criteria": criteria}


def contact(draw: DrawFn) -> Row:
    """Draw the section `contact`, of which each part may be absent (but not both)."""
    parts = draw(st.sampled_from(("pressure", "pressure", "contactable", "both")))
    drawn: Row = {}
    if parts != "contactable":
        high, stop = draw(st.sampled_from(((1, 2), (1, 3), (2, 3))))
        drawn["pressure"] = {"within_days": draw(WINDOWS), "high": high, "stop": stop}
    if parts != "pressure":
        drawn["contactable"] = condition(draw, FIELD_LEAVES, depth=1)
    return drawn


def stage_list(draw: DrawFn, ids: list[str], choices: LeafChoices) -> list[Row]:
    """Draw the section `stages`: the first has no rule, the last may be final."""
    stages: list[Row] = []
    for nth, stage in enumerate(ids):
        entry: Row = {"id": stage}
        if nth == len(ids) - 1 and draw(SELDOM):
            entry["final"] = True
            entry["enter"] = condition(
                draw, replace(choices, leaves=EVENT_AND_FIELD_LEAVES), depth=2
            )
        else:
            entry["action"] = draw(st.sampled_from(("nurture", "qualify", "call")))
            entry |= follow_up(draw, choices.kinds)
        if nth > 0 and "enter" not in entry:
            entry["enter"] = rule(draw, replace(choices, lower_stages=ids[:nth]))
        stages.append(entry)
    return stages


def rule(draw: DrawFn, choices: LeafChoices) -> Row:
    """Draw any condition, or the rule most people write: they stand lower, and something more."""
    if draw(SELDOM):
        lower = {"stage": draw(st.sampled_from(choices.lower_stages[-2:]))}
        return {"all": [lower, condition(draw, choices, depth=1)]}
    return condition(draw, choices, depth=3)


def follow_up(draw: DrawFn, kinds: list[str]) -> Row:
    """Draw `follow_up` of a stage, or nothing."""
    if draw(st.booleans()):
        return {}
    drawn: Row = {"within_hours": draw(st.sampled_from((1, 24, 72)))}
    if draw(st.booleans()):
        drawn["by"] = one_to_three(draw, kinds)
    return {"follow_up": drawn}


def one_to_three(draw: DrawFn, choices: Sequence[Any]) -> list[Any]:
    """Draw one to three of these."""
    first = draw(st.integers(0, len(choices) - 1))
    return list(choices[first : first + draw(st.sampled_from((1, 2, 3)))])


def condition(draw: DrawFn, choices: LeafChoices, *, depth: int) -> Row:
    """Draw a leaf, or any/all of up to three conditions, nested up to `depth`."""
    shape = draw(st.sampled_from(("leaf", "leaf", "any", "all"))) if depth else "leaf"
    if shape == "leaf":
        return leaf(draw, choices)
    parts = draw(st.sampled_from((2, 2, 1, 3)))
    return {shape: [condition(draw, choices, depth=depth - 1) for _ in range(parts)]}


def leaf(draw: DrawFn, choices: LeafChoices) -> Row:
    """Draw one leaf of those this rule may have."""
    match draw(st.sampled_from(choices.leaves)):
        case "event":
            return event_leaf(draw, choices.kinds)
        case "channels":
            return {"channels": draw(st.sampled_from((2, 2, 1, 3))), **window(draw)}
        case "score":
            of = draw(st.sampled_from(choices.scores))
            return {"score": of, "gte": draw(st.sampled_from((1, 2, 4, 5, 8, 9, 16, 0.5, 4.5)))}
        case "qualified":
            return {"qualified": draw(st.integers(1, choices.criteria_count))}
        case "stage":
            return {"stage": draw(st.sampled_from(choices.lower_stages))}
        case _:
            return field_leaf(draw)


def window(draw: DrawFn) -> Row:
    """Draw `within_days`, or nothing."""
    return {"within_days": draw(WINDOWS)} if draw(st.booleans()) else {}


def event_leaf(draw: DrawFn, kinds: list[str]) -> Row:
    """Draw an event leaf, with or without a list, a count and a window."""
    count = draw(st.sampled_from((None, None, 1, 2, 2, 3)))
    named = draw(st.sampled_from(kinds)) if draw(st.booleans()) else one_to_three(draw, kinds)
    return {"event": named, **({"count": count} if count else {}), **window(draw)}


def field_leaf(draw: DrawFn) -> Row:
    """Draw a field leaf, with tests that fit the field's type."""
    field = draw(st.sampled_from(FIELDS))
    if draw(SELDOM):
        return {"field": field, "known": draw(OFTEN)}
    if field in TEXT_FIELDS:
        return {"field": field, **text_tests(draw)}
    if field in BOOLEAN_FIELDS:
        return {"field": field, draw(st.sampled_from(("is", "is_not"))): draw(st.booleans())}
    if field in NUMBER_FIELDS and draw(st.booleans()):
        return {"field": field, **equalities(draw, (10, 50, 5000))}
    return {"field": field, **bounds(draw, DATES if field == "timeline" else (10, 50, 5000))}


def text_tests(draw: DrawFn) -> Row:
    """Draw tests of a text, spelt differently from the values."""
    tests = equalities(draw, (*TEXT_VALUES, "Software", "FINANCE "))
    return {**tests, "known": True} if draw(SELDOM) else tests


def equalities(draw: DrawFn, values: Sequence[Any]) -> Row:
    """Draw `is`, `is_not`, `in` or `not_in`."""
    test = draw(st.sampled_from(("is", "is_not", "in", "not_in")))
    return {
        test: draw(st.sampled_from(values)) if test.startswith("is") else one_to_three(draw, values)
    }


def bounds(draw: DrawFn, values: Sequence[Any]) -> Row:
    """Draw a lower bound, an upper bound, or both."""
    value = st.sampled_from(values)
    test = draw(st.sampled_from(("gt", "gte", "gte", "lt", "lte", "both")))
    if test == "both":
        return {"gte": draw(value), "lt": draw(value)}
    return {test: draw(value)}


# --- worlds ---------------------------------------------------------------------------------------


@st.composite
def lifecycle_inputs(draw: DrawFn, definition: Row) -> LifecycleInputs:
    """One to three people and up to fifteen events, on few instants that suit the definition."""
    instants = draw(edge_instants(definition))
    as_of = draw(st.one_of(st.just(instants[-1]), st.sampled_from(instants[len(instants) // 2 :])))
    names = ["anna", "bob", "Bob"][: draw(st.sampled_from((1, 1, 2, 3)))]
    events = draw(event_rows(definition, names, instants))
    people = [draw(person_rows(name, events, instants)) for name in names]
    field_since = [draw(field_dates(name, instants)) for name in names]
    return LifecycleInputs(people, [row for rows in field_since for row in rows], events, as_of)


def lengths(definition: Row) -> list[timedelta]:
    """Every length of time the definition names."""
    durations = {timedelta(hours=12), timedelta(days=1)}
    durations |= {timedelta(days=days) for days in days_named(definition)}
    follow_ups = [stage["follow_up"] for stage in definition["stages"] if "follow_up" in stage]
    durations |= {timedelta(hours=follow_up["within_hours"]) for follow_up in follow_ups}
    return sorted(durations)


def days_named(node: Any) -> set[int]:
    """The values of all `..._days` below a node, but for a half-life of years."""
    if isinstance(node, list):
        return {days for part in node for days in days_named(part)}
    if not isinstance(node, dict):
        return set()
    here = {value for key, value in node.items() if key.endswith("_days") and value <= 30}
    return here | days_named(list(node.values()))


@st.composite
def edge_instants(draw: DrawFn, definition: Row) -> list[datetime]:
    """Instants a length of the definition apart, exactly or by a microsecond; oldest first."""
    hour = draw(
        st.sampled_from((timedelta(), timedelta(hours=12), timedelta(days=1) - MICROSECOND))
    )
    apart = lengths(definition)
    if "recycled" in definition:
        # silence is what people are recycled for: make it common
        patience = timedelta(days=definition["recycled"]["after_inactive_days"])
        apart += [patience, patience + MICROSECOND, patience + timedelta(days=1)] * 2
    beside = (timedelta(), timedelta(), timedelta(), MICROSECOND, -MICROSECOND)
    instants = [datetime(2026, 1, 31) + hour]
    for _ in range(draw(st.integers(3, 12))):
        # most steps start from the newest instant, some from any, which makes exact sums meet
        start = draw(
            st.one_of(st.just(instants[-1]), st.just(instants[-1]), st.sampled_from(instants))
        )
        instants.append(start + draw(st.sampled_from(apart)) + draw(st.sampled_from(beside)))
    return sorted(set(instants))


@st.composite
def event_rows(
    draw: DrawFn, definition: Row, names: list[str], instants: list[datetime]
) -> list[Row]:
    """Events in no order, some of them unknown, duplicate, without a person or in the future."""
    count = draw(st.sampled_from((15, 12, 10, 8, 6, 4, 2, 0)))
    entries = definition["events"]
    closing = definition.get("recycled", {}).get("by", [])
    kinds = st.sampled_from((*sorted(entries) * 5, *closing * 4, *UNKNOWN_KINDS))
    outbound = [kind for kind in sorted(entries) if entries[kind].get("direction") == "outbound"]
    # often people go silent at some time, and we keep writing, or give them up
    ours = st.sampled_from((*outbound, *closing)) if outbound else kinds
    silent_from = draw(st.one_of(st.none(), st.sampled_from(instants))) or datetime.max
    owners = st.sampled_from((*names * 5, None))
    originals = st.sampled_from((None,) * 9 + (EVENT_IDS[0],))
    ats = [draw(st.sampled_from(instants)) for _ in range(count)]
    return [
        {
            "event_id": event_id,
            "person_id": draw(owners),
            "kind": draw(kinds if at < silent_from else ours),
            "at": at,
            "duplicate_of": draw(originals) if event_id != EVENT_IDS[0] else None,
        }
        for event_id, at in zip(EVENT_IDS, ats, strict=False)
    ]


@st.composite
def person_rows(draw: DrawFn, name: str, events: list[Row], instants: list[datetime]) -> Row:
    """A person, created no later than their first event of any kind."""
    firsts = [event["at"] for event in events if event["person_id"] == name]
    latest = min(firsts, default=instants[-1])
    possible = [instant for instant in instants if instant <= latest]
    created = st.sampled_from((latest, possible[0], possible[0], possible[len(possible) // 2]))
    return {
        "person_id": name,
        "created_at": draw(created),
        "email": draw(st.sampled_from((None, f"{name}@example.com", " "))),
        **draw(field_values()),
    }


def field_values() -> SearchStrategy[Row]:
    """Values of the catalogue's fields, but for the email."""
    words = st.sampled_from((None, "  ", *TEXT_VALUES, "Software", " FINANCE "))
    return st.fixed_dictionaries(
        {
            "industry": words,
            "need": words,
            "lead_status": words,
            "employees": st.sampled_from((None, 9, 10, 49, 50, 5000)),
            "budget": st.sampled_from((None, 10.0, 4999.5, 5000.0)),
            "opted_out": st.sampled_from((None, True, False)),
            "bounced": st.sampled_from((None, True, False)),
            "timeline": st.sampled_from((None, *DATES)),
        }
    )


@st.composite
def field_dates(draw: DrawFn, name: str, instants: list[datetime]) -> list[Row]:
    """When some of a person's fields took their value: on any instant, or long before."""
    dates = st.sampled_from((*instants, instants[0] - timedelta(days=400)))
    known = draw(st.sampled_from(((), FIELDS[:5], FIELDS[4:], FIELDS)))
    return [{"person_id": name, "field": field, "since": draw(dates)} for field in known]
