"""A second opinion on every person: the definition's rules read one by one, in plain Python.

Written from the text of the rules alone, a function a clause, and slow on purpose: it shares
nothing with the engine it judges. Numbers in the docstrings name the clause of the design. All
instants are naive and mean UTC; NULL is None.
"""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

Row = dict[str, Any]

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Event:
    """A counted event of a person; an admitted one earns points and satisfies rules."""

    event_id: str
    kind: str
    at: datetime
    admitted: bool


@dataclass(frozen=True)
class Case:
    """Everything that is known about one person; `events` are the counted ones, oldest first."""

    definition: Row
    person: Row
    since: dict[str, datetime]
    events: list[Event]
    as_of: datetime

    @property
    def created_at(self) -> datetime:
        """When the person came into our world; never NULL."""
        created_at: datetime = self.person["created_at"]
        return created_at


@dataclass(frozen=True)
class Stretch:
    """A piece of a life that rules look at: a cycle, or all of it.

    `end` is the start of the next cycle (None: the last cycle); `events` are the admitted ones that
    belong here. `closing` is when an event closed this cycle, `after` when the last one closed a
    cycle before this one: scores of this cycle count what came later.
    """

    number: int
    start: datetime
    end: datetime | None
    events: list[Event]
    closing: datetime | None = None
    after: datetime | None = None


@dataclass(frozen=True)
class Piece:
    """A cycle while it is being built; cycle 0 has no activity, and its start stands for it."""

    number: int
    start: datetime
    last_activity: datetime
    closing: datetime | None = None


@dataclass(frozen=True)
class Truth:
    """Since when a condition is true, and through which leaves, in the order as written."""

    since: datetime
    leaves: tuple[tuple[datetime, str], ...] = ()


@dataclass(frozen=True)
class Below:
    """What a stage leaf looks at: rules true in this cycle, stages remembered from earlier ones."""

    raw: dict[str, Truth]
    remembered: frozenset[str]


@dataclass(frozen=True)
class Move:
    """One change of where a person stands; `fell_from` names the stage a recycling took away.

    `why` is the kind of the closing event, "expired", or nothing where a person fell silent.
    """

    at: datetime
    stage: str
    cycle: int
    fell_from: str | None = None
    why: str | None = None


Raw = list[dict[str, Truth]]
Entered = list[dict[str, datetime]]


def referee(
    definition: Row,
    people: list[Row],
    field_since: list[Row],
    events: list[Row],
    as_of: datetime,
) -> tuple[list[Row], list[Row]]:
    """Give the lifecycle rows and the stage_history rows as of `as_of`.

    7.2 rule 1: people who come into our world after `as_of` are left out.
    """
    lifecycle: list[Row] = []
    history: list[Row] = []
    for person in people:
        if person["created_at"] <= as_of:
            since = {
                row["field"]: row["since"]
                for row in field_since
                if row["person_id"] == person["person_id"]
            }
            admitted_or_not = counted(definition, person["person_id"], events, as_of)
            row, rows = judge(Case(definition, person, since, admitted_or_not, as_of))
            lifecycle.append(row)
            history.extend(rows)
    return lifecycle, history


def judge(case: Case) -> tuple[Row, list[Row]]:
    """Give one person's lifecycle row and stage_history rows."""
    final = final_truth(case)
    cycles = cycles_of(case, final)
    raw = raw_of_cycles(case, cycles, final)
    entered = [entered_in(case, nth, truths) for nth, truths in enumerate(raw)]
    moves = moves_of(case, cycles, entered)
    return lifecycle_row(case, cycles, raw, entered, moves), history_rows(
        case, cycles, entered, moves
    )


# --- 7.2, rules 1 and 2: which events count -------------------------------------------------------


def counted(definition: Row, person_id: str, events: list[Row], as_of: datetime) -> list[Event]:
    """Keep what counts, and mark what is admitted.

    7.2 rule 1: not in the future, no duplicate, of this person, of a kind the definition knows.
    7.2 rule 2: admitted are the first `max_per_day` of a kind and UTC day, by instant, then by id.
    """
    mine = [
        event
        for event in events
        if event["person_id"] == person_id
        and event["at"] <= as_of
        and event["duplicate_of"] is None
        and event["kind"] in definition["events"]
    ]
    mine.sort(key=lambda event: (event["at"], event["event_id"].encode()))
    kept: list[Event] = []
    for event in mine:
        earlier = [e for e in kept if e.kind == event["kind"] and e.at.date() == event["at"].date()]
        most = definition["events"][event["kind"]].get("max_per_day")
        admitted = most is None or len(earlier) < most
        kept.append(Event(event["event_id"], event["kind"], event["at"], admitted))
    return kept


def direction(definition: Row, kind: str) -> str:
    """Section 7, defaults: a kind is inbound unless it says otherwise."""
    found: str = definition["events"][kind].get("direction", "inbound")
    return found


def is_activity(definition: Row, kind: str) -> bool:
    """Section 4: interest the person shows: inbound and two-way kinds, unless the kind says."""
    found: bool = definition["events"][kind].get(
        "activity", direction(definition, kind) in ("inbound", "two_way")
    )
    return found


def activity_of(case: Case) -> list[datetime]:
    """7.2 rules 2 and 4: the instants of the counted activity, admitted or not."""
    return [event.at for event in case.events if is_activity(case.definition, event.kind)]


# --- 7.2, rules 4 and 5: cycles and closings ------------------------------------------------------


def patience(case: Case) -> timedelta:
    """7.2 rule 4: how long a person may be silent; no limit without the section `recycled`."""
    if "recycled" not in case.definition:
        return timedelta.max
    return timedelta(days=case.definition["recycled"]["after_inactive_days"])


def at_most(earlier: datetime, later: datetime, length: timedelta) -> bool:
    """Whether `later` comes no more than `length` after `earlier`."""
    return later - earlier <= length


def closing_events(case: Case) -> list[Event]:
    """7.2 rule 5: the counted events, admitted or not, of the kinds in `recycled.by`."""
    kinds = case.definition.get("recycled", {}).get("by", [])
    return [event for event in case.events if event.kind in kinds]


def cycles_of(case: Case, final: Truth | None) -> list[Stretch]:
    """Split a life where it fell silent, and where an event closed a cycle.

    7.2 rule 4: a cycle is a run of counted activity without a gap longer than the limit. The
    first one reaches back to `created_at`, unless its activity comes too late for that, after a
    closing, or never: then cycle 0 does. None starts after the final stage was entered.
    """
    found = [
        piece for piece in pieces_of(case, final) if final is None or piece.start <= final.since
    ]
    cycles: list[Stretch] = []
    for nth, piece in enumerate(found):
        end = found[nth + 1].start if nth + 1 < len(found) else None
        closed = [earlier.closing for earlier in found[:nth] if earlier.closing is not None]
        events = belonging(case, piece, end)
        after = max(closed, default=None)
        cycles.append(Stretch(piece.number, piece.start, end, events, piece.closing, after))
    return cycles


def pieces_of(case: Case, final: Truth | None) -> list[Piece]:
    """Walk from instant to instant: first the activity there, then the closing.

    7.2 rule 5: an event closes the cycle it finds, once, and none once the final stage is entered;
    the first activity after that instant starts the next cycle, whatever the gap.
    """
    activity = set(activity_of(case))
    closing = {
        event.at for event in closing_events(case) if final is None or event.at < final.since
    }
    pieces = [Piece(0, case.created_at, case.created_at)]
    for at in sorted(activity | closing):
        last = pieces[-1]
        if at in activity:
            if last.closing is None and at_most(last.last_activity, at, patience(case)):
                # the first activity makes cycle 0 cycle 1
                pieces[-1] = replace(last, number=max(last.number, 1), last_activity=at)
            else:
                pieces.append(Piece(last.number + 1, at, at))
        if at in closing and pieces[-1].closing is None and pieces[-1].start <= at:
            pieces[-1] = replace(pieces[-1], closing=at)
    return pieces


def belonging(case: Case, piece: Piece, end: datetime | None) -> list[Event]:
    """7.2 rules 4 and 5: an event belongs to the last cycle started, up to its time limit.

    And up to its closing. The activity of the cycle itself is always within the limit: one test is
    enough.
    """
    return [
        event
        for event in case.events
        if event.admitted
        and event.at >= piece.start
        and (end is None or event.at < end)
        and (piece.closing is None or event.at <= piece.closing)
        and at_most(piece.last_activity, event.at, patience(case))
    ]


def whole_life(case: Case) -> Stretch:
    """7.3 rule 1: what the final stage and `disqualified` see: all that is admitted."""
    return Stretch(-1, case.created_at, None, [event for event in case.events if event.admitted])


# --- 7.1: since when is a condition true ----------------------------------------------------------


def true_since(condition: Row, case: Case, stretch: Stretch, below: Below) -> Truth | None:
    """7.1: `any` is true since its earliest part, `all` since its latest, if every part is."""
    if "any" in condition:
        parts = [true_since(part, case, stretch, below) for part in condition["any"]]
        return min((part for part in parts if part), key=lambda part: part.since, default=None)
    if "all" in condition:
        parts = [true_since(part, case, stretch, below) for part in condition["all"]]
        if not all(parts):
            return None
        found = [part for part in parts if part]
        leaves = tuple(leaf for part in found for leaf in part.leaves)
        return Truth(max(part.since for part in found), leaves)
    if "stage" in condition:
        return stage_leaf(condition, case, stretch, below)
    return plain_leaf(condition, case, stretch)


def plain_leaf(leaf: Row, case: Case, stretch: Stretch) -> Truth | None:
    """7.1: any leaf but a stage leaf, with its own reason."""
    kind: str | None = None
    since: datetime | None
    if "event" in leaf:
        completing = event_leaf(leaf, stretch)
        since, kind = (completing.at, completing.kind) if completing else (None, None)
    elif "score" in leaf:
        since = score_leaf(leaf, case, stretch)
    elif "channels" in leaf:
        since = channels_leaf(leaf, case, stretch)
    elif "qualified" in leaf:
        since = qualified_leaf(leaf, case, stretch)
    else:
        since = field_leaf(leaf, case, stretch)
    if since is None:
        return None
    return Truth(since, ((since, f"{phrase(leaf, case.definition, kind)} on {since.date()}"),))


def in_window(events: Iterable[Event], at: datetime, leaf: Row) -> list[Event]:
    """7.1: the events in `(at - within_days * 24 h, at]`; without `within_days`, all up to `at`."""
    if "within_days" not in leaf:
        return [event for event in events if event.at <= at]
    width = timedelta(days=leaf["within_days"])
    return [event for event in events if at - width < event.at <= at]


def event_leaf(leaf: Row, stretch: Stretch) -> Event | None:
    """7.1, event: the first event at which the window holds enough events of these kinds.

    Of several at that instant, the one whose kind is written first stands for it (it only names
    the reason).
    """
    kinds = one_or_many(leaf["event"])
    candidates = [event for event in stretch.events if event.kind in kinds]
    candidates.sort(key=lambda event: (event.at, kinds.index(event.kind)))
    for event in candidates:
        if len(in_window(candidates, event.at, leaf)) >= leaf.get("count", 1):
            return event
    return None


def channels_leaf(leaf: Row, case: Case, stretch: Stretch) -> datetime | None:
    """7.1, channels: the first admitted activity whose window holds enough channels."""
    candidates = [event for event in stretch.events if is_activity(case.definition, event.kind)]
    for event in candidates:
        inside = in_window(candidates, event.at, leaf)
        channels = {case.definition["events"][other.kind].get("channel") for other in inside} - {
            None
        }
        if len(channels) >= leaf["channels"]:
            return event.at
    return None


def score_leaf(leaf: Row, case: Case, stretch: Stretch) -> datetime | None:
    """7.1, score: the first moment of the cycle at which the score is high enough.

    The moments: the cycle's start, its admitted events, and the dates of fit lines before the next
    cycle's start.
    """
    moments = {stretch.start} | {event.at for event in stretch.events}
    moments |= {at for _, at in fit_lines(case, stretch) if stretch.end is None or at < stretch.end}
    for moment in sorted(moments):
        score = Decimal(0)
        if leaf["score"] in ("engagement", "total"):
            score += engagement_at(case, moment, after=stretch.after)
        if leaf["score"] in ("fit", "total"):
            score += fit_at(case, stretch, moment)
        if rounded(score, 6) >= Decimal(str(leaf["gte"])):
            return moment
    return None


def field_leaf(leaf: Row, case: Case, stretch: Stretch) -> datetime | None:
    """7.1, field: since its date, else `created_at`, if all tests hold and it is not to come.

    7.1, last paragraph: in no cycle before the cycle's start.
    """
    value = comparable(case.person[leaf["field"]])
    tests = {test: wanted for test, wanted in leaf.items() if test != "field"}
    since = case.since.get(leaf["field"], case.created_at)
    if since > case.as_of or not all(passes(value, test, wanted) for test, wanted in tests.items()):
        return None
    return max(since, stretch.start)


def qualified_leaf(leaf: Row, case: Case, stretch: Stretch) -> datetime | None:
    """7.1, qualified: when the n-th of the criteria that hold became true."""
    dates = sorted(criteria_met(case, stretch))
    return dates[leaf["qualified"] - 1] if len(dates) >= leaf["qualified"] else None


def stage_leaf(leaf: Row, case: Case, stretch: Stretch, below: Below) -> Truth | None:
    """7.1, stage: the earliest rule true in this cycle, of the named stage or one between.

    A stage remembered from an earlier cycle is true from this cycle's start on, and gives no
    reasons (7.3 rule 7).
    """
    if leaf["stage"] in below.remembered:
        return Truth(stretch.start)
    ids = stage_ids(case)
    from_here_up = [
        below.raw[stage] for stage in ids[ids.index(leaf["stage"]) :] if stage in below.raw
    ]
    return min(from_here_up, key=lambda truth: truth.since, default=None)


def criteria_met(case: Case, stretch: Stretch) -> list[datetime]:
    """7.1, qualified: since when each criterion that holds is true."""
    criteria = case.definition.get("qualification", {}).get("criteria", {})
    truths = [
        true_since(condition, case, stretch, NOTHING_BELOW) for condition in criteria.values()
    ]
    return [truth.since for truth in truths if truth]


def one_or_many(kinds: str | list[str]) -> list[str]:
    """7.1, event: K or [K...]."""
    return [kinds] if isinstance(kinds, str) else kinds


NOTHING_BELOW = Below({}, frozenset())


# --- 7.1: field tests -----------------------------------------------------------------------------


def comparable(value: Any) -> Any:
    """7.1: text is trimmed and in lower case, blank text is NULL; a date is its midnight."""
    if isinstance(value, str):
        return value.strip().lower() or None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "is": operator.eq,
    "is_not": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def passes(value: Any, test: str, wanted: Any) -> bool:
    """7.1: NULL fails every test but `known: false`, `is_not` and `not_in`."""
    if test == "known":
        return bool((value is not None) is wanted)
    if value is None:
        return test in ("is_not", "not_in")
    if test in ("in", "not_in"):
        return (value in [alike(value, one) for one in wanted]) is (test == "in")
    other = alike(value, wanted)
    return bool(COMPARISONS[test](value, other))


def alike(value: Any, wanted: Any) -> Any:
    """7.1: bring what a test names to the shape of the value; a date may be written as ISO text."""
    if isinstance(value, datetime) and isinstance(wanted, str):
        return datetime.fromisoformat(wanted)
    return comparable(wanted)


# --- 7.2, rule 3: the score -----------------------------------------------------------------------


def engagement_at(case: Case, moment: datetime, *, after: datetime | None = None) -> Decimal:
    """7.2 rule 3: what all admitted events so far are still worth, in a cycle or not.

    7.1, score: in a cycle after a closing only those after it.
    """
    if "score" not in case.definition:
        return Decimal(0)
    half_life = Decimal(str(case.definition["score"]["half_life_days"])) * (
        timedelta(days=1) // MICROSECOND
    )
    with localcontext(prec=50):
        return sum(
            (
                Decimal(str(case.definition["events"][event.kind].get("points", 0)))
                * Decimal("0.5") ** (Decimal((moment - event.at) // MICROSECOND) / half_life)
                for event in case.events
                if event.admitted and event.at <= moment and (after is None or event.at > after)
            ),
            start=Decimal(0),
        )


def fit_lines(case: Case, stretch: Stretch) -> list[tuple[Decimal, datetime]]:
    """7.2 rule 3: the points of the fit lines that hold, each with the date since when."""
    lines = case.definition.get("score", {}).get("fit", [])
    truths = [(line, true_since(line["when"], case, stretch, NOTHING_BELOW)) for line in lines]
    return [(Decimal(str(line["points"])), truth.since) for line, truth in truths if truth]


def fit_at(case: Case, stretch: Stretch, moment: datetime) -> Decimal:
    """7.1, score: the fit lines true since `moment` or earlier."""
    return sum(
        (points for points, since in fit_lines(case, stretch) if since <= moment), start=Decimal(0)
    )


def grade_of(case: Case, fit: Decimal) -> str:
    """7.2 rule 3: the first letter whose floor the fit reaches, else D."""
    grades = case.definition.get("score", {}).get("grades", {})
    for letter in sorted(grades):
        if Decimal(str(grades[letter])) <= fit:
            return str(letter)
    return "D"


def rounded(value: Decimal, places: int) -> Decimal:
    """7.2 rule 3: half away from zero."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


# --- 7.3, rules 1 and 2: rules and entries --------------------------------------------------------


def stage_ids(case: Case) -> list[str]:
    """Section 7: the stages, lowest first."""
    return [stage["id"] for stage in case.definition["stages"]]


def final_id(case: Case) -> str | None:
    """Section 7: `final` stands on the last stage at most."""
    last = case.definition["stages"][-1]
    return last["id"] if last.get("final") else None


def final_truth(case: Case) -> Truth | None:
    """7.3 rule 1: the final stage's rule sees all admitted events at once."""
    if final_id(case) is None:
        return None
    return true_since(case.definition["stages"][-1]["enter"], case, whole_life(case), NOTHING_BELOW)


def disqualified_truth(case: Case) -> Truth | None:
    """7.3 rule 1: the rule `disqualified` sees all admitted events at once."""
    if "disqualified" not in case.definition:
        return None
    return true_since(case.definition["disqualified"], case, whole_life(case), NOTHING_BELOW)


def is_floor(case: Case, stage: str) -> bool:
    """7.3: whether a stage is at or below `recycled.to`."""
    if "recycled" not in case.definition:
        return False
    ids = stage_ids(case)
    return ids.index(stage) <= ids.index(case.definition["recycled"]["to"])


def raw_of_cycles(case: Case, cycles: list[Stretch], final: Truth | None) -> Raw:
    """7.3 rule 1: per cycle, since when the rule of each stage is true; the others are absent.

    What becomes true only at or after the start of the next cycle, or after the closing of this
    one, is not true in this one. The final stage belongs to the last cycle that started at or
    before its moment, else to the first; a closing does not keep it out.
    """
    found: Raw = []
    started = [cycle for cycle in cycles if final and cycle.start <= final.since]
    home = (started or cycles[:1])[-1]
    for cycle in cycles:
        raw: dict[str, Truth] = {}
        remembered = remembered_from(case, found)
        for nth, stage in enumerate(case.definition["stages"]):
            truth: Truth | None
            if nth == 0:
                truth = Truth(case.created_at) if not found else None
            elif stage["id"] == final_id(case):
                truth = final if cycle is home else None
            else:
                truth = true_since(stage["enter"], case, cycle, Below(raw, remembered))
            is_final = stage["id"] == final_id(case)
            if truth and (is_final or is_in_time(cycle, truth)):
                raw = {**raw, stage["id"]: truth}
        found.append(raw)
    return found


def is_in_time(cycle: Stretch, truth: Truth) -> bool:
    """7.3 rule 1: before the start of the next cycle, and not after the closing of this one."""
    return (cycle.end is None or truth.since < cycle.end) and (
        cycle.closing is None or truth.since <= cycle.closing
    )


def remembered_from(case: Case, earlier: Raw) -> frozenset[str]:
    """7.1, stage: the stages up to `recycled.to` that an earlier cycle entered, or went above."""
    ids = stage_ids(case)
    return frozenset(
        stage
        for nth, stage in enumerate(ids)
        if is_floor(case, stage) and any(higher in raw for raw in earlier for higher in ids[nth:])
    )


def entered_in(case: Case, nth_cycle: int, raw: dict[str, Truth]) -> dict[str, datetime]:
    """7.3 rule 2: entering a stage enters those below; the first only in the first cycle."""
    ids = stage_ids(case)
    entered: dict[str, datetime] = {}
    for nth, stage in enumerate(ids):
        dates = [raw[higher].since for higher in ids[nth:] if higher in raw]
        if dates and (nth > 0 or nth_cycle == 0):
            entered[stage] = min(dates)
    return entered


# --- 7.3, rule 3: where a person stands -----------------------------------------------------------


def moves_of(case: Case, cycles: list[Stretch], entered: Entered) -> list[Move]:
    """7.3 rule 3: walk from instant to instant, from the first stage on.

    A person rises at an entry above where they stand. Standing above `recycled.to` and not final,
    they fall at a recycling; entries of that instant come before it.
    """
    ids = stage_ids(case)
    entries = sorted(
        (at, ids.index(stage), cycle.number)
        for cycle, stages in zip(cycles, entered, strict=True)
        for stage, at in stages.items()
    )
    lapsed = lapses(case, entered)
    closed = {cycle.closing for cycle in cycles if cycle.closing is not None}
    expiring = {at for stage in ids for at in expiries(case, entered, stage)}
    moves = [Move(case.created_at, ids[0], cycles[0].number)]
    for at in sorted({at for at, _, _ in entries} | set(lapsed) | closed | expiring):
        for _, rank, cycle in (entry for entry in entries if entry[0] == at):
            if rank > ids.index(moves[-1].stage):
                moves.append(Move(at, ids[rank], cycle))
        stand = moves[-1].stage
        expired = at in expiries(case, entered, stand)
        falls = at in lapsed or at in closed or expired
        if falls and not is_floor(case, stand) and stand != final_id(case):
            why = closed_by(case, at) if at in closed else "expired" if expired else None
            number = last_started(cycles, at).number
            moves.append(Move(at, case.definition["recycled"]["to"], number, stand, why))
    return moves


def closed_by(case: Case, at: datetime) -> str:
    """7.3 rule 7: the kind of the closing event; of several at that instant the smallest id."""
    there = [event for event in closing_events(case) if event.at == at]
    return min(there, key=lambda event: event.event_id.encode()).kind


def expiries(case: Case, entered: Entered, stage: str) -> list[datetime]:
    """7.3 rule 3: when who stands in the stage falls, unless something else moved them before.

    `expires_days` after an entry into the stage or above, in any cycle, without another entry by
    then.
    """
    days = stage_named(case, stage).get("expires_days")
    if days is None:
        return []
    ids = stage_ids(case)
    entries = {
        stages[one] for stages in entered for one in ids[ids.index(stage) :] if one in stages
    }
    ends = [(entry, entry + timedelta(days=days)) for entry in entries]
    return [
        end
        for entry, end in ends
        if end <= case.as_of and not any(entry < other <= end for other in entries)
    ]


def lapses(case: Case, entered: Entered) -> list[datetime]:
    """7.3 rule 3: when the time limit passed after an activity or an entry above `recycled.to`."""
    if "recycled" not in case.definition:
        return []
    signs = set(activity_of(case))
    signs |= {at for stages in entered for stage, at in stages.items() if not is_floor(case, stage)}
    ends = [(sign, sign + patience(case)) for sign in signs]
    return [
        end
        for sign, end in ends
        if end <= case.as_of and not any(sign < other <= end for other in signs)
    ]


def last_started(cycles: list[Stretch], at: datetime) -> Stretch:
    """The last cycle that started at or before a moment; the first one starts at `created_at`."""
    return [cycle for cycle in cycles if cycle.start <= at][-1]


# --- 7.3, rules 4 to 7, and 7.4: the output -------------------------------------------------------


def lifecycle_row(
    case: Case, cycles: list[Stretch], raw: Raw, entered: Entered, moves: list[Move]
) -> Row:
    """Section 5: one row of `lifecycle`, without `definition_id`."""
    last = moves[-1]
    disqualified = disqualified_truth(case)
    status = status_of(case, cycles, last, is_disqualified=disqualified is not None)
    fit = fit_at(case, whole_life(case), case.as_of)
    engagement = engagement_at(case, case.as_of)
    touches = touches_of(case)
    can_contact = is_contactable(case)
    pressure = pressure_of(case, touches)
    next_action = next_action_of(case, last, status, pressure, can_contact=can_contact)
    ids = stage_ids(case)
    return {
        "person_id": case.person["person_id"],
        "stage": last.stage,
        "status": status,
        "standing": status if status in ("recycled", "disqualified") else last.stage,
        "stage_since": last.at,
        **{f"{stage}_at": stage_at(case, stage, raw, entered) for stage in ids[1:]},
        "recycled_at": max((move.at for move in moves if move.fell_from), default=None),
        "disqualified_at": disqualified.since if disqualified else None,
        "furthest_stage": ids[max(ids.index(stage) for stages in entered for stage in stages)],
        "cycle": cycles[-1].number,
        "score": float(rounded(rounded(engagement + fit, 6), 2)),
        "engagement": float(rounded(rounded(engagement, 6), 2)),
        "fit": float(rounded(fit, 6)),
        "grade": grade_of(case, rounded(fit, 6)),
        "qualified": len(criteria_met(case, whole_life(case))),
        "touches": float(touches),
        "pressure": pressure,
        "contactable": can_contact,
        "next_action": next_action,
        "follow_up_due": follow_up_due(case, last, status, next_action),
        "reasons": reasons_of(cycles, raw, last),
        "as_of": case.as_of,
    }


def status_of(case: Case, cycles: list[Stretch], last: Move, *, is_disqualified: bool) -> str:
    """7.3 rule 4: won, else disqualified, else recycled until a new cycle starts, else open."""
    if last.stage == final_id(case):
        return "won"
    if is_disqualified:
        return "disqualified"
    if last.fell_from and cycles[-1].start <= last.at:
        return "recycled"
    return "open"


def stage_at(case: Case, stage: str, raw: Raw, entered: Entered) -> datetime | None:
    """7.3 rule 5: up to `recycled.to` the first entry ever.

    Above it: the last entry that a rule below the final one made (also if the final one did at the
    same instant), else the final stage's moment.
    """
    entries = [stages[stage] for stages in entered if stage in stages]
    if is_floor(case, stage):
        return min(entries, default=None)
    ids = stage_ids(case)
    higher = [one for one in ids[ids.index(stage) :] if one != final_id(case)]
    by_lower_rules = [
        stages[stage]
        for truths, stages in zip(raw, entered, strict=True)
        if stage in stages
        and any(one in truths and truths[one].since == stages[stage] for one in higher)
    ]
    # no such entry: the only one there can be is the final stage's own
    return max(by_lower_rules, default=max(entries, default=None))


def history_rows(
    case: Case, cycles: list[Stretch], entered: Entered, moves: list[Move]
) -> list[Row]:
    """7.3 rule 6: a row per stage entered in a cycle, and per recycling, in the quiet cycle."""
    person_id = case.person["person_id"]
    rows = [
        {"person_id": person_id, "cycle": cycle.number, "stage": stage, "entered_at": at}
        for cycle, stages in zip(cycles, entered, strict=True)
        for stage, at in stages.items()
    ]
    rows += [
        {"person_id": person_id, "cycle": move.cycle, "stage": "recycled", "entered_at": move.at}
        for move in moves
        if move.fell_from
    ]
    return rows


def reasons_of(cycles: list[Stretch], raw: Raw, last: Move) -> str:
    """7.3 rule 7: the leaves behind the last change, oldest first, of equal dates as written.

    The highest stage entered at an instant was entered by its own rule, so its own leaves explain
    it. A leaf reached by two ways is said once.
    """
    if last.fell_from:
        why = f" ({last.why})" if last.why else ""
        return f"recycled from {last.fell_from} on {last.at.date()}{why}"
    [truths] = [
        truths for cycle, truths in zip(cycles, raw, strict=True) if cycle.number == last.cycle
    ]
    oldest_first = sorted(truths[last.stage].leaves, key=lambda leaf: leaf[0])
    return "; ".join(dict.fromkeys(text for _, text in oldest_first))


TEST_ORDER = ("field", "is", "is_not", "in", "not_in", "known", "gt", "gte", "lt", "lte")


def phrase(leaf: Row, definition: Row, completed_by: str | None) -> str:
    """7.3 rule 7: how a leaf reads, without its date; every wording of a reason stands here."""
    within = f" within {leaf['within_days']} days" if "within_days" in leaf else ""
    if "event" in leaf and leaf.get("count", 1) == 1:
        return str(completed_by)
    if "event" in leaf:
        return f"{leaf['count']} {'/'.join(one_or_many(leaf['event']))}{within}"
    if "channels" in leaf:
        return f"{leaf['channels']} channels{within}"
    if "score" in leaf:
        return f"score {leaf['score']} >= {spelt(leaf['gte'])}"
    if "qualified" in leaf:
        framework = definition["qualification"].get("framework")
        return (
            f"{leaf['qualified']} of {framework}" if framework else f"{leaf['qualified']} criteria"
        )
    words = {
        "is": "is",
        "is_not": "is not",
        "in": "in",
        "not_in": "not in",
        "gt": ">",
        "gte": ">=",
        "lt": "<",
        "lte": "<=",
    }
    tests = [
        ("known" if wanted else "not known")
        if test == "known"
        else f"{words[test]} {spelt(wanted)}"
        for test, wanted in sorted(leaf.items(), key=lambda one: TEST_ORDER.index(one[0]))
        if test != "field"
    ]
    return f"{leaf['field']} {' and '.join(tests)}"


def spelt(wanted: Any) -> str:
    """7.3 rule 7: a value as an admin writes it."""
    if isinstance(wanted, list):
        return ", ".join(spelt(one) for one in wanted)
    if isinstance(wanted, bool):
        return str(wanted).lower()
    if isinstance(wanted, float) and wanted.is_integer():
        return str(int(wanted))
    return str(wanted)


def touches_of(case: Case) -> Decimal:
    """7.4: the touch of the counted outbound events after the last activity, exactly.

    In the window of `pressure` if any; an event is one touch unless its kind says less.
    """
    pressure = case.definition.get("contact", {}).get("pressure")
    quiet_since = max(activity_of(case), default=None)
    return sum(
        (
            Decimal(str(case.definition["events"][event.kind].get("touch", 1)))
            for event in case.events
            if direction(case.definition, event.kind) == "outbound"
            and (quiet_since is None or event.at > quiet_since)
            and (
                pressure is None or event.at > case.as_of - timedelta(days=pressure["within_days"])
            )
        ),
        start=Decimal(0),
    )


def pressure_of(case: Case, touches: Decimal) -> str:
    """7.4: stop from `stop` touches, high from `high`, else ok; without the section always ok."""
    pressure = case.definition.get("contact", {}).get("pressure")
    if pressure and touches >= Decimal(str(pressure["stop"])):
        return "stop"
    if pressure and touches >= Decimal(str(pressure["high"])):
        return "high"
    return "ok"


def is_contactable(case: Case) -> bool:
    """7.4, section 7: whether the condition holds since `as_of` or earlier; without one, yes."""
    condition = case.definition.get("contact", {}).get("contactable")
    if condition is None:
        return True
    truth = true_since(condition, case, whole_life(case), NOTHING_BELOW)
    return truth is not None and truth.since <= case.as_of


def next_action_of(case: Case, last: Move, status: str, pressure: str, *, can_contact: bool) -> str:
    """7.4: none, else pause, else nurture, else what the stage asks for."""
    if status in ("won", "disqualified") or not can_contact:
        return "none"
    if pressure == "stop":
        return "pause"
    if status == "recycled":
        return "nurture"
    return str(stage_named(case, last.stage)["action"])


def follow_up_due(case: Case, last: Move, status: str, next_action: str) -> datetime | None:
    """7.4: hours after the stage was entered, until the follow-up; NULL if none is due."""
    follow_up = stage_named(case, last.stage).get("follow_up")
    if follow_up is None or next_action in ("none", "pause") or status == "recycled":
        return None
    if any(
        event.at >= last.at and follows_up(case.definition, follow_up, event.kind)
        for event in case.events
    ):
        return None
    return last.at + timedelta(hours=follow_up["within_hours"])


def follows_up(definition: Row, follow_up: Row, kind: str) -> bool:
    """7.4: the kinds of `by`, by default every outbound and two-way one."""
    if "by" in follow_up:
        return kind in follow_up["by"]
    return direction(definition, kind) in ("outbound", "two_way")


def stage_named(case: Case, stage: str) -> Row:
    """Section 7: what the definition says about a stage."""
    found: Row = case.definition["stages"][stage_ids(case).index(stage)]
    return found
